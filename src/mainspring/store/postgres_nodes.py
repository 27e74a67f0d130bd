"""Who takes part in the work of a store on PostgreSQL, and whether it lives.

What lies in files on SQLite (a lock for the life of a process, its journal) lies in a directory of this machine here:
daemons of one machine see each other's. Of a daemon elsewhere the server tells: its session holds a lock, and its lease
is in its row. Its journal cannot be read from here.
"""

import os
import sys
import tempfile
import time
from contextlib import suppress

import msgspec
from psycopg.rows import TupleRow

from mainspring.errors import StoreError
from mainspring.store import postgres_sql as sql
from mainspring.store import sqlite_nodes as files
from mainspring.store.postgres_connection import Connections, Cursor
from mainspring.store.postgres_ear import Ear
from mainspring.store.postgres_life import LIFE
from mainspring.store.postgres_migrate import JOINING, LOCK
from mainspring.store.postgres_settle import clear_node
from mainspring.store.rows import NewNode, NodeRow, TakenOver
from mainspring.store.sqlite_nodes import SqliteSeat
from mainspring.store.sqlite_place import make_folder
from mainspring.when.clock import SystemClock

_GRACE_S = 0.2  # much longer than what is sent by the server takes to arrive


class Nodes:
    """Who takes part, for one store: the port's verbs about nodes. `number` is that of the store."""

    def __init__(self, db: Connections, ear: Ear, number: int) -> None:
        self._db = db
        self._ear = ear
        self._number = number
        self._seats: dict[int, SqliteSeat] = {}

    def join(self, node: NewNode) -> SqliteSeat:
        """See `Store.join`."""
        place = local_place(self._number)
        seats: list[SqliteSeat] = []

        def make(cursor: Cursor) -> SqliteSeat:
            cursor.execute(sql.LOCK, (LOCK, JOINING))
            values = (node.host, node.pid, node.version, node.workers, node.started_at, node.app, place.name)
            [(number,)] = cursor.execute(sql.JOIN, values).fetchall()
            try:
                seats.append(SqliteSeat(place.folder, number))  # locked before anybody can see the row
            except OSError as error:
                raise StoreError(f"no place for a daemon in {place.folder} ({error}): make room there") from error
            # the life of this number begins before others can look for it
            self._ear.hold(number, seats[-1].journal, values)
            files.forget_all_but(place.folder, [id_ for (id_,) in cursor.execute(sql.NODE_IDS)])
            return seats[-1]

        try:
            seat = self._db.write(make)
        except BaseException:
            self._drop(seats)
            raise
        self._drop(seats[:-1])  # of runs that came to nothing
        self._seats[seat.node] = seat
        self._db.do(sql.FORGET_OLD)
        return seat

    def _drop(self, seats: list[SqliteSeat]) -> None:
        for seat in seats:
            self._ear.release(seat.node)
            seat.drop()

    def leave(self, node: int) -> list[str]:
        """See `Store.leave`; the news."""
        left, news = self._db.write(lambda cursor: clear_node(cursor, node, {}, None))
        if left is not None:
            files.forget(local_place(self._number).folder, node)
        seat = self._seats.pop(node, None)
        if seat is not None:
            seat.drop()
        self._ear.release(node)
        return news

    def drop_all(self) -> None:
        """Give up all seats."""
        for seat in list(self._seats.values()):
            seat.drop()
        self._seats.clear()

    def rows(self) -> list[NodeRow]:
        """See `Store.nodes`."""
        place = local_place(self._number)
        return [_row(found, place, self._ear) for found in self._db.look(sql.NODES, (LIFE,))]

    def take_over(self, node: int, now: int, silent: int | None) -> tuple[TakenOver | None, list[str]]:
        """See `Store.take_over`; with the news."""
        place = local_place(self._number)
        found = next((found for found in self._db.look(sql.NODES, (LIFE,)) if found[0] == node), None)
        if found is None:
            return None, []
        if found[8] != place.name:
            return self._take_from_afar(_row(found, place, self._ear), now, silent)
        with files.claimed(place.folder, node) as dead:
            if not dead and (silent is None or not 0 < files.head(place.folder, node).lease <= silent):
                return None, []

            def clear(cursor: Cursor) -> tuple[TakenOver | None, list[str]]:
                if not dead:
                    cursor.execute(sql.NODE_ALONE, (node,))
                    # within the transaction: a node that renews has given up what it held before, and reserves anew
                    if not 0 < files.head(place.folder, node).lease <= (silent or 0):
                        return None, []
                starts = files.starts(place.folder, node)
                return clear_node(cursor, node, starts, now, lives=not dead)

            taken, news = self._db.write(clear)
            if dead and taken is not None:
                files.forget(place.folder, node)
        return taken, news

    def _take_from_afar(self, shown: NodeRow, now: int, silent: int | None) -> tuple[TakenOver | None, list[str]]:
        """Take over from a node of another machine: dead when its session is, or silent by the lease that it told."""
        if shown.alive and (silent is None or not 0 < shown.lease <= silent):
            return None, []

        if not shown.alive:  # its process may live: it is given the time to notice that its session broke
            time.sleep(_GRACE_S)

        def clear(cursor: Cursor) -> tuple[TakenOver | None, list[str]]:
            [(free,)] = cursor.execute(sql.SESSION_IS_GONE, (LIFE, shown.id)).fetchall()
            told = cursor.execute(sql.LEASE_OF, (shown.id,)).fetchall()
            if not told or (not shown.alive and not free) or (shown.alive and not (told[0][1] or 1) <= 0):
                return None, []
            return clear_node(cursor, shown.id, {}, now, lives=shown.alive, unknown_by=now)

        return self._db.write(clear)


class Place(msgspec.Struct, frozen=True):
    """Where the files of this machine's nodes lie. `name` tells whether another process means the same directory."""

    folder: str
    name: str


def local_place(store: int) -> Place:
    """The directory for the store of this number, made if need be."""
    runtime = os.environ.get("XDG_RUNTIME_DIR") or ""
    owner = os.getuid() if hasattr(os, "getuid") else "all"
    above = os.path.join(runtime if os.path.isdir(runtime) else tempfile.gettempdir(), f"mainspring-{owner}")
    make_folder(above)
    folder = os.path.join(above, f"{store:x}-nodes")
    make_folder(folder)
    found = os.stat(folder)
    return Place(folder, f"{_boot()}:{found.st_dev}:{found.st_ino}")


def _boot() -> str:
    """This boot of this machine."""
    if sys.platform == "linux":
        with suppress(OSError), open("/proc/sys/kernel/random/boot_id", encoding="ascii") as file:
            return file.read().strip()
    import socket

    return socket.gethostname()


def _row(found: TupleRow, place: Place, ear: Ear) -> NodeRow:
    """What `nodes` shows of one."""
    *fields, where, busy, left, session = found
    if where == place.name:
        return files.rows(place.folder, [tuple(fields)])[0]
    id_, host, pid, version, workers, started_at, app, unknown = fields
    # Sessions break together when the server stops: then others are given the time to come back.
    alive = session or (not ear.steady and (left is None or left > 0 or ear.hears))
    lease = 0 if left is None else SystemClock().boottime() + left
    return NodeRow(
        id=id_, host=host, pid=pid, version=version, workers=workers, started_at=started_at, app=app, alive=alive,
        lease=max(1, lease) if left is not None else 0, busy=busy, lateness=[None] * 9, moved=None, unknown=unknown,
    )  # fmt: skip
