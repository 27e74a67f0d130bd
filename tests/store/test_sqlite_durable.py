"""What is on the disk when a verb returns, and what happens when the disk refuses."""

import os
from contextlib import closing

import apsw
import pytest

from mainspring.errors import StoreError
from mainspring.store.rows import Cancel, Filter, NewNode, NewTask, Release, Reschedule, Settlement, Standing, Verdict
from mainspring.store.sqlite import SqliteStore

T = 1_700_000_000_000_000


class Disk(apsw.VFS):
    """The system's files, with a count of syncs and a switch that makes them fail."""

    def __init__(self):
        self.synced = []
        self.opened = 0
        self.broken = False
        self.usual = apsw.vfs_names()[0]
        super().__init__("disk", self.usual, makedefault=True)

    def xOpen(self, name, flags):
        self.opened += 1
        return File(self, name, flags)

    def close(self):
        self.unregister()
        apsw.set_default_vfs(self.usual)


class File(apsw.VFSFile):
    def __init__(self, disk, name, flags):
        self.disk = disk
        self.name = os.path.basename(name.filename() if isinstance(name, apsw.URIFilename) else str(name))
        super().__init__(disk.usual, name, flags)

    def xSync(self, flags):
        if self.disk.broken:
            raise apsw.IOError("the test says so")
        self.disk.synced.append(self.name)
        super().xSync(flags)


@pytest.fixture
def disk():
    with closing(Disk()) as disk:
        yield disk


@pytest.fixture
def path(tmp_path):
    return str(tmp_path / "a.db")


@pytest.fixture
def store(disk, path):
    with closing(SqliteStore(path)) as store:
        store.add([NewTask(run_at=T) for _ in range(4)], T)
        yield store


def task(**fields):
    return NewTask(run_at=T, **fields)


def node():
    return NewNode(host="here", pid=os.getpid(), version="1", workers=2, started_at=T)


def schedule(version=0):
    return Standing(kind="schedule", name="nightly", definition="{}", version=version)


def lanes(store):
    return [lane.id for lane in store.lanes()]


DURABLE = {
    "add": lambda store: store.add([task()], T),
    "add with a key": lambda store: store.add([task(key="k")], T),
    "cancel": lambda store: store.change(1, Cancel(), T),
    "reschedule": lambda store: store.change(1, Reschedule(T + 5), T),
    "ask": lambda store: store.ask(1, None, Release()),
    "pause": lambda store: store.pause("mail", paused=True),
    "join": lambda store: store.join(node()),
    "put": lambda store: store.put(schedule()),
}


@pytest.mark.parametrize("verb", DURABLE.values(), ids=DURABLE.keys())
def test_it_is_on_the_disk_when_the_verb_returns(store, disk, verb):
    store.answer(1, Verdict("done"))  # the transaction before it was of the other sort
    disk.synced.clear()
    verb(store)
    assert disk.synced == ["a.db-wal"]


def test_schedule_changes_and_chosen_outcomes_too(store, disk):
    seat = store.join(node())
    held = store.reserve(seat.node, lanes(store), after=0, until=T, limit=2)
    store.put(schedule())
    for verb, syncs in (
        (lambda: store.advance(schedule(0), [task()], T, durable=False), 0),
        (lambda: store.advance(schedule(1), [task()], T), 1),
        (lambda: store.record([Settlement(held.tasks[0].id, held.token, 2, False, 1, 0, finished_at=T)]), 0),
        (lambda: store.record([Settlement(held.tasks[1].id, held.token, 1, True, 1, 0)], durable=True), 1),
        (lambda: store.remove("schedule", "nightly"), 1),
        (seat.drop, 0),
        (lambda: store.take_over(seat.node, T), 1),
    ):
        disk.synced.clear()
        verb()
        assert disk.synced == ["a.db-wal"] * syncs


def test_the_hot_path_waits_for_no_disk(store, disk):
    seat = store.join(node())
    disk.synced.clear()
    held = store.reserve(seat.node, lanes(store), after=0, until=T, limit=4)
    assert store.record([Settlement(t.id, held.token, 2, False, 1, 0, finished_at=T) for t in held.tasks]) == []
    store.prune(T + 1, 10)
    store.report(seat.node, [1])
    store.leave(seat.node)
    assert disk.synced == []


def test_after_a_failed_sync_nothing_is_acknowledged_until_the_disk_took_everything(store, disk):
    disk.broken = True
    with pytest.raises(StoreError, match="the disk did not take"):
        store.add([task(key="first")], T)
    for verb in (
        lambda: store.add([task(key="second")], T),
        lambda: store.change(1, Cancel(), T),
        lambda: store.reserve(1, lanes(store), after=0, until=T, limit=1),
        lambda: store.get(1),
    ):
        with pytest.raises(StoreError, match="the disk did not take"):
            verb()
    disk.broken = False
    disk.synced.clear()
    opened = disk.opened
    assert store.get(1) is not None
    assert disk.opened > opened  # by connections that had not seen the failure
    assert "a.db" in disk.synced  # and what was in doubt was written anew
    [third] = store.add([task(key="third")], T)
    assert store.get(third.id).key == "third"
    assert not [row for row in store.find(Filter()) if row.key == "second"]


def test_a_place_is_free_again_when_it_could_not_be_written_down(store, disk):
    disk.broken = True
    with pytest.raises(StoreError, match="the disk did not take"):
        store.join(node())
    disk.broken = False
    seat = store.join(node())  # also when it gets the same number
    assert [row.id for row in store.nodes() if row.alive] == [seat.node]
