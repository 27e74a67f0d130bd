"""One worker's place that is a process: its child, and what was fed to it.

What is fed and not answered stands in `fed`, in the order in which the child reads it. The first of it is what the
place `held`: it runs, or is the next to run. Everything here is changed with the pool's lock held.
"""

import threading
from collections import deque

from mainspring.engine.child import Child
from mainspring.engine.child_messages import Stop, decode_feed
from mainspring.engine.pool import Slot
from mainspring.engine.timeline import Held
from mainspring.when.slices import LONG_NS, PROMPT_NS, ask_for_slice

AHEAD_US = 2_000  # of measured work that one child is fed ahead
_MOST_FED = 100  # packets: its socket takes about 270 small ones
LONG_US = 1_000_000_000  # expected of a body of which nothing is known


class ProcessSlot(Slot):
    """A place in a `ProcessPool`. A program that takes it runs beside the child, which waits meanwhile."""

    __slots__ = ("_long", "_own_start", "_told", "child", "fed", "full", "load_us", "lock", "seen", "stalled")

    def __init__(self, index: int, lock: threading.Lock) -> None:
        self.lock = lock
        self.child: Child | None = None
        self.fed: deque[tuple[Held, int]] = deque()  # with how long (µs) each is expected to take
        self.load_us = 0  # the sum of it
        self._long = False  # its child has a long slice now
        self.full = False  # its socket takes no more, until something is answered
        self.seen: Held | None = None  # what was first at the timer's last look
        self.stalled = False  # it is longer at it than expected: nothing more behind it
        super().__init__(index)

    def clear(self) -> None:
        """See `Slot`."""
        self._own_start = 0
        self._told: str | None = None
        super().clear()

    @property
    def started_at(self) -> int:
        """When what it holds began (wall clock), read from the child's own note; 0: it has not started."""
        held, child = self.held, self.child
        if not self.fed or held is None or child is None:
            return self._own_start
        last = child.current()
        return last[2] if last is not None and last[0] == held.id and last[1] == held.token else 0

    @started_at.setter
    def started_at(self, instant: int) -> None:
        self._own_start = instant

    # ── feeding ────────────────────────────────────────────────────────────────────────────────────────────
    def works_on(self, held: Held) -> bool:
        """See `Slot`: what was fed to the child is its work already."""
        return any(one is held for one, _ in self.fed)

    def takes(self, expected_us: int) -> bool:
        """Is it at short bodies, so that one more may be fed behind them?"""
        room = self.load_us + expected_us <= AHEAD_US and len(self.fed) < _MOST_FED
        return room and bool(self.fed) and not self.full and not self.stalled

    def feed(self, held: Held, message: bytes, expected_us: int) -> bool:
        """Give the child a task; False when it takes no more."""
        assert self.child is not None
        if not self.child.feed(message):
            self.full = True
            return False
        self.fed.append((held, expected_us))
        self.load_us += expected_us
        if len(self.fed) == 1:
            self._begin()
        return True

    def answered(self, task: int, token: int) -> Held | None:
        """The child is done with this task: it holds the next one now. None when that is not what it was at."""
        if not self.fed or (self.fed[0][0].id, self.fed[0][0].token) != (task, token):
            return None
        held, expected_us = self.fed.popleft()
        self.load_us -= expected_us
        self.full = self.stalled = False
        self._begin()
        return held

    def take_back(self) -> list[Held]:
        """What the child has not read, in order; it is nobody's again.

        Not always the last of what was fed: while this reads one after the other, from the first, the child may read
        one in between.
        """
        assert self.child is not None
        unread = {(feed.task, feed.token) for feed in map(decode_feed, self.child.take_back())}
        if not unread:
            return []
        first = self.fed[0][0]
        back = [one for one in self.fed if (one[0].id, one[0].token) in unread]
        self.fed = deque([one for one in self.fed if (one[0].id, one[0].token) not in unread])
        self.load_us -= sum(expected_us for _, expected_us in back)
        self.full = False
        if not self.fed or self.fed[0][0] is not first:
            self._begin()
        return [held for held, _ in back]

    def lose(self) -> tuple[list[Held], list[Held]]:
        """The child is gone: what it had taken, which is one task or none, and what it had not read."""
        back = self.take_back()
        taken = [held for held, _ in self.fed]
        self.fed.clear()
        self.load_us = 0
        self.full = self.stalled = self._long = False
        self.child = None
        return taken, back

    def _begin(self) -> None:
        """What is first in line is what this place is at now."""
        self.clear()
        if self._long and self.child is not None:
            self._long = False
            ask_for_slice(PROMPT_NS, self.child.pid)
        if self.fed:
            self.held = self.fed[0][0]
            self.attempt = self.held.task.attempt + 1

    # ── asking ─────────────────────────────────────────────────────────────────────────────────────────────
    def tell(self, text: str) -> None:
        """What its task has written so far."""
        self._told = text
        self.output = self._news

    def _news(self) -> str | None:
        text, self._told = self._told, None
        return text

    def lasts(self) -> None:
        """See `Slot`: who wakes up beside it, such as a child whose task has come, goes first."""
        with self.lock:
            if self.fed and self.child is not None and not self._long:
                self._long = ask_for_slice(LONG_NS, self.child.pid)

    def hint(self) -> None:
        """See `Slot`."""
        with self.lock:
            if not self._stop(""):
                super().hint()

    def ask(self, cause: str) -> None:
        """See `Slot`."""
        with self.lock:
            if self.cause is None and self._stop(cause):
                self.cause = cause
                return
        super().ask(cause)

    def _stop(self, why: str) -> bool:
        if not self.fed or self.held is None or self.child is None:
            return False
        self.child.control(Stop(self.held.id, self.held.token, why))
        return True

    def end(self) -> bool:
        """See `Slot`: the child is killed."""
        with self.lock:
            if not self.fed or self.child is None:
                return False
            self.child.kill()
            return True
