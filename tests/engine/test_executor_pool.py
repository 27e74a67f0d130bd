"""A pool whose workers are an executor's: what it is given, what is taken back, and what is known when it fails."""

import multiprocessing
import threading
from concurrent.futures import BrokenExecutor, ProcessPoolExecutor, ThreadPoolExecutor

import executor_fakes
import msgspec
import pytest
from executor_fakes import attempts, fail, later, note, state

from daemons import LONG, until
from mainspring import InvalidValue
from mainspring.engine import executor_call


def begun(daemon, executor):
    """The first call, once the daemon knows that it has begun."""
    call = executor.take()
    until(daemon, lambda: any(slot.started_at for slot in daemon._engine.pool.slots))
    return call


# ── what it is given ───────────────────────────────────────────────────────────────────────────────────────────


def test_a_task_is_run_by_the_executor(start, executor):
    executor_fakes.ran.clear()
    daemon = start(pool=executor)
    task = daemon.add_task(note, (5,))
    executor.await_submitted()
    assert not executor_fakes.ran
    executor.run()
    assert task.result(timeout=LONG) == 5
    assert executor_fakes.ran == [5]


def test_it_has_no_more_in_hand_than_there_are_workers(start, executor):
    daemon = start(pool=executor)
    tasks = [daemon.add_task(note, (number,)) for number in range(5)]
    for _ in range(5):
        executor.await_submitted()
        assert len(executor.waiting) <= 2
        if executor.count >= 2:
            executor.run()
    while executor.waiting:
        executor.run()
    assert [task.result(timeout=LONG) for task in tasks] == list(range(5))


def test_no_two_calls_are_alike(start, executor):
    """Dask takes equal calls for one."""
    seen = set()
    for url in ("memory:", "memory:"):
        daemon = start(url, pool=executor)
        daemon.add_task(note)
        for end in (lambda: executor.fail(ImportError("not there")), executor.run):
            executor.await_submitted()
            call = msgspec.msgpack.decode(executor.waiting[0][2][0], type=executor_call.Call)
            seen.add((call.home, call.number))
            end()
    assert len(seen) == 4
    assert len({home for home, _ in seen}) == 2


def test_errors_retries_and_retry_later(start, executor):
    daemon = start(pool=executor)
    failing = daemon.add_task(fail)
    executor.await_submitted()
    executor.run()
    failing.wait(LONG)
    assert daemon.get(failing.id).error.type == "LookupError"
    postponed = daemon.add_task(later)
    for _ in range(2):
        executor.await_submitted()
        executor.run()
    assert postponed.result(timeout=LONG) == 2


def test_a_program_is_run_here_and_takes_a_place(start, executor):
    daemon = start(pool=executor, workers=1)
    program = daemon.add_task(["/bin/sh", "-c", "echo hello"])
    program.wait(LONG)
    assert daemon.get(program.id).output == "hello\n"
    assert not executor.count


def test_what_is_not_found_there_has_failed(start, executor, monkeypatch):
    daemon = start(pool=executor)
    monkeypatch.setattr(daemon._engine.pool._host, "origin", lambda work: "executor_fakes:gone")
    task = daemon.task(name="t:gone")(note).options(retry=3).enqueue()
    executor.await_submitted()
    executor.run()
    task.wait(LONG)
    found = daemon.get(task.id)
    assert (found.state, found.error.type) == ("failed", "UnknownFunction")


def test_what_has_expired_is_not_handed_over(start, executor):
    daemon = start(pool=executor, workers=1)
    first = daemon.add_task(note)
    executor.await_submitted()
    second = daemon.add_task(note, expires=0.001)
    expired = daemon.clock.now() + 1_000
    until(daemon, lambda: daemon.clock.now() > expired)
    executor.run()
    assert first.wait(LONG)
    assert second.wait(LONG)
    assert daemon.get(second.id).reason == "expired"
    assert executor.count == 1


def test_an_occurrence_waits_for_no_other_that_the_executor_has(start, executor):
    daemon = start(pool=executor, start=False)
    daemon.every("20ms", name="often")(daemon.task(name="t:often")(note))
    daemon.start()
    executor.await_submitted()
    missed = until(daemon, lambda: daemon.find(schedule="often", state="missed"))
    assert missed[0].reason == "overlap"
    assert executor.count == 1


def test_one_that_forks_is_warned_of(start, caplog):
    for method in ("spawn", "fork"):
        executor = ProcessPoolExecutor(1, mp_context=multiprocessing.get_context(method))
        start(pool=executor).stop()
        executor.shutdown()
        assert ("forks" in caplog.text) == (method == "fork")


def test_another_value_says_what_is_expected(threaded):
    for wrong in (object(), 4, ThreadPoolExecutor):
        with pytest.raises(InvalidValue, match=r"pool=: expected .*concurrent.futures.Executor"):
            threaded(pool=wrong, start=False)


# ── at most once ───────────────────────────────────────────────────────────────────────────────────────────────


