"""Reading an RFC 5545 recurrence rule strictly: what it may hold, and what its parts may not be combined with."""

import re
from datetime import UTC, date, datetime, timedelta
from typing import Final, NamedTuple, NoReturn

from mainspring.errors import InvalidValue
from mainspring.when.instants import from_datetime
from mainspring.when.local_times import local_second
from mainspring.when.shown import shown

FREQUENCIES: Final = ("YEARLY", "MONTHLY", "WEEKLY", "DAILY", "HOURLY", "MINUTELY", "SECONDLY")
DAYS: Final = ("MO", "TU", "WE", "TH", "FR", "SA", "SU")
# For each part the numbers that it may hold: from, to, and whether they may be negative (counted from the end).
_NUMBERS: Final = {
    "BYSECOND": (0, 59, False),
    "BYMINUTE": (0, 59, False),
    "BYHOUR": (0, 23, False),
    "BYMONTHDAY": (1, 31, True),
    "BYYEARDAY": (1, 366, True),
    "BYWEEKNO": (1, 53, True),
    "BYMONTH": (1, 12, False),
    "BYSETPOS": (1, 366, True),
}
_KNOWN: Final = ("FREQ", "INTERVAL", "COUNT", "UNTIL", "WKST", "BYDAY", *_NUMBERS)
# Which parts RFC 5545 forbids with which frequency.
_NOT_WITH: Final = {
    "BYWEEKNO": FREQUENCIES[1:],
    "BYYEARDAY": ("DAILY", "WEEKLY", "MONTHLY"),
    "BYMONTHDAY": ("WEEKLY",),
}
# A hundred years of each: longer intervals are slips of the pen, and the search looks no further than two hundred.
_LONGEST: Final = dict(zip(FREQUENCIES, (100, 1_200, 5_218, 36_525, 876_600, 52_596_000, 3_155_760_000), strict=True))
_MOST_COUNT = 10_000
_MOST_TIMES = 1_440  # of one day, in rules that list times of day
_LONGEST_TEXT = 2_000
_NTH_DAY = re.compile(r"([+-]?[0-9]{1,2})?(MO|TU|WE|TH|FR|SA|SU)")
_UNTIL = re.compile(r"(\d{8})(?:T(\d{6})(Z)?)?")


class Rule(NamedTuple):
    """A rule in parts. `by`: the BY parts as they are written; the end is taken out of them."""

    text: str
    frequency: str
    interval: int
    week_start: int  # 0 is Monday
    by: dict[str, str]
    most: int | None  # COUNT
    until_local: int | None  # the last local second that may be, in seconds since 1970
    until_us: int | None  # the last instant that may be, in µs UTC


def parse_rule(text: object) -> Rule:
    """The parts of a rule. What RFC 5545 forbids, and what has no meaning, is an `InvalidValue`."""
    if not isinstance(text, str) or len(text) > _LONGEST_TEXT:
        raise InvalidValue(f"expected a recurrence rule such as 'FREQ=MONTHLY;BYDAY=-1FR', got {shown(text)}")
    body = text.strip().upper().removeprefix("RRULE:").rstrip(";")
    if "\n" in body or ":" in body:
        _refuse(
            text, "one rule alone; DTSTART is start=, EXDATE and a second rule are written as trigger - other, | other"
        )
    parts: dict[str, str] = {}
    for pair in body.split(";"):
        name, equals, value = (piece.strip() for piece in pair.partition("="))
        if not equals or not value:
            _refuse(text, f"parts look like FREQ=MONTHLY, not {pair!r}")
        if name not in _KNOWN:
            _refuse(text, f"there is no part {name!r}; there are {', '.join(_KNOWN)}")
        if name in parts:
            _refuse(text, f"{name} stands in it twice")
        parts[name] = value
    frequency = parts.pop("FREQ", "")
    if frequency not in FREQUENCIES:
        _refuse(text, f"it needs FREQ={' or '.join(FREQUENCIES)}")
    interval = _number(text, "INTERVAL", parts.pop("INTERVAL", "1"), _LONGEST[frequency])
    week_start = parts.pop("WKST", "MO")
    if week_start not in DAYS:
        _refuse(text, f"WKST is one of {', '.join(DAYS)}")
    if "COUNT" in parts and "UNTIL" in parts:
        _refuse(text, "COUNT and UNTIL exclude each other")
    count = _number(text, "COUNT", parts.pop("COUNT"), _MOST_COUNT) if "COUNT" in parts else None
    local, instant = _until(text, parts.pop("UNTIL")) if "UNTIL" in parts else (None, None)
    for name, value in parts.items():
        _check(text, frequency, name, value, parts)
    ordered = ";".join(f"{name}={value.replace(' ', '')}" for name, value in parts.items())
    clean = f"FREQ={frequency}" + (f";{ordered}" if ordered else "")
    return Rule(clean, frequency, interval, DAYS.index(week_start), parts, count, local, instant)


