"""Coroutines: `await f.aenqueue(...)`, `daemon.aio.<same method>`; "they never block the loop"."""

import asyncio
import inspect
from concurrent.futures import ThreadPoolExecutor

import pytest

from mainspring import Daemon, TaskCancelled, TaskFailed, TaskNotFound


@pytest.fixture
def daemon():
    daemon = Daemon("memory:", workers=4)
    yield daemon
    daemon.stop(0)


@pytest.fixture
def give(daemon):
    @daemon.task(name="give")
    async def give(value):
        if isinstance(value, str):
            raise ValueError(value)
        return value

    return give


def run(main):
    """Run a coroutine on a loop with one thread for all that is done away from it."""

    async def narrow():
        asyncio.get_running_loop().set_default_executor(ThreadPoolExecutor(1))
        await asyncio.wait_for(main(), 60)

    asyncio.run(narrow())


VERBS = [
    "add_task",
    "add_tasks",
    "batch",
    "add_schedule",
    "add_listener",
    "get",
    "find",
    "cancel",
    "reschedule",
    "run_now",
    "retry",
    "pause",
    "resume",
    "status",
    "schedules",
    "listeners",
    "start",
    "stop",
    "drain",
]


@pytest.mark.parametrize("verb", VERBS)
def test_aio_has_the_same_methods(daemon, verb):
    """`daemon.aio.<same method>`, with the same parameters."""
    empty = inspect.Parameter.empty
    same, own = (
        [one.replace(annotation=empty) for one in parameters(getattr(face, verb))] for face in (daemon.aio, daemon)
    )
    assert same == own


def parameters(method):
    return list(inspect.signature(method).parameters.values())


def test_await_gives_the_result_or_raises(daemon, give):
    """`await task` gives the result."""

    async def main():
        async with daemon:
            assert await (await give.aenqueue(7)) == 7
            assert await (await give.after(0.001).aenqueue(8)) == 8
            with pytest.raises(TaskFailed, match="no"):
                await (await give.aenqueue("no"))
            later = await give.after("1h").aenqueue(1)
            assert await daemon.aio.cancel(later.id) == "cancelled"
            with pytest.raises(TaskCancelled):
                await later

    run(main)


def test_any_number_can_be_awaited(daemon, give):
    """Awaiting takes no thread: a hundred wait at once where one thread does the rest."""

    async def main():
        async with daemon:
            tasks = await daemon.aio.add_tasks({"work": "give", "args": (n,), "after": "1h"} for n in range(100))
            results = asyncio.gather(*tasks)
            for task in tasks:
                await daemon.aio.run_now(task.id)
            assert await results == list(range(100))

    run(main)


def test_an_awaiting_that_is_given_up_leaves_nothing_behind(daemon, give):
    """Cancelled or out of time, the loop goes on and can end, also if the task never does."""

    async def main():
        task = await give.after("1h").aenqueue(1)
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(asyncio.ensure_future(daemon.aio.result(task)), 0.001)
        with pytest.raises(TimeoutError, match="still waiting"):
            await daemon.aio.result(task, timeout=0.001)
        assert not await daemon.aio.wait(task, timeout="1ms")
        assert (await daemon.aio.get(task.id)).state == "waiting"

    run(main)


def test_what_ends_elsewhere_is_heard(tmp_path):
    """`result` ... works in any process, woken: here a client and a daemon that share only the file."""
    worker, client = Daemon(tmp_path / "t.db"), Daemon(tmp_path / "t.db")

    @worker.task(name="answer")
    def answer():
        return 42

    async def main():
        task = await client.aio.add_task("answer")
        waiting = asyncio.ensure_future(daemon_result(task))
        async with worker:
            assert await waiting == 42

    async def daemon_result(task):
        return await task

    run(main)


def test_a_task_that_is_gone(daemon, give):
    async def main():
        with pytest.raises(TaskNotFound):
            await daemon.aio.get("77")

    run(main)


def test_batches_and_the_daemon_s_life(daemon, give):
    async def main():
        async with daemon.aio.batch() as batch:
            batch.add_task(give, args=(1,)).add_task(give, args=(2,), after="5ms")
        await daemon.aio.start()
        assert [await task for task in batch.tasks] == [1, 2]
        assert await daemon.aio.drain(timeout=30)
        assert len(await daemon.aio.find(state="succeeded", name="give")) == 2
        await daemon.aio.stop(grace=0)
        assert not daemon.started

    run(main)


def test_inline_and_with_a_virtual_clock(mainspring_daemon):
    """Where turns are taken by hand, awaiting takes them."""

    @mainspring_daemon.task(name="double")
    def double(number):
        return 2 * number

    async def main():
        assert await (await double.aenqueue(4)) == 8

    run(main)
