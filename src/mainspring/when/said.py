"""What times as people say them have in common: the parts of a text that were heard, and what they come to together.

`said_en` and `said_zh` know the words. They hand each day, time of day, part of a day or span that they hear to
`Heard`, which takes one of each, in any order, and refuses what contradicts itself or can be meant in two ways.
"""

import re
from collections.abc import Callable, Iterator, Sequence
from datetime import date, datetime, time, timedelta
from itertools import islice
from typing import NamedTuple

from mainspring.errors import InvalidValue
from mainspring.when.durations import MAX_DURATION

LONGEST = 100  # characters; nobody says a time in more, and what is short is read quickly whatever it is

_DAY = 86_400_000_000
_AHEAD = 3  # candidates of a recurring day: zones have skipped a whole day, and one may be over


class Local(NamedTuple):
    """A time of day on the first of `dates` (ascending) on which it is still ahead."""

    dates: tuple[date, ...]
    clock: time


class Clock(NamedTuple):
    """A time of day as it was said: `hour` is 0–24, or 1–12 until a part of the day says which half is meant.

    `settled`: am or pm was said, the hour is one of 24. `half_open`: which half is meant has to be said, as in `8`.
    """

    hour: int
    minute: int = 0
    second: int = 0
    microsecond: int = 0
    settled: bool = False
    half_open: bool = False


class Part(NamedTuple):
    """A part of the day: the hours that can be said with it, and the hour of 24 that each then means.

    24 is the midnight at the end of the day. `alone` is the hour it means without a time of day, if any.
    """

    hours: dict[int, int]
    alone: int | None = None


DAWN = Part({hour: hour for hour in range(6)})
MORNING = Part({hour: hour for hour in range(1, 12)})
MIDDAY = Part({11: 11, 12: 12, 13: 13, 14: 14, 1: 13, 2: 14}, alone=12)
AFTERNOON = Part({hour: hour for hour in range(12, 20)} | {hour: hour + 12 for hour in range(1, 8)})
EVENING = Part(
    {hour: hour for hour in range(17, 24)} | {hour: hour + 12 for hour in range(5, 12)} | dict.fromkeys((0, 12, 24), 24)
)


