"""Restoring and compacting: alone or not at all, nothing thrown away, and no number given twice."""

import os
import threading
from contextlib import closing
from pathlib import Path

import apsw
import pytest

from mainspring.errors import NewerStore, NotAStore, StoreConflict, StoreError
from mainspring.store import sqlite_connection, sqlite_copy, sqlite_restore
from mainspring.store.migrate import STEPS
from mainspring.store.rows import Cancel, NewNode, NewTask, Settlement
from mainspring.store.sqlite import SqliteStore
from mainspring.store.sqlite_backup import backup
from mainspring.store.sqlite_check import findings_in
from mainspring.store.sqlite_compact import compact
from mainspring.store.sqlite_restore import restore
from mainspring.tasks.options import TaskOptions, encode_options
from mainspring.tasks.state import State
from mainspring.when.clock import SystemClock

T = 1_700_000_000_000_000
ONCE = encode_options(TaskOptions(delivery="at-most-once"))


@pytest.fixture
def copy(tmp_path):
    return str(tmp_path / "copy.db")


def node(pid=1):
    return NewNode(host="h", pid=pid, version="1", workers=1, started_at=T)


def add(store, many=1, **fields):
    return [one.id for one in store.add([NewTask(run_at=T, work="m:f", **fields) for _ in range(many)], T)]


def reserve(store, seat, limit=100):
    return store.reserve(seat.node, [lane.id for lane in store.lanes()], after=0, until=T, limit=limit)


@pytest.fixture
def saved(path, copy):
    """A store with three tasks and its backup; then two more came, and reservations."""
    with closing(SqliteStore(path)) as store:
        add(store, 3)
        backup(path, copy)
        add(store, 2)
        seat = store.join(node())
        token = reserve(store, seat).token
        store.leave(seat.node)
    return token


def test_what_was_saved_is_back_and_what_was_there_is_kept(path, copy, saved):
    restored = restore(path, copy, T)
    assert (restored.tasks, restored.running) == (3, 0)
    assert restored.aside == f"{path}.replaced-20231114T221320.000000Z"
    assert findings_in(path) == findings_in(restored.aside) == findings_in(copy) == []
    with closing(SqliteStore(path, create=False)) as store, closing(SqliteStore(restored.aside)) as old:
        assert store.stats().counts[State.WAITING] == 3
        assert old.stats().counts[State.WAITING] == 5
        assert add(store) == [6]  # 4 and 5 were other tasks
        seat = store.join(node())
        assert reserve(store, seat).token > saved
    assert sorted(name for name in os.listdir(os.path.dirname(path)) if "-wal" in name or "part" in name) == []
    with closing(apsw.Connection(path)) as con:
        assert con.pragma("journal_mode") == "wal"


def test_where_nobody_knows_what_was_given_many_numbers_are_left_out(tmp_path, path, copy, saved):
    elsewhere = str(tmp_path / "new.db")
    assert restore(elsewhere, copy, T).aside is None
    with closing(SqliteStore(elsewhere)) as store:
        assert add(store)[0] > 1_000_000_000
        assert reserve(store, store.join(node())).token > saved + 2**24
    assert findings_in(elsewhere) == []


@pytest.mark.parametrize("damage", ["no database at all" * 1000, "", None])
def test_a_file_that_cannot_be_read_is_moved_aside_with_its_log(path, copy, saved, damage):
    file = Path(path)
    if damage is None:
        file.write_bytes(file.read_bytes()[:5000])
    else:
        file.write_text(damage)
    before = file.read_bytes()
    restored = restore(path, copy, T)
    assert Path(restored.aside).read_bytes() == before
    assert findings_in(path) == []


def test_nobody_else_may_have_it_open(path, copy, saved):
    with closing(SqliteStore(path)) as store:  # no daemon: some program that adds now and then
        with pytest.raises(StoreConflict, match="in use"):
            restore(path, copy, T)
        assert len(add(store)) == 1
        store.join(node())
        with pytest.raises(StoreConflict, match="the daemon 2 runs"):
            restore(path, copy, T)
        assert store.stats().counts[State.WAITING] == 6
    assert [name for name in os.listdir(os.path.dirname(path)) if "replaced" in name or "part" in name] == []


def test_whoever_opens_it_meanwhile_finds_the_restored_one(path, copy, saved, monkeypatch):
    connect, comes, found = sqlite_connection.Connections._connect, threading.Event(), []

    def connecting(self, flags):
        comes.set()
        return connect(self, flags)

    def come():
        with closing(SqliteStore(path)) as store:
            add(store)
            found.append(store.stats().counts[State.WAITING])

    def transferred(new, old):
        other.start()
        assert comes.wait(60)
        return sqlite_copy.transfer(new, old)

    other = threading.Thread(target=come)
    monkeypatch.setattr(sqlite_connection.Connections, "_connect", connecting)
    monkeypatch.setattr(sqlite_restore, "transfer", transferred)
    restore(path, copy, T)
    other.join()
    assert found == [4]


