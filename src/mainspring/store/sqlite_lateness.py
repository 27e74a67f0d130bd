"""How late starts were, counted by the database itself: a trigger on the tasks, windows in a table of their own.

The trigger sees every way in which a start is told, once each: with its outcome, as "it runs", or after its node died.
It needs no line of the interpreter, and gives up its lock nowhere. What it costs stands in `docs/design/lateness.md`.
"""

# ruff: noqa: S608 - the texts are made of constants

from itertools import pairwise
from typing import TYPE_CHECKING

import apsw

from mainspring.store.histogram import FINEST, FOLD_US, MOST_ROWS, PER_E, SECOND, WINDOWS
from mainspring.store.rows import Settlement

if TYPE_CHECKING:
    from mainspring.store.sqlite_connection import Connections


def _count(started_at: str, count: int) -> str:
    """A statement of the trigger: count a start at this instant, against the instant it was due then."""
    late = f"{started_at} - old.run_at"
    return f"""
  INSERT INTO lateness VALUES ({FINEST}, {started_at} / {FINEST * SECOND} * {FINEST}, new.lane,
    coalesce(new.schedule, ''), CAST(ln(max(1, {late})) * {PER_E!r} AS INTEGER), {count}, {late})
  ON CONFLICT DO UPDATE SET count = count + excluded.count, most = max(most, excluded.most);"""


# A start of an at-most-once task is told before its fsync, and once more, exactly, with its end: then it is moved.
STEP = f"""
CREATE TABLE lateness (
  length INTEGER NOT NULL, start INTEGER NOT NULL, lane INTEGER NOT NULL, schedule TEXT NOT NULL,
  bucket INTEGER NOT NULL, count INTEGER NOT NULL, most INTEGER NOT NULL,
  PRIMARY KEY (length, start, lane, schedule, bucket)) WITHOUT ROWID;
CREATE TRIGGER task_started AFTER UPDATE OF started_at ON task
WHEN old.state = 0 AND new.started_at IS NOT old.started_at AND new.started_at >= old.run_at
BEGIN {_count("new.started_at", 1)}
END;
CREATE TRIGGER task_start_moved AFTER UPDATE OF started_at ON task
WHEN old.state = 1 AND new.started_at > old.started_at AND old.started_at >= old.run_at
BEGIN {_count("old.started_at", -1)} {_count("new.started_at", 1)}
END;
"""

_AFTER = " OR ".join(f"(length = {length} AND start > ?1 - {length})" for length, _ in WINDOWS)
ALTOGETHER = f"""
SELECT json_group_array(json_array(0, 0, lane, nullif(schedule, ''), bucket, count, most)) FROM (
  SELECT lane, schedule, bucket, sum(count) AS count, max(most) AS most FROM lateness WHERE {_AFTER}
  GROUP BY lane, schedule, bucket HAVING sum(count) > 0)"""
APART = f"""
SELECT json_group_array(json_array(start * {SECOND}, length * {SECOND}, lane, nullif(schedule, ''), bucket, count, most)
  ORDER BY start, lane, schedule, bucket) FROM lateness WHERE ({_AFTER}) AND count > 0"""

_FOLD = """
INSERT INTO lateness SELECT ?2, start / ?2 * ?2, lane, schedule, bucket, sum(count), max(most) FROM lateness
WHERE length = ?1 AND start < ?3 GROUP BY start / ?2, lane, schedule, bucket
ON CONFLICT DO UPDATE SET count = count + excluded.count, most = max(most, excluded.most)"""
_FORGET = "DELETE FROM lateness WHERE length = ? AND start < ?"
_OLDEST = "SELECT start FROM lateness ORDER BY start DESC LIMIT 1 OFFSET ?"
_FORGET_ALL = "DELETE FROM lateness WHERE start <= ?"


def fold(con: apsw.Connection, now: int, most_rows: int = MOST_ROWS) -> None:
    """Make one window of several older ones, and forget those older than a day."""
    second = now // SECOND
    for (length, kept), (longer, _) in pairwise(WINDOWS):
        before = (second - kept) // longer * longer
        con.execute(_FOLD, (length, longer, before))
        con.execute(_FORGET, (length, before))
    last, kept = WINDOWS[-1]
    con.execute(_FORGET, (last, second - kept - last))
    if (con.execute("SELECT count(*) FROM lateness").get or 0) > most_rows:
        con.execute(_FORGET_ALL, (con.execute(_OLDEST, (most_rows,)).get,))


class Folding:
    """Folds once a minute while tasks end; nobody is woken for it while none do."""

    def __init__(self, db: "Connections") -> None:
        self._db = db
        self._minute = 0

    def keep_up(self, newest: Settlement) -> None:
        """Fold when a minute has passed. Before outcomes are recorded: if this fails they are all tried again."""
        at = newest.finished_at or newest.started_at or 0
        if at // FOLD_US > self._minute:
            with self._db.write(durable=False) as con:
                fold(con, at)
            self._minute = at // FOLD_US
