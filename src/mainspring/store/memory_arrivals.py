"""Tasks from outboxes, in the memory store: see the port (`arrivals`)."""

# ruff: noqa: D102 - what each verb promises stands in the port

from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractContextManager

import msgspec

from mainspring.errors import KeyHeld, KeyInUse, TooLate
from mainspring.store import memory_add
from mainspring.store.arrivals import KEY_IN_USE, Arrival, Parcel
from mainspring.store.memory_table import Table
from mainspring.store.rows import Cancel
from mainspring.tasks.state import State


class MemoryArrivals:
    """Fills the port `Arrivals`."""

    def __init__(
        self, table: Table, lock: Callable[[], AbstractContextManager[object]], tell: Callable[[Iterable[str]], None]
    ) -> None:
        self._table = table
        self._lock = lock
        self._tell = tell
        self._known: dict[str, int | None] = {}
        self._gone: set[str] = set()

    def take_in(self, parcels: Sequence[Parcel], now: int) -> list[Arrival]:
        with self._lock():
            return [self._one(parcel, now) for parcel in parcels]

    def _one(self, parcel: Parcel, now: int) -> Arrival:
        task = self._known.get(parcel.id)
        if task is not None:
            return Arrival(task)
        if parcel.id in self._known:
            return self._ended(parcel, Cancel().reason, now)
        if parcel.refused is not None:
            return self._ended(parcel, parcel.refused, now)
        try:
            added, news = memory_add.add(self._table, [parcel.task], now, None)
        except KeyHeld as held:
            return Arrival(held.task, held.holder)
        except (KeyInUse, TooLate):
            return self._ended(parcel, KEY_IN_USE, now)
        self._known[parcel.id] = added[0].id
        self._tell(news)
        return Arrival(added[0].id)

    def _ended(self, parcel: Parcel, reason: str, now: int) -> Arrival:
        """A task that is over as soon as it is here; its key stands in nobody's way."""
        unkeyed = msgspec.structs.replace(parcel.task, key=None)
        [added], _ = memory_add.add(self._table, [unkeyed], now, None)
        with self._table.changing(self._table.tasks[added.id]) as task:
            task.state, task.reason, task.finished_at = State.CANCELLED, reason, now
            task.new = parcel.task
        self._known[parcel.id] = added.id
        self._tell(["done"])
        return Arrival(added.id)

    def find(self, id: str) -> Arrival | None:  # noqa: A002
        with self._lock():
            return Arrival(self._known[id]) if id in self._known else None

    def withdraw(self, id: str, now: int) -> bool:  # noqa: A002, ARG002
        with self._lock():
            withdrawn = self._known.setdefault(id, None) is None
            self._tell(["done"] * withdrawn)
            return withdrawn

    def gone(self, ids: Sequence[str]) -> None:
        with self._lock():
            self._gone.update(id_ for id_ in ids if self._known.get(id_) is not None)
            self.forget()

    def forget(self) -> None:
        """For whoever has pruned tasks, with the store's lock: nothing is remembered of theirs."""
        over = [id_ for id_ in self._gone if self._known[id_] not in self._table.tasks]
        self._gone.difference_update(over)
        for id_ in over:
            del self._known[id_]

    def announce(self, id: str) -> None:  # noqa: A002
        with self._lock():
            self._tell([f"outbox {id}"])
