"""A store that fails in one call: what was on its way is neither lost nor done twice, and it is tried again."""

import logging

import pytest

from mainspring import Daemon
from mainspring.errors import StoreError
from mainspring.store.rows import Cancel
from mainspring.store.sqlite_connection import Connections


def fail_once(monkeypatch, owner, name, when=lambda *_: True, *, done=False):
    """Let the first call of `name` for which `when` is true fail, after it was carried out if it is `done`."""
    real, failed = getattr(owner, name), []

    def call(*given, **named):
        if failed or not when(*given):
            return real(*given, **named)
        failed.append(given)
        if done:
            real(*given, **named)
        raise StoreError("the disk does not answer")

    monkeypatch.setattr(owner, name, call)
    return failed


@pytest.fixture
def seen(daemon):
    seen = []

    @daemon.task(name="t:tick")
    def tick():
        seen.append(daemon.clock.time)

    seen_task[0] = tick
    return seen


seen_task = [None]


@pytest.mark.parametrize("done", [False, True])
def test_a_task_whose_cancel_failed_is_cancelled_all_the_same(daemon, clock, seen, monkeypatch, done):
    task = daemon.add_task(seen_task[0], after="4s")  # reserved: it is due within the horizon
    node = daemon.store.nodes()[0].id
    failed = fail_once(monkeypatch, daemon.store, "change", lambda id_, *_: str(id_) == task.id, done=done)
    daemon.store.ask(node, int(task.id), Cancel())
    clock.advance("3s")
    assert failed
    clock.advance("1m")
    assert seen == []
    assert daemon.get(task.id).state == "cancelled"


def test_what_cannot_be_looked_up_at_the_start_waits(daemon, clock, seen, monkeypatch):
    daemon.add_schedule(seen_task[0], "1h", name="hourly")
    daemon.pause()
    clock.advance("3h10m")
    failed = fail_once(monkeypatch, daemon.store, "find", lambda wanted: len(wanted.states) == 4)
    daemon.resume()
    clock.advance("10s")
    assert failed
    assert len(seen) == 1


def test_what_was_committed_was_added_though_the_log_could_not_be_copied(tmp_path, monkeypatch, caplog):
    caplog.set_level(logging.CRITICAL, "mainspring")
    daemon = Daemon(str(tmp_path / "tasks.db"), name="tests")
    daemon.task(name="t:nothing")(nothing)

    def fails(*_):
        raise StoreError("the disk is full")

    monkeypatch.setattr(Connections, "_copy_log", fails)
    monkeypatch.setattr("mainspring.store.sqlite._LOG_PAGES", 0)
    assert len(daemon.add_tasks([{"work": nothing}] * 10)) == 10
    daemon.close()


def nothing(): ...
