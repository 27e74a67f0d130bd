"""Hands a task to the pool at its instant. No I/O, no user code, no logging on this thread."""

from mainspring.engine.pool import Pool
from mainspring.engine.timeline import Timeline

# Of many due at one instant, this many are handed over at a time: the workers begin with the first while the next are
# taken out, and the sleep in between gives them the interpreter.
CHUNK = 256


class Timer:
    """The step of the most exact thread: sleep until the earliest instant, hand over what is due."""

    def __init__(self, timeline: Timeline, pool: Pool) -> None:
        self._timeline = timeline
        self._pool = pool

    def step(self, now: int) -> int | None:
        """Hand over; the next instant."""
        due = self._timeline.due(now, CHUNK)
        if due:
            self._pool.offer(due)
        return self._timeline.next()
