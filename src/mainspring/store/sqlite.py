"""The store in one SQLite file: the port's verbs, each a transaction or a look.

How the file is opened, locked and mended is in `sqlite_connection`, the statements in `sqlite_sql`, the shared commits
of `add` in `sqlite_add`, what lies beside the file in `sqlite_nodes`, news in `wake`.
"""

# ruff: noqa: D102 - what each verb promises stands in the port

import os
import weakref
from collections.abc import Sequence
from contextlib import ExitStack

import msgspec

from mainspring.errors import StoreError
from mainspring.store import sqlite_find, sqlite_forks, sqlite_lateness, sqlite_nodes
from mainspring.store import sqlite_sql as sql
from mainspring.store.arrivals import Arrivals
from mainspring.store.histogram import SECOND
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
    Reserved,
    Settlement,
    Standing,
    Stats,
    TakenOver,
    TaskRow,
    Verdict,
    news_of,
)
from mainspring.store.sqlite_add import Adder, Unit, insert_unit
from mainspring.store.sqlite_arrivals import SqliteArrivals
from mainspring.store.sqlite_connection import Connections
from mainspring.store.sqlite_nodes import SqliteSeat
from mainspring.store.sqlite_place import make_folder, resolved
from mainspring.store.sqlite_settle import clear_node, settle
from mainspring.store.sqlite_spoilt import Reader, as_number, as_text, pick, unreadable
from mainspring.store.sqlite_sql import Value
from mainspring.store.sqlite_steer import steer
from mainspring.store.wake import SocketWatch, Wake
from mainspring.tasks.state import STATES

_LOG_PAGES = 4_000  # adding and reserving leave the log to those who record until there is this much of it

_lanes = Reader(list[Lane])
_queues = Reader(frozenset[str | None])
_tasks = Reader(list[TaskRow])
_task = Reader(TaskRow)
_attempts = Reader(list[AttemptRow])
_requests = Reader(list[tuple[int, int | None, str]])
_demand: Reader[Demand] = Reader(Demand)  # type: ignore[arg-type]  # a union is no class to mypy
_verdict = Reader(Verdict)
_nodes = Reader(list[sqlite_nodes.NodeFields])
_standings = Reader(list[Standing])
_late_rows = Reader(list[LateRow])
_numbers = Reader(list[int])


