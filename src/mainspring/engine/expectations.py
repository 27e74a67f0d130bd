"""How long a body will take: by the work it is of, from those that ended."""

from mainspring.engine.process_slot import LONG_US
from mainspring.engine.timeline import Held
from mainspring.tasks.state import Kind

_OVERHEAD_US = 10  # of a task beside its body
_SHARE = 0.1  # of the newest in the moving mean


class Expectations:
    """A moving mean for each registered function."""

    def __init__(self) -> None:
        self._means: dict[str, float] = {}

    def of(self, held: Held) -> int:
        """µs; LONG_US for what must have nothing before it, or of which nothing is known."""
        options = held.options
        mean = self._means.get(held.lane.work)
        special = options.timeout is not None or options.delivery == "at-most-once" or held.task.expires_at is not None
        return LONG_US if mean is None or special or held.lane.kind is Kind.PROGRAM else int(mean) + _OVERHEAD_US

    def learn(self, work: str, duration: int) -> None:
        """A body took this long (µs)."""
        mean = self._means.get(work)
        self._means[work] = duration if mean is None else mean + (duration - mean) * _SHARE
