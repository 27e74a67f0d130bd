"""Makes the tasks of schedules, a little ahead: an occurrence is a row before its instant comes.

Any daemon may; `advance` is a compare-and-set, so that one wins and each occurrence is made once.
"""

import msgspec

from mainspring.engine.definitions import ScheduleDefinition, encode, schedule_of
from mainspring.store.protocol import Store
from mainspring.store.rows import Standing
from mainspring.when.triggers import Trigger, decode_trigger

AHEAD_US = 5_000_000
LEAD_US = 2_000_000
GRACE_US = 60_000_000  # what is later than this was missed: of those occurrences only the last one runs
_AT_ONCE = 1_000


class Planner:
    """The step that looks at the schedules."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._changed = True
        self._at: int | None = None

    def hear(self, news: list[str]) -> None:
        """Look when a schedule changed."""
        if any(word.startswith("standing") or word == "*" for word in news):
            self._changed = True

    def step(self, now: int) -> int | None:
        """Make what falls due within AHEAD; LEAD before the next one it is time again."""
        if not self._changed and (self._at is None or now < self._at):
            return self._at
        self._changed = False
        upcoming = [
            at
            for standing in self._store.standings()
            if standing.kind == "schedule" and (at := self._plan(standing, now)) is not None
        ]
        self._at = min(upcoming) - LEAD_US if upcoming else None
        return self._at

    def next_start(self) -> int | None:
        """The earliest occurrence that is no task yet."""
        instants = [planned(standing) for standing in self._store.standings() if standing.kind == "schedule"]
        return min((at for at in instants if at is not None), default=None)

    def _plan(self, standing: Standing, now: int) -> int | None:
        """Make the occurrences up to now + AHEAD; the first one after them."""
        first = planned(standing)
        if first is None:
            return None
        definition = schedule_of(standing)
        end = definition.resume_at if standing.paused else None
        if first > now + AHEAD_US and (end is None or end > now):
            return first if end is None else min(first, end + LEAD_US)  # LEAD later: a turn at the end itself
        if standing.paused:
            standing = resumed(
                standing, definition
            )  # before its end when an occurrence is near, which must not be late
        instants, following = occurrences(decode_trigger(definition.trigger), first, now)
        tasks = [definition.occurrence(standing.name, at) for at in instants]
        if not self._store.advance(msgspec.structs.replace(standing, next_run_at=following), tasks, now):
            self._changed = True  # another daemon was first: look again at what it left
            return now
        return following


def planned(standing: Standing) -> int | None:
    """The first occurrence that is no task yet; None while it is paused without an end."""
    if not standing.paused:
        return standing.next_run_at
    definition = schedule_of(standing)
    return None if definition.resume_at is None else first_run(definition, definition.resume_at - 1)


def resumed(standing: Standing, definition: ScheduleDefinition) -> Standing:
    """The same, no longer paused; its next occurrence is the caller's to set."""
    definition = msgspec.structs.replace(definition, resume_at=None)
    return msgspec.structs.replace(standing, paused=False, definition=encode(definition))


def occurrences(trigger: Trigger, first: int, now: int) -> tuple[list[int], int | None]:
    """The instants to run from `first` to now + AHEAD, and the one after them.

    Of those missed (later than the grace) the last one alone is among them.
    """
    oldest = now - GRACE_US
    out: list[int] = []
    at: int | None = first
    if first < oldest:
        recent = trigger.next_us(oldest - 1)
        last_missed = _last_before(trigger, first, oldest if recent is None else recent)
        out.append(last_missed)
        at = recent
    while at is not None and at <= now + AHEAD_US and len(out) < _AT_ONCE:
        out.append(at)
        at = trigger.next_us(at)
    return out, at


def _last_before(trigger: Trigger, first: int, end: int) -> int:
    """The last occurrence before `end`, by bisection over time: a long absence is not counted one by one."""
    last, high = first, end - 1  # `last` is an occurrence; none lies in (high, end)
    while last < high:
        middle = (last + high + 1) // 2
        at = trigger.next_us(middle - 1)  # the first one at or after the middle
        if at is None or at >= end:
            high = middle - 1
        else:
            last = at
    return last


def first_run(definition: ScheduleDefinition, now: int) -> int | None:
    """The first occurrence of a new or changed schedule."""
    return decode_trigger(definition.trigger).next_us(now)
