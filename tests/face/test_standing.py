"""Listeners as people steer them, by the same daemon or by a client; reconciled with the code at start."""

import pytest

from daemons import LONG, until
from mainspring import Daemon, InvalidArguments, MainspringError, NotFound


@pytest.fixture
def watch(daemon):
    seen = []

    @daemon.task(name="t:watch")
    def watch(what="turn"):
        seen.append(what)
        if what == "fail":
            raise OSError("broken")

    watch.seen = seen
    return watch


def test_called_again_and_again_with_a_pause(daemon, clock, watch):
    daemon.add_listener(watch, name="watch", pause="1s")
    before = len(watch.seen)
    clock.advance("10s")
    assert len(watch.seen) - before == 10


def test_pause_resume_restart_remove(daemon, clock, watch):
    listener = daemon.add_listener(watch, name="watch", pause="1s")
    clock.advance("3s")
    listener.pause()
    assert listener.state == "paused"
    count = len(watch.seen)
    clock.advance("10s")
    assert len(watch.seen) == count
    listener.resume()
    clock.advance("10s")
    assert len(watch.seen) >= count + 10
    listener.restart()
    count = len(watch.seen)
    clock.advance("10s")
    assert len(watch.seen) >= count + 10
    listener.remove()
    clock.advance("1s")
    count = len(watch.seen)
    clock.advance("10s")
    assert len(watch.seen) == count
    with pytest.raises(NotFound):
        listener.remove()


def test_one_that_fails_is_started_again_and_shown(daemon, clock, watch):
    listener = daemon.add_listener(watch, args=("fail",), name="bad")
    clock.advance("1m")
    listener.refresh()
    assert len(watch.seen) > 3
    assert listener.restarts == pytest.approx(len(watch.seen), abs=1)
    assert listener.state == "backing-off"
    assert listener.last_error == "OSError: broken"


def test_a_name_is_unique_and_options_for_one_task_are_refused(daemon, watch):
    daemon.add_listener(watch, name="watch")
    with pytest.raises(MainspringError, match="watch"):
        daemon.add_listener(watch, name="watch")
    with pytest.raises(InvalidArguments, match="key="):
        daemon.add_listener(watch, name="other", key="k")
    with pytest.raises(MainspringError):
        daemon.add_listener(watch, name="other", pause="soon")
    assert [one.name for one in daemon.listeners()] == ["watch"]


def test_declared_in_code_they_come_and_go_with_it(tmp_path, clock):
    path, seen = str(tmp_path / "one.db"), []

    def app(*names):
        daemon = Daemon(path, clock=clock, name="app")
        for name in names:
            daemon.listener(name=name, pause="1s")(daemon.task(name=f"t:{name}")(lambda name=name: seen.append(name)))
        return daemon

    with app("a", "b"):
        clock.advance("2s")
    assert set(seen) == {"a", "b"}
    other = Daemon(path, clock=clock, name="other")
    other.add_listener(["true"], name="by hand")
    seen.clear()
    with app("b", "c") as daemon:
        clock.advance("2s")
        assert sorted(one.name for one in daemon.listeners()) == ["b", "by hand", "c"]
    assert set(seen) == {"b", "c"}


def test_a_client_steers_what_a_daemon_runs(threaded):
    daemon, client = threaded(), threaded(start=False)
    turns = []

    @daemon.task(name="t:watch")
    def watch():
        turns.append(1)

    listener = client.add_listener("t:watch", name="watch", pause="1ms")
    until(daemon, lambda: len(turns) > 3)
    listener.pause()
    until(client, lambda: not daemon._engine.supervisor.facts())
    count = len(turns)
    listener.resume()
    until(daemon, lambda: len(turns) > count + 3)
    listener.remove()
    until(client, lambda: not daemon._engine.supervisor.facts())
    assert client.listeners() == []
    assert daemon.drain(LONG)


def test_exclusive_ones_run_in_one_of_two_daemons_and_move_when_it_stops(threaded):
    turns = {"d0": 0, "d1": 0}
    daemons = [threaded(name=name, start=False) for name in turns]
    for name, daemon in zip(turns, daemons, strict=True):

        def watch(name=name):
            turns[name] += 1

        daemon.task(name="t:watch")(watch)
        daemon.start()
    daemons[0].add_listener("t:watch", name="watch", pause="1ms")
    until(daemons[0], lambda: sum(turns.values()) > 3)
    (runner,) = [name for name, count in turns.items() if count]
    other = "d1" if runner == "d0" else "d0"
    daemons[int(runner[1])].stop()
    until(daemons[int(other[1])], lambda: turns[other] > 3)
