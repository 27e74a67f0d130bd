"""The conformance suite: what every store must do, one function for each promise of `mainspring.store.protocol`.

Free of any test framework. Who writes a store writes a `Harness` for it and runs every case, for instance:

    @pytest.mark.parametrize("case", CASES, ids=name_of)
    def test_my_store(case):
        run(case, MyHarness())

The cases read as the specification: `adding`, `arriving`, `bounding`, `reserving`, `recording`, `steering`, `looking`,
`lateness`, `nodes`, `takeover`, `leases`, `standings`, `watching`; each begins with a fresh store. They sleep nowhere
and measure no time.
"""

from collections.abc import Callable
from types import ModuleType

from mainspring.testing.conformance import (
    adding,
    arriving,
    bounding,
    lateness,
    leases,
    looking,
    nodes,
    recording,
    reserving,
    standings,
    steering,
    takeover,
    watching,
)
from mainspring.testing.conformance.trial import Harness, Held, Trial

__all__ = ["CASES", "Case", "Harness", "Held", "Trial", "name_of", "run"]

Case = Callable[[Trial], None]


def _cases_of(module: ModuleType) -> list[Case]:
    """The public functions that a module itself defines: each is a case."""
    own = (value for name, value in vars(module).items() if not name.startswith("_"))
    return [value for value in own if callable(value) and getattr(value, "__module__", "") == module.__name__]


_TOPICS = (
    adding, arriving, bounding, reserving, recording, steering, looking, lateness, nodes, takeover, leases, standings,
    watching,
)  # fmt: skip
CASES: tuple[Case, ...] = tuple(case for topic in _TOPICS for case in _cases_of(topic))


def name_of(case: Case) -> str:
    """A case's name: `topic.promise`."""
    return f"{case.__module__.rpartition('.')[2]}.{case.__name__}"


def run(case: Case, harness: Harness) -> None:
    """Run one case on a fresh store of `harness`; raises what the case raised."""
    trial = Trial(harness)
    try:
        case(trial)
    finally:
        trial.close()
