"""The timeline and what is ready: order, limits, and that exactly one taker gets a task."""

import threading

from hypothesis import given
from hypothesis import strategies as st

from mainspring.engine.ready import Ready
from mainspring.engine.timeline import Held, Timeline
from mainspring.store.rows import Lane, Reservation
from mainspring.tasks.options import DEFAULT
from mainspring.tasks.state import Kind


def held(number, run_at=0, *, priority=0, queue="default", token=1):
    task = Reservation(number, 1, run_at, 0, 0, 0, None, None, None, None, None)
    return Held(task, token, Lane(1, queue, priority, Kind.FUNCTION, "t:f"), DEFAULT)


def ids(batch):
    return [one.id for one in batch]


def test_due_is_a_comparison():
    timeline = Timeline()
    timeline.add([held(1, 10), held(2, 20), held(3, 30)])
    assert ids(timeline.due(9, 99)) == []
    assert ids(timeline.due(20, 99)) == [1, 2]
    assert ids(timeline.due(20, 99)) == []
    assert timeline.next() == 30
    assert len(timeline) == 3  # until a worker takes them


def test_a_chunk_at_a_time_in_order():
    timeline = Timeline()
    timeline.add([held(number, 10 - number) for number in range(10)])
    assert ids(timeline.due(99, 4)) == [9, 8, 7, 6]
    assert timeline.next() == 5


def test_only_an_earlier_first_instant_wakes():
    timeline = Timeline()
    assert timeline.add([held(1, 10)])
    assert not timeline.add([held(2, 20)])
    assert timeline.add([held(3, 5)])


def test_what_was_withdrawn_is_passed_over():
    timeline = Timeline()
    timeline.add([held(1, 10), held(2, 20)])
    assert timeline.withdraw(1).id == 1
    assert timeline.withdraw(1) is None
    assert timeline.next() == 20
    assert ids(timeline.due(99, 9)) == [2]


def test_a_stale_entry_is_not_taken_for_a_later_reservation():
    timeline = Timeline()
    first, second = held(1, 10), held(1, 10, token=2)
    timeline.add([first])
    assert ids(timeline.due(10, 9)) == [1]  # it waits for a worker
    timeline.withdraw(1)
    timeline.add([second])
    assert not timeline.take(first)
    assert timeline.take(second)


def test_two_reservations_of_one_task_at_one_instant_do_not_break_the_heap():
    timeline = Timeline()
    for token in range(1, 5):
        timeline.add([held(1, 10, token=token)])
        assert timeline.withdraw(1)
    timeline.add([held(1, 10, token=9)])
    assert [one.token for one in timeline.due(10, 9)] == [9]


def test_of_a_worker_and_a_change_one_gets_it():
    for _ in range(200):
        timeline = Timeline()
        one = held(1)
        timeline.add([one])
        start, got = threading.Barrier(2), []

        def worker(timeline=timeline, one=one, start=start, got=got):
            start.wait()
            got.append(timeline.take(one))

        thread = threading.Thread(target=worker)
        thread.start()
        start.wait()
        withdrawn = timeline.withdraw(1)
        thread.join()
        assert got[0] != (withdrawn is not None)


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 5)), max_size=30))
def test_ready_is_by_priority_instant_and_adding(tasks):
    ready = Ready(lambda _: True, {})
    batch = [held(number, run_at, priority=priority) for number, (priority, run_at) in enumerate(tasks)]
    ready.push(batch)
    popped = [one.id for one in iter(ready.pop, None)]
    assert popped == [one.id for one in sorted(batch, key=lambda one: one.order)]
    assert popped == sorted(range(len(tasks)), key=lambda n: (-tasks[n][0], tasks[n][1], n))


@given(st.lists(st.sampled_from(["mail", "pdf", "end"]), max_size=40))
def test_ready_keeps_the_limits_and_loses_nothing(moves):
    limits = {"mail": 2, "pdf": 1}
    ready, running, count, started = Ready(lambda _: True, limits), [], 0, 0
    for move in moves:
        if move == "end":
            if running:
                ready.ended(running.pop(0))
        else:
            ready.push([held(count, queue=move)])
            count += 1
        while (one := ready.pop()) is not None:
            running.append(one.queue)
            started += 1
        assert all(running.count(queue) <= limit for queue, limit in limits.items())
    while running:
        ready.ended(running.pop())
        while (one := ready.pop()) is not None:
            running.append(one.queue)
            started += 1
    assert started == count


def test_ready_passes_over_what_was_taken_elsewhere():
    ready = Ready(lambda one: one.id != 1, {})
    ready.push([held(1), held(2)])
    assert ready.pop().id == 2
    assert ready.pop() is None


def test_ready_tells_the_lowest_and_the_overdue():
    ready = Ready(lambda _: True, {})
    assert ready.lowest() is None
    ready.push([held(1, 10, priority=5), held(2, 20, priority=-1), held(3, 30)])
    assert ready.lowest() == -1
    assert ids(ready.overdue(25)) == [2, 1]  # last in order first


def test_a_start_that_is_near_is_known_also_when_it_was_handed_over_ahead():
    timeline = Timeline()
    timeline.add([held(1, 1_000), held(2, 5_000)])
    assert timeline.near(0, 999) is None
    assert timeline.near(0, 1_000) == 1_000
    timeline.due(1_000, 9)  # handed over: it is not in the heap any more
    assert timeline.near(900, 200) == 1_000
    assert timeline.near(1_001, 200) is None
    assert timeline.near(4_900, 200) == 5_000


def test_all_that_is_held_can_be_told_while_workers_take_from_it():
    class Shared(dict):
        looks = 0

        def values(self):
            self.looks += 1
            if self.looks < 3:
                raise RuntimeError("dictionary changed size during iteration")
            return super().values()

    timeline = Timeline()
    timeline.held = Shared({1: held(1), 2: held(2)})
    assert ids(timeline.every()) == [1, 2]


def test_what_was_put_off_and_hastened_goes_to_one_worker():
    timeline = Timeline()
    timeline.add([held(1, 10)])
    [one] = timeline.due(10, 9)
    assert timeline.take(one)
    timeline.put_off(one, 20)
    assert timeline.hasten([one])
    assert timeline.hasten([one])
    assert timeline.due(15, 9) == [one]
    assert timeline.due(25, 9) == []  # it waits for a worker
    assert not timeline.hasten([one])
    assert timeline.next() is None


def test_an_entry_of_an_earlier_reservation_takes_nothing_of_a_later_one():
    timeline = Timeline()
    first, second = held(1, 10), held(1, 10)
    timeline.add([first])
    assert timeline.take(first)
    timeline.add([second])
    assert not timeline.take(first)
    assert timeline.take(second)