class Heard:
    """What was heard of a text so far, read at the local time `here`. `example` follows a day that lacks a time."""

    def __init__(self, here: datetime, example: str) -> None:
        self.here = here
        self._example = example
        self._words: dict[str, str] = {}
        self._dates: tuple[date, ...] = ()
        self._clock: Clock | None = None
        self._part: Part | None = None
        self._span = 0
        self._keeps_clock = False
        self._midnight = False

    def day(self, words: str, dates: Sequence[date], *, keeps_clock: bool = False) -> None:
        """The day is the first of `dates` on which the time is ahead; `keeps_clock`: if none is said, as now."""
        self._once("day", words)
        self._dates, self._keeps_clock = tuple(dates), keeps_clock

    def clock(self, words: str, clock: Clock, *, midnight: bool = False) -> None:
        """A time of day; `midnight`: the word, which does not say at which end of a day."""
        self._once("time of day", words)
        self._clock, self._midnight = clock, midnight

    def part(self, words: str, part: Part) -> None:
        """A part of the day, such as the morning."""
        self._once("part of the day", words)
        self._part = part

    def ahead(self, words: str, elapsed: int, *, days: int = 0, months: int = 0) -> None:
        """So far from now: either `elapsed` microseconds, or days and months of the calendar at the time that it is."""
        if not days and not months:
            self._once("span", words)
            self._span = elapsed
        elif elapsed:
            raise InvalidValue(
                f"{words!r} mixes days, which keep the time of day, with hours, which pass: write one kind"
            )
        else:
            day = exact_date(*month_after(self.here, months), self.here.day) + timedelta(days=days)
            if (day - self.here.date()).days * _DAY > MAX_DURATION:
                raise InvalidValue(f"{words!r} is more than 100 years")
            self.day(words, [day], keeps_clock=True)

    def meant(self) -> int | Local:
        """All of it together: microseconds from now, or a local time."""
        if "span" in self._words:
            return self._elapsed()
        if self._clock is None and self._part is not None and self._part.alone is not None:
            words, alone, self._part = self._words["part of the day"], self._part.alone, None
            self.clock(words, Clock(alone, settled=True))
        if self._clock is None:
            return self._at_the_time_it_is()
        hour = self._hour(self._clock)
        _, minute, second, microsecond, *_ = self._clock
        clock = clock_of(hour % 24, minute, second, microsecond)
        if hour == 24 and self._clock.hour == 24 and clock != time():
            raise InvalidValue(f"{self._words['time of day']!r} is no time of day: the last one is 24:00")
        dates = self._dates or days_ahead(self.here.date(), 1)
        return Local(tuple(day + timedelta(days=hour // 24) for day in dates), clock)

    def _once(self, kind: str, words: str) -> None:
        if kind in self._words:
            raise InvalidValue(f"it says two things: {self._words[kind]!r} and {words!r}; write one {kind}")
        self._words[kind] = words

    def _elapsed(self) -> int:
        if len(self._words) > 1:
            others = " and ".join(repr(words) for kind, words in self._words.items() if kind != "span")
            raise InvalidValue(f"{self._words['span']!r} counts from now and cannot be told together with {others}")
        if not 0 < self._span <= MAX_DURATION:
            raise InvalidValue(f"{self._words['span']!r} is expected to be more than nothing and at most 100 years")
        return self._span

    def _at_the_time_it_is(self) -> Local:
        if not self._words:
            raise InvalidValue("it is empty")
        if self._keeps_clock and self._part is None:
            return Local(self._dates, self.here.time().replace(fold=0))
        raise InvalidValue(f"say at what time: '{(self._words.get('day', '') + self._example).strip()}'")

    def _hour(self, clock: Clock) -> int:
        words = self._words["time of day"]
        if self._part is None:
            if self._midnight and self._dates:
                raise InvalidValue(
                    f"{words!r} is at both ends of a day: write 00:00 for its beginning, 24:00 for its end"
                )
            if clock.half_open:
                raise InvalidValue(_which_half(words, clock.hour))
            return clock.hour
        part = self._words["part of the day"]
        hour = self._part.hours.get(clock.hour)
        if hour is None or (clock.settled and hour % 24 != clock.hour):
            raise InvalidValue(f"{words!r} does not go with {part!r}; write the time of day alone, as in '18:00'")
        return hour


def clock_of(hour: int, minute: int = 0, second: int = 0, microsecond: int = 0) -> time:
    """The time of day; what is none is an `InvalidValue` that says which number is too large."""
    try:
        return time(hour, minute, second, microsecond)
    except ValueError as error:
        raise InvalidValue(str(error)) from None


def read_clock(hour: str, minute: str | None, second: str | None, fraction: str | None, half: str | None) -> Clock:
    """A time of day from its digits; `half` is `a`, `p` or None, when the hour is one of 24."""
    digits = fraction or ""
    if len(digits) > 6:
        raise InvalidValue("a time of day has at most six digits after the second")
    number, rest = int(hour), (int(minute or 0), int(second or 0), int(digits.ljust(6, "0")))
    if half is None:
        clock_of(0 if number == 24 else number, *rest)
        return Clock(number, *rest)
    clock_of(0, *rest)
    if not 1 <= number <= 12:
        raise InvalidValue(f"with am and pm the hour is 1 to 12, not {number}: 12am is midnight, 12pm is noon")
    return Clock(number % 12 + (12 if half == "p" else 0), *rest, settled=True)


def days_ahead(first: date, step: int) -> tuple[date, ...]:
    """`first` and the days after it, each `step` days later."""
    return tuple(first + timedelta(days=step * turn) for turn in range(_AHEAD))


def weekdays_ahead(here: datetime, weekday: int) -> tuple[date, ...]:
    """The days from today on that are this day of the week (Monday is 0)."""
    return days_ahead(here.date() + timedelta(days=(weekday - here.weekday()) % 7), 7)


def weekday_of_week(here: datetime, weekday: int, weeks: int) -> date:
    """This day of the week, `weeks` after the current one. Weeks begin on Monday."""
    return here.date() + timedelta(days=weekday - here.weekday() + 7 * weeks)


def month_after(here: datetime, months: int) -> tuple[int, int]:
    """The year and month, `months` after the current one."""
    whole = here.year * 12 + here.month - 1 + months
    return whole // 12, whole % 12 + 1


def last_of_month(year: int, month: int) -> date:
    """The last day of a month."""
    return date(year + month // 12, month % 12 + 1, 1) - timedelta(days=1)


def exact_date(year: int, month: int, day: int) -> date:
    """The date; one that does not exist is an `InvalidValue`."""
    try:
        return date(year, month, day)
    except ValueError as error:
        raise InvalidValue(f"there is no such date as {year}-{month:02}-{day:02}: {error}") from None


def dates_of_year(here: datetime, month: int, day: int) -> tuple[date, ...]:
    """This day of this month in the years from this one on in which it exists."""
    return _existing(f"{month:02}-{day:02}", ((here.year + turn, month, day) for turn in range(17)))


def dates_of_month(here: datetime, day: int) -> tuple[date, ...]:
    """This day of the months from this one on in which it exists."""
    return _existing(f"day {day} of a month", ((*month_after(here, turn), day) for turn in range(17)))


def whole_number(digits: str, words: str) -> int:
    """How many days, weeks, months or years; half of one has no fixed length in the calendar."""
    if "." in digits:
        raise InvalidValue(f"{words!r} does not count whole ones, as the calendar needs; in hours it is exact: '+36h'")
    return int(digits)


def is_chinese(text: str) -> bool:
    """Whether a text has a Chinese character."""
    return any("\u4e00" <= sign <= "\u9fff" or sign == "〇" for sign in text)


class Rule(NamedTuple):
    """A pattern, and what is done with what it finds."""

    pattern: re.Pattern[str]
    hear: Callable[[Heard, re.Match[str]], None]


def listen(body: str, rules: Sequence[Rule], heard: Heard, why_unknown: Callable[[str, int], str]) -> int | Local:
    """Read `body` from left to right, each place by the first rule whose pattern is found there.

    `why_unknown(body, place)` tells what was not understood. Everything that fails is an `InvalidValue`.
    """
    if len(body) > LONGEST:
        raise InvalidValue(f"a time as people say it has at most {LONGEST} characters, this has {len(body)}")
    place = 0
    while place < len(body):
        for rule in rules:
            found = rule.pattern.match(body, place)
            if found is not None and found.end() > place:
                break
        else:
            raise InvalidValue(why_unknown(body, place))
        rule.hear(heard, found)
        place = found.end()
    return heard.meant()


def ignore(_heard: Heard, _found: re.Match[str]) -> None:
    """For words that change nothing, such as `at`."""


def refuse(why: str) -> Callable[[Heard, re.Match[str]], None]:
    """For words that are understood and not taken; `{}` in `why` is what was said."""

    def hear(_heard: Heard, found: re.Match[str]) -> None:
        raise InvalidValue(why.format(repr(found[0].strip())))

    return hear


def _which_half(words: str, hour: int) -> str:
    if 1 <= hour <= 12:
        return f"{words!r} can be meant in two ways: write '{hour}am', '{hour}pm' or '{hour:02}:00'"
    return f"{words!r} is no time of day: write it as in '09:00' or '9pm'"


def _existing(words: str, candidates: Iterator[tuple[int, int, int]]) -> tuple[date, ...]:
    def real() -> Iterator[date]:
        for candidate in candidates:
            try:
                yield date(*candidate)
            except ValueError:
                continue  # 29 February of most years, the 31st of some months

    found = tuple(islice(real(), _AHEAD))
    if not found:
        raise InvalidValue(f"there is no such date as {words}")
    return found
