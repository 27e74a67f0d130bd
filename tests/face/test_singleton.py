"""`get_daemon`: one for each process, made from the settings, started on first use, whoever asks."""

import threading

import pytest

import mainspring
from daemons import LONG
from mainspring import get_daemon, singleton


def module_level(x):
    return x + 1


@pytest.fixture(autouse=True)
def fresh(tmp_path, monkeypatch):
    """A process in which nobody has asked yet, with settings of its own."""
    monkeypatch.setattr(singleton, "_daemon", None)
    monkeypatch.setenv("MAINSPRING_STORE", str(tmp_path / "one.db"))
    monkeypatch.setenv("MAINSPRING_WORKERS", "3")
    monkeypatch.setenv("MAINSPRING_ALLOW", __name__)
    yield
    if singleton._daemon is not None:
        singleton._daemon.stop()
        singleton._daemon.close()


def test_the_same_object_from_many_threads_started_once():
    got, start = [], threading.Barrier(16)

    def ask():
        start.wait(LONG)
        got.append(get_daemon())

    threads = [threading.Thread(target=ask) for _ in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(LONG)
    assert len(got) == 16
    assert len(set(map(id, got))) == 1
    assert got[0].started
    assert len(got[0].status().nodes) == 1


def test_its_settings_come_from_the_environment(tmp_path):
    daemon = get_daemon()
    assert daemon.settings.workers == 3
    assert daemon.store.url.endswith("one.db")


def test_the_client_form_is_not_started_and_the_same_object_later():
    client = get_daemon(start=False)
    assert not client.started
    assert get_daemon() is client
    assert client.started
    assert get_daemon(start=False) is client
    assert client.started


def test_the_short_forms():
    task = mainspring.add_task(module_level, (1,))
    assert task.result(LONG) == 2
    assert mainspring.add_task(module_level, args=(2,), after=0).result(LONG) == 3
    listener = mainspring.add_listener(module_level, args=(1,), name="watch", pause="1h")
    assert [one.name for one in get_daemon().listeners()] == ["watch"]
    listener.remove()


def test_stopped_it_is_started_again_by_whoever_asks():
    daemon = get_daemon()
    daemon.stop()
    assert get_daemon() is daemon
    assert daemon.started
