"""A clock that only a test moves.

Daemons made with it run their tasks in the thread that moves the clock, one after the other, in a fixed order: a year
passes as fast as its tasks run, and every run is the same. Time stands still while a task runs.
"""

import threading
import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import Protocol

from mainspring.adding import Duration, Moment
from mainspring.errors import InvalidValue, Misuse
from mainspring.testing.firing import Firing, Hearing
from mainspring.when.clock import SelectSleeper, Sleeper
from mainspring.when.durations import parse_duration
from mainspring.when.instants import parse_instant, to_datetime


class Driver(Protocol):
    """What takes a daemon's turns: `mainspring.engine.service.ManualDriver`."""

    @property
    def wanted(self) -> int | None:
        """The earliest instant at which a turn is wanted."""

    @property
    def next_start(self) -> Callable[[], int | None]:
        """Tells the earliest instant at which a task is to start."""

    def settle(self) -> bool:
        """Take turns until nobody wants one at this instant; whether there were any."""

    def inside(self) -> bool:
        """Is the caller part of a turn that goes on?"""

    def wake(self) -> None:
        """Have every loop look again."""


class VirtualClock:
    """Stands at `start` (aware datetime, ISO 8601 with an offset, or epoch seconds) until it is moved.

    Give it to one daemon or to several (`Daemon("memory:", clock=VirtualClock("2030-01-01T00:00:00Z"))`); start them.
    Move it from the test, never from inside a task: that is a `Misuse`. In a coroutine move it by `clock.aio`, and the
    event loop goes on meanwhile.

    `raising=True`, here or for one move: time stops at the instant at which a task ends as `failed`, and the move
    raises its `TaskFailed`, with the traceback. A failed attempt that is retried is no failed task.
    """

    def __init__(self, start: Moment, *, raising: bool = False) -> None:
        self._now = self._start = parse_instant(start)
        self._set = 0  # how far `set` and `step` moved the wall clock, which the monotonic one does not notice
        self._drivers: list[Driver] = []
        self._sleepers: weakref.WeakSet[_VirtualSleeper] = weakref.WeakSet()
        self._followers: list[Callable[[datetime], object]] = []
        self._moving = threading.Lock()
        self._raising = raising
        self._hearing = Hearing(self)

    # ── moving ─────────────────────────────────────────────────────────────────────────────────────────────
    def advance(self, duration: Duration, *, raising: bool | None = None) -> datetime:
        """Let `duration` pass (seconds, a timedelta, a text such as "1h30m"): what falls due runs, each at its instant.

        Returns the new instant, exactly `duration` after the old one.
        """
        length = parse_duration(duration, allow_negative=True)
        if length < 0:
            raise InvalidValue(
                f"advance() expects a duration from nothing upwards, got {duration!r}; step() sets the clock back"
            )
        with self._move(raising):
            self._pass_until(self._now + length)
            return self.time

    def advance_to(self, moment: Moment, *, raising: bool | None = None) -> datetime:
        """Let time pass until `moment`, which must not be past."""
        goal = parse_instant(moment)
        with self._move(raising):
            if goal < self._now:
                raise InvalidValue(
                    f"it is {self.time.isoformat()} already, after {moment!r}; set() sets the clock back"
                )
            self._pass_until(goal)
            return self.time

    def run_to_next(self, *, raising: bool | None = None) -> Firing | None:
        """Let time pass until the next task or occurrence of a schedule is due, and run it; that instant, and in its
        `.tasks` what fired.

        None, and no time passes, when nothing is planned. Listeners run on the way but are nothing to stop at.
        """
        with self._move(raising):
            self._settle()
            starts = [at for driver in self._drivers if (at := driver.next_start()) is not None]
            if not starts:
                return None
            with self._hearing.all() as events:
                self._pass_until(max(min(starts), self._now))
                return Firing.of(self.time, events)

    def set(self, moment: Moment) -> None:
        """Set the clock, as an administrator would: the wall clock jumps, and no time passes."""
        goal = parse_instant(moment)
        with self._move():
            self._jump(goal)

    def step(self, duration: Duration) -> None:
        """Set the clock forward, or with a negative duration back."""
        length = parse_duration(duration, allow_negative=True)
        with self._move():
            self._jump(self._now + length)

    @property
    def aio(self) -> "VirtualClockAio":
        """`advance`, `advance_to` and `run_to_next` for coroutines."""
        return VirtualClockAio(self)

    # ── reading ────────────────────────────────────────────────────────────────────────────────────────────
    @property
    def time(self) -> datetime:
        """The instant at which it stands, aware, in UTC."""
        return to_datetime(self._now)

    def now(self) -> int:
        """See `mainspring.when.clock.Clock`."""
        return self._now

    def monotonic(self) -> int:
        """See `mainspring.when.clock.Clock`."""
        return self._now - self._start - self._set

    def boottime(self) -> int:
        """See `mainspring.when.clock.Clock`: its machine never sleeps."""
        return self.monotonic()

    def sleeper(self) -> Sleeper:
        """A sleeper for a thread of one's own: it sleeps until the clock is moved past its instant."""
        sleeper = _VirtualSleeper(self)
        self._sleepers.add(sleeper)
        return sleeper

    def on_move(self, follow: Callable[[datetime], object]) -> None:
        """Call `follow` now, and at each instant to which this clock goes, before anything runs there.

        For what replaces the machine's own clock: with the `move_to` of time-machine or freezegun, `datetime.now()` in
        the body of a task is the instant at which it runs.
        """
        self._followers.append(follow)
        follow(self.time)

    # ── daemons ────────────────────────────────────────────────────────────────────────────────────────────
    def attach(self, driver: Driver) -> None:
        """A daemon that was started is moved along from now on; `Daemon.start()` calls this."""
        self._drivers.append(driver)
        if self._raising:
            self._hearing.keep_failures()

    def detach(self, driver: Driver) -> None:
        """A daemon that was stopped is not; `Daemon.stop()` calls this."""
        if driver in self._drivers:
            self._drivers.remove(driver)

    # ── how it moves ───────────────────────────────────────────────────────────────────────────────────────
    def _pass_until(self, goal: int) -> None:
        """Settle, go to the next instant that anybody wants, settle again."""
        while True:
            self._settle()
            self._hearing.raise_failures()
            wanted = [at for driver in self._drivers if (at := driver.wanted) is not None and at <= goal]
            if not wanted:
                break
            self._go(max(min(wanted), self._now))
        if self._now < goal:
            self._go(goal)

    def _settle(self) -> None:
        drivers = tuple(self._drivers)
        if len(drivers) == 1:
            drivers[0].settle()
            return
        # one daemon's task may add work for another that was quiet already
        while sum(driver.settle() for driver in drivers):
            pass

    def _go(self, instant: int) -> None:
        self._now = instant
        for follow in self._followers:
            follow(self.time)
        for sleeper in tuple(self._sleepers):
            sleeper.wake()

    def _jump(self, goal: int) -> None:
        self._settle()
        self._set += goal - self._now
        self._go(goal)
        for driver in self._drivers:
            driver.wake()
        self._settle()
        self._hearing.raise_failures()

    @contextmanager
    def _move(self, raising: bool | None = None) -> Iterator[None]:
        if any(driver.inside() for driver in self._drivers):
            raise Misuse(
                "a task tried to move the virtual clock that it runs by; time stands still while a task runs: move the "
                "clock in the test, and let the task add another one with after= if it wants to go on later"
            )
        with self._moving, self._hearing.failures(raising=raising, always=self._raising):
            yield

    def __repr__(self) -> str:
        return f"<VirtualClock {self.time.isoformat()}>"


