"""Forgets finished tasks when their retention is over, a little at a time, so that nobody waits for it."""

from mainspring.engine.clockwatch import Moved
from mainspring.store.protocol import Store

_BATCH = 1_000
_PAUSE_US = 20_000
_OFTEN_US = 60_000_000
_SELDOM_US = 3_600_000_000


class Pruner:
    """The step that keeps the history bounded."""

    def __init__(self, store: Store, retention_us: int) -> None:
        self._store = store
        self._retention = retention_us
        # ten times within the retention, but neither more than once a minute nor less than once an hour
        self._every = min(max(retention_us // 10, _OFTEN_US), _SELDOM_US)
        self._at = 0
        self._keep: dict[str, int] = {}  # schedules that made tasks since, and how many finished ones are kept of each
        self._trim_at: int | None = None

    def trim(self, schedule: str, keep: int, now: int) -> None:
        """It has made tasks: see to its finished ones within a minute."""
        self._keep[schedule] = keep
        self._trim_at = self._trim_at or now + _OFTEN_US

    def clock_moved(self, moved: Moved) -> None:
        """By a clock that is wrong for a moment everything may be too old: give whoever set it time to set it right."""
        self._at = moved.at + self._every
        self._trim_at = None if self._trim_at is None else moved.at + _OFTEN_US

    def step(self, now: int) -> int | None:
        """Forget one batch; soon again while there are more."""
        if now >= self._at:
            full = self._store.prune(now - self._retention, _BATCH) == _BATCH
            self._at = now + (_PAUSE_US if full else self._every)
        if self._trim_at is not None and now >= self._trim_at:
            full_ones = {
                name: keep for name, keep in self._keep.items() if self._store.trim(name, keep, _BATCH) == _BATCH
            }
            self._keep = full_ones
            self._trim_at = now + _PAUSE_US if full_ones else None
        return self._at if self._trim_at is None else min(self._at, self._trim_at)
