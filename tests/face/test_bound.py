"""A bounded queue: a full one blocks or refuses, as asked; nothing is dropped, and what is for later is let in."""

import asyncio
import pickle
import queue
import re
import threading

import pytest

from daemons import LONG, until
from mainspring import Daemon, QueueFull
from mainspring.bound import BY_HAND, IN_A_TASK, NEVER_FITS, ON_A_LOOP, Line


class Adding(threading.Thread):
    """Calls `add` on a thread of its own, which may have to wait for room; `result` is what came of it."""

    def __init__(self, add):
        super().__init__()
        self._add = add
        self.result = None
        self.start()

    def run(self):
        try:
            self.result = self._add()
        except Exception as error:
            self.result = error

    def ended(self):
        self.join(LONG)
        assert not self.is_alive(), "it still waits for room"
        return self.result


def in_line(daemon):
    return len(daemon.bound.line._turns)


@pytest.fixture
def client(threaded):
    """Nobody runs its store, so that what is due waits."""

    def make(most=2, **settings):
        return threaded(start=False, max_pending=most, **settings)

    return make


def fill(client, count):
    return client.add_tasks([{"work": "t:note", "args": (number,)} for number in range(count)])


# ── refusing ───────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_full_queue_refuses_with_the_numbers(client):
    daemon = client(2, when_full="refuse")
    fill(daemon, 2)
    with pytest.raises(QueueFull, match=r"2 tasks or more are due and wait, 1 more .* max_pending is 2") as caught:
        daemon.add_task("t:note")
    error = pickle.loads(pickle.dumps(caught.value))
    assert isinstance(error, queue.Full)
    assert (error.pending, error.max_pending, error.adding, str(error)) == (2, 2, 1, str(caught.value))
    assert len(daemon.find()) == 2


def test_what_is_for_later_is_let_in_however_full_it_is(client):
    daemon = client(1)
    fill(daemon, 1)
    daemon.add_task("t:note", after="1h")
    daemon.add_tasks([{"work": "t:note", "after": "1h"}] * 3)
    with daemon.batch() as batch:
        batch.add_task("t:note", after="1h").add_task("t:note", after="2h")
    assert len(daemon.find()) == 7


def test_a_batch_is_all_or_none(client):
    daemon = client(3, when_full="refuse")
    fill(daemon, 2)
    with pytest.raises(QueueFull) as caught, daemon.batch() as batch:
        batch.add_task("t:note").add_task("t:note", after="1h").add_task("t:note")
    assert (caught.value.pending, caught.value.adding) == (2, 2)
    assert len(daemon.find()) == 2
    with daemon.batch() as batch:
        batch.add_task("t:note").add_task("t:note", after="1h")
    assert len(daemon.find()) == 4


def test_what_never_fits_is_refused_at_once_also_where_adding_waits(client):
    with pytest.raises(QueueFull, match=NEVER_FITS):
        fill(client(2), 3)


def test_other_clients_are_counted_and_one_without_a_bound_is_not_refused(client, threaded):
    daemon = client(2, when_full="refuse")
    free = threaded(start=False)
    fill(free, 5)
    with pytest.raises(QueueFull):
        daemon.add_task("t:note")
    fill(free, 1)


def test_without_a_bound_nothing_is_counted(client, threaded, monkeypatch):
    daemon = threaded(start=False)
    asked = []
    monkeypatch.setattr(daemon.store, "add", lambda *arguments: asked.append(arguments) or [])
    daemon.add_tasks([{"work": "t:note"}] * 0)
    assert [len(arguments) for arguments in asked] == [2]
    assert daemon.bound is None


def test_occurrences_retries_and_steering_are_never_refused(clock):
    with Daemon("memory:", clock=clock, name="tests", max_pending=1, when_full="refuse") as daemon:

        @daemon.task(name="t:fails", retry=1)
        def fails():
            raise ValueError

        task = daemon.add_task("t:fails")
        clock.advance("1h")
        assert task.refresh().state == "failed"
        daemon.pause()
        daemon.add_task("t:fails")
        task.retry()
        schedule = daemon.add_schedule("t:fails", "10s", name="often")
        schedule.run_now()
        clock.advance("30s")
        with pytest.raises(QueueFull):
            daemon.add_task("t:fails")
        assert daemon.store.pending(clock.now(), 100) > 3


