"""The command line's WHEN: what people type for an instant, read with `now` and the zone they live in."""

import os
import re
from datetime import UTC, datetime, time, tzinfo

from mainspring.errors import InvalidValue
from mainspring.when.durations import parse_duration
from mainspring.when.instants import (
    EPOCH_FROM,
    EPOCH_TO,
    describe,
    is_date_only,
    load_zone,
    local_choices,
    parse_instant,
    resolve_local,
    to_datetime,
)
from mainspring.when.shown import shown

ACCEPTED = """\
  2026-11-27T10:00:00.250+08:00   an instant with its offset (ISO 8601)
  2026-11-27 10:00:00.250         a local time
  10:00   10:00:30.250            the next time the clock shows it
  tomorrow 9am   friday 18:00   27 nov noon   a local time on that day
  +1.5s   +10m   in 5 minutes     from now
  明天上午9点   下周五18:00   半小时后   the same in Chinese
  1795744800                      epoch seconds"""

_EPOCH_SECONDS = re.compile(r"[0-9]+(?:\.[0-9]+)?")
_ISO = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}[t ][0-9]{2}(?::[0-9]{2}[0-9:.,]*)?(?:z|[+-][0-9:]+)?$", re.IGNORECASE)
# What input methods for Chinese type for digits, colons and letters.
_FULL_WIDTH = {wide: wide - 0xFEE0 for wide in range(0xFF01, 0xFF5F)}


def parse_when(text: str, *, now: int, tz: tzinfo | str) -> int:
    """The instant that `text` means, in microseconds UTC, read at `now` in the zone `tz`.

    A time of day, a weekday and a date without a year are their next occurrence strictly after `now`. A local time that
    does not exist or exists twice is an `InvalidValue` that shows the choices; what cannot be read, is over or can be
    meant in two ways is one that says so and shows the accepted forms.
    """
    zone = load_zone(tz)
    body = " ".join(text.translate(_FULL_WIDTH).split())
    if body.startswith("+"):
        return now + parse_duration(body[1:])
    if _EPOCH_SECONDS.fullmatch(body):
        return _epoch_seconds(text, body)
    if is_date_only(body):
        raise _refused(text, f"say at what time of that day: '{body} 09:00'")
    try:
        datetime.fromisoformat(body.upper())
    except ValueError as error:
        if _ISO.match(body):
            raise _refused(text, describe(error)) from None
        return _as_said(text, body, now, zone)
    return parse_instant(body, tz=zone)


def local_zone() -> tzinfo:
    """The zone this machine lives in: `TZ`, else /etc/localtime, else UTC. With its rules, not today's offset."""
    name = os.environ.get("TZ", "").removeprefix(":")
    if name and not name.startswith("/"):
        return load_zone(name)
    path = os.path.realpath(name or "/etc/localtime")
    _, found, key = path.partition("/zoneinfo/")
    if found:
        try:
            return load_zone(key)
        except InvalidValue:
            pass  # a file beside the zones that Python knows: read it by its path
    from zoneinfo import ZoneInfo

    try:
        with open(path, "rb") as file:
            return ZoneInfo.from_file(file, key="localtime")
    except (OSError, ValueError):
        return UTC


def _epoch_seconds(text: str, body: str) -> int:
    whole, _, fraction = body.partition(".")
    if not EPOCH_FROM <= float(body) <= EPOCH_TO:
        raise _refused(text, f"as epoch seconds it is outside 2001–2100; did you mean '+{body}s'?")
    exact = int(whole) * 1_000_000 + int(fraction[:6].ljust(6, "0"))
    return exact + 1 if fraction[6:].strip("0") else exact


def _as_said(text: str, body: str, now: int, zone: tzinfo) -> int:
    """What people say, in English or Chinese: it is read first at its local time, then found in the zone."""
    from mainspring.when.said import is_chinese

    if is_chinese(body):
        from mainspring.when.said_zh import read_chinese as read
    else:
        from mainspring.when.said_en import read_english as read
    here = to_datetime(now, zone)
    try:
        meant = read(body.lower(), here)
    except InvalidValue as error:
        raise _refused(text, _hint_at_durations(body) or str(error)) from None
    except OverflowError:
        raise _refused(text, "that is after the year 9999") from None
    if isinstance(meant, int):
        return now + meant
    candidates = [datetime.combine(day, meant.clock) for day in meant.dates]
    for local in candidates:
        # A time that does not exist, or exists twice, is over only when both its readings are.
        if local_choices(local.replace(tzinfo=zone))[-1] > now:
            return resolve_local(local, zone)
    if meant.dates == (here.date(),):
        raise _refused(
            text, f"that is over, it is {here:%H:%M:%S} now; did you mean 'tomorrow {_shortest(meant.clock)}'?"
        )
    raise _refused(text, f"that is over: it was {candidates[-1]:%Y-%m-%d %H:%M:%S}, it is {here:%Y-%m-%d %H:%M:%S} now")


def _shortest(clock: time) -> str:
    return clock.isoformat().removesuffix(":00")


def _hint_at_durations(body: str) -> str:
    try:
        parse_duration(body)
    except InvalidValue:
        return ""
    return f"that is a duration; for an instant write '+{body}'"


def _refused(text: str, why: str) -> InvalidValue:
    return InvalidValue(f"cannot read {shown(text)} as an instant: {why}. What is accepted:\n{ACCEPTED}")
