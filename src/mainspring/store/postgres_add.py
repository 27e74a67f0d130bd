"""Adding tasks: all or none, in one commit. What keys and occurrences there are is looked up first; who was faster all
the same is found by the unique indexes, and then all is decided anew.
"""

from collections.abc import Callable, Sequence

import msgspec

from mainspring.errors import KeyInUse, QueueFull
from mainspring.store import postgres_sql as sql
from mainspring.store.postgres_connection import Cursor
from mainspring.store.postgres_migrate import BOUND, LOCK
from mainspring.store.rows import Added, Bound, NewTask
from mainspring.store.rules import check_replaceable
from mainspring.tasks.state import CODES, State

LaneName = tuple[str, int, str, str]  # queue, priority, kind, work
LaneIds = Callable[[set[LaneName]], dict[LaneName, int]]

Row = dict[str, object]


def lane_name(new: NewTask) -> LaneName:
    """The lane of a task."""
    return new.queue, new.priority, new.kind.value, new.work


def insert(
    cursor: Cursor, tasks: Sequence[NewTask], now: int, lanes: dict[LaneName, int], bound: Bound | None = None
) -> tuple[list[Added], list[str]]:
    """Add the tasks within a transaction of the caller's; what each of them is, and the news.

    Raises `KeyInUse`, `TooLate`, `KeyHeld` or `QueueFull`.
    """
    if bound is not None:
        cursor.execute(sql.LOCK, (LOCK, BOUND))  # those who count take turns
    plan = _Plan(cursor, tasks, now, lanes)
    if bound is not None:
        _check_room(cursor, plan, max(now, bound.clock()), bound.most)
    if plan.replaced:
        cursor.execute(sql.CANCEL, ("replaced", now, plan.replaced))
    ids: list[int] = []
    if plan.rows:
        ids = [id_ for (id_,) in cursor.execute(sql.INSERT_TASKS, (_json(plan.rows),))]
    added = [Added(place if place >= 0 else ids[~place], created) for place, created in plan.places]
    due = [new.run_at for new, one in zip(tasks, added, strict=True) if one.created]
    return added, ([f"due {min(due)}"] if due else []) + ["done"] * plan.replaces


class _Plan:
    """What becomes of each task. A task that is to be made has no id yet: the n-th stands as -1 - n in the meantime."""

    def __init__(self, cursor: Cursor, tasks: Sequence[NewTask], now: int, lanes: dict[LaneName, int]) -> None:
        self.rows: list[Row] = []
        self.places: list[tuple[int, bool]] = []  # of each task: its id, and whether it is made
        self.replaced: list[int] = []  # of those that are there
        self.replaces = False
        self._now = now
        self._owners = _key_owners(cursor, tasks)
        self._made = _occurrences(cursor, tasks)
        for new in tasks:
            self._decide(new, lanes[lane_name(new)])

    def _decide(self, new: NewTask, lane: int) -> None:
        place = ~len(self.rows)
        if (name := new.occurrence_name) is not None:
            there = self._made.setdefault(name, place)
            if there != place:
                self.places.append((there, False))
                return
        if new.key is not None:
            owner = self._owners.get(new.key)
            if owner is not None and new.on_conflict == "keep":
                self.places.append((owner[0], False))
                return
            if owner is not None and owner[0] < 0 and new.on_conflict == "error":
                raise KeyInUse(new.key, "that is added with it")
            if owner is not None:
                check_replaceable(new, new.key, *owner)
                self._replace(owner[0])
            self._owners[new.key] = (place, 0, None)
        self.rows.append(_row(new, lane, self._now))
        self.places.append((place, True))

    def _replace(self, owner: int) -> None:
        self.replaces = True
        if owner >= 0:
            self.replaced.append(owner)
        else:  # of this very call: it enters as what it is by then, so that the key is free
            cancelled = {"state": CODES[State.CANCELLED], "reason": "replaced", "finished_at": self._now}
            self.rows[~owner] |= cancelled


def _row(new: NewTask, lane: int, now: int) -> Row:
    row: Row = {
        "lane": lane, "run_at": new.run_at, "created_at": now, "payload": new.payload, "state": 0,
    }  # fmt: skip
    for column in ("name", "options", "key", "expires_at", "schedule", "occurrence"):
        value = getattr(new, column)
        if value is not None:
            row[column] = value
    if new.missed is not None:
        row |= {
            "state": CODES[State.MISSED], "reason": new.missed.reason, "finished_at": now,
            "missed_until": new.missed.last, "missed_count": new.missed.count,
        }  # fmt: skip
    return row


def _check_room(cursor: Cursor, plan: _Plan, due_by: int, most: int) -> None:
    """Raise `QueueFull` when what is due would become more than there is room for. What adds none needs none."""
    due = sum(row["state"] == 0 and row["run_at"] <= due_by for row in plan.rows)  # type: ignore[operator]  # an int
    if plan.replaced:
        [(gone,)] = cursor.execute(sql.DUE_AMONG, (plan.replaced, due_by)).fetchall()
        due -= gone
    if due > 0:
        [(pending,)] = cursor.execute(sql.PENDING, {"now": due_by, "limit": most}).fetchall()
        if pending + due > most:
            raise QueueFull(min(pending, most), most, due)


def _occurrences(cursor: Cursor, tasks: Sequence[NewTask]) -> dict[tuple[str, int], int]:
    """Those of the occurrences that are tasks already, by schedule and instant."""
    names = [name for new in tasks if (name := new.occurrence_name) is not None]
    if not names:
        return {}
    wanted = _json([{"schedule": schedule, "occurrence": occurrence} for schedule, occurrence in names])
    return {(schedule, at): id_ for schedule, at, id_ in cursor.execute(sql.OCCURRENCES, (wanted,))}


def _key_owners(cursor: Cursor, tasks: Sequence[NewTask]) -> dict[str, tuple[int, int, int | None]]:
    """The unfinished tasks that have the keys: id, state, holder. Who may replace one has it to himself meanwhile."""
    keys = sorted({new.key for new in tasks if new.key is not None})
    if not keys:
        return {}
    replacing = any(new.on_conflict == "replace" for new in tasks)
    found = cursor.execute(sql.KEY_OWNERS_ALONE if replacing else sql.KEY_OWNERS, (keys,))
    return {key: (id_, state, holder) for key, id_, state, holder in found}


def _json(rows: Sequence[Row]) -> str:
    return msgspec.json.encode(rows).decode()
