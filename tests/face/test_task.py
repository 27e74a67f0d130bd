"""A task as its adder sees it: a snapshot until it is refreshed, and `await` for its result."""

import asyncio
from datetime import timedelta

import pytest

from mainspring import State


@pytest.fixture
def f(daemon):
    @daemon.task(name="t:f")
    def f(x=1):
        return x

    return f


def test_it_is_a_snapshot_until_it_is_refreshed(daemon, clock, f):
    task = f.after("1h").enqueue()
    clock.advance("1h")
    assert task.state == "waiting"
    assert task.refresh() is task
    assert task.state == "succeeded"


def test_what_it_says_from_adding_to_its_end(daemon, clock, f):
    added = clock.time
    task = f.options(name="label", queue="mail", priority=3, key="k").after("1h").enqueue(5)
    assert isinstance(task.id, str)
    assert (task.name, task.function, task.kind) == ("label", "t:f", "function")
    assert (task.queue, task.priority, task.key, task.schedule) == ("mail", 3, "k", None)
    assert (task.created_at, task.run_at) == (added, added + timedelta(hours=1))
    assert (task.started_at, task.finished_at, task.lateness, task.attempt) == (None, None, None, 0)
    assert (task.reason, task.error, task.output, task.attempts, task.finished) == (None, None, None, [], False)
    clock.advance("1h")
    task.refresh()
    assert (task.started_at, task.finished_at, task.lateness) == (task.run_at, task.run_at, timedelta(0))
    assert (task.attempt, task.finished, task.result()) == (1, True, 5)
    assert task.run_at.utcoffset() == timedelta(0)


def test_the_state_is_the_word_and_the_enum(f):
    state = f.enqueue().refresh().state
    assert state is State.SUCCEEDED
    assert state == "succeeded"
    assert f"{state}" == "succeeded"


def test_equal_by_id_within_one_store(daemon, f):
    task = f.enqueue()
    assert daemon.get(task.id) == task
    assert len({task, daemon.get(task.id), f.enqueue()}) == 2
    assert task != task.id
    assert task.id in repr(task)
    assert "succeeded" in repr(task.refresh())


def test_ids_are_never_used_twice(daemon, f):
    assert len({f.enqueue().id for _ in range(100)}) == 100


def test_await_gives_the_result(daemon, clock, f):
    async def main():
        return await f.enqueue(7)

    assert asyncio.run(main()) == 7


def test_await_raises_what_result_raises(daemon):
    from mainspring import TaskFailed

    @daemon.task(name="t:bad")
    def bad():
        raise OSError("no")

    async def main():
        return await bad.enqueue()

    with pytest.raises(TaskFailed, match="no"):
        asyncio.run(main())


def test_result_in_a_client_is_woken(threaded, gate):
    daemon, client = threaded(), threaded(start=False)

    @daemon.task(name="t:hold")
    def hold():
        gate.wait()
        return {"answer": 42}

    task = client.add_task("t:hold")
    gate.await_arrivals()
    import threading

    results = []
    waiter = threading.Thread(target=lambda: results.append(task.result(60)))
    waiter.start()
    gate.open()
    waiter.join(60)
    assert results == [{"answer": 42}]
