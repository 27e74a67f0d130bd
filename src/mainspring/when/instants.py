"""Instants as integer microseconds UTC: from what people pass, and back to datetimes and text.

A local time that does not exist or exists twice is never guessed: the error shows the instants to choose from. An aware
datetime that exists twice has chosen already: its `fold` says which, and `datetime.now(zone)` means what it says.
"""

import re
from datetime import UTC, date, datetime, timedelta, tzinfo
from typing import NoReturn

from mainspring.errors import InvalidValue
from mainspring.when.durations import parse_duration
from mainspring.when.shown import shown
from mainspring.when.zones import note

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)

# A day less than a datetime can hold, so that every instant can be shown in every zone.
MIN_INSTANT = (datetime(1, 1, 2, tzinfo=UTC) - EPOCH) // _MICROSECOND
MAX_INSTANT = (datetime(9999, 12, 30, tzinfo=UTC) - EPOCH) // _MICROSECOND

EPOCH_FROM = 978_307_200  # 2001-01-01T00:00Z: a smaller number is rather a duration
EPOCH_TO = 4_102_444_800  # 2100-01-01T00:00Z: a larger one rather milliseconds

ACCEPTED = "an aware datetime, ISO 8601 text with an offset ('2026-11-27T10:00:00+08:00'), or epoch seconds"

_FINER_THAN_MICROSECONDS = re.compile(r"\d\d[.,]\d{6}(\d+)")


def parse_instant(value: datetime | str | float, *, tz: tzinfo | str | None = None) -> int:
    """The microseconds since 1970-01-01T00:00Z of an aware datetime, ISO 8601 text with an offset, or epoch seconds.

    `tz` (a zone or its name) says how to read a naive datetime or a text without offset; without it they are
    refused. Finer digits than microseconds round up, so that nothing is early. Errors are `InvalidValue`.
    """
    if isinstance(value, str):
        return _from_text(value, tz)
    if isinstance(value, bool):
        raise InvalidValue(f"expected an instant ({ACCEPTED}), got {value!r}: True and False are no instants")
    if isinstance(value, int | float):
        return from_epoch_seconds(value)
    moment = _as_datetime(value)
    return resolve_local(moment, tz) if moment.utcoffset() is None else _from_aware(moment, fold_is_meant=True)


def to_datetime(microseconds: int, tz: tzinfo = UTC) -> datetime:
    """The instant as an aware datetime in `tz`."""
    moment = EPOCH + timedelta(microseconds=microseconds)
    return moment if tz is UTC else moment.astimezone(tz)


def isoformat(microseconds: int) -> str:
    """The instant as ISO 8601 in UTC, always with six digits: `2026-11-27T02:00:00.000000Z`."""
    return to_datetime(microseconds).replace(tzinfo=None).isoformat(timespec="microseconds") + "Z"


def from_datetime(moment: datetime) -> int:
    """The instant of an aware datetime that a program made, taken as Python reads it (fold=0 is the first)."""
    if moment.utcoffset() is None:
        _refuse_naive(repr(moment), moment)
    return (moment - EPOCH) // _MICROSECOND


def load_zone(name: str | tzinfo) -> tzinfo:
    """The time zone called `name` (`Asia/Shanghai`); a `tzinfo` is returned as it is. Unknown: `InvalidValue`."""
    if isinstance(name, tzinfo):
        return name
    if name == "UTC":
        return UTC
    from zoneinfo import ZoneInfo

    try:
        zone = ZoneInfo(name)
    except (KeyError, ValueError, OSError, TypeError):  # not found, not a relative path, a directory, not text
        raise InvalidValue(_unknown_zone(name)) from None
    note(name)
    return zone


def from_epoch_seconds(value: float) -> int:
    """The instant of epoch seconds between 2001 and 2100; rounded to the nearest microsecond."""
    if EPOCH_FROM <= value <= EPOCH_TO:
        return int(value) * 1_000_000 if isinstance(value, int) else round(value * 1_000_000)
    if EPOCH_FROM * 1_000 <= value <= EPOCH_TO * 1_000:
        why = f"that looks like milliseconds; divide by 1000: {value / 1_000!r}"
    elif EPOCH_FROM * 10**6 <= value <= EPOCH_TO * 10**9:
        why = "that looks like micro- or nanoseconds; epoch seconds are expected"
    else:
        why = f"as epoch seconds it is outside 2001–2100; did you mean after={shown(value)}?"
    raise InvalidValue(f"expected an instant ({ACCEPTED}), got {shown(value)}: {why}")


def resolve_local(local: datetime, tz: tzinfo | str | None) -> int:
    """The instant of the naive `local` in `tz`; a time that does not exist there, or exists twice, is an error.

    `fold=1` on a time that exists twice is a choice: the second one.
    """
    if tz is None:
        _refuse_naive(repr(local), local)
    zone = load_zone(tz)
    if local.tzinfo is not None:  # a tzinfo that does not know its offset
        local = local.replace(tzinfo=None)
    return _from_aware(local.replace(tzinfo=zone), fold_is_meant=False)


def local_choices(moment: datetime) -> tuple[int, ...]:
    """The instants that a local time with its zone can mean: one; or two, earlier first.

    Two when it exists twice, and when it does not exist (then the times as far before and after the gap).
    """
    first, second = from_datetime(moment.replace(fold=0)), from_datetime(moment.replace(fold=1))
    return (first,) if first == second else (min(first, second), max(first, second))


