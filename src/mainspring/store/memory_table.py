"""The memory store's tasks: mutable rows, and the indexes over them that must never be out of step.

Every change to a task happens inside `Table.changing(task)`, which takes the task out of all indexes first and
puts it back by what it has become. So no caller can forget one.
"""

from bisect import bisect_left, bisect_right, insort
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from heapq import heappop, heappush, nsmallest
from itertools import chain

import msgspec

from mainspring.store.memory_lateness import LateCounts
from mainspring.store.rows import AttemptRow, Lane, NewTask, TaskRow
from mainspring.tasks.options import decode_options
from mainspring.tasks.state import FINISHED, UNFINISHED, State

_MANY = 32  # new tasks of one lane from which on one sort costs less than insertions


class Task(msgspec.Struct, kw_only=True):
    """One task, as it is now: what was added, and what became of it."""

    id: int
    lane: Lane
    new: NewTask
    state: State = State.WAITING
    run_at: int
    created_at: int
    reason: str | None = None
    started_at: int | None = None
    finished_at: int | None = None
    attempt: int = 0
    failures: int = 0
    losses: int = 0
    result: str | None = None
    error: str | None = None
    output: str | None = None
    holder: int | None = None
    token: int | None = None
    tries: list[AttemptRow] = msgspec.field(default_factory=list)

    @property
    def free(self) -> bool:
        """Waits, and nobody holds it: what can be reserved."""
        return self.state is State.WAITING and self.holder is None

    @property
    def at_most_once(self) -> bool:
        """Whether it must never start a second time."""
        return decode_options(self.new.options).delivery == "at-most-once"

    def row(self) -> TaskRow:
        """The value that leaves the store."""
        new = self.new
        return TaskRow(
            id=self.id,
            kind=new.kind,
            work=new.work,
            queue=new.queue,
            priority=new.priority,
            state=self.state,
            reason=self.reason,
            run_at=self.run_at,
            created_at=self.created_at,
            started_at=self.started_at,
            finished_at=self.finished_at,
            attempt=self.attempt,
            failures=self.failures,
            losses=self.losses,
            name=new.name,
            options=new.options,
            payload=new.payload,
            key=new.key,
            expires_at=new.expires_at,
            schedule=new.schedule,
            result=self.result,
            error=self.error,
            holder=self.holder,
            occurrence=new.occurrence,
            missed_until=None if new.missed is None else new.missed.last,
            missed_count=None if new.missed is None else new.missed.count,
        )

    def wait_again(self) -> None:
        """Waiting, with nothing left of how it had ended."""
        self.state = State.WAITING
        self.reason = self.error = self.result = self.finished_at = None


