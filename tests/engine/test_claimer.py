"""The claimer alone: what it reserves, and when it wants to look again. With a pool in which nothing runs."""

import pytest

from mainspring.engine.claimer import CALM_US, HORIZON_US, LEAD_US, MOST_UNWRITTEN, SAFETY_US, Claimer
from mainspring.engine.pool import InlinePool
from mainspring.engine.timeline import Timeline
from mainspring.errors import StoreError
from mainspring.store.memory import MemoryStore
from mainspring.store.rows import NewNode, NewTask
from mainspring.tasks.registry import Registry
from mainspring.tasks.state import Kind

NOW = 1_900_000_000_000_000
SECOND = 1_000_000


class Loop:
    def __init__(self):
        self.wakes = 0

    def wake(self):
        self.wakes += 1


class NoLease:
    def begin(self):
        return 0

    def accept(self, token, lapses):
        return True


class Recorder:
    waiting = 0

    def __init__(self):
        self.settlements = []

    def put(self, settlement):
        self.settlements.append(settlement)


class Bench:
    """A claimer on a store in memory."""

    def __init__(self, *, workers=1, queues=None, programs=True):
        self.store = MemoryStore()
        node = NewNode(host="h", pid=1, version="0", workers=workers, started_at=NOW)
        seat = self.store.join(node)
        self.node = seat.node
        self.timeline = Timeline()
        self.timer, self.recorder = Loop(), Recorder()
        limits = queues if isinstance(queues, dict) else {}
        self.pool = InlinePool(workers, lambda *_: None, self.timeline.take, limits, lambda: None)
        self.registry = Registry("/", ())
        self.registry.add(known, "t:known")
        self.claimer = Claimer(
            store=self.store,
            node=self.node,
            timeline=self.timeline,
            pool=self.pool,
            recorder=self.recorder,
            registry=self.registry,
            timer=self.timer,
            wall=lambda: NOW,
            queues=queues,
            programs=programs,
            warm=lambda: None,
            lease=NoLease(),
        )
        self.looks = 0
        real = self.store.reserve

        def reserve(*args, **kwargs):
            self.looks += 1
            return real(*args, **kwargs)

        self.store.reserve = reserve

    def add(self, *seconds, work="t:known", kind=Kind.FUNCTION, queue="default"):
        tasks = [NewTask(work=work, kind=kind, queue=queue, run_at=NOW + int(s * SECOND)) for s in seconds]
        return [added.id for added in self.store.add(tasks, NOW)]

    def reserved(self):
        return sorted(self.timeline.held)


def known(): ...


def test_it_reserves_what_falls_due_within_the_horizon_and_no_more():
    bench = Bench()
    soon = bench.add(0, 1, 4.9)
    bench.add(5.1, 60)
    wanted = bench.claimer.step(NOW)
    assert bench.reserved() == soon
    assert wanted == NOW + 5_100_000 - LEAD_US
    assert bench.timer.wakes > 0


def test_the_next_look_is_a_little_before_the_next_instant():
    bench = Bench()
    bench.add(3600)
    assert bench.claimer.step(NOW) == NOW + SAFETY_US
    bench.add(30)
    bench.claimer.hear([f"due {NOW + 30 * SECOND}"], NOW)
    assert bench.claimer.step(NOW) == NOW + 30 * SECOND - LEAD_US


def test_news_of_something_within_what_was_looked_at_mean_now():
    bench = Bench()
    bench.add(1)
    bench.claimer.step(NOW)
    (late,) = bench.add(2)
    bench.claimer.hear([f"due {NOW + 2 * SECOND}"], NOW)
    bench.claimer.step(NOW)
    assert late in bench.reserved()


def test_without_news_it_does_not_look_again():
    bench = Bench()
    bench.add(1)
    bench.claimer.step(NOW)
    looks = bench.looks
    for later in range(1, 100):
        bench.claimer.step(NOW + later * 1_000)
    assert bench.looks == looks


def test_lost_news_are_found_by_the_safety_look_and_counted():
    bench = Bench()
    bench.add(3600)
    bench.claimer.step(NOW)
    bench.add(1)  # and nobody says so
    bench.claimer.step(NOW + SAFETY_US)
    assert bench.claimer.found_by_safety == 1


@pytest.mark.parametrize(("queues", "count"), [({"mail": 2}, 4), ({"mail": None}, 10)])
def test_a_queue_with_a_limit_is_not_held_in_mass_and_not_looked_at_in_a_loop(queues, count):
    bench = Bench(queues=queues)
    bench.add(*[0] * 10, queue="mail")
    wanted = bench.claimer.step(NOW)
    assert len(bench.reserved()) == count
    assert wanted > NOW


def test_a_backlog_is_held_in_part_and_room_brings_the_next_look():
    bench = Bench(workers=2)
    bench.pool.typical_us = 50_000  # each takes a worker for as long as is held in advance
    bench.add(*[0] * 100)
    wanted = bench.claimer.step(NOW)
    held = len(bench.reserved())
    assert held == 4  # two for the workers, two in hand
    bench.pool.offer(bench.timeline.due(NOW, 100))
    assert bench.claimer.step(NOW) is not None
    assert wanted is not None
    assert bench.pool.hungry


def test_what_nobody_here_knows_is_left_alone_reported_and_not_looked_at():
    bench = Bench()
    (unknown,) = bench.add(0, work="elsewhere:unknown")
    assert bench.claimer.step(NOW) is None
    looks = bench.looks
    assert bench.claimer.step(NOW + 1) is None
    assert bench.looks == looks == 0
    assert bench.store.get(unknown).holder is None
    assert bench.store.nodes()[0].unknown == [lane.id for lane in bench.store.lanes()]
    bench.registry.add(lambda: None, "elsewhere:unknown")
    bench.claimer.forget()
    bench.claimer.step(NOW + 2)
    assert bench.reserved() == [unknown]


