"""Backups: one moment of the store, whole or not there at all, for its owner alone."""

import os
import stat

import pytest

from mainspring.errors import StoreConflict
from mainspring.store.rows import NewTask
from mainspring.store.sqlite import SqliteStore
from mainspring.store.sqlite_backup import backup

T = 1_700_000_000_000_000


@pytest.fixture
def target(tmp_path):
    return str(tmp_path / "copy.db")


def count(path):
    store = SqliteStore(path, create=False)
    try:
        return sum(store.stats().counts.values())
    finally:
        store.close()


def add(store, many=1):
    return store.add([NewTask(run_at=T) for _ in range(many)], T)


def test_the_copy_is_a_store_of_the_moment_at_which_it_began(store, path, target):
    add(store, 50_000)
    seen = []

    def progress(done, of):
        seen.append((done, of))
        add(store)  # a writer in the middle of it: neither held up nor seen

    size = backup(path, target, progress=progress)
    assert len(seen) > 1
    assert seen[-1][0] == seen[-1][1] == size // 4096
    assert count(target) == 50_000
    assert sum(store.stats().counts.values()) == 50_000 + len(seen)


def test_it_is_for_its_owner_alone_and_nothing_lies_beside_it(store, path, target, tmp_path):
    add(store)
    assert backup(path, target) == os.stat(target).st_size
    assert stat.S_IMODE(os.stat(target).st_mode) == 0o600
    assert [name for name in os.listdir(tmp_path) if "copy" in name] == ["copy.db"]


def test_what_is_there_is_replaced_only_with_force(store, path, target):
    add(store)
    backup(path, target)
    add(store)
    with pytest.raises(StoreConflict, match="--force"):
        backup(path, target)
    assert count(target) == 1
    backup(path, target, force=True)
    assert count(target) == 2
