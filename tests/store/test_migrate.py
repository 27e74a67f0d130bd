"""Bringing a store's file to the newest schema."""

from contextlib import closing
from multiprocessing import get_context

import apsw
import pytest

from mainspring.errors import NewerStore, NotAStore, StoreNotFound
from mainspring.store import migrate
from mainspring.store.migrate import APPLICATION_ID, STEPS, bring_up
from mainspring.store.rows import NewTask
from mainspring.store.sqlite import SqliteStore

T = 1_700_000_000_000_000
MORE = (*STEPS, "CREATE TABLE further (x); INSERT INTO further VALUES (1)", "UPDATE further SET x = x + 1")


@pytest.fixture
def path(tmp_path):
    return str(tmp_path / "a.db")


@pytest.fixture
def con(path):
    with closing(apsw.Connection(path)) as con:
        yield con


def test_an_empty_file_becomes_a_store(con, path):
    bring_up(con, path, create=True)
    assert con.pragma("application_id") == APPLICATION_ID
    assert con.pragma("user_version") == len(STEPS)
    assert con.pragma("journal_mode") == "wal"


def test_an_older_store_takes_the_further_steps_only(path):
    with closing(SqliteStore(path)) as store:
        store.add([NewTask(run_at=T, key="k")], T)
    with closing(apsw.Connection(path)) as con:
        bring_up(con, path, create=False, steps=MORE)
        bring_up(con, path, create=False, steps=MORE)
        assert con.execute("SELECT x FROM further").get == 2
        assert con.execute("SELECT key FROM task").get == "k"
        assert con.pragma("user_version") == len(MORE)
    with pytest.raises(NewerStore):
        SqliteStore(path)


def test_a_step_that_fails_changes_nothing(con, path):
    bring_up(con, path, create=True)
    with pytest.raises(apsw.SQLError):
        bring_up(con, path, create=True, steps=(*MORE, "INSERT INTO nowhere VALUES (1)"))
    assert con.pragma("user_version") == len(STEPS)
    assert con.execute("SELECT count(*) FROM sqlite_schema WHERE name = 'further'").get == 0


def test_nothing_is_made_when_looking(con, path):
    with pytest.raises(StoreNotFound):
        bring_up(con, path, create=False)
    assert con.execute("SELECT count(*) FROM sqlite_schema").get == 0


def test_another_who_is_just_making_it_is_waited_for(con, path, monkeypatch):
    with closing(apsw.Connection(path)) as other:
        other.execute("BEGIN; SELECT count(*) FROM sqlite_schema")
        monkeypatch.setattr(migrate.time, "sleep", lambda _: other.execute("COMMIT"))
        bring_up(con, path, create=True)
    assert con.pragma("journal_mode") == "wal"


@pytest.mark.parametrize(
    "theirs",
    ["CREATE TABLE x (y)", "PRAGMA application_id = 7", "PRAGMA user_version = 3"],
    ids=["table", "id", "version"],
)
def test_what_is_not_ours_is_refused(con, path, theirs):
    con.execute(theirs)
    with pytest.raises(NotAStore):
        bring_up(con, path, create=True)


def make_one(path, gate):
    gate.wait()
    with closing(SqliteStore(path)) as store:
        store.add([NewTask(run_at=T)], T)


@pytest.mark.process
def test_many_processes_make_it_at_once(path):
    context = get_context("spawn")
    gate = context.Barrier(4)
    processes = [context.Process(target=make_one, args=(path, gate)) for _ in range(4)]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    assert [process.exitcode for process in processes] == [0] * 4
    with closing(SqliteStore(path)) as store:
        assert store.stats().counts["waiting"] == 4
