"""How late starts were, counted in the transaction that records them. Each node has counters of its own: so two nodes
never wait for each other's commits because their tasks were equally late.
"""

# ruff: noqa: S608 - nothing enters these texts but constants; values are always bound

from collections.abc import Iterable
from itertools import pairwise
from typing import LiteralString

import msgspec
from psycopg.rows import TupleRow

from mainspring.store.histogram import FINEST, FOLD_US, MOST_ROWS, SECOND, WINDOWS, bucket_of
from mainspring.store.postgres_connection import Connections, Cursor
from mainspring.store.postgres_migrate import FOLDING, LOCK
from mainspring.store.rows import LateRow, Settlement

_COUNT = """
INSERT INTO mainspring.lateness AS l (length, start, lane, schedule, bucket, node, count, most)
SELECT * FROM json_to_recordset(%s::json) AS s
  (length integer, start bigint, lane bigint, schedule text, bucket integer, node bigint, count bigint, most bigint)
ON CONFLICT (length, start, lane, schedule, bucket, node)
DO UPDATE SET count = l.count + excluded.count, most = greatest(l.most, excluded.most)"""
_AFTER = " OR ".join(f"(length = {length} AND start > %(second)s - {length})" for length, _ in WINDOWS)
_ALTOGETHER = f"""
SELECT 0, 0, lane, nullif(schedule, ''), bucket, sum(count)::bigint, max(most) FROM mainspring.lateness WHERE {_AFTER}
GROUP BY lane, schedule, bucket HAVING sum(count) > 0 ORDER BY lane, schedule, bucket"""
_APART = f"""
SELECT start * {SECOND}, length * {SECOND}::bigint, lane, nullif(schedule, ''), bucket, sum(count)::bigint, max(most)
FROM mainspring.lateness WHERE {_AFTER} GROUP BY length, start, lane, schedule, bucket HAVING sum(count) > 0
ORDER BY start, lane, schedule, bucket"""
_FOLD = """
WITH old AS (DELETE FROM mainspring.lateness WHERE length = %(length)s AND start < %(before)s RETURNING *)
INSERT INTO mainspring.lateness AS l (length, start, lane, schedule, bucket, node, count, most)
SELECT %(longer)s, start / %(longer)s * %(longer)s, lane, schedule, bucket, 0, sum(count), max(most) FROM old
GROUP BY start / %(longer)s, lane, schedule, bucket
ON CONFLICT (length, start, lane, schedule, bucket, node)
DO UPDATE SET count = l.count + excluded.count, most = greatest(l.most, excluded.most)"""
_FORGET = "DELETE FROM mainspring.lateness WHERE length = %s AND start < %s"
_FORGET_BEYOND = """
DELETE FROM mainspring.lateness
WHERE start <= (SELECT start FROM mainspring.lateness ORDER BY start DESC LIMIT 1 OFFSET %s)"""


class Starts:
    """Starts of one transaction, on their way into the counters of `node`."""

    def __init__(self, node: int) -> None:
        self._node = node
        self._cells: dict[tuple[int, int, str, int], tuple[int, int]] = {}

    def count(self, started_at: int, run_at: int, lane: int, schedule: str | None, by: int = 1) -> None:
        """Count a start against the instant it was due; `by` -1: it was counted before, at another instant."""
        if started_at < run_at:
            return
        late = started_at - run_at
        cell = (started_at // (FINEST * SECOND) * FINEST, lane, schedule or "", bucket_of(late))
        before, most = self._cells.get(cell, (0, 0))
        self._cells[cell] = (before + by, max(most, late))

    def write(self, cursor: Cursor) -> None:
        """Add them to what is stored, in an order that is everybody's."""
        rows = [
            {"length": FINEST, "start": start, "lane": lane, "schedule": schedule, "bucket": bucket,
             "node": self._node, "count": count, "most": most}
            for (start, lane, schedule, bucket), (count, most) in sorted(self._cells.items())
        ]  # fmt: skip
        if rows:
            cursor.execute(_COUNT, (msgspec.json.encode(rows).decode(),))


def rows(db: Connections, since: int, *, apart: bool) -> list[LateRow]:
    """See `Store.lateness`."""
    statement: LiteralString = _APART if apart else _ALTOGETHER
    found: Iterable[TupleRow] = db.look(statement, {"second": since // SECOND})
    return [LateRow(*row) for row in found]


class Folding:
    """Folds once a minute while tasks end; nobody is woken for it while none do."""

    def __init__(self, db: Connections, most_rows: int = MOST_ROWS) -> None:
        self._db = db
        self._most_rows = most_rows
        self._minute = 0

    def keep_up(self, newest: Settlement) -> None:
        """Fold when a minute has passed. Before outcomes are recorded: if this fails they are all tried again."""
        at = newest.finished_at or newest.started_at or 0
        if at // FOLD_US > self._minute:
            self._db.write(lambda cursor: self._fold(cursor, at // SECOND), receipt=False)
            self._minute = at // FOLD_US

    def _fold(self, cursor: Cursor, second: int) -> None:
        """Make one window of several older ones, and forget those older than a day."""
        cursor.execute("SELECT pg_advisory_xact_lock(%s, %s)", (LOCK, FOLDING))
        for (length, kept), (longer, _) in pairwise(WINDOWS):
            before = (second - kept) // longer * longer
            cursor.execute(_FOLD, {"length": length, "longer": longer, "before": before})
        last, kept = WINDOWS[-1]
        cursor.execute(_FORGET, (last, second - kept - last))
        cursor.execute(_FORGET_BEYOND, (self._most_rows,))
