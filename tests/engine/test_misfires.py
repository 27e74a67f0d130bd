"""Every occurrence is accounted for: what was missed, what overlaps, what waits for a paused queue."""

from datetime import UTC, datetime, timedelta

import pytest

from daemons import LONG, until
from mainspring import Daemon, Every, InvalidArguments, InvalidValue

T0 = datetime(2030, 1, 1, tzinfo=UTC)
HOUR = timedelta(hours=1)


@pytest.fixture
def ran():
    return []


@pytest.fixture
def make(url, clock, ran):
    """Makes daemons on one store that know `t:tick`."""

    def make():
        daemon = Daemon(url, clock=clock, name="tests")
        daemon.task(lambda: ran.append(daemon.clock.time - T0), name="t:tick")
        return daemon

    return make


def gone(daemon, clock, absence, **rule):
    """Its one schedule, hourly, after it was not run for so long."""
    daemon.add_schedule("t:tick", Every("1h"), name="hourly", **rule)
    clock.advance(absence)
    with daemon:
        clock.advance("1ms")
        return daemon.find(schedule="hourly", state="missed")


@pytest.mark.parametrize(("rule", "runs"), [({}, 1), ({"misfire": "all", "catch_up": 3}, 3), ({"misfire": "skip"}, 0)])
def test_after_an_absence_the_rule_says_what_runs(make, clock, ran, rule, runs):
    (stretch,) = gone(make(), clock, "10h5m", **rule)
    assert len(ran) == runs
    assert (stretch.reason, stretch.missed_count) == ("misfire", 10 - runs)
    assert (stretch.occurrence, stretch.missed_until) == (T0 + HOUR, T0 + HOUR * (10 - runs))


def test_within_the_grace_it_only_runs_late(make, clock, ran):
    daemon = make()
    assert gone(daemon, clock, "10h5m", grace="10h") == []
    assert len(ran) == 10


def test_what_was_missed_and_runs_says_when_it_should_have(make, clock, ran):
    daemon = make()
    gone(daemon, clock, "10h5m")
    (task,) = daemon.find(schedule="hourly", state="succeeded")
    assert (task.occurrence, task.run_at, task.lateness) == (T0 + 10 * HOUR, T0 + 10 * HOUR, timedelta(minutes=5))


def test_a_pause_is_one_missed_stretch(make, clock, ran):
    with make() as daemon:
        schedule = daemon.add_schedule("t:tick", "1h", name="hourly")
        schedule.pause()
        clock.advance("100h30m")
        schedule.resume()
        clock.advance("1h")
    (stretch,) = daemon.find(schedule="hourly", state="missed")
    assert (stretch.reason, stretch.missed_count, stretch.missed_until) == ("schedule paused", 100, T0 + 100 * HOUR)
    assert ran == [101 * HOUR]


def test_a_pause_with_an_end_is_accounted_for_too(make, clock, ran):
    with make() as daemon:
        daemon.add_schedule("t:tick", "1h", name="hourly").pause(until=T0 + 10 * HOUR + timedelta(minutes=1))
        clock.advance("11h")
    (stretch,) = daemon.find(schedule="hourly", state="missed")
    assert (stretch.missed_count, ran) == (10, [11 * HOUR])


def test_a_paused_queue_holds_a_bounded_number_and_then_misfires(make, clock, ran):
    with make() as daemon:
        daemon.add_schedule("t:tick", "10s", name="often")
        daemon.pause()
        clock.advance("1d")
        assert len(daemon.find(schedule="often", state="waiting", limit=1000)) <= 200
        daemon.resume()
        clock.advance("1m")
        missed = daemon.find(schedule="often", state="missed", limit=1000)
    assert sum(task.missed_count or 1 for task in missed) + len(ran) == 24 * 360 + 6
    assert len(ran) <= 2 + 6 + 6  # the latest, those within the grace, those of the last minute
    assert {task.reason for task in missed} == {"misfire"}


