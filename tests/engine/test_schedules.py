"""Schedules of `Every`: each occurrence on the grid, once; reconciled at start with what the code declares."""

from datetime import UTC, datetime, timedelta

import pytest

from daemons import LONG, until
from mainspring import Daemon, InvalidArguments, InvalidValue, MainspringError, NotFound

T0 = datetime(2030, 1, 1, tzinfo=UTC)


@pytest.fixture
def tick(daemon):
    seen = []

    @daemon.task(name="t:tick")
    def tick(what="tick"):
        seen.append((what, daemon.clock.time - T0))

    tick.seen = seen
    return tick


def hours(*numbers):
    return [timedelta(hours=number) for number in numbers]


def test_each_occurrence_is_a_task_at_its_instant(daemon, clock, tick):
    daemon.add_schedule(tick, "1h", name="hourly")
    clock.advance("3h")
    assert [at for _, at in tick.seen] == hours(1, 2, 3)
    tasks = daemon.find(schedule="hourly", state="succeeded")
    assert len(tasks) == 3
    assert all(task.lateness == timedelta(0) for task in tasks)


def test_the_grid_goes_through_the_anchor(daemon, clock, tick):
    from mainspring import Every

    daemon.add_schedule(tick, Every("1d", anchor="2029-06-01T03:30:00Z"), name="daily")
    clock.advance("2d")
    assert [at for _, at in tick.seen] == [timedelta(hours=3, minutes=30), timedelta(days=1, hours=3, minutes=30)]


def test_arguments_and_options_are_those_of_its_tasks(daemon, clock, tick):
    daemon.add_schedule(tick, "1h", args=("x",), name="hourly", queue="slow", priority=3)
    clock.advance("1h")
    (task,) = daemon.find(schedule="hourly", state="succeeded")
    assert (tick.seen[0][0], task.queue, task.priority, task.schedule) == ("x", "slow", 3, "hourly")


@pytest.mark.parametrize(
    "said",
    [{"interval": "0s"}, {"interval": "soon"}, {"interval": -5}, {"interval": float("nan")}, {"interval": "100us"}],
)
def test_bad_intervals_are_refused_where_they_are_written(daemon, tick, said):
    with pytest.raises(InvalidValue):
        daemon.add_schedule(tick, said["interval"], name="bad")
    with pytest.raises(InvalidValue):
        daemon.every(said["interval"])
    assert daemon.schedules() == []


def test_what_is_for_one_task_is_refused(daemon, tick):
    with pytest.raises(InvalidArguments, match="key="):
        daemon.add_schedule(tick, "1h", name="bad", key="k")


def test_a_name_is_unique(daemon, tick):
    daemon.add_schedule(tick, "1h", name="hourly")
    with pytest.raises(MainspringError, match="hourly"):
        daemon.add_schedule(tick, "2h", name="hourly")


def test_pause_resume_run_now_and_remove(daemon, clock, tick):
    schedule = daemon.add_schedule(tick, "1h", name="hourly")
    assert schedule.next(3) == [T0 + at for at in hours(1, 2, 3)]
    schedule.pause()
    clock.advance("2h30m")
    assert tick.seen == []
    assert daemon.status().schedules[0].paused
    schedule.resume()  # occurrences of the pause are not made up for
    clock.advance("1h")
    assert [at for _, at in tick.seen] == hours(3)
    assert schedule.run_now().refresh().state == "succeeded"
    assert len(tick.seen) == 2
    schedule.remove()
    clock.advance("5h")
    assert len(tick.seen) == 2
    assert daemon.schedules() == []
    with pytest.raises(NotFound):
        schedule.remove()


def test_after_a_long_absence_the_last_one_missed_runs_and_the_grid_goes_on(url, clock):
    """Later than the grace of a minute is missed; of those the last one runs."""
    daemon = Daemon(url, clock=clock)
    seen = []

    @daemon.every("10m")
    @daemon.task(name="t:tick")
    def tick():
        seen.append(clock.time - T0)

    with daemon:
        clock.advance("10m")
    clock.advance("55m")
    with daemon:
        assert [at.total_seconds() / 60 for at in seen] == [10, 65]
        late = daemon.find(schedule="t:tick".partition(":")[2], state="succeeded")[-1]
        assert (late.run_at - T0, late.lateness) == (timedelta(minutes=60), timedelta(minutes=5))
        clock.advance("10m")
    assert [at.total_seconds() / 60 for at in seen] == [10, 65, 70]
    daemon.close()


def test_an_absence_of_years_is_not_counted_one_by_one(url, clock):
    daemon = Daemon(url, clock=clock)
    seen = []

    @daemon.every("10s")
    @daemon.task(name="t:tick")
    def tick():
        seen.append(1)

    with daemon:
        clock.advance("10s")
    clock.advance("10000d")
    with daemon:
        # of those missed the last, then those within the grace of a minute, both its ends included
        assert len(seen) == 1 + 1 + 7
    daemon.close()


# ── what the code declares ─────────────────────────────────────────────────────────────────────────────────────


class Shop:
    """The same app, started anew with other code each time."""

    def __init__(self, url, clock, **settings):
        self.daemon = Daemon(url, clock=clock, **{"name": "shop", **settings})
        self.seen = []

    def every(self, interval, name):
        @self.daemon.every(interval, name=name)
        @self.daemon.task(name=f"t:{name}")
        def run():
            self.seen.append((name, self.daemon.clock.time - T0))

        return run

    def names(self):
        return sorted(schedule.name for schedule in self.daemon.schedules())


