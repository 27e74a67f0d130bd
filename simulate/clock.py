"""The clocks of the simulated machine: a reading takes a little time, and the wall clock is set now and then."""

from collections.abc import Callable
from typing import Protocol

from mainspring.when.clock import Sleeper


class Machine:
    """What the machine's clocks show, and how long a look at them takes. All in µs."""

    def __init__(self, start: int, reading: int) -> None:
        self.boot = 0  # since the start, sleep included
        self.slept = 0
        self.reading = reading
        self._ahead = start  # the wall clock, of the boot-time clock

    @property
    def wall(self) -> int:
        """The wall clock, without letting time pass."""
        return self._ahead + self.boot

    def step(self, by: int) -> None:
        """Set the wall clock."""
        self._ahead += by

    def sleep(self, length: int) -> None:
        """The machine sleeps."""
        self.boot += length
        self.slept += length

    def go_on(self, length: int) -> None:
        """Time passes."""
        self.boot += length


class Reader(Protocol):
    """Who reads a clock."""

    def living(self) -> None:
        """Raises where it is no more."""

    def looks(self) -> None:
        """It is about to read the wall clock, which may be set in this very moment."""


class NodeClock:
    """The clocks as one process reads them. `off`: how much its wall clock is ahead of the machine's."""

    def __init__(self, machine: Machine, reader: Reader, off: int = 0) -> None:
        self.off = off
        self._machine = machine
        self._looks: Callable[[], None] = reader.looks
        self._living: Callable[[], None] = reader.living

    @property
    def wall(self) -> int:
        """The wall clock, without letting time pass."""
        return self._machine.wall + self.off

    def now(self) -> int:
        """See `mainspring.when.clock.Clock`."""
        self._read()
        self._looks()
        return self._machine.wall + self.off

    def monotonic(self) -> int:
        """See `mainspring.when.clock.Clock`."""
        self._read()
        return self._machine.boot - self._machine.slept

    def boottime(self) -> int:
        """See `mainspring.when.clock.Clock`."""
        self._read()
        return self._machine.boot

    def sleeper(self) -> Sleeper:
        """No thread sleeps here."""
        raise AssertionError("the world takes the turns of a simulated daemon")

    def _read(self) -> None:
        self._living()
        self._machine.boot += self._machine.reading