class VirtualClockAio:
    """`clock.aio`: the moves of a clock, awaited. Tasks run on another thread, so that the loop goes on and may serve
    them.
    """

    def __init__(self, clock: VirtualClock) -> None:
        self._clock = clock

    async def advance(self, duration: Duration, *, raising: bool | None = None) -> datetime:
        """See `VirtualClock.advance`."""
        import asyncio

        return await asyncio.to_thread(self._clock.advance, duration, raising=raising)

    async def advance_to(self, moment: Moment, *, raising: bool | None = None) -> datetime:
        """See `VirtualClock.advance_to`."""
        import asyncio

        return await asyncio.to_thread(self._clock.advance_to, moment, raising=raising)

    async def run_to_next(self, *, raising: bool | None = None) -> Firing | None:
        """See `VirtualClock.run_to_next`."""
        import asyncio

        return await asyncio.to_thread(self._clock.run_to_next, raising=raising)


class _VirtualSleeper(SelectSleeper):
    """Woken whenever the clock is moved; then its thread looks again."""

    def __init__(self, clock: VirtualClock) -> None:
        super().__init__()
        self._clock = clock

    def sleep(self, until: int | None) -> None:
        """See `Sleeper`; virtual time does not pass by itself, so that there is no time-out."""
        if until is None or until > self._clock.now():
            self._wait(None)
