"""Room in a bounded queue, within a write transaction: nobody else adds meanwhile, so what is counted is exact."""

import apsw

from mainspring.errors import QueueFull
from mainspring.store.rows import Bound
from mainspring.store.sqlite_sql import DUE_AMONG, PENDING


def due_by(now: int, bound: Bound | None) -> int:
    """What is due by then counts: others, whose commit came first, may have added what is due later than `now`."""
    return now if bound is None else max(now, bound.clock())


class Room:
    """How many tasks are due and wait; counted when it is first asked for, and no further than needed."""

    def __init__(self, con: apsw.Connection, due_by: int) -> None:
        self.due_by = due_by
        self._con = con
        self._pending = self._counted_to = 0

    def take(self, bound: Bound | None, more: int) -> None:
        """Count `more` due tasks as added; `QueueFull` when there is no room for them. What adds none needs none."""
        if bound is None:
            return
        if more > 0:
            self._count(bound.most)
            if self._pending + more > bound.most:
                raise QueueFull(min(self._pending, bound.most), bound.most, more)
        self._pending += more

    def due_among(self, ids: str) -> int:
        """How many of these tasks (JSON, their ids) are due."""
        return int(self._con.execute(DUE_AMONG, (ids, self.due_by)).get)

    def _count(self, limit: int) -> None:
        if self._pending >= self._counted_to < limit:
            self._pending = self._con.execute(PENDING, (self.due_by, limit)).get
            self._counted_to = limit
