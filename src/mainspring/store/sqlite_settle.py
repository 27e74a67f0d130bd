"""What came of held tasks: settlements by their holder, and the clearing up after a node that is no more."""

from collections.abc import Sequence

import apsw
import msgspec

from mainspring.store import sqlite_sql as sql
from mainspring.store.rows import Settlement, TakenOver
from mainspring.store.rules import HeldTask, losses, news_of_settlements, without_twins
from mainspring.store.sqlite_connection import Connections
from mainspring.tasks.state import CODES, State

_SUCCEEDED = CODES[State.SUCCEEDED]

_ids = msgspec.json.Decoder(list[int])
_held = msgspec.json.Decoder(list[HeldTask])


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
        return [], news_of_settlements(settlements)
    refused: list[int] = []
    applied: list[Settlement] = []
    with db.write(durable=durable) as con:
        for batch in without_twins(settlements):
            fits = _applicable(con, batch)
            refused += [settlement.id for settlement in batch if settlement.id not in fits]
            good = [settlement for settlement in batch if settlement.id in fits]
            _update(con, good)
            _keep_records(con, good)
            applied += good
    return refused, news_of_settlements(applied)


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


def _applicable(con: apsw.Connection, settlements: Sequence[Settlement]) -> set[int]:
    rows = [(s.id, s.token, s.code) for s in settlements]
    return {id_ for cursor in sql.run_rows(con, sql.APPLICABLE, rows) for id_ in _ids.decode(cursor.get)}


def clear_node(
    con: apsw.Connection, node: int, starts: dict[tuple[int, int], int], now: int | None, *, lives: bool = False
) -> tuple[TakenOver | None, list[str]]:
    """Settle what a node held and forget it, unless it `lives`; None when there is no such node. `starts`: what its
    journal shows (`rules.losses`).
    """
    if con.execute(sql.NODE if lives else sql.DROP_NODE, (node,)).get is None:
        return None, []
    held = _held.decode(con.execute(sql.HELD, (node,)).get)
    lost, told = losses(held, starts, now, lives=lives)
    news = {"nodes": None, **told}
    sql.write_rows(
        con, sql.LOSE, [(*(o.id, o.code, o.attempt, o.losses), o.started_at, o.finished_at, o.reason) for o in lost]
    )
    sql.write_rows(con, sql.INSERT_ATTEMPTS, [(o.id, o.attempt, o.started_at, o.over, o.why, None) for o in lost])
    con.execute(sql.FREE_HELD, (node,))
    con.execute(sql.FREE_STANDINGS, (node,))
    if con.changes():
        news |= {"standing": None, "due 0": None}
    con.execute(sql.FORGET_REQUESTS, (node,))
    return TakenOver(len(held) - len(lost), [one.id for one in lost]), list(news)