# ── waiting ────────────────────────────────────────────────────────────────────────────────────────────────────


def test_adding_waits_until_something_starts(threaded, gate):
    daemon = threaded(workers=1, max_pending=1)

    @daemon.task(name="t:body")
    def body(number):
        gate.wait()
        return number

    first = body.enqueue(1)
    gate.await_arrivals()
    second = body.enqueue(2)  # waits until the store knows that the first one runs
    third = Adding(lambda: body.enqueue(3))
    until(daemon, lambda: in_line(daemon) == 1)
    assert daemon.store.pending(daemon.clock.now(), 100) == 1
    gate.open()
    assert [task.result(LONG) for task in (first, second, third.ended())] == [1, 2, 3]


def test_first_come_first_served(client):
    daemon = client(1)
    [there] = fill(daemon, 1)
    waiting = []
    for number in range(1, 4):
        waiting.append(Adding(lambda number=number: daemon.add_task("t:note", (number,))))
        until(daemon, lambda number=number: in_line(daemon) == number)
    for adding in waiting:
        there.cancel()
        there = adding.ended()
    ids = [int(adding.result.id) for adding in waiting]
    assert ids == sorted(ids)
    assert not daemon.bound.line


def test_a_batch_waits_until_there_is_room_for_all_of_it(client, monkeypatch):
    daemon = client(3)
    there = fill(daemon, 3)
    pending, looked = daemon.store.pending, []
    monkeypatch.setattr(daemon.store, "pending", lambda *asked: looked.append(pending(*asked)) or looked[-1])
    adding = Adding(lambda: fill(daemon, 2))
    there[0].cancel()
    until(daemon, lambda: 2 in looked)
    assert not adding.result
    there[1].reschedule(after="1h")
    assert len(adding.ended()) == 2


def test_its_instant_is_that_of_the_call(client):
    daemon = client(1)
    [there] = fill(daemon, 1)
    before = daemon.clock.now()
    adding = Adding(lambda: daemon.add_task("t:note"))
    until(daemon, lambda: in_line(daemon) == 1)
    called = daemon.clock.now()
    there.cancel()
    row = adding.ended().row
    assert before <= row.run_at <= called <= row.created_at
    assert daemon.get(adding.result.id).row == row


def test_who_has_waited_long_enough_is_refused_and_the_next_one_goes_on(client):
    daemon = client(1, full_timeout="1ms")
    [there] = fill(daemon, 1)
    with pytest.raises(QueueFull, match="waited 1ms for room"):
        daemon.add_task("t:note")
    assert not daemon.bound.line
    blocker = threading.Event().set
    daemon.bound.line.join(blocker)  # somebody is first, and has not gone yet
    with pytest.raises(QueueFull, match="waited"):
        daemon.add_task("t:note")
    daemon.bound.line.leave(blocker)
    there.cancel()
    assert daemon.add_task("t:note").state == "waiting"


def test_who_comes_later_does_not_overtake(client):
    daemon = client(5)
    blocker = threading.Event().set
    daemon.bound.line.join(blocker)
    adding = Adding(lambda: daemon.add_task("t:note"))
    until(daemon, lambda: in_line(daemon) == 2)
    assert not daemon.find()
    daemon.bound.line.leave(blocker)
    assert adding.ended().state == "waiting"


@pytest.fixture
def held_up():
    """Lets adders stand in line before anybody may look: `held_up(daemon, [add, ...])` starts them, in their order."""

    def start(daemon, adds):
        blocker = threading.Event().set
        daemon.bound.line.join(blocker)
        adding = []
        for number, add in enumerate(adds):
            adding.append(Adding(add))
            until(daemon, lambda number=number: in_line(daemon) == number + 2)
        daemon.bound.line.leave(blocker)
        return adding

    return start


def test_those_who_fit_write_together(client, held_up, monkeypatch):
    daemon = client(3)
    put, together = daemon.put, threading.Barrier(3, timeout=LONG)

    def write(*arguments):
        together.wait()
        return put(*arguments)

    monkeypatch.setattr(daemon, "put", write)
    three = held_up(daemon, [lambda: daemon.add_task("t:note")] * 3)
    assert len({adding.ended().id for adding in three}) == 3


