"""What changes do to a task, whatever database it is in: the decisions of the port that need no statement."""

from collections.abc import Iterable

import msgspec

from mainspring.errors import KeyHeld, KeyInUse, TooLate
from mainspring.store.rows import LEASE_LOST, WORKER_LOST, Again, Cancel, Change, NewTask, Reschedule, Settlement
from mainspring.tasks.options import decode_options
from mainspring.tasks.state import CODES, FINISHED, LEGAL, State

_POISON = 3  # losses after which a task is set aside
_FINISHED = CODES[State.RUNNING] + 1  # from this code on


class HeldTask(msgspec.Struct, array_like=True):
    """A task as its dead holder left it."""

    id: int
    code: int
    token: int
    started_at: int | None
    attempt: int
    losses: int
    options: str | None


class Loss(msgspec.Struct, array_like=True):
    """A task that was lost: what becomes of it, and the attempt that did not end."""

    id: int
    code: int
    attempt: int
    losses: int
    started_at: int | None
    finished_at: int | None
    reason: str | None
    over: int | None  # when the attempt ended, as far as that is known
    why: str  # WORKER_LOST or LEASE_LOST


def losses(
    held: Iterable[HeldTask], starts: dict[tuple[int, int], int], now: int | None, *, lives: bool
) -> tuple[list[Loss], dict[str, None]]:
    """Which of the tasks of a node that is no more, or was silent (`lives`), were lost; and the news of all of them.

    `starts`: what its journal shows. A start counts unless the store knows of it: the task is recorded as running, or
    what came of it was recorded and the reservation kept for the next attempt. Earlier than what is recorded it may be
    all the same: the clock was set back.
    """
    lost: list[Loss] = []
    news: dict[str, None] = {}
    for task in held:
        start = starts.get((task.id, task.token))
        if task.code == CODES[State.RUNNING] or start == task.started_at:
            start = None
        if start is None and task.code != CODES[State.RUNNING]:
            news["due 0"] = None
            continue
        code, reason = _end(task)
        started_at = start or task.started_at
        over = now if now is None or started_at is None else max(now, started_at)  # the clock was set back meanwhile
        ended_at = None if code == CODES[State.WAITING] else over or started_at
        attempt = task.attempt if start is None else task.attempt + 1
        why = LEASE_LOST if lives else WORKER_LOST
        lost.append(Loss(task.id, code, attempt, task.losses + 1, started_at, ended_at, reason, over, why))
        news["due 0" if code == CODES[State.WAITING] else "done"] = None
    return lost, news


def _end(task: HeldTask) -> tuple[int, str | None]:
    """What becomes of a task whose start was lost: its state's code, and the reason."""
    if decode_options(task.options).delivery == "at-most-once":
        return CODES[State.FAILED], "lost"
    if task.losses + 1 >= _POISON:
        return CODES[State.FAILED], "poison"
    return CODES[State.WAITING], None


def without_twins(settlements: Iterable[Settlement]) -> list[list[Settlement]]:
    """The same settlements in the same order, split so that no batch has two for one task."""
    batches: list[list[Settlement]] = [[]]
    seen: set[int] = set()
    for settlement in settlements:
        if settlement.id in seen:
            batches.append([])
            seen = set()
        seen.add(settlement.id)
        batches[-1].append(settlement)
    return batches


def news_of_settlements(settlements: Iterable[Settlement]) -> list[str]:
    """What watchers are told of settlements that were applied."""
    done, output, room, freed = False, False, False, list[int]()
    for s in settlements:
        room |= s.keep
        done |= s.code >= _FINISHED
        output |= s.output is not None
        if s.code == 0 and not s.keep:
            freed.append(s.run_at or 0)
    return ["done"] * done + ["output"] * output + ["room"] * room + [f"due {min(freed)}" for _ in freed[:1]]


def allows(change: Change, state: State, attempt: int, options: str | None) -> bool:
    """Whether the task's state allows the change, whoever holds it."""
    match change:
        case Cancel():
            return State.CANCELLED in LEGAL[state]
        case Reschedule():
            return state is State.WAITING
        case Again():
            once = decode_options(options).delivery == "at-most-once"
            return state in FINISHED and State.WAITING in LEGAL[state] and not (once and attempt > 0)


def check_replaceable(new: NewTask, key: str, owner: int, state: int, holder: int | None) -> None:
    """Raise what stands against replacing the task `owner`, which has the key of `new`."""
    if new.on_conflict == "error":
        raise KeyInUse(key, str(owner))
    if state == CODES[State.RUNNING]:
        raise TooLate(f"the task {owner} with the key {key!r} is running; wait for it, or cancel it")
    if holder is not None:
        raise KeyHeld(key, owner, holder)
