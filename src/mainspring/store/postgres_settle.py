"""What came of held tasks: settlements by their holder, and the clearing up after a node that is no more."""

from collections.abc import Iterable, Mapping, Sequence

import msgspec

from mainspring.store import postgres_sql as sql
from mainspring.store.postgres_connection import Cursor
from mainspring.store.postgres_lateness import Starts
from mainspring.store.rows import Settlement, TakenOver
from mainspring.store.rules import HeldTask, losses, news_of_settlements, without_twins
from mainspring.tasks.state import CODES, LEGAL, STATES, State

_WAITING, _RUNNING = CODES[State.WAITING], CODES[State.RUNNING]


class _Found(msgspec.Struct):
    """A task as it is before its settlement."""

    id: int
    token: int | None
    code: int
    run_at: int
    started_at: int | None
    lane: int
    schedule: str | None


def settle(cursor: Cursor, node: int, settlements: Sequence[Settlement]) -> tuple[list[int], list[str]]:
    """Apply settlements; the ids of those refused, and the news. Rows are locked in the order of their ids."""
    refused: list[int] = []
    applied: list[Settlement] = []
    starts = Starts(node)
    for batch in without_twins(settlements):
        found = {row[0]: _Found(*row) for row in cursor.execute(sql.SETTLED, ([s.id for s in batch],))}
        good = [s for s in batch if _applies(s, found.get(s.id))]
        if len(good) < len(batch):
            fit = {s.id for s in good}
            refused += [s.id for s in batch if s.id not in fit]
        for s in good:
            _count(starts, found[s.id], s.started_at)
        _write(cursor, good)
        applied += good
    starts.write(cursor)
    return refused, news_of_settlements(applied)


def _applies(s: Settlement, found: _Found | None) -> bool:
    return found is not None and found.token == s.token and STATES[s.code] in LEGAL[STATES[found.code]]


def _count(starts: Starts, found: _Found, started_at: int | None) -> None:
    """Each start once. One of an at-most-once task is told before its commit, and exactly with its end: it is moved."""
    if started_at is None or started_at == found.started_at:
        return
    before = found.started_at
    if found.code == _WAITING:
        starts.count(started_at, found.run_at, found.lane, found.schedule)
    elif found.code == _RUNNING and before is not None and found.run_at <= before < started_at:
        starts.count(before, found.run_at, found.lane, found.schedule, -1)
        starts.count(started_at, found.run_at, found.lane, found.schedule)


def _write(cursor: Cursor, settlements: Sequence[Settlement]) -> None:
    if not settlements:
        return
    cursor.execute(
        sql.SETTLE,
        (
            _json(
                {
                    "id": s.id, "code": s.code, "keep": s.keep, "attempt": s.attempt, "failures": s.failures,
                    "lost": s.lost, "run_at": s.run_at, "reason": _text(s.reason), "started_at": s.started_at,
                    "finished_at": s.finished_at, "result": s.result, "error": s.error, "options": s.options,
                }
                for s in settlements
            ),
        ),
    )  # fmt: skip
    tries = [
        {"task": s.id, "attempt": s.attempt, "started_at": s.started_at, "finished_at": s.finished_at,
         "reason": _text(s.reason) or "", "error": s.error}
        for s in settlements if s.failed_try
    ]  # fmt: skip
    outputs = [{"task": s.id, "text": _text(s.output)} for s in settlements if s.output is not None]
    if tries:
        cursor.execute(sql.INSERT_ATTEMPTS, (_json(tries),))
    if outputs:
        cursor.execute(sql.INSERT_OUTPUTS, (_json(outputs),))


def clear_node(
    cursor: Cursor, node: int, starts: dict[tuple[int, int], int], now: int | None, *, lives: bool = False,
    unknown_by: int | None = None,
) -> tuple[TakenOver | None, list[str]]:  # fmt: skip
    """Settle what a node held and forget it, unless it `lives`; None when there is no such node. `starts`: what its
    journal shows (`rules.losses`).

    `unknown_by`: its journal cannot be read, it lies on another machine. Then what was due by then (µs) may have
    started, and counts as lost: a second run is not to pass for the first.
    """
    if not cursor.execute(sql.NODE_ALONE if lives else sql.DROP_NODE, (node,)).fetchall():
        return None, []
    rows = cursor.execute(sql.HELD, (node,)).fetchall()
    if unknown_by is not None:
        starts = {(id_, token): run_at for id_, _, token, *_, run_at, _, _ in rows if run_at <= unknown_by}
    lost, told = losses([HeldTask(*row[:7]) for row in rows], starts, now, lives=lives)
    news = {"nodes": None, **told}
    if lost:
        cursor.execute(
            sql.LOSE,
            (
                _json(
                    {"id": o.id, "code": o.code, "attempt": o.attempt, "losses": o.losses, "started_at": o.started_at,
                     "finished_at": o.finished_at, "reason": o.reason}
                    for o in lost
                ),
            ),
        )  # fmt: skip
        tries = (
            {"task": o.id, "attempt": o.attempt, "started_at": o.started_at, "finished_at": o.over, "reason": o.why}
            for o in lost
        )
        cursor.execute(sql.INSERT_ATTEMPTS, (_json(tries),))
        counted = Starts(node)
        before = {row[0]: _Found(row[0], row[2], row[1], row[7], row[3], row[8], row[9]) for row in rows}
        for one in lost:
            _count(counted, before[one.id], one.started_at)
        counted.write(cursor)
    cursor.execute(sql.FREE_HELD, (node,))
    if cursor.execute(sql.FREE_STANDINGS, (node,)).rowcount:
        news |= {"standing": None, "due 0": None}
    cursor.execute(sql.FORGET_REQUESTS, (node,))
    return TakenOver(len(rows) - len(lost), [one.id for one in lost]), list(news)


def _text(text: str | None) -> str | None:
    """What programs write and errors say may hold NUL characters, which PostgreSQL does not keep."""
    return text.replace("\0", "\N{SYMBOL FOR NULL}") if text is not None and "\0" in text else text


def _json(rows: Iterable[Mapping[str, object]]) -> str:
    return msgspec.json.encode(list(rows)).decode()
