"""Steering: what `Task` has, and what `daemon.find`, `retry`, `reschedule` ... answer, spelled as programs spell it."""

from datetime import UTC, datetime, timedelta

import pytest

from mainspring import (
    Daemon,
    MainspringError,
    Misuse,
    ResultLost,
    Retry,
    TaskCancelled,
    TaskFailed,
    TaskMissed,
    TaskNotFound,
    TooLate,
    context,
)

START = datetime(2030, 1, 1, tzinfo=UTC)


class Till:
    """A class with a task, whose qualified name has a dot."""

    @staticmethod
    def close(day=0):
        return day


@pytest.fixture
def daemon(mainspring_daemon):
    return mainspring_daemon


@pytest.fixture
def clock(daemon):
    return daemon.clock


@pytest.fixture
def body(daemon):
    """A task that does what it is told."""

    @daemon.task(name="shop:body")
    def body(what="fine"):
        if what == "fail":
            raise LookupError("no such order")
        return object() if what == "odd" else what

    return body


def test_the_attributes_of_a_task(daemon, clock, body):
    """`.id .name .function .kind .state .reason .run_at .started_at .finished_at .lateness .attempt .error .output`"""
    task = body.after("1h").enqueue()
    assert isinstance(task.id, str)
    assert (task.name, task.function, task.kind, task.state) == ("body", "shop:body", "function", "waiting")
    assert task.run_at == START + timedelta(hours=1)
    nothing = (task.reason, task.started_at, task.finished_at, task.lateness, task.error, task.output)
    assert nothing == (None,) * 6
    assert task.attempt == 0
    clock.advance("1h")
    assert task.state == "waiting"  # "a snapshot until `.refresh()`"
    assert task.refresh() is task
    assert (task.state, task.attempt, task.lateness) == ("succeeded", 1, timedelta(0))
    assert task.started_at == task.finished_at == START + timedelta(hours=1)
    program = daemon.add_task(["/bin/sh", "-c", "echo hello"], name="greet")
    assert (program.name, program.function, program.kind) == ("greet", None, "program")
    assert program.result(timeout=5) == 0  # "`result()` is the exit code, `.output` the captured text"
    assert program.output == "hello\n"


def test_result_raises_what_became_of_it(daemon, clock, body):
    """`TaskFailed` (type, text, traceback as strings), `TaskCancelled`, `TaskMissed`, `TaskNotFound`, `TimeoutError`"""
    with pytest.raises(TaskFailed) as failed:
        body.enqueue("fail").result(timeout=5)
    assert (failed.value.type, failed.value.message) == ("LookupError", "'no such order'".strip("'"))
    assert "in body" in failed.value.traceback
    later = body.after("1h").enqueue()
    with pytest.raises(TimeoutError):
        later.result(timeout=0.001)
    assert later.cancel() == "cancelled"
    with pytest.raises(TaskCancelled):
        later.result(timeout=5)
    daemon.pause()
    missed = body.options(expires="1s").enqueue()
    clock.advance("2s")
    daemon.resume()
    with pytest.raises(TaskMissed, match="expired"):
        missed.result(timeout=5)
    with pytest.raises(ResultLost, match="object"):
        body.enqueue("odd").result(timeout=5)
    for error in (TaskFailed, TaskCancelled, TaskMissed, ResultLost, TooLate, TaskNotFound):
        assert issubclass(error, MainspringError)
    assert issubclass(TaskNotFound, LookupError)


def test_find_by_what_a_task_shows(daemon, body):
    """`daemon.find(state=, name=, queue=, kind=, limit=100)`: a task is found by the name that it shows."""
    tasks = [
        body.enqueue(),
        body.options(name="a label").enqueue(),
        daemon.add_task(Till.close),
        daemon.add_task(["/bin/true"]),
        daemon.add_task(["true"], name="quiet", queue="mail"),
    ]
    assert [task.name for task in tasks] == ["body", "a label", "Till.close", "true", "quiet"]
    for task in tasks:
        assert task in daemon.find(name=task.name), task.name
    assert daemon.find(name="shop:body") == tasks[:2]
    assert daemon.find(kind="program", queue="mail") == tasks[4:]
    assert daemon.find(name="nobody") == []


