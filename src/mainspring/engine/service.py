"""Every loop is a step: one turn that returns when it wants the next.

Two drivers run the same steps. `ThreadLoop` gives a group of steps one thread and a sleeper. `ManualDriver` runs all steps
in the caller's thread, until nothing is left to do at this instant: the virtual clock and inline mode.
"""

import logging
import threading
from collections.abc import Callable, Sequence
from typing import Protocol

from mainspring.when.clock import Clock, Sleeper

log = logging.getLogger("mainspring")

_RETRY_US = 1_000_000


class Step(Protocol):
    """One loop's turn."""

    def step(self, now: int) -> int | None:
        """Do what there is to do at `now`; the instant of the next turn, None for "only when woken". Never raises for long."""


def guarded(step: Step, now: int) -> int | None:
    """A turn that cannot end its loop: an error is logged and the step tried again in a second."""
    try:
        return step.step(now)
    except Exception:
        log.exception("%s failed; it goes on in a second", type(step).__name__.lower())
        return now + _RETRY_US


class Loop(Protocol):
    """What steps know of whoever drives them."""

    def wake(self) -> None:
        """Take a turn soon. From any thread."""

    def watch(self, fd: int) -> None:
        """Take a turn whenever `fd` is readable."""

    def unwatch(self, fd: int) -> None:
        """Stop that."""


class ThreadLoop:
    """A group of steps on a thread of their own. Stop waits; stop twice, or before start, is fine."""

    def __init__(self, name: str, clock: Clock) -> None:
        self._name = name
        self._clock = clock
        self._sleeper: Sleeper = clock.sleeper()
        self._steps: Sequence[Step] = ()
        self._thread: threading.Thread | None = None
        self._stopping = False
        self.wake = self._sleeper.wake
        self.watch = self._sleeper.watch
        self.unwatch = self._sleeper.unwatch

    def start(self, steps: Sequence[Step]) -> None:
        """Begin to take turns."""
        self._steps = steps
        self._thread = threading.Thread(target=self._run, name=f"mainspring-{self._name}", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Take one last turn and end."""
        self._stopping = True
        self._sleeper.wake()
        if self._thread is not None and self._thread is not threading.current_thread():
            self._thread.join()
            self._sleeper.close()
            self._thread = None

    def _run(self) -> None:
        clock, sleeper = self._clock, self._sleeper
        while True:
            last = self._stopping
            now = clock.now()
            wanted = [want for step in self._steps if (want := guarded(step, now)) is not None]
            if last:
                return
            sleeper.sleep(min(wanted) if wanted else None)


class ManualLoop:
    """The same for the manual driver: a wake is a flag."""

    def __init__(self) -> None:
        self.woken = True
        self.steps: Sequence[Step] = ()
        self.wanted: int | None = None

    def start(self, steps: Sequence[Step]) -> None:
        """Hand over the steps."""
        self.steps = steps

    def stop(self) -> None:
        """Take no more turns."""
        self.steps = ()

    def wake(self) -> None:
        """See `Loop`."""
        self.woken = True

    def watch(self, fd: int) -> None:
        """Nothing to watch: every turn looks."""

    def unwatch(self, fd: int) -> None:
        """Nothing to watch."""


class ManualDriver:
    """Runs the steps of all loops in the caller's thread, in a fixed order, until they are quiet."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._loops: list[ManualLoop] = []
        self._lock = threading.RLock()
        self._driving = False

    def loop(self) -> ManualLoop:
        """One more group of steps."""
        loop = ManualLoop()
        self._loops.append(loop)
        return loop

    def settle(self, idle: Callable[[], bool] = lambda: True) -> int | None:
        """Take turns until nobody wants one at this instant; the next instant anybody wants, or None.

        `idle` says whether the pool has nothing left to wait for. A call from inside a task body returns at once.
        """
        with self._lock:
            if self._driving:
                return None
            self._driving = True
            try:
                while True:
                    busy = self._turn()
                    if not busy and idle():
                        wanted = [loop.wanted for loop in self._loops if loop.wanted is not None]
                        return min(wanted) if wanted else None
            finally:
                self._driving = False

    def _turn(self) -> bool:
        now = self._clock.now()
        busy = False
        for loop in self._loops:
            if not (loop.woken or (loop.wanted is not None and loop.wanted <= now)):
                continue
            busy = True
            loop.woken = False
            wants = [want for step in loop.steps if (want := guarded(step, now)) is not None]
            loop.wanted = min(wants) if wants else None
        return busy
