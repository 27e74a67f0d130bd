"""What must hold at each start of a body: the books of what the bodies saw, and of what clients were told."""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from mainspring.engine.definitions import Rule
from mainspring.engine.settle import TIME_LIMIT
from mainspring.errors import NotFound, TooLate
from mainspring.store.rows import Settlement, TaskRow
from mainspring.tasks.context import TaskContext
from mainspring.tasks.options import decode_options
from mainspring.tasks.state import UNFINISHED, State
from mainspring.when.triggers import Trigger

_HEED_US = 60_000_000  # until a body is asked to stop, whatever its daemon's desk waits for

if TYPE_CHECKING:
    from simulate.process import Node
    from simulate.world import World


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
class Run:
    """A body that runs, or has run and is not settled yet."""

    node: int
    schedule: str | None
    told: TaskContext
    over: bool = False  # it has returned


class Books:
    """What the bodies saw."""

    def __init__(self, world: "World") -> None:
        self.world = world
        self.ran = 0
        self.runs: Counter[int] = Counter()  # of each task, how often its body began
        self.twins: Counter[int] = Counter()  # ... in a microsecond in which it had begun before: it may not be counted
        self._begun: set[tuple[int, int]] = set()
        self.open: dict[int, Run] = {}  # of each task, the run that nobody may run beside
        self.schedules: list[Schedule] = []
        self.acknowledged: list[int] = []  # tasks that were added, as somebody was told
        self.cancelled: set[int] = set()  # ... that were cancelled, and are not to begin
        self.moved: dict[int, int] = {}  # ... the instant that each was given anew
        self.paused: set[str | None] = set()  # queues of which nothing begins
        self.edited: dict[str, Edited] = {}
        self._hands: Counter[object] = Counter()  # how many clients are at something, at this moment
        self._times: Counter[object] = Counter()  # how often one began

    # ── what clients do ────────────────────────────────────────────────────────────────────────────────────
    @contextmanager
    def alone(self, what: object, *, at_once: bool = False) -> Iterator[Callable[[], bool]]:
        """A client changes something: is it the only one, from before it began until the answer is asked for?

        Where it does not hear what came of it, a holder may do it yet, and nothing is known of it ever after; unless
        it does it itself, `at_once`, or not at all.
        """
        self._hands[what] += 1
        self._times[what] += 1
        mine, first, known = self._times[what], self._hands[what] == 1, at_once
        try:
            yield lambda: first and self._times[what] == mine
            known = True
        except (NotFound, TooLate):
            known = True
            raise
        finally:
            self._hands[what] -= known

    # ── what bodies do ─────────────────────────────────────────────────────────────────────────────────────
    def begins(self, node: "Node", told: TaskContext) -> None:
        """A body begins."""
        task = int(told.task_id)
        row = self.world.store.get(task)
        assert row is not None, f"task {task} runs, and is not in the store"
        once = decode_options(row.options).delivery == "at-most-once"
        now = (row.started_at or 0) if once else node.clock.wall  # its start is what was written, durably
        self.world.note(node, f"runs task {task} ({row.schedule}), {now - row.run_at} µs after its instant")
        self.ran += 1
        self.runs[task] += 1
        if now < row.run_at:
            raise Violation(f"task {task} began {row.run_at - now} µs early")
        if once and self.runs[task] > 1:
            raise Violation(f"task {task} is at-most-once, and began {self.runs[task]} times")
        if once and row.state is State.FAILED and row.reason == "lost":
            return  # it stood still between the commit of its start and its body for so long that it was given up
        self._held(row, node, told)
        self.twins[task] += (task, now) in self._begun  # a start is known by its instant: see docs/design/journal.md
        self._begun.add((task, now))
        self._steered(row, now)
        self.moved.pop(row.id, None)
        self._one_of_a_schedule(row)
        self.open[task] = Run(node.number, row.schedule, told)

    def _held(self, row: TaskRow, node: "Node", told: TaskContext) -> None:
        """It is this node's, and nobody else is at it, and each earlier run was counted before."""
        token = self.world.witness.table.tasks[row.id].token
        if row.holder != node.number or row.state not in UNFINISHED or token != told.fence:
            raise Violation(f"task {row.id} began on node {node.number} under {told.fence}, but it is {row.state}, "
                            f"and held by {row.holder} under {token}")  # fmt: skip
        if row.id in self.open:
            raise Violation(f"task {row.id} began on node {node.number}, while node {self.open[row.id].node} is at it")
        counted = row.attempt - (row.state is State.RUNNING)
        before = self.runs[row.id] - 1
        if not before - self.twins[row.id] <= counted <= before or told.attempt != counted + 1:
            raise Violation(f"task {row.id} begins as attempt {told.attempt}, for the {self.runs[row.id]}. time, and "
                            f"{counted} were counted before")  # fmt: skip

    def _steered(self, row: TaskRow, now: int) -> None:
        """What clients were told that they had changed."""
        if row.id in self.cancelled:
            raise Violation(f"task {row.id} began, and was cancelled")
        if now < self.moved.get(row.id, now):
            early = self.moved[row.id] - now
            raise Violation(f"task {row.id} began {early} µs before the instant that it was moved to")
        if row.queue in self.paused or None in self.paused:
            raise Violation(f"task {row.id} began, and the queue {row.queue} is paused")
        edited = self.edited.get(row.schedule or "")
        if edited is None or row.occurrence is None or row.occurrence <= edited.at:
            return
        if self.runs[row.id] > 1:  # it had begun before, by a clock that was set back since
            return
        if edited.trigger is None or edited.trigger.next_us(row.occurrence - 1) != row.occurrence:
            raise Violation(
                f"task {row.id} of {row.schedule} at {row.occurrence} is none of its rule since {edited.at}"
            )

    def _one_of_a_schedule(self, row: TaskRow) -> None:
        rule = next((one.rule for one in self.schedules if one.name == row.schedule), None)
        if rule is None or row.occurrence is None or rule.overlap in {"allow", "replace"}:
            return
        for task, run in self.open.items():
            # what was asked to stop at its time limit may be settled already
            if run.schedule == row.schedule and not run.over and not run.told.stop:
                raise Violation(f"task {row.id} of schedule {row.schedule} began while {task} ran")

    def is_at(self, task: int) -> bool:
        """Does its body run?"""
        run = self.open.get(task)
        return run is not None and not run.over

    def ends(self, told: TaskContext) -> None:
        """A body has ended; the outcome is not written yet."""
        run = self.open.get(int(told.task_id))
        if run is not None and run.told is told:
            run.over = True

    def stopwatch(self, node: "Node", told: TaskContext) -> Callable[[int], None]:
        """For a body that takes time: called now and then, it sees whether the time limit is heeded, and not early.

        Told how long (µs) it was not called.
        """
        row = self.world.store.get(int(told.task_id))
        limit = None if row is None else decode_options(row.options).timeout
        began, stood = node.clock.monotonic(), node.stood

        def look(since: int) -> None:
            if limit is None:
                return
            slot = node.engine.pool.running(int(told.task_id))
            over, ran = slot is not None and slot.cause == TIME_LIMIT, node.clock.monotonic() - began
            if over and ran < limit:
                self.world.breaks(f"task {told.task_id} was to stop after {ran} µs, and has {limit} µs")
            if not told.stop and ran > limit + since + _HEED_US and node.stood == stood:
                self.world.breaks(f"task {told.task_id} may go on after {ran} µs, and has {limit} µs")

        return look

    # ── what becomes of it ─────────────────────────────────────────────────────────────────────────────────
    def recorded(self, settlements: Sequence[Settlement], refused: Sequence[int]) -> None:
        """Outcomes are in the store."""
        unwritten = set(refused)
        for one in settlements:
            if not one.keep and one.id not in unwritten:
                self.open.pop(one.id, None)

    def died(self, node: int) -> None:
        """What it ran may run again."""
        self.open = {task: run for task, run in self.open.items() if run.node != node}

    def taken_over(self, holder: int, silent: int | None) -> None:
        """What it held may be another's now: rightly so, if it is dead, or has been silent for its lease."""
        lease = self.world.lease
        node = next((one for one in self.world.nodes if one.number == holder), None)
        if node is not None and (silent is None or lease is None or silent < node.renewed + lease * 2 // 3):
            self.world.breaks(f"node {holder} was taken over at {silent}, and lived at {node.renewed}: lease {lease}")
        self.died(holder)
