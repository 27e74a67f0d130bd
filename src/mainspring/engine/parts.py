"""Where lateness comes from, on this node: the timer, the wait for a worker, or the start of the body.

One task of each batch that the timer hands over is followed to its start: all of them while few are due, one of a
batch when many are. So it costs a task next to nothing, and the parts of one task add up to its lateness. What is known
of the last 10 to 20 minutes stands at the head of the node's journal, where every process can read it.
"""

from collections.abc import Iterable

from mainspring.engine.timeline import Held
from mainspring.store.histogram import SECOND, Spread, bucket_of
from mainspring.store.journal import PARTS, Journal
from mainspring.store.rows import Settlement

_HALF_US = 600 * SECOND
_MOST = 4_096  # followed at a time; those that never start (cancelled meanwhile) are dropped with the rest beyond that


class Followed:
    """A task on its way from the timer to its start. Instants in µs."""

    __slots__ = ("handed_at", "run_at", "taken_at")

    def __init__(self, run_at: int, handed_at: int) -> None:
        self.run_at = run_at
        self.handed_at = handed_at
        self.taken_at: int | None = None  # by a worker; None: not told

    def parts(self, started_at: int) -> tuple[int, int, int | None]:
        """µs with the timer, waiting for a worker, and from there to the body. What was done early cost nothing."""
        handed = max(self.handed_at, self.run_at)
        if self.taken_at is None:
            return handed - self.run_at, max(0, started_at - handed), None
        taken = max(self.taken_at, handed)
        return handed - self.run_at, taken - handed, max(0, started_at - taken)


class Parts:
    """Follows some tasks; the timer, a worker and the recorder tell what they know, in this order."""

    def __init__(self, journal: Journal) -> None:
        self._journal = journal
        self._since = 0
        self._told_at = 0
        self._untold = False  # something was counted since
        self._now: list[Spread] = [Spread() for _ in PARTS]
        self._before: list[Spread] = [Spread() for _ in PARTS]
        self.followed: dict[int, Followed] = {}  # by task

    def hand(self, batch: list[Held], now: int) -> None:
        """The timer hands these over: follow the one in the middle, which waits about as long as the others."""
        one = batch[len(batch) // 2]
        if len(self.followed) >= _MOST:
            self.followed.clear()
        self.followed[one.id] = Followed(one.run_at, now)

    def recorded(self, batch: Iterable[Settlement]) -> None:
        """What became of tasks: count the parts of those that were followed and had started."""
        if not self.followed:
            return
        latest = 0
        for settlement in batch:
            followed = self.followed.pop(settlement.id, None)
            if followed is not None and settlement.started_at is not None:
                self._count(followed.parts(settlement.started_at), settlement.started_at)
                latest = settlement.started_at
        if latest:
            self.tell(latest)

    def tell(self, now: int) -> int | None:
        """Tell what was counted, once a second: to sum it up takes as long as to run a task. When to come again."""
        if not self._untold:
            return None
        if 0 <= now - self._told_at < SECOND:
            return self._told_at + SECOND
        self._told_at = now
        self._untold = False
        self._sum_up()
        return None

    def _count(self, parts: tuple[int | None, ...], at: int) -> None:
        if at - self._since > _HALF_US:
            self._before = self._now if at - self._since <= 2 * _HALF_US else [Spread() for _ in PARTS]
            self._now = [Spread() for _ in PARTS]
            self._since = at
        self._untold = True
        for spread, part in zip(self._now, parts, strict=True):
            if part is not None:
                spread.add(bucket_of(part), 1, part)

    def _sum_up(self) -> None:
        figures: list[int | None] = []
        for now, before in zip(self._now, self._before, strict=True):
            both = Spread()
            both.merge((now, before))
            p50, p99 = both.at(0.5), both.at(0.99)
            figures += [None if p50 is None else round(p50), None if p99 is None else round(p99), both.max]
        self._journal.lateness = figures
