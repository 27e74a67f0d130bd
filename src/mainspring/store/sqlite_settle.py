"""What came of held tasks: settlements by their holder, and the clearing up after a node that is no more."""

from collections.abc import Iterable, Sequence

import apsw
import msgspec

from mainspring.store import sqlite_sql as sql
from mainspring.store.rows import LEASE_LOST, WORKER_LOST, Settlement, TakenOver
from mainspring.store.sqlite_connection import Connections
from mainspring.tasks.options import decode_options
from mainspring.tasks.state import CODES, State

_POISON = 3  # losses after which a task is set aside
_SUCCEEDED = CODES[State.SUCCEEDED]
_FINISHED = CODES[State.RUNNING] + 1  # from this code on

_ids = msgspec.json.Decoder(list[int])


class _Held(msgspec.Struct, array_like=True):
    """A task as its dead holder left it."""

    id: int
    code: int
    token: int
    started_at: int | None
    attempt: int
    losses: int
    options: str | None


_held = msgspec.json.Decoder(list[_Held])


class _Refused(Exception):
    """Some settlement does not apply: undo, and look which."""


def settle(db: Connections, settlements: Sequence[Settlement], durable: bool) -> tuple[list[int], list[str]]:
    """Apply settlements in one transaction; the ids of those refused, and the news.

    First on the assumption that all apply, which is nearly always so and costs one statement. When the count says
    otherwise (one was refused, or two are for one task), once more with a look before each write.
    """
    try:
        with db.write(durable=durable) as con:
            if _update(con, settlements) != len(settlements):
                raise _Refused
            _keep_records(con, settlements)
    except _Refused:
        pass
    else:
        return [], _news(settlements)
    refused: list[int] = []
    applied: list[Settlement] = []
    with db.write(durable=durable) as con:
        for batch in _without_twins(settlements):
            fits = _applicable(con, batch)
            refused += [settlement.id for settlement in batch if settlement.id not in fits]
            good = [settlement for settlement in batch if settlement.id in fits]
            _update(con, good)
            _keep_records(con, good)
            applied += good
    return refused, _news(applied)


def _update(con: apsw.Connection, settlements: Sequence[Settlement]) -> int:
    """Write them; to how many of them there was a row that they apply to."""
    plain = [(s.id, s.token, s.attempt, s.started_at, s.finished_at, s.result) for s in settlements if _is_plain(s)]
    written = sql.write_rows(con, sql.SETTLE_PLAIN, plain)
    if len(plain) == len(settlements):
        return written
    rest = [
        (
            *(s.id, s.token, s.code, s.keep, s.attempt, s.failures, s.lost, s.run_at),
            *(s.reason, s.started_at, s.finished_at, s.result, s.error),
        )
        for s in settlements
        if not _is_plain(s)
    ]
    return written + sql.write_rows(con, sql.SETTLE, rest)


def _is_plain(s: Settlement) -> bool:
    """Did it run and come to a good end, with nothing else to say?"""
    return s.code == _SUCCEEDED and not s.keep and bool(s.started_at) and s.reason is None and s.error is None


def _keep_records(con: apsw.Connection, settlements: Sequence[Settlement]) -> None:
    """Failed attempts, what programs wrote, and options that were not known when the task was added."""
    tries = [s for s in settlements if s.failed_try]
    outputs = [s for s in settlements if s.output is not None]
    sql.write_rows(
        con,
        sql.INSERT_ATTEMPTS,
        [(s.id, s.attempt, s.started_at, s.finished_at, s.reason or "", s.error) for s in tries],
    )
    sql.write_rows(con, sql.INSERT_OUTPUTS, [(s.id, s.output) for s in outputs])
    sql.write_rows(con, sql.COMPLETE_OPTIONS, [(s.id, s.options) for s in settlements if s.options is not None])


def _without_twins(settlements: Iterable[Settlement]) -> list[list[Settlement]]:
    """The same settlements in the same order, split so that no batch has two for one task."""
    batches: list[list[Settlement]] = [[]]
    seen: set[int] = set()
    for settlement in settlements:
        if settlement.id in seen:
            batches.append([])
            seen = set()
        seen.add(settlement.id)
        batches[-1].append(settlement)
    return batches


def _applicable(con: apsw.Connection, settlements: Sequence[Settlement]) -> set[int]:
    rows = [(s.id, s.token, s.code) for s in settlements]
    return {id_ for cursor in sql.run_rows(con, sql.APPLICABLE, rows) for id_ in _ids.decode(cursor.get)}


def _news(settlements: Iterable[Settlement]) -> list[str]:
    done, output, room, freed = False, False, False, list[int]()
    for s in settlements:
        room |= s.keep
        done |= s.code >= _FINISHED
        output |= s.output is not None
        if s.code == 0 and not s.keep:
            freed.append(s.run_at or 0)
    return ["done"] * done + ["output"] * output + ["room"] * room + [f"due {min(freed)}" for _ in freed[:1]]


def clear_node(
    con: apsw.Connection, node: int, starts: dict[tuple[int, int], int], now: int | None, *, lives: bool = False
) -> tuple[TakenOver | None, list[str]]:
    """Settle what a node held and forget it, unless it `lives`; None when there is no such node. `starts`: what its
    journal shows.

    A start that the journal shows counts unless the store knows of it: the task is recorded as running, or what came of
    it was recorded and the reservation kept for the next attempt. Earlier than what is recorded it may be all the same:
    the clock was set back.
    """
    if con.execute(sql.NODE if lives else sql.DROP_NODE, (node,)).get is None:
        return None, []
    news = {"nodes": None}
    lost: list[tuple[int, int, int, int, int | None, int | None, str | None]] = []
    tries: list[tuple[int, int, int | None, int | None, str, None]] = []
    held = _held.decode(con.execute(sql.HELD, (node,)).get)
    for task in held:
        start = starts.get((task.id, task.token))
        if task.code == CODES[State.RUNNING] or start == task.started_at:
            start = None
        if start is None and task.code != CODES[State.RUNNING]:
            news["due 0"] = None
            continue
        code, reason = _end(task)
        started_at = start or task.started_at
        over = now if now is None or started_at is None else max(now, started_at)  # the clock was set back meanwhile
        ended_at = None if code == CODES[State.WAITING] else over or started_at
        attempt = task.attempt if start is None else task.attempt + 1
        lost.append((task.id, code, attempt, task.losses + 1, started_at, ended_at, reason))
        tries.append((task.id, attempt, started_at, over, LEASE_LOST if lives else WORKER_LOST, None))
        news["due 0" if code == CODES[State.WAITING] else "done"] = None
    sql.write_rows(con, sql.LOSE, lost)
    sql.write_rows(con, sql.INSERT_ATTEMPTS, tries)
    con.execute(sql.FREE_HELD, (node,))
    con.execute(sql.FREE_STANDINGS, (node,))
    if con.changes():
        news |= {"standing": None, "due 0": None}
    con.execute(sql.FORGET_REQUESTS, (node,))
    return TakenOver(len(held) - len(lost), [task[0] for task in lost]), list(news)


def _end(task: _Held) -> tuple[int, str | None]:
    """What becomes of a task whose start was lost: its state's code, and the reason."""
    if decode_options(task.options).delivery == "at-most-once":
        return CODES[State.FAILED], "lost"
    if task.losses + 1 >= _POISON:
        return CODES[State.FAILED], "poison"
    return CODES[State.WAITING], None
