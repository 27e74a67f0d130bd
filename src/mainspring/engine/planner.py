"""Makes the tasks of schedules, a little ahead: an occurrence is a row before its instant comes.

Any daemon may; `advance` is a compare-and-set, so that one wins and each occurrence is made once. What was missed is
accounted for in the same commit (`occurrences`). A schedule is read when its time comes, not before: a hundred thousand
of them are as many instants in memory.
"""

import heapq
import logging
from collections.abc import Callable

import msgspec

from mainspring.engine.definitions import ScheduleDefinition, encode, schedule_of, trigger_of
from mainspring.engine.occurrences import plan, stretch
from mainspring.engine.settle import MISFIRE
from mainspring.errors import InvalidValue
from mainspring.store.protocol import Store
from mainspring.store.rows import Filter, Missed, NewTask, Standing
from mainspring.tasks.state import State
from mainspring.when.triggers import decode_trigger

log = logging.getLogger("mainspring")

AHEAD_US = 5_000_000
LEAD_US = 2_000_000
PAUSED = "schedule paused"
CHANGED = "schedule changed"
_KIND = "schedule"
# A paused queue, a function nobody knows: with so many late tasks of a schedule no more are made until that changes.
_BACKLOG = 100
_PAGE = 500
_LOOK_US = 10_000_000  # how often that is looked at


