"""Testing: "`Daemon("memory:", clock=VirtualClock(start))`; `clock.advance(duration)` ...; `Daemon(inline=True)`"."""

import threading
from datetime import timedelta

import pytest

from mainspring import Daemon, Misuse, Retry, TaskFailed, context
from mainspring.testing import VirtualClock


@pytest.fixture
def inline():
    daemon = Daemon(inline=True)
    yield daemon
    daemon.stop()


def test_inline_runs_in_the_caller_s_thread_before_enqueue_returns(inline):
    where = []

    @inline.task(name="note")
    def note(word):
        where.append((threading.get_ident(), word))
        return word

    task = note.enqueue("a")
    assert where == [(threading.get_ident(), "a")]
    assert task.result(timeout=5) == "a"
    assert task.state == "succeeded"
    assert inline.drain()


def test_inline_a_failure_is_the_task_s_and_not_the_caller_s(inline):
    @inline.task(name="fail")
    def fail():
        raise KeyError("no such order")

    task = fail.enqueue()
    with pytest.raises(TaskFailed, match="no such order"):
        task.result(timeout=5)


def test_inline_runs_programs(inline):
    assert inline.add_task(["/bin/sh", "-c", "exit 0"]).result(timeout=30) == 0


def test_inline_waiting_runs_what_falls_due_meanwhile(inline):
    """The machine's own clock goes on: a retry, and a task for later, come to their instants in `result`."""

    @inline.task(name="flaky", retry=Retry(1, delay="1ms", jitter=False))
    def flaky():
        if context().attempt == 1:
            raise OSError("try again")
        return "ok"

    assert flaky.enqueue().result(timeout=30) == "ok"
    later = flaky.after("2ms").enqueue()
    assert later.result() == "ok"
    assert later.lateness >= timedelta(0)
    far = flaky.after("1h").enqueue()
    assert not far.wait(timeout="1ms")
    with pytest.raises(TimeoutError):
        far.result(timeout=0.001)


def test_inline_waiting_for_what_nothing_runs_is_no_wait_for_ever(inline):
    inline.pause()
    task = inline.add_task(["/bin/true"])
    with pytest.raises(Misuse, match="paused"):
        task.result()


def test_a_virtual_clock_moves_a_daemon():
    """`clock.advance(duration)`, `clock.run_to_next()`, `daemon.drain()`."""
    clock = VirtualClock("2030-01-01T00:00:00Z")
    with Daemon("memory:", clock=clock) as daemon:

        @daemon.task(name="f")
        def f():
            return context().run_at

        for form in (f.after(timedelta(hours=1)), f.at("2030-01-01T02:00:00+00:00"), f.after("3h")):
            form.enqueue()
        assert clock.advance("1h").isoformat() == "2030-01-01T01:00:00+00:00"
        assert [task.result().hour for task in daemon.find(state="succeeded")] == [1]
        assert clock.run_to_next().hour == 2
        clock.advance(3600)
        assert [task.result().hour for task in daemon.find(state="succeeded")] == [1, 2, 3]
        assert daemon.drain()


def test_the_fixture(mainspring_daemon):
    """pytest fixture `mainspring_daemon`."""

    @mainspring_daemon.task(name="f")
    def f(x):
        return x

    task = f.after("1d").enqueue(1)
    mainspring_daemon.clock.advance("1d")
    assert task.result() == 1
    assert task.lateness == timedelta(0)
