"""Durations as integer microseconds: from what people write, and back to the shortest text.

Numbers are seconds, as everywhere in Python; `parse_duration` and `format_duration` are each other's inverse.
"""

import re
from datetime import timedelta

from mainspring.errors import InvalidValue
from mainspring.when.shown import shown

MAX_DURATION = 36_525 * 86_400 * 1_000_000  # 100 years; what is longer is a slip of the pen or an overflow to come

ACCEPTED = "seconds as a number, a timedelta, or text such as '250ms', '1.5s', '10m', '2h30m', '1d', '1w' or 'PT5M'"

_UNITS = {
    "w": 604_800_000_000,
    "d": 86_400_000_000,
    "h": 3_600_000_000,
    "m": 60_000_000,
    "s": 1_000_000,
    "ms": 1_000,
    "us": 1,
    "µs": 1,  # U+00B5, the key on keyboards
    "μs": 1,  # U+03BC, the Greek letter
}
_NUMBER = r"[0-9]+(?:\.[0-9]+)?"
_PART = re.compile(rf"\s*({_NUMBER})\s*(ms|us|µs|μs|[wdhms])(?![^\W\d])")
_BARE = re.compile(_NUMBER)
_ISO = re.compile(
    rf"P(?:({_NUMBER})Y)?(?:({_NUMBER})M)?(?:({_NUMBER})W)?(?:({_NUMBER})D)?"
    rf"(?:T(?:({_NUMBER})H)?(?:({_NUMBER})M)?(?:({_NUMBER})S)?)?"
)
_MAX_TEXT = 100


def parse_duration(value: float | str | timedelta, *, allow_negative: bool = False) -> int:
    """The microseconds in `value`: seconds as a number, a `timedelta`, or text such as `2h30m` or `PT5M`.

    Rounded to the nearest microsecond; text is read exactly. Not longer than 100 years. Negative ones only with
    `allow_negative`. Anything else is an `InvalidValue` that says what is accepted.
    """
    if isinstance(value, timedelta):
        microseconds = value // timedelta(microseconds=1)
    elif isinstance(value, bool):
        raise _refused(value, "True and False are no durations")
    elif isinstance(value, int):
        microseconds = int(value) * 1_000_000
    elif isinstance(value, float):
        microseconds = _from_float(value)
    elif isinstance(value, str):
        microseconds = _from_text(value)
    else:
        raise _refused(value, f"{type(value).__name__} is no duration")
    if microseconds < 0 and not allow_negative:
        raise _refused(value, "a duration cannot be negative; what should be done at once needs none (or use 0)")
    if abs(microseconds) > MAX_DURATION:
        raise _refused(value, "that is more than 100 years; if it is a point in time, give it as an instant (at=)")
    return microseconds


def format_duration(microseconds: int) -> str:
    """The shortest text that `parse_duration` reads back as exactly this: `2h30m`, `1.5s`, `250ms`, `0s`."""
    if microseconds < 0:
        return "-" + format_duration(-microseconds)
    if microseconds == 0:
        return "0s"
    if microseconds < 1_000:
        return f"{microseconds}us"
    if microseconds < 1_000_000:
        return _decimal(microseconds, 1_000) + "ms"
    days, rest = divmod(microseconds, _UNITS["d"])
    hours, rest = divmod(rest, _UNITS["h"])
    minutes, rest = divmod(rest, _UNITS["m"])
    counts = ((str(days), "d"), (str(hours), "h"), (str(minutes), "m"), (_decimal(rest, 1_000_000), "s"))
    return "".join(count + unit for count, unit in counts if count != "0")


def _decimal(amount: int, unit: int) -> str:
    """`amount / unit` written exactly, without trailing zeros; `unit` is a power of ten."""
    whole, rest = divmod(amount, unit)
    return f"{whole}.{rest:0{len(str(unit)) - 1}d}".rstrip("0").rstrip(".")


def _from_float(value: float) -> int:
    # Infinity and NaN fail the comparison, and so does what would overflow below.
    if not abs(value) <= MAX_DURATION:
        raise _refused(value, "it must be a finite number of seconds")
    return round(value * 1_000_000)


def _from_text(text: str) -> int:
    body = text.strip()
    if len(body) > _MAX_TEXT:
        raise InvalidValue(f"expected a duration ({ACCEPTED}), got a text of {len(text)} characters")
    negative = body.startswith("-")
    if negative:
        body = body[1:].lstrip()
    if body.startswith("P"):
        microseconds = _from_iso(text, body)
    elif _BARE.fullmatch(body):
        microseconds = _scaled(body, _UNITS["s"])
    else:
        microseconds = _from_parts(text, body)
    return -microseconds if negative else microseconds


def _from_parts(text: str, body: str) -> int:
    total, position, smallest = 0, 0, MAX_DURATION
    while position < len(body):
        part = _PART.match(body, position)
        if part is None:
            raise _refused(text, _why_no_part(body[position:].strip()))
        unit = _UNITS[part[2]]
        # The order catches '30s5m' written for '30m5s', and units given twice.
        if unit >= smallest:
            raise _refused(text, "write each unit once and the larger ones first, as in '1h30m'")
        total += _scaled(part[1], unit)
        position, smallest = part.end(), unit
    if position == 0:
        raise _refused(text, "it is empty")
    return total


def _why_no_part(rest: str) -> str:
    if _PART.match(rest.lower()):
        return "units are written in small letters"
    unit = re.match(rf"{_NUMBER}\s*([^\W\d]+)", rest)
    if unit is None:
        return f"cannot read {rest!r}"
    first = unit[1][0].lower()
    hints = {
        "m": "minutes are 'm', milliseconds 'ms'; months have no fixed length: count in days or use a cron schedule",
        "y": "years have no fixed length: count in days ('365d')",
    }
    return f"there is no unit {unit[1]!r}; " + hints.get(first, "the units are w, d, h, m, s, ms and us")


def _from_iso(text: str, body: str) -> int:
    match = _ISO.fullmatch(body.replace(",", "."))
    if match is None or body[-1] in "PT":
        raise _refused(text, "an ISO 8601 duration looks like 'PT5M', 'P1DT2H' or 'PT0.5S'")
    years, months, weeks, days, hours, minutes, seconds = match.groups()
    if years or months:
        raise _refused(
            text, "years and months have no fixed length; count in weeks or days, or use 'PT5M' if minutes are meant"
        )
    amounts = ((weeks, "w"), (days, "d"), (hours, "h"), (minutes, "m"), (seconds, "s"))
    return sum(_scaled(amount, _UNITS[unit]) for amount, unit in amounts if amount)


def _scaled(number: str, unit: int) -> int:
    """`number` (decimal text) times `unit`, exactly, then rounded to the nearest integer."""
    whole, _, fraction = number.partition(".")
    scale = int("1" + "0" * len(fraction))
    return (int(whole + fraction) * unit * 2 + scale) // (2 * scale)


def _refused(value: object, why: str) -> InvalidValue:
    return InvalidValue(f"expected a duration ({ACCEPTED}), got {shown(value)}: {why}")
