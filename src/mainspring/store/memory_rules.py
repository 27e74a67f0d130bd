"""What one change does to one task of the memory store: the rules of the port, without locks and indexes."""

from msgspec.structs import replace

from mainspring.store.memory_table import Task
from mainspring.store.rows import (
    Again,
    AttemptRow,
    Cancel,
    Change,
    Filter,
    Reschedule,
    Reservation,
    Settlement,
    Standing,
)
from mainspring.tasks.names import answers_to
from mainspring.tasks.state import FINISHED, LEGAL, State

POISON = 3  # losses after which a task is set aside


def reservation(task: Task) -> Reservation:
    """What the holder of a task is told of it."""
    new = task.new
    return Reservation(
        task.id,
        task.lane.id,
        task.run_at,
        task.attempt,
        task.failures,
        task.losses,
        new.expires_at,
        new.schedule,
        new.name,
        new.options,
        new.payload,
    )


def settle(task: Task, settlement: Settlement, state: State) -> None:
    """Apply a settlement whose token was right."""
    task.attempt, task.failures = settlement.attempt, settlement.failures
    task.losses += settlement.lost
    if settlement.run_at is not None:
        task.run_at = settlement.run_at
    if settlement.started_at is not None:
        task.started_at = settlement.started_at
    if settlement.output is not None:
        task.output = settlement.output
    if settlement.options is not None:
        task.new = replace(task.new, options=settlement.options)
    if settlement.failed_try:
        task.tries.append(
            AttemptRow(
                settlement.attempt,
                settlement.started_at,
                settlement.finished_at,
                settlement.reason or "",
                settlement.error,
            )
        )
    if state is State.WAITING:
        task.wait_again()
    else:
        task.state = state
        task.reason, task.error = settlement.reason, settlement.error
        task.finished_at, task.result = settlement.finished_at, settlement.result
    if not settlement.keep:
        task.holder = task.token = None


def allows(task: Task, change: Change) -> bool:
    """Whether the task's state allows the change, whoever holds it."""
    match change:
        case Cancel():
            return State.CANCELLED in LEGAL[task.state]
        case Reschedule():
            return task.state is State.WAITING
        case Again():
            again = task.state in FINISHED and State.WAITING in LEGAL[task.state]
            return again and not (task.at_most_once and task.attempt > 0)


def make(task: Task, change: Change, now: int) -> None:
    """Make a change that is allowed; a reservation ends with it."""
    task.holder = task.token = None
    match change:
        case Cancel(reason):
            task.state, task.reason, task.finished_at = State.CANCELLED, reason, now
        case Reschedule(run_at, expires_at):
            task.run_at = run_at
            if expires_at is not None:
                task.new = replace(task.new, expires_at=expires_at)
        case Again(run_at, expires_at):
            task.wait_again()
            if expires_at is not None or (task.new.expires_at or 0) <= run_at:
                task.new = replace(task.new, expires_at=expires_at)
            task.run_at, task.failures, task.losses = run_at, 0, 0


def lose(task: Task, started_at: int | None, now: int | None, why: str) -> None:
    """Count a start whose node is no more, or was silent (`why`).

    `started_at`: from its journal, when the store did not know of it.

    `now` is None when the node left by itself and nobody knows when the task ended.
    """
    if started_at is not None:
        task.attempt += 1
        task.started_at = started_at
    if now is not None and task.started_at is not None:
        now = max(now, task.started_at)  # the clock was set back meanwhile
    task.losses += 1
    task.tries.append(AttemptRow(task.attempt, task.started_at, now, why, None))
    if task.at_most_once or task.losses >= POISON:
        task.state, task.finished_at = State.FAILED, task.started_at if now is None else now
        task.reason = "lost" if task.at_most_once else "poison"
    else:
        task.wait_again()


def fits(task: Task, wanted: Filter) -> bool:
    """Whether `find` means this task."""
    new = task.new
    return (
        (not wanted.states or task.state in wanted.states)
        and (wanted.name is None or wanted.name == new.name or answers_to(new.kind, new.work, wanted.name))
        and (wanted.queue is None or wanted.queue == new.queue)
        and (wanted.kind is None or wanted.kind is new.kind)
        and (wanted.schedule is None or wanted.schedule == new.schedule)
        and (wanted.key is None or wanted.key == new.key)
        and (wanted.due_before is None or task.run_at < wanted.due_before)
        and (wanted.after is None or _is_behind(task, wanted.after))
    )


def _is_behind(task: Task, after: tuple[int, int]) -> bool:
    if task.state in FINISHED:
        return (task.finished_at or 0, task.id) < after
    return (task.run_at, task.id) > after


def is_next(standing: Standing, before: int | None) -> bool:
    """Whether `standings` means this one."""
    return before is None or (standing.next_run_at is not None and standing.next_run_at < before)


def soonest(task: Task) -> tuple[int, int]:
    """Sorts by `run_at`, then id."""
    return task.run_at, task.id


def newest(task: Task) -> tuple[int, int]:
    """Sorts what finished last to the front."""
    return -(task.finished_at or 0), -task.id
