"""`Except`: a trigger without the instants of another, or without those on certain days."""

from collections.abc import Mapping
from datetime import date, datetime, tzinfo
from typing import Final

from mainspring.when.combining import Wrapping, check_size, in_brackets, kept, never, taken
from mainspring.when.days import LAST_DAY, Days, resolved
from mainspring.when.dst import zone_name
from mainspring.when.instants import MAX_INSTANT, MIN_INSTANT, load_zone, local_choices, to_datetime
from mainspring.when.local_times import PROBE_US
from mainspring.when.shown import shown
from mainspring.when.triggers import Trigger, decode_trigger, encode_trigger

# A search ends after so many stretches of days that are left out, 27 years at the least, should each be one day.
_STRETCHES = 10_000
_IN_A_ROW = 100_000  # ... or after so many instants in a row that another trigger takes away
_AT_FIRST = 5_000  # of either, where nothing has been found yet: then nothing is left, and making it fails


class Except(Wrapping):
    """What `a - b` and `a & days` make. `without`: a trigger, whose instants are left out, or days.

    Refused when nothing is left. After 100,000 occurrences in a row that a trigger takes away, or 10,000 stretches of
    days, there is no next one.
    """

    __slots__ = ("_without", "_zone")

    _without: Trigger | Days
    _zone: tzinfo | None  # of the days

    KIND: Final = "except"
    infix: Final = True

    def __init__(self, of: Trigger, without: Trigger | Days) -> None:
        taken(of)
        zone: tzinfo | None = None
        if isinstance(without, Days):
            name: object = getattr(of, "tz", None)
            without = resolved(without, of, name if isinstance(name, str) else _own_zone(of))
            assert without.tz is not None
            zone = load_zone(without.tz)
        else:
            taken(without)
        self._set(_of=of, _without=without, _zone=zone)
        check_size(self)
        # Days of the past are accepted, too: a stored rule must be readable when it is over.
        probes = (PROBE_US, 0) if of.next_us(PROBE_US) is not None else (MIN_INSTANT,)
        if all(self._first(probe, _AT_FIRST, _AT_FIRST) is None for probe in probes):
            never(shown(self), "all that it has is left out; leave out less")

    @property
    def parts(self) -> tuple[Trigger, ...]:
        """The triggers that it is made of."""
        return (self._of,) if isinstance(self._without, Days) else (self._of, self._without)

    def next_us(self, after: int) -> int | None:
        """`next` in microseconds UTC."""
        return self._first(after, _STRETCHES, _IN_A_ROW)

    def _first(self, after: int, stretches: int, in_a_row: int) -> int | None:
        if isinstance(self._without, Days):
            return self._first_by_day(after, self._without, stretches)
        for _ in range(in_a_row):
            at = self._of.next_us(after)
            if at is None or self._without.next_us(at - 1) != at:
                return at
            after = at
        return None

    def _first_by_day(self, after: int, days: Days, stretches: int) -> int | None:
        assert self._zone is not None
        for _ in range(stretches):
            at = self._of.next_us(after)
            if at is None:
                return None
            day = to_datetime(at, self._zone).date()
            if day > LAST_DAY:
                return None
            free = days.following(day, inside=False)
            if free == day:
                return at
            if free is None:
                return None
            # Where the day's first hour is skipped this is somewhat before the day: `at` keeps the search going on.
            after = max(at, _begins(free, self._zone) - 1)
        return None

    def stored(self) -> dict[str, object]:
        """What is kept of it, as JSON values."""
        days = isinstance(self._without, Days)
        return {
            "of": encode_trigger(self._of),
            "days": self._without.stored() if isinstance(self._without, Days) else None,
            "without": None if days else encode_trigger(self._without),  # type: ignore[arg-type]  # it is a trigger
        }

    @classmethod
    def from_stored(cls, stored: Mapping[str, object]) -> "Except":
        """The trigger of which `stored` was kept."""
        of = decode_trigger(kept(stored, "of", dict))
        if stored.get("days") is not None:
            return cls(of, Days.from_stored(kept(stored, "days", dict)))
        return cls(of, decode_trigger(kept(stored, "without", dict)))

    def _key(self) -> tuple[object, ...]:
        return self._of, self._without

    def __repr__(self) -> str:
        if isinstance(self._without, Days) and self._without.inverted:
            return f"{in_brackets(self._of)} & {~self._without!r}"
        return f"{in_brackets(self._of)} - {in_brackets(self._without)}"

    def __str__(self) -> str:
        if not isinstance(self._without, Days):
            return f"{self._of}, except: {self._without}"
        if self._without.inverted:
            return f"{self._of}, only on {~self._without} ({self._without.tz})"
        return f"{self._of}, not on {self._without} ({self._without.tz})"


def _begins(day: date, zone: tzinfo) -> int:
    """An instant no later than the first one of a local day, and no earlier by more than a change of the clocks."""
    if day >= LAST_DAY:
        return MAX_INSTANT
    return local_choices(datetime(day.year, day.month, day.day, tzinfo=zone))[0]


def _own_zone(trigger: Trigger) -> str | None:
    """The zone in which a trigger answers, where it has a name that others find; UTC says nothing about a trigger."""
    following = trigger.next(to_datetime(PROBE_US))
    name = None if following is None or following.tzinfo is None else zone_name(following.tzinfo)
    return None if name == "UTC" else name
