"""Adding to the memory store: every task of a call is decided about before the first change is made."""

from collections.abc import Iterable, Sequence

from mainspring.errors import KeyHeld, KeyInUse, QueueFull, TooLate
from mainspring.store.memory_table import Table
from mainspring.store.rows import Added, Bound, NewTask
from mainspring.tasks.state import State


def add(table: Table, tasks: Sequence[NewTask], now: int, bound: Bound | None) -> tuple[list[Added], list[str]]:
    """All or none; what the adder is told, and the news."""
    answer: list[Added] = []
    created: list[tuple[int, NewTask]] = []
    replaced: list[int] = []
    occurrences: dict[tuple[str, int], int] = {}  # those that this call makes
    mine: dict[str, int] = {}  # the keys that this call has taken
    for new in tasks:
        if (name := new.occurrence_name) is not None:
            made = occurrences.get(name) or (table.occurrences[name].id if name in table.occurrences else None)
            if made is not None:
                answer.append(Added(made, created=False))
                continue
            occurrences[name] = table.last_id + len(created) + 1
        if new.key is not None:
            owner = mine.get(new.key) or (table.keys[new.key].id if new.key in table.keys else None)
            if owner is not None and new.on_conflict == "keep":
                answer.append(Added(owner, created=False))
                continue
            if owner is not None:
                _check_replaceable(table, new, new.key, owner)
                replaced.append(owner)
        id_ = table.last_id + len(created) + 1
        created.append((id_, new))
        answer.append(Added(id_))
        if new.key is not None:
            mine[new.key] = id_
    there = [id_ for id_ in replaced if id_ in table.tasks]
    if bound is not None:
        due_by, gone = max(now, bound.clock()), set(replaced)
        due = sum(new.run_at <= due_by for id_, new in created if id_ not in gone)
        _check_room(table, due - sum(table.tasks[id_].run_at <= due_by for id_ in there), due_by, bound.most)
    _replace(table, there, now)
    table.insert(created, now)
    _replace(table, [id_ for id_ in replaced if id_ not in there], now)
    news = [f"due {min(new.run_at for _, new in created)}"] if created else []
    return answer, news + ["done"] * bool(replaced)


def _check_room(table: Table, more: int, due_by: int, most: int) -> None:
    pending = table.pending(due_by)
    if more > 0 and pending + more > most:
        raise QueueFull(min(pending, most), most, more)


def _check_replaceable(table: Table, new: NewTask, key: str, owner: int) -> None:
    if new.on_conflict == "error":
        raise KeyInUse(key, str(owner))
    task = table.tasks.get(owner)  # None: from this very call, so it waits and nobody holds it
    if task is not None and task.state is State.RUNNING:
        raise TooLate(f"the task {owner} with the key {key!r} is running; wait for it, or cancel it")
    if task is not None and task.holder is not None:
        raise KeyHeld(key, owner, task.holder)


def _replace(table: Table, ids: Iterable[int], now: int) -> None:
    for id_ in ids:
        with table.changing(table.tasks[id_]) as task:
            task.state, task.reason, task.finished_at = State.CANCELLED, "replaced", now
