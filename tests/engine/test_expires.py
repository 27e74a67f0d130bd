"""A task with an end to its usefulness: not started by then is `missed`, and nothing ran."""

from datetime import timedelta

import pytest

from mainspring import InvalidValue, TaskMissed


@pytest.fixture
def f(daemon):
    @daemon.task(name="t:f")
    def f():
        return "ran"

    return f


def test_what_starts_in_time_runs(daemon, clock, f):
    task = f.options(expires="1m").after("1h").enqueue()
    clock.advance("1h")
    assert task.result() == "ran"


def test_what_is_later_than_that_is_missed_and_says_so(daemon, clock, f):
    task = f.options(expires="1m").after("1h").enqueue()
    clock.step("2h")
    assert (task.refresh().state, task.reason, task.attempt) == ("missed", "expired", 0)
    assert task.started_at is None
    assert task.lateness is None
    with pytest.raises(TaskMissed, match="expired"):
        task.result()


def test_the_instant_itself_is_too_late(daemon, clock, f):
    """`expires`: not started by then."""
    late = f.options(expires="1m").after("1h").enqueue()
    in_time = f.options(expires="60.000001s").after("1h").enqueue()
    clock.step("61m")
    assert (late.refresh().state, in_time.refresh().state) == ("missed", "succeeded")


def test_it_may_be_an_instant(daemon, clock, f):
    at = clock.time + timedelta(hours=2)
    for expires in (at, at.isoformat(), at.isoformat().replace("T", " ")):
        task = f.options(expires=expires).after("1h").enqueue()
        assert task.row.expires_at == int(at.timestamp() * 1e6)


def test_a_retry_past_the_end_is_missed(daemon, clock):
    @daemon.task(name="t:bad", retry=9, expires="10s")
    def bad():
        raise OSError

    from mainspring import Retry

    task = bad.options(retry=Retry(9, delay="11s", jitter=False)).enqueue()
    clock.advance("1m")
    assert (task.refresh().state, task.reason, task.attempt) == ("missed", "expired", 1)


def test_the_registration_s_end_is_after_each_task_s_own_instant(daemon, clock):
    @daemon.task(name="t:fresh", expires="1m")
    def fresh(): ...

    first, second = fresh.after("1h").enqueue(), fresh.after("2h").enqueue()
    never = fresh.options(expires=None).after("1h").enqueue()
    clock.step("2h")
    assert [task.refresh().state for task in (first, second, never)] == ["missed", "succeeded", "succeeded"]


@pytest.mark.parametrize("bad", ["soon", -1, float("nan"), "2030-13-01T00:00Z"])
def test_bad_ends_are_refused(daemon, f, bad):
    with pytest.raises(InvalidValue):
        f.options(expires=bad).enqueue()
    assert daemon.find() == []
