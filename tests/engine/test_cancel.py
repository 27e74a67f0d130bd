"""`cancel` tells the truth, also in a race: it will not start, it runs and was asked, or it is too late."""

import asyncio
import sys
import threading

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from daemons import LONG, until
from mainspring import Daemon, TaskCancelled, TaskNotFound, TooLate, stopping
from mainspring.engine import settle
from mainspring.testing import VirtualClock


@pytest.fixture
def ran():
    return []


@pytest.fixture
def f(daemon, ran):
    @daemon.task(name="t:f")
    def f(number=0):
        ran.append(number)

    return f


# within the horizon it is reserved by the daemon and must be asked for; beyond, the store alone decides
@pytest.mark.parametrize("after", ["2s", "1h"])
def test_a_waiting_task_will_not_start(daemon, clock, f, ran, after):
    task = f.after(after).enqueue()
    clock.advance("1ms")
    answer = task.cancel()
    assert answer == "cancelled"
    assert answer
    clock.advance("2h")
    assert ran == []
    assert (task.refresh().state, task.reason, task.attempt) == ("cancelled", "cancelled", 0)
    with pytest.raises(TaskCancelled):
        task.result()


def test_a_finished_one_is_too_late(daemon, f):
    task = f.enqueue()
    answer = task.cancel()
    assert answer == "too-late"
    assert not answer
    assert task.refresh().state == "succeeded"


def test_cancelling_twice_is_too_late_the_second_time(daemon, f):
    task = f.after("1h").enqueue()
    assert [str(task.cancel()), str(task.cancel())] == ["cancelled", "too-late"]


@pytest.mark.parametrize("unknown", ["999", "nonsense", "", "-1", "9" * 30])
def test_an_unknown_id(daemon, unknown):
    with pytest.raises(TaskNotFound, match=repr(unknown)):
        daemon.cancel(unknown)
    with pytest.raises(LookupError):
        daemon.get(unknown)


def test_a_running_one_is_asked_and_ends_as_cancelled_if_it_heeds(threaded, gate):
    daemon = threaded()
    heard = []

    @daemon.task(name="t:heed", retry=3)
    def heed():
        gate.wait()
        heard.append(stopping())
        raise InterruptedError("as you wish")

    task = heed.enqueue()
    gate.await_arrivals()
    assert task.cancel() == "stopping"
    gate.open()
    assert task.wait(LONG)
    assert heard == [True]
    assert (task.state, task.reason, task.attempt) == ("cancelled", "cancelled while running", 1)


def test_a_running_one_that_does_its_work_to_the_end_succeeded(threaded, gate):
    daemon = threaded()

    @daemon.task(name="t:deaf")
    def deaf():
        gate.wait()
        return "done"

    task = deaf.enqueue()
    gate.await_arrivals()
    assert task.cancel() == "stopping"
    gate.open()
    assert task.result(LONG) == "done"


def test_a_running_coroutine_is_cancelled(threaded):
    daemon = threaded()
    entered = threading.Event()

    @daemon.task(name="t:sleepy")
    async def sleepy():
        entered.set()
        await asyncio.Event().wait()

    task = sleepy.enqueue()
    assert entered.wait(LONG)
    assert task.cancel() == "stopping"
    with pytest.raises(TaskCancelled):
        task.result(LONG)


def test_a_running_program_is_ended(threaded):
    daemon = threaded()
    task = daemon.add_task([sys.executable, "-c", "import signal; signal.pause()"])
    until(daemon, lambda: task.refresh().state == "running")
    assert task.cancel() == "stopping"
    with pytest.raises(TaskCancelled):
        task.result(LONG)


def test_a_client_gets_the_same_truth_from_the_daemon_that_holds_it(threaded, gate):
    daemon, client = threaded(workers=1), threaded(start=False)

    @daemon.task(name="t:hold")
    def hold():
        gate.wait()

    running, soon, later = hold.enqueue(), hold.after("4s").enqueue(), hold.after("1h").enqueue()
    gate.await_arrivals()
    assert [str(client.cancel(task.id)) for task in (running, soon, later)] == ["stopping", "cancelled", "cancelled"]
    gate.open()
    assert running.wait(LONG)
    assert client.cancel(running.id) == "too-late"


