"""Events: frozen, after the commit, and observers that can break nothing."""

import logging

import pytest

from mainspring import RetryLater


@pytest.fixture
def events(daemon):
    seen = []
    daemon.observe(seen.append)
    return seen


def test_each_ending_is_told_after_it_is_in_the_store(daemon, clock):
    seen = []
    daemon.observe(lambda event: seen.append((event.kind, daemon.get(event.task_id).state.value)))

    @daemon.task(name="t:f")
    def f(fail=False):
        if fail:
            raise OSError

    f.enqueue()
    f.enqueue(True)
    f.options(expires=1).after("1h").enqueue()
    clock.step("2h")
    assert seen == [("succeeded", "succeeded"), ("failed", "failed"), ("missed", "missed")]


def test_a_retry_is_told_with_its_error_and_next_instant(daemon, clock, events):
    @daemon.task(name="t:later")
    def later():
        raise RetryLater(after="1h", reason="not yet")

    task = later.enqueue()
    (event,) = events
    assert (event.kind, event.task_id, event.attempt, event.reason) == ("retry", task.id, 1, "retry later")
    assert event.run_at == clock.now() + 3_600_000_000
    assert "not yet" in event.error


def test_events_are_frozen(daemon, events):
    @daemon.task(name="t:f")
    def f(): ...

    f.enqueue()
    with pytest.raises(AttributeError):
        events[0].kind = "failed"


def test_an_observer_that_raises_is_logged_and_dropped_and_the_others_go_on(daemon, caplog):
    calls, seen = [], []

    def bad(event):
        calls.append(event)
        raise RuntimeError("broken observer")

    daemon.observe(bad)
    daemon.observe(seen.append)

    @daemon.task(name="t:f")
    def f(): ...

    with caplog.at_level(logging.ERROR, "mainspring"):
        tasks = [f.enqueue() for _ in range(3)]
    assert len(calls) == 1
    assert len(seen) == 3
    assert all(task.refresh().state == "succeeded" for task in tasks)
    assert "broken observer" in caplog.text


def test_with_the_last_observer_gone_no_events_are_made(daemon, caplog):
    def bad(event):
        raise RuntimeError

    daemon.observe(bad)
    assert daemon.events.wanted

    @daemon.task(name="t:f")
    def f(): ...

    f.enqueue()
    assert not daemon.events.wanted
    caplog.clear()
