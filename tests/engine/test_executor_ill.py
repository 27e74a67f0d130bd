"""An executor that fails: what waits is charged with nothing, what it had in hand is, and it is tried again."""

import logging
from concurrent.futures import BrokenExecutor

from executor_fakes import attempts, note, state

from daemons import LONG, until
from mainspring.engine import executor_health


def test_one_that_takes_nothing_costs_its_tasks_nothing(start, executor, caplog):
    daemon = start(pool=executor)
    executor.refuses = RuntimeError("cannot schedule new futures after shutdown")
    with caplog.at_level(logging.INFO, "mainspring"):
        tasks = [daemon.add_task(note, (number,)) for number in range(3)]
        executor.await_submitted(2)
        assert [state(daemon, task) for task in tasks] == ["waiting"] * 3
        executor.refuses = None
        for _ in tasks:
            executor.await_submitted()
            executor.run()
        assert [task.result(timeout=LONG) for task in tasks] == [0, 1, 2]
    assert [attempts(daemon, task) for task in tasks] == [1, 1, 1]
    assert "cannot schedule new futures" in caplog.text
    assert "tried again in" in caplog.text
    assert "If it was shut down" in caplog.text
    assert "works again" in caplog.text


def test_one_that_has_failed_is_left_alone_for_a_while(start, executor, monkeypatch):
    monkeypatch.setattr(executor_health, "delay_us", lambda name, failures: LONG * 1_000_000)
    daemon = start(pool=executor)
    pool = daemon._engine.pool
    executor.refuses = RuntimeError("no room")
    task = daemon.add_task(note, (1,))
    executor.await_submitted()
    executor.refuses = None
    until(daemon, lambda: pool.ready.count and pool._health.rests_until)
    with pool._lock:
        assert not pool._may_take()
    pool._health.rests_until = 1  # the time is over
    daemon._engine._desk_loop.wake()
    executor.await_submitted()
    executor.run()
    assert task.result(timeout=LONG) == 1


def test_a_broken_one_has_lost_what_it_had_and_gets_one_at_a_time(start, executor):
    daemon = start(pool=executor)
    tasks = [daemon.add_task(note, (number,)) for number in range(4)]
    executor.await_submitted(2)
    executor.fail(BrokenExecutor("a worker died"))
    executor.fail(BrokenExecutor("a worker died"))
    executor.await_submitted()
    assert len(executor.waiting) == 1
    executor.run()
    for _ in range(3):
        executor.await_submitted()
        executor.run()
    assert [task.result(timeout=LONG) for task in tasks] == [0, 1, 2, 3]
    assert sorted(attempts(daemon, task) for task in tasks) == [1, 1, 2, 2]


def test_what_breaks_it_three_times_is_set_aside(start, executor):
    daemon = start(pool=executor)
    task = daemon.add_task(note)
    for _ in range(3):
        executor.await_submitted()
        executor.fail(BrokenExecutor("a worker died"))
    task.wait(LONG)
    found = daemon.get(task.id)
    assert (found.state, found.reason) == ("failed", "poison")
    assert "a worker died" in found.error.message


def test_a_call_that_cannot_be_read_there_costs_nothing(start, executor, caplog):
    daemon = start(pool=executor)
    task = daemon.add_task(note, (1,))
    for _ in range(3):  # as often as would set a task aside that was lost
        executor.await_submitted()
        executor.fail(ModuleNotFoundError("No module named 'mainspring'"))
    executor.await_submitted()
    executor.run()
    assert task.result(timeout=LONG) == 1
    assert attempts(daemon, task) == 1
    assert "install the same one there" in caplog.text


def test_an_answer_that_is_none_counts_as_lost(start, executor):
    daemon = start(pool=executor)
    task = daemon.add_task(note, (1,))
    executor.await_submitted()
    executor.take()[0].set_result(None)
    executor.await_submitted()
    executor.run()
    assert task.result(timeout=LONG) == 1
    assert attempts(daemon, task) == 2


def test_what_an_exact_one_cancels_by_itself_has_not_run(start, exact):
    daemon = start(pool=exact)
    task = daemon.add_task(note, (1,))
    exact.await_submitted()
    exact.waiting.pop()[0].cancel()
    exact.await_submitted()
    exact.run()
    assert task.result(timeout=LONG) == 1
    assert attempts(daemon, task) == 1


def test_what_a_vague_one_cancels_by_itself_counts_as_lost(start, vague):
    daemon = start(pool=vague)
    task = daemon.add_task(note, (1,))
    vague.await_submitted()
    vague.waiting.pop()[0].cancel()
    vague.await_submitted()
    vague.run()
    assert task.result(timeout=LONG) == 1
    assert attempts(daemon, task) == 2