class Planner:
    """The step that looks at the schedules."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._all = True  # read them all
        self._after: str | None = None  # while they are read, a page at each turn: whose name was read last
        self._before: int | None = None  # of those that are read: only what is next before this instant
        self._changed: dict[str, None] = {}  # sets with an order: what is done is done alike each time
        self._at: dict[str, int] = {}  # when each is to be looked at
        self._heap: list[tuple[int, str]] = []  # the same, with entries that no longer hold
        self._stuck: dict[str, None] = {}
        self._unseen: dict[str, int] = {}  # how many were made of each since it was looked whether anybody starts them
        self._unread: dict[str, int] = {}  # which version of each that cannot be read was told
        # told of each schedule that bounds its history, when it made tasks: how many finished ones it keeps, and now
        self.made: Callable[[str, int, int], None] = lambda *_: None

    def hear(self, news: list[str]) -> None:
        """Look when a schedule changed, or a queue goes on."""
        for word in news:
            if word.startswith("standing schedule "):
                self._changed[word.split(" ", 2)[2]] = None
            elif word in {"standing", "*"}:
                self._all = True
            elif word == "due 0":
                self._changed |= self._stuck

    def look_again(self) -> None:
        """What instants mean has changed: ask every trigger anew."""
        self._all = True

    def look_for_lost(self, before: int) -> None:
        """News may have been lost: read those whose next instant comes before that one, and no others."""
        if self._after is None:
            self._after, self._before = "", before

    def step(self, now: int) -> int | None:
        """Make what falls due within AHEAD; LEAD before the next one it is time again."""
        self._take_in(now)
        heap = self._heap
        while heap and heap[0][0] - LEAD_US <= now:
            at, name = heap[0]  # it stays there until it was looked at: the store may fail
            holds = self._at.get(name) == at
            standing = self._store.standing(_KIND, name) if holds else None
            following = None if standing is None else self._read(self._plan, standing, now)
            heapq.heappop(heap)
            if holds:
                del self._at[name]
                self._put(name, following)
        if self._after is not None:
            return now
        return heap[0][0] - LEAD_US if heap else None

    def next_start(self) -> int | None:
        """The earliest occurrence that is no task yet."""
        instants = [self._read(_planned, standing, 0) for standing in self._store.standings(_KIND)]
        return min((at for at in instants if at is not None), default=None)

    def _take_in(self, now: int) -> None:
        """Learn what changed. What is gone without news of it is found so when its time comes."""
        if self._all:
            self._all, self._after, self._before = False, "", None
        if self._after is not None:
            page = self._store.standings(_KIND, self._after, _PAGE, self._before)
            for standing in page:
                self._put(standing.name, self._read(_next_look, standing, now))
            self._after = page[-1].name if len(page) == _PAGE else None
        while self._changed:
            name = next(iter(self._changed))
            one = self._store.standing(_KIND, name)
            self._changed.pop(name, None)
            self._put(name, None if one is None else self._read(_next_look, one, now))

    def _read(self, ask: Callable[[Standing, int], int | None], standing: Standing, now: int) -> int | None:
        """What `ask` answers; None, and the others go on, when this version cannot read the schedule."""
        try:
            return ask(standing, now)
        except InvalidValue as error:
            if self._unread.get(standing.name) != standing.version:
                self._unread[standing.name] = standing.version
                log.error("it makes no tasks here: %s", error)  # noqa: TRY400  # the others go on
            return None

    def _put(self, name: str, at: int | None) -> None:
        """Look at it at that instant, or never."""
        if at is None:
            self._at.pop(name, None)
            self._unseen.pop(name, None)
        elif self._at.get(name) != at:
            self._at[name] = at
            heapq.heappush(self._heap, (at, name))

    def _plan(self, standing: Standing, now: int) -> int | None:
        """Make the occurrences up to now + AHEAD; when to look again."""
        first = planned(standing)
        if first is None:
            return None
        definition = schedule_of(standing)
        end = definition.resume_at if standing.paused else None
        if first > now + AHEAD_US and (end is None or end > now):
            return first if end is None else min(first, end + LEAD_US)  # LEAD later: a turn at the end itself
        if self._is_stuck(standing.name, now - definition.rule.grace):
            self._stuck[standing.name] = None
            return now + _LOOK_US + LEAD_US
        self._stuck.pop(standing.name, None)
        tasks: list[NewTask] = []
        if standing.paused:  # before its end when an occurrence is near, which must not be late
            tasks += stretch_of(standing, definition, first)
            standing = resumed(standing, definition)
        made = plan(trigger_of(standing), definition.rule, first, now, now + AHEAD_US)
        if made.missed is not None:
            missed = Missed(MISFIRE, made.missed.last, made.missed.count)
            tasks.append(definition.occurrence(standing.name, made.missed.first, missed=missed))
            log.warning("schedule %s: %d occurrences were missed and do not run", standing.name, made.missed.count)
        self._unseen[standing.name] = self._unseen.get(standing.name, 0) + len(made.run)
        for number, at in enumerate(made.run):
            tasks.append(definition.occurrence(standing.name, at, judged=number < made.judged))
        if not self._store.advance(msgspec.structs.replace(standing, next_run_at=made.following), tasks, now):
            self._changed[standing.name] = None  # another daemon was first: look again at what it left
            return now + LEAD_US
        if definition.rule.keep is not None:
            self.made(standing.name, definition.rule.keep, now)
        return made.following

    def _is_stuck(self, name: str, before: int) -> bool:
        """Do so many wait and are late that making more would only fill the store? Looked at now and then."""
        if name not in self._stuck and self._unseen.get(name, 0) < _BACKLOG // 2:
            return False
        self._unseen[name] = 0
        waiting = Filter(schedule=name, states=(State.WAITING,), due_before=before, limit=_BACKLOG)
        return len(self._store.find(waiting)) == _BACKLOG


def _next_look(standing: Standing, now: int) -> int | None:
    """When it is to be looked at."""
    first = planned(standing)
    if first is None or not standing.paused:
        return first
    end = schedule_of(standing).resume_at
    return first if end is None or end <= now else min(first, end + LEAD_US)


def _planned(standing: Standing, _now: int) -> int | None:
    return planned(standing)


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


def stretch_of(standing: Standing, definition: ScheduleDefinition, end: int, why: str = PAUSED) -> list[NewTask]:
    """What a schedule did not run: its occurrences that are no tasks yet to before `end`, as one missed task."""
    first = standing.next_run_at
    if first is None or first >= end:
        return []
    found, _ = stretch(trigger_of(standing), first, end)
    missed = Missed(why, found.last, found.count)
    return [definition.occurrence(standing.name, found.first, missed=missed)]


def first_run(definition: ScheduleDefinition, now: int) -> int | None:
    """The first occurrence of a new or changed schedule."""
    return decode_trigger(definition.trigger).next_us(now)
