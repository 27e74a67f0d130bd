"""`Calendar`: every so many years, months, weeks and days, counted from a date and therefore never drifting."""

from calendar import monthrange
from collections.abc import Iterable, Mapping
from datetime import date, datetime, time, tzinfo
from typing import Final

from mainspring.errors import InvalidValue
from mainspring.when.combining import kept
from mainspring.when.dst import DAY
from mainspring.when.instants import EPOCH
from mainspring.when.local_times import LocalRule, parse_times, shown_time, shown_times
from mainspring.when.shown import shown

_EPOCH_DAY = EPOCH.toordinal()
_LAST_YEAR = 9999
_MOST_MONTHS = 12_000  # a thousand years; what is longer is a slip of the pen
_ENDS: Final = ("last", "skip")


class Calendar(LocalRule):
    """`start`, and then every so many years, months, weeks and days, at the local times `at`.

    Each occurrence is counted from `start` itself: 31 January and a month is 28 February, and then 31 March. In a
    month without the day of `start`, `end_of_month="last"` takes its last day, and `"skip"` none. Of months and
    days in one interval the months are counted first.
    """

    __slots__ = ("_at", "_days", "_end_of_month", "_months", "_start")

    _start: date
    _months: int
    _days: int
    _at: tuple[int, ...]  # seconds of the day, ascending
    _end_of_month: str

    KIND: Final = "calendar"
    begins: Final = True

    def __init__(
        self,
        *,
        start: date | str,
        years: int = 0,
        months: int = 0,
        weeks: int = 0,
        days: int = 0,
        at: str | time | Iterable[str | time] = "09:00",
        tz: str | tzinfo = "UTC",
        end_of_month: str = "last",
        gap: str = "shift",
        fold: str = "first",
    ) -> None:
        for name, value in (("years", years), ("months", months), ("weeks", weeks), ("days", days)):
            came: object = value
            if isinstance(came, bool) or not isinstance(came, int) or came < 0:
                raise InvalidValue(f"expected {name} as a whole number, 0 or more, got {shown(value)}")
        all_months, all_days = years * 12 + months, weeks * 7 + days
        if not all_months and not all_days:
            raise InvalidValue("expected an interval, as in Calendar(months=2, start='2026-01-31'), got none")
        if all_months > _MOST_MONTHS or all_days > _MOST_MONTHS * 31:
            raise InvalidValue(f"expected an interval of at most 1,000 years, got {all_months} months, {all_days} days")
        if end_of_month not in _ENDS:
            raise InvalidValue(f"expected end_of_month='last' or 'skip', got {shown(end_of_month)}")
        self._set_zone(tz, gap, fold)
        self._set(
            _start=_date(start), _months=all_months, _days=all_days, _at=parse_times(at), _end_of_month=end_of_month
        )

    @property
    def start(self) -> date:
        """The first date."""
        return self._start

    def _local(self, second: int) -> int | None:
        day, rest = divmod(second, DAY)
        for number in range(self._number_before(day), self._number_before(day) + 5_000):
            found = self._nth(number)
            if found is None:
                return None  # after the year 9999
            if found > day:
                return found * DAY + self._at[0]
            if found == day and rest <= self._at[-1]:
                return day * DAY + next(at for at in self._at if at >= rest)
        return None

    def _number_before(self, day: int) -> int:
        """The number of an occurrence that is not after `day` (since 1970) and near it; 0 before the first."""
        passed = day - (self._start.toordinal() - _EPOCH_DAY)
        # 400 years are 4,800 months and 146,097 days; where a month ends moves a date by no more than 3 days, and
        # the uneven lengths of months and leap years by less than 4.
        return max(0, (passed - 8) * 4_800 // (self._months * 146_097 + self._days * 4_800) - 1)

    def _nth(self, number: int) -> int | None:
        """The day (since 1970) of occurrence `number`, or of the next one when its month has no such day."""
        for _ in range(4_801):  # leap years repeat after 4,800 months; day 31 is never that far
            year, month = divmod(self._start.year * 12 + self._start.month - 1 + number * self._months, 12)
            if year > _LAST_YEAR:
                return None
            length = monthrange(year, month + 1)[1]
            if self._start.day <= length or self._end_of_month == "last":
                at = date(year, month + 1, min(self._start.day, length)).toordinal() + number * self._days
                return at - _EPOCH_DAY
            number += 1
        return None

    def stored(self) -> dict[str, object]:
        """What is kept of it, as JSON values."""
        return {
            "start": self._start.isoformat(),
            "months": self._months,
            "days": self._days,
            "at": [shown_time(second) for second in self._at],
            "tz": self._tz,
            "end_of_month": self._end_of_month,
            "gap": self.gap,
            "fold": self.fold,
        }

    @classmethod
    def from_stored(cls, stored: Mapping[str, object]) -> "Calendar":
        """The trigger of which `stored` was kept."""
        return cls(
            start=kept(stored, "start", str),
            months=kept(stored, "months", int),
            days=kept(stored, "days", int),
            at=kept(stored, "at", list),
            tz=kept(stored, "tz", str),
            end_of_month=kept(stored, "end_of_month", str),
            gap=kept(stored, "gap", str),
            fold=kept(stored, "fold", str),
        )

    def _key(self) -> tuple[object, ...]:
        return (self._start, self._months, self._days, self._at, self._tz, self._end_of_month, self.gap, self.fold)

    def _interval(self) -> list[tuple[str, int]]:
        years, months = divmod(self._months, 12)
        weeks, days = divmod(self._days, 7)
        amounts = (("years", years), ("months", months), ("weeks", weeks), ("days", days))
        return [(name, amount) for name, amount in amounts if amount]

    def __repr__(self) -> str:
        interval = ", ".join(f"{name}={amount}" for name, amount in self._interval())
        end = "" if self._end_of_month == "last" else ", end_of_month='skip'"
        start = self._start.isoformat()
        return f"Calendar({interval}, start={start!r}, at={shown_times(self._at)}{end}{self._settings()})"

    def __str__(self) -> str:
        said = [name[:-1] if amount == 1 else f"{amount} {name}" for name, amount in self._interval()]
        times = ", ".join(map(shown_time, self._at))
        return f"every {' and '.join(said)} at {times}, from {self._start.isoformat()} ({self._tz})"


def _date(value: object) -> date:
    if isinstance(value, date) and not isinstance(value, datetime):
        return value
    try:
        return date.fromisoformat(value.strip()) if isinstance(value, str) else _no_date(value, "")
    except ValueError as error:
        return _no_date(value, f": {error}")


def _no_date(value: object, why: str) -> date:
    raise InvalidValue(f"expected start as a date such as date(2026, 1, 31) or '2026-01-31', got {shown(value)}{why}")
