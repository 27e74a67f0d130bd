"""What the port promises, told once more by the slowest program that can: every answer is a search through all tasks.

No index, no lock, no SQL. A start is *begun* until its outcome is written: the model knows that for certain, where a
store has to conclude it from what is written and what a journal shows.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace

import msgspec

from mainspring.errors import KeyHeld, KeyInUse, MainspringError, TooLate
from mainspring.store.rows import (
    LEASE_LOST,
    WORKER_LOST,
    Added,
    Again,
    AttemptRow,
    Cancel,
    Change,
    NewTask,
    Reschedule,
    Settlement,
    Standing,
    TakenOver,
    TaskRow,
    Verdict,
)
from mainspring.tasks.options import decode_options
from mainspring.tasks.state import FINISHED, LEGAL, STATES, UNFINISHED, State

LaneName = tuple[str, int, str, str]
POISON = 3


def lane_of(one: NewTask | TaskRow) -> LaneName:
    return one.queue, one.priority, one.kind.value, one.work


@dataclass
class Task:
    row: TaskRow
    token: int | None = None
    begun: int | None = None  # a body began at this instant, and what came of it is not written
    tries: list[AttemptRow] = field(default_factory=list)

    def put(self, **changes: object) -> None:
        self.row = msgspec.structs.replace(self.row, **changes)

    def let_go(self) -> None:
        self.put(holder=None)
        self.token = self.begun = None

    @property
    def free(self) -> bool:
        return self.row.state is State.WAITING and self.row.holder is None

    @property
    def once(self) -> bool:
        return decode_options(self.row.options).delivery == "at-most-once"


class Model:
    def __init__(self) -> None:
        self.tasks: dict[int, Task] = {}
        self.last_id = 0
        self.paused: set[str | None] = set()
        self.nodes: dict[int, bool] = {}  # those that joined and did not leave, and whether they live
        self.standings: dict[tuple[str, str], Standing] = {}

    # ── adding ─────────────────────────────────────────────────────────────────────────────────────────────
    def add(self, tasks: Sequence[NewTask], now: int) -> list[Added]:
        """One after the other into a draft, which counts if nothing in it was refused."""
        before, last_id = {id_: replace(task) for id_, task in self.tasks.items()}, self.last_id
        try:
            return [self._add(new, now) for new in tasks]
        except MainspringError:
            self.tasks, self.last_id = before, last_id
            raise

    def _add(self, new: NewTask, now: int) -> Added:
        for task in self.tasks.values():
            row = task.row
            if (
                new.occurrence_name == (row.schedule, row.occurrence)
                and row.missed_count is None
                and row.state is not State.CANCELLED
            ):
                return Added(row.id, created=False)
        owner = self.owner(new.key)
        if owner is not None and new.on_conflict == "keep":
            return Added(owner.row.id, created=False)
        if owner is not None:
            self._replace(owner, new, now)
        self.last_id += 1
        row = TaskRow(
            self.last_id, new.kind, new.work, new.queue, new.priority, State.WAITING, None, new.run_at, now, None, None,
            0, 0, 0, new.name, new.options, new.payload, new.key, new.expires_at, new.schedule, None, None, None,
            new.occurrence,
        )  # fmt: skip
        self.tasks[self.last_id] = task = Task(row)
        if new.missed is not None:
            missed = {"missed_until": new.missed.last, "missed_count": new.missed.count}
            task.put(state=State.MISSED, reason=new.missed.reason, finished_at=now, **missed)
        return Added(self.last_id)

    def owner(self, key: str | None) -> Task | None:
        unfinished = (task for task in self.tasks.values() if task.row.state in UNFINISHED)
        return next((task for task in unfinished if key is not None and task.row.key == key), None)

    def _replace(self, owner: Task, new: NewTask, now: int) -> None:
        if new.on_conflict == "error":
            raise KeyInUse(str(new.key), str(owner.row.id))
        if owner.row.state is State.RUNNING:
            raise TooLate
        if owner.row.holder is not None:
            raise KeyHeld(str(new.key), owner.row.id, owner.row.holder)
        owner.put(state=State.CANCELLED, reason="replaced", finished_at=now)

    # ── holding ────────────────────────────────────────────────────────────────────────────────────────────
    def open(self, lanes: Iterable[LaneName]) -> list[Task]:
        """What may be reserved in these lanes."""
        if None in self.paused:
            return []
        wanted = set(lanes)
        return [
            t for t in self.tasks.values() if t.free and lane_of(t.row) in wanted and t.row.queue not in self.paused
        ]

    def next_due(self, lanes: Iterable[LaneName]) -> int | None:
        return min((task.row.run_at for task in self.open(lanes)), default=None)

    def reserve(self, node: int, lanes: Iterable[LaneName], after: int, until: int, limit: int) -> list[Task]:
        """Whom it will be; `hold` when the store has told the token."""
        if node not in self.nodes:
            return []
        due = [task for task in self.open(lanes) if after < task.row.run_at <= until]
        return sorted(due, key=lambda task: (-task.row.priority, task.row.run_at, task.row.id))[:limit]

    def hold(self, tasks: Iterable[Task], node: int, token: int) -> None:
        for task in tasks:
            task.put(holder=node)
            task.token = token

    def holds(self, id_: int, token: int) -> bool:
        return id_ in self.tasks and self.tasks[id_].token == token

    def give_back(self, node: int, since: int) -> int:
        later = [t for t in self._held_by(node) if (t.token or 0) > since and t.row.state is State.WAITING]
        for task in later:
            task.let_go()
        return len(later)

    def _held_by(self, node: int) -> list[Task]:
        return [task for task in self.tasks.values() if task.row.holder == node]

    def record(self, settlements: Sequence[Settlement]) -> list[int]:
        return [settlement.id for settlement in settlements if not self._settle(settlement)]

    def _settle(self, told: Settlement) -> bool:
        state = STATES[told.code]
        if not self.holds(told.id, told.token) or state not in LEGAL[self.tasks[told.id].row.state]:
            return False
        task = self.tasks[told.id]
        for name in ("run_at", "started_at", "options"):
            if getattr(told, name) is not None:
                task.put(**{name: getattr(told, name)})
        task.put(state=state, attempt=told.attempt, failures=told.failures, losses=task.row.losses + told.lost)
        how = (told.reason, told.finished_at, told.result, told.error)
        self._end(task, *(how if state is not State.WAITING else (None,) * 4))
        if told.failed_try:
            row = AttemptRow(told.attempt, told.started_at, told.finished_at, told.reason or "", told.error)
            task.tries = [*task.tries, row]
        if not told.keep:
            task.let_go()
        return True

    def _end(self, task: Task, reason: str | None, at: int | None, result: str | None, error: str | None) -> None:
        task.put(reason=reason, finished_at=at, result=result, error=error)

    # ── steering ───────────────────────────────────────────────────────────────────────────────────────────
    def change(self, id_: int, change: Change, now: int, token: int | None = None) -> Verdict:
        task = self.tasks.get(id_)
        if task is None:
            return Verdict("not-found")
        row = task.row
        match change:
            case Cancel():
                allowed = row.state in UNFINISHED
            case Reschedule():
                allowed = row.state is State.WAITING
            case Again():
                allowed = row.state in {State.FAILED, State.CANCELLED, State.MISSED} and not (task.once and row.attempt)
        if not allowed:
            return Verdict("too-late", row.state)
        if row.state is State.RUNNING or (row.holder is not None and task.token != token):
            return Verdict("held", row.state, row.holder)
        if isinstance(change, Again):
            if (owner := self.owner(row.key)) is not None:
                raise KeyInUse(str(row.key), str(owner.row.id))
            if row.state is State.CANCELLED and self._made_anew(row):
                return Verdict("too-late", row.state)
        self._change(task, change, now)
        return Verdict("done", task.row.state)

    def _made_anew(self, row: TaskRow) -> bool:
        if row.occurrence is None or row.missed_count is not None:
            return False
        name = (row.schedule, row.occurrence)
        return any(
            (other.row.schedule, other.row.occurrence) == name
            and other.row.missed_count is None
            and other.row.state is not State.CANCELLED
            for other in self.tasks.values()
        )

    def _change(self, task: Task, change: Change, now: int) -> None:
        task.let_go()
        match change:
            case Cancel(reason):
                task.put(state=State.CANCELLED, reason=reason, finished_at=now)
            case Reschedule(run_at, expires_at):
                task.put(run_at=run_at, expires_at=task.row.expires_at if expires_at is None else expires_at)
            case Again(run_at, expires_at):
                before = task.row.expires_at
                kept = before if before is not None and before > run_at else None
                task.put(expires_at=kept if expires_at is None else expires_at, run_at=run_at, failures=0, losses=0)
                task.put(state=State.WAITING)
                self._end(task, None, None, None, None)

    # ── nodes ──────────────────────────────────────────────────────────────────────────────────────────────
    def leave(self, node: int) -> None:
        """For a node that has settled all that it began."""
        self.nodes.pop(node, None)
        self._clear(node)

    def take_over(self, node: int, now: int, *, silent: bool = False) -> TakenOver | None:
        if node not in self.nodes or (self.nodes[node] and not silent):
            return None
        freed, lost = 0, []
        for task in self._held_by(node):
            if task.begun is None and task.row.state is State.WAITING:
                freed += 1
            else:
                self._lose(task, now, LEASE_LOST if self.nodes[node] else WORKER_LOST)
                lost.append(task.row.id)
        if not self.nodes[node]:
            del self.nodes[node]
        self._clear(node)
        return TakenOver(freed, lost)

    def _lose(self, task: Task, now: int, why: str) -> None:
        if task.row.state is State.WAITING:  # nobody had been told
            task.put(attempt=task.row.attempt + 1, started_at=task.begun)
        started_at = task.row.started_at
        ended_at = now if started_at is None else max(now, started_at)  # the clock may have been set back
        task.put(losses=task.row.losses + 1)
        task.tries = [*task.tries, AttemptRow(task.row.attempt, started_at, ended_at, why, None)]
        if task.once or task.row.losses >= POISON:
            task.put(state=State.FAILED)
            self._end(task, "lost" if task.once else "poison", ended_at, None, None)
        else:
            task.put(state=State.WAITING)
            self._end(task, None, None, None, None)

    def _clear(self, node: int) -> None:
        for task in self._held_by(node):
            task.let_go()
        for name, one in self.standings.items():
            if one.holder == node:
                self.standings[name] = msgspec.structs.replace(one, holder=None, version=one.version + 1)

    # ── schedules, and what is forgotten ───────────────────────────────────────────────────────────────────
    def advance(self, standing: Standing, tasks: Sequence[NewTask], now: int) -> bool:
        name = (standing.kind, standing.name)
        if name not in self.standings or self.standings[name].version != standing.version:
            return False
        self.add(tasks, now)
        self.standings[name] = msgspec.structs.replace(standing, version=standing.version + 1)
        return True

    def _ended(self) -> list[Task]:
        """Who ended first comes first."""
        ended = [task for task in self.tasks.values() if task.row.state in FINISHED]
        return sorted(ended, key=lambda task: (task.row.finished_at, task.row.id))

    def prune(self, before: int, limit: int) -> int:
        return self._forget([task for task in self._ended() if (task.row.finished_at or 0) < before][:limit])

    def trim(self, schedule: str, keep: int, limit: int) -> int:
        newest_first = [task for task in self._ended() if task.row.schedule == schedule][::-1]
        return self._forget(newest_first[keep : keep + limit])

    def _forget(self, tasks: list[Task]) -> int:
        for task in tasks:
            del self.tasks[task.row.id]
        return len(tasks)

    # ── looking ────────────────────────────────────────────────────────────────────────────────────────────
    def rows(self) -> list[TaskRow]:
        return sorted((task.row for task in self.tasks.values()), key=lambda row: (row.run_at, row.id))

    def counts(self) -> dict[State, int]:
        states = Counter(task.row.state for task in self.tasks.values())
        return {state: states[state] for state in State}

    def waiting(self, lanes: Iterable[LaneName]) -> int:
        wanted = set(lanes)
        return sum(row.state is State.WAITING and lane_of(row) in wanted for row in self.rows())

    def pending(self, now: int) -> int:
        return sum(row.state is State.WAITING and row.run_at <= now for row in self.rows())
