"""The listeners' workers: a fixed number of threads on which functions take their turns.

A thread is started when there is a listener that needs one. Of the idle ones, one at a time watches the clock for the
end of the next pause; the others sleep until they are told. While every listener is in its body nothing wakes up.
`InlineTurns` runs the same turns in the driver's thread.
"""

import threading
import time
from collections.abc import Callable, Sequence
from typing import Protocol, cast

from mainspring.engine.rota import STARVED_US, Owner, Place, Rota
from mainspring.when.clock import Clock, Sleeper

# With the virtual clock nothing but the clock ends a pause, so that there is one even where none is asked for.
LEAST_PAUSE_US = 1_000


class Runner(Owner, Protocol):
    """Who takes its turns on a thread of this process."""

    def turn(self) -> tuple[int, bool]:
        """One turn in the body, never raising: the wait (µs) until the next, and whether that is its pause."""


class Turns(Protocol):
    """What the supervisor knows of the workers."""

    def add(self, places: Sequence[Place]) -> None:
        """Let them take turns, from now on; none has one before all are there."""

    def remove(self, place: Place) -> bool:
        """No more turns. False: one is going on, and its owner's `left` is called when that has ended."""

    def run_due(self, now: int) -> int | None:
        """Inline: run what is due; the instant (monotonic) of the next turn."""

    def starving(self, now: int) -> tuple[list[Place], int | None]:
        """Who has been waiting too long, and the instant (monotonic) of the next look."""

    def busy(self) -> int:
        """How many workers are in a body."""

    def close(self) -> None:
        """No more turns at all; threads that are in no body have ended on return."""


class InlineTurns:
    """One turn after the other, in the thread that calls `run_due`."""

    def __init__(self) -> None:
        self._rota = Rota(1_000_000)  # nobody is kept from a turn: fewest first is all there is to fairness

    def add(self, places: Sequence[Place]) -> None:
        """See `Turns`."""
        for place in places:
            self._rota.add(place, 0)

    def remove(self, place: Place) -> bool:
        """See `Turns`."""
        return self._rota.remove(place)

    def run_due(self, now: int) -> int | None:
        """See `Turns`: one turn for each that is due."""
        while True:
            place, wanted = self._rota.take(now)
            if place is None:
                return wanted
            delay, resting = cast("Runner", place.owner).turn()
            self._rota.done(place, now, max(delay, LEAST_PAUSE_US), resting=resting)
            if place.gone:
                place.owner.left()

    def starving(self, now: int) -> tuple[list[Place], int | None]:  # noqa: ARG002  # nobody waits for a worker here
        """See `Turns`."""
        return [], None

    def busy(self) -> int:
        """See `Turns`."""
        return 0

    def close(self) -> None:
        """See `Turns`."""


class ThreadTurns:
    """At most `workers` threads. `wake` is called when somebody may starve sooner than `starving` last said."""

    def __init__(self, workers: int, clock: Clock, wake: Callable[[], None]) -> None:
        self._workers = workers
        self._clock = clock
        self._wake = wake
        self._rota = Rota(workers)
        self._lock = threading.Lock()
        self._told = threading.Condition(self._lock)
        self._sleeper: Sleeper | None = None
        self._threads: list[threading.Thread] = []
        self._bodies = 0
        self._watching = False  # one idle thread watches the clock,
        self._until = 0  # until this instant
        self._look_at: int | None = None
        self._ending = False

    def add(self, places: Sequence[Place]) -> None:
        """See `Turns`."""
        with self._lock:
            for place in places:
                self._rota.add(place, self._clock.monotonic())
            if self._sleeper is None and places:
                self._sleeper = self._clock.sleeper()
            while not self._ending and len(self._threads) < min(self._workers, len(self._rota.places)):
                name = f"mainspring-listener-{len(self._threads)}"
                self._threads.append(threading.Thread(target=self._run, name=name, daemon=True))
                self._threads[-1].start()
            self._tell()

    def remove(self, place: Place) -> bool:
        """See `Turns`."""
        with self._lock:
            idle = self._rota.remove(place)
            self._tell()  # somebody may have waited for it
            return idle

    def run_due(self, now: int) -> int | None:  # noqa: ARG002  # the threads do it
        """See `Turns`."""
        return None

    def starving(self, now: int) -> tuple[list[Place], int | None]:
        """See `Turns`."""
        with self._lock:
            hungry, self._look_at = self._rota.starving(now)
            return hungry, self._look_at

    def busy(self) -> int:
        """See `Turns`."""
        return self._bodies

    def close(self) -> None:
        """See `Turns`."""
        with self._lock:
            self._ending = True
            threads = list(self._threads)
            self._told.notify_all()
            if self._watching and self._sleeper is not None:
                self._sleeper.wake()
            self._told.wait_for(lambda: len(self._threads) == self._bodies)
            ended = [thread for thread in threads if thread not in self._threads]
        for thread in ended:
            thread.join()
        if self._sleeper is not None:
            self._sleeper.close()
            self._sleeper = None

    def _tell(self) -> None:
        """Have an idle thread look again; with the lock held."""
        if self._watching and self._sleeper is not None:
            self._sleeper.wake()
        else:
            self._told.notify()

    def _run(self) -> None:
        with self._lock:
            while (place := self._next()) is not None:
                self._bodies += 1
                self._lock.release()
                try:
                    delay, resting = cast("Runner", place.owner).turn()
                finally:
                    self._lock.acquire()
                    self._bodies -= 1
                self._rota.done(place, self._clock.monotonic(), delay, resting=resting)
                if not resting:
                    self._tell()  # peers may have waited for it
                self._after(place, delay, gone=place.gone)
            self._threads.remove(threading.current_thread())
            self._told.notify_all()

    def _after(self, place: Place, delay: int, *, gone: bool) -> None:
        """What others have to know of a turn that ended; with the lock held, which is let go of for a moment."""
        sooner = self._rota.crowded and (self._look_at is None or place.ready_at + STARVED_US < self._look_at)
        self._lock.release()
        try:
            if gone:
                place.owner.left()
            elif sooner:
                self._wake()
            if delay == 0:
                time.sleep(0)  # a listener without a pause lets go of the interpreter after each turn
        finally:
            self._lock.acquire()

    def _next(self) -> Place | None:
        """The next turn, waited for; None when there are no more. With the lock held."""
        while not self._ending:
            # the wall clock first: what passes between the two makes the sleep end early, and never late
            wall, now = self._clock.now(), self._clock.monotonic()
            place, wanted = self._rota.take(now)
            if place is not None:
                if not self._watching:
                    self._told.notify()  # an idle thread, if there is one, watches the clock from here on
                return place
            if self._watching:
                if wanted is not None and wanted < self._until and self._sleeper is not None:
                    self._sleeper.wake()
                self._told.wait()
            elif wanted is None:
                self._told.wait()
            else:
                self._watch(wall + wanted - now, wanted)
        return None

    def _watch(self, until: int, wanted: int) -> None:
        """Sleep until that instant, `wanted` by the monotonic clock; with the lock held, let go of meanwhile."""
        assert self._sleeper is not None
        self._watching, self._until = True, wanted
        self._lock.release()
        try:
            self._sleeper.sleep(until)
        finally:
            self._lock.acquire()
            self._watching = False
