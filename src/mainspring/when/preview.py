"""What a trigger will do next, with a note wherever a change of the clocks touches it. Pure.

An occurrence is compared with the wall time it stands for: one that the clock shows twice, and wall times of the rule
that a day does not have, are said in words.
"""

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime, tzinfo
from typing import NamedTuple

from mainspring.errors import InvalidValue
from mainspring.when.dst import Change, changes, offset_at
from mainspring.when.durations import format_duration
from mainspring.when.every import Every
from mainspring.when.instants import from_datetime, to_datetime
from mainspring.when.triggers import Trigger, decode_trigger, encode_trigger

_SECOND = 1_000_000
_DAY = 86_400 * _SECOND
_MOST_DAYS = 3_700  # as far back from an occurrence as changes of the clocks are looked for
# Kinds that are made of wall times and parts of such kinds; others hold instants, which no change of clocks moves.
_OF_WALL_TIMES = frozenset({"cron", "calendar", "day_times", "rrule", "union", "except"})
_MOST_MISSING = 10_000  # wall times of a rule within one gap that are counted


class Occurrence(NamedTuple):
    """An instant in µs UTC, and what is to be said about it."""

    at: int
    notes: tuple[str, ...]


def preview(trigger: Trigger, after: int, count: int, zone: tzinfo = UTC) -> list[Occurrence]:
    """The first `count` occurrences strictly after `after` (µs UTC), fewer when there are no more.

    Notes speak of the rule's own zone; for a rule without wall times, of `zone`, where its reader lives.
    """
    stored = encode_trigger(trigger)
    zones = _zones(stored)
    plain = _without_changes(stored) if len(zones) == 1 else None
    if zones:
        zone = rule_zone(trigger, after) or zone
    out: list[Occurrence] = []
    before = after
    while len(out) < count and (at := trigger.next_us(before)) is not None:
        notes: list[str] = []
        if plain is not None:
            notes += _lost(trigger, plain, before, at, zone)
        elif isinstance(trigger, Every):
            notes += _changed_offset(before, at, zone)
        out.append(Occurrence(at, (*notes, *_shown_twice(trigger, at, zone))))
        before = at
    return out


def rule_zone(trigger: Trigger, after: int) -> tzinfo | None:
    """The zone in which a trigger answers; None where it has no occurrence after `after` (µs UTC)."""
    following = trigger.next(to_datetime(after))
    return None if following is None else following.tzinfo


def _zones(stored: object) -> set[str]:
    """The zones in which a stored trigger, or a part of it, has wall times."""
    if isinstance(stored, list):
        return set().union(*map(_zones, stored))
    if not isinstance(stored, dict):
        return set()
    found = set().union(*map(_zones, stored.values()))
    return found | {stored["tz"]} if isinstance(stored.get("tz"), str) else found


def _without_changes(stored: Mapping[str, object]) -> Trigger | None:
    """The same rule for clocks that are never changed; None for one that has instants among its wall times."""
    ((kind, kept),) = stored.items()
    if kind not in _OF_WALL_TIMES or not isinstance(kept, dict):
        return None
    inner = [kept["of"]] if isinstance(kept.get("of"), dict) else kept.get("of", [])
    inner = [*inner, *([kept["without"]] if kept.get("without") else [])]
    if any(_without_changes(one) is None for one in inner):
        return None
    try:
        return decode_trigger({kind: _in_utc(kept)})
    except InvalidValue:  # what is possible only where clocks are changed
        return None


def _in_utc(stored: object) -> object:
    if isinstance(stored, list):
        return [_in_utc(one) for one in stored]
    if not isinstance(stored, dict):
        return stored
    return {word: "UTC" if word == "tz" else _in_utc(value) for word, value in stored.items()}


def _shown_twice(trigger: Trigger, at: int, zone: tzinfo) -> Iterator[str]:
    """The occurrence's wall time comes twice, because the clocks are put back."""
    local = to_datetime(at, zone)
    first, second = (from_datetime(local.replace(fold=fold)) for fold in (0, 1))
    if first == second or not first <= at <= second:
        return
    clock = _clock(local)
    which, other = ("first", second) if at == first else ("second", first)
    if trigger.next_us(other - 1) == other:
        yield f"the clock shows {clock} twice: runs both times, this is the {which}"
    else:
        yield f"the clock shows {clock} twice: runs the {which} time"


def _lost(trigger: Trigger, plain: Trigger, before: int, at: int, zone: tzinfo) -> Iterator[str]:
    """Wall times of the rule between two occurrences that do not exist, because the clocks are put forward."""
    for jump in _jumps(before, at, zone):
        walls = _walls(plain, (jump.at + jump.before) * _SECOND, (jump.at + jump.after) * _SECOND)
        if walls:
            yield _missing(walls, _instead(trigger, plain, walls, jump, zone))


def _walls(plain: Trigger, start: int, end: int) -> list[int]:
    """The rule's wall times from `start` up to `end`, as if they were instants of UTC."""
    out: list[int] = []
    wall = plain.next_us(start - 1)
    while wall is not None and wall < end and len(out) < _MOST_MISSING:
        out.append(wall)
        wall = plain.next_us(wall)
    return out


def _instead(trigger: Trigger, plain: Trigger, walls: Sequence[int], jump: Change, zone: tzinfo) -> str:
    """What becomes of wall times that do not exist: what runs that would not have run for its own wall time."""
    shifted = [wall - jump.before * _SECOND for wall in walls]
    for candidates in (shifted, [jump.at * _SECOND]):
        extra = [at for at in candidates if _runs(trigger, at) and not _runs(plain, at + jump.after * _SECOND)]
        if extra:
            first, last = to_datetime(extra[0], zone), to_datetime(extra[-1], zone)
            day = "" if first.date() == to_datetime(walls[0]).date() else f" on {first.date()}"
            between = f"at {_clock(first)}" if len(extra) == 1 else f"from {_clock(first)} to {_clock(last)}"
            return f"runs {between}{day}"
    return "left out"


def _missing(walls: Sequence[int], instead: str) -> str:
    first, last = to_datetime(walls[0]), to_datetime(walls[-1])
    if len(walls) == 1:
        return f"{_clock(first)} does not exist on {first.date()}: {instead}"
    if len(walls) == 2:
        return f"{_clock(first)} and {_clock(last)} do not exist on {first.date()}: {instead}"
    return f"{_clock(first)} to {_clock(last)} ({len(walls):,} times) do not exist on {first.date()}: {instead}"


def _changed_offset(before: int, at: int, zone: tzinfo) -> Iterator[str]:
    """For a rule that knows no wall times: the clocks of its reader were changed since the occurrence before."""
    then, now = offset_at(zone, before // _SECOND), offset_at(zone, at // _SECOND)
    if then != now:
        way, by = "forward" if now > then else "back", format_duration(abs(now - then) * _SECOND)
        yield f"the clocks in {zone} are put {way} by {by} before this: the rule counts real time"


def _jumps(before: int, at: int, zone: tzinfo) -> list[Change]:
    """Where, after `before` and up to `at`, the clocks of `zone` are put forward; in seconds."""
    low = max(before, at - _MOST_DAYS * _DAY)
    return [one for one in changes(zone, low // _SECOND, at // _SECOND) if one.after > one.before]


def _runs(trigger: Trigger, at: int) -> bool:
    return trigger.next_us(at - 1) == at


def _clock(moment: datetime) -> str:
    """`02:30`, with seconds where there are any."""
    return moment.isoformat(timespec="auto").partition("T")[2][: 8 if moment.second else 5]