def due(daemon, name):
    """Its occurrences that wait and are due."""
    now = daemon.clock.now() / 1e6
    return [task for task in daemon.find(schedule=name, state="waiting") if task.run_at.timestamp() <= now]


def test_workers_that_were_busy_for_too_long(threaded, gate):
    daemon = threaded(workers=1)
    began = []

    @daemon.task(name="t:busy")
    def busy():
        gate.wait()

    daemon.task(lambda: began.append(1), name="t:tick")
    busy.enqueue()
    gate.await_arrivals()
    schedule = daemon.add_schedule("t:tick", "20ms", name="often", grace="1ms")
    # one that was made too late, on a machine that is busy, runs as the latest of then, and is none of these
    until(daemon, lambda: sum(task.created_at < task.run_at for task in due(daemon, "often")) > 5)
    schedule.remove()
    gate.open()
    assert daemon.drain(LONG)
    states = [task.state for task in daemon.find(schedule="often")]
    assert states.count("missed") >= 5
    assert len(began) == states.count("succeeded")


def test_history_is_kept_as_long_as_was_said(make, clock, ran):
    with make() as daemon:
        daemon.add_schedule("t:tick", "10s", name="often", keep=5)
        daemon.add_schedule("t:tick", "10s", name="other")
        clock.advance("10m")
        assert 5 <= len(daemon.find(schedule="often", state="succeeded")) <= 5 + 7
        assert len(daemon.find(schedule="other", state="succeeded")) == 60


# ── overlap ────────────────────────────────────────────────────────────────────────────────────────────────────


def waiting_at(gate):
    def wait():
        gate.wait()

    return wait


@pytest.fixture
def slow(threaded, gate):
    """A daemon with a schedule of four occurrences, the first of which has begun; with the rule given."""

    def make(*daemons, **rule):
        for daemon in daemons:
            daemon.task(waiting_at(gate), name="t:slow")
        schedule = daemons[0].add_schedule("t:slow", "50ms", name="slow", **rule)
        gate.await_arrivals()
        return schedule

    return make


def test_queue_lets_one_wait_for_the_other(threaded, gate, slow):
    daemon = threaded(workers=4)
    schedule = slow(daemon, overlap="queue")
    until(daemon, lambda: len(due(daemon, "slow")) > 2)
    schedule.pause()
    gate.open()
    assert daemon.drain(LONG)
    tasks = daemon.find(schedule="slow")
    assert gate.most == 1
    assert {task.state for task in tasks} <= {"succeeded", "cancelled"}  # by the pause: those not due yet
    order = sorted((task for task in tasks if task.state == "succeeded"), key=lambda task: task.run_at)
    assert [task.started_at for task in order] == sorted(task.started_at for task in order)
    assert len(order) > 2


def test_who_waited_for_too_long_holds_nobody_up(threaded, gate, slow):
    daemon = threaded(workers=4)
    schedule = slow(daemon, overlap="queue", misfire="skip", grace="1ms")
    until(daemon, lambda: len(daemon.find(schedule="slow", state="missed")) > 2)
    gate.open()
    until(daemon, lambda: len(daemon.find(schedule="slow", state="succeeded")) > 2)
    schedule.remove()


def test_allow_lets_them_run_together(threaded, gate, slow):
    daemon = threaded(workers=3)
    schedule = slow(daemon, overlap="allow")
    gate.await_arrivals(2)
    schedule.remove()
    assert gate.most == 3


def test_replace_ends_the_one_that_runs(threaded, slow):
    from mainspring import stopping

    daemon = threaded(workers=2)

    @daemon.task(name="t:heeds")
    def heeds():
        while not stopping():
            pass
        raise InterruptedError

    schedule = daemon.add_schedule(heeds, "50ms", name="slow", overlap="replace")
    until(daemon, lambda: len(daemon.find(schedule="slow", state="cancelled")) > 2)
    schedule.remove()
    ended = daemon.find(schedule="slow", state="cancelled")
    assert all(task.reason == "cancelled while running" for task in ended if task.started_at)