def test_who_was_let_on_and_has_not_written_yet_is_counted(client, held_up, monkeypatch):
    daemon = client(1)
    store, put, puts, second = daemon.store, daemon.put, [], threading.Semaphore(0)
    pending = store.pending

    def look(*asked):
        second.release()
        return pending(*asked)

    def write(*arguments):
        puts.append(threading.current_thread())
        if len(puts) == 1:
            for _ in range(2):  # its own look, and that of the other one
                assert second.acquire(timeout=LONG)
        return put(*arguments)

    monkeypatch.setattr(store, "pending", look)
    monkeypatch.setattr(daemon, "put", write)
    first, other = held_up(daemon, [lambda: daemon.add_task("t:note")] * 2)
    first.ended().cancel()
    assert other.ended().state == "waiting"
    assert puts == [first, other]


def test_who_was_let_on_and_found_no_room_is_in_the_line_again(client, threaded, held_up, monkeypatch):
    daemon, free = client(1), threaded(start=False)
    put, quicker = daemon.put, []

    def write(*arguments):
        if not quicker:
            quicker.extend(fill(free, 1))
        return put(*arguments)

    monkeypatch.setattr(daemon, "put", write)
    waiting = held_up(daemon, [lambda: daemon.add_task("t:note")] * 2)
    until(daemon, lambda: quicker and in_line(daemon) == 2)
    quicker[0].cancel()
    until(daemon, lambda: daemon.find(state="waiting"))[0].cancel()
    assert len({adding.ended().id for adding in waiting} | {quicker[0].id}) == 3
    assert not daemon.bound.line


def test_what_keeps_or_replaces_needs_no_room(client):
    daemon = client(1)
    there = daemon.add_task("t:note", key="k")
    assert daemon.add_task("t:note", key="k", on_conflict="keep") == there
    assert daemon.add_task("t:note", key="k", on_conflict="replace") != there
    assert there.refresh().state == "cancelled"


def test_who_waits_where_nobody_runs_is_warned_once(client, caplog):
    daemon = client(1, full_timeout="1ms")
    fill(daemon, 1)
    for _ in range(3):
        with pytest.raises(QueueFull):
            daemon.add_task("t:note")
    told = [record.getMessage() for record in caplog.records if "queue is full" in record.getMessage()]
    assert len(told) == 1
    assert f"mainspring run --store {daemon.store.url}" in told[0]


# ── where nobody may wait ──────────────────────────────────────────────────────────────────────────────────────


def test_a_task_never_waits(threaded):
    daemon = threaded(workers=1, max_pending=2)

    @daemon.task(name="t:adds")
    def adds():
        daemon.add_task("t:nobody-knows", after="1h")
        try:
            for _ in range(3):
                daemon.add_task("t:nobody-knows")
        except QueueFull as error:
            return str(error)

    assert IN_A_TASK in adds.enqueue().result(LONG)


def test_a_running_loop_is_never_blocked(client):
    daemon = client(1)
    fill(daemon, 1)

    async def main():
        with pytest.raises(QueueFull, match=re.escape(ON_A_LOOP)):
            daemon.add_task("t:note")
        daemon.add_task("t:note", after="1h")

    asyncio.run(main())


def test_turns_taken_by_hand_make_no_room_meanwhile(clock):
    with Daemon("memory:", clock=clock, name="tests", max_pending=1) as daemon:
        daemon.pause()
        fill(daemon, 1)
        with pytest.raises(QueueFull, match=BY_HAND):
            daemon.add_task("t:note")
        with pytest.raises(QueueFull, match=BY_HAND):
            asyncio.run(daemon.aio.add_task("t:note"))


# ── the line ───────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_turn_of_a_closed_loop_is_passed_on():
    line, told = Line(), []

    def gone():
        raise RuntimeError("Event loop is closed")

    def first():
        told.append("first")

    def last():
        told.append("last")

    line.join(first)
    line._turns.append(gone)
    line.join(last)
    line.leave(first)
    assert told == ["first", "last"]
    line.leave(last)
    assert not line


def test_in_a_forked_child_nobody_stands_in_line(client):
    daemon = client(1)
    daemon.bound.line.join(threading.Event().set)
    daemon.forget_engine()  # what the child of a fork does
    assert not daemon.bound.line
