"""`virtual`: an app's own daemon on a virtual clock for a while, and as it was afterwards."""

import asyncio

import pytest

from mainspring import Daemon, InvalidArguments, Misuse, TaskFailed
from mainspring.testing import VirtualClock, assert_ran, assert_scheduled, virtual
from mainspring.testing.swapping import START


@pytest.fixture
def app(tmp_path):
    """A daemon as a module makes it when it is imported."""
    daemon = Daemon(str(tmp_path / "shop.db"), name="shop")
    yield daemon
    daemon.close()


@pytest.fixture
def work(app):
    @app.task(name="shop:work")
    def work(n):
        return n + 1

    return work


def test_everything_that_refers_to_the_daemon_runs_on_the_clock(app, work):
    @app.every("1h")
    @app.task(name="shop:report")
    def report(): ...

    with virtual(app) as clock:
        assert app.clock is clock
        task = work.after("30m").enqueue(1)
        clock.advance("1h")
        assert task.result() == 2
        assert_ran(app, report)


def test_the_real_store_is_not_touched(app, work, tmp_path):
    with virtual(app):
        work.enqueue(1)
        app.add_schedule(work, "1h", args=(1,), name="hourly")
    assert list(tmp_path.iterdir()) == []


def test_afterwards_it_is_as_it_was(app, work):
    before = work.after("1d").enqueue(1)
    clock, store = app.clock, app.store
    with virtual(app):
        assert app.find() == []
        work.after("1d").enqueue(2)
    assert not app.started
    assert (app.clock, app.store) == (clock, store)
    assert app.find() == [before]


def test_each_block_begins_with_nothing(app, work):
    for _ in range(2):
        with virtual(app) as clock:
            assert work.enqueue(1).id == "1"
            assert clock.time.isoformat() == "2030-01-01T00:00:00+00:00"
    assert START == "2030-01-01T00:00:00Z"


def test_also_after_a_block_that_raised(app, work):
    clock = app.clock
    with pytest.raises(ZeroDivisionError), virtual(app):
        raise ZeroDivisionError
    assert app.clock is clock
    assert not app.started


def test_a_start_of_ones_own_or_a_clock_of_ones_own(app, work):
    with virtual(app, start="2031-03-30T00:30:00+01:00") as clock:
        assert clock.time.isoformat() == "2031-03-29T23:30:00+00:00"
    own = VirtualClock(START)
    with virtual(app, clock=own) as clock:
        assert clock is own


def test_daemons_of_one_store_share_one(tmp_path):
    url = str(tmp_path / "shop.db")
    web, worker, other = Daemon(url, name="web"), Daemon(url, name="worker"), Daemon(url + "2", name="other")

    @worker.task(name="shop:work")
    def work(): ...

    with virtual(web, worker, other) as clock:
        task = web.add_task("shop:work", after="1h")
        clock.advance("1h")
        assert task.refresh().state == "succeeded"
        assert other.find() == []


def test_two_daemons_in_memory_are_two(tmp_path):
    one, two = Daemon("memory:", name="one"), Daemon("memory:", name="two")
    with virtual(one, two):
        one.add_task("shop:work", after="1h")
        assert two.find() == []


def test_what_failed_is_raised_if_asked(app):
    @app.task(name="shop:bad")
    def bad():
        raise ValueError("bad")

    with virtual(app, raising=True) as clock:
        bad.after("1h").enqueue()
        with pytest.raises(TaskFailed, match="bad"):
            clock.advance("2h")


def test_not_run_it_is_a_client_until_the_app_starts_it(app, work):
    with virtual(app, run=False) as clock:
        task = work.enqueue(1)
        assert_scheduled(app, work, args=(1,))
        clock.advance("1h")
        assert task.refresh().state == "waiting"
        with app:  # as a web app's lifespan does
            assert task.result() == 2


def test_an_app_whose_lifespan_enters_the_daemon(app, work):
    async def lifespan():
        async with app:
            return await (await work.aenqueue(1))

    with virtual(app):
        assert asyncio.run(lifespan()) == 2


def test_a_daemon_with_worker_processes_runs_here_too(tmp_path):
    app = Daemon(str(tmp_path / "shop.db"), pool="processes", name="shop")
    seen = []

    @app.task(name="shop:work")
    def work():
        seen.append(1)

    with virtual(app):
        work.enqueue()
    assert seen == [1]


def test_a_started_daemon_is_refused(app):
    with app:
        with pytest.raises(Misuse, match="started"), virtual(app):
            pass
        assert app.started
    with pytest.raises(InvalidArguments, match="shop.daemon"), virtual():
        pass


def test_named_twice_it_is_one(app, work):
    with virtual(app, app):
        assert work.enqueue(1).result() == 2


def test_nobody_is_warned_that_nobody_runs_it(app, work, caplog):
    with virtual(app, run=False):
        work.enqueue(1)
    assert not caplog.records
    work.enqueue(1)  # this is the real store
    assert "no daemon runs" in caplog.text


def test_a_refused_daemon_leaves_the_others_alone(app, tmp_path):
    other = Daemon("memory:", name="other")
    clock = app.clock
    with other, pytest.raises(Misuse), virtual(app, other):
        pass
    assert app.clock is clock