def test_one_at_a_time_also_between_daemons(threaded, gate, slow):
    daemons = [threaded(workers=2), threaded(workers=2)]
    schedule = slow(*daemons)
    until(daemons[0], lambda: len(daemons[0].find(schedule="slow", state="missed")) > 5)
    schedule.remove()
    assert {task.reason for task in daemons[0].find(schedule="slow", state="missed")} == {"overlap"}
    assert gate.most == 1


def test_what_is_started_by_hand_runs_beside(threaded, gate, slow):
    daemon = threaded(workers=3)
    schedule = slow(daemon)
    schedule.run_now()
    gate.await_arrivals(1)
    schedule.remove()


# ── schedules are data ─────────────────────────────────────────────────────────────────────────────────────────


def test_a_change_holds_from_now(make, clock, ran):
    with make() as daemon:
        schedule = daemon.add_schedule("t:tick", "10s", name="often")
        clock.advance("7s")  # the first occurrence is a task by now
        schedule.change("5s", overlap="queue", keep=7)
        clock.advance("8s")
        assert ran == [timedelta(seconds=10), timedelta(seconds=15)]
        assert (schedule.definition.rule.overlap, schedule.definition.rule.keep) == ("queue", 7)
        schedule.change(misfire="skip")
        clock.advance("5s")
    assert ran == [timedelta(seconds=s) for s in (10, 15, 20)]
    with pytest.raises(InvalidValue, match="misfire= expects one of"):
        schedule.change(misfire="never")
    with pytest.raises(InvalidArguments, match="unknown option queue="):
        schedule.change(queue="x")


def test_a_stretch_can_be_made_up_for_and_what_ran_runs_once(make, clock, ran):
    daemon = make()
    gone(daemon, clock, "10h5m", misfire="skip")
    with daemon:
        clock.advance("3h")
        schedule = daemon.schedules()[0]
        assert len(ran) == 3
        assert schedule.backfill(T0 + HOUR, T0 + 13 * HOUR) == 10
        clock.advance("1m")
        assert len(ran) == 13
        assert schedule.backfill(T0 + HOUR, T0 + 13 * HOUR) == 0
        for start, end in ((T0, T0 + 20 * HOUR), (T0 + HOUR, T0)):
            with pytest.raises(InvalidValue, match="past"):
                schedule.backfill(start, end)
        schedule.change("1s")
        with pytest.raises(InvalidValue, match="more than 10,000"):
            schedule.backfill(T0, T0 + 12 * HOUR)


def test_an_occurrence_can_expire(make, clock, ran):
    with make() as daemon:
        daemon.add_schedule("t:tick", "1h", name="hourly", expires="10s")
        daemon.pause()
        clock.advance("1h30s")
        daemon.resume()
        clock.advance("1s")
    (task,) = daemon.find(schedule="hourly", state="missed")
    assert (task.reason, ran) == ("expired", [])


def print_it():
    """A function at the top level of its module."""


@pytest.mark.parametrize(
    ("rule", "said"),
    [
        ({"misfire": "some"}, "misfire= expects one of 'latest', 'all', 'skip', got 'some'"),
        ({"overlap": None}, "overlap= expects one of"),
        ({"grace": 0}, "grace= expects a duration longer than nothing"),
        ({"catch_up": 0}, "catch_up= expects a whole number"),
        ({"keep": True}, "keep= expects a whole number"),
        ({"expires": T0}, "expires= of a schedule is a duration"),
    ],
)
def test_a_bad_rule_is_refused_where_it_is_written(make, rule, said):
    daemon = make()
    with pytest.raises(InvalidValue, match=said):
        daemon.add_schedule("t:tick", "1h", **rule)
    with pytest.raises(InvalidValue, match=said):
        daemon.every("1h", **rule)(print_it)
    with pytest.raises(InvalidArguments, match="did you mean overlap="):
        daemon.add_schedule("t:tick", "1h", overlaps="skip")
    assert daemon.schedules() == []
