"""The recorder: batches, fences, a store that refuses for a while, and what still runs."""

import logging
from collections import deque

import pytest

from mainspring.engine import settle
from mainspring.engine.events import Events
from mainspring.engine.pool import Slot
from mainspring.engine.recorder import MARK_US, NEAR_US, Recorder
from mainspring.engine.timeline import Held
from mainspring.errors import StoreError
from mainspring.store.memory import MemoryStore
from mainspring.store.rows import Cancel, NewNode, NewTask
from mainspring.tasks.context import TaskContext
from mainspring.tasks.options import DEFAULT

NOW = 1_900_000_000_000_000


class Loop:
    wakes = 0

    def wake(self):
        self.wakes += 1


class Bench:
    def __init__(self, count=1):
        self.store = MemoryStore()
        self.seat = self.store.join(NewNode(host="h", pid=1, version="0", workers=1, started_at=NOW))
        self.node = self.seat.node
        self.store.add([NewTask(work="t:f", run_at=NOW) for _ in range(count)], NOW)
        (lane,) = self.store.lanes()
        batch = self.store.reserve(self.node, [lane.id], after=0, until=NOW, limit=count)
        self.held = [Held(task, batch.token, lane, DEFAULT) for task in batch.tasks]
        self.loop, self.events = Loop(), Events()
        self.recorder = Recorder(self.store, self.loop, self.events, lambda: NOW)

    def states(self):
        return [self.store.get(one.id).state.value for one in self.held]

    def slot(self, held, started_at):
        slot = Slot(0)
        slot.held, slot.attempt, slot.started_at = held, 1, started_at
        slot.context = TaskContext(1, "f", "", 1, 1, NOW)
        self.recorder.slots = [slot]
        self.recorder.active = lambda: slot.held is not None and not slot.marked
        return slot


def test_everything_that_came_is_written_in_one_go():
    bench = Bench(5)
    for one in bench.held:
        bench.recorder.put(settle.succeeded(one, 1, NOW, NOW + 1, None))
    assert bench.loop.wakes > 0
    assert bench.recorder.waiting == 5
    bench.recorder.step(NOW)
    assert bench.states() == ["succeeded"] * 5
    assert bench.recorder.waiting == 0


class Shared(deque):
    """As it is while workers append: an iteration may end in an error at any time."""

    def __iter__(self):
        raise RuntimeError("deque mutated during iteration")


def test_workers_may_append_while_a_batch_is_taken():
    bench = Bench(3)
    bench.recorder._pending = Shared()
    for one in bench.held:
        bench.recorder.put(settle.succeeded(one, 1, NOW, NOW + 1, None))
    bench.recorder.step(NOW)
    assert bench.states() == ["succeeded"] * 3


def test_a_lost_reservation_is_refused_counted_and_said(caplog):
    bench = Bench()
    seen = []
    bench.events.subscribe(seen.append)
    (held,) = bench.held
    bench.store.change(held.id, Cancel(), NOW, token=held.token)
    bench.recorder.put(settle.succeeded(held, 1, NOW, NOW + 1, '"late"'))
    with caplog.at_level(logging.WARNING, "mainspring"):
        bench.recorder.step(NOW)
    assert bench.states() == ["cancelled"]
    assert bench.recorder.refused == 1
    assert "too late" in caplog.text
    assert seen == []


def test_what_runs_though_its_reservation_was_lost_is_asked_to_stop(caplog):
    bench = Bench()
    (held,) = bench.held
    slot = bench.slot(held, NOW)
    bench.recorder.step(NOW + MARK_US)
    bench.recorder.doubt()
    bench.recorder.step(NOW + 2 * MARK_US)
    assert not slot.context.stop  # it is this node's still
    bench.seat.journal.lease = 1
    assert bench.store.take_over(bench.node, NOW + 2 * MARK_US, 2) is not None
    bench.recorder.step(NOW + 3 * MARK_US)
    assert not slot.context.stop  # nobody has looked
    bench.recorder.doubt()
    with caplog.at_level(logging.WARNING, "mainspring"):
        bench.recorder.step(NOW + 4 * MARK_US)
    assert slot.context.stop
    assert slot.cause == "lost"
    assert "asked to stop" in caplog.text
    assert bench.recorder.refused == 0  # no outcome was lost