class SqliteStore:
    """Fills the port `Store`. Many of them, in many processes, may work on one file."""

    def __init__(self, path: str, *, create: bool = True) -> None:
        """Open the store at `path`; with `create`, make it where there is none (else `StoreNotFound`)."""
        self.path = resolved(path)
        self.url = f"sqlite:///{self.path.lstrip('/')}" if os.sep != "/" else f"sqlite://{self.path}"
        self._folder = f"{self.path}-nodes"
        self._db = Connections(self.path, create=create)
        self._wake = Wake(self._folder)
        self._adder = Adder(self._db, self._wake.send)
        self.arrivals: Arrivals = SqliteArrivals(self._db, self._wake.send, self._lane_ids)
        self._lateness = sqlite_lateness.Folding(self._db)
        self._known: dict[tuple[str, int, str, str], Lane] = {}
        self._seats: dict[int, SqliteSeat] = {}
        self._watches: weakref.WeakSet[SocketWatch] = weakref.WeakSet()
        sqlite_forks.attend(self)

    # ── adding ─────────────────────────────────────────────────────────────────────────────────────────────
    def add(self, tasks: Sequence[NewTask], now: int, bound: Bound | None = None) -> list[Added]:
        added = self._adder.add(Unit(tasks, now, self._lane_ids, bound))
        self._db.keep_log_short(_LOG_PAGES)
        return added

    def pending(self, now: int, limit: int) -> int:
        return as_number(self._db.look(sql.PENDING, (now, limit))) or 0

    def _lane_ids(self, names: set[tuple[str, int, str, str]]) -> dict[tuple[str, int, str, str], int]:
        """The lanes of these names, which are made when they are new. They stay for ever, so no lock is needed."""
        if not names <= self._known.keys():
            self.lanes()
        missing = sorted(names - self._known.keys())
        if missing:
            with self._db.write(durable=False) as con:
                sql.write_rows(con, sql.INSERT_LANES, missing)
            self.lanes()
            if not names <= self._known.keys():
                raise unreadable("lanes that were stored are not found")
        return {name: self._known[name].id for name in names}

    # ── the hot path ───────────────────────────────────────────────────────────────────────────────────────
    def lanes(self) -> list[Lane]:
        last = max((lane.id for lane in list(self._known.values())), default=0)
        for lane in _lanes.decode(as_text(self._db.look(sql.LANES, (last,)))):
            self._known[lane.queue, lane.priority, lane.kind.value, lane.work] = lane
        return sorted(self._known.values(), key=lambda lane: lane.id)

    def paused(self) -> frozenset[str | None]:
        return _queues.decode(as_text(self._db.look(sql.PAUSED)))

    def next_due(self, lanes: Sequence[int]) -> int | None:
        return as_number(self._db.look(sql.NEXT_DUE, (_json(lanes),)))

    def reserve(self, node: int, lanes: Sequence[int], *, after: int, until: int, limit: int) -> Reserved:
        wanted = _json(lanes)
        if limit <= 0 or not self._db.look(sql.ANY_DUE, (wanted, after, until)):
            return Reserved(0, [])
        with self._db.write(durable=False) as con:
            token = con.execute(sql.NEXT_TOKEN, (node,)).get
            if token is None:  # it left, or was taken over
                return Reserved(0, [])
            tasks, ids = pick(con, (wanted, after, until, limit))
            con.execute(sql.HOLD, (node, token, ids))
        self._db.keep_log_short(_LOG_PAGES)
        return Reserved(token, tasks)

    def give_back(self, node: int, since: int) -> int:
        with self._db.write(durable=False) as con:
            con.execute(sql.GIVE_BACK, (node, since))
            freed = con.changes()
        self._wake.send(["due 0"] * bool(freed))
        return freed

    def record(self, settlements: Sequence[Settlement], *, durable: bool = False) -> list[int]:
        if not settlements:
            return []
        self._lateness.keep_up(settlements[-1])
        refused, news = settle(self._db, settlements, durable)
        self._wake.send(news)
        self._db.keep_log_short()
        return refused

    # ── steering ───────────────────────────────────────────────────────────────────────────────────────────
    def change(self, task: int, change: Change, now: int, token: int | None = None) -> Verdict:
        with self._db.write(durable=True) as con:
            verdict, news = steer(con, task, change, now, token)
        self._wake.send(news)
        return verdict

    def ask(self, node: int, task: int | None, demand: Demand) -> int:
        with self._db.write(durable=True) as con:
            con.execute(sql.ASK, (node, task, _json(demand)))
            request = con.last_insert_rowid()
        self._wake.send([f"ask {node}"])
        return request

    def requests(self, node: int) -> list[Request]:
        rows = _requests.decode(as_text(self._db.look(sql.REQUESTS, (node,))))
        return [Request(id_, task, _demand.decode(demand)) for id_, task, demand in rows]

    def answer(self, request: int, verdict: Verdict) -> None:
        with self._db.write(durable=False) as con:
            con.execute(sql.ANSWER, (request, _json(verdict)))
        self._wake.send(["answer"])

    def answered(self, request: int) -> Verdict | None:
        answer = self._db.look(sql.ANSWERED, (request,))
        if answer is None:
            return None
        with self._db.write(durable=False) as con:
            con.execute(sql.FORGET_REQUEST, (request,))
        return _verdict.decode(as_text(answer))

    def pause(self, queue: str | None, *, paused: bool) -> None:
        with self._db.write(durable=True) as con:
            con.execute(sql.PAUSE if paused else sql.RESUME, (queue,))
        self._wake.send([] if paused else ["due 0"])

    # ── looking ────────────────────────────────────────────────────────────────────────────────────────────
    def get(self, task: int) -> TaskRow | None:
        row = self._db.look(sql.GET, (task,))
        return None if row is None else _task.decode(as_text(row))

    def find(self, wanted: Filter) -> list[TaskRow]:
        lanes = self.lanes()
        ids = self._ids(sqlite_find.unfinished(wanted, lanes))
        ids += self._ids(sqlite_find.finished(wanted, lanes, wanted.limit - len(ids)))
        return _tasks.decode(as_text(self._db.browse(sql.ROWS_BY_ID, (_json(ids),)))) if ids else []

    def _ids(self, query: sqlite_find.Query | None) -> list[int]:
        return [] if query is None else _numbers.decode(as_text(self._db.browse(*query)))

    def attempts(self, task: int) -> list[AttemptRow]:
        return _attempts.decode(as_text(self._db.look(sql.ATTEMPTS, (task,))))

    def output(self, task: int) -> str | None:
        text = self._db.look(sql.OUTPUT, (task,))
        return None if text is None else as_text(text)

    def stats(self) -> Stats:
        counts = _numbers.decode(as_text(self._db.browse(sql.COUNTS)))
        lateness = _numbers.decode(as_text(self._db.browse(sql.LATENESS)))
        return Stats(dict(zip(STATES, counts, strict=True)), lateness)

    def lateness(self, since: int, *, apart: bool = False) -> list[LateRow]:
        statement = sqlite_lateness.APART if apart else sqlite_lateness.ALTOGETHER
        return _late_rows.decode(as_text(self._db.browse(statement, (since // SECOND,))))

    def waiting(self, lanes: Sequence[int]) -> int:
        return as_number(self._db.browse(sql.WAITING, (_json(lanes),))) or 0

    # ── nodes ──────────────────────────────────────────────────────────────────────────────────────────────
    def join(self, node: NewNode) -> SqliteSeat:
        make_folder(self._folder)
        with ExitStack() as undo:
            with self._db.write(durable=True) as con:
                con.execute(sql.JOIN, (node.host, node.pid, node.version, node.workers, node.started_at, node.app))
                con.execute(sql.RAISE_TOKEN)
                con.execute(sql.FORGET_OLD_ANSWERS)
                # Locked before anybody can see the row. If the commit fails the files stay, unlocked: the number may by
                # then be another's, who takes them over.
                seat = self._seat(as_number(con.execute("SELECT max(id) FROM node").get) or 0)
                undo.callback(self._drop_seat, seat.node)
                sqlite_nodes.forget_all_but(self._folder, _numbers.decode(con.execute(sql.NODE_IDS).get))
            undo.pop_all()
        self._wake.send(["nodes"])
        return seat

    def _seat(self, node: int) -> SqliteSeat:
        try:
            seat = self._seats[node] = SqliteSeat(self._folder, node)
        except OSError as error:
            raise StoreError(
                f"no place for a daemon in {self._folder} ({error}): make room, and check that it is your directory"
            ) from error
        return seat

    def report(self, node: int, unknown: Sequence[int]) -> None:
        with self._db.write(durable=False) as con:
            con.execute(sql.REPORT, (node, _json(unknown)))

    def leave(self, node: int) -> None:
        with self._db.write(durable=False) as con:
            left, news = clear_node(con, node, {}, None)
        if left is not None:
            sqlite_nodes.forget(self._folder, node)
        self._drop_seat(node)
        self._wake.send(news)

    def _drop_seat(self, node: int) -> None:
        if (seat := self._seats.pop(node, None)) is not None:
            seat.drop()

    def nodes(self) -> list[NodeRow]:
        return sqlite_nodes.rows(self._folder, _nodes.decode(as_text(self._db.look(sql.NODES))))

    def take_over(self, node: int, now: int, silent: int | None = None) -> TakenOver | None:
        with sqlite_nodes.claimed(self._folder, node) as dead:
            if not dead:
                return None if silent is None else self._take_from(node, now, silent)
            starts = sqlite_nodes.starts(self._folder, node)
            with self._db.write(durable=True) as con:
                taken, news = clear_node(con, node, starts, now)
            if taken is not None:
                sqlite_nodes.forget(self._folder, node)
        self._wake.send(news)
        return taken

    def _take_from(self, node: int, now: int, silent: int) -> TakenOver | None:
        """Take what a node holds that lives, but did not renew its lease."""
        with self._db.write(durable=True) as con:
            # within the transaction: a node that renews has given up what it held before, and reserves anew after this
            if not 0 < sqlite_nodes.head(self._folder, node).lease <= silent:
                return None
            taken, news = clear_node(con, node, sqlite_nodes.starts(self._folder, node), now, lives=True)
        self._wake.send(news)
        return taken

    def death_fd(self, node: NodeRow) -> int | None:
        """A descriptor that becomes readable when the node's process ends; None where that cannot be had.

        No part of the port. A hint: look at `nodes` then. The caller closes it.
        """
        return sqlite_nodes.death_fd(node.host, node.pid)

    # ── schedules and listeners ────────────────────────────────────────────────────────────────────────────
    def put(self, standing: Standing) -> bool:
        with self._db.write(durable=True) as con:
            con.execute(sql.PUT, (standing.kind, standing.name, *_changing(standing), standing.version))
            new = con.changes() > 0
        self._wake.send([news_of(standing)] * new)
        return new

    def standings(
        self, kind: str | None = None, after: str = "", limit: int | None = None, before: int | None = None
    ) -> list[Standing]:
        kinds = ("listener", "schedule") if kind is None else (kind, kind)
        found = self._db.look(sql.STANDINGS, (*kinds, after, -1 if limit is None else limit, before))
        return _standings.decode(as_text(found))

    def standing(self, kind: str, name: str) -> Standing | None:
        found = self._db.look(sql.STANDING, (kind, name))
        return None if found is None else _standings.decode(as_text(found))[0]

    def advance(self, standing: Standing, tasks: Sequence[NewTask] = (), now: int = 0, *, durable: bool = True) -> bool:
        unit = Unit(tasks, now, self._lane_ids)
        with self._db.write(durable=durable) as con:
            con.execute(sql.ADVANCE, (standing.kind, standing.name, *_changing(standing), standing.version))
            if not con.changes():
                return False
            insert_unit(con, unit)
        self._wake.send([news_of(standing), *unit.news()])
        return True

    def remove(self, kind: str, name: str) -> bool:
        with self._db.write(durable=True) as con:
            con.execute(sql.REMOVE, (kind, name))
            gone = con.changes() > 0
        self._wake.send([f"standing {kind} {name}"] * gone)
        return gone

    # ── life ───────────────────────────────────────────────────────────────────────────────────────────────
    def prune(self, before: int, limit: int) -> int:
        return self._forget(sql.OLD, (before, limit))

    def trim(self, schedule: str, keep: int, limit: int) -> int:
        return self._forget(sql.BEYOND, (schedule, keep, limit))

    def _forget(self, which: str, values: tuple[int | str, ...]) -> int:
        """Forget the tasks whose ids the statement tells."""
        with self._db.write(durable=False) as con:
            ids = con.execute(which, values).get
            for statement in sql.FORGET:
                con.execute(statement, (ids,))
            forgotten = con.changes()
        self._db.keep_log_short()
        return forgotten

    def watch(self) -> SocketWatch:
        watch = self._wake.watch()
        self._watches.add(watch)
        return watch

    def close(self) -> None:
        for watch in list(self._watches):
            watch.close()
        for node in list(self._seats):
            self._drop_seat(node)
        self._wake.close()
        self._db.close()

    # ── forking ────────────────────────────────────────────────────────────────────────────────────────────
    def before_fork(self) -> None:
        """Called in the forking thread: the child must find no connection open."""
        self._db.before_fork()

    def after_fork(self) -> None:
        """Called in the parent."""
        self._db.after_fork()

    def after_fork_in_child(self) -> None:
        """Called in the child: it may use the store, but has no seat; the parent keeps its own."""
        self._db.after_fork_in_child()
        self._adder.after_fork_in_child()
        self._wake.after_fork_in_child()
        for watch in self._watches:
            watch.after_fork_in_child()
        for node in list(self._seats):
            self._drop_seat(node)


def _changing(standing: Standing) -> tuple[Value, ...]:
    """What can change in a schedule or listener, in the order of the statements."""
    plan = (standing.app, standing.definition, int(standing.paused), standing.next_run_at)
    return (*plan, standing.holder, standing.status)


def _json(value: object) -> str:
    return msgspec.json.encode(value).decode()
