"""A store that was restored, exported or imported knows which rows have come: it does not get them twice."""

from contextlib import closing

import pytest

from mainspring.store.arrivals import Arrival, Parcel
from mainspring.store.portable import written
from mainspring.store.rows import Filter, NewTask
from mainspring.store.sqlite import SqliteStore
from mainspring.store.sqlite_backup import backup
from mainspring.store.sqlite_check import findings_in
from mainspring.store.sqlite_export import exported
from mainspring.store.sqlite_import import import_lines
from mainspring.store.sqlite_restore import restore
from mainspring.tasks.state import STATES, State

T = 1_800_000_000_000_000


def parcel(id_, **fields):
    return Parcel(id_, NewTask(work="shop:ship", run_at=T, name=id_, **fields))


@pytest.fixture
def path(tmp_path):
    """A store that has taken in some: one whose row is gone, two that are one task, one withdrawn, one forgotten."""
    path = str(tmp_path / "shop.db")
    with closing(SqliteStore(path)) as store:
        forgotten = Parcel("forgotten", NewTask(work="shop:ship", run_at=T), refused="not allowed")
        store.arrivals.take_in([forgotten], T - 10)
        assert store.prune(T, 10) == 1
        store.arrivals.take_in([parcel("gone"), parcel("a", key="k"), parcel("b", key="k", on_conflict="keep")], T)
        store.arrivals.gone(["gone"])
        store.arrivals.withdraw("withdrawn", T)
    return path


ALL = ("gone", "a", "b", "withdrawn", "forgotten")


def brought_again(path):
    """Every row is brought once more; the names of the tasks, with the states."""
    with closing(SqliteStore(path)) as store:
        arrivals = dict(zip(ALL, store.arrivals.take_in([parcel(id_) for id_ in ALL], T + 1), strict=True))
        assert arrivals["a"] == arrivals["b"]
        store.arrivals.gone(ALL)
        tasks = sorted((row.name, row.state) for row in store.find(Filter(states=STATES)))
    assert findings_in(path) == []
    return tasks


ONCE = [("a", State.WAITING), ("gone", State.WAITING), ("withdrawn", State.CANCELLED)]


def test_a_backup_knows_what_had_come(path, tmp_path):
    copy = str(tmp_path / "copy.db")
    backup(path, copy)
    assert brought_again(path) == ONCE
    restore(path, copy, T)
    assert brought_again(path) == ONCE


def test_an_export_carries_it(path, tmp_path):
    target = str(tmp_path / "target.db")
    lines = list(written(exported(path, T)))
    assert import_lines(target, lines).tasks == 2
    assert import_lines(target, lines).known == 2
    with closing(SqliteStore(target)) as store:
        assert store.arrivals.find("withdrawn") == Arrival(None)
        assert store.get(store.arrivals.find("b").task).name == "a"
    assert brought_again(target) == ONCE


def test_what_has_come_on_both_sides_is_one_task(path, tmp_path):
    target = str(tmp_path / "target.db")
    with closing(SqliteStore(target)) as store:
        [here] = store.arrivals.take_in([parcel("b")], T)
    told = import_lines(target, list(written(exported(path, T))))
    assert (told.tasks, told.kept) == (1, 1)
    with closing(SqliteStore(target)) as store:
        assert store.arrivals.find("b") == here
        assert store.arrivals.find("a") == here
        assert sorted(row.name for row in store.find(Filter())) == ["b", "gone"]
