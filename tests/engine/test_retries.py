"""What follows a failed attempt: another one, after how long, and when it is the end."""

from datetime import timedelta
from itertools import pairwise

import pytest

from mainspring import InvalidValue, Retry, RetryLater, TaskFailed, TooLate, context


@pytest.fixture
def flaky(daemon):
    """`flaky(times, error)` is a task that raises so often, then returns the number of its attempt."""
    failures = {}

    @daemon.task(name="t:flaky")
    def flaky(times, kind="OSError"):
        number = context().attempt
        failures[context().task_id] = number
        if number <= times:
            raise {"OSError": OSError, "ValueError": ValueError, "Timeout": TimeoutError}[kind](f"try {number}")
        return number

    return flaky


def test_there_is_no_retry_unless_asked(daemon, flaky):
    task = flaky.enqueue(1)
    with pytest.raises(TaskFailed) as caught:
        task.result()
    assert (caught.value.type, caught.value.message, caught.value.reason) == ("OSError", "try 1", "error")
    assert "raise {" in caught.value.traceback
    assert task.attempt == 1
    assert task.attempts == []


def test_further_attempts_come_after_growing_delays(daemon, clock, flaky):
    rule = Retry(4, delay="1s", factor=3, max_delay="10s", jitter=False)
    task = flaky.options(retry=rule).enqueue(4)
    starts = [clock.time]
    while not task.refresh().finished:
        assert task.state == "waiting"
        assert task.error is None  # of the history, not of what waits
        starts.append(clock.run_to_next())
    gaps = [after - before for before, after in pairwise(starts)]
    assert gaps == [timedelta(seconds=s) for s in (1, 3, 9, 10)]
    assert task.result() == 5
    assert [(one.attempt, one.reason) for one in task.attempts] == [(n, "error") for n in (1, 2, 3, 4)]


def test_a_number_is_how_many_further_attempts_there_are(daemon, clock, flaky):
    task = flaky.options(retry=3).enqueue(99)
    clock.advance("1h")
    assert task.refresh().state == "failed"
    assert task.attempt == 4
    assert len(task.attempts) == 3  # the last one is in the task itself
    assert task.error.message == "try 4"


def test_a_retry_is_never_before_its_instant(daemon, clock, flaky):
    task = flaky.options(retry=Retry(1, delay="10s", jitter=False)).enqueue(1)
    assert task.refresh().run_at == clock.time + timedelta(seconds=10)
    clock.advance(9.999999)
    assert task.refresh().attempt == 1
    clock.advance(0.000001)
    assert task.refresh().state == "succeeded"


def test_jitter_stays_below_the_delay(daemon, clock, flaky):
    rule = Retry(1, delay="100s")
    tasks = [flaky.options(retry=rule).enqueue(1) for _ in range(20)]
    waits = [task.refresh().run_at - clock.time for task in tasks]
    assert all(timedelta(0) <= wait <= timedelta(seconds=100) for wait in waits)
    assert len(set(waits)) > 10


@pytest.mark.parametrize(("kind", "attempts"), [("OSError", 2), ("Timeout", 1), ("ValueError", 1)])
def test_only_what_the_rule_names_is_tried_again(daemon, clock, flaky, kind, attempts):
    rule = Retry(1, on=(OSError,), never=(TimeoutError,))  # TimeoutError is an OSError
    task = flaky.options(retry=rule).enqueue(9, kind)
    clock.advance("1h")
    assert task.refresh().attempt == attempts
    assert task.state == "failed"


def test_the_registration_s_retry_holds_and_a_task_s_own_wins(daemon, clock):
    @daemon.task(name="t:bad", retry=1)
    def bad():
        raise OSError

    usual, none, by_name = bad.enqueue(), bad.options(retry=None).enqueue(), daemon.add_task("t:bad")
    clock.advance("1h")
    assert [task.refresh().attempt for task in (usual, none, by_name)] == [2, 1, 2]


def test_a_client_that_knows_only_the_name_gets_the_registration_s_retry(threaded, tmp_path, clock):
    from mainspring import Daemon

    client = Daemon(str(tmp_path / "one.db"), clock=clock, name="client")
    task = client.add_task("t:bad")
    daemon = Daemon(str(tmp_path / "one.db"), clock=clock, name="server")

    @daemon.task(name="t:bad", retry=2)
    def bad():
        raise OSError

    with daemon:
        clock.advance("1h")
    assert task.refresh().attempt == 3


def test_a_task_may_ask_to_be_tried_later_as_often_as_it_likes(daemon, clock):
    @daemon.task(name="t:poll")
    def poll():
        if context().attempt < 4:
            raise RetryLater(after="5m")
        return context().attempt

    task = poll.enqueue()
    assert task.refresh().run_at == clock.time + timedelta(minutes=5)
    clock.advance("14m59s")
    assert task.refresh().attempt == 3
    clock.advance("1s")
    assert task.result() == 4
    assert [one.reason for one in task.attempts] == ["retry later"] * 3


def test_asking_for_later_uses_no_retry(daemon, clock):
    @daemon.task(name="t:mixed", retry=Retry(1, delay="1s"))
    def mixed():
        number = context().attempt
        if number in {1, 3}:
            raise RetryLater(after=1)
        raise OSError(f"try {number}")

    task = mixed.enqueue()
    clock.advance("1h")
    assert task.refresh().error.message == "try 4"
    assert task.state == "failed"


# ── by hand ────────────────────────────────────────────────────────────────────────────────────────────────────


def test_retry_by_hand_goes_on_with_the_same_id(daemon, flaky):
    task = flaky.enqueue(1)
    assert task.refresh().state == "failed"
    assert task.retry() is task
    assert task.result() == 2
    assert task.error is None


def test_retry_by_hand_counts_failures_from_nought(daemon, clock, flaky):
    task = flaky.options(retry=Retry(1, delay=1)).enqueue(3)
    clock.advance("1m")
    assert (task.refresh().state, task.attempt) == ("failed", 2)
    daemon.retry(task.id)
    assert (task.refresh().state, task.attempt) == ("waiting", 3)  # it has its one retry again
    clock.advance("1m")
    assert (task.refresh().state, task.attempt) == ("succeeded", 4)


def test_cancelled_and_missed_tasks_can_be_retried(daemon, clock, flaky):
    cancelled = flaky.after("1h").enqueue(0)
    cancelled.cancel()
    cancelled.retry()
    assert cancelled.result() == 1
    with_end = flaky.options(expires="1s").after("1h").enqueue(0)
    clock.step("2h")
    assert with_end.refresh().state == "missed"


@pytest.mark.parametrize("state", ["waiting", "succeeded"])
def test_what_did_not_end_badly_cannot_be_retried(daemon, flaky, state):
    task = flaky.after("1h").enqueue(0) if state == "waiting" else flaky.enqueue(0)
    with pytest.raises(TooLate, match=f"{task.id} is {state}"):
        daemon.retry(task.id)
    assert task.refresh().attempt == (0 if state == "waiting" else 1)


def test_a_running_task_cannot_be_retried(threaded, gate):
    daemon = threaded()

    @daemon.task(name="t:hold")
    def hold():
        gate.wait()

    task = hold.enqueue()
    gate.await_arrivals()
    with pytest.raises(TooLate):
        task.retry()
    gate.open()
    assert task.wait(60)
    assert task.attempt == 1


@pytest.mark.parametrize("bad", [-1, 1.5, "3", True])
def test_bad_retries_are_refused_where_they_are_written(daemon, flaky, bad):
    with pytest.raises(InvalidValue, match="retr"):
        flaky.options(retry=bad).enqueue(0)
    assert daemon.find() == []