@pytest.mark.parametrize(
    ("programs", "held"), [(True, True), (False, False), (("/bin/ls",), True), (("/bin/cat", "ls"), False)]
)
def test_programs_only_as_allowed(programs, held):
    bench = Bench(programs=programs)
    bench.add(0, work="/bin/ls", kind=Kind.PROGRAM)
    bench.claimer.step(NOW)
    assert bool(bench.reserved()) == held


def test_paused_queues_are_passed_over():
    bench = Bench()
    bench.store.pause("default", paused=True)
    bench.add(0)
    bench.claimer.step(NOW)
    assert bench.reserved() == []


def test_when_outcomes_cannot_be_written_nothing_more_is_reserved():
    bench = Bench()
    bench.recorder.waiting = 1 << 30
    bench.add(0)
    assert bench.claimer.step(NOW) == NOW + LEAD_US
    assert bench.reserved() == []
    bench.recorder.waiting = 0
    bench.claimer.step(NOW + LEAD_US)
    assert len(bench.reserved()) == 1


def test_what_others_asked_for_is_left_to_them_for_a_second_without_a_busy_loop():
    bench = Bench()
    (task,) = bench.add(2)
    bench.recorder.put = lambda settlement: bench.store.record([settlement])  # giving it back is news, at once
    bench.claimer.hold_off(task, NOW)
    for now in range(NOW, NOW + SECOND, 1_000):
        bench.claimer.hear(["due 0"], now)
        bench.claimer.step(now)
        assert bench.reserved() == []
    assert bench.looks <= 2 * SECOND / CALM_US + 2  # what is due, and what is ahead
    bench.claimer.hear(["due 0"], NOW + SECOND)
    bench.claimer.step(NOW + SECOND + CALM_US)
    assert bench.reserved() == [task]


def test_stopping_it_reserves_nothing():
    bench = Bench()
    bench.add(0)
    bench.claimer.paused = True
    assert bench.claimer.step(NOW) is None
    assert bench.reserved() == []


def test_with_neighbours_what_is_overdue_beyond_one_for_each_worker_goes_back():
    bench = Bench(workers=1)
    bench.add(*[0] * 200)
    bench.claimer.step(NOW)
    bench.pool.offer(bench.timeline.due(NOW, 1_000))
    held = bench.reserved()
    assert len(held) > 40
    bench.claimer.alone = lambda: False
    bench.pool.typical_us = 1_000_000  # they turn out to be slow
    bench.claimer.hear(["*"], NOW + SECOND)
    bench.claimer.step(NOW + SECOND)
    returned = [one.id for one in bench.recorder.settlements]
    assert returned
    assert len(bench.reserved()) == 1
    assert bench.reserved()[0] == held[0]


def test_with_neighbours_nothing_waits_behind_workers_that_are_busy_for_long():
    bench = Bench(workers=1)
    bench.add(*[0] * 20)
    bench.claimer.alone = lambda: False
    bench.claimer.step(NOW)
    bench.pool.offer(bench.timeline.due(NOW, 1_000))
    held = bench.reserved()
    assert len(held) == 20
    slot = bench.pool.slots[0]
    slot.held, slot.started_at = object(), NOW  # a body that goes on
    assert bench.claimer.step(NOW + 1) <= NOW + 50_001  # it will look again when it would be long
    assert bench.reserved() == held
    bench.claimer.step(NOW + 50_000)
    assert bench.reserved() == []
    assert len(bench.recorder.settlements) == 20
    bench.claimer.hear(["due 0"], NOW + 50_001)  # its own news; a neighbour may have them
    looks = bench.looks
    bench.claimer.step(NOW + 50_001)
    assert bench.looks == looks
    slot.clear()
    assert bench.pool.hungry
    bench.claimer.room_again()
    bench.claimer.step(NOW + 60_000)
    assert bench.looks > looks


def test_the_next_start_is_the_earliest_reserved_or_not():
    bench = Bench()
    bench.add(7200)
    assert bench.claimer.next_start() == NOW + 7_200 * SECOND
    bench.add(1)
    bench.claimer.step(NOW)
    assert bench.claimer.next_start() == NOW + SECOND
    assert HORIZON_US > SECOND


def test_behind_with_writing_it_reserves_nothing_and_goes_on_as_soon_as_that_is_done():
    bench = Bench()
    due = bench.add(0, 0)
    bench.recorder.waiting = MOST_UNWRITTEN + 1
    assert bench.claimer.step(NOW) > NOW
    assert bench.reserved() == []
    assert not bench.claimer.written()  # some of them
    bench.recorder.waiting = 0
    assert bench.claimer.written()
    bench.claimer.step(NOW)
    assert bench.reserved() == due
    assert not bench.claimer.written()  # it waits for nothing any more


def test_what_a_call_held_that_failed_all_the_same_goes_back_and_is_reserved():
    bench = Bench()
    (soon,) = bench.add(1)
    reserve = bench.store.reserve

    def fails(*args, **kwargs):
        reserve(*args, **kwargs)
        raise StoreError("the disk does not answer")

    bench.store.reserve = fails
    with pytest.raises(StoreError):
        bench.claimer.step(NOW)
    assert bench.reserved() == []
    bench.store.reserve = reserve
    bench.claimer.step(NOW)
    assert bench.reserved() == [soon]
