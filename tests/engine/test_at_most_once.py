"""At-most-once: never started a second time, whatever happens."""

import pytest

from mainspring import InvalidValue, RetryLater, TaskFailed, TooLate


@pytest.fixture
def once(daemon):
    calls = []

    @daemon.task(name="t:once", delivery="at-most-once")
    def once(what="fail"):
        calls.append(what)
        if what == "fail":
            raise OSError("no")
        if what == "later":
            raise RetryLater(after="1s")

    once.calls = calls
    return once


def test_it_runs_at_its_instant(daemon, clock, once):
    task = once.after("1h").enqueue("fine")
    clock.advance("1h")
    assert task.result() is None
    assert task.lateness.total_seconds() == 0


def test_it_is_not_early_on_paper_when_the_clock_is_set_back_while_its_start_is_written(daemon, clock, once):
    record = daemon.store.record

    def set_back(settlements, *, durable=False):
        refused = record(settlements, durable=durable)
        if durable and settlements[0].keep:
            clock._now -= 600_000_000  # whoever set it was not a task
        return refused

    task = once.after("1h").enqueue("fine")
    daemon.store.record = set_back
    clock.advance("1h")
    assert once.calls == ["fine"]
    assert task.refresh().started_at == task.run_at


@pytest.mark.parametrize("what", ["fail", "later"])
def test_a_failure_is_the_end_also_when_it_asks_for_more(daemon, clock, once, what):
    task = once.enqueue(what)
    clock.advance("1h")
    assert task.refresh().state == "failed"
    assert once.calls == [what]
    assert task.attempt == 1


def test_a_retry_by_hand_is_refused_once_it_started(daemon, clock, once):
    task = once.enqueue()
    with pytest.raises(TooLate, match="at-most-once"):
        daemon.retry(task.id)
    clock.advance("1h")
    assert once.calls == ["fail"]


def test_one_that_never_started_can_be_retried(daemon, once):
    task = once.after("1h").enqueue("fine")
    task.cancel()
    task.retry()
    assert task.result() is None


def test_with_a_retry_it_is_refused(daemon, once):
    with pytest.raises(InvalidValue, match="at-most-once"):
        once.options(retry=1).enqueue()
    with pytest.raises(InvalidValue, match="at-most-once"):

        @daemon.task(name="t:both", delivery="at-most-once", retry=1)
        def both(): ...


def test_its_start_is_in_the_store_before_its_body_runs(daemon):
    seen = []

    @daemon.task(name="t:look", delivery="at-most-once")
    def look():
        from mainspring import context

        row = daemon.get(context().task_id)
        seen.append((row.state, row.attempt, row.started_at is not None))

    look.enqueue()
    assert seen == [("running", 1, True)]


def test_a_start_that_cannot_be_written_is_no_start(threaded, monkeypatch):
    from mainspring import StoreError

    daemon = threaded(start=False)
    calls = []

    @daemon.task(name="t:once", delivery="at-most-once")
    def once():
        calls.append(1)

    real = daemon.store.record
    broken = [True]

    def record(settlements, *, durable=False):
        if broken[0] and any(one.keep for one in settlements):
            broken[0] = False
            raise StoreError("the disk is full")
        return real(settlements, durable=durable)

    monkeypatch.setattr(daemon.store, "record", record)
    with daemon:
        task = once.enqueue()
        assert task.wait(60)
    assert calls == [1]
    assert task.state == "succeeded"
    assert broken == [False]


def test_running_when_the_grace_is_over_it_ends_as_failed(threaded, gate):
    daemon = threaded()

    @daemon.task(name="t:hold", delivery="at-most-once")
    def hold():
        gate.wait()

    task = hold.enqueue()
    gate.await_arrivals()
    daemon.stop(0)
    with pytest.raises(TaskFailed) as caught:
        task.refresh().result()
    assert caught.value.reason == "lost"
