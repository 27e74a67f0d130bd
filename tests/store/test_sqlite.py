"""The SQLite store beyond the port's promises: the file it makes, what it refuses, and how much it reads."""

import os
import stat
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing

import apsw
import pytest

from mainspring.errors import KeyInUse, NewerStore, NotAStore, StoreError, StoreNotFound
from mainspring.store import sqlite_find
from mainspring.store import sqlite_sql as sql
from mainspring.store.rows import Added, Filter, NewNode, NewTask, Settlement
from mainspring.store.sqlite import SqliteStore
from mainspring.store.sqlite_connection import Connections

T = 1_700_000_000_000_000
SUCCEEDED = 2


def task(run_at=T, **fields):
    return NewTask(work="shop:sell", run_at=run_at, **fields)


def node():
    return NewNode(host="here", pid=os.getpid(), version="1", workers=2, started_at=T)


def ids_of(store):
    return [lane.id for lane in store.lanes()]


# ── the file ───────────────────────────────────────────────────────────────────────────────────────────────────
def test_only_the_owner_can_read_the_files(store, path):
    store.add([task()], T)
    store.join(node())
    with closing(store.watch()):
        files = [path, f"{path}-wal", f"{path}-shm", *(e.path for e in os.scandir(f"{path}-nodes") if e.name[0] != "w")]
        assert {stat.S_IMODE(os.stat(file).st_mode) for file in files} == {0o600}
        assert stat.S_IMODE(os.stat(f"{path}-nodes").st_mode) == 0o700


def test_the_url_names_the_real_path(store, path, tmp_path):
    (tmp_path / "other.db").symlink_to(path)
    with closing(SqliteStore(str(tmp_path / "other.db"))) as other:
        assert store.url == other.url == f"sqlite://{path}"


def test_a_path_with_odd_characters_is_just_a_path(tmp_path):
    name = str(tmp_path / "a?mode=ro#%20é.db")
    with closing(SqliteStore(name)) as store:
        store.add([task()], T)
    assert os.path.exists(name)


def test_closing_leaves_one_file_without_a_log(store, path):
    store.add([task()], T)
    store.close()
    store.close()
    assert [entry for entry in os.listdir(os.path.dirname(path)) if not entry.endswith("-nodes")] == ["a.db"]
    with pytest.raises(StoreError, match="was closed"):
        store.add([task()], T)


def test_looking_creates_nothing(path, tmp_path):
    with pytest.raises(StoreNotFound, match="no store"):
        SqliteStore(path, create=False)
    assert os.listdir(tmp_path) == []


def test_looking_does_not_turn_an_empty_file_into_a_store(path):
    open(path, "w").close()
    with pytest.raises(StoreNotFound, match="empty"):
        SqliteStore(path, create=False)
    assert os.path.getsize(path) == 0


def test_an_existing_store_can_be_looked_at(store, path):
    store.add([task()], T)
    with closing(SqliteStore(path, create=False)) as other:
        assert other.get(1).work == "shop:sell"


# ── what is refused ────────────────────────────────────────────────────────────────────────────────────────────
def test_a_file_that_is_no_database(path):
    with open(path, "w") as file:
        file.write("not a database, " * 500)
    with pytest.raises(NotAStore, match="not a database"):
        SqliteStore(path)


def test_a_database_of_something_else_is_left_as_it_was(path):
    with closing(apsw.Connection(path)) as con:
        con.execute("CREATE TABLE theirs (x)")
    with open(path, "rb") as file:
        before = file.read()
    with pytest.raises(NotAStore, match="something else"):
        SqliteStore(path)
    with open(path, "rb") as file:
        assert file.read() == before


def test_a_store_of_a_newer_version(store, path):
    store.close()
    with closing(apsw.Connection(path)) as con:
        con.execute("PRAGMA user_version = 999")
    with pytest.raises(NewerStore, match="999"):
        SqliteStore(path)


def test_a_damaged_store_is_said_and_left_alone(store, path):
    store.add([task(payload="x" * 100, key=str(n)) for n in range(1000)], T)
    store.close()
    with open(path, "r+b") as file:
        size = file.seek(0, 2)
        file.seek(4096)
        file.write(b"\xa5" * (size - 4096))
    with pytest.raises(StoreError, match=r"damaged.*recover"), closing(SqliteStore(path)) as again:
        again.get(1)
    assert os.path.getsize(path) == size


def test_places_where_no_store_can_be(tmp_path):
    with pytest.raises(StoreError, match="is a directory"):
        SqliteStore(str(tmp_path))
    with pytest.raises(StoreError, match="does not exist"):
        SqliteStore(str(tmp_path / "nowhere" / "a.db"))