def test_a_race_of_cancels_with_starts_is_told_truly(threaded):
    """Many threads cancel what many workers start; each answer must fit what then happened."""
    daemon = threaded(workers=4)
    lock, ran = threading.Lock(), set()

    @daemon.task(name="t:race")
    def race(number):
        with lock:
            ran.add(number)

    tasks = daemon.add_tasks([{"work": "t:race", "args": (number,), "after": 0.02} for number in range(300)])
    answers = {}

    def cancel(part):
        for number in range(part, 300, 3):
            answers[number] = str(daemon.cancel(tasks[number].id))

    threads = [threading.Thread(target=cancel, args=(part,)) for part in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(LONG)
    assert all(task.wait(LONG) for task in tasks)
    for number, task in enumerate(tasks):
        answer, state = answers[number], task.refresh().state
        if answer == "cancelled":
            assert (number in ran, state) == (False, "cancelled")
        else:
            assert (number in ran, state) == (True, "succeeded"), answer


def test_many_who_cancel_one_task_agree_that_one_of_them_did(threaded):
    daemon = threaded()

    @daemon.task(name="t:f")
    def f(): ...

    for _ in range(10):
        task = f.after("3s").enqueue()
        answers, start = [], threading.Barrier(4)

        def cancel(task=task, answers=answers, start=start):
            start.wait(LONG)
            answers.append(str(task.cancel()))

        threads = [threading.Thread(target=cancel) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(LONG)
        assert sorted(answers) == ["cancelled", "too-late", "too-late", "too-late"]


@settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    st.lists(
        st.tuples(
            st.sampled_from(["add", "cancel", "reschedule", "run_now", "advance"]),
            st.integers(0, 5),
            st.sampled_from([0, 1, 4, 6, 30]),
        ),
        max_size=25,
    )
)
def test_any_order_of_steering_keeps_the_truth(moves):
    """A task that was cancelled never ran; one that ran did so once, and not before its last instant."""
    clock = VirtualClock("2030-01-01T00:00:00Z")
    daemon = Daemon("memory:", clock=clock)
    ran, tasks, cancelled = {}, [], set()

    @daemon.task(name="t:note")
    def note(number):
        ran.setdefault(number, []).append(clock.time)

    with daemon:
        for move, which, seconds in moves:
            if move == "add":
                tasks.append(note.after(seconds).enqueue(len(tasks)))
            elif move == "advance":
                clock.advance(seconds)
            elif which < len(tasks):
                started = which in ran
                if move == "cancel":
                    answer = tasks[which].cancel()
                    assert bool(answer) == (not started and which not in cancelled)
                    cancelled |= {which} if answer else set()
                elif started or which in cancelled:
                    with pytest.raises(TooLate):
                        tasks[which].run_now() if move == "run_now" else tasks[which].reschedule(after=seconds)
                elif move == "run_now":
                    tasks[which].run_now()
                    assert which in ran
                else:
                    tasks[which].reschedule(after=seconds)
        clock.advance("1m")
        for number, task in enumerate(tasks):
            task.refresh()
            assert task.state == ("cancelled" if number in cancelled else "succeeded")
            assert len(ran.get(number, [])) == (number not in cancelled)
            if number in ran:
                assert ran[number] == [task.run_at]


@pytest.mark.parametrize("ran", [False, True])
def test_a_holder_that_did_it_and_died_before_it_could_say_so(daemon, clock, f, monkeypatch, ran):
    """The next look finds the task cancelled: by this very call."""
    task = f.after("3s").enqueue()
    clock.advance("1s")  # reserved
    store = daemon.store
    row = store.get(int(task.id))
    change = store.change

    def ask(node, number, demand):
        held = daemon._engine.timeline.withdraw(number)
        if ran:
            store.record([settle.cancelled(held, 1, clock.now(), clock.now(), None)])
        else:
            change(number, demand, clock.now(), token=held.token)

    assert row.holder is not None
    monkeypatch.setattr(daemon, "ask", ask)
    assert task.cancel() == ("stopping" if ran else "cancelled")
    assert task.refresh().state == "cancelled"
    assert task.cancel() == "too-late"
