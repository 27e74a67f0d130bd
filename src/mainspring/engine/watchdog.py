"""Ends attempts at their time limit, by the monotonic clock.

A coroutine is cancelled and a program ended, a worker process that does not heed is replaced; a function on a thread
can only be asked. What does not come back at
once and has no retry left is settled `failed`, reason `time limit`, right then; its late result is refused and its
worker stays taken until the body returns. With a retry left the outcome waits for the body: no retry starts beside
it.
"""

import heapq
import threading
from collections.abc import Callable

from mainspring.engine import settle
from mainspring.engine.clockwatch import Moved
from mainspring.engine.pool import Slot
from mainspring.engine.service import Loop
from mainspring.engine.timeline import Held
from mainspring.store.rows import Settlement
from mainspring.tasks.state import Kind
from mainspring.when.clock import Clock

# How long a body that was asked may take to come back before it counts as one that does not heed.
HEED_US = 100_000


class Watchdog:
    """The step that knows every deadline."""

    def __init__(self, clock: Clock, loop: Loop, put: Callable[[Settlement], None]) -> None:
        self._clock = clock
        self._loop = loop
        self._put = put
        self._lock = threading.Lock()
        self._count = 0
        self._heap: list[tuple[int, int, Slot, Held, int]] = []

    def watch(self, slot: Slot, held: Held, timeout: int, *, begun: bool = True) -> None:
        """Ask this slot to stop when `timeout` µs are over, if it still runs this. Not `begun`: it is about to begin
        in another process, and when it did is read from the slot then.
        """
        self._add(self._clock.monotonic() + timeout, slot, held, 0 if begun else timeout)

    def _add(self, at: int, slot: Slot, held: Held, timeout: int = 0) -> None:
        with self._lock:
            self._count += 1
            heapq.heappush(self._heap, (at, self._count, slot, held, timeout))
            first = self._heap[0][0] == at
        if first:
            self._loop.wake()

    def clock_moved(self, moved: Moved) -> None:
        """What runs in other processes noted its start by the old clock: reckon now when its time is over."""
        monotonic, old_now = self._clock.monotonic(), moved.at - moved.by
        with self._lock:
            for index, (at, count, slot, held, timeout) in enumerate(self._heap):
                began = slot.started_at if timeout and slot.held is held else 0
                if began:
                    ran = old_now - began
                    if not 0 <= ran <= monotonic - (at - timeout):  # in this very moment, by the new clock
                        ran = 0
                    self._heap[index] = (monotonic + timeout - ran, count, slot, held, 0)
            heapq.heapify(self._heap)

    def step(self, now: int) -> int | None:
        """Act on what is over; the instant (wall clock) of the next deadline."""
        monotonic = self._clock.monotonic()
        while True:
            with self._lock:
                if not self._heap:
                    return None
                at = self._heap[0][0]
                if at > monotonic:
                    return now + at - monotonic
                _, _, slot, held, timeout = heapq.heappop(self._heap)
            if slot.held is not held:
                continue
            began = slot.started_at
            left = min(timeout, timeout - (now - began if began else 0))
            if left > 0:
                self._add(monotonic + left, slot, held, 0 if began else timeout)
            else:
                self._over(slot, held, now)

    def _over(self, slot: Slot, held: Held, now: int) -> None:
        if slot.cause is None:
            slot.ask(settle.TIME_LIMIT)
            self._add(self._clock.monotonic() + HEED_US, slot, held)
            return
        # asked before, and still there
        if slot.end():
            return
        rule = held.options.retry
        last = rule is None or held.task.failures >= rule.times
        if slot.cause == settle.TIME_LIMIT and last and held.lane.kind is Kind.FUNCTION and not slot.settled:
            slot.settled = True
            ended = settle.failed(
                held, slot.attempt, slot.started_at, now, settle.TIME_LIMIT, settle.time_limit(held), retry=False
            )
            self._put(settle.timed(ended, self._clock.boottime() - slot.began if slot.began else None))