def test_a_lock_that_is_kept_ends_in_a_store_error(store, path):
    store.add([task()], T)
    impatient = Connections(path, create=False, busy_ms=1)
    with closing(impatient), closing(apsw.Connection(path)) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(StoreError, match="locked"), impatient.write(durable=True):
            pytest.fail("got the lock")
        other.execute("ROLLBACK")
        with impatient.write(durable=True) as con:
            assert con.in_transaction


# ── adding ─────────────────────────────────────────────────────────────────────────────────────────────────────
def test_ids_of_a_long_addition_are_in_its_order(store):
    runs = [T + n * 7919 % 1237 for n in range(sql.CHUNK * 2 + 37)]
    added = store.add([task(run_at) for run_at in runs], T)
    assert [one.id for one in added] == list(range(1, len(runs) + 1))
    assert [store.get(one.id).run_at for one in added] == runs
    keyed = store.add([task(run_at, key=str(n)) for n, run_at in enumerate(runs)], T)
    assert [store.get(one.id).key for one in keyed] == [str(n) for n in range(len(runs))]


def test_ids_are_not_used_again_after_everything_was_forgotten(store):
    seat = store.join(node())
    store.add([task()], T)
    held = store.reserve(seat.node, ids_of(store), after=0, until=T, limit=1)
    store.record([Settlement(1, held.token, SUCCEEDED, False, 1, 0, finished_at=T)])
    assert store.prune(T + 1, 10) == 1
    assert store.add([task()], T) == [Added(2)]


class Gate:
    """Holds the write lock until it is opened, so that callers pile up behind it."""

    def __init__(self, store):
        self._taken, self._open = threading.Event(), threading.Event()
        self._thread = threading.Thread(target=self._hold, args=(store,))

    def _hold(self, store):
        with store._db.write(durable=False):
            self._taken.set()
            self._open.wait()

    def __enter__(self):
        self._thread.start()
        self._taken.wait()

    def __exit__(self, *_):
        self._open.set()
        self._thread.join()


def pile_up(store, units):
    """Let one thread each add one of `units`, while the first cannot commit yet; what became of each."""
    store.add([task()], T)  # the lane is there: nothing but the addition needs the lock
    commits = []
    store._db._writer().set_commit_hook(lambda: bool(commits.append(1)))
    with ThreadPoolExecutor(len(units)) as pool:
        with Gate(store):
            waiting = [pool.submit(store.add, unit, T) for unit in units]
            while len(store._adder._pending) < len(units) - 1:
                time.sleep(0)  # until all but the first, which took its own, are in the list
        outcomes = [future.exception() or future.result() for future in waiting]
    return outcomes, len(commits)


def test_callers_that_come_at_once_share_a_commit(store):
    outcomes, commits = pile_up(store, [[task(T + n), task(T + n)] for n in range(12)])
    assert commits <= 3  # the gate's, the leader's own, and one for all that had come by then
    ids = [one.id for added in outcomes for one in added]
    assert len(set(ids)) == 24
    for n, (first, second) in enumerate(outcomes):
        assert store.get(first.id).run_at == store.get(second.id).run_at == T + n


def test_the_refusal_of_one_caller_touches_no_other(store):
    store.add([task(key="taken")], T)
    units = [[task(T + n), task(T + n, key="taken" if n % 3 == 0 else str(n))] for n in range(12)]
    outcomes, _ = pile_up(store, units)
    for n, outcome in enumerate(outcomes):
        if n % 3 == 0:
            assert isinstance(outcome, KeyInUse)
        else:
            assert [store.get(one.id).run_at for one in outcome] == [T + n, T + n]
    assert store.stats().counts["waiting"] == 2 + 2 * 8


def test_an_interrupted_caller_leaves_nobody_waiting(store):
    store.add([task()], T)
    adder = store._adder
    taken = adder._next_units
    interrupts = iter([KeyboardInterrupt])

    def next_units():
        units = taken()
        for error in interrupts:
            raise error
        return units

    adder._next_units = next_units
    with pytest.raises(KeyboardInterrupt):
        store.add([task()], T)
    assert store.add([task()], T) == [Added(2)]


def test_a_leader_that_is_interrupted_tells_those_whose_units_it_had(store):
    store.add([task()], T)
    write = store._adder._write
    first = threading.Event()

    def interrupted_once(units):
        if not first.is_set() and len(units) > 1:
            first.set()
            raise KeyboardInterrupt
        write(units)

    store._adder._write = interrupted_once
    outcomes, _ = pile_up(store, [[task(T + n)] for n in range(6)])
    store._adder._write = write
    kinds = sorted(type(outcome).__name__ for outcome in outcomes)
    assert kinds == ["KeyboardInterrupt", *["StoreError"] * 4, "list"]
    assert store.add([task()], T)[0].created