def _check(text: str, frequency: str, name: str, value: str, parts: dict[str, str]) -> None:
    if frequency in _NOT_WITH.get(name, ()):
        _refuse(text, f"{name} has no meaning with FREQ={frequency}")
    if name == "BYSETPOS" and len(parts) == 1:
        _refuse(text, "BYSETPOS chooses among what another BY part gives, and there is none")
    for one in value.split(","):
        if name == "BYDAY":
            match = _NTH_DAY.fullmatch(one.strip())
            if match is None or (match[1] is not None and not 1 <= abs(int(match[1])) <= 53):
                _refuse(text, f"BYDAY holds days such as MO, 2TU or -1FR, not {one!r}")
            elif match[1] and (frequency not in {"MONTHLY", "YEARLY"} or "BYWEEKNO" in parts):
                _refuse(text, f"{one} has a meaning with FREQ=MONTHLY or YEARLY, without BYWEEKNO, alone")
            continue
        low, high, negative = _NUMBERS[name]
        number = int(one) if re.fullmatch(r"[+-]?[0-9]{1,3}", one.strip()) else None
        if number is None or not (low <= number <= high or (negative and low <= -number <= high)):
            _refuse(text, f"{name} holds numbers from {low} to {high}{', or negative' * negative}, not {one!r}")
    if FREQUENCIES.index(frequency) <= 3:
        times = 1
        for part in ("BYHOUR", "BYMINUTE", "BYSECOND"):
            times *= len(set(parts[part].split(","))) if part in parts else 1
        if times > _MOST_TIMES:
            _refuse(
                text, f"it lists {times:,} times of a day, more than {_MOST_TIMES:,}: use FREQ=MINUTELY or SECONDLY"
            )


def _number(text: str, name: str, value: str, most: int) -> int:
    if not (value.isdecimal() and len(value) <= 12 and 1 <= int(value) <= most):
        _refuse(text, f"{name} is a number from 1 to {most:,}, not {value!r}")
    return int(value)


def _until(text: str, value: str) -> tuple[int | None, int | None]:
    """The last local second, or the last instant, that may be. A date: the whole day."""
    match = _UNTIL.fullmatch(value)
    try:
        if match is None:
            _refuse(text, "UNTIL is 20261231T235959Z, 20261231T235959 (local time) or 20261231 (with the whole day)")
        if match[2] is None:
            day = date.fromisoformat(match[1])
            return local_second(datetime(day.year, day.month, day.day) + timedelta(seconds=86_399)), None  # noqa: DTZ001
        moment = datetime.strptime(match[1] + match[2], "%Y%m%d%H%M%S")  # noqa: DTZ007  # local, or UTC as Z says
    except ValueError as error:
        if isinstance(error, InvalidValue):
            raise
        _refuse(text, f"UNTIL={value}: {error}")
    if match[3]:
        return None, from_datetime(moment.replace(tzinfo=UTC))
    return local_second(moment), None


def _refuse(text: str, why: str) -> NoReturn:
    raise InvalidValue(f"cannot read {shown(text)} as a recurrence rule (RFC 5545): {why}")
