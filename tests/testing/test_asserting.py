"""`assert_scheduled` and its like: what they count, and what they say."""

import dataclasses
import re
from datetime import UTC, datetime, timedelta

import pytest

from mainspring import Daemon, InvalidArguments, Secret
from mainspring.testing import assert_not_scheduled, assert_ran, assert_scheduled

T0 = datetime(2030, 1, 1, tzinfo=UTC)


@dataclasses.dataclass
class Order:
    number: int


@pytest.fixture
def close_order(daemon):
    @daemon.task(name="shop:close_order")
    def close_order(order: int, loud: bool = False) -> int:
        return order

    return close_order


@pytest.fixture
def report(daemon):
    @daemon.every("1h")
    @daemon.task(name="shop:report")
    def report(): ...

    return report


def text_of(assertion, *args, **kwargs):
    with pytest.raises(AssertionError) as caught:
        assertion(*args, **kwargs)
    return str(caught.value)


# ── what counts ────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("work", ["function", "shop:close_order", "close_order", "label"])
def test_by_function_by_registered_name_and_by_label(daemon, close_order, work):
    options = {"name": "label"} if work == "label" else {}
    close_order.options(**options).after("30m").enqueue(42)
    assert_scheduled(daemon, close_order if work == "function" else work)
    assert_not_scheduled(daemon, "shop:other")


def test_the_plain_function_is_as_good_as_the_decorated(daemon, close_order):
    close_order.after("30m").enqueue(42)
    assert_scheduled(daemon, close_order.function)


def test_the_instant_is_exact_or_within(daemon, close_order):
    close_order.after("30m").enqueue(42)
    due = T0 + timedelta(minutes=30)
    assert_scheduled(daemon, close_order, at=due)
    assert_scheduled(daemon, close_order, at="2030-01-01T08:30:00+08:00")
    assert_not_scheduled(daemon, close_order, at=due + timedelta(microseconds=1))
    assert_scheduled(daemon, close_order, at=due + timedelta(seconds=1), within="1s")
    assert_scheduled(daemon, close_order, at=due - timedelta(seconds=1), within="1s")
    assert_not_scheduled(daemon, close_order, at=due - timedelta(seconds=1), within="999ms")
    assert_scheduled(daemon, close_order, within="30m")
    assert_not_scheduled(daemon, close_order, within="29m59s")


def test_arguments_are_compared_as_the_function_sees_them(daemon, close_order):
    close_order.after("1h").enqueue(order=42)
    assert_scheduled(daemon, close_order, args=(42,))
    assert_scheduled(daemon, close_order, args=(42,), kwargs={"loud": False})
    assert_scheduled(daemon, "shop:close_order", kwargs={"order": 42})
    assert_not_scheduled(daemon, close_order, args=(42, True))
    assert_not_scheduled(daemon, close_order, args=(43,))
    with pytest.raises(InvalidArguments, match="does not fit"):
        assert_not_scheduled(daemon, close_order, args=(42, True, "and more"))
    with pytest.raises(InvalidArguments, match="tuple"):
        assert_scheduled(daemon, close_order, args="42")


def test_arguments_arrive_as_what_they_were(daemon):
    @daemon.task(name="shop:pay")
    def pay(order: Order, token: Secret[str]): ...

    pay.after("1h").enqueue(Order(7), "hush")
    assert_scheduled(daemon, pay, args=(Order(7), "hush"))
    assert_not_scheduled(daemon, pay, args=(Order(8), "hush"))
    text = text_of(assert_scheduled, daemon, pay, times=2)
    assert "hush" not in text
    assert "•••" in text
    assert "hush" not in text_of(assert_scheduled, daemon, pay, args=(Order(8), "hush"))


def test_a_function_that_only_its_name_is_known_of(clock):
    daemon = Daemon("memory:", clock=clock)
    daemon.add_task("elsewhere:f", (1,), {"b": 2}, after="1h")
    assert_scheduled(daemon, "elsewhere:f", args=(1,), kwargs={"b": 2})
    assert_not_scheduled(daemon, "elsewhere:f", args=(1, 2))


def test_a_call_that_no_longer_fits_is_another_call(tmp_path, clock):
    url = str(tmp_path / "shop.db")
    Daemon(url, clock=clock).add_task("shop:f", (1, 2), after="1h")
    daemon = Daemon(url, clock=clock)

    @daemon.task(name="shop:f")
    def f(a): ...

    assert_scheduled(daemon, f)
    assert "other arguments" in text_of(assert_scheduled, daemon, f, args=(1,))


def test_programs(daemon):
    daemon.add_task(["/bin/echo", "hello"], after="1h")
    assert_scheduled(daemon, ["/bin/echo", "hello"], within="1h")
    assert_scheduled(daemon, "echo")
    assert_not_scheduled(daemon, ["/bin/echo"])
    assert "['/bin/echo', 'hello']" in text_of(assert_scheduled, daemon, ["/bin/true"])


def test_how_often(daemon, close_order):
    close_order.after("1h").enqueue(1)
    close_order.after("2h").enqueue(2)
    assert_scheduled(daemon, close_order, times=2)
    assert_scheduled(daemon, close_order, times=None)
    assert "it is 2 times" in text_of(assert_scheduled, daemon, close_order)
    assert "to be scheduled not at all; it is 2 times" in text_of(assert_not_scheduled, daemon, close_order)
    assert "at least once; it is not" in text_of(assert_scheduled, daemon, close_order, args=(3,), times=None)
    assert "3 times; it is once" in text_of(assert_scheduled, daemon, close_order, args=(2,), times=3)


