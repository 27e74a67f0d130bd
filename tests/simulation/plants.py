"""Bugs that the simulation must find: each is planted by a patch, and does to the real code what a slip would.

`PLANTS` names a seed of `storm` that finds each soon.
"""

import msgspec

from mainspring.engine import claimer, settle
from mainspring.engine.attempt import Attempt
from mainspring.engine.lease import Lease
from mainspring.engine.peers import Peers
from mainspring.engine.planner import Planner
from mainspring.engine.responder import Responder
from mainspring.engine.turnstile import Turnstile
from mainspring.engine.watchdog import Watchdog
from mainspring.store import memory_add
from mainspring.store.journal import Journal
from mainspring.store.memory import MemoryStore
from mainspring.store.memory_table import Table
from mainspring.store.rows import NewTask, Verdict
from mainspring.tasks.state import State


def early(monkeypatch):
    """A microsecond before its instant a task is started."""
    real = Attempt.run

    def run(self, held, slot):
        held.run_at -= 1
        real(self, held, slot)

    monkeypatch.setattr(Attempt, "run", run)
    due, following = claimer.Timeline.due, claimer.Timeline.next
    monkeypatch.setattr(claimer.Timeline, "due", lambda self, now, limit: due(self, now + 1, limit))
    monkeypatch.setattr(claimer.Timeline, "next", lambda self: (at := following(self)) and at - 1)


def forgotten(monkeypatch):
    """Now and then a schedule is not looked at again."""

    def put(self, name, at, real=Planner._put):
        if at is not None and at % 7 == 0:
            return
        real(self, name, at)

    monkeypatch.setattr(Planner, "_put", put)
    monkeypatch.setattr(Planner, "look_for_lost", lambda *_: None)


def acknowledged_early(monkeypatch):
    """Who adds is told so before the commit, which now and then fails."""
    real = MemoryStore.add

    def add(self, tasks, now, bound=None):
        if now % 20:
            return real(self, tasks, now, bound)
        before = Table.insert
        Table.insert = lambda table, created, now: setattr(table, "last_id", created[-1][0])
        try:
            return real(self, tasks, now, bound)
        finally:
            Table.insert = before

    monkeypatch.setattr(MemoryStore, "add", add)


def settled_early(monkeypatch):
    """What is to be written is let go of before it is written, which now and then fails."""
    from mainspring.engine.recorder import Recorder

    real = Recorder.step

    def step(self, now):
        kept = list(self._pending)
        wanted = real(self, now)
        if kept and list(self._pending) == kept:
            self._pending.clear()
        return wanted

    monkeypatch.setattr(Recorder, "step", step)


def no_take_over(monkeypatch):
    """What a dead daemon left is nobody's."""
    monkeypatch.setattr(Peers, "_settle", lambda *_: None)


def take_over_of_the_living(monkeypatch):
    """Whoever has a lease loses what it holds, also before that has ended."""
    real = MemoryStore.take_over
    monkeypatch.setattr(
        MemoryStore, "take_over",
        lambda self, node, now, silent=None: real(self, node, now, None if silent is None else 1 << 62),
    )  # fmt: skip

    def hear_out(self, living, now, hear_out=Peers._hear_out):
        return hear_out(self, [msgspec.structs.replace(node, lease=min(node.lease, 1)) for node in living], now)

    monkeypatch.setattr(Peers, "_hear_out", hear_out)


def unfenced(monkeypatch):
    """Who has lost its reservation may settle it all the same."""
    real = MemoryStore.record

    def record(self, settlements, *, durable=False):
        tasks = self._table.tasks
        fenced = [
            msgspec.structs.replace(one, token=tasks[one.id].token or one.token) if one.id in tasks else one
            for one in settlements
        ]
        for one in fenced:
            task = tasks.get(one.id)
            if task is not None and task.token is None:
                task.token = one.token
        return real(self, fenced, durable=durable)

    monkeypatch.setattr(MemoryStore, "record", record)


def started_uncovered(monkeypatch):
    """Who stood still does not look at its lease before it starts what it held."""
    monkeypatch.setattr(Journal, "covers", lambda *_: True)


