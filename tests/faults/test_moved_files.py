"""A store whose files are moved, removed or replaced under it: nothing is acknowledged that nobody would find again."""

import os
import shutil
from contextlib import closing

import pytest

from mainspring.errors import StoreError, StoreNotFound
from mainspring.store.rows import Cancel, NewNode, NewTask, Settlement
from mainspring.store.sqlite import SqliteStore
from mainspring.store.sqlite_check import findings_in

T = 1_800_000_000_000_000


@pytest.fixture
def path(tmp_path):
    return str(tmp_path / "a.db")


@pytest.fixture
def store(path):
    with closing(SqliteStore(path)) as store:
        store.add([NewTask(run_at=T, name="first")] * 3, T)
        yield store


def take_away(path, ending):
    os.rename(path + ending, f"{path}.away{ending}")


def put_back(path, ending):
    os.rename(f"{path}.away{ending}", path + ending)


@pytest.mark.parametrize("ending", ["", "-wal", "-shm"])
def test_what_was_moved_takes_nothing_and_goes_on_when_it_is_put_back(store, path, ledger, ending):
    seat = store.join(NewNode(host="h", pid=1, version="1", workers=1, started_at=T))
    held = store.reserve(seat.node, [1], after=0, until=T, limit=1)
    ended = [Settlement(1, held.token, 2, False, 1, 0, None, None, T, T, "1")]
    take_away(path, ending)
    for verb in (
        lambda: store.add([NewTask(run_at=T)], T),
        lambda: store.record(ended),
        lambda: store.change(2, Cancel(), T),
        lambda: store.reserve(seat.node, [1], after=0, until=T, limit=1),
    ):
        with pytest.raises(StoreError, match="is not the file any more"):
            verb()
    put_back(path, ending)
    assert store.record(ended) == []
    [added] = store.add([NewTask(run_at=T, name="last")], T)
    store.close()
    with closing(SqliteStore(path, create=False)) as again:
        assert again.get(added.id).name == "last"
        assert [again.get(id_).state for id_ in (1, 2, 3)] == ["succeeded", "waiting", "waiting"]
    ledger.add("file moved while open", 1)
    assert findings_in(path) == []


def test_removed_it_is_said_and_no_new_one_is_made_beside_its_log(store, path, ledger):
    os.unlink(path)
    with pytest.raises(StoreError, match="is not the file any more"):
        store.add([NewTask(run_at=T)], T)
    with pytest.raises(StoreNotFound):
        SqliteStore(path, create=False)
    with pytest.raises(StoreError, match="put the file back"):
        SqliteStore(path)
    ledger.add("file moved while open", 1)
    assert not os.path.exists(path)
    assert os.path.getsize(f"{path}-wal") > 0


def test_another_store_in_its_place_is_neither_written_to_nor_robbed_of_its_log(store, path, tmp_path, ledger):
    other = str(tmp_path / "other.db")
    with closing(SqliteStore(other)) as its_own:
        its_own.add([NewTask(run_at=T, name="other")], T)
        for ending in ("", "-wal", "-shm"):  # as it is while somebody works with it: the task is in the log alone
            take_away(path, ending)
            shutil.copyfile(other + ending, path + ending)
    with pytest.raises(StoreError, match="is not the file any more"):
        store.add([NewTask(run_at=T)], T)
    store.before_fork()  # all connections are closed, and opened anew
    store.after_fork()
    with pytest.raises(StoreError, match="is not the file any more"):
        store.add([NewTask(run_at=T)], T)
    store.close()
    ledger.add("file moved while open", 1)
    with closing(SqliteStore(path, create=False)) as found:
        assert [found.get(1).name, found.get(2)] == ["other", None]