def test_a_source_that_is_not_sound_is_not_restored(path, copy, saved, tmp_path):
    data = bytearray(Path(copy).read_bytes())
    with closing(apsw.Connection(copy)) as con:
        con.execute("UPDATE task SET state = 3")
    with pytest.raises(StoreError, match="never ended"):
        restore(path, copy, T)
    Path(copy).write_bytes(data[:20_000])
    with pytest.raises(StoreError, match="cut short"):
        restore(path, copy, T)
    with pytest.raises(StoreConflict, match="store itself"):
        restore(path, path, T)
    with closing(SqliteStore(path)) as store:
        assert store.stats().counts[State.WAITING] == 5


def test_an_older_store_is_brought_up_to_date_and_a_newer_one_refused(path, copy, saved):
    def version(number):
        with closing(apsw.Connection(copy)) as con:
            con.execute(f"PRAGMA user_version = {number}")

    version(len(STEPS) + 1)
    with pytest.raises(NewerStore):
        restore(path, copy, T)
    with closing(apsw.Connection(copy)) as con:
        con.execute("DROP TABLE arrival")
    version(len(STEPS) - 1)
    assert findings_in(copy) == []
    assert restore(path, copy, T).tasks == 3
    assert findings_in(path) == []


def test_somebody_elses_database_is_not_replaced(path, copy, saved, tmp_path):
    other = str(tmp_path / "other.db")
    with closing(apsw.Connection(other)) as con:
        con.execute("CREATE TABLE x (y)")
    before = Path(other).read_bytes()
    with pytest.raises(NotAStore):
        restore(other, copy, T)
    assert Path(other).read_bytes() == before


def test_what_ran_in_the_copy_is_lost_and_what_was_reserved_is_free(path, copy):
    with closing(SqliteStore(path)) as store:
        runs, once, reserved = *add(store), *add(store, options=ONCE), *add(store)
        seat = store.join(node())
        held = reserve(store, seat)
        starts = [Settlement(one, held.token, 1, True, 1, 0, started_at=T) for one in (runs, once)]
        assert store.record(starts) == []
        backup(path, copy)
        seat.journal.note(reserved, held.token, T + 5)  # known here, and not in the copy
    assert restore(path, copy, T).running == 2
    with closing(SqliteStore(path)) as store:
        (left,) = store.nodes()
        assert not left.alive
        taken = store.take_over(left.id, T + 9)
        assert taken.lost == [runs, once]
        assert taken.freed == 1
        assert [store.get(one).state for one in (runs, once, reserved)] == ["waiting", "failed", "waiting"]
        assert store.get(once).reason == "lost"
    assert findings_in(path) == []


def test_a_store_left_without_a_log_by_a_kill_gets_it_back(path):
    with closing(SqliteStore(path)) as store:
        add(store)
    with closing(apsw.Connection(path)) as con:
        con.execute("PRAGMA journal_mode = DELETE")
    with closing(SqliteStore(path)), closing(apsw.Connection(path)) as con:
        assert con.pragma("journal_mode") == "wal"


# ── compacting ─────────────────────────────────────────────────────────────────────────────────────────────────


def emptied(store, many):
    """Many tasks come, are cancelled and forgotten."""
    store.add([NewTask(run_at=T, payload=f'[["{"x" * 200}"],{{}}]') for _ in range(many)], T)
    seat = store.join(node())
    while (held := reserve(store, seat, 5_000)).tasks:
        ended = [
            Settlement(one.id, held.token, 2, False, 1, 0, started_at=T, finished_at=T, result="1")
            for one in held.tasks
        ]
        store.record(ended)
    store.leave(seat.node)
    assert store.change(add(store)[0], Cancel(), T + 2).outcome == "done"
    while store.prune(T + 1, 5_000):
        pass


def test_alone_the_file_is_written_anew(path):
    with closing(SqliteStore(path)) as store:
        emptied(store, 20_000)
    done = compact(path, SystemClock())
    assert done.how == "anew"
    assert done.after < done.before / 4
    assert done.free == 0
    assert os.stat(path).st_size == done.after
    assert findings_in(path) == []


def test_beside_others_it_is_shortened_in_steps_once_it_was_written_anew(path):
    with closing(SqliteStore(path)) as store:
        add(store)
    compact(path, SystemClock())
    with closing(SqliteStore(path)) as store:
        emptied(store, 20_000)
        steps = []

        def progress(done, of):
            steps.append(done)
            add(store)  # others write in between

        done = compact(path, SystemClock(), progress)
        assert (done.how, done.free < 100_000) == ("steps", True)
        assert len(steps) > 1
        assert done.after < done.before / 4
        assert sum(store.stats().counts.values()) == 1 + len(steps)
        assert findings_in(path) == []


def test_beside_others_a_file_that_never_was_keeps_its_free_pages(path):
    with closing(SqliteStore(path)) as store:
        emptied(store, 5_000)
        done = compact(path, SystemClock())
        assert done.how == "log"
        assert done.free > 500_000
        assert findings_in(path) == []
