"""The verbs for coroutines: the same answers, and the loop goes on meanwhile."""

import asyncio
import inspect
import threading

import pytest

from daemons import LONG
from mainspring import KeyInUse, TaskFailed, WaitTimeout
from mainspring.aio import Aio
from mainspring.client import Client


def run(coroutine):
    async def bounded():
        async with asyncio.timeout(LONG):
            return await coroutine

    return asyncio.run(bounded())


@pytest.fixture
def daemon(threaded):
    return threaded(workers=2)


@pytest.fixture
def double(daemon):
    @daemon.task(name="t:double")
    async def double(x):
        await asyncio.sleep(0)
        return 2 * x

    return double


def test_enqueue_and_await(daemon, double):
    async def main():
        task = await double.aenqueue(21)
        return await task, await (await double.options(queue="mail").after(0).aenqueue(4))

    assert run(main()) == (42, 8)


def test_the_verbs(daemon, double):
    async def main():
        aio = daemon.aio
        one = await aio.add_task("t:double", (1,), after="1h", key="k")
        with pytest.raises(KeyInUse):
            await aio.add_task("t:double", (1,), key="k")
        many = await aio.add_tasks([{"work": double, "args": (n,)} for n in range(3)])
        assert [await task for task in many] == [0, 2, 4]
        assert (await aio.get(one.id)) == one
        assert await aio.cancel(one.id) == "cancelled"
        await aio.retry(one.id)
        assert await aio.result(one) == 2
        await aio.pause()
        held = await double.aenqueue(5)
        assert await aio.wait(held, 0) is False
        with pytest.raises(WaitTimeout):
            await aio.result(held, "1ms")
        await aio.resume()
        assert await held == 10
        return (await aio.status()).counts["succeeded"]

    assert run(main()) == 5


def test_every_verb_of_aio_is_one_of_the_client_s():
    verbs = {name for name, _ in inspect.getmembers(Aio, inspect.iscoroutinefunction) if not name.startswith("_")}
    assert verbs - {"wait", "result"} <= set(dir(Client))
    assert {"add_task", "add_tasks", "get", "cancel", "retry", "pause", "resume", "status"} <= verbs


def test_the_loop_goes_on_while_a_task_is_waited_for(daemon, gate):
    @daemon.task(name="t:hold")
    def hold():
        gate.wait()
        return "done"

    async def main():
        waiting = asyncio.ensure_future(asyncio.wait_for(_of(await hold.aenqueue()), LONG))
        for _ in range(10):
            await asyncio.sleep(0)
        assert not waiting.done()
        gate.open()
        return await waiting

    assert run(main()) == "done"


async def _of(task):
    return await task


def test_a_daemon_in_an_asyncio_program(threaded):
    daemon = threaded(start=False)
    threads = set()

    @daemon.task(name="t:where")
    async def where():
        threads.add(threading.current_thread().name)
        return asyncio.get_running_loop() is not None

    async def main():
        async with daemon as same:
            assert same is daemon
            assert daemon.started
            return await (await where.aenqueue())

    assert run(main()) is True
    assert not daemon.started
    assert threads == {"mainspring-loop"}


def test_coroutines_run_side_by_side_each_on_a_worker_s_place(daemon):
    """Two on two workers wait for one another, which they can only if both run."""
    met = []

    @daemon.task(name="t:meet")
    async def meet(number):
        if not met:
            met.append(asyncio.Event())
            await met[0].wait()
        met[0].set()
        return number

    tasks = [meet.enqueue(number) for number in range(2)]
    assert [task.result(LONG) for task in tasks] == [0, 1]


def test_a_coroutine_s_error(daemon):
    @daemon.task(name="t:bad")
    async def bad():
        raise OSError("no")

    with pytest.raises(TaskFailed, match="OSError: no"):
        bad.enqueue().result(LONG)


def test_system_exit_in_a_coroutine_ends_its_task_and_not_the_loop(daemon, double):
    @daemon.task(name="t:exit")
    async def leave():
        raise SystemExit(1)

    assert leave.enqueue().wait(LONG)
    assert double.enqueue(2).result(LONG) == 4
