"""Everything about one task, as `show` answers."""

import msgspec

from mainspring.shown import ShownAttempt, ShownTask, shown_attempt, shown_task
from mainspring.store.rows import TaskRow
from mainspring.tasks.state import State
from mainspring.why import View, hindrances


class TaskInFull(ShownTask, frozen=True, kw_only=True):
    """A task as `show` answers: also its earlier attempts, what its program wrote, and what it waits for."""

    attempts: list[ShownAttempt]
    output: str | None
    waits_for: str | None


def shown_in_full(view: View, row: TaskRow) -> TaskInFull:
    """The task of a stored row, with what the store keeps beside it."""
    return TaskInFull(
        **msgspec.structs.asdict(shown_task(row, view.registry)),
        attempts=[shown_attempt(one) for one in view.store.attempts(row.id)],
        output=view.store.output(row.id),
        waits_for=_waits_for(view, row),
    )


def _waits_for(view: View, row: TaskRow) -> str | None:
    """What else than its instant keeps it from starting."""
    if row.state is not State.WAITING:
        return None
    return next((f"{one.text}: {one.help}" for one in hindrances(view, row)), None)
