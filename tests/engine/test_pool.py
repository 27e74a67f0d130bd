"""The pool of threads: who is woken, who steps back, and that nobody is forgotten."""

import threading

import pytest

from mainspring.engine.pool import ThreadPool
from mainspring.engine.timeline import Held, Timeline
from mainspring.store.rows import Lane, Reservation
from mainspring.tasks.options import DEFAULT
from mainspring.tasks.state import Kind

LANE = Lane(1, "default", 0, Kind.FUNCTION, "t:f")
MANY = 500


def held(number):
    task = Reservation(number, 1, number, 0, 0, 0, None, None, None, None, None)
    return Held(task, 1, LANE, DEFAULT)


class Bodies:
    """A pool whose bodies count themselves; the body of task 0 waits for the gate."""

    def __init__(self, workers):
        self.timeline = Timeline()
        self.gate = threading.Event()
        self.blocked = threading.Event()
        self.done = threading.Event()
        self.ran = []
        self.expected = 0
        self.pool = ThreadPool(workers, self.work, self.timeline.take, {}, lambda: None)

    def work(self, one, slot):
        if one.id == 0:
            self.blocked.set()
            self.gate.wait()
        self.ran.append(one.id)
        self.pool.took(1)
        if len(self.ran) == self.expected:
            self.done.set()

    def offer(self, numbers, expected):
        batch = [held(number) for number in numbers]
        self.expected = expected
        self.timeline.add(batch)
        self.pool.offer(batch)


@pytest.fixture
def bodies():
    made = Bodies(4)
    yield made
    made.gate.set()
    made.pool.stop()
    assert made.pool.join(10)


def test_what_is_offered_runs_once_and_in_order_of_its_instants(bodies):
    bodies.offer(range(1, MANY + 1), MANY)
    assert bodies.done.wait(30)
    assert sorted(bodies.ran) == list(range(1, MANY + 1))


def test_many_short_bodies_behind_a_long_one_get_on(bodies):
    """One worker is enough for very short bodies; when it meets a long one, a nudge wakes another."""
    bodies.pool.quickest_us = 1.0
    bodies.offer(range(MANY), MANY - 1)
    assert bodies.blocked.wait(30)
    while not bodies.done.wait(0.001):  # the timer's part
        bodies.pool.nudge()
    assert 0 not in bodies.ran
    assert len(bodies.ran) == MANY - 1


def test_workers_that_stand_by_are_looked_after_until_all_is_taken(bodies):
    bodies.pool.quickest_us = 1.0
    assert bodies.pool.nudge() is False
    bodies.offer(range(MANY), MANY - 1)
    assert bodies.blocked.wait(30)
    seen = []
    while not bodies.done.wait(0.001):
        seen.append(bodies.pool.nudge())
    assert not bodies.pool.ready.count
    assert bodies.pool.nudge() is False


def test_who_steps_back_asks_the_timer_to_look(bodies):
    """The timer may be asleep by then: it saw every worker busy when it handed over."""
    looked = threading.Event()
    pool = bodies.pool
    pool.look = looked.set
    while len(pool._idle) < len(pool.slots):
        looked.wait(0.001)  # its threads begin
    with pool._lock:
        pool.quickest_us = 1.0
        pool.ready.push([held(number) for number in range(1, MANY)])
        pool.slots[0].held = held(MANY)  # at a body, it seems
        pool._quick = pool.slots[0]
        woken = next(slot for slot in pool._idle if slot is not pool.slots[0])
        pool._idle.remove(woken)
    woken.gate.release()
    assert looked.wait(30)
    pool.slots[0].clear()


def test_short_bodies_are_not_a_crowd_when_they_are_few_or_long(bodies):
    pool = bodies.pool
    pool.quickest_us = 1.0
    assert not pool.crowded()
    pool.quickest_us = 1000.0
    pool.ready.push([held(number) for number in range(1, MANY)])
    assert not pool.crowded()
    pool.quickest_us = 1.0
    assert pool.crowded()
