"""A store's files are made for their owner alone, and nothing of another user is followed or used (S12)."""

import os
import stat
import threading
from contextlib import closing, contextmanager

import pytest

from mainspring import Daemon, StoreError
from mainspring.store import sqlite_place
from mainspring.store.rows import NewNode, NewTask
from mainspring.store.sqlite import SqliteStore

T = 1_800_000_000_000_000
STRANGER = 54_321
ROOT = hasattr(os, "getuid") and os.getuid() == 0
given_away = pytest.mark.parametrize(
    "given",
    [
        pytest.param("really", marks=pytest.mark.skipif(not ROOT, reason="only root can give files away")),
        "as it is told",
    ],
    indirect=True,
)


@pytest.fixture
def given(request, monkeypatch):
    """Gives a file to another user: really, or (without root, too) as far as whoever asks for its owner is told."""

    def really(path):
        os.lchown(path, STRANGER, STRANGER)

    def as_it_is_told(path):
        for name in ("lstat",) if os.path.islink(path) else ("lstat", "stat"):
            monkeypatch.setattr(os, name, teller(getattr(os, name), os.fspath(path)))

    def teller(ask, path):
        def told(asked, **named):
            found = ask(asked, **named)
            if not isinstance(asked, str | os.PathLike) or os.fspath(asked) != path:
                return found
            return os.stat_result([*found[:4], STRANGER, *found[5:10]])

        return told

    return really if request.param == "really" else as_it_is_told


@contextmanager
def umask(mask):
    before = os.umask(mask)
    try:
        yield
    finally:
        os.umask(before)


@pytest.mark.parametrize("mask", [0o000, 0o022, 0o077])
def test_whatever_the_umask_all_files_are_the_owners_alone(tmp_path, mask):
    path = str(tmp_path / "a.db")
    with umask(mask), closing(SqliteStore(path)) as store:
        store.add([NewTask(run_at=T, work="m:f")], T)
        store.join(NewNode(host="h", pid=1, version="1", workers=1, started_at=T))
        with closing(store.watch()):
            found = {name: stat.S_IMODE(os.stat(name).st_mode) for name in (path, f"{path}-wal", f"{path}-shm")}
            assert set(found.values()) == {0o600}, found
            beside = f"{path}-nodes"
            assert not stat.S_IMODE(os.stat(beside).st_mode) & 0o077
            kept = [entry for entry in os.scandir(beside) if not entry.name.startswith("w-")]
            assert kept
            assert not any(stat.S_IMODE(entry.stat().st_mode) & 0o077 for entry in kept)


def test_there_is_no_moment_at_which_others_could_open_it(tmp_path, monkeypatch):
    """The file gets its name when it has its mode: seen from `link` on, never before."""
    seen = []
    link = os.link

    def watched(source, target):
        seen.append((os.path.exists(target), stat.S_IMODE(os.stat(source).st_mode)))
        link(source, target)

    monkeypatch.setattr(sqlite_place.os, "link", watched)
    with umask(0), closing(SqliteStore(str(tmp_path / "a.db"))):
        assert seen == [(False, 0o600)]
    assert sorted(os.listdir(tmp_path)) == ["a.db"]


def test_without_links_it_is_made_all_the_same(tmp_path, monkeypatch):
    def refuse(source, target):
        raise PermissionError(1, "no links here")

    monkeypatch.setattr(sqlite_place.os, "link", refuse)
    with umask(0), closing(SqliteStore(str(tmp_path / "a.db"))):
        assert stat.S_IMODE(os.stat(tmp_path / "a.db").st_mode) == 0o600
    assert sorted(os.listdir(tmp_path)) == ["a.db"]


def test_made_by_many_at_once_it_is_one(tmp_path):
    path, made, ready = str(tmp_path / "a.db"), [], threading.Barrier(6)

    def make():
        ready.wait(30)
        with closing(SqliteStore(path)) as store:
            made.append(store.add([NewTask(run_at=T, work="m:f")], T)[0].id)

    threads = [threading.Thread(target=make) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert sorted(made) == [1, 2, 3, 4, 5, 6]


def test_where_everybody_may_write_there_is_no_store(tmp_path):
    tmp_path.chmod(0o777)
    with pytest.raises(StoreError, match="everybody may write"):
        SqliteStore(str(tmp_path / "a.db"))
    assert os.listdir(tmp_path) == []
    tmp_path.chmod(0o1777)  # as /tmp: nobody can replace what is another's
    SqliteStore(str(tmp_path / "a.db")).close()


@pytest.mark.parametrize("ending", ["-wal", "-shm", "-journal", "-nodes"])
def test_a_link_beside_the_store_is_refused(tmp_path, ending):
    path = str(tmp_path / "a.db")
    SqliteStore(path).close()
    target = tmp_path / "elsewhere"
    target.write_text("precious")
    os.symlink(target, path + ending)
    with pytest.raises(StoreError, match="symbolic link"):
        SqliteStore(path)
    assert target.read_text() == "precious"


@given_away
@pytest.mark.parametrize("dangling", [False, True])
def test_another_users_link_is_not_followed(tmp_path, dangling, given):
    target = tmp_path / "target.db"
    if not dangling:
        SqliteStore(str(target)).close()
    link = tmp_path / "a.db"
    link.symlink_to(target)
    given(link)
    with pytest.raises(StoreError, match="belongs to another user"):
        SqliteStore(str(link))
    assert target.exists() is not dangling


@given_away
@pytest.mark.parametrize("ending", ["-wal", "-nodes"])
def test_what_another_user_put_beside_it_is_refused(tmp_path, ending, given):
    path = str(tmp_path / "a.db")
    SqliteStore(path).close()
    if ending == "-nodes":
        os.mkdir(path + ending)
    else:
        open(path + ending, "wb").close()
    given(path + ending)
    with pytest.raises(StoreError, match="belongs to another user"):
        SqliteStore(path)


@given_away
def test_another_users_store_starts_no_programs_unless_it_is_said(tmp_path, given):
    path = str(tmp_path / "a.db")
    SqliteStore(path).close()
    given(path)
    with closing(Daemon(path, name="tests")) as daemon, daemon:
        task = daemon.add_task(["true"])
        daemon.drain("20s")
        assert task.refresh().state == "waiting"
    with closing(Daemon(path, name="tests", programs=True)) as daemon, daemon:
        assert daemon.get(task.id).result(60) == 0


@pytest.mark.parametrize("make", [os.mkfifo, os.mkdir])
def test_what_is_no_file_is_no_store(tmp_path, make):
    make(tmp_path / "a.db")
    with pytest.raises(StoreError, match="no regular file|is a directory"):
        SqliteStore(str(tmp_path / "a.db"))