def _from_aware(moment: datetime, *, fold_is_meant: bool) -> int:
    choices = local_choices(moment)
    if len(choices) == 1:
        return _bounded(choices[0], moment)
    # Fixed offsets never come here. PEP 495: the offset before the change belongs to fold=0; it is the larger
    # one where clocks were put back (the time exists twice), the smaller one where they were put forward.
    before, after = moment.replace(fold=0).utcoffset(), moment.replace(fold=1).utcoffset()
    assert before is not None
    assert after is not None
    exists_twice = before > after
    if exists_twice and (fold_is_meant or moment.fold == 1):
        return choices[moment.fold]
    assert moment.tzinfo is not None
    earlier, later = (to_datetime(choice, moment.tzinfo).isoformat() for choice in choices)
    wall = moment.replace(tzinfo=None).isoformat(sep=" ")
    if exists_twice:
        raise InvalidValue(
            f"the local time {wall} exists twice in {moment.tzinfo}: the clocks are put back; "
            f"say which one with its offset: '{earlier}' or '{later}'"
        )
    raise InvalidValue(
        f"the local time {wall} does not exist in {moment.tzinfo}: the clocks are put forward; "
        f"write a time before or after the gap: '{earlier}' or '{later}'"
    )


def _from_text(text: str, tz: tzinfo | str | None) -> int:
    body = text.strip()
    try:
        # RFC 3339 allows small letters, fromisoformat does not.
        moment = datetime.fromisoformat(body.upper())
    except ValueError as error:
        why = _why_no_instant(body, error)
        raise InvalidValue(f"expected an instant ({ACCEPTED}), got {shown(text)}: {why}") from None
    if is_date_only(body):
        raise InvalidValue(f"expected an instant, got the date {text!r}: add the time of day: '{body}T00:00:00+00:00'")
    if moment.utcoffset() is None:
        if tz is None:
            _refuse_naive(repr(text), moment)
        instant = resolve_local(moment, tz)
    else:
        instant = _bounded((moment - EPOCH) // _MICROSECOND, text)
    # fromisoformat cuts off what is finer than microseconds; that would be early.
    finer = _FINER_THAN_MICROSECONDS.search(body)
    return instant + 1 if finer and finer[1].strip("0") else instant


def is_date_only(text: str) -> bool:
    """Whether `text` is an ISO 8601 date without a time of day."""
    try:
        date.fromisoformat(text)
    except ValueError:
        return False
    return True


def _why_no_instant(body: str, error: ValueError) -> str:
    if body.replace(".", "", 1).isdigit():
        return "epoch seconds are passed as a number, not as text"
    try:
        parse_duration(body.removeprefix("+"))
    except InvalidValue:
        return describe(error)
    return f"that is a duration; did you mean after={body.removeprefix('+')!r}?"


def describe(error: ValueError) -> str:
    """What Python says about a text that is no ISO 8601, when it says more than that."""
    return "it is no ISO 8601 date and time" if str(error).startswith("Invalid isoformat") else str(error)


def _as_datetime(value: object) -> datetime:
    if isinstance(value, datetime):
        return value
    if isinstance(value, date):
        raise InvalidValue(
            f"expected an instant ({ACCEPTED}), got the date {value!r}: "
            f"say at what time of that day, and in which zone: '{value.isoformat()}T00:00:00+00:00'"
        )
    # Date-time types of other libraries (whenever, pandas, Arrow) say how they become a datetime.
    for method in ("py_datetime", "to_pydatetime"):
        convert = getattr(value, method, None)
        if callable(convert):
            moment = convert()
            if isinstance(moment, datetime) and moment.utcoffset() is not None:
                # Such a type has settled already which of two equal local times it means.
                return moment.astimezone(UTC)
    raise InvalidValue(f"expected an instant ({ACCEPTED}), got {shown(value)} of type {type(value).__name__}")


def _bounded(instant: int, came: object) -> int:
    if MIN_INSTANT <= instant <= MAX_INSTANT:
        return instant
    raise InvalidValue(f"expected an instant between the years 1 and 9999 in every zone, got {came!r}")


def _refuse_naive(came: str, local: datetime) -> NoReturn:
    raise InvalidValue(
        f"expected an instant with its offset from UTC, got {came}, which has none: write "
        f"'{local.replace(tzinfo=None).isoformat()}+00:00' (or the offset of your zone), pass a datetime with "
        f"tzinfo=ZoneInfo('Asia/Shanghai') or the like, or say once in which zone naive times are meant: Daemon(tz=...)"
    )


def _unknown_zone(name: object) -> str:
    from difflib import get_close_matches
    from zoneinfo import available_timezones

    expected = "expected the name of a time zone such as 'Asia/Shanghai' or 'UTC'"
    if not isinstance(name, str):
        return f"{expected}, got {name!r} of type {type(name).__name__}"
    known = sorted(available_timezones())
    if not known:
        return f"{expected}, got {name!r}; this machine has no time zone data: install the package 'tzdata'"
    wanted = name.strip().replace(" ", "_").lower()
    names = {zone.lower(): zone for zone in known}
    # People write the city alone as often as they mistype the whole name.
    cities = [zone for zone in known if zone.lower().rpartition("/")[2] == wanted]
    close = [names[match] for match in get_close_matches(wanted, names, n=3)]
    suggestions = list(dict.fromkeys(cities + close))[:3]
    hint = f"; did you mean {' or '.join(map(repr, suggestions))}?" if suggestions else ""
    return f"{expected}, got {name!r}{hint}"
