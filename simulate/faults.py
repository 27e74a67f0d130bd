"""How often what goes wrong: a seed draws it, so that some runs have much of one fault and nothing of another."""

from dataclasses import dataclass, fields
from random import Random

DAY = 86_400_000_000
HOUR = 3_600_000_000
MINUTE = 60_000_000
SECOND = 1_000_000


@dataclass
class Faults:
    """Of a call of the store, the share to which each happens; of the rest, how often in a day."""

    crash_before: float = 0.0  # the process is killed before the call has done anything
    crash_after: float = 0.0  # ... when it is done, before anybody knows
    error_before: float = 0.0  # the store fails and has done nothing
    error_after: float = 0.0  # ... and has done it all the same
    pause: float = 0.0  # the process stands still, before or after, while others go on
    mute: float = 0.0  # the process is killed when it is done, before anybody hears of it
    slow_store: float = 0.0  # the store takes its time
    deaf: float = 0.0  # of the news, what does not arrive
    slow: float = 0.0  # of the turns, those after which the machine has something else to do
    kills: float = 0.0
    stops: float = 0.0
    starts: float = 0.0
    steps: float = 0.0  # of the wall clock
    sleeps: float = 0.0
    steers: float = 0.0  # clients that cancel, move, pause, change
    long: float = 0.0  # of the bodies, those that take time
    failing: float = 0.0  # ... and those that raise

    def none_of_it(self) -> None:
        """From now on all is well."""
        for field in fields(self):
            setattr(self, field.name, 0.0)


_CALLS = {
    "crash_before": 1 / 400, "crash_after": 1 / 400, "error_before": 1 / 100, "error_after": 1 / 200, "pause": 1 / 150,
    "mute": 1 / 400, "slow_store": 1 / 200, "deaf": 1 / 50, "slow": 1 / 5,
}  # fmt: skip
_A_DAY = {"kills": 6.0, "stops": 6.0, "steps": 4.0, "sleeps": 2.0, "steers": 100.0}


def storm(rng: Random) -> Faults:
    """Days in which much goes wrong."""
    drawn = {name: most * rng.choice((0, 0, 0.1, 1)) for name, most in {**_CALLS, **_A_DAY}.items()}
    return Faults(**drawn, starts=60.0, long=rng.choice((0, 0.1)), failing=rng.choice((0, 0.1)))


def years(rng: Random) -> Faults:
    """Years in which little does."""
    often = {"kills": 1 / 40, "stops": 1 / 20, "steps": 1 / 10, "sleeps": 1 / 20}
    drawn = {name: most * rng.choice((0, 1, 3)) for name, most in often.items()}
    calls = {name: most * rng.choice((0, 0, 0.02)) for name, most in _CALLS.items() if name != "slow"}
    return Faults(**drawn, **calls, starts=3.0, long=0.01, failing=0.01)
