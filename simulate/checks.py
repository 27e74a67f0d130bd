"""What must hold: at each start of a body, and in the end of every task and every occurrence of a schedule."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from mainspring.engine.definitions import Rule
from mainspring.store.rows import Filter, Settlement, TaskRow
from mainspring.tasks.options import decode_options
from mainspring.tasks.state import FINISHED, State
from mainspring.when.triggers import Trigger

if TYPE_CHECKING:
    from simulate.world import World

_ALL = 10**9
_BUSY = (State.WAITING, State.RUNNING)


class Violation(AssertionError):
    """A promise was broken."""


@dataclass
class Schedule:
    """What is known of a schedule: it has all occurrences after `since`."""

    name: str
    trigger: Trigger
    rule: Rule
    since: int


@dataclass
class Edited:
    """A schedule that clients change: its occurrences after `at` are those of `trigger` (None: there are none)."""

    at: int
    trigger: Trigger | None


@dataclass
class Books:
    """What the bodies saw."""

    world: "World"
    runs: dict[int, int] = field(default_factory=dict)  # of each task, how often its body began
    open: dict[int, int] = field(default_factory=dict)  # ... and the node where it runs, or ran and was not recorded
    at_work: dict[int, str | None] = field(default_factory=dict)  # the tasks whose bodies run, with their schedules
    schedules: list[Schedule] = field(default_factory=list)
    ran: int = 0
    acknowledged: list[int] = field(default_factory=list)  # tasks that were added, as somebody was told
    cancelled: set[int] = field(default_factory=set)  # ... that were cancelled, and are not to begin
    moved: dict[int, int] = field(default_factory=dict)  # ... the instant that each was given anew
    paused: set[str | None] = field(default_factory=set)  # queues of which nothing begins
    edited: dict[str, Edited] = field(default_factory=dict)

    # ── as it happens ──────────────────────────────────────────────────────────────────────────────────────
    def begins(self, node: int, task: int) -> None:
        """A body begins."""
        now, row = self.world.machine.wall, self._row(task)
        late = now - row.run_at
        self.world.note(None, f"task {task} ({row.schedule}) runs on node {node}, {late} µs after its instant")
        self.ran += 1
        self.runs[task] = self.runs.get(task, 0) + 1
        if now < row.run_at:
            raise Violation(f"task {task} began {row.run_at - now} µs early")
        if row.holder != node or row.state not in _BUSY:
            raise Violation(f"task {task} began on node {node}, but it is {row.state} and held by {row.holder}")
        if task in self.open:
            raise Violation(f"task {task} began on node {node}, while {self.open[task]} is at it")
        if decode_options(row.options).delivery == "at-most-once" and self.runs[task] > 1:
            raise Violation(f"task {task} is at-most-once, and began {self.runs[task]} times")
        self._steered(row, now)
        self._one_of_a_schedule(row)
        self.open[task] = node
        self.at_work[task] = row.schedule

    def _steered(self, row: TaskRow, now: int) -> None:
        """What clients were told that they had changed."""
        if row.id in self.cancelled:
            raise Violation(f"task {row.id} began, and was cancelled")
        if now < self.moved.get(row.id, now):
            raise Violation(
                f"task {row.id} began {self.moved[row.id] - now} µs before the instant that it was moved to"
            )
        if row.queue in self.paused or None in self.paused:
            raise Violation(f"task {row.id} began, and the queue {row.queue} is paused")
        edited = self.edited.get(row.schedule or "")
        if edited is None or row.occurrence is None or row.occurrence <= edited.at:
            return
        if edited.trigger is None or edited.trigger.next_us(row.occurrence - 1) != row.occurrence:
            raise Violation(
                f"task {row.id} of {row.schedule} at {row.occurrence} is none of its rule since {edited.at}"
            )

    def _one_of_a_schedule(self, row: TaskRow) -> None:
        rule = next((one.rule for one in self.schedules if one.name == row.schedule), None)
        if rule is None or row.occurrence is None or rule.overlap in {"allow", "replace"}:
            return
        beside = [task for task, schedule in self.at_work.items() if schedule == row.schedule]
        if beside:
            raise Violation(f"task {row.id} of schedule {row.schedule} began while {beside[0]} ran")

    def ends(self, node: int, task: int) -> None:
        """A body has ended; the outcome is not written yet."""
        if self.open.get(task) == node:
            self.at_work.pop(task, None)

    def recorded(self, settlements: Sequence[Settlement], refused: Sequence[int]) -> None:
        """Outcomes are in the store."""
        unwritten = set(refused)
        for one in settlements:
            if not one.keep and one.id not in unwritten:
                self.open.pop(one.id, None)

    def died(self, node: int) -> None:
        """What it ran may run again."""
        for task in [task for task, where in self.open.items() if where == node]:
            del self.open[task]
            self.at_work.pop(task, None)

    # ── in the end ─────────────────────────────────────────────────────────────────────────────────────────
    def close(self) -> None:
        """All is well again, and time has passed: nothing is left behind, and everything is accounted for."""
        rows = self.world.store.find(Filter(limit=_ALL))
        lost = set(self.acknowledged).difference(row.id for row in rows)
        if lost:
            raise Violation(f"the tasks {sorted(lost)} were added, as somebody was told, and are not there")
        self._made_twice(rows)
        now = self.world.machine.wall
        for row in rows:
            self._check(row, now)
        for schedule in self.schedules:
            self._account(schedule, [row for row in rows if row.schedule == schedule.name], now)

    def _made_twice(self, rows: list[TaskRow]) -> None:
        seen: dict[tuple[str, int], int] = {}
        for row in rows:
            if row.schedule is None or row.occurrence is None or row.state is State.CANCELLED:
                continue
            if seen.setdefault((row.schedule, row.occurrence), row.id) != row.id:
                raise Violation(
                    f"{row.schedule} at {row.occurrence}: tasks {seen[row.schedule, row.occurrence]}, {row.id}"
                )

    def _check(self, row: TaskRow, now: int) -> None:
        if row.state not in FINISHED:
            if row.run_at <= now:
                raise Violation(f"task {row.id} was due {now - row.run_at} µs ago and is {row.state}: {row}")
            return
        runs = self.runs.get(row.id, 0)
        if row.state is State.SUCCEEDED and not runs:
            raise Violation(f"task {row.id} has succeeded, and its body never ran")
        once = decode_options(row.options).delivery == "at-most-once"
        if runs != row.attempt and not (once and runs < row.attempt):
            raise Violation(f"task {row.id} counts {row.attempt} attempts, and its body began {runs} times: {row}")
        if row.started_at is not None and row.state is State.SUCCEEDED and row.started_at < row.run_at:
            raise Violation(f"task {row.id} says that it started early: {row}")

    def _account(self, schedule: Schedule, rows: list[TaskRow], now: int) -> None:
        """Each occurrence is exactly one row, or in exactly one stretch."""
        seen: dict[int, int] = {}
        stretches: list[TaskRow] = []
        for row in rows:
            if row.occurrence is None or row.state is State.CANCELLED:
                continue
            if row.missed_until is not None:
                stretches.append(row)
            else:
                seen[row.occurrence] = row.id
        stretches.sort(key=lambda row: row.occurrence or 0)
        at = schedule.trigger.next_us(schedule.since)
        known = 0
        while at is not None and at <= now:
            if stretches and at > (stretches[0].missed_until or 0):
                self._counted(schedule, stretches.pop(0), known)
                known = 0
            inside = bool(stretches) and (stretches[0].occurrence or 0) <= at
            known += inside
            if inside + (at in seen) != 1:
                what = "is missing" if not inside else "is told as missed, and is a task"
                raise Violation(f"{schedule.name}: the occurrence at {at} {what}")
            at = schedule.trigger.next_us(at)

    def _counted(self, schedule: Schedule, stretch: TaskRow, known: int) -> None:
        if stretch.missed_count != known:
            raise Violation(f"{schedule.name}: a stretch says {stretch.missed_count}, and has {known}: {stretch}")

    def _row(self, task: int) -> TaskRow:
        row = self.world.store.get(task)
        if row is None:
            raise Violation(f"task {task} runs, and is not in the store")
        return row
