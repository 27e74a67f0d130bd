"""The clocks of the simulated machine: a reading takes a little time, and the wall clock is set now and then."""

from collections.abc import Callable

from mainspring.when.clock import Sleeper

READING_US = 1


class Machine:
    """What the machine's clocks show. All in µs."""

    def __init__(self, start: int) -> None:
        self.boot = 0  # since the start, sleep included
        self.slept = 0
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


class NodeClock:
    """The clocks as one process reads them. `living` raises where the process is no more."""

    def __init__(self, machine: Machine, living: Callable[[], None]) -> None:
        self._machine = machine
        self._living = living

    def now(self) -> int:
        """See `mainspring.when.clock.Clock`."""
        self._read()
        return self._machine.wall

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
        raise AssertionError("the loops of a simulated daemon are driven by hand")

    def _read(self) -> None:
        self._living()
        self._machine.go_on(READING_US)