def test_a_mark_that_crossed_the_end_of_its_task_stops_nobody_else():
    bench = Bench(2)
    ended, other = bench.held
    bench.recorder.put(settle.succeeded(ended, 1, NOW, NOW + MARK_US, "1"))
    bench.recorder.step(NOW + MARK_US)
    slot = bench.slot(other, NOW + MARK_US)
    bench.recorder.put(settle.started(ended, 1, NOW))
    bench.recorder.step(NOW + MARK_US + 1)
    assert not slot.context.stop


def test_a_store_that_refuses_is_asked_again_and_nothing_is_lost(monkeypatch, caplog):
    bench = Bench(3)
    real, full = bench.store.record, [True, True]

    def record(settlements, *, durable=False):
        if full:
            full.pop()
            raise StoreError("the disk is full")
        return real(settlements, durable=durable)

    monkeypatch.setattr(bench.store, "record", record)
    for one in bench.held:
        bench.recorder.put(settle.succeeded(one, 1, NOW, NOW + 1, None))
    with caplog.at_level(logging.ERROR, "mainspring"):
        again = bench.recorder.step(NOW)
        assert again > NOW
        assert bench.recorder.waiting == 3
        again = bench.recorder.step(again)
    assert "the disk is full" in caplog.text
    bench.recorder.step(again)
    assert bench.states() == ["succeeded"] * 3


def test_what_runs_for_50_ms_is_recorded_as_running_once():
    bench = Bench()
    (held,) = bench.held
    bench.slot(held, NOW)
    assert bench.recorder.step(NOW + 1) == NOW + 1 + MARK_US
    assert bench.states() == ["waiting"]
    bench.recorder.step(NOW + MARK_US)
    assert bench.states() == ["running"]
    assert bench.store.get(held.id).started_at == NOW
    assert bench.recorder.step(NOW + MARK_US + 1) is None  # nothing left to look at


def test_a_short_task_costs_one_write(monkeypatch):
    bench = Bench()
    (held,) = bench.held
    slot = bench.slot(held, NOW)
    writes = []
    real = bench.store.record
    monkeypatch.setattr(bench.store, "record", lambda s, *, durable=False: writes.extend(s) or real(s, durable=durable))
    bench.recorder.arm()
    bench.recorder.step(NOW)
    bench.recorder.put(settle.succeeded(held, 1, NOW, NOW + 10, None))
    slot.clear()
    bench.recorder.step(NOW + 10)
    assert len(writes) == 1


def test_the_end_wins_over_a_mark_of_the_same_attempt():
    bench = Bench()
    (held,) = bench.held
    bench.recorder.put(settle.succeeded(held, 1, NOW, NOW + MARK_US, "1"))
    bench.recorder.put(settle.started(held, 1, NOW))  # crossed the end on its way
    bench.recorder.step(NOW + MARK_US)
    assert bench.states() == ["succeeded"]
    assert bench.recorder.refused == 0


@pytest.mark.parametrize("once", [True, False])
def test_a_batch_with_an_at_most_once_outcome_is_durable(monkeypatch, once):
    bench = Bench()
    (held,) = bench.held
    seen = []
    monkeypatch.setattr(bench.store, "record", lambda s, *, durable=False: seen.append(durable) or [])
    from mainspring.tasks.options import build_options

    held.options = build_options(delivery="at-most-once" if once else "at-least-once")
    bench.recorder.put(settle.succeeded(held, 1, NOW, NOW + 1, None))
    bench.recorder.step(NOW)
    assert seen == [once]


def test_a_lone_outcome_gives_way_to_a_start_that_is_near_but_not_for_ever():
    bench = Bench(2)
    recorder = bench.recorder
    recorder.near = lambda now, within: now + within
    recorder.put(settle.succeeded(bench.held[0], 1, NOW, NOW, None))
    assert NOW < recorder.step(NOW) <= NOW + 2 * NEAR_US
    recorder.step(NOW + 4_000)
    assert bench.states() == ["waiting", "waiting"]
    recorder.step(NOW + 5_001)
    assert bench.states() == ["succeeded", "waiting"]
    recorder.near = lambda now, within: None
    recorder.put(settle.succeeded(bench.held[1], 1, NOW, NOW, None))
    recorder.step(NOW + 5_002)
    assert bench.states() == ["succeeded", "succeeded"]
