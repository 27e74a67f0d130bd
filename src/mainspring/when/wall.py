"""The command line's WHEN: what people type for an instant, read with `now` and the zone they live in."""

import os
import re
from datetime import UTC, datetime, time, timedelta, tzinfo

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
  tomorrow 09:00   today 18:00    a local time on that day
  +1.5s   +10m   +2h30m           from now
  1795744800                      epoch seconds"""

_EPOCH_SECONDS = re.compile(r"[0-9]+(?:\.[0-9]+)?")
_TIME_OF_DAY = re.compile(r"[0-9]{1,2}:[0-9]{2}(?::[0-9]{2}(?:[.,][0-9]+)?)?")
_DAYS = {"today": 0, "tomorrow": 1}


def parse_when(text: str, *, now: int, tz: tzinfo | str) -> int:
    """The instant that `text` means, in microseconds UTC, read at `now` in the zone `tz`.

    A time of day is its next occurrence strictly after `now`. A local time that does not exist or exists twice
    is an `InvalidValue` that shows the choices; what cannot be read is one that shows the accepted forms.
    """
    zone = load_zone(tz)
    body = " ".join(text.split())
    if body.startswith("+"):
        return now + parse_duration(body[1:])
    if _EPOCH_SECONDS.fullmatch(body):
        return _epoch_seconds(text, body)
    if _TIME_OF_DAY.fullmatch(body):
        return _next_occurrence(text, _time_of_day(text, body), now, zone)
    day, _, rest = body.partition(" ")
    if day.lower() in _DAYS:
        return _on_day(text, day.lower(), rest, now, zone)
    if is_date_only(body):
        raise _refused(text, f"say at what time of that day: '{body} 09:00'")
    try:
        datetime.fromisoformat(body.upper())
    except ValueError as error:
        raise _refused(text, _why_unread(body, error)) from None
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


def _next_occurrence(text: str, clock: time, now: int, zone: tzinfo) -> int:
    today = to_datetime(now, zone).date()
    for days in (0, 1, 2):  # two, where a zone skips a whole day
        local = datetime.combine(today + timedelta(days=days), clock)
        # A time that does not exist, or exists twice, is over only when both its readings are.
        if local_choices(local.replace(tzinfo=zone))[-1] > now:
            return resolve_local(local, zone)
    raise _refused(text, "there is no such time in the next days")


def _on_day(text: str, day: str, rest: str, now: int, zone: tzinfo) -> int:
    if not _TIME_OF_DAY.fullmatch(rest):
        raise _refused(text, f"say at what time: '{day} 09:00'")
    here = to_datetime(now, zone)
    local = datetime.combine(here.date() + timedelta(days=_DAYS[day]), _time_of_day(text, rest))
    instant = resolve_local(local, zone)
    if instant <= now:
        raise _refused(text, f"that is over, it is {here:%H:%M:%S} now; did you mean 'tomorrow {rest}'?")
    return instant


def _time_of_day(text: str, body: str) -> time:
    """Digits finer than microseconds are refused here: rounding them up could mean the next day."""
    fraction = re.search(r"[.,]([0-9]+)", body)
    if fraction and len(fraction[1]) > 6:
        raise _refused(text, "a time of day has at most six digits after the second")
    try:
        return time.fromisoformat("0" + body if body[1] == ":" else body)
    except ValueError as error:
        raise _refused(text, str(error)) from None


def _why_unread(body: str, error: ValueError) -> str:
    try:
        parse_duration(body)
    except InvalidValue:
        return describe(error)
    return f"that is a duration; for an instant write '+{body}'"


def _refused(text: str, why: str) -> InvalidValue:
    return InvalidValue(f"cannot read {shown(text)} as an instant: {why}. What is accepted:\n{ACCEPTED}")
