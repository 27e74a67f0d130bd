"""Schedules: `Schedule`: "`.name .next(n) .pause(until=None) .resume() .run_now() .remove()`", and the decorators."""

from datetime import UTC, datetime, timedelta, timezone

import pytest

from mainspring import Daemon, Every, InvalidValue, NotFound
from mainspring.testing import VirtualClock

START = datetime(2030, 1, 1, tzinfo=UTC)


@pytest.fixture
def clock():
    return VirtualClock(START)


@pytest.fixture
def daemon(clock):
    daemon = Daemon("memory:", clock=clock, name="app")
    yield daemon
    daemon.stop()


@pytest.fixture
def tick(daemon):
    """An hourly schedule of a started daemon."""

    task = daemon.every("1h", name="tick")(tick_body)
    daemon.start()
    return task


def tick_body():
    return "tick"


def instants(daemon):
    return [(task.run_at - START) / timedelta(hours=1) for task in daemon.find(state="succeeded", limit=1000)]


@pytest.mark.parametrize("interval", ["5s", 5, 5.0, timedelta(seconds=5)])
def test_a_trigger_answers_next(interval):
    """ "the first instant strictly after `after`, aware, in its zone" """
    trigger = Every(interval)
    assert trigger.next(START) == START + timedelta(seconds=5)
    assert trigger.next(START + timedelta(seconds=4.999999)) == START + timedelta(seconds=5)
    assert trigger.next(START).utcoffset() == timedelta(0)
    zone = timezone(timedelta(hours=8))
    anchored = Every(interval, anchor=datetime(2030, 1, 1, 8, 0, 1, tzinfo=zone))
    assert anchored.next(START) == START + timedelta(seconds=1)
    assert anchored.next(START).tzinfo is zone


def test_a_bad_rule_is_a_value_error_when_it_is_made(daemon):
    for bad in ("often", 0, -1, "0s"):
        with pytest.raises(ValueError):
            Every(bad)
        with pytest.raises(ValueError):
            daemon.every(bad)


def test_decorators_write_nothing_before_start(daemon):
    """ "Decorators write nothing at import; `start()` reconciles" """

    tick = daemon.every("1h")(tick_body)
    assert daemon.schedules() == []
    assert tick.enqueue().state == "waiting"  # "A decorated function is a task too"
    with daemon:
        assert [one.name for one in daemon.schedules()] == ["tick_body"]


def test_a_pause_creates_nothing_until_resume(daemon, clock, tick):
    [schedule] = daemon.schedules()
    clock.advance("90m")
    schedule.pause()
    assert schedule.paused
    assert schedule.next_run_at is None
    clock.advance("2h")
    schedule.resume()
    assert not schedule.paused
    clock.advance("1h")
    assert instants(daemon) == [1, 4]


def test_a_pause_until_an_instant_ends_by_itself(daemon, clock, tick):
    [schedule] = daemon.schedules()
    schedule.pause(until=START + timedelta(hours=3))
    assert schedule.paused
    assert schedule.paused_until == START + timedelta(hours=3)
    assert schedule.next_run_at == START + timedelta(hours=3)
    clock.advance("2h")
    assert instants(daemon) == []
    clock.advance("2h")
    assert instants(daemon) == [3, 4]
    assert all(task.lateness == timedelta(0) for task in daemon.find(state="succeeded"))
    schedule.refresh()
    assert not schedule.paused
    assert schedule.paused_until is None


def test_between_two_occurrences_a_pause_ends_when_it_was_told_to(daemon, clock, tick):
    [schedule] = daemon.schedules()
    schedule.pause(until="2030-01-01T01:30:00Z")
    clock.advance("90m")
    schedule.refresh()
    assert not schedule.paused
    clock.advance("30m")
    assert instants(daemon) == [2]


def test_a_pause_until_is_kept_by_a_daemon_that_starts_anew(tmp_path, clock):
    """ "a pause kept", with its end, also when the rule changed."""
    for interval in ("1h", "1h", "30m"):
        daemon = Daemon(tmp_path / "s.db", clock=clock, name="app")
        daemon.every(interval, name="tick")(ordinary)
        with daemon:
            [schedule] = daemon.schedules()
            if schedule.paused_until is None:
                schedule.pause(until=START + timedelta(hours=9))
            assert schedule.paused_until == START + timedelta(hours=9)
            clock.advance("1h")
            assert daemon.find() == []
        daemon.close()
    with daemon:
        assert clock.run_to_next() == START + timedelta(hours=9)
    daemon.close()


def ordinary():
    return 1


def test_a_pause_until_the_past_is_refused(daemon, clock, tick):
    [schedule] = daemon.schedules()
    with pytest.raises(InvalidValue, match="past"):
        schedule.pause(until=START)
    with pytest.raises(InvalidValue, match="offset"):
        schedule.pause(until=START.replace(tzinfo=None))
    assert not schedule.paused


def test_a_new_pause_replaces_the_one_before(daemon, clock, tick):
    [schedule] = daemon.schedules()
    schedule.pause(until=START + timedelta(hours=2))
    schedule.pause()
    assert schedule.paused_until is None
    clock.advance("5h")
    assert instants(daemon) == []
    schedule.pause(until=START + timedelta(hours=8))
    schedule.resume()
    clock.advance("1h")
    assert instants(daemon) == [6]


def test_next_run_now_and_remove(daemon, clock, tick):
    [schedule] = daemon.schedules()
    assert schedule.next() == [START + timedelta(hours=1)]
    assert schedule.next(2) == schedule.next(n=2) == [START + timedelta(hours=1), START + timedelta(hours=2)]
    assert schedule.run_now().result() == "tick"
    clock.advance("1h")
    assert instants(daemon) == [0, 1]
    schedule.remove()
    assert daemon.schedules() == []
    clock.advance("5h")
    assert instants(daemon) == [0, 1]
    for gone in (schedule.pause, schedule.resume, schedule.remove):
        with pytest.raises(NotFound):
            gone()


def test_added_by_hand(daemon, clock):
    """`daemon.add_schedule(function_or_program, trigger, name=..., ...)`; "what other apps ... added is never
    touched".
    """
    program = daemon.add_schedule(["/bin/true"], Every("1h"), name="program")
    function = daemon.add_schedule(daemon.task(name="f")(ordinary), "1h")
    assert [one.name for one in daemon.schedules()] == ["f", "program"]
    with daemon:
        clock.advance("1h")
        assert sorted((task.name, task.schedule) for task in daemon.find()) == [("f", "f"), ("program", "program")]
        assert {program.name, function.name} == {one.name for one in daemon.schedules()}
    with pytest.raises(ValueError, match="already"):
        daemon.add_schedule(["/bin/true"], "5s", name="program")
