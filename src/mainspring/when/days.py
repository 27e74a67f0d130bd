"""Whole local days: `Days` and `BusinessDays`, to keep, to leave out, or to make a trigger of."""

from bisect import bisect_left
from collections.abc import Iterable, Mapping
from datetime import date, datetime, time, timedelta, tzinfo
from typing import TYPE_CHECKING, ClassVar, Final

from mainspring.errors import InvalidValue
from mainspring.when.combining import MOST_DATES, kept, kept_or_none
from mainspring.when.local_times import named_zone
from mainspring.when.shown import shown

if TYPE_CHECKING:
    from mainspring.when.day_times import DayTimes

WEEKDAYS: Final = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
FULL: Final = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
LAST_DAY: Final = date(9999, 12, 29)
FIRST_DAY: Final = date(1, 1, 3)
_ONE = timedelta(days=1)
_EVERY_DAY = 0b111_1111


class Days:
    """Days of the week, and dates, as whole days of a zone: `Days("sat", "sun", date(2026, 12, 25), "2027-01-01")`.

    Without `tz` they are days in the zone of the trigger they are combined with (`trigger - Days("sun")`,
    `trigger & Days("mon")`). `~days` are all other days. `date in days` answers.
    """

    __slots__ = ("_added", "_inverted", "_mask", "_removed", "_sorted", "_tz")

    _mask: int  # bit 0 is Monday
    _added: frozenset[date]  # always in
    _removed: frozenset[date]  # never in
    _sorted: tuple[date, ...]  # those that decide where the days of the week are all or none
    _inverted: bool
    _tz: str | None

    KIND: ClassVar[str] = "days"

    def __init__(self, *days: str | date, tz: str | tzinfo | None = None) -> None:
        mask, dates = _parse(days)
        if not mask and not dates:
            raise InvalidValue("expected days such as Days('sat', 'sun', '2026-12-25'), got none")
        self._put(mask, dates, frozenset(), None if tz is None else named_zone(tz)[0])

    def _put(
        self, mask: int, added: frozenset[date], removed: frozenset[date], tz: str | None, *, inverted: bool = False
    ) -> None:
        if len(added) + len(removed) > MOST_DATES:
            raise InvalidValue(f"expected at most {MOST_DATES:,} dates, got {len(added) + len(removed):,}")
        values = (
            ("_mask", mask),
            ("_added", added),
            ("_removed", removed - added),
            ("_sorted", tuple(sorted(removed - added if mask == _EVERY_DAY else added))),
            ("_inverted", inverted),
            ("_tz", tz),
        )
        for name, value in values:
            object.__setattr__(self, name, value)

    @property
    def tz(self) -> str | None:
        """The name of the zone; None: that of the trigger they are combined with."""
        return self._tz

    def __contains__(self, day: object) -> bool:
        if isinstance(day, datetime) or not isinstance(day, date):
            raise InvalidValue(f"expected a date, got {shown(day)}")
        return self._has(day) is not self._inverted

    def _has(self, day: date) -> bool:
        return day in self._added or bool(self._mask >> day.weekday() & 1 and day not in self._removed)

    def following(self, day: date, *, inside: bool = True) -> date | None:
        """The first of these days, `day` or later; with `inside=False` the first that is none of them."""
        wanted = inside is not self._inverted
        if self._mask == (0 if wanted else _EVERY_DAY):
            at = bisect_left(self._sorted, day)
            return self._sorted[at] if at < len(self._sorted) else None
        # Every week has one, but where dates take it away: the walk ends a week after the last of those.
        while day <= LAST_DAY:
            if self._has(day) is wanted:
                return day
            day += _ONE
        return None

    def at(
        self,
        times: str | time | Iterable[str | time] = "09:00",
        *,
        nth: int | None = None,
        gap: str = "shift",
        fold: str = "first",
    ) -> "DayTimes":
        """A trigger: at these times on each of these days; with `nth` on the nth of each month's (-1: the last)."""
        from mainspring.when.day_times import DayTimes

        return DayTimes(self, times, nth=nth, gap=gap, fold=fold)

    def in_zone(self, tz: str) -> "Days":
        """The same days of another zone."""
        return self._copy(tz=tz, inverted=self._inverted)

    def __invert__(self) -> "Days":
        return self._copy(tz=self._tz, inverted=not self._inverted)

    def _copy(self, *, tz: str | None, inverted: bool) -> "Days":
        made: Days = object.__new__(type(self))
        made._put(self._mask, self._added, self._removed, tz, inverted=inverted)
        return made

    @property
    def inverted(self) -> bool:
        """Whether these are all days but those named."""
        return self._inverted

    def stored(self) -> dict[str, object]:
        """What is kept, as JSON values."""
        return {
            "kind": self.KIND,
            "weekdays": _names(self._mask),
            "dates": [day.isoformat() for day in sorted(self._added)],
            "without": [day.isoformat() for day in sorted(self._removed)],
            "inverted": self._inverted,
            "tz": self._tz,
        }

    @staticmethod
    def from_stored(stored: Mapping[str, object]) -> "Days":
        """The days of which `stored` was kept."""
        kind = {"days": Days, "business_days": BusinessDays}.get(kept(stored, "kind", str))
        if kind is None:
            raise InvalidValue(f"expected stored days, got {shown(dict(stored))}")
        tz = kept_or_none(stored, "tz", str)
        mask, _ = _parse(kept(stored, "weekdays", list))
        _, added = _parse(kept(stored, "dates", list))
        _, removed = _parse(kept(stored, "without", list))
        made: Days = object.__new__(kind)
        made._put(
            mask, added, removed, None if tz is None else named_zone(tz)[0], inverted=kept(stored, "inverted", bool)
        )
        return made

    def _key(self) -> tuple[object, ...]:
        return self._mask, self._added, self._removed, self._inverted, self._tz

    def __eq__(self, other: object) -> bool:
        return self._key() == other._key() if isinstance(other, Days) and type(other) is type(self) else NotImplemented

    def __hash__(self) -> int:
        return hash((type(self), self._key()))

    def __setattr__(self, name: str, value: object) -> None:
        raise AttributeError(f"{type(self).__name__} is a frozen value; make a new one instead of setting {name!r}")

    def __delattr__(self, name: str) -> None:
        raise AttributeError(f"{type(self).__name__} is a frozen value; {name!r} cannot be deleted")

    def __reduce__(self) -> tuple[object, ...]:
        return Days.from_stored, (self.stored(),)

    def __repr__(self) -> str:
        said = [*map(repr, _names(self._mask)), *(repr(day.isoformat()) for day in sorted(self._added))]
        return f"{'~' * self._inverted}Days({', '.join([*said, *self._zone()])})"

    def _zone(self) -> list[str]:
        return [] if self._tz is None else [f"tz={self._tz!r}"]

    def __str__(self) -> str:
        said = [*_names(self._mask), *_counted(self._added)]
        return ("all days but " if self._inverted else "") + ", ".join(said)


