"""`Cron` against the reference in one zone: minute by minute 48 h around every transition, and hourly elsewhere."""

from array import array
from bisect import bisect_right
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from functools import cache, lru_cache
from itertools import pairwise
from zoneinfo import ZoneInfo

from cron_reference import SETTINGS, Walk, day_fits, rule, time_fits

from mainspring.when.cron import Cron

BEGIN = int(datetime(2020, 1, 1, tzinfo=UTC).timestamp())
END = int(datetime(2038, 1, 1, tzinfo=UTC).timestamp())
NEW_YEAR = datetime(2020, 1, 1, tzinfo=UTC).replace(tzinfo=None)
HOUR, DAY = 3600, 86_400
EXPRESSIONS = (
    "* * * * *",
    "*/30 * * * *",
    "7,37 1-3 * * *",
    "30 2 * * *",
    "0 0,1,3,23 * * *",
    "15 */2 1-7,L * sun",
)


def offset(zone: ZoneInfo, instant: int) -> int:
    return datetime.fromtimestamp(instant, zone).utcoffset() // timedelta(seconds=1)


def transitions(zone: ZoneInfo, begin: int, end: int) -> list[int]:
    """Where the offset changes: every hour is looked at, and of those that differ every minute."""
    found = []
    hours = ((hour, offset(zone, hour)) for hour in range(begin, end, HOUR))
    for (low, before), (high, after) in pairwise(hours):
        if before != after:
            found.append(next(minute for minute in range(low, high + 1, 60) if offset(zone, minute) != before))
    return found


def windows(found: list[int], begin: int, end: int) -> list[tuple[int, int]]:
    """The 48 h around each transition; what overlaps is one window."""
    merged: list[tuple[int, int]] = []
    for at in found:
        low, high = max(at - DAY, begin), min(at + DAY, end)
        if merged and low <= merged[-1][1]:
            low = merged.pop()[0]
        merged.append((low, high))
    return merged


@lru_cache(maxsize=len(EXPRESSIONS))
def quick(expression: str):
    """`fits`, remembered by date and by time of day."""
    day = cache(lambda date: day_fits(expression, datetime.combine(date, NEW_YEAR.time())))
    time = cache(lambda time: time_fits(expression, datetime.combine(NEW_YEAR, time)))
    return lambda local: time(local.time()) and day(local.date())


@lru_cache(maxsize=len(EXPRESSIONS))
def local_minutes(expression: str, begin: int, end: int) -> array:
    """The local times that fit, as seconds since 1970 as if in UTC, for where nothing happens to the clocks."""
    minutes = [at for at in range(0, DAY, 60) if time_fits(expression, NEW_YEAR + timedelta(seconds=at))]
    found = array("q")
    for day in range(begin // DAY * DAY - 2 * DAY, end + 2 * DAY, DAY):
        if day_fits(expression, NEW_YEAR + timedelta(seconds=day - BEGIN)):
            found.extend(day + at for at in minutes)
    return found


class Expected:
    """What `next` must answer: from the walk inside the windows, from plain local times between them.

    Asked with ascending instants. None: there is none before the end.
    """

    def __init__(self, expression: str, zone: ZoneInfo, walks: list[Walk], setting, begin: int, end: int) -> None:
        self.local = local_minutes(expression, begin, end)
        self.begin = at = begin
        self.parts: list[tuple[int, list[int] | int]] = []  # until when, and the instants or the offset
        for walk in walks:
            self.parts.append((walk.begin, offset(zone, at)))
            self.parts.append((walk.end, walk.instants(quick(expression), *rule(expression, **setting))))
            at = walk.end
        self.parts.append((end, offset(zone, at)))
        self.answer: int | None = begin - 1
        self.part = 0

    def next(self, after: int) -> int | None:
        if self.answer is None or after < self.answer:
            return self.answer
        while self.part < len(self.parts):
            end, rule = self.parts[self.part]
            begin = self.parts[self.part - 1][0] if self.part else self.begin
            instants, shift = (self.local, rule) if isinstance(rule, int) else (rule, 0)
            at = bisect_right(instants, max(after, begin - 1) + shift)
            if at < len(instants) and instants[at] - shift < end:
                self.answer = instants[at] - shift
                return self.answer
            self.part += 1
        self.answer = None
        return None


def differences(name: str, begin: int = BEGIN, end: int = END, *, stride: int = 60) -> Iterator[str]:
    """What `Cron` answers otherwise than the reference in this zone, in words; from `begin` to `end` in seconds.

    `stride`: how many seconds lie between two questions inside the windows.
    """
    zone = ZoneInfo(name)
    around = windows(transitions(zone, begin, end), begin, end)
    walks = [Walk(zone, low, high) for low, high in around]
    for expression in EXPRESSIONS:
        for number, setting in enumerate(SETTINGS):
            expected = Expected(expression, zone, walks, setting, begin, end)
            cron = Cron(expression, tz=name, **setting)
            for after in starts(around, number, begin, end, stride):
                wanted = expected.next(after)
                came = cron.next_us(after * 1_000_000)
                fits = came is None or came >= end * 1_000_000 if wanted is None else came == wanted * 1_000_000
                if not fits:
                    yield f"{cron!r} after {after}: expected {wanted}, got {came}"


def starts(around: list[tuple[int, int]], number: int, begin: int, end: int, stride: int) -> Iterator[int]:
    """Every `stride` in the windows; and every hour between them, shared out among the settings."""
    at = begin
    for low, high in [*around, (end, end)]:
        first = at + (number - at // HOUR) % len(SETTINGS) * HOUR
        yield from range(first, low, HOUR * len(SETTINGS))
        yield from range(low, high, stride)
        at = high


def representatives(names: list[str]) -> dict[str, list[str]]:
    """One zone for all that have the same clocks, and which these are."""
    instants = [datetime.fromtimestamp(at, UTC) for at in range(BEGIN, END, 6 * HOUR)]
    groups: dict[tuple[object, ...], list[str]] = {}
    for name in names:
        zone = ZoneInfo(name)
        groups.setdefault(tuple(map(zone.utcoffset, (at.replace(tzinfo=zone) for at in instants))), []).append(name)
    return {group[0]: group for group in groups.values()}