def test_an_at_most_once_start_is_recorded_before_it_is_handed_over(start, exact, monkeypatch):
    daemon = start(pool=exact)
    seen = []
    pool, submit = daemon._engine.pool, exact.submit
    monkeypatch.setattr(pool, "_submit", lambda *args: (seen.extend(daemon.find(state="running")), submit(*args))[1])
    task = daemon.add_task(note, (1,), delivery="at-most-once")
    exact.await_submitted()
    assert [one.id for one in seen] == [task.id]
    exact.fail(BrokenExecutor("gone"))
    task.wait(LONG)
    found = daemon.get(task.id)
    assert (found.state, found.reason, found.attempt) == ("failed", "lost", 1)


def test_an_at_most_once_task_that_was_not_taken_waits_on(start, exact):
    daemon = start(pool=exact)
    exact.refuses = RuntimeError("no room")
    task = daemon.add_task(note, (1,), delivery="at-most-once")
    exact.await_submitted()
    exact.refuses = None
    exact.await_submitted()
    exact.run()
    assert task.result(timeout=LONG) == 1
    assert attempts(daemon, task) == 1


def test_what_must_not_run_twice_is_not_given_to_one_that_might(start, vague):
    daemon = start(pool=vague)
    task = daemon.add_task(note, (1,), delivery="at-most-once")
    assert task.result(timeout=LONG) == 1
    assert not vague.count


# ── taken back, stopped ────────────────────────────────────────────────────────────────────────────────────────


def test_what_has_not_begun_is_cancelled_and_never_runs(start, exact):
    daemon = start(pool=exact)
    task = daemon.add_task(note)
    exact.await_submitted()
    task.cancel()
    task.wait(LONG)
    found = daemon.get(task.id)
    assert (found.state, found.attempt) == ("cancelled", 0)
    assert exact.waiting.pop()[0].cancelled()
    other = daemon.add_task(note, (2,))  # its place is free
    exact.await_submitted()
    exact.run()
    assert other.result(timeout=LONG) == 2


def test_a_cancel_while_it_is_handed_over_counts_too(start, exact, monkeypatch):
    daemon = start(pool=exact)
    added, tasks, submit = threading.Event(), [], exact.submit

    def slow_submit(*args):
        assert added.wait(LONG)
        tasks[0].cancel()
        return submit(*args)

    monkeypatch.setattr(daemon._engine.pool, "_submit", slow_submit)
    tasks.append(daemon.add_task(note))
    added.set()
    assert tasks[0].wait(LONG)
    found = daemon.get(tasks[0].id)
    assert (found.state, found.attempt) == ("cancelled", 0)
    assert exact.waiting[0][0].cancelled()


def test_what_has_not_begun_is_moved(start, exact):
    daemon = start(pool=exact)
    task = daemon.add_task(note)
    exact.await_submitted()
    task.reschedule(after=3600)
    assert exact.waiting.pop()[0].cancelled()
    assert state(daemon, task) == "waiting"


def test_what_has_begun_ends_by_itself(start, exact):
    daemon = start(pool=exact)
    task = daemon.add_task(note, (3,))
    exact.await_submitted()
    future, function, args = exact.take()
    task.cancel()
    future.set_result(function(*args))
    assert task.result(timeout=LONG) == 3


def test_a_cancel_that_says_nothing_is_not_believed(start, vague):
    daemon = start(pool=vague)
    task = daemon.add_task(note, (3,))
    vague.await_submitted()
    task.cancel()
    assert not vague.waiting[0][0].cancelled()
    vague.run()
    assert task.result(timeout=LONG) == 3


def test_a_time_limit_is_settled_and_a_late_result_refused(start, executor):
    daemon = start(pool=executor)
    task = daemon.add_task(note, timeout=0.05)
    executor.await_submitted()
    future, function, args = begun(daemon, executor)
    task.wait(LONG)
    found = daemon.get(task.id)
    assert (found.state, found.reason) == ("failed", "time limit")
    future.set_result(function(*args))
    other = daemon.add_task(note, (2,))
    executor.await_submitted()
    executor.run()
    assert other.result(timeout=LONG) == 2
    assert state(daemon, task) == "failed"


def test_a_stop_gives_back_what_has_not_begun_and_leaves_the_executor(start, exact):
    before = set(threading.enumerate())
    daemon = start(pool=exact, grace=LONG)
    task = daemon.add_task(note)
    exact.await_submitted()
    daemon.stop()
    assert exact.waiting[0][0].cancelled()
    assert (state(daemon, task), attempts(daemon, task)) == ("waiting", 0)
    assert not exact.shut
    for thread in set(threading.enumerate()) - before:
        thread.join(LONG)
        assert not thread.is_alive()


def test_a_stop_gives_back_what_does_not_end(start, executor):
    daemon = start(pool=executor)
    task = daemon.add_task(note)
    executor.await_submitted()
    future, function, args = begun(daemon, executor)
    daemon.stop()
    assert (state(daemon, task), attempts(daemon, task)) == ("waiting", 1)
    future.set_result(function(*args))  # nobody minds
    daemon.start()  # what comes late has not made this process a worker of another one
    executor.await_submitted()
    executor.run()
    assert task.wait(LONG)
    assert state(daemon, task) == "succeeded"
