"""`Dates`: a list of instants."""

from bisect import bisect_right
from collections.abc import Iterable, Mapping
from datetime import datetime, tzinfo
from typing import Final

from mainspring.errors import InvalidValue
from mainspring.when.combining import MOST_DATES, Value, kept
from mainspring.when.instants import MAX_INSTANT, MIN_INSTANT, isoformat, parse_instant
from mainspring.when.shown import shown


class Dates(Value):
    """These instants, each once, in order of time: aware datetimes, ISO 8601 with an offset, or epoch seconds.

    `tz`: the zone in which naive ones are meant.
    """

    __slots__ = ("_instants",)

    _instants: tuple[int, ...]  # µs UTC, ascending

    KIND: Final = "dates"
    begins: Final = True

    def __init__(self, instants: Iterable[datetime | str | float], *, tz: str | tzinfo | None = None) -> None:
        came: object = instants
        if isinstance(came, str) or not isinstance(came, Iterable):
            raise InvalidValue(f"expected a list of instants, got {shown(instants)}: put it into a list, Dates([...])")
        self._put(sorted({parse_instant(instant, tz=tz) for instant in instants}))

    def _put(self, instants: list[int]) -> None:
        if not 1 <= len(instants) <= MOST_DATES:
            raise InvalidValue(f"expected between 1 and {MOST_DATES:,} instants, got {len(instants):,}")
        self._set(_instants=tuple(instants))

    def next_us(self, after: int) -> int | None:
        """`next` in microseconds UTC."""
        at = bisect_right(self._instants, after)
        return self._instants[at] if at < len(self._instants) else None

    def count_us(self, after: int, until: int) -> int:
        """How many instants there are after `after` and up to `until`, in microseconds UTC."""
        return max(0, bisect_right(self._instants, until) - bisect_right(self._instants, after))

    def stored(self) -> dict[str, object]:
        """What is kept of it, as JSON values: `{"instants": [µs, ...]}`."""
        return {"instants": list(self._instants)}

    @classmethod
    def from_stored(cls, stored: Mapping[str, object]) -> "Dates":
        """The trigger of which `stored` was kept."""
        instants = kept(stored, "instants", list)
        if not all(type(instant) is int and MIN_INSTANT <= instant <= MAX_INSTANT for instant in instants):
            raise InvalidValue(f"expected the stored form of Dates (instants in µs), got {shown(dict(stored))}")
        made = object.__new__(cls)
        made._put(sorted(set(instants)))
        return made

    def _key(self) -> tuple[object, ...]:
        return self._instants

    def __repr__(self) -> str:
        return f"Dates({[isoformat(instant) for instant in self._instants]!r})"

    def __str__(self) -> str:
        if len(self._instants) <= 3:
            return ", ".join(map(isoformat, self._instants))
        return f"{len(self._instants)} instants from {isoformat(self._instants[0])} to {isoformat(self._instants[-1])}"
