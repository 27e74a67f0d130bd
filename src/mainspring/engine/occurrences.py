"""Which occurrences of a schedule run, and which were missed: pure, by the schedule's own rule.

Later than `grace` is missed. Of what was missed `misfire` says what runs still: the latest, the `catch_up` latest, or
none; the rest is one stretch. A trigger is asked for at most so many instants at a time: a long absence is accounted
for in pieces, and nothing else waits for it.
"""

from collections import deque

import msgspec

from mainspring.engine.definitions import Rule
from mainspring.when.triggers import Trigger

AT_ONCE = 1_000  # occurrences made in one turn
_COUNTED = 20_000  # occurrences that are counted in one turn: a fifth of a second
_SECOND = 1_000_000


class Stretch(msgspec.Struct, frozen=True):
    """Occurrences that do not run: the first and the last of them (µs), and how many."""

    first: int
    last: int
    count: int


class Plan(msgspec.Struct, frozen=True):
    """What is made of a schedule now. `judged`: those of `run` that were missed and run all the same; instants in µs.

    `following`: where to go on; when that is due already, there is more to do.
    """

    run: list[int]
    judged: int
    missed: Stretch | None
    following: int | None


def plan(trigger: Trigger, rule: Rule, first: int, now: int, until: int) -> Plan:
    """From the occurrence `first` up to `until`, read at `now`."""
    oldest = now - rule.grace
    run: list[int] = []
    missed: Stretch | None = None
    at: int | None = first
    if first < oldest:
        at = trigger.next_us(oldest - 1)
        late = _latest(trigger, first, oldest, rule.late)
        end = late[0] if late else oldest
        if first < end:
            missed, rest = stretch(trigger, first, end)
            if rest is not None:
                return Plan([], 0, missed, rest)
        run = late
    judged = len(run)
    while at is not None and at <= until and len(run) < AT_ONCE + judged:
        run.append(at)
        at = trigger.next_us(at)
    return Plan(run, judged, missed, at)


def stretch(trigger: Trigger, first: int, end: int) -> tuple[Stretch, int | None]:
    """The occurrences from `first` to before `end`; and the one at which counting has to go on, if it was too much."""
    count_us = getattr(trigger, "count_us", None)
    if count_us is not None:  # it can tell without being asked for each
        last = _latest(trigger, first, end, 1)[0]
        return Stretch(first, last, count_us(first - 1, last)), None
    count, last = 1, first
    while (at := trigger.next_us(last)) is not None and at < end:
        if count == _COUNTED:
            return Stretch(first, last, count), at
        count, last = count + 1, at
    return Stretch(first, last, count), None


def _latest(trigger: Trigger, first: int, end: int, most: int) -> list[int]:
    """The last `most` occurrences from `first` to before `end`: looked for in ever longer times before `end`."""
    found: deque[int] = deque(maxlen=most)
    if not most:
        return []
    back = _SECOND
    while len(found) < most:
        since = max(first, end - back)
        found.clear()
        at = trigger.next_us(since - 1)
        while at is not None and at < end:
            found.append(at)
            at = trigger.next_us(at)
        if since == first:
            break
        back *= 2
    return list(found)
