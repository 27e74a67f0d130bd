"""Bugs that the simulation must find: each is planted by a patch, and does to the real code what a slip would."""

from mainspring.engine.attempt import Attempt
from mainspring.engine.peers import Peers
from mainspring.engine.planner import Planner
from mainspring.engine.timeline import Timeline
from mainspring.store.memory import MemoryStore
from mainspring.store.memory_table import Table


def early(monkeypatch):
    """A tenth of a second before the instant a task is handed over, and starts at once."""
    real = Attempt.run

    def run(self, held, slot):
        held.run_at -= 1_000_000
        real(self, held, slot)

    due, following = Timeline.due, Timeline.next
    monkeypatch.setattr(Attempt, "run", run)
    monkeypatch.setattr(Timeline, "due", lambda self, now, limit: due(self, now + 100_000, limit))
    monkeypatch.setattr(Timeline, "next", lambda self: (at := following(self)) and at - 100_000)


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


def no_take_over(monkeypatch):
    """What a dead daemon left is nobody's."""
    monkeypatch.setattr(Peers, "_settle", lambda *_: None)
