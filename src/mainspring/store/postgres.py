"""The store on PostgreSQL: the port's verbs, each a transaction or a look.

How connections are made and mended is in `postgres_connection`, the schema in `postgres_migrate`, the statements in
`postgres_sql`, news and the life of nodes in `postgres_ear` and `postgres_nodes`. Everything is committed as durably as
the server does it (`synchronous_commit`): a daemon outlives a crash of the server, and must not know more than it.
"""

# ruff: noqa: D102 - what each verb promises stands in the port

import weakref
from collections.abc import Iterable, Sequence
from functools import partial
from typing import TypeVar

import msgspec
from psycopg.rows import TupleRow

from mainspring.store import postgres_find, postgres_lateness, sqlite_forks
from mainspring.store import postgres_sql as sql
from mainspring.store.arrivals import Arrivals
from mainspring.store.memory_watch import MemoryWatch
from mainspring.store.postgres_add import LaneName, insert, lane_name
from mainspring.store.postgres_arrivals import PostgresArrivals
from mainspring.store.postgres_connection import Connections, Cursor, void
from mainspring.store.postgres_ear import Ear
from mainspring.store.postgres_migrate import LOCK, PAUSES, bring_up
from mainspring.store.postgres_nodes import Nodes
from mainspring.store.postgres_settle import settle
from mainspring.store.postgres_steer import steer
from mainspring.store.rows import (
    Added,
    AttemptRow,
    Bound,
    Change,
    Demand,
    Filter,
    Lane,
    LateRow,
    NewNode,
    NewTask,
    NodeRow,
    Request,
    Reservation,
    Reserved,
    Settlement,
    Standing,
    Stats,
    TakenOver,
    TaskRow,
    Verdict,
    news_of,
)
from mainspring.store.sqlite_nodes import SqliteSeat
from mainspring.tasks.state import STATES

T = TypeVar("T")

_demand: msgspec.json.Decoder[Demand] = msgspec.json.Decoder(Demand)
_verdict = msgspec.json.Decoder(Verdict)


