"""Times as people say them in English: `tomorrow 9am`, `next friday 18:00`, `in half an hour`, `27 nov noon`."""

import re
from collections.abc import Callable
from datetime import datetime, timedelta

from mainspring.errors import InvalidValue
from mainspring.when.durations import parse_duration
from mainspring.when.said import (
    AFTERNOON,
    EVENING,
    MORNING,
    Clock,
    Heard,
    Local,
    Rule,
    dates_of_month,
    dates_of_year,
    exact_date,
    ignore,
    last_of_month,
    listen,
    month_after,
    read_clock,
    refuse,
    weekday_of_week,
    weekdays_ahead,
    whole_number,
)

_ONES = ("one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
_TEENS = ("ten", "eleven", "twelve", "thirteen", "fourteen", "fifteen", "sixteen", "seventeen", "eighteen", "nineteen")
_TENS = ("twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety")
_NUMBERS = {"a": 1, "an": 1} | {word: at for at, word in enumerate((*_ONES, *_TEENS), 1)}
_NUMBERS |= {word: 10 * at for at, word in enumerate(_TENS, 2)}
_WEEKDAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
_MONTHS = (
    "january", "february", "march", "april", "may", "june",
    "july", "august", "september", "october", "november", "december",
)  # fmt: skip
_PARTS = {"morning": MORNING, "afternoon": AFTERNOON, "evening": EVENING, "night": EVENING}
_TURNS = {"this": 0, "next": 1}
_UNITS = {
    "h": "hours|hour|hrs|hr|h",
    "m": "minutes|minute|mins|min|m",
    "s": "seconds|second|secs|sec|s",
    "ms": "milliseconds|millisecond|ms",
    "day": "days|day|d",
    "week": "weeks|week|w",
    "month": "months|month",
    "year": "years|year",
}

# In patterns, `~` is the end of a word; unlike `\b` it is also before a digit, so that spaces do not matter.
_ANY_WEEKDAY = "(?:mon(?:day)?|tue(?:s|sday)?|wed(?:nesday)?|thu(?:rs?|rsday)?|fri(?:day)?|sat(?:urday)?|sun(?:day)?)~"
_ANY_MONTH = (
    "(?:jan(?:uary)?|feb(?:ruary)?|mar(?:ch)?|apr(?:il)?|may|june?|july?|aug(?:ust)?|"
    "sept?(?:ember)?|oct(?:ober)?|nov(?:ember)?|dec(?:ember)?)~"
)
_HOUR_WORD = f"(?:ten|eleven|twelve|{'|'.join(_ONES)})~"
_WORDS = rf"(?:(?:{'|'.join(_TENS)})(?:[ -]?(?:{'|'.join(_ONES)}))?|{'|'.join(_TEENS)}|{'|'.join(_ONES)}|an?)~"
_NUMBER = rf"(?:[0-9]+(?:\.[0-9]+)?|{_WORDS})"
_UNIT = f"(?:{'|'.join(_UNITS.values())})~"
_AMOUNT_PARTS = (
    f"(?:half (?:an? )?(?P<half>hour|minute)~|"
    f"(?P<number>{_NUMBER})(?P<more> and a half)? ?(?P<unit>{_UNIT})(?P<more_still> and a half~)?)"
)
_AMOUNTS = "{0}(?:(?:,| and|, and)? ?{0})*".format(re.sub("[?]P<[a-z_]+>", "?:", _AMOUNT_PARTS))
_HALF_OF_DAY = r"(?P<half>[ap]\.?m~\.?)"
_NO_CLOCK = r"(?![0-9:.]| ?[ap]\.?m)"
_YEAR = rf"(?:,? ?(?P<year>[0-9]{{4}}){_NO_CLOCK})?"
_ORDINAL = "(?:(?:st|nd|rd|th)~)"
_MINUTES = r"(?P<minute>[0-9]{2})(?::(?P<second>[0-9]{2})(?:[.,](?P<fraction>[0-9]+))?)?"


def _compiled(pattern: str) -> re.Pattern[str]:
    return re.compile(pattern.replace("~", "(?![a-z])"))


def read_english(body: str, here: datetime) -> int | Local:
    """What `body` (small letters, single spaces) means when it is said at the local time `here`.

    Microseconds from now, or a local time; what is not understood or can be meant in two ways is an `InvalidValue`.
    """
    return listen(body, _RULES, Heard(here, " 09:00"), _why_unknown)


def _span(heard: Heard, found: re.Match[str]) -> None:
    words = found[0].strip()
    if found["end"] == " ago":
        raise InvalidValue(f"{words!r} is over")
    if not found["in"] and not found["end"]:
        raise InvalidValue(f"{words!r} is a duration; for an instant write 'in {words}'")
    elapsed, days, months = 0, 0, 0
    for amount in _AMOUNT.finditer(found["amounts"]):
        if amount["half"]:
            elapsed += parse_duration("30m" if amount["half"] == "hour" else "30s")
            continue
        number, unit = _number(amount["number"]), _unit(amount["unit"])
        if amount["more"] or amount["more_still"]:
            number += ".5"
        if unit in ("h", "m", "s", "ms"):
            elapsed += parse_duration(number + unit)
            continue
        if amount["unit"] in ("d", "w"):
            counted = number + amount["unit"]
            raise InvalidValue(f"write '+{counted}' for elapsed time, 'in {number} {unit}s' for that time of that day")
        days += whole_number(number, words) * {"day": 1, "week": 7}.get(unit, 0)
        months += whole_number(number, words) * {"month": 1, "year": 12}.get(unit, 0)
    heard.ahead(words, elapsed, days=days, months=months)


def _relative_day(heard: Heard, found: re.Match[str]) -> None:
    words = found[0]
    days = 2 if "after tomorrow" in words else 1 if words == "tomorrow" else 0
    heard.day(words, [heard.here.date() + timedelta(days=days)])
    if words == "tonight":
        heard.part(words, EVENING)
    elif words.startswith("this "):
        heard.part(words, _PARTS[words.removeprefix("this ")])


def _weekday(heard: Heard, found: re.Match[str]) -> None:
    weekday = [name[:3] for name in _WEEKDAYS].index(found["weekday"][:3])
    if found["which"] is None:
        heard.day(found[0], weekdays_ahead(heard.here, weekday))
    else:
        heard.day(found[0], [weekday_of_week(heard.here, weekday, _TURNS[found["which"]])])


def _iso_date(heard: Heard, found: re.Match[str]) -> None:
    heard.day(found[0], [exact_date(int(found["year"]), int(found["month"]), int(found["day"]))])


def _day_and_month(heard: Heard, found: re.Match[str]) -> None:
    month = [name[:3] for name in _MONTHS].index(found["month"][:3]) + 1
    day = int(found["day"])
    if found["year"]:
        heard.day(found[0], [exact_date(int(found["year"]), month, day)])
    else:
        heard.day(found[0], dates_of_year(heard.here, month, day))


def _day_of_month(heard: Heard, found: re.Match[str]) -> None:
    if found["which"] is None:
        heard.day(found[0], dates_of_month(heard.here, int(found["day"])))
    else:
        heard.day(found[0], [exact_date(*month_after(heard.here, _TURNS[found["which"]]), int(found["day"]))])


def _end_of_month(heard: Heard, found: re.Match[str]) -> None:
    heard.day(found[0], [last_of_month(*month_after(heard.here, 1 if found["which"] == "next" else 0))])


def _clock(heard: Heard, found: re.Match[str]) -> None:
    half = found["half"]
    digits = (found["hour"], found["minute"], found["second"], found["fraction"])
    heard.clock(found[0], read_clock(*digits, half[0] if half else None))


def _noon(heard: Heard, found: re.Match[str]) -> None:
    midnight = found[0] == "midnight"
    heard.clock(found[0], Clock(0 if midnight else 12, settled=True), midnight=midnight)


def _part(heard: Heard, found: re.Match[str]) -> None:
    heard.part(found[0], _PARTS[found["part"]])


def _bare_hour(heard: Heard, found: re.Match[str]) -> None:
    hour = int(_number(found["hour"]))
    if found["half"]:
        heard.clock(found[0], read_clock(str(hour), None, None, None, found["half"][0]))
    else:
        heard.clock(found[0], Clock(hour, half_open=True))


def _number(words: str) -> str:
    """A number in words, as digits; digits as they are."""
    if words[0].isdigit():
        return words
    longest_first = sorted(_NUMBERS, key=len, reverse=True)
    return str(sum(_NUMBERS[word] for word in re.findall("|".join(longest_first), words)))


def _unit(words: str) -> str:
    return next(unit for unit, names in _UNITS.items() if words in names.split("|"))


def _why_unknown(body: str, place: int) -> str:
    from difflib import get_close_matches

    found = re.compile(r"[a-z]+|[^a-z ]+").match(body, place)
    word = found[0] if found else body[place:]
    if not word[0].isalpha():
        start, end = body.rfind(" ", 0, place) + 1, body.find(" ", place)
        return f"{body[start : end if end > 0 else None]!r} is not understood"
    units = [name for names in _UNITS.values() for name in names.split("|")]
    others = ("today", "tomorrow", "tonight", "noon", "midnight", "next", "this", "in", "at", "from", "now", "end")
    short = [name[:3] for name in (*_WEEKDAYS, *_MONTHS)]
    known = (*_WEEKDAYS, *_MONTHS, *short, *_PARTS, *_NUMBERS, *units, *others)
    if word in known:
        return f"{word!r} is not understood where it stands"
    close = get_close_matches(word, known, n=1, cutoff=0.7) if len(word) > 2 else []
    return f"{word!r} is not understood" + (f"; did you mean {close[0]!r}?" if close else "")


def _rule(pattern: str, hear: Callable[[Heard, re.Match[str]], None]) -> Rule:
    return Rule(_compiled(pattern), hear)


_AMOUNT = _compiled(_AMOUNT_PARTS)
_RULES = (
    _rule(r"[ ,]+|(?:at|on)~ ?(?=.)|@ ?(?=.)", ignore),
    _rule(rf"(?P<in>in )?(?P<amounts>{_AMOUNTS})(?P<end> from now~| later~| ago~)?", _span),
    _rule(r"(?:the )?day after tomorrow~|tomorrow~|today~|tonight~", _relative_day),
    _rule(r"this (?:morning|afternoon|evening)~", _relative_day),
    _rule(rf"(?:(?P<which>next|this) )?(?P<weekday>{_ANY_WEEKDAY})\.?", _weekday),
    _rule(r"(?P<year>[0-9]{4})([-/])(?P<month>[0-9]{1,2})\2(?P<day>[0-9]{1,2})(?![0-9])", _iso_date),
    _rule(
        r"[0-9]{1,4}[-/.][0-9]{1,2}[-/.][0-9]{1,4}|[0-9]{1,2}[-/][0-9]{1,2}",
        refuse("{} can be read in several ways; write the date as 2026-11-27 or 27 nov 2026"),
    ),
    _rule(
        rf"(?:the )?(?P<day>[0-9]{{1,2}}){_ORDINAL}?(?: of)?[ -]?(?P<month>{_ANY_MONTH})\.?-?{_YEAR}", _day_and_month
    ),
    _rule(rf"(?P<month>{_ANY_MONTH})\.? ?(?P<day>[0-9]{{1,2}}){_ORDINAL}?{_NO_CLOCK}{_YEAR}", _day_and_month),
    _rule(rf"(?:the )?(?P<day>[0-9]{{1,2}}){_ORDINAL}(?: of (?P<which>this|next) month~)?", _day_of_month),
    _rule(r"(?:the )?(?:end|last day) of (?:(?:the|(?P<which>this|next)) )?month~", _end_of_month),
    _rule(rf"(?P<hour>[0-9]{{1,2}})(?:[:.]{_MINUTES})? ?{_HALF_OF_DAY}", _clock),
    _rule(rf"(?P<hour>[0-9]{{1,2}}):{_MINUTES}(?P<half>)(?![0-9:.,])", _clock),
    _rule(r"(?:noon|midday|midnight)~", _noon),
    _rule(r"(?:in the )?(?P<part>morning|afternoon|evening|night)~", _part),
    _rule(rf"(?P<hour>[0-9]{{1,2}}|{_HOUR_WORD})(?: ?o'? ?clock~)?(?: {_HALF_OF_DAY})?(?![0-9:.])", _bare_hour),
    _rule(
        r"(?:next|this|coming) (?:week|month|year|weekend)~",
        refuse("{} is no day: write which one, as in 'next friday 18:00', '1st of next month 09:00' or 'in 7 days'"),
    ),
    _rule(r"now~", refuse("{} is not ahead; '+0s' is at once")),
    _rule(r"(?:yesterday|last|past|previous)~", refuse("{} is over")),
    _rule(
        r"(?:utc|gmt|z|[ce]e?s?t|[pm][sd]t|cst|[+-][0-9]{2}:?[0-9]{2})~",
        refuse("{} is a zone; name it with --tz, or write the instant with its offset: 2026-11-27T10:00:00+08:00"),
    ),
)
