"""Tasks from outboxes, on PostgreSQL: see the port (`arrivals`). Who brings some takes turns with others who do."""

# ruff: noqa: D102 - what each verb promises stands in the port

from collections.abc import Callable, Sequence

import msgspec

from mainspring.errors import KeyHeld, KeyInUse, TooLate
from mainspring.store import postgres_sql as sql
from mainspring.store.arrivals import KEY_IN_USE, Arrival, Parcel
from mainspring.store.postgres_add import LaneIds, LaneName, insert, lane_name
from mainspring.store.postgres_connection import Connections, Cursor
from mainspring.store.postgres_migrate import ARRIVALS, LOCK
from mainspring.store.rows import Cancel, NewTask


class PostgresArrivals:
    """Fills the port `Arrivals`."""

    def __init__(self, db: Connections, tell: Callable[[list[str]], None], lane_ids: LaneIds) -> None:
        self._db = db
        self._tell = tell
        self._lane_ids = lane_ids

    def take_in(self, parcels: Sequence[Parcel], now: int) -> list[Arrival]:
        several = {parcel.id: parcel for parcel in parcels}
        if not several:
            return []
        lanes = self._lane_ids({lane_name(parcel.task) for parcel in several.values()})

        def bring(cursor: Cursor) -> _Bringing:
            bringing = _Bringing(cursor, now, lanes)
            bringing.take_in(several)
            return bringing

        done = self._db.write(bring)
        self._tell(done.news)
        return [done.arrivals[parcel.id] for parcel in parcels]

    def find(self, id: str) -> Arrival | None:  # noqa: A002
        return next((Arrival(task) for _, task in self._db.look(sql.ARRIVED, ([id],))), None)

    def withdraw(self, id: str, now: int) -> bool:  # noqa: A002, ARG002
        def mark(cursor: Cursor) -> bool:
            cursor.execute(sql.LOCK, (LOCK, ARRIVALS))
            cursor.execute(sql.WITHDRAW, (id,))
            [(_, task)] = cursor.execute(sql.ARRIVED, ([id],)).fetchall()
            return task is None

        withdrawn = self._db.write(mark)
        self._tell(["done"] * withdrawn)
        return withdrawn

    def gone(self, ids: Sequence[str]) -> None:
        def forget(cursor: Cursor) -> None:
            cursor.execute(sql.ARRIVALS_GONE, (list(ids),))
            cursor.execute(sql.FORGET_GONE, (list(ids),))

        self._db.write(forget)

    def announce(self, id: str) -> None:  # noqa: A002
        self._tell([f"outbox {id}"])


class _Bringing:
    """One commit's worth of parcels."""

    def __init__(self, cursor: Cursor, now: int, lanes: dict[LaneName, int]) -> None:
        self.arrivals: dict[str, Arrival] = {}
        self.news: list[str] = []
        self._cursor = cursor
        self._now = now
        self._lanes = lanes

    def take_in(self, parcels: dict[str, Parcel]) -> None:
        self._cursor.execute(sql.LOCK, (LOCK, ARRIVALS))
        known: dict[str, int | None] = dict(self._cursor.execute(sql.ARRIVED, (list(parcels),)).fetchall())
        plain: list[Parcel] = []
        for parcel in parcels.values():
            task = known.get(parcel.id)
            if task is not None:
                self.arrivals[parcel.id] = Arrival(task)
            elif parcel.id in known:
                self._ended(parcel, Cancel().reason)
            elif parcel.refused is not None:
                self._ended(parcel, parcel.refused)
            elif parcel.task.key is not None:
                self._by_key(parcel)
            else:
                plain.append(parcel)
        for parcel, task in zip(plain, self._insert([parcel.task for parcel in plain]), strict=True):
            self.arrivals[parcel.id] = Arrival(task)
        notes = [
            {"id": id_, "task": arrival.task}
            for id_, arrival in self.arrivals.items()
            if arrival.holder is None and known.get(id_) is None
        ]
        self._cursor.execute(sql.ARRIVE, (msgspec.json.encode(notes).decode(),))

    def _insert(self, tasks: list[NewTask]) -> list[int]:
        if not tasks:
            return []
        added, news = insert(self._cursor, tasks, self._now, self._lanes)
        self.news += news
        return [one.id for one in added]

    def _by_key(self, parcel: Parcel) -> None:
        try:
            [task] = self._insert([parcel.task])
        except KeyHeld as held:
            self.arrivals[parcel.id] = Arrival(held.task, held.holder)
        except (KeyInUse, TooLate):
            self._ended(parcel, KEY_IN_USE)
        else:
            self.arrivals[parcel.id] = Arrival(task)

    def _ended(self, parcel: Parcel, reason: str) -> None:
        """A task that is over as soon as it is here; its key stands in nobody's way."""
        [added], _ = insert(self._cursor, [msgspec.structs.replace(parcel.task, key=None)], self._now, self._lanes)
        self._cursor.execute(sql.END_ARRIVED, (reason, self._now, parcel.task.key, added.id))
        self.arrivals[parcel.id] = Arrival(added.id)
        self.news.append("done")
