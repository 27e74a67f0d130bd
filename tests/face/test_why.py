"""`why`: situations that are planted, and what is said of them."""

from datetime import UTC, datetime

import pytest

from daemons import until
from mainspring import Cron, Daemon, Every, RetryLater, TaskNotFound


def codes(task):
    return [one.code for one in task.why().because]


def text(task, code):
    return next(one.text for one in task.why().because if one.code == code)


@pytest.fixture
def make(url, clock):
    """Makes daemons on one store."""

    def make(**settings):
        daemon = Daemon(url, clock=clock, name="tests", **settings)

        @daemon.task(name="t:work", retry=1)
        def work(how="well"):
            if how == "badly":
                raise OSError("no such host")
            if how == "later":
                raise RetryLater(60)

        return daemon

    return make


@pytest.fixture
def running(make):
    with make() as daemon:
        yield daemon


def test_it_is_not_due(running):
    task = running.add_task("t:work", after="1h")
    why = task.why()
    assert (why.id, why.state, why.question) == (task.id, "waiting", "why has it not started?")
    assert codes(task) == ["not due"]
    assert "in 1h" in str(why)


def test_nobody_runs_it(make, clock):
    daemon = make()
    task = daemon.add_task("t:work")
    clock.advance("5s")
    assert codes(task) == ["no daemon", "overdue"]
    assert task.why().because[0].help == "mainspring run"
    assert "5s ago" in text(task, "overdue")


def test_a_pause_is_told_before_the_instant_comes_and_after(running, clock):
    task = running.add_task("t:work", after="1h")
    running.pause("default")
    assert codes(task) == ["not due", "paused"]
    clock.advance("2h")
    assert codes(task) == ["paused", "overdue"]
    assert "queue default" in text(task, "paused")
    running.pause()
    assert "everything" in text(task, "paused")


def test_nobody_knows_its_function(running):
    task = running.add_task("elsewhere:sell")
    running.drain(0)
    assert codes(task) == ["unresolved", "overdue"]
    assert "elsewhere:sell" in text(task, "unresolved")


def test_all_workers_are_busy_then_and_afterwards(threaded, gate):
    daemon = threaded(workers=1)

    @daemon.task(name="t:gate")
    def wait():
        gate.wait()

    first = daemon.add_task("t:gate")
    gate.await_arrivals()
    others = daemon.add_tasks([{"work": "t:gate"}] * 3)
    until(daemon, lambda: "workers busy" in codes(others[2]))
    assert "all 1 workers" in text(others[2], "workers busy")
    assert "due tasks of its queue come first" in text(others[2], "workers busy")
    until(daemon, lambda: codes(first)[0] == "running")
    until(daemon, lambda: (datetime.now(UTC) - others[0].run_at).total_seconds() > 0.01)
    gate.open()
    assert others[2].wait(60)
    assert codes(others[2])[:2] == ["late", "workers busy"]
    assert f"all 1 workers were busy at its instant (task {first.id}" in text(others[2], "workers busy")


def test_an_occurrence_waits_for_another(threaded, gate):
    daemon = threaded(workers=2)

    @daemon.task(name="t:gate")
    def wait():
        gate.wait()

    schedule = daemon.add_schedule("t:gate", Every("100ms"), name="often", overlap="queue", misfire="all")
    gate.await_arrivals()
    until(daemon, lambda: any(codes(one)[0] == "overlap" for one in daemon.find(schedule="often", state="waiting")))
    schedule.remove()
    gate.open()


def test_it_is_tried_again_and_then_not(running, clock):
    task = running.add_task("t:work", ("badly",))
    running.drain(0)
    assert codes(task) == ["not due", "tried again"]
    assert "attempt 1" in text(task, "tried again")
    assert "OSError: no such host" in text(task, "tried again")
    assert "what follows is retry 1 of 1" in text(task, "tried again")
    clock.advance("1h")
    assert codes(task) == ["error", "retries used", "on time", "tried again"]
    assert task.why().because[0].help == f"mainspring retry {task.id}"


def test_it_asked_for_another_try(running):
    task = running.add_task("t:work", ("later",))
    running.drain(0)
    assert "uses no retry" in text(task, "tried again")


def test_it_was_on_time(running, clock):
    task = running.add_task("t:work", after="1h")
    clock.advance("1h")
    assert codes(task) == ["on time"]


def test_nobody_ran_at_its_instant(make, clock):
    daemon = make()
    task = daemon.add_task("t:work", after="1h")
    clock.advance("3h")
    with daemon:
        daemon.drain()
        assert codes(task) == ["late", "no daemon"]
        assert "2h" in text(task, "late")


def test_it_was_added_after_its_instant(running, clock):
    task = running.add_task("t:work", at=clock.time.replace(year=2029))
    running.drain()
    assert codes(task) == ["late", "added late"]


def test_the_clock_was_set(running, clock):
    task = running.add_task("t:work", after="1h")
    clock.step("2h")
    running.drain()
    assert codes(task)[:2] == ["late", "clock set"]
    assert "forward by 2h" in text(task, "clock set")


def test_what_is_not_recorded_is_not_guessed(running, clock):
    running.pause()
    task = running.add_task("t:work", after="1h")
    clock.advance("2h")
    running.resume()
    running.drain()
    assert codes(task) == ["late", "not recorded"]


def test_it_expired(running, clock):
    task = running.add_task("t:work", after="1h", expires="1m")
    running.pause()
    clock.advance("2h")
    running.resume()
    running.drain()
    assert codes(task) == ["expired"]
    assert "expired at 2030-01-01T01:01:00" in text(task, "expired")


def test_a_stretch_was_missed(make, clock):
    daemon = make()
    daemon.add_schedule("t:work", Every("1h"), name="hourly", misfire="skip")
    clock.advance("10h")
    with daemon:
        clock.advance("1ms")
        (stretch,) = daemon.find(state="missed")
    assert codes(stretch) == ["misfire"]
    assert "occurrences were due" in text(stretch, "misfire")


def test_somebody_cancelled_it(running):
    task = running.add_task("t:work", after="1h")
    task.cancel()
    assert codes(task) == ["cancelled"]


def test_an_occurrence_was_moved(running, clock):
    running.add_schedule("t:work", Every("1h"), name="hourly")
    clock.advance("1h")
    clock.advance("59m 59s 500ms")
    (made,) = running.find(schedule="hourly", state="waiting")
    made.reschedule(after="10m")
    assert codes(made) == ["not due", "moved"]


def test_daylight_saving_moved_it(make, clock):
    clock.set(datetime(2030, 3, 31, 0, 59, 59, tzinfo=UTC))
    with make() as daemon:
        daemon.add_schedule("t:work", Cron("30 2 * * *", tz="Europe/Berlin", gap="shift"), name="nightly")
        clock.advance("2h")
        (task,) = daemon.find(schedule="nightly", state="succeeded")
    assert "02:30 does not exist" in text(task, "clocks changed")


def test_a_task_that_is_not_there(running):
    with pytest.raises(TaskNotFound):
        running.why("12345")
