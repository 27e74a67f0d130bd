"""What is due starts by priority, then by instant, then in the order of adding; also with every worker busy."""

from datetime import timedelta

import pytest

from daemons import LONG, until
from mainspring import InvalidValue, TooLate


@pytest.fixture
def note(daemon):
    seen = []

    @daemon.task(name="t:note")
    def note(what):
        seen.append(what)

    note.seen = seen
    return note


def test_by_priority_then_instant_then_adding(daemon, clock, note):
    daemon.pause()
    note.after("3s").enqueue("late")
    note.after("1s").enqueue("first")
    note.after("1s").enqueue("second")
    note.options(priority=-1).enqueue("low")
    note.options(priority=5).after("2s").enqueue("high")
    clock.advance("10s")
    daemon.resume()
    assert note.seen == ["high", "first", "second", "late", "low"]


def test_priority_orders_what_is_due_never_the_future(daemon, clock, note):
    note.options(priority=100).after("2s").enqueue("high")
    note.options(priority=-100).after("1s").enqueue("low")
    clock.advance("5s")
    assert note.seen == ["low", "high"]


@pytest.fixture
def busy(threaded, gate):
    """A daemon whose one worker is held at the gate, and a task that notes what it is given."""
    daemon = threaded(workers=1)
    seen = []

    @daemon.task(name="t:hold")
    def hold():
        gate.wait()

    @daemon.task(name="t:note")
    def note(what):
        seen.append(what)

    note.seen = seen
    hold.enqueue()
    gate.await_arrivals()
    return daemon, note


def test_with_all_workers_busy_the_rest_waits_in_order(busy, gate):
    daemon, note = busy
    tasks = [note.enqueue("usual 1"), note.enqueue("usual 2"), note.options(priority=9).enqueue("high")]
    tasks += [note.options(priority=-9).enqueue("low")]
    assert [task.refresh().state for task in tasks] == ["waiting"] * 4
    until(daemon, lambda: all(task.refresh().row.holder for task in tasks))  # the daemon has noticed them
    gate.open()
    assert all(task.wait(LONG) for task in tasks)
    assert note.seen == ["high", "usual 1", "usual 2", "low"]


def test_a_higher_priority_passes_a_backlog_that_is_held_already(busy, gate):
    """More is due than the daemon holds at a time; what comes later and counts more still goes first."""
    daemon, note = busy
    daemon.add_tasks([{"work": "t:note", "args": (number,)} for number in range(500)])
    urgent = note.options(priority=1).enqueue("urgent")
    pool, ever = daemon._engine.pool, 2**62
    until(daemon, lambda: any(str(held.id) == urgent.id for held in pool.overdue(ever)))  # it waits for the worker
    gate.open()
    assert daemon.drain(LONG)
    assert urgent.refresh().state == "succeeded"
    assert note.seen == ["urgent", *range(500)]


@pytest.mark.parametrize(("flood", "first"), [(0, "timed"), (1, 0), (200, "timed")])
def test_a_flood_does_not_hold_up_a_timed_task(busy, gate, flood, first):
    """It takes the first worker that is free. Behind a few, the order is that of the instants."""
    daemon, note = busy
    timed = note.after("300ms").enqueue("timed")
    until(daemon, lambda: timed.refresh().row.holder)
    if flood:
        daemon.add_tasks([{"work": "t:note", "args": (number,)} for number in range(flood)])
    pool = daemon._engine.pool
    until(daemon, lambda: any(str(held.id) == timed.id for held in pool.overdue(2**62)))  # its instant has come
    until(daemon, lambda: flood == 0 or pool.ready.count > 1)
    gate.open()
    assert daemon.drain(LONG)
    assert note.seen[0] == first
    assert sorted(note.seen, key=str) == sorted([*range(flood), "timed"], key=str)


@pytest.mark.parametrize("bad", [1.5, "high", True, 40_000, -40_000])
def test_bad_priorities_are_refused(daemon, note, bad):
    with pytest.raises(InvalidValue, match="priority="):
        note.options(priority=bad).enqueue("x")
    assert daemon.find() == []


# ── another instant ────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("before", ["2s", "1h"])  # reserved by the daemon, or free in the store
def test_reschedule_moves_a_waiting_task(daemon, clock, note, before):
    task = note.after(before).enqueue("x")
    clock.advance("1ms")
    assert task.reschedule(after="30m").run_at == clock.time + timedelta(minutes=30)
    clock.advance(timedelta(minutes=30, microseconds=-1))
    assert note.seen == []
    clock.advance(timedelta(microseconds=1))
    assert note.seen == ["x"]
    assert task.refresh().lateness == timedelta(0)


def test_reschedule_to_an_earlier_instant(daemon, clock, note):
    task = note.after("30d").enqueue("x")
    task.reschedule(at=clock.time + timedelta(seconds=3))
    clock.advance("3s")
    assert note.seen == ["x"]


def test_run_now(daemon, note):
    task = note.after("30d").enqueue("x").run_now()
    assert task.state == "succeeded"
    assert note.seen == ["x"]


def test_only_waiting_tasks_can_be_moved(daemon, note, threaded, gate):
    done = note.enqueue("x")
    for change in (done.run_now, lambda: done.reschedule(after=1)):
        with pytest.raises(TooLate, match="succeeded"):
            change()
    other = threaded()

    @other.task(name="t:hold")
    def hold():
        gate.wait()

    running = hold.enqueue()
    gate.await_arrivals()
    for change in (running.run_now, lambda: running.reschedule(after=1)):
        with pytest.raises(TooLate, match="running"):
            change()


def test_reschedule_wants_one_instant(daemon, note):
    from mainspring import InvalidArguments

    task = note.after("1h").enqueue("x")
    for bad in ({}, {"at": "2031-01-01T00:00Z", "after": 1}):
        with pytest.raises(InvalidArguments, match="either"):
            task.reschedule(**bad)
