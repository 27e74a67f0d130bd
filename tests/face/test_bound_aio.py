"""A bounded queue in coroutines: they wait in the same line as threads do, and hold up nobody meanwhile."""

import asyncio
import threading

import pytest
from test_bound import in_line

from daemons import LONG, until
from mainspring import QueueFull
from mainspring.bound import IN_A_TASK


@pytest.fixture
def client(threaded):
    """Nobody runs its store, so that what is due waits."""
    return lambda most, **settings: threaded(start=False, max_pending=most, **settings)


def test_a_coroutine_task_never_waits(threaded):
    daemon = threaded(workers=1, max_pending=2)

    @daemon.task(name="t:adds", queue="other")
    async def adds():
        try:
            for _ in range(3):
                await daemon.aio.add_task("t:nobody-knows")
        except QueueFull as error:
            return str(error)

    assert IN_A_TASK in adds.enqueue().result(LONG)


def run(main):
    async def bounded():
        async with asyncio.timeout(LONG):
            return await main

    return asyncio.run(bounded())


async def standing_in_line(daemon, count):
    await asyncio.to_thread(until, daemon, lambda: in_line(daemon) == count)


def test_coroutines_wait_and_the_loop_goes_on(client):
    daemon = client(1)

    async def main():
        there = await daemon.aio.add_task("t:note")
        waiting = []
        for number in range(1, 4):
            waiting.append(asyncio.create_task(daemon.aio.add_task("t:note", (number,))))
            await standing_in_line(daemon, number)
        assert (await daemon.aio.add_task("t:note", after="1h")).state == "waiting"
        for one in waiting:
            await daemon.aio.cancel(there.id)
            there = await one
        ids = [int(one.result().id) for one in waiting]
        assert ids == sorted(ids)
        assert not daemon.bound.line

    run(main())


def test_many_coroutines_wait_without_a_thread_each(threaded):
    daemon = threaded(workers=2, max_pending=1)

    @daemon.task(name="t:quick")
    def quick(number):
        return number

    async def main():
        before = threading.active_count()
        tasks = await asyncio.gather(*(quick.aenqueue(number) for number in range(60)))
        assert threading.active_count() - before < 50
        assert [await task for task in tasks] == list(range(60))

    run(main())


def test_a_coroutine_that_is_cancelled_leaves_the_line(client):
    daemon = client(1)

    async def main():
        there = await daemon.aio.add_task("t:note")
        first = asyncio.create_task(daemon.aio.add_task("t:note"))
        await standing_in_line(daemon, 1)
        second = asyncio.create_task(daemon.aio.add_tasks([{"work": "t:note"}]))
        await standing_in_line(daemon, 2)
        first.cancel()
        with pytest.raises(asyncio.CancelledError):
            await first
        await daemon.aio.cancel(there.id)
        assert len(await second) == 1
        assert len(daemon.find(state="waiting")) == 1

    run(main())


def test_coroutines_wait_no_longer_than_is_said(client):
    daemon = client(1, full_timeout="1ms")

    async def main():
        await daemon.aio.add_task("t:note")
        with pytest.raises(QueueFull, match="waited 1ms"):
            await daemon.aio.add_task("t:note")
        blocker = threading.Event().set
        daemon.bound.line.join(blocker)
        with pytest.raises(QueueFull, match="waited 1ms"):
            async with daemon.aio.batch() as batch:
                batch.add_task("t:note")
        daemon.bound.line.leave(blocker)

    run(main())
