"""The log beside a store: short also under load, and while somebody reads on."""

import os
from contextlib import closing

import apsw

from mainspring.store import sqlite_connection
from mainspring.store.rows import NewNode, NewTask, Settlement

T = 1_700_000_000_000_000
SUCCEEDED = 2


def task(run_at=T, **fields):
    return NewTask(work="shop:sell", run_at=run_at, **fields)


def node():
    return NewNode(host="here", pid=os.getpid(), version="1", workers=2, started_at=T)


def ids_of(store):
    return [lane.id for lane in store.lanes()]


def test_the_log_stays_short(store, path):
    seat = store.join(node())
    runs = [[task(T + n, payload="x" * 2000) for n in range(500)] for _ in range(12)]
    for batch in runs:
        store.add(batch, T)
        held = store.reserve(seat.node, ids_of(store), after=0, until=2 * T, limit=500)
        store.record([Settlement(t.id, held.token, SUCCEEDED, False, 1, 0, finished_at=T) for t in held.tasks])
    assert os.path.getsize(path) > 12_000_000
    assert os.path.getsize(f"{path}-wal") < 12_000_000


def test_the_log_stays_short_also_when_it_is_never_copied_to_its_end(store, path, monkeypatch):
    """As under a load that never pauses: each time something is written that cannot be copied yet."""
    monkeypatch.setattr(sqlite_connection, "_LOG_LONG", 500)
    copy = sqlite_connection.Connections._copy_log

    def copy_all_but_the_last(connections, mode):
        if mode != apsw.SQLITE_CHECKPOINT_PASSIVE:
            return copy(connections, mode)
        with closing(apsw.Connection(path)) as reader:
            reader.execute("BEGIN; SELECT count(*) FROM task")
            with connections.write(durable=False) as con:
                con.execute("UPDATE meta SET value = value + 1")
            return copy(connections, mode)

    monkeypatch.setattr(sqlite_connection.Connections, "_copy_log", copy_all_but_the_last)
    for _ in range(12):
        store.add([task(2 * T, payload="x" * 2000) for _ in range(500)], T)
        store._db.keep_log_short(100)
    assert os.path.getsize(path) > 12_000_000
    assert os.path.getsize(f"{path}-wal") < 6_000_000


def test_a_reader_that_stays_holds_nobody_up_and_the_log_is_cut_afterwards(store, path, monkeypatch):
    monkeypatch.setattr(sqlite_connection, "_LOG_LONG", 100)

    def grow():
        store.add([task(2 * T, payload="x" * 2000) for _ in range(500)], T)
        store._db.keep_log_short(100)
        return os.path.getsize(f"{path}-wal")

    with closing(apsw.Connection(path)) as reader:
        reader.execute("BEGIN; SELECT count(*) FROM task")
        assert [grow() for _ in range(4)][-1] > 4_000_000
    first = grow()
    assert [grow() for _ in range(4)] == [first] * 4
