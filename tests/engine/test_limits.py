"""Time limits: a program is ended, a coroutine cancelled; a function is asked, and settled if it does not heed."""

import asyncio
import sys

import pytest

from daemons import LONG, until
from mainspring import InvalidValue, Retry, TaskFailed, context, stopping


def test_a_body_on_a_thread_that_heeds_ends_as_failed(threaded):
    daemon = threaded()
    asked = []

    @daemon.task(name="t:heed", timeout="20ms")
    def heed():
        import threading

        while not stopping():
            threading.Event().wait(0.001)
        asked.append(context().deadline)

    task = heed.enqueue()
    with pytest.raises(TaskFailed) as caught:
        task.result(LONG)
    assert caught.value.reason == "time limit"
    assert "20ms" in caught.value.message
    assert asked[0] >= task.started_at
    assert task.attempt == 1


def test_one_that_does_not_heed_is_settled_and_its_worker_stays_taken(threaded, gates):
    daemon = threaded(workers=2)
    stuck, other = gates(), gates()

    @daemon.task(name="t:stuck", timeout="20ms")
    def stuck_body():
        stuck.wait()
        return "late"

    @daemon.task(name="t:other")
    def other_body():
        other.wait()

    task = stuck_body.enqueue()
    stuck.await_arrivals()
    assert task.wait(LONG)
    assert (task.state, task.reason) == ("failed", "time limit")
    # one worker is taken by the body that goes on: of two tasks only one can run
    others = [other_body.enqueue() for _ in range(2)]
    other.await_arrivals()
    until(daemon, lambda: daemon.status().workers.busy == 2)
    assert others[1].refresh().state == "waiting"
    stuck.open()  # its worker is free again, its late result is refused
    other.await_arrivals()
    other.open()
    assert all(one.wait(LONG) for one in others)
    assert other.most == 2
    assert (task.refresh().state, task.row.result) == ("failed", None)


def test_no_retry_starts_before_the_body_has_returned(threaded, gate):
    daemon = threaded(workers=2)

    @daemon.task(name="t:stuck", timeout="20ms", retry=Retry(1, delay=0))
    def stuck():
        gate.wait()

    task = stuck.enqueue()
    gate.await_arrivals()
    until(daemon, lambda: any(slot.cause for slot in daemon._engine.pool.slots))  # it was asked, and does not heed
    gate.open()
    assert task.wait(LONG)  # the second attempt has 20 ms, which it may or may not keep
    assert gate.most == 1
    assert task.attempt == 2
    assert [one.reason for one in task.attempts] == ["time limit"]


def test_a_coroutine_is_cancelled(threaded):
    daemon = threaded()
    ended = []

    @daemon.task(name="t:sleepy", timeout="20ms")
    async def sleepy():
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            ended.append("cancelled")
            raise

    task = sleepy.enqueue()
    with pytest.raises(TaskFailed) as caught:
        task.result(LONG)
    assert caught.value.reason == "time limit"
    assert ended == ["cancelled"]


def test_a_program_is_ended(threaded):
    daemon = threaded()
    task = daemon.add_task([sys.executable, "-c", "import signal; signal.pause()"], timeout="50ms")
    with pytest.raises(TaskFailed) as caught:
        task.result(LONG)
    assert caught.value.reason == "time limit"


def test_what_ends_in_time_is_left_alone(threaded):
    daemon = threaded()

    @daemon.task(name="t:quick", timeout="1h")
    def quick():
        return context().deadline - context().run_at

    assert quick.enqueue().result(LONG).total_seconds() >= 3600


@pytest.mark.parametrize("bad", [0, -1, "never", float("inf")])
def test_bad_limits_are_refused(daemon, bad):
    @daemon.task(name="t:f")
    def f(): ...

    with pytest.raises(InvalidValue):
        f.options(timeout=bad).enqueue()
    assert daemon.find() == []


def test_the_limit_of_one_task_wins_over_the_registration(daemon):
    @daemon.task(name="t:limit", timeout="5s")
    def limit():
        deadline = context().deadline
        return None if deadline is None else (deadline - context().run_at).total_seconds()

    assert limit.enqueue().result() == 5
    assert limit.options(timeout=7).enqueue().result() == 7
    assert limit.options(timeout=None).enqueue().result() is None


def test_a_body_is_told_at_the_beginning_of_the_grace(threaded):
    import threading

    daemon = threaded()
    begun = threading.Event()

    @daemon.task(name="t:heeds")
    def heeds() -> str:
        begun.set()
        while not stopping():
            threading.Event().wait(0.001)
        return "in time"

    task = heeds.enqueue()
    assert begun.wait(LONG)
    daemon.stop(grace="100s")  # it does not take them
    assert task.refresh().state == "succeeded"
    assert task.result() == "in time"
