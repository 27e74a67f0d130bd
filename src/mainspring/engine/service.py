"""Every loop is a step: one turn that returns when it wants the next.

Two drivers run the same steps. `ThreadLoop` gives a group of steps one thread and a sleeper. `ManualDriver` runs all
steps in the caller's thread, until nothing is left to do at this instant: the virtual clock and inline mode.
"""

import logging
import select
import threading
from collections.abc import Callable, Sequence
from typing import Protocol

from mainspring.errors import Misuse
from mainspring.tasks.context import inside
from mainspring.when.clock import Clock, Sleeper
from mainspring.when.slices import PROMPT_NS, ask_for_slice, short_switches

log = logging.getLogger("mainspring")

_RETRY_US = 1_000_000
MOST_TURNS = 100_000  # at one instant, by hand; more is work without an end


class Step(Protocol):
    """One loop's turn."""

    def step(self, now: int) -> int | None:
        """Do what there is to do at `now`; the instant of the next turn, None for "only when woken". Never raises for
        long.
        """


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

    def __init__(self, name: str, clock: Clock, *, prompt: bool = False) -> None:
        """`prompt`: it sleeps nearly always, and is to go first when it wakes."""
        self._name = name
        self._prompt = prompt
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

    def stop(self, patience: float | None = None) -> None:
        """Take one last turn and end. Who does not end within `patience` (seconds) is left alone."""
        self._stopping = True
        self._sleeper.wake()
        if self._thread is not None and self._thread is not threading.current_thread():
            self._thread.join(patience)
            if not self._thread.is_alive():
                self._sleeper.close()
                self._thread = None

    def _run(self) -> None:
        if not self._prompt:
            self._take_turns()
            return
        ask_for_slice(PROMPT_NS)
        with short_switches():
            self._take_turns()

    def _take_turns(self) -> None:
        clock, sleeper = self._clock, self._sleeper
        while True:
            last = self._stopping
            now = clock.now()
            wanted = [want for step in self._steps if (want := guarded(step, now)) is not None]
            if last:
                return
            sleeper.sleep(min(wanted) if wanted else None)


class ManualLoop:
    """The same for the manual driver: a wake is a flag, and watched descriptors are looked at before each turn."""

    def __init__(self) -> None:
        self.woken = True
        self.steps: Sequence[Step] = ()
        self.wanted: int | None = None
        self._watched: set[int] = set()

    def start(self, steps: Sequence[Step]) -> None:
        """Hand over the steps."""
        self.steps = steps

    def stop(self) -> None:
        """Take no more turns."""
        self.steps = ()
        self.wanted = None

    def wake(self) -> None:
        """See `Loop`."""
        self.woken = True

    def watch(self, fd: int) -> None:
        """See `Loop`."""
        self._watched.add(fd)

    def unwatch(self, fd: int) -> None:
        """See `Loop`."""
        self._watched.discard(fd)

    def turn(self, now: int) -> bool:
        """Take a turn if there is a reason for one."""
        if not (self.woken or (self.wanted is not None and self.wanted <= now) or self._news()):
            return False
        self.woken = False
        wants = [want for step in self.steps if (want := guarded(step, now)) is not None]
        self.wanted = min(wants) if wants else None
        return True

    def _news(self) -> bool:
        return any(readable(fd) for fd in tuple(self._watched)) if self.steps else False


def readable(fd: int) -> bool:
    """Is there something to read, now?"""
    if hasattr(select, "poll"):
        poll = select.poll()  # unlike `select`, for descriptors of any number
        poll.register(fd, select.POLLIN)
        return bool(poll.poll(0))
    return bool(select.select([fd], (), (), 0)[0])


class ManualDriver:
    """Runs the steps of all loops in the caller's thread, in a fixed order, until they are quiet."""

    by_hand = True  # time goes from instant to instant, as its owner says; False: it goes on by itself
    early = 0  # a clock that is moved by hand does not go on while a worker waits for an instant

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._loops: list[ManualLoop] = []
        self._lock = threading.Lock()
        self._thread: int | None = None  # who takes a turn at this moment
        self.next_start: Callable[[], int | None] = lambda: None  # the earliest instant at which a task is to start

    def loop(self) -> ManualLoop:
        """One more group of steps."""
        loop = ManualLoop()
        self._loops.append(loop)
        return loop

    def inside(self) -> bool:
        """Is the caller part of a turn that goes on: a body (a coroutine's has a thread of its own), or an observer?"""
        return self._thread is not None and (self._thread == threading.get_ident() or inside())

    def settle(self) -> bool:
        """Take turns until nobody wants one at this instant; whether there were any.

        A call from inside a body returns at once: the turn that it is part of goes on when the body has ended.
        """
        if self.inside():
            return False
        with self._lock:
            self._thread = threading.get_ident()
            try:
                return self._take_turns() > 0
            finally:
                self._thread = None

    def _take_turns(self) -> int:
        turns = 0
        while sum(loop.turn(self._clock.now()) for loop in self._loops):
            turns += 1
            if turns == MOST_TURNS:
                raise Misuse(
                    f"{turns:,} turns were taken and there is still work at this very instant: does a task add itself "
                    f"anew without after=? Time stands still until everything that is due has run"
                )
        return turns

    @property
    def wanted(self) -> int | None:
        """The earliest instant at which a turn is wanted."""
        return min((loop.wanted for loop in self._loops if loop.wanted is not None), default=None)

    def wake(self) -> None:
        """The clock was set: instants that were wanted mean nothing any more, every loop looks again."""
        for loop in self._loops:
            loop.wake()