class BusinessDays(Days):
    """Monday to Friday without `holidays`: dates, or whatever gives dates when it is gone through.

    `weekend`: the days of the week without business. `workdays`: dates that are worked all the same, as the Saturdays
    that make up for a long holiday. A calendar that computes holidays on demand must be asked for certain years
    (`holidays.country_holidays("DE", years=range(2026, 2031))`): beyond the dates given there are no holidays.
    """

    __slots__ = ()

    KIND: ClassVar[str] = "business_days"

    def __init__(
        self,
        *,
        holidays: Iterable[str | date] = (),
        weekend: Iterable[str] = ("sat", "sun"),
        workdays: Iterable[str | date] = (),
        tz: str | tzinfo | None = None,
    ) -> None:
        if isinstance(holidays, str) or not isinstance(holidays, Iterable):
            raise InvalidValue(f"expected holidays as a list of dates, got {shown(holidays)}")
        given = list(holidays)
        if not given and isinstance(holidays, Mapping):
            raise InvalidValue(
                "expected dates in holidays, got a mapping without any; a calendar that computes them on demand must "
                "be asked for certain years: country_holidays('DE', years=range(2026, 2031))"
            )
        off, dates_off = _parse([weekend] if isinstance(weekend, str) else weekend)
        (no_names, removed), (no_more, added) = _parse(given), _parse(workdays)
        if dates_off or no_names or no_more:
            raise InvalidValue("expected dates in holidays and workdays, and days of the week in weekend")
        if off == _EVERY_DAY:
            raise InvalidValue("expected a weekend that leaves some days for business, got all seven")
        if removed & added:
            both = min(removed & added).isoformat()
            raise InvalidValue(f"expected each date in holidays or in workdays, got {both} in both")
        self._put(_EVERY_DAY & ~off, added, removed, None if tz is None else named_zone(tz)[0])

    def __repr__(self) -> str:
        said = []
        if self._removed:
            said.append(f"holidays={[day.isoformat() for day in sorted(self._removed)]!r}")
        if self._mask != 0b001_1111:
            said.append(f"weekend={_names(_EVERY_DAY & ~self._mask)!r}")
        if self._added:
            said.append(f"workdays={[day.isoformat() for day in sorted(self._added)]!r}")
        return f"{'~' * self._inverted}BusinessDays({', '.join([*said, *self._zone()])})"

    def __str__(self) -> str:
        holidays = f" (without {', '.join(_counted(self._removed))})" if self._removed else ""
        return ("all days but " if self._inverted else "") + "business days" + holidays


def _parse(days: Iterable[object]) -> tuple[int, frozenset[date]]:
    """The days of the week as bits, and the dates."""
    mask, dates = 0, set()
    for day in days:
        if isinstance(day, date) and not isinstance(day, datetime):
            dates.add(day)
            continue
        word = day.strip().lower() if isinstance(day, str) else ""
        if word in WEEKDAYS or word in FULL:
            mask |= 1 << WEEKDAYS.index(word[:3])
            continue
        try:
            dates.add(date.fromisoformat(word))
        except ValueError:
            raise InvalidValue(
                f"expected a day of the week ({', '.join(WEEKDAYS)}), or a date such as date(2026, 12, 25) or "
                f"'2026-12-25', got {shown(day)}"
            ) from None
    if dates and not (min(dates) >= FIRST_DAY and max(dates) <= LAST_DAY):
        raise InvalidValue(f"expected dates between {FIRST_DAY} and {LAST_DAY}, got {min(dates)} to {max(dates)}")
    return mask, frozenset(dates)


def _names(mask: int) -> list[str]:
    return [name for number, name in enumerate(WEEKDAYS) if mask >> number & 1]


def _counted(dates: frozenset[date]) -> list[str]:
    """The dates, or how many they are and from when to when."""
    if len(dates) <= 3:
        return [day.isoformat() for day in sorted(dates)]
    return [f"{len(dates)} dates from {min(dates).isoformat()} to {max(dates).isoformat()}"]


def resolved(days: Days, trigger: object, zone: str | None) -> Days:
    """The days with a zone: their own, or that of the trigger they are combined with."""
    if days.tz is not None:
        return days
    if zone is None:
        raise InvalidValue(
            f"expected days with their zone, because {shown(trigger)} has not one named zone: "
            f"write Days(..., tz='Asia/Shanghai') or the like"
        )
    return days.in_zone(zone)