class WallClock:
    """The wall clock, for whoever asks for another one."""

    def __init__(self, clock):
        self.boottime = self.monotonic = self.now = clock.now


def leases_by_the_wall_clock(monkeypatch):
    """Leases are counted by a clock that can be set."""
    for whole in (Lease, Peers):

        def made(self, *given, real=whole.__init__, **named):
            real(self, *given, **named)
            self._clock = WallClock(self._clock)

        monkeypatch.setattr(whole, "__init__", made)

    def made(self, *given, real=Attempt.__init__, **named):
        real(self, *given, **named)
        self._boottime = self._now

    monkeypatch.setattr(Attempt, "__init__", made)


def limits_by_the_wall_clock(monkeypatch):
    """Time limits are counted by a clock that can be set."""

    def made(self, clock, *given, real=Watchdog.__init__):
        real(self, WallClock(clock), *given)

    monkeypatch.setattr(Watchdog, "__init__", made)


def made_twice(monkeypatch):
    """Two daemons may make the same occurrence."""
    real = MemoryStore.advance

    def advance(self, standing, tasks=(), now=0, *, durable=True):
        stored = self._standings.get((standing.kind, standing.name), standing)
        return real(self, msgspec.structs.replace(standing, version=stored.version), tasks, now)

    monkeypatch.setattr(MemoryStore, "advance", advance)
    monkeypatch.setattr(memory_add, "_known", lambda *_: None, raising=False)
    monkeypatch.setattr(NewTask, "occurrence_name", property(lambda _: None))


def wakes_alone(monkeypatch):
    """Nobody looks for what it was not told."""
    monkeypatch.setattr(claimer, "SAFETY_US", 1 << 60)
    monkeypatch.setattr("mainspring.engine.engine.SAFETY_US", 1 << 60)
    monkeypatch.setattr("mainspring.engine.desk.SAFETY_US", 1 << 60)


def attempt_not_counted(monkeypatch):
    """A failed attempt that is followed by another is not counted."""
    real = settle._again
    monkeypatch.setattr(
        settle, "_again", lambda held, attempt, *given, **named: real(held, attempt - 1, *given, **named)
    )


def cancelled_though_it_runs(monkeypatch):
    """Whoever cancels what runs is told that it will not start."""
    real = Responder._decide

    def decide(self, request, now):
        verdict = real(self, request, now)
        return Verdict("done", State.CANCELLED) if verdict is not None and verdict.outcome == "stopping" else verdict

    monkeypatch.setattr(Responder, "_decide", decide)


def key_not_unique(monkeypatch):
    """A second task with the key of an unfinished one is added."""
    real = Table._index

    def index(self, task):
        real(self, task)
        if task.new.key is not None and task.id % 3 == 0:
            self.keys.pop(task.new.key, None)

    monkeypatch.setattr(Table, "_index", index)


def unfinished_pruned(monkeypatch):
    """What is old is forgotten, finished or not."""

    def ended_before(self, before, limit):
        return [task for task in self.tasks.values() if task.created_at < before and task.holder is None][:limit]

    monkeypatch.setattr(Table, "ended_before", ended_before)


def waits_for_the_gone(monkeypatch):
    """An occurrence that waited for another, and was missed, is waited for (as it was until 2026-11)."""

    def missed(self, held, now, reason):
        self._put(settle.missed(held, now, reason))
        return True

    monkeypatch.setattr(Turnstile, "_missed", missed)


PLANTS = {
    early: 1, forgotten: 1, acknowledged_early: 3, settled_early: 5, no_take_over: 4, take_over_of_the_living: 2,
    unfenced: 23, started_uncovered: 353, leases_by_the_wall_clock: 315, limits_by_the_wall_clock: 127, made_twice: 302,
    wakes_alone: 686, attempt_not_counted: 2, cancelled_though_it_runs: 1964, key_not_unique: 300, unfinished_pruned: 6,
    waits_for_the_gone: 302,
}  # fmt: skip
