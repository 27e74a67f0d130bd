"""The lease alone: when it is renewed, when it has lapsed, and what may start then."""

import os
from concurrent.futures import ThreadPoolExecutor

import pytest

from daemons import LONG, until
from mainspring import context
from mainspring.engine.events import Events
from mainspring.engine.lease import Lease
from mainspring.engine.peers import Peers
from mainspring.store.journal import SIZE, Journal
from mainspring.store.memory import MemoryStore
from mainspring.store.rows import NewNode, NewTask
from mainspring.tasks.state import Kind
from mainspring.testing import VirtualClock

SECOND = 1_000_000
LENGTH = 30 * SECOND
HERE = os.path.dirname(__file__)


class Held:
    """A lease on a clock of its own, and what it told."""

    def __init__(self):
        self.clock = VirtualClock("2030-01-01T00:00Z")
        self.journal = Journal(bytearray(SIZE))
        self.holds, self.wakes, self.lapses = True, 0, 0
        self.lease = Lease(
            self.journal, self.clock, LENGTH, wake=self.wake, holding=lambda: self.holds, lapsed=self.lapsed
        )

    def wake(self):
        self.wakes += 1

    def lapsed(self):
        self.lapses += 1

    def covers(self, token):
        return self.journal.covers(token, self.clock.boottime())

    def step(self):
        return self.lease.step(self.clock.now())

    def reserve(self, token):
        return self.lease.accept(token, self.lease.begin())


@pytest.fixture
def held():
    return Held()


def test_it_begins_when_something_is_reserved(held):
    assert (held.step(), held.journal.lease) == (None, 0)
    assert held.reserve(7)
    assert held.journal.lease == held.clock.boottime() + LENGTH
    assert held.wakes == 1
    assert held.covers(7)


def test_it_is_renewed_when_a_third_is_over_and_not_before(held):
    held.reserve(7)
    end = held.journal.lease
    assert held.step() == held.clock.now() + LENGTH // 3
    held.clock.advance("9.9s")
    held.step()
    assert held.journal.lease == end
    held.clock.advance("0.1s")
    assert held.step() == held.clock.now() + LENGTH // 3
    assert held.journal.lease == end + LENGTH // 3
    assert held.wakes == 1


def test_it_ends_when_nothing_is_held_and_wants_no_more_turns(held):
    held.reserve(7)
    held.holds = False
    held.clock.advance("10s")
    assert (held.step(), held.journal.lease) == (None, 0)
    held.clock.advance("1h")
    assert held.step() is None
    assert held.reserve(8)
    assert (held.lapses, held.covers(8)) == (0, True)


def test_nothing_starts_when_two_thirds_are_over(held):
    held.reserve(7)
    held.clock.advance("19.999999s")
    assert held.covers(7)
    held.clock.advance(0.000001)
    assert not held.covers(7)


def test_what_was_reserved_before_a_lapse_never_starts_and_what_is_reserved_after_it_does(held):
    held.reserve(7)
    held.clock.advance("20s")
    held.step()
    assert held.lapses == 1
    assert not held.covers(7)
    assert held.reserve(8)
    assert held.covers(8)
    held.clock.advance("10s")
    held.step()
    assert not held.covers(7)


def test_what_was_reserved_across_a_lapse_is_not_accepted(held):
    lapses = held.lease.begin()
    held.clock.advance("20s")
    assert not held.lease.accept(7, lapses)
    assert not held.covers(7)
    assert held.lapses == 1


def test_the_wall_clock_does_not_touch_it(held):
    held.reserve(7)
    held.clock.step("1d")
    held.step()
    held.clock.step("-3d")
    assert (held.lapses, held.covers(7)) == (0, True)


class Beside:
    """A store with a daemon that holds one task, and a neighbour that watches it."""

    def __init__(self):
        self.clock = VirtualClock("2030-01-01T00:00Z")
        self.store = MemoryStore()
        self.holder, self.other = (self.store.join(self._node(pid)) for pid in (1, 2))
        [added] = self.store.add([NewTask(work="t:a", kind=Kind.FUNCTION, queue="q", run_at=0)], 0)
        self.task = added.id
        self.store.reserve(self.holder.node, [1], after=-1, until=1, limit=1)
        self.peers = Peers(self.store, self.other.node, self, Events(), self.clock, LENGTH)
        self.peers._open = lambda pid, host: -1
        self.peers._ended = lambda fd: False
        self.step()

    def _node(self, pid):
        return NewNode(host="h", pid=pid, version="0", workers=1, started_at=0)

    def unwatch(self, fd): ...

    def renew(self):
        self.holder.journal.lease = self.clock.boottime() + LENGTH

    def step(self):
        """A turn at the instant that was wanted, or at once; how long (s) until the next one is wanted."""
        wanted = self.peers.step(self.clock.now())
        return None if wanted is None else (wanted - self.clock.now()) / SECOND

    def taken(self):
        return self.store.get(self.task).holder is None


@pytest.fixture
def beside():
    return Beside()


def look(beside):
    """Have the neighbour look now, as news would."""
    beside.peers.hear(["nodes"])
    return beside.step()


def test_the_silent_lose_what_they_hold_a_third_of_a_lease_after_its_end(beside):
    beside.renew()
    assert look(beside) == 30
    beside.clock.advance("30s")
    assert (beside.step(), beside.taken()) == (10, False)
    beside.clock.advance("10s")
    beside.step()
    assert beside.taken()
    assert beside.store.get(beside.task).losses == 0


def test_after_the_machine_slept_nobody_is_robbed(beside):
    beside.renew()
    look(beside)
    beside.clock.advance("8h")
    assert (beside.step(), beside.taken()) == (10, False)
    beside.renew()
    beside.clock.advance("10s")
    assert (beside.step(), beside.taken()) == (20, False)


def test_a_neighbour_that_holds_nothing_costs_a_look_a_minute(beside):
    assert look(beside) == 60
    beside.clock.advance("1h")
    assert (beside.step(), beside.taken()) == (60, False)


def test_who_renews_in_the_last_moment_keeps_it(beside):
    beside.renew()
    look(beside)
    beside.clock.advance("30s")
    beside.step()
    beside.clock.advance("10s")
    real = beside.store.take_over

    def renewed_meanwhile(*given):
        beside.renew()
        return real(*given)

    beside.store.take_over = renewed_meanwhile
    beside.step()
    assert not beside.taken()


def fence():
    return context().fence


@pytest.mark.parametrize("pool", ["threads", "processes", "executor"])
def test_what_was_reserved_before_a_lapse_runs_under_a_new_reservation(threaded, pool, tmp_path, monkeypatch):
    monkeypatch.chdir(HERE)
    monkeypatch.setenv("CHILD_STORE", str(tmp_path / "tasks.db"))
    with ThreadPoolExecutor(2) as executor:
        daemon = threaded(str(tmp_path / "tasks.db"), workers=2, pool=executor if pool == "executor" else pool)
        work = "pool_bodies:fence" if pool == "processes" else daemon.task(name="t:fence")(fence)
        assert daemon.add_task(work).result(LONG)  # workers are there
        tasks = daemon.add_tasks([{"work": work, "after": 0.5 + 0.001 * n} for n in range(20)])
        until(daemon, lambda: len(daemon._engine.timeline) == 20)
        newest = max(one.token for one in daemon._engine.timeline.every())
        boot = daemon.clock.boottime()
        daemon._engine.seat.journal.trust(newest, boot + 3_600_000_000)
        fences = [task.result(LONG) for task in tasks]
        assert min(fences) > newest
        assert {task.refresh().attempt for task in tasks} == {1}
        daemon.stop()