class Table:
    """All tasks by id, and: by lane those that are free (sorted by run_at and id), by holder, by key."""

    def __init__(self) -> None:
        self.tasks: dict[int, Task] = {}
        self.last_id = 0
        self.lanes: dict[int, Lane] = {}
        self.keys: dict[str, Task] = {}  # of unfinished tasks
        self.occurrences: dict[tuple[str, int], Task] = {}  # by schedule and instant; not of what was cancelled
        self.held: dict[int, dict[int, Task]] = {}  # node → what it holds
        self._of_schedule: dict[tuple[str, bool], dict[int, Task]] = {}  # by schedule, and whether they have finished
        self.waiting: Counter[int] = Counter()  # lane → how many wait, held or not
        self.late = LateCounts()
        self.ends: list[tuple[int, int]] = []  # a heap of (finished_at, id), also of what is gone since
        self._free: dict[int, list[tuple[int, int]]] = {}  # lane → (run_at, id), sorted
        self._lane_of: dict[tuple[str, int, str, str], Lane] = {}

    # ── changing ───────────────────────────────────────────────────────────────────────────────────────────
    def insert(self, tasks: Sequence[tuple[int, NewTask]], now: int) -> None:
        """Add tasks under the ids given (all of them larger than `last_id`, ascending)."""
        free: dict[int, list[tuple[int, int]]] = {}
        for id_, new in tasks:
            task = Task(id=id_, lane=self._lane(new), new=new, run_at=new.run_at, created_at=now)
            if new.missed is not None:
                task.state, task.reason, task.finished_at = State.MISSED, new.missed.reason, now
                heappush(self.ends, (now, id_))
            self.tasks[id_] = task
            self.last_id = id_
            self._index(task)
            if not task.free:
                continue
            free.setdefault(task.lane.id, []).append((task.run_at, id_))
        for lane, entries in free.items():
            if len(entries) < _MANY:
                for entry in entries:
                    insort(self._free[lane], entry)
            else:
                self._free[lane].extend(entries)
                self._free[lane].sort()

    @contextmanager
    def changing(self, task: Task) -> Iterator[Task]:
        """The one way to change a task: every index follows."""
        if task.free:
            entries = self._free[task.lane.id]
            del entries[bisect_left(entries, (task.run_at, task.id))]
        self._unindex(task)
        before, started_at, run_at, ended = task.state, task.started_at, task.run_at, task.finished_at
        yield task
        self._index(task)
        if task.finished_at is not None and task.finished_at != ended:
            heappush(self.ends, (task.finished_at, task.id))
        if task.started_at is not None and task.started_at != started_at:
            self._count_start(task, before, started_at, run_at)
        if task.free:
            insort(self._free[task.lane.id], (task.run_at, task.id))

    def _count_start(self, task: Task, before: State, told_before: int | None, run_at: int) -> None:
        """A start was told, for the first time or once more, later."""
        assert task.started_at is not None
        moved = before is State.RUNNING and told_before is not None and task.started_at > told_before >= run_at
        if moved and told_before is not None:
            self.late.count(told_before, run_at, task.lane.id, task.new.schedule, -1)
        if moved or before is State.WAITING:
            self.late.count(task.started_at, run_at, task.lane.id, task.new.schedule)

    def delete(self, task: Task) -> None:
        """Forget a finished task."""
        self._unindex(task)
        del self.tasks[task.id]

    def _lane(self, new: NewTask) -> Lane:
        name = (new.queue, new.priority, new.kind.value, new.work)
        lane = self._lane_of.get(name)
        if lane is None:
            lane = Lane(len(self.lanes) + 1, new.queue, new.priority, new.kind, new.work)
            self._lane_of[name] = self.lanes[lane.id] = lane
            self._free[lane.id] = []
        return lane

    def _index(self, task: Task) -> None:
        if task.new.key is not None and task.state in UNFINISHED:
            self.keys[task.new.key] = task
        if (name := task.new.occurrence_name) is not None and task.state is not State.CANCELLED:
            self.occurrences[name] = task
        if task.holder is not None:
            self.held.setdefault(task.holder, {})[task.id] = task
        if task.state is State.WAITING:
            self.waiting[task.lane.id] += 1
        if task.new.schedule is not None:
            self._of_schedule.setdefault((task.new.schedule, task.state in FINISHED), {})[task.id] = task

    def _unindex(self, task: Task) -> None:
        if task.new.key is not None and self.keys.get(task.new.key) is task:
            del self.keys[task.new.key]
        if (name := task.new.occurrence_name) is not None and self.occurrences.get(name) is task:
            del self.occurrences[name]
        if task.holder is not None:
            del self.held[task.holder][task.id]
        if task.state is State.WAITING:
            self.waiting[task.lane.id] -= 1
        if task.new.schedule is not None:
            del self._of_schedule[task.new.schedule, task.state in FINISHED][task.id]

    # ── looking ────────────────────────────────────────────────────────────────────────────────────────────
    def first(self, lanes: Iterable[Lane]) -> int | None:
        """The earliest `run_at` of what is free in `lanes`."""
        return min((self._free[lane.id][0][0] for lane in lanes if self._free[lane.id]), default=None)

    def pending(self, now: int) -> int:
        """How many wait and are due at `now`, held or not."""
        free = sum(bisect_left(entries, (now + 1, 0)) for entries in self._free.values())
        held = (task for tasks in self.held.values() for task in tasks.values())
        return free + sum(task.state is State.WAITING and task.run_at <= now for task in held)

    def take(self, lanes: Iterable[Lane], after: int, until: int, limit: int, *, holder: int, token: int) -> list[Task]:
        """Hold the first `limit` free tasks with `after < run_at <= until`, by priority, run_at and id."""
        found: list[tuple[int, int, int]] = []
        for lane in lanes:
            entries = self._free[lane.id]
            low = bisect_left(entries, (after + 1, 0))
            high = bisect_right(entries, (until + 1, 0), lo=low)
            found += [(-lane.priority, run_at, id_) for run_at, id_ in entries[low : min(high, low + limit)]]
        taken = [self.tasks[id_] for _, _, id_ in nsmallest(limit, found)]
        for task in taken:
            with self.changing(task):
                task.holder, task.token = holder, token
        return taken

    def held_by(self, node: int) -> list[Task]:
        """What a node holds, by id."""
        return sorted(self.held.get(node, {}).values(), key=lambda task: task.id)

    def ended_before(self, before: int, limit: int) -> list[Task]:
        """The first `limit` to have ended before that instant, for whoever deletes them: they are told of only once."""
        ended: list[Task] = []
        while self.ends and self.ends[0][0] < before and len(ended) < limit:
            finished_at, id_ = heappop(self.ends)
            task = self.tasks.get(id_)
            if task is not None and task.finished_at == finished_at:
                ended.append(task)
        return ended

    def among(self, schedule: str | None, states: Iterable[State]) -> Iterable[Task]:
        """All tasks that may be of this schedule (None: of any) and in one of these states (none said: in any)."""
        if schedule is None:
            return self.tasks.values()
        ended = {state in FINISHED for state in states} or {False, True}
        return chain.from_iterable(self._of_schedule.get((schedule, one), {}).values() for one in ended)