def test_find_is_soonest_first_and_limited(daemon, clock, body):
    for hours in (3, 1, 2):
        body.after(hours=hours).enqueue()
    soonest = [(task.run_at - START) / timedelta(hours=1) for task in daemon.find(state="waiting", limit=2)]
    assert soonest == [1, 2]
    clock.advance("3h")
    # of those that are over the last ones, and those soonest first too
    assert [task.run_at.hour for task in daemon.find(state="succeeded", limit=2)] == [2, 3]
    with pytest.raises(ValueError, match="did you mean 'waiting'"):
        daemon.find(state="waitin")
    with pytest.raises(ValueError, match="limit"):
        daemon.find(limit=0)


@pytest.mark.parametrize("verb", ["get", "cancel", "retry", "run_now"])
def test_an_id_that_is_none(daemon, verb):
    for unknown in ("77", "", "x", "-1", "1.0", "9" * 40):
        with pytest.raises(TaskNotFound):
            getattr(daemon, verb)(unknown)


def test_an_expiry_after_the_instant_goes_along_with_it(daemon, clock, body):
    """`expires` (... duration after `run_at`): also after that one the task was rescheduled to."""
    task = body.options(expires="10m").after("1h").enqueue()
    task.reschedule(after="3h")
    clock.advance("3h")
    assert task.result() == "fine"
    fixed = body.options(expires=clock.time + timedelta(hours=1)).enqueue()
    assert fixed.result() == "fine"
    too_late = body.options(expires=clock.time + timedelta(hours=2)).after("1h").enqueue()
    too_late.reschedule(after="2h")
    clock.advance("2h")
    assert too_late.refresh().state == "missed"


@pytest.mark.parametrize("expires", ["1s", START + timedelta(seconds=1)])
def test_a_missed_task_that_is_retried_runs(daemon, clock, body, expires):
    """`retry(id)`: a finished task that did not succeed waits again, same id."""
    daemon.pause()
    task = body.options(expires=expires).enqueue()
    clock.advance("1m")
    daemon.resume()
    assert task.refresh().state == "missed"
    daemon.retry(task.id)
    assert task.result() == "fine"
    assert (task.attempt, task.lateness) == (1, timedelta(0))


def test_a_retry_by_hand_has_its_retries_anew(daemon, clock):
    """ "same id, attempts go on" """

    @daemon.task(name="fail", retry=Retry(2, delay="1s", jitter=False))
    def fail():
        raise OSError(context().attempt)

    task = fail.enqueue()
    clock.advance("1m")
    assert (task.refresh().state, task.attempt, task.error.message) == ("failed", 3, "3")
    daemon.retry(task.id)
    clock.advance("1m")
    assert (task.refresh().state, task.attempt, task.error.message) == ("failed", 6, "6")


def test_a_client_steers_too(tmp_path):
    """A `Daemon` that was not started is a client: it adds, looks and steers."""
    client = Daemon(tmp_path / "t.db")
    task = client.add_task(["/bin/true"], after="1h")
    task.reschedule(at="2040-01-01T00:00:00Z")
    assert client.get(task.id).run_at == datetime(2040, 1, 1, tzinfo=UTC)
    assert client.status().counts["waiting"] == 1
    assert client.status().nodes == []
    assert bool(client.cancel(task.id))
    assert not client.cancel(task.id)
    assert str(client.cancel(task.id)) == "too-late"
    client.close()


def test_waiting_inside_a_task_for_what_cannot_start_is_told(daemon, body):
    @daemon.task(name="waits")
    def waits():
        with pytest.raises(Misuse):
            body.enqueue().result()
        return "told"

    assert waits.enqueue().result() == "told"
