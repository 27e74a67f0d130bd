"""`DayTimes`: at times of day on certain days, or on the nth of each month's: `BusinessDays().at("17:00", nth=-1)`."""

from collections.abc import Iterable, Mapping
from datetime import date, time, timedelta
from typing import Final

from mainspring.errors import InvalidValue
from mainspring.when.combining import kept, kept_or_none, never
from mainspring.when.days import FIRST_DAY, LAST_DAY, Days
from mainspring.when.dst import DAY
from mainspring.when.instants import EPOCH
from mainspring.when.local_times import LocalRule, parse_times, shown_time, shown_times, zone_settings
from mainspring.when.shown import shown

_EPOCH_DAY = EPOCH.toordinal()
_MONTHS = 4_800  # the calendar repeats after 400 years: what has not come by then never will
_NAMES = {1: "first", 2: "second", 3: "third", -1: "last", -2: "last but one"}


class DayTimes(LocalRule):
    """Made by `Days.at`: `times` on each of the days, or on the `nth` of each month's (1: the first, -1: the last).

    Days without a zone are days of UTC.
    """

    __slots__ = ("_at", "_days", "_nth")

    _days: Days
    _at: tuple[int, ...]  # seconds of the day, ascending
    _nth: int | None

    KIND: Final = "day_times"

    def __init__(
        self,
        days: Days,
        times: str | time | Iterable[str | time],
        *,
        nth: int | None = None,
        gap: str = "shift",
        fold: str = "first",
    ) -> None:
        came: object = nth
        if came is not None and (isinstance(came, bool) or not isinstance(came, int) or not 1 <= abs(came) <= 31):
            raise InvalidValue(f"expected nth from 1 to 31, or -1 (the last) to -31, got {shown(nth)}")
        days = days if days.tz is not None else days.in_zone("UTC")
        assert days.tz is not None
        self._set_zone(days.tz, gap, fold)
        self._set(_days=days, _at=parse_times(times), _nth=nth)
        if not self._happens():
            never(repr(self), "give other days, another nth, or gap='shift'")

    def _local(self, second: int) -> int | None:
        number, rest = divmod(second, DAY)
        day = max(date.fromordinal(max(number + _EPOCH_DAY, 1)), FIRST_DAY)
        found = self._following(day)
        if found is not None and found.toordinal() - _EPOCH_DAY == number:
            later = next((at for at in self._at if at >= rest), None)
            if later is not None:
                return number * DAY + later
            found = self._following(day + timedelta(days=1))
        return None if found is None else (found.toordinal() - _EPOCH_DAY) * DAY + self._at[0]

    def _following(self, day: date) -> date | None:
        """The first day of the rule, `day` or later."""
        if self._nth is None:
            return self._days.following(day) if day <= LAST_DAY else None
        month: date | None = day.replace(day=1)
        for _ in range(_MONTHS):
            if month is None or month > LAST_DAY:
                return None
            fits = self._of_month(month)
            if len(fits) >= abs(self._nth):
                found = fits[self._nth - 1 if self._nth > 0 else self._nth]
                if found >= day:
                    return found
            following = (month + timedelta(days=31)).replace(day=1) if month.year < 9999 else LAST_DAY
            month = self._days.following(following)
            month = None if month is None else month.replace(day=1)
        return None

    def _of_month(self, first: date) -> list[date]:
        """These days of a month."""
        found: list[date] = []
        day = self._days.following(max(first, FIRST_DAY))
        while day is not None and (day.year, day.month) == (first.year, first.month):
            found.append(day)
            day = self._days.following(day + timedelta(days=1))
        return found

    def stored(self) -> dict[str, object]:
        """What is kept of it, as JSON values."""
        return {
            "days": self._days.stored(),
            "at": [shown_time(second) for second in self._at],
            "nth": self._nth,
            "gap": self.gap,
            "fold": self.fold,
        }

    @classmethod
    def from_stored(cls, stored: Mapping[str, object]) -> "DayTimes":
        """The trigger of which `stored` was kept."""
        days = Days.from_stored(kept(stored, "days", dict))
        nth, gap, fold = kept_or_none(stored, "nth", int), kept(stored, "gap", str), kept(stored, "fold", str)
        return cls(days, kept(stored, "at", list), nth=nth, gap=gap, fold=fold)

    def _key(self) -> tuple[object, ...]:
        return self._days, self._at, self._nth, self.gap, self.fold

    def __repr__(self) -> str:
        nth = "" if self._nth is None else f", nth={self._nth}"
        days = f"({self._days!r})" if self._days.inverted else repr(self._days)
        return f"{days}.at({shown_times(self._at)}{nth}{zone_settings('UTC', self.gap, self.fold)})"

    def __str__(self) -> str:
        times = ", ".join(map(shown_time, self._at))
        which = "on" if self._nth is None else f"on the {_nth_word(self._nth)} of each month of"
        return f"at {times} {which} {self._days} ({self._tz})"


def _nth_word(nth: int) -> str:
    return _NAMES.get(nth) or (f"{nth}th" if nth > 0 else f"{-nth}th from the end")
