"""News between processes, over sockets beside the store."""

import os
import select
import subprocess
import sys

import pytest

from mainspring.store.wake import Wake


@pytest.fixture
def folder(tmp_path):
    return str(tmp_path / "a.db-nodes")


@pytest.fixture
def wake(folder):
    wake = Wake(folder)
    yield wake
    wake.close()


def readable(watch):
    return bool(select.select([watch], [], [], 0)[0])


def test_every_watcher_hears(wake, folder):
    first, second = wake.watch(), Wake(folder).watch()
    wake.send(["done", "due 5", "done"])
    for watch in (first, second):
        assert readable(watch)
        assert watch.drain() == ["done", "due 5"]
        assert not readable(watch)
        assert watch.drain() == []
        watch.close()


def test_nobody_need_listen(wake):
    wake.send(["done"])
    wake.watch().close()
    wake.send(["done"])


def test_equal_news_are_folded(wake):
    watch = wake.watch()
    for _ in range(3):
        wake.send(["done"])
    assert watch.drain() == ["done"]
    watch.close()


def test_news_of_before_are_not_heard(wake):
    wake.send(["done"])
    watch = wake.watch()
    assert watch.drain() == []
    watch.close()


def test_one_who_does_not_look_is_told_to_look_at_everything(wake):
    watch = wake.watch()
    for n in range(2_000):
        wake.send([f"due {n}"])
    assert watch.drain() == ["*"]
    wake.send(["done"])
    assert watch.drain() == ["done"]
    watch.close()


def test_one_who_does_not_look_keeps_no_news_from_others(wake):
    deaf = [wake.watch() for _ in range(5)]
    awake = wake.watch()
    for n in range(1_000):
        wake.send([f"due {n}"])
        assert awake.drain() == [f"due {n}"]
    for watch in (*deaf, awake):
        watch.close()


def test_what_a_dead_process_left_is_removed(wake, folder):
    watch = wake.watch()
    leave = f"from mainspring.store.wake import Wake; import os; w = Wake({folder!r}).watch(); os._exit(0)"
    subprocess.run([sys.executable, "-c", leave], check=True)
    assert len(os.listdir(folder)) == 2
    wake.send(["done"])
    assert len(os.listdir(folder)) == 1
    assert watch.drain() == ["done"]
    watch.close()
    assert os.listdir(folder) == []


def test_a_closed_watch_is_silent(wake):
    watch = wake.watch()
    watch.close()
    watch.close()
    assert watch.fileno() == -1
    assert watch.drain() == []


def test_a_path_longer_than_a_socket_name_may_be(tmp_path):
    deep = tmp_path.joinpath(*(["a" * 40] * 4))
    deep.mkdir(parents=True)
    wake = Wake(str(deep / "a.db-nodes"))
    watch = wake.watch()
    wake.send(["done"])
    assert watch.drain() == ["done"]
    watch.close()
    wake.close()


def test_closing_in_a_child_leaves_the_parents_socket(wake):
    watch = wake.watch()
    pid = os.fork()
    if pid == 0:
        watch.close()
        os._exit(0)
    os.waitpid(pid, 0)
    wake.send(["done"])
    assert watch.drain() == ["done"]
    watch.close()
