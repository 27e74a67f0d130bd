"""A pause is stored and holds for all daemons; what runs goes on, what falls due waits."""

from datetime import timedelta

import pytest

from daemons import LONG
from mainspring import Daemon


@pytest.fixture
def note(daemon):
    seen = []

    @daemon.task(name="t:note")
    def note(what):
        seen.append(what)

    note.seen = seen
    return note


def test_nothing_starts_until_resume(daemon, clock, note):
    daemon.pause()
    task = note.after("1m").enqueue("x")
    note.enqueue("y")
    clock.advance("1h")
    assert note.seen == []
    assert daemon.status().paused == ["*"]
    daemon.resume()
    assert note.seen == ["y", "x"]
    assert task.refresh().lateness == timedelta(minutes=59)


def test_what_is_reserved_already_does_not_start_either(daemon, clock, note):
    note.after("2s").enqueue("x")
    clock.advance("1s")
    daemon.pause()
    clock.advance("1m")
    assert note.seen == []
    daemon.resume()
    assert note.seen == ["x"]


def test_one_queue_alone(daemon, clock, note):
    note.options(queue="mail").after("2s").enqueue("mail")
    note.after("2s").enqueue("usual")
    daemon.pause("mail")
    clock.advance("1m")
    assert note.seen == ["usual"]
    assert daemon.status().paused == ["mail"]
    daemon.resume()  # the store as a whole: a queue paused by name stays paused
    assert note.seen == ["usual"]
    daemon.resume("mail")
    assert note.seen == ["usual", "mail"]


def test_a_paused_store_is_drained(daemon, note):
    daemon.pause()
    note.enqueue("x")
    assert daemon.drain()
    assert note.seen == []


def test_a_pause_outlives_the_daemon(tmp_path, clock):
    path = str(tmp_path / "one.db")
    seen = []
    for last in (False, True):
        daemon = Daemon(path, clock=clock, name="same")

        @daemon.task(name="t:note")
        def note():
            seen.append(1)

        with daemon:
            if not last:
                daemon.pause()
                note.enqueue()
            clock.advance("1h")
            assert seen == []
            if last:
                daemon.resume()
        daemon.close()
    assert seen == [1]


def test_a_client_s_pause_reaches_the_daemon_and_what_runs_goes_on(threaded, gate):
    daemon, client = threaded(workers=1), threaded(start=False)

    @daemon.task(name="t:hold")
    def hold():
        gate.wait()
        return "done"

    running, next_one = hold.enqueue(), hold.enqueue()
    gate.await_arrivals()
    client.pause()
    gate.open()
    assert running.result(LONG) == "done"
    assert daemon.drain(LONG)
    assert next_one.refresh().state == "waiting"
    client.resume()
    assert next_one.result(LONG) == "done"


def test_pausing_and_resuming_twice_is_fine(daemon, note):
    daemon.pause()
    daemon.pause()
    daemon.resume()
    daemon.resume()
    note.enqueue("x")
    assert note.seen == ["x"]