def test_of_a_schedule_the_next_occurrence_counts_or_those_that_are_asked_about(daemon, report, clock):
    for _ in range(2):
        assert_scheduled(daemon, report)
        assert_scheduled(daemon, "report", within="1d", times=24)
        assert_scheduled(daemon, report, at="2030-01-01T09:00:00Z")
        assert_scheduled(daemon, report, at="2031-01-01T09:00:00Z")
        assert_scheduled(daemon, report, at="2031-01-01T09:30:00Z", within="30m", times=2)
        assert_not_scheduled(daemon, report, at="2030-01-01T09:00:01Z")
        clock.advance("59m59s")  # the next occurrence is a task already
    assert len(daemon.find(state="waiting")) == 1


def test_a_schedule_of_a_zone_is_asked_for_in_that_zone(daemon):
    @daemon.cron("30 2 * * *", tz="Europe/Berlin")
    @daemon.task(name="shop:nightly")
    def nightly(): ...

    assert_scheduled(daemon, nightly, at="2030-03-30T02:30:00+01:00")
    assert_scheduled(daemon, nightly, at="2030-04-01T02:30:00+02:00")
    assert_scheduled(daemon, nightly, at="2030-03-31T03:00:00+02:00")  # where 02:30 does not exist
    assert_not_scheduled(daemon, nightly, at="2030-03-31T02:30:00+02:00")


def test_a_paused_schedule_is_not_scheduled_until_it_goes_on(daemon, report):
    (schedule,) = daemon.schedules()
    schedule.pause()
    assert_not_scheduled(daemon, report)
    assert_not_scheduled(daemon, report, within="1d")
    schedule.pause(until="2030-01-01T10:00:00Z")
    assert_scheduled(daemon, report, at="2030-01-01T10:00:00Z")
    assert_not_scheduled(daemon, report, at="2030-01-01T09:00:00Z")


def test_what_has_ended_is_not_scheduled(daemon, close_order, clock):
    task = close_order.after("1h").enqueue(1)
    other = close_order.after("2h").enqueue(2)
    other.cancel()
    assert_scheduled(daemon, close_order)
    clock.advance("1h")
    assert task.refresh().finished
    assert_not_scheduled(daemon, close_order)


def test_a_client_sees_it_too(tmp_path, clock):
    """Nobody has to run: what a service added is in the store."""
    daemon = Daemon(str(tmp_path / "shop.db"), clock=clock)
    daemon.add_task("shop:close_order", (1,), after="1h")
    assert_scheduled(Daemon(str(tmp_path / "shop.db"), clock=clock), "shop:close_order", args=(1,))


# ── what it says ───────────────────────────────────────────────────────────────────────────────────────────────


def test_a_failure_shows_what_is_scheduled_instead(daemon, close_order, report):
    close_order.after("2h").enqueue(42)
    close_order.after("30m").enqueue(41, loud=True)
    text = text_of(assert_scheduled, daemon, close_order, at=T0 + timedelta(minutes=30), args=(42,))
    assert text == (
        "expected shop:close_order(42) at 2030-01-01T00:30:00+00:00 to be scheduled once; it is not. "
        "It is 2030-01-01T00:00:00+00:00.\n"
        "This is scheduled (soonest first):\n"
        "  shop:close_order(41, loud=True)  at 2030-01-01T00:30:00+00:00 (30m from now)  [task 2, waiting]"
        "  <- other arguments\n"
        "  shop:close_order(42)  at 2030-01-01T02:00:00+00:00 (2h from now)  [task 1, waiting]  <- 1h30m later\n"
        "  shop:report()  at 2030-01-01T01:00:00+00:00 (1h from now)  [schedule report]"
    )


def test_a_failure_says_that_there_is_nothing(daemon, close_order):
    assert "Nothing is scheduled at all" in text_of(assert_scheduled, daemon, close_order)
    assert "No task has run" in text_of(assert_ran, daemon, close_order)


def test_a_failure_shows_twenty_at_most(daemon, close_order):
    daemon.add_tasks([{"work": close_order, "args": (n,), "after": n + 10} for n in range(50)])
    lines = text_of(assert_scheduled, daemon, "other").splitlines()
    assert len(lines) == 23
    assert lines[-1].strip() == "... and 30 more"


def test_a_retry_that_waits_says_so(daemon, clock):
    @daemon.task(name="t:again", retry=1)
    def again():
        raise OSError("not yet")

    again.enqueue()
    assert_scheduled(daemon, again)
    text = text_of(assert_not_scheduled, daemon, again)
    assert "waiting after attempt 1" in text


# ── what ran ───────────────────────────────────────────────────────────────────────────────────────────────────


def test_what_ran(daemon, close_order, clock):
    close_order.after("1h").enqueue(1)
    close_order.after("2h").enqueue(2)
    clock.advance("1h")
    assert_ran(daemon, close_order)
    assert_ran(daemon, close_order, args=(1,), at=T0 + timedelta(hours=1))
    assert_ran(daemon, close_order, args=(2,), times=0)
    clock.advance("1h30m")
    assert_ran(daemon, close_order, times=2)
    assert_ran(daemon, close_order, within="1h")
    assert_ran(daemon, close_order, args=(1,), within="1h", times=0)


def test_what_ran_shows_what_ended_otherwise(daemon, clock):
    @daemon.task(name="t:bad")
    def bad():
        raise KeyError("no such order")

    bad.enqueue()
    bad.after("1h").enqueue()
    text = text_of(assert_ran, daemon, bad)
    assert re.search(r"t:bad\(\) .* \[task 1, failed, KeyError: 'no such order'\]", text)
    assert "task 2, waiting" in text
