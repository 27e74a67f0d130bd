"""What must hold in the end, when all is well again: nothing is left behind, and everything is accounted for."""

from typing import TYPE_CHECKING

from mainspring.store.rows import Filter, TaskRow
from mainspring.tasks.options import decode_options
from mainspring.tasks.state import FINISHED, UNFINISHED, State
from simulate.checks import Schedule, Violation

if TYPE_CHECKING:
    from simulate.world import World

_ALL = 10**9


def nothing_is_left_behind(world: "World", since: int) -> None:
    """What is due for `since` µs has been seen to: it is not as if all had gone well only by and by."""
    before = world.machine.wall - since
    for row in world.store.find(Filter(states=tuple(UNFINISHED), due_before=before, limit=_ALL)):
        raise Violation(f"task {row.id} is left behind, {before - row.run_at} µs overdue: {row}")


def close(world: "World", now: int, well: int) -> None:
    """Look at everything that there is, and was, up to `now` (µs); since the task `well` was made all has been well."""
    found = {row.id: row for row in world.store.find(Filter(limit=_ALL))}
    rows = [*world.witness.table.forgotten.values(), *found.values()]
    lost = set(world.books.acknowledged).difference(row.id for row in rows)
    if lost:
        raise Violation(f"the tasks {sorted(lost)} were added, as somebody was told, and are not there")
    for row in rows:
        _check(world, row, now)
        if row.id > well and row.state is State.MISSED and row.occurrence is not None and row.occurrence <= now:
            raise Violation(f"{row.schedule}: the occurrence at {row.occurrence} was missed, and all is well: {row}")
    for schedule in world.books.schedules:
        _account(schedule, [row for row in rows if row.schedule == schedule.name], now)


def _check(world: "World", row: TaskRow, now: int) -> None:
    if row.state not in FINISHED:
        if row.run_at <= now:
            raise Violation(f"task {row.id} was due {now - row.run_at} µs ago and is {row.state}: {row}")
        return
    runs = world.books.runs.get(row.id, 0)
    if row.state is State.SUCCEEDED and not runs:
        raise Violation(f"task {row.id} has succeeded, and its body never ran")
    once = decode_options(row.options).delivery == "at-most-once"
    twins = world.books.twins.get(row.id, 0)
    if not runs - twins <= row.attempt <= runs and not (once and runs < row.attempt):
        raise Violation(f"task {row.id} counts {row.attempt} attempts, and its body began {runs} times: {row}")
    if row.started_at is not None and row.state is State.SUCCEEDED and row.started_at < row.run_at:
        raise Violation(f"task {row.id} says that it started early: {row}")


def _account(schedule: Schedule, rows: list[TaskRow], now: int) -> None:
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
            _counted(schedule, stretches.pop(0), known)
            known = 0
        inside = bool(stretches) and (stretches[0].occurrence or 0) <= at
        known += inside
        if inside + (at in seen) != 1:
            what = "is missing" if not inside else "is told as missed, and is a task"
            raise Violation(f"{schedule.name}: the occurrence at {at} {what}")
        at = schedule.trigger.next_us(at)


def _counted(schedule: Schedule, stretch: TaskRow, known: int) -> None:
    if stretch.missed_count != known:
        raise Violation(f"{schedule.name}: a stretch says {stretch.missed_count}, and has {known}: {stretch}")
