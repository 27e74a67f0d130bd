"""How often what goes wrong: a seed draws it, so that some runs have much of one fault and nothing of another."""

from collections.abc import Collection
from dataclasses import dataclass, fields
from random import Random

DAY = 86_400_000_000
HOUR = 3_600_000_000
MINUTE = 60_000_000
SECOND = 1_000_000

# What can come between a call of the store and its caller, in the order in which a call meets it.
AT_A_CALL = ("crash_before", "error_before", "crash_within", "crash_after", "error_after")


@dataclass
class Faults:
    """Of a call of the store, the share to which each happens; of the rest, how often in a day."""

    crash_before: float = 0.0  # the process is killed before the call has done anything
    crash_within: float = 0.0  # ... when it is done, before anybody hears of it
    crash_after: float = 0.0  # ... when it is done, and all others have heard of it
    error_before: float = 0.0  # the store fails and has done nothing
    error_after: float = 0.0  # ... and has done it all the same
    pause: float = 0.0  # the process stands still, before or after, while others go on
    wait: float = 0.0  # this thread of the process does, and its others go on
    slow_store: float = 0.0  # the store takes its time, and all wait
    deaf: float = 0.0  # of the news, what does not arrive
    slow: float = 0.0  # of the turns, those after which the machine has something else to do
    jolts: float = 0.0  # of the looks at the wall clock, those in which it is set
    kills: float = 0.0
    stops: float = 0.0
    starts: float = 0.0
    freezes: float = 0.0  # processes that are stopped (SIGSTOP), wherever they are
    steps: float = 0.0  # of the wall clock
    sleeps: float = 0.0
    steers: float = 0.0  # clients that look, cancel, move, pause, change
    long: float = 0.0  # of the bodies, those that take time
    failing: float = 0.0  # ... and those that raise

    def none_of_it(self, names: Collection[str] | None = None) -> None:
        """From now on all is well; or these do not happen."""
        for field in fields(self):
            if names is None or field.name in names:
                setattr(self, field.name, 0.0)


NAMES = tuple(field.name for field in fields(Faults))

_CALLS = {
    "crash_before": 1 / 400, "crash_within": 1 / 400, "crash_after": 1 / 400, "error_before": 1 / 100,
    "error_after": 1 / 200, "pause": 1 / 150, "wait": 1 / 20, "slow_store": 1 / 200, "deaf": 1 / 10, "slow": 1 / 5,
    "jolts": 1 / 20_000,
}  # fmt: skip
_A_DAY = {"kills": 24.0, "stops": 24.0, "freezes": 48.0, "steps": 24.0, "sleeps": 12.0, "steers": 400.0}


def storm(rng: Random) -> Faults:
    """Hours in which much goes wrong."""
    drawn = {name: most * rng.choice((0, 0, 0.1, 1)) for name, most in {**_CALLS, **_A_DAY}.items()}
    return Faults(**drawn, starts=240.0, long=rng.choice((0, 0.1)), failing=rng.choice((0, 0.1)))


def years(rng: Random) -> Faults:
    """Years in which little does."""
    often = {"kills": 1 / 40, "stops": 1 / 20, "steps": 1 / 10, "sleeps": 1 / 20, "freezes": 1 / 40}
    drawn = {name: most * rng.choice((0, 1, 3)) for name, most in often.items()}
    calls = {name: most * rng.choice((0, 0, 0.02)) for name, most in _CALLS.items() if name not in {"slow", "jolts"}}
    return Faults(**drawn, **calls, starts=3.0, long=0.01, failing=0.01)


def calm(_rng: Random) -> Faults:
    """Bodies that fail and bodies that take time, and nothing else: what goes wrong is one call of the store."""
    return Faults(starts=20_000.0, steers=4_000.0, long=0.2, failing=0.2)