class PostgresStore:
    """Fills the port `Store`. Many of them, on many machines, may work on one database."""

    def __init__(self, url: str, *, create: bool = True) -> None:
        """Open the store in the database at `url`; with `create`, make it where there is none (`StoreNotFound`)."""
        self._db = Connections(url)
        self.url = self._db.place
        try:
            bring_up(self._db, create=create)
            [(number,)] = self._db.look(sql.STORE_ID)
        except BaseException:
            self._db.close()
            raise
        self._known: dict[LaneName, Lane] = {}
        self._watches: weakref.WeakSet[MemoryWatch] = weakref.WeakSet()
        self._ear = Ear(self._db, self._tell)
        self._nodes = Nodes(self._db, self._ear, number)
        self.arrivals: Arrivals = PostgresArrivals(self._db, self._ear.send, self._lane_ids)
        self._lateness = postgres_lateness.Folding(self._db)
        self._node = 0  # whose counters of lateness this store writes
        sqlite_forks.attend(self)

    # ── adding ─────────────────────────────────────────────────────────────────────────────────────────────
    def add(self, tasks: Sequence[NewTask], now: int, bound: Bound | None = None) -> list[Added]:
        if not tasks:
            return []
        lanes = self._lane_ids({lane_name(new) for new in tasks})
        added, news = self._db.write(lambda cursor: insert(cursor, tasks, now, lanes, bound))
        self._ear.send(news)
        return added

    def pending(self, now: int, limit: int) -> int:
        return self._number_of(sql.PENDING, {"now": now, "limit": limit}) or 0

    def _lane_ids(self, names: set[LaneName]) -> dict[LaneName, int]:
        """The lanes of these names, which are made when they are new. They stay for ever."""
        if not names <= self._known.keys():
            self.lanes()
        missing = sorted(names - self._known.keys())
        if missing:
            rows = [dict(zip(("queue", "priority", "kind", "work"), name, strict=True)) for name in missing]

            def make(cursor: Cursor) -> None:
                cursor.execute(sql.LOCK_LANES)
                cursor.execute(sql.INSERT_LANES, (_json(rows),))

            self._db.write(make, receipt=False)
            self.lanes()
        return {name: self._known[name].id for name in names}

    # ── the hot path ───────────────────────────────────────────────────────────────────────────────────────
    def lanes(self) -> list[Lane]:
        last = max((lane.id for lane in list(self._known.values())), default=0)
        for found in self._db.look(sql.LANES, (last,)):
            lane = msgspec.convert(found, Lane)
            self._known[lane.queue, lane.priority, lane.kind.value, lane.work] = lane
        return sorted(self._known.values(), key=lambda lane: lane.id)

    def paused(self) -> frozenset[str | None]:
        return frozenset(queue for (queue,) in self._db.look(sql.PAUSED))

    def next_due(self, lanes: Sequence[int]) -> int | None:
        return self._number_of(sql.NEXT_DUE, {"lanes": list(lanes)})

    def reserve(self, node: int, lanes: Sequence[int], *, after: int, until: int, limit: int) -> Reserved:
        values = {"lanes": list(lanes), "after": after, "until": until, "limit": limit}
        if limit <= 0 or not self._number_of(sql.ANY_DUE, values):
            return Reserved(0, [])

        lease = self._ear.life.due(node)

        def take(cursor: Cursor) -> Reserved:
            cursor.execute(sql.LOCK_SHARED, (LOCK, PAUSES))
            if lease is None:
                cursor.execute(sql.TAKES_PART, (node,))
            else:  # others are to know of it as soon as they see what is held
                cursor.execute(sql.HEARD, lease[0])
            if not cursor.rowcount:  # it left, or was taken over
                return Reserved(0, [])
            tasks = [Reservation(*found) for found in cursor.execute(sql.PICK, values)]
            if not tasks:
                return Reserved(0, [])
            [(token,)] = cursor.execute(sql.NEXT_TOKEN).fetchall()
            cursor.execute(sql.HOLD, (node, token, [task.id for task in tasks]))
            return Reserved(token, tasks)

        reserved = self._db.write(take, receipt=False)
        if lease is not None and reserved.token:
            self._ear.told(node, lease[1])
        return reserved

    def give_back(self, node: int, since: int) -> int:
        def free(cursor: Cursor) -> int:
            cursor.execute(sql.NODE_ALONE, (node,))
            return cursor.execute(sql.GIVE_BACK, (node, since)).rowcount

        freed = self._db.write(free)
        self._ear.send(["due 0"] * bool(freed))
        return freed

    def record(self, settlements: Sequence[Settlement], *, durable: bool = False) -> list[int]:  # noqa: ARG002
        if not settlements:
            return []
        self._lateness.keep_up(settlements[-1])
        refused, news = self._db.write(lambda cursor: settle(cursor, self._node, settlements))
        self._ear.send(news)
        return refused

    # ── steering ───────────────────────────────────────────────────────────────────────────────────────────
    def change(self, task: int, change: Change, now: int, token: int | None = None) -> Verdict:
        verdict, news = self._db.write(lambda cursor: steer(cursor, task, change, now, token))
        self._ear.send(news)
        return verdict

    def ask(self, node: int, task: int | None, demand: Demand) -> int:
        values = (node, task, _json(demand))
        [(request,)] = self._db.write(lambda cursor: cursor.execute(sql.ASK, values).fetchall())
        self._ear.send([f"ask {node}"])
        return int(request)

    def requests(self, node: int) -> list[Request]:
        return [
            Request(id_, task, _demand.decode(demand)) for id_, task, demand in self._db.look(sql.REQUESTS, (node,))
        ]

    def answer(self, request: int, verdict: Verdict) -> None:
        self._db.write(lambda cursor: void(cursor.execute(sql.ANSWER, (_json(verdict), request))))
        self._ear.send(["answer"])

    def answered(self, request: int) -> Verdict | None:
        if not self._db.look(sql.HAS_ANSWER, (request,)):
            return None
        found = self._db.write(lambda cursor: cursor.execute(sql.ANSWERED, (request,)).fetchall())
        return _verdict.decode(found[0][0]) if found else None

    def pause(self, queue: str | None, *, paused: bool) -> None:
        def make(cursor: Cursor) -> None:
            cursor.execute(sql.LOCK, (LOCK, PAUSES))  # who is reserving just now has done so when this returns
            cursor.execute(sql.PAUSE if paused else sql.RESUME, {"queue": queue})

        self._db.write(make)
        self._ear.send([] if paused else ["due 0"])

    # ── looking ────────────────────────────────────────────────────────────────────────────────────────────
    def get(self, task: int) -> TaskRow | None:
        return next(iter(_rows(self._db.look(sql.GET, (task,)), TaskRow)), None)

    def find(self, wanted: Filter) -> list[TaskRow]:
        lanes = self.lanes()
        ids = self._ids(postgres_find.unfinished(wanted, lanes))
        ids += self._ids(postgres_find.finished(wanted, lanes, wanted.limit - len(ids)))
        return _rows(self._db.look(sql.ROWS_BY_ID, (ids,)), TaskRow) if ids else []

    def _ids(self, query: postgres_find.Query | None) -> list[int]:
        return [] if query is None else [id_ for (id_,) in self._db.look(*query)]

    def attempts(self, task: int) -> list[AttemptRow]:
        return _rows(self._db.look(sql.ATTEMPTS, (task,)), AttemptRow)

    def output(self, task: int) -> str | None:
        return next((text for (text,) in self._db.look(sql.OUTPUT, (task,))), None)

    def stats(self) -> Stats:
        counts = dict.fromkeys(STATES, 0) | {STATES[code]: count for code, count in self._db.look(sql.COUNTS)}
        return Stats(counts, [late for (late,) in self._db.look(sql.LATENESS)])

    def lateness(self, since: int, *, apart: bool = False) -> list[LateRow]:
        return postgres_lateness.rows(self._db, since, apart=apart)

    def waiting(self, lanes: Sequence[int]) -> int:
        return self._number_of(sql.WAITING, (list(lanes),)) or 0

    def _number_of(self, statement: str, values: Sequence[object] | dict[str, object]) -> int | None:
        [(number,)] = self._db.look(statement, values)
        assert number is None or isinstance(number, int)
        return number

    # ── nodes ──────────────────────────────────────────────────────────────────────────────────────────────
    def join(self, node: NewNode) -> SqliteSeat:
        seat = self._nodes.join(node)
        self._node = seat.node
        self._ear.send(["nodes"])
        return seat

    def report(self, node: int, unknown: Sequence[int]) -> None:
        self._db.write(lambda cursor: void(cursor.execute(sql.REPORT, (list(unknown), node))), receipt=False)

    def leave(self, node: int) -> None:
        self._ear.send(self._nodes.leave(node))

    def nodes(self) -> list[NodeRow]:
        return self._nodes.rows()

    def take_over(self, node: int, now: int, silent: int | None = None) -> TakenOver | None:
        taken, news = self._nodes.take_over(node, now, silent)
        self._ear.send(news)
        return taken

    # ── schedules and listeners ────────────────────────────────────────────────────────────────────────────
    def put(self, standing: Standing) -> bool:
        values = (standing.kind, standing.name, *_changing(standing), standing.version)
        new = self._db.write(lambda cursor: cursor.execute(sql.PUT, values).rowcount > 0)
        self._ear.send([news_of(standing)] * new)
        return new

    def standings(
        self, kind: str | None = None, after: str = "", limit: int | None = None, before: int | None = None
    ) -> list[Standing]:
        return _standings(
            self._db.look(sql.STANDINGS, {"kind": kind, "after": after, "limit": limit, "before": before})
        )

    def standing(self, kind: str, name: str) -> Standing | None:
        return next(iter(_standings(self._db.look(sql.STANDING, (kind, name)))), None)

    def advance(self, standing: Standing, tasks: Sequence[NewTask] = (), now: int = 0, *, durable: bool = True) -> bool:  # noqa: ARG002
        lanes = self._lane_ids({lane_name(new) for new in tasks})
        values = (*_changing(standing), standing.kind, standing.name, standing.version)

        def make(cursor: Cursor) -> list[str] | None:
            if not cursor.execute(sql.ADVANCE, values).rowcount:
                return None
            return insert(cursor, tasks, now, lanes)[1]

        news = self._db.write(make)
        if news is None:
            return False
        self._ear.send([news_of(standing), *news])
        return True

    def remove(self, kind: str, name: str) -> bool:
        gone = self._db.write(lambda cursor: cursor.execute(sql.REMOVE, (kind, name)).rowcount > 0)
        self._ear.send([f"standing {kind} {name}"] * gone)
        return gone

    # ── life ───────────────────────────────────────────────────────────────────────────────────────────────
    def prune(self, before: int, limit: int) -> int:
        return self._db.write(partial(_forget, statement=sql.OLD, values={"before": before, "limit": limit}))

    def trim(self, schedule: str, keep: int, limit: int) -> int:
        values = {"schedule": schedule, "keep": keep, "limit": limit}
        return self._db.write(partial(_forget, statement=sql.BEYOND, values=values))

    def watch(self) -> MemoryWatch:
        self._ear.listen()
        watch = MemoryWatch(self._watches.discard)
        self._watches.add(watch)
        return watch

    def _tell(self, news: Iterable[str]) -> None:
        told = list(news)
        for watch in list(self._watches):
            watch.tell(told)

    def close(self) -> None:
        for watch in list(self._watches):
            watch.close()
        self._ear.close()
        self._nodes.drop_all()
        self._db.close()

    # ── forking ────────────────────────────────────────────────────────────────────────────────────────────
    def before_fork(self) -> None:
        """Called in the forking thread."""

    def after_fork(self) -> None:
        """Called in the parent, whose sessions go on."""

    def after_fork_in_child(self) -> None:
        """Called in the child: it may use the store, but has no seat; the parent keeps its own."""
        self._ear.after_fork_in_child()
        self._db.after_fork_in_child()
        for watch in list(self._watches):
            watch.after_fork()
            watch.close()
        self._nodes.drop_all()


def _forget(cursor: Cursor, *, statement: str, values: dict[str, object]) -> int:
    """Forget the tasks whose ids the statement tells."""
    ids = [id_ for (id_,) in cursor.execute(statement, values)]
    for forget in (sql.FORGET_ATTEMPTS, sql.FORGET_OUTPUTS, sql.FORGET_ARRIVALS, sql.FORGET_TASKS):
        cursor.execute(forget, (ids,))
    return cursor.rowcount


def _rows(found: list[TupleRow], kind: type[T]) -> list[T]:
    return msgspec.convert(found, list[kind])  # type: ignore[valid-type]  # a type made here


def _standings(found: list[TupleRow]) -> list[Standing]:
    names = ("kind", "name", "app", "definition", "paused", "next_run_at", "holder", "status", "version")
    return [Standing(**dict(zip(names, one, strict=True))) for one in found]


def _changing(standing: Standing) -> tuple[object, ...]:
    """What can change in a schedule or listener, in the order of the statements."""
    return (
        standing.app,
        standing.definition,
        standing.paused,
        standing.next_run_at,
        standing.holder,
        standing.status,
    )


def _json(value: object) -> str:
    return msgspec.json.encode(value).decode()
