"""The store in memory (`memory:`): for tests, for trying things out, and the model that other stores are compared with.

One lock around everything; what makes a method right is that it can be read beside its sentence in `protocol.py`.
Durable means here: as long as the process lives.
"""
# ruff: noqa: D102 - what each method promises is said once, in the port

import os
import weakref
from collections.abc import Callable, Iterable, Sequence
from threading import RLock

import msgspec

from mainspring.errors import KeyInUse
from mainspring.store import memory_add
from mainspring.store import memory_rules as rules
from mainspring.store.memory_arrivals import MemoryArrivals
from mainspring.store.memory_requests import Requests
from mainspring.store.memory_seat import MemorySeat
from mainspring.store.memory_table import Table, Task
from mainspring.store.memory_watch import MemoryWatch
from mainspring.store.protocol import Store
from mainspring.store.rows import (
    LEASE_LOST,
    WORKER_LOST,
    Added,
    Again,
    AttemptRow,
    Bound,
    Cancel,
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
from mainspring.tasks.state import FINISHED, LEGAL, STATES, UNFINISHED, State

_LATENESS = 1_000  # finished tasks whose lateness is told


class MemoryStore(Store):
    """Fills the port `Store`; gone with its process. A node is alive until it leaves (or a test calls `lose`)."""

    def __init__(self, url: str = "memory:") -> None:
        self.url = url
        self._lock = RLock()
        self._table = Table()
        self.arrivals = self._arrivals = MemoryArrivals(self._table, lambda: self._lock, self._tell)
        self._token = 0
        self._paused: set[str | None] = set()
        self._requests = Requests()
        self._seats: dict[int, MemorySeat] = {}
        self._last_node = 0
        self._standings: dict[tuple[str, str], Standing] = {}
        self._watches: list[MemoryWatch] = []
        _stores.add(self)

    # ── adding ─────────────────────────────────────────────────────────────────────────────────────────────
    def add(self, tasks: Sequence[NewTask], now: int, bound: Bound | None = None) -> list[Added]:
        with self._lock:
            answer, news = memory_add.add(self._table, tasks, now, bound)
            self._tell(news)
            return answer

    def pending(self, now: int, limit: int) -> int:
        with self._lock:
            return min(self._table.pending(now), limit)

    # ── the hot path ───────────────────────────────────────────────────────────────────────────────────────
    def lanes(self) -> list[Lane]:
        with self._lock:
            return list(self._table.lanes.values())

    def paused(self) -> frozenset[str | None]:
        with self._lock:
            return frozenset(self._paused)

    def _open(self, lanes: Sequence[int]) -> list[Lane]:
        """Those of `lanes` that exist and are not paused."""
        if None in self._paused:
            return []
        known = (self._table.lanes.get(id_) for id_ in dict.fromkeys(lanes))
        return [lane for lane in known if lane is not None and lane.queue not in self._paused]

    def next_due(self, lanes: Sequence[int]) -> int | None:
        with self._lock:
            return self._table.first(self._open(lanes))

    def reserve(self, node: int, lanes: Sequence[int], *, after: int, until: int, limit: int) -> Reserved:
        with self._lock:
            self._token += 1
            if node not in self._seats:
                return Reserved(self._token, [])
            taken = self._table.take(self._open(lanes), after, until, limit, holder=node, token=self._token)
            return Reserved(self._token, [rules.reservation(task) for task in taken])

    def give_back(self, node: int, since: int) -> int:
        with self._lock:
            later = [
                task for task in self._table.held_by(node) if (task.token or 0) > since and task.state is State.WAITING
            ]
            for task in later:
                with self._table.changing(task):
                    task.holder = task.token = None
            self._tell(["due 0"] * bool(later))
            return len(later)

    def record(self, settlements: Sequence[Settlement], *, durable: bool = False) -> list[int]:  # noqa: ARG002
        with self._lock:
            refused: list[int] = []
            done, output, room, freed = False, False, False, list[int]()
            for settlement in settlements:
                task = self._table.tasks.get(settlement.id)
                state = STATES[settlement.code]
                if task is None or task.token != settlement.token or state not in LEGAL[task.state]:
                    refused.append(settlement.id)
                    continue
                with self._table.changing(task):
                    rules.settle(task, settlement, state)
                done |= state in FINISHED
                output |= settlement.output is not None
                room |= settlement.keep
                if task.free:
                    freed.append(task.run_at)
            news = ["done"] * done + ["output"] * output + ["room"] * room
            self._tell([*news, f"due {min(freed)}"] if freed else news)
            return refused

    # ── steering ───────────────────────────────────────────────────────────────────────────────────────────
    def change(self, task: int, change: Change, now: int, token: int | None = None) -> Verdict:
        with self._lock:
            row = self._table.tasks.get(task)
            if row is None:
                return Verdict("not-found")
            if not rules.allows(row, change):
                return Verdict("too-late", row.state)
            if row.state is State.RUNNING or (row.holder is not None and row.token != token):
                return Verdict("held", row.state, row.holder)
            if isinstance(change, Again):
                if row.new.key in self._table.keys:
                    raise KeyInUse(str(row.new.key), str(self._table.keys[str(row.new.key)].id))
                name = row.new.occurrence_name
                if name is not None and self._table.occurrences.get(name, row) is not row:
                    return Verdict("too-late", row.state)
            with self._table.changing(row):
                rules.make(row, change, now)
            self._tell(["done" if isinstance(change, Cancel) else f"due {row.run_at}"])
            return Verdict("done", row.state)

    def ask(self, node: int, task: int | None, demand: Demand) -> int:
        with self._lock:
            request = self._requests.ask(node, task, demand)
            self._tell([f"ask {node}"])
            return request

    def requests(self, node: int) -> list[Request]:
        with self._lock:
            return self._requests.to(node)

    def answer(self, request: int, verdict: Verdict) -> None:
        with self._lock:
            if self._requests.answer(request, verdict):
                self._tell(["answer"])

    def answered(self, request: int) -> Verdict | None:
        with self._lock:
            return self._requests.answered(request)

    def pause(self, queue: str | None, *, paused: bool) -> None:
        with self._lock:
            if paused:
                self._paused.add(queue)
            else:
                self._paused.discard(queue)
                self._tell(["due 0"])

    # ── looking ────────────────────────────────────────────────────────────────────────────────────────────
    def get(self, task: int) -> TaskRow | None:
        with self._lock:
            row = self._table.tasks.get(task)
            return None if row is None else row.row()

    def find(self, wanted: Filter) -> list[TaskRow]:
        with self._lock:
            among = self._table.among(wanted.schedule, wanted.states)
            found = [task for task in among if rules.fits(task, wanted)]
        live = sorted((task for task in found if task.state in UNFINISHED), key=rules.soonest)[: wanted.limit]
        ended = sorted((task for task in found if task.state in FINISHED), key=rules.newest)[: wanted.limit - len(live)]
        return [task.row() for task in sorted(live + ended, key=rules.soonest)]

    def attempts(self, task: int) -> list[AttemptRow]:
        with self._lock:
            row = self._table.tasks.get(task)
            return [] if row is None else list(row.tries)

    def output(self, task: int) -> str | None:
        with self._lock:
            return None if task not in self._table.tasks else self._table.tasks[task].output

    def stats(self) -> Stats:
        with self._lock:
            counts = dict.fromkeys(STATES, 0)
            ended: list[Task] = []
            for task in self._table.tasks.values():
                counts[task.state] += 1
                if task.state in FINISHED and task.started_at is not None and task.started_at >= task.run_at:
                    ended.append(task)
            ended.sort(key=rules.newest)
            return Stats(counts, [(task.started_at or 0) - task.run_at for task in ended[:_LATENESS]])

    def lateness(self, since: int, *, apart: bool = False) -> list[LateRow]:
        with self._lock:
            return self._table.late.rows(since, apart=apart)

    def waiting(self, lanes: Sequence[int]) -> int:
        with self._lock:
            return sum(self._table.waiting[lane] for lane in set(lanes))

    # ── nodes ──────────────────────────────────────────────────────────────────────────────────────────────
    def join(self, node: NewNode) -> MemorySeat:
        with self._lock:
            self._last_node += 1
            seat = self._seats[self._last_node] = MemorySeat(self._last_node, node)
            self._tell(["nodes"])
            return seat

    def report(self, node: int, unknown: Sequence[int]) -> None:
        with self._lock:
            if node in self._seats:
                self._seats[node].unknown = list(unknown)

    def lose(self, node: int) -> None:
        """Count a node as dead though it never left: for tests of `take_over`, no part of the port."""
        with self._lock:
            self._seats[node].alive = False

    def leave(self, node: int) -> None:
        with self._lock:
            if self._seats.pop(node, None) is not None:
                self._clear(node, dict, None)

    def nodes(self) -> list[NodeRow]:
        with self._lock:
            return [seat.row() for seat in self._seats.values()]

    def take_over(self, node: int, now: int, silent: int | None = None) -> TakenOver | None:
        with self._lock:
            seat = self._seats.get(node)
            if seat is not None and not seat.alive:
                del self._seats[node]
                return self._clear(node, seat.starts, now)
            if seat is None or silent is None or not 0 < seat.row().lease <= silent:
                return None
            return self._clear(node, seat.starts, now, LEASE_LOST)

    def _clear(
        self, node: int, starts: Callable[[], dict[tuple[int, int], int]], now: int | None, why: str = WORKER_LOST
    ) -> TakenOver:
        """Settle all that the node held. `starts`: the newest start its journal shows for a task and token."""
        freed, lost, news = 0, list[int](), {"nodes": None}
        held = self._table.held_by(node)
        shown = starts() if held else {}
        for task in held:
            started_at = shown.get((task.id, task.token or 0))
            if task.state is State.RUNNING or started_at == task.started_at:
                started_at = None  # that start was recorded
            with self._table.changing(task):
                if task.state is State.RUNNING or started_at is not None:
                    rules.lose(task, started_at, now, why)
                    lost.append(task.id)
                else:
                    freed += 1
                task.holder = task.token = None
            news["due 0" if task.free else "done"] = None
        for name, standing in self._standings.items():
            if standing.holder == node:
                version = standing.version + 1
                self._standings[name] = msgspec.structs.replace(standing, holder=None, version=version)
                news |= {"standing": None, "due 0": None}
        self._requests.forget(node)
        self._tell(news)
        return TakenOver(freed, lost)

    # ── schedules and listeners ────────────────────────────────────────────────────────────────────────────
    def put(self, standing: Standing) -> bool:
        with self._lock:
            name = (standing.kind, standing.name)
            if name in self._standings:
                return False
            self._standings[name] = standing
            self._tell([news_of(standing)])
            return True

    def standings(
        self, kind: str | None = None, after: str = "", limit: int | None = None, before: int | None = None
    ) -> list[Standing]:
        with self._lock:
            names = sorted(name for name in self._standings if kind in (None, name[0]) and name[1] > after)
            return [one for one in map(self._standings.__getitem__, names) if rules.is_next(one, before)][:limit]

    def standing(self, kind: str, name: str) -> Standing | None:
        with self._lock:
            return self._standings.get((kind, name))

    def advance(
        self,
        standing: Standing,
        tasks: Sequence[NewTask] = (),
        now: int = 0,
        *,
        durable: bool = True,  # noqa: ARG002
    ) -> bool:
        with self._lock:
            name = (standing.kind, standing.name)
            stored = self._standings.get(name)
            if stored is None or stored.version != standing.version:
                return False
            _, news = memory_add.add(self._table, tasks, now, None)
            self._standings[name] = msgspec.structs.replace(standing, version=standing.version + 1)
            self._tell([*news, news_of(standing)])
            return True

    def remove(self, kind: str, name: str) -> bool:
        with self._lock:
            gone = self._standings.pop((kind, name), None) is not None
            self._tell([f"standing {kind} {name}"] * gone)
            return gone

    # ── life ───────────────────────────────────────────────────────────────────────────────────────────────
    def prune(self, before: int, limit: int) -> int:
        with self._lock:
            old = self._table.ended_before(before, limit)
            for task in old:
                self._table.delete(task)
            self._arrivals.forget()
            return len(old)

    def trim(self, schedule: str, keep: int, limit: int) -> int:
        with self._lock:
            beyond = sorted(self._table.among(schedule, FINISHED), key=rules.newest)[keep : keep + limit]
            for task in beyond:
                self._table.delete(task)
            self._arrivals.forget()
            return len(beyond)

    def watch(self) -> MemoryWatch:
        with self._lock:
            watch = MemoryWatch(self._forget)
            self._watches.append(watch)
            return watch

    def _forget(self, watch: MemoryWatch) -> None:
        with self._lock:
            if watch in self._watches:
                self._watches.remove(watch)

    def _tell(self, news: Iterable[str]) -> None:
        for watch in self._watches:
            watch.tell(news)

    def close(self) -> None:
        with self._lock:
            for watch in list(self._watches):
                watch.close()

    def after_fork(self) -> None:
        """In a forked child: a lock that another thread held there would be held for ever."""
        self._lock = RLock()
        for watch in self._watches:
            watch.after_fork()


_stores: "weakref.WeakSet[MemoryStore]" = weakref.WeakSet()


def _after_fork() -> None:
    for store in _stores:
        store.after_fork()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
