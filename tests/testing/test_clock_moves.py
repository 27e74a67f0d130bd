"""What a move of the clock says: what fired, and what failed; moves in coroutines, and clocks that follow."""

import asyncio
import threading
import traceback
from datetime import UTC, datetime, timedelta

import pytest

from mainspring import Daemon, InvalidValue, TaskFailed
from mainspring.testing import Firing, VirtualClock

T0 = datetime(2030, 1, 1, tzinfo=UTC)


@pytest.fixture
def failing(daemon):
    """A task that fails at its n-th attempt, and notes each."""
    tries = []

    @daemon.task(name="t:failing")
    def failing(text="no such order"):
        tries.append(text)
        raise KeyError(text)

    failing.tries = tries
    return failing


# ── what fired ─────────────────────────────────────────────────────────────────────────────────────────────────


def test_run_to_next_says_what_fired_in_its_order(daemon, clock):
    @daemon.task(name="t:f")
    def f(n):
        return n

    late = f.options(priority=1).after("1h").enqueue(1)
    soon = f.options(priority=2).after("1h").enqueue(2)
    fired = clock.run_to_next()
    assert isinstance(fired, Firing)
    assert fired == T0 + timedelta(hours=1) == clock.time
    assert fired.tasks == (soon, late)
    assert [task.result() for task in fired.tasks] == [2, 1]
    assert repr(fired) == "<Firing 2030-01-01T01:00:00+00:00: f succeeded, f succeeded>"
    assert fired.tzinfo is UTC


def test_a_firing_has_nothing_of_what_ran_before(daemon, clock):
    @daemon.task(name="t:f")
    def f(n): ...

    f.enqueue(0)
    f.after("1h").enqueue(1)
    second = f.after("2h").enqueue(2)
    clock.run_to_next()
    assert clock.run_to_next().tasks == (second,)
    assert clock.run_to_next() is None


def test_what_is_to_be_tried_again_fired_too(daemon, clock):
    @daemon.task(name="t:again", retry=1)
    def again():
        raise OSError("not yet")

    task = again.after("1h").enqueue()
    assert [(one.id, one.state, one.attempt) for one in clock.run_to_next().tasks] == [(task.id, "waiting", 1)]
    assert [(one.id, one.state, one.attempt) for one in clock.run_to_next().tasks] == [(task.id, "failed", 2)]


def test_what_a_task_adds_for_now_fires_with_it_and_is_named_once(daemon, clock):
    @daemon.task(name="t:chain")
    def chain(left):
        if left:
            chain.enqueue(left - 1)

    chain.after("1h").enqueue(2)
    assert len(clock.run_to_next().tasks) == 3


def test_several_daemons_fire_together(clock):
    daemons = [Daemon("memory:", clock=clock, name=f"d{n}") for n in range(2)]
    for daemon in daemons:
        daemon.task(name="t:f")(f)
    with daemons[0], daemons[1]:
        tasks = [daemon.add_task("t:f", after="1h") for daemon in daemons]
        fired = clock.run_to_next().tasks
        assert [task.id for task in fired] == ["1", "1"]  # of two stores
        assert fired == tuple(tasks)


def f(): ...


# ── what failed ────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_move_raises_what_failed_where_it_failed(daemon, clock, failing):
    failing.after("1h").enqueue()
    failing.after("2h").enqueue()
    with pytest.raises(TaskFailed, match="no such order") as caught:
        clock.advance("1d", raising=True)
    assert clock.time == T0 + timedelta(hours=1)
    assert caught.value.type == "KeyError"
    text = "".join(traceback.format_exception(caught.value))
    assert "failing, attempt 1" in text
    assert "raise KeyError(text)" in text
    assert len(failing.tries) == 1


@pytest.mark.parametrize("move", ["advance_to", "run_to_next"])
def test_the_other_moves_raise_too(daemon, clock, failing, move):
    failing.after("1h").enqueue()
    with pytest.raises(TaskFailed):
        getattr(clock, move)(*[T0 + timedelta(hours=3)] * (move == "advance_to"), raising=True)
    assert clock.time == T0 + timedelta(hours=1)


def test_without_being_asked_nothing_is_raised(daemon, clock, failing):
    task = failing.after("1h").enqueue()
    clock.advance("1h")
    assert task.refresh().state == "failed"
    clock.advance("1h", raising=True)  # what failed in an earlier move is no matter of this one