# ── reading little ─────────────────────────────────────────────────────────────────────────────────────────────
def plan(con, statement, count):
    values = [None] * count
    return [row[3] for row in con.execute(f"EXPLAIN QUERY PLAN {statement}", values)]


HOT = {
    "next_due": (sql.NEXT_DUE, 1),
    "any_due": (sql.ANY_DUE, 3),
    "pick": (sql.PICK, 4),
    "hold": (sql.HOLD, 3),
    "pending": (sql.PENDING, 2),
    "steered": (sql.STEERED, 1),
    "cancel": (sql.CANCEL, 3),
    "key": (sql.KEY_OWNER, 1),
    "keys": (sql.KEY_OWNERS, 1),
    "get": (sql.GET, 1),
    "settle": (sql.SETTLE.format(rows=f"({', '.join('?' * 13)})"), 13),
    "settle plain": (sql.SETTLE_PLAIN.format(rows=f"({', '.join('?' * 6)})"), 6),
    "applicable": (sql.APPLICABLE.format(rows="(?, ?, ?)"), 3),
    "requests": (sql.REQUESTS, 1),
    "held": (sql.HELD, 1),
    "free": (sql.FREE_HELD, 1),
    "lateness": (sql.LATENESS, 0),
    "old": (sql.OLD, 2),
    "forget": (sql.FORGET[2], 1),
    "attempts": (sql.ATTEMPTS, 1),
}


@pytest.mark.parametrize("statement", HOT.values(), ids=HOT.keys())
def test_no_hot_statement_looks_at_every_row(store, statement):
    steps = plan(store._db._writer(), *statement)
    assert steps
    for step in steps:
        assert not step.startswith(("SCAN task", "SCAN t ", "SCAN d", "SCAN request", "SCAN attempt")), steps
        assert step not in ("SCAN t", "SCAN task"), steps


def test_what_waits_is_found_by_lane_and_instant_together(store):
    searches = [step for step in plan(store._db._writer(), *HOT["pick"]) if "task_free" in step]
    assert searches == ["SEARCH task USING INDEX task_free (lane=? AND run_at>? AND run_at<?)"]


@pytest.mark.parametrize("wanted", [Filter(), Filter(name="sell"), Filter(key="k"), Filter(queue="default")])
def test_find_looks_at_no_more_than_it_must(store, wanted):
    store.add([task()], T)
    lanes = store.lanes()
    for query in (sqlite_find.unfinished(wanted, lanes), sqlite_find.finished(wanted, lanes, 10)):
        steps = plan(store._db._writer(), query[0], len(query[1]))
        assert not [step for step in steps if step.startswith("SCAN t") or "SCAN task" in step], steps


def test_an_unfinished_key_is_found_by_its_index(store):
    store.add([task()], T)
    query = sqlite_find.unfinished(Filter(key="k"), store.lanes())
    assert any("task_key (key=?)" in step for step in plan(store._db._writer(), query[0], len(query[1])))


@pytest.mark.parametrize(
    ("wanted", "index"),
    [
        (Filter(name="label"), "task_label"),
        (Filter(name="label", queue="default"), "task_label"),
        (Filter(schedule="tick"), "task_schedule"),
        (Filter(schedule="tick", name="label"), "task_schedule"),
        (Filter(schedule="tick", key="k"), "task_key"),
    ],
)
def test_the_few_with_a_label_a_schedule_or_a_key_are_found_by_its_index(store, wanted, index):
    """However many others wait, and however long the history is: neither is walked through."""
    store.add([task()], T)
    lanes = store.lanes()
    for query, used in (
        (sqlite_find.unfinished(wanted, lanes), index),
        (sqlite_find.finished(wanted, lanes, 10), f"{index}_ended"),
    ):
        steps = plan(store._db._writer(), query[0], len(query[1]))
        assert any(f"USING INDEX {used} (" in step for step in steps), steps
        assert not any("INDEX task_ended" in step or "SCAN t" in step for step in steps), steps


# ── several ways in ────────────────────────────────────────────────────────────────────────────────────────────
def test_lanes_made_elsewhere_are_seen(store, path):
    with closing(SqliteStore(path)) as other:
        assert other.lanes() == []
        store.add([task(), task(priority=5), task(queue="mail")], T)
        assert other.lanes() == store.lanes()
        other.add([task(priority=7)], T)
        assert len(store.lanes()) == 4


def test_the_token_leaves_out_what_a_power_cut_may_have_taken(store, path):
    store.add([task(), task()], T)
    seat = store.join(node())
    first = store.reserve(seat.node, ids_of(store), after=0, until=T, limit=1).token
    with closing(SqliteStore(path)) as other:
        other.join(node())
    second = store.reserve(seat.node, ids_of(store), after=0, until=T, limit=1).token
    assert second // 2**24 == first // 2**24 + 1