@pytest.fixture
def path(tmp_path):
    return str(tmp_path / "shop.db")


def test_declaring_writes_nothing_until_the_start(path, clock):
    shop = Shop(path, clock)
    shop.every("1h", "a")
    assert shop.names() == []
    with shop.daemon:
        assert shop.names() == ["a"]


def test_new_ones_are_added_and_those_gone_from_the_code_removed(path, clock):
    old = Shop(path, clock)
    old.every("1h", "a")
    old.every("1h", "b")
    with old.daemon:
        clock.advance("1h")
    new = Shop(path, clock)
    new.every("1h", "b")
    new.every("1h", "c")
    with new.daemon:
        assert new.names() == ["b", "c"]
        clock.advance("1h")
    assert new.seen == [("b", timedelta(hours=2)), ("c", timedelta(hours=2))]


def test_a_changed_rule_holds_from_now(path, clock):
    old = Shop(path, clock)
    old.every("1h", "a")
    with old.daemon:
        clock.advance("1h")
    new = Shop(path, clock)
    new.every("7h", "a")
    with new.daemon:
        clock.advance("1d")
    instants = [T0 + at for _, at in new.seen]
    assert len(instants) in {3, 4}
    assert all(int(at.timestamp()) % (7 * 3600) == 0 for at in instants)


def test_an_unchanged_one_keeps_its_place_and_its_pause(path, clock):
    first = Shop(path, clock)
    first.every("1h", "a")
    first.every("1h", "b")
    with first.daemon:
        next(one for one in first.daemon.schedules() if one.name == "a").pause()
    clock.advance("59m30s")
    second = Shop(path, clock)
    second.every("1h", "a")
    second.every("1h", "b")
    with second.daemon:
        clock.advance("1h")
        assert [one.paused for one in second.daemon.schedules()] == [True, False]
    assert second.seen == [("b", timedelta(hours=1))]


def test_what_others_added_is_never_touched(path, clock):
    other, mine = Shop(path, clock, name="other"), Shop(path, clock)
    other.every("1h", "theirs")
    with other.daemon:
        pass
    mine.every("1h", "mine")
    client = Daemon(path, clock=clock, name="cli")
    client.add_schedule(["true"], "1h", name="by hand")
    with mine.daemon:
        assert mine.names() == ["by hand", "mine", "theirs"]


def test_a_name_of_another_app_is_refused_at_the_start(path, clock):
    other, mine = Shop(path, clock, name="other"), Shop(path, clock)
    other.every("1h", "same")
    with other.daemon:
        pass
    mine.every("1h", "same")
    with pytest.raises(InvalidValue, match="other"):
        mine.daemon.start()
    assert not mine.daemon.started
    clock.advance("1h")  # and nothing of the failed start is left behind
    mine.daemon.stop()


def test_declared_after_the_start_it_counts_at_once(url, clock):
    shop = Shop(url, clock)
    with shop.daemon:
        shop.every("1h", "late")
        clock.advance("1h")
        assert shop.seen == [("late", timedelta(hours=1))]


def test_a_decorated_function_is_a_task_and_a_function_too(url, clock):
    shop = Shop(url, clock)
    a = shop.every("1h", "a")
    a()
    assert len(shop.seen) == 1
    with shop.daemon:
        assert a.enqueue().refresh().state == "succeeded"
    assert len(shop.seen) == 2


def test_two_daemons_make_each_occurrence_once(path, clock):
    shops = [Shop(path, clock), Shop(path, clock)]
    for shop in shops:
        shop.every("1m", "a")
    with shops[0].daemon, shops[1].daemon:
        clock.advance("1h")
    assert sorted(at for shop in shops for _, at in shop.seen) == [timedelta(minutes=m) for m in range(1, 61)]


# ── overlap ────────────────────────────────────────────────────────────────────────────────────────────────────


def test_while_one_occurrence_runs_the_next_is_missed(threaded, gate):
    daemon = threaded(workers=4)

    @daemon.task(name="t:slow")
    def slow():
        gate.wait()

    schedule = daemon.add_schedule(slow, "20ms", name="slow")
    gate.await_arrivals()
    until(daemon, lambda: len(daemon.find(schedule="slow", state="missed")) > 2)
    schedule.remove()
    assert {task.reason for task in daemon.find(schedule="slow", state="missed")} == {"overlap"}
    gate.open()
    assert daemon.drain(LONG)
    assert gate.most == 1


def test_a_change_whose_author_was_killed_before_the_news_of_it_is_found(daemon, clock, tick, monkeypatch):
    from mainspring.engine.planner import Planner

    schedule = daemon.add_schedule(tick, "30d", name="seldom")
    clock.advance("1h")
    monkeypatch.setattr(Planner, "hear", lambda *_: None)
    schedule.change("1h")
    clock.advance("2d")  # driven by hand, it looks for what was lost once a day
    assert [at for _, at in tick.seen][-2:] == hours(48, 49)


def test_what_fell_due_before_a_change_while_no_daemon_ran_is_accounted_for(path, clock):
    with Daemon(path, name="t", clock=clock) as first:
        first.task(lambda: None, name="t:tick")
        first.add_schedule("t:tick", "1h", name="hourly")
    clock.advance("5h30m")
    client = Daemon(path, name="t", clock=clock)
    [schedule] = client.schedules()
    schedule.change("2h")
    [row] = client.find(schedule="hourly", state="missed")
    assert (row.reason, row.missed_count) == ("schedule changed", 5)
    client.close()
