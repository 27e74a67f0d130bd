"""Tasks from outboxes, in the store's file: see the port (`arrivals`)."""

# ruff: noqa: D102 - what each verb promises stands in the port

from collections.abc import Callable, Sequence

import apsw
import msgspec

from mainspring.errors import KeyHeld, KeyInUse, TooLate
from mainspring.store.arrivals import KEY_IN_USE, Arrival, Parcel
from mainspring.store.rows import Cancel
from mainspring.store.sqlite_add import LaneIds, Unit, insert_unit
from mainspring.store.sqlite_connection import Connections
from mainspring.store.sqlite_sql import write_rows

_KNOWN = "SELECT json_group_array(json_array(id, task)) FROM arrival WHERE id IN (SELECT value FROM json_each(?))"
_NOTE = "INSERT INTO arrival (id, task) VALUES {rows} ON CONFLICT (id) DO UPDATE SET task = excluded.task"
_END = "UPDATE task SET state = 4, reason = ?2, finished_at = ?3, key = ?4 WHERE id = ?1"
_FIND = "SELECT json_array(task) FROM arrival WHERE id = ?"
_WITHDRAW = "INSERT INTO arrival (id) VALUES (?) ON CONFLICT DO NOTHING"
_GONE = "UPDATE arrival SET gone = 1 WHERE id IN (SELECT value FROM json_each(?))"
_FORGET = """
DELETE FROM arrival WHERE id IN (SELECT value FROM json_each(?)) AND task IS NOT NULL
  AND NOT EXISTS (SELECT 1 FROM task WHERE task.id = arrival.task)"""

_known = msgspec.json.Decoder(list[tuple[str, int | None]])


class SqliteArrivals:
    """Fills the port `Arrivals`."""

    def __init__(self, db: Connections, tell: Callable[[list[str]], None], lane_ids: LaneIds) -> None:
        self._db = db
        self._tell = tell
        self._lane_ids = lane_ids

    def take_in(self, parcels: Sequence[Parcel], now: int) -> list[Arrival]:
        several = {parcel.id: parcel for parcel in parcels}
        if not several:
            return []
        tasks = [parcel.task for parcel in several.values()]
        self._lane_ids({(new.queue, new.priority, new.kind.value, new.work) for new in tasks})  # before the write lock
        with self._db.write(durable=True) as con:
            bringing = _Bringing(con, now, self._lane_ids)
            bringing.take_in(several)
        self._tell(bringing.news)
        self._db.keep_log_short()
        return [bringing.arrivals[parcel.id] for parcel in parcels]

    def find(self, id: str) -> Arrival | None:  # noqa: A002
        found = self._db.look(_FIND, (id,))
        return None if found is None else Arrival(msgspec.json.decode(str(found), type=tuple[int | None])[0])

    def withdraw(self, id: str, now: int) -> bool:  # noqa: A002, ARG002
        with self._db.write(durable=True) as con:
            con.execute(_WITHDRAW, (id,))
            withdrawn = bool(con.execute("SELECT task IS NULL FROM arrival WHERE id = ?", (id,)).get)
        self._tell(["done"] * withdrawn)
        return withdrawn

    def gone(self, ids: Sequence[str]) -> None:
        several = msgspec.json.encode(ids).decode()
        with self._db.write(durable=False) as con:
            con.execute(_GONE, (several,))
            con.execute(_FORGET, (several,))

    def announce(self, id: str) -> None:  # noqa: A002
        self._tell([f"outbox {id}"])


class _Bringing:
    """One commit's worth of parcels."""

    def __init__(self, con: apsw.Connection, now: int, lane_ids: LaneIds) -> None:
        self.arrivals: dict[str, Arrival] = {}
        self.news: list[str] = []
        self._con = con
        self._now = now
        self._lane_ids = lane_ids
        self._notes: list[tuple[str, int]] = []

    def take_in(self, parcels: dict[str, Parcel]) -> None:
        known = dict(_known.decode(self._con.execute(_KNOWN, (msgspec.json.encode(list(parcels)).decode(),)).get))
        fresh: list[Parcel] = []
        for parcel in parcels.values():
            task = known.get(parcel.id)
            if task is not None:
                self.arrivals[parcel.id] = Arrival(task)
            elif parcel.id in known:
                self._ended(parcel, Cancel().reason)
            elif parcel.refused is not None:
                self._ended(parcel, parcel.refused)
            else:
                fresh.append(parcel)
        try:
            self._together(fresh)
        except (KeyHeld, KeyInUse, TooLate):  # nothing was written
            self._together([parcel for parcel in fresh if parcel.task.key is None])
            for parcel in fresh:
                if parcel.task.key is not None:
                    self._by_key(parcel)
        write_rows(self._con, _NOTE, self._notes)

    def _together(self, parcels: Sequence[Parcel]) -> None:
        unit = Unit([parcel.task for parcel in parcels], self._now, self._lane_ids)
        insert_unit(self._con, unit)
        for parcel, added in zip(parcels, unit.added, strict=True):
            self._note(parcel, added.id)
        self.news += unit.news()

    def _by_key(self, parcel: Parcel) -> None:
        try:
            self._together([parcel])
        except KeyHeld as held:
            self.arrivals[parcel.id] = Arrival(held.task, held.holder)
        except (KeyInUse, TooLate):
            self._ended(parcel, KEY_IN_USE)

    def _ended(self, parcel: Parcel, reason: str) -> None:
        """A task that is over as soon as it is here; its key stands in nobody's way."""
        unit = Unit([msgspec.structs.replace(parcel.task, key=None)], self._now, self._lane_ids)
        insert_unit(self._con, unit)
        task = unit.added[0].id
        self._con.execute(_END, (task, reason, self._now, parcel.task.key))
        self._note(parcel, task)
        self.news.append("done")

    def _note(self, parcel: Parcel, task: int) -> None:
        self.arrivals[parcel.id] = Arrival(task)
        self._notes.append((parcel.id, task))
