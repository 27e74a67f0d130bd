"""Hands a task to the pool at its instant. No I/O, no user code, no logging on this thread.

To be exact it hands over EARLY: to wake a worker, to unpack the arguments and to warm the caches takes a quarter of a
millisecond. The worker does all that ahead and watches the clock itself for what is left (`attempt`), so that the body
starts at its instant, and never before it.
"""

from collections.abc import Callable

from mainspring.engine.parts import Parts
from mainspring.engine.pool import Pool
from mainspring.engine.timeline import Timeline

# Of many due at one instant, this many are handed over at a time: the workers begin with the first while the next are
# taken out, and the sleep in between gives them the interpreter.
CHUNK = 256
EARLY_US = 300
NUDGE_US = 1_000


class Timer:
    """The step of the most exact thread: sleep until the earliest instant, hand over what is due."""

    def __init__(self, timeline: Timeline, pool: Pool, parts: Parts, *, early: int, handed: Callable[[], None]) -> None:
        self._timeline = timeline
        self._pool = pool
        self._parts = parts
        self._early = early
        self._handed = handed

    def step(self, now: int) -> int | None:
        """Hand over; when to do so again."""
        due = self._timeline.due(now + self._early, CHUNK)
        if due:
            self._parts.hand(due, now)
            self._pool.offer(due)
            self._handed()
        following = self._timeline.next()
        at = None if following is None else following - self._early
        if not self._pool.nudge():
            return at
        return now + NUDGE_US if at is None else min(at, now + NUDGE_US)
