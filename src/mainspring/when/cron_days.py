"""Which days a cron expression means: the rule of its three day fields, answered with bitmasks of months."""

from datetime import date
from functools import lru_cache
from typing import Final, NamedTuple

EPOCH_ORDINAL: Final = date(1970, 1, 1).toordinal()
LAST_DAY: Final = date(9999, 12, 31).toordinal() - EPOCH_ORDINAL
FIRST_DAY: Final = 1 - EPOCH_ORDINAL

_EPOCH_WEEKDAY: Final = 4  # a Thursday

# The calendar repeats itself after 400 years, to the weekday.
_CYCLE_YEARS = 400


class DayFields(NamedTuple):
    """The day fields as read. Weekdays count from Sunday, 0, and a bit of a mask is a day or a month of that number."""

    months: int
    days: int = 0
    last: frozenset[int] = frozenset()  # days before the month's last: 0 is `L`, 3 is `L-3`
    nearest: frozenset[int] = frozenset()  # `15W`: the weekday nearest to that day; 0 is `LW`
    weekdays: int = 0
    numbered: frozenset[tuple[int, int]] = frozenset()  # `mon#2`: (weekday, which)
    last_weekdays: frozenset[int] = frozenset()  # `5L`
    days_restricted: bool = False  # the field does not begin with `*`
    weekdays_restricted: bool = False


class Days:
    """The days that fit, counted since 1970-01-01. Use `days_of`, which shares them."""

    __slots__ = ("_ahead", "_fields", "_masks", "_months", "ever", "every")

    ever: bool  # whether there is such a day at all
    every: bool  # whether all days are such

    def __init__(self, fields: DayFields) -> None:
        self._fields = fields
        # A month's mask depends on the month, its length and the weekday of its first alone.
        self._masks: dict[tuple[int, int, int], int] = {}
        self._months: dict[int, int] = {}
        # Each month begins on each weekday within the 400 years of the cycle.
        masks = [
            (self._mask(month, length, first), (2 << length) - 2)
            for month in range(1, 13)
            for length in _lengths(month)
            for first in range(7)
        ]
        self.every = all(mask == whole for mask, whole in masks)
        self.ever = any(mask for mask, _ in masks)
        self._ahead = _until_weekday(fields)

    def next(self, day: int) -> int | None:
        """The first day that fits, `day` or later; None: the calendar ends before."""
        if not FIRST_DAY <= day <= LAST_DAY:
            return None if day > LAST_DAY else self.next(FIRST_DAY)
        if self._ahead is not None:
            return day + self._ahead[(day + _EPOCH_WEEKDAY) % 7]
        start = date.fromordinal(day + EPOCH_ORDINAL)
        year, month = start.year, start.month
        mask = self._of(year, month) >> start.day << start.day
        for _ in range(12 * _CYCLE_YEARS + 1):
            if mask:
                found = (mask & -mask).bit_length() - 1
                return (
                    day + found - start.day if month == start.month and year == start.year else _day(year, month, found)
                )
            month += 1
            if month == 13:
                year, month = year + 1, 1
                if year > 9999:
                    return None
            mask = self._of(year, month)
        return None

    def _of(self, year: int, month: int) -> int:
        key = year * 16 + month
        mask = self._months.get(key)
        if mask is None:
            first = (date(year, month, 1).weekday() + 1) % 7
            length = 29 if month == 2 and _is_leap(year) else _LENGTHS[month]
            mask = self._mask(month, length, first)
            if len(self._months) > 1_000:
                self._months = {}
            self._months[key] = mask
        return mask

    def _mask(self, month: int, length: int, first: int) -> int:
        """The bits of the days that fit in a month whose first day is the weekday `first`."""
        key = (month, length, first)
        mask = self._masks.get(key)
        if mask is None:
            mask = self._masks[key] = _mask_of(self._fields, month, length, first)
        return mask


@lru_cache(maxsize=1024)
def days_of(fields: DayFields) -> Days:
    """The days that these fields mean."""
    return Days(fields)


def _mask_of(fields: DayFields, month: int, length: int, first: int) -> int:
    if not fields.months >> month & 1:
        return 0
    whole = (2 << length) - 2
    by_day = fields.days
    for back in fields.last:
        if back < length:
            by_day |= 1 << (length - back)
    for wanted in fields.nearest:
        if wanted <= length:
            by_day |= 1 << _nearest_workday(wanted or length, length, first)
    by_weekday = 0
    for day in range(1, length + 1):
        weekday = (first + day - 1) % 7
        if (
            fields.weekdays >> weekday & 1
            or (weekday, (day + 6) // 7) in fields.numbered
            or (weekday in fields.last_weekdays and day + 7 > length)
        ):
            by_weekday |= 1 << day
    # Cron's oldest rule: when both fields say something, a day that fits either is meant.
    both = fields.days_restricted and fields.weekdays_restricted
    return (by_day | by_weekday if both else by_day & by_weekday) & whole


def _until_weekday(fields: DayFields) -> tuple[int, ...] | None:
    """For a rule that looks at weekdays alone: how many days it is from each to the first that fits."""
    by_weekday_alone = (
        fields.months == (2 << 12) - 2
        and fields.days == (2 << 31) - 2
        and fields.weekdays
        and not (fields.days_restricted or fields.numbered or fields.last_weekdays)
    )
    if not by_weekday_alone:
        return None
    return tuple(next(n for n in range(7) if fields.weekdays >> (weekday + n) % 7 & 1) for weekday in range(7))


def _nearest_workday(day: int, length: int, first: int) -> int:
    """The day from Monday to Friday nearest to `day` without leaving the month."""
    weekday = (first + day - 1) % 7
    if weekday == 6:
        return day - 1 if day > 1 else day + 2
    if weekday == 0:
        return day + 1 if day < length else day - 2
    return day


_LENGTHS: Final = (0, 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)


def _is_leap(year: int) -> bool:
    return year % 4 == 0 and (year % 100 != 0 or year % 400 == 0)


def _lengths(month: int) -> tuple[int, ...]:
    return (28, 29) if month == 2 else (_LENGTHS[month],)


def _day(year: int, month: int, day: int) -> int:
    return date(year, month, day).toordinal() - EPOCH_ORDINAL