def test_a_retry_is_no_failure(daemon, clock):
    tries = []

    @daemon.task(name="t:twice", retry=1)
    def twice():
        tries.append(1)
        if len(tries) == 1:
            raise OSError("not yet")

    twice.enqueue()
    clock.advance("1h", raising=True)
    assert len(tries) == 2


def test_others_of_the_same_instant_are_named(daemon, clock, failing):
    failing.after("1h").enqueue("first")
    failing.options(name="other").after("1h").enqueue("second")
    with pytest.raises(TaskFailed, match="first") as caught:
        clock.advance("1h", raising=True)
    assert "2 (other)" in caught.value.__notes__[-1]
    clock.advance("1h", raising=True)


def test_a_clock_that_raises_raises_whatever_failed(url):
    clock = VirtualClock(T0, raising=True)
    with Daemon(url, clock=clock) as daemon:

        @daemon.task(name="t:bad")
        def bad():
            raise ValueError("bad")

        bad.enqueue()  # runs at once, and the adder is not to blame
        with pytest.raises(TaskFailed, match="bad"):
            clock.advance("1h")
        assert clock.time == T0
        bad.after("1h").enqueue()
        clock.advance("1h", raising=False)
        bad.after("1h").enqueue()
        with pytest.raises(TaskFailed):
            clock.step("2h")
        clock.advance("1h")


def test_a_daemon_that_came_to_another_clock_is_heard_there_alone(clock):
    daemon = Daemon("memory:", clock=clock)

    @daemon.task(name="t:bad")
    def bad():
        raise ValueError("bad")

    with daemon:
        clock.run_to_next()
    daemon.clock = other = VirtualClock(T0)
    with daemon:
        bad.after("1h").enqueue()
        with pytest.raises(TaskFailed):
            other.advance("1h", raising=True)
        clock.advance("1h", raising=True)


# ── in coroutines ──────────────────────────────────────────────────────────────────────────────────────────────


def test_moves_in_a_coroutine_leave_the_loop_to_others(daemon, clock):
    """A task may wait for something that the test's own loop has to do."""

    async def main():
        loop = asyncio.get_running_loop()

        async def answer():
            return threading.get_ident()

        @daemon.task(name="t:ask")
        def ask():
            return asyncio.run_coroutine_threadsafe(answer(), loop).result(60)

        task = await ask.after("1h").aenqueue()
        assert await clock.aio.advance("1h") == T0 + timedelta(hours=1)
        assert await task == threading.get_ident()
        other = await ask.after("1h").aenqueue()
        assert (await clock.aio.run_to_next()).tasks == (other,)
        assert await clock.aio.run_to_next() is None
        assert await clock.aio.advance_to("2030-01-02T00:00Z") == T0 + timedelta(days=1)

    asyncio.run(main())


def test_coroutines_run_also_when_a_coroutine_moves_the_clock_itself(daemon, clock):
    @daemon.task(name="t:nap")
    async def nap(n):
        await asyncio.sleep(0)
        return n

    async def main():
        task = nap.after("1h").enqueue(7)
        clock.advance("1h")
        return await task

    assert asyncio.run(main()) == 7


def test_an_awaited_move_raises_as_any_other(daemon, clock, failing):
    failing.after("1h").enqueue()
    with pytest.raises(TaskFailed):
        asyncio.run(clock.aio.advance("1d", raising=True))


# ── who follows ────────────────────────────────────────────────────────────────────────────────────────────────


def test_whoever_follows_is_told_before_anything_runs(daemon, clock):
    told = []
    clock.on_move(told.append)
    seen = []

    @daemon.task(name="t:look")
    def look():
        seen.append(told[-1])

    for hours in (1, 2):
        look.after(f"{hours}h").enqueue()
    clock.advance("3h")
    assert seen == [T0 + timedelta(hours=1), T0 + timedelta(hours=2)]
    assert (told[0], told[-1]) == (T0, T0 + timedelta(hours=3))
    clock.step("-1h")
    assert told[-1] == T0 + timedelta(hours=2)


def test_a_negative_duration_is_told_of_step(clock):
    with pytest.raises(InvalidValue, match=r"step\(\) sets the clock back"):
        clock.advance("-1h")


def test_no_task_moves_the_clock_that_it_runs_by(daemon, clock):
    @daemon.task(name="t:mover")
    def mover():
        clock.advance("1h", raising=True)

    @daemon.task(name="t:async_mover")
    async def async_mover():
        await clock.aio.advance("1h")

    for task in (mover.enqueue(), async_mover.enqueue()):
        with pytest.raises(TaskFailed, match="Misuse"):
            task.result()
    assert clock.time == T0
