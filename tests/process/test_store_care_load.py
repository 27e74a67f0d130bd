"""Backups, checks, exports and compactions while a daemon and adders really run; and kill -9 in the middle of them."""

import os
import select
from contextlib import closing

import pytest

from mainspring.store.portable import TaskLine, written
from mainspring.store.rows import Filter, NewTask
from mainspring.store.sqlite import SqliteStore
from mainspring.store.sqlite_backup import backup
from mainspring.store.sqlite_check import findings_in
from mainspring.store.sqlite_compact import compact
from mainspring.store.sqlite_export import exported
from mainspring.store.sqlite_import import import_lines
from mainspring.store.sqlite_restore import restore
from mainspring.tasks.state import STATES
from mainspring.when.clock import SystemClock

pytestmark = pytest.mark.process

ADD = """
import os, sys
from support import say
from mainspring import Daemon

client = Daemon(os.environ["STORE"], name="adds")
while True:
    items = [{"work": "workload:quick", "after": 0 if n % 2 else 3600} for n in range(20)]
    ids = [task.id for task in client.add_tasks(items)]
    say("added", *ids)
"""


class Acknowledged:
    """What adders were told, as far as it was read."""

    def __init__(self, adders):
        self.adders = adders
        self.ids = set()

    def take(self, lines=1):
        """Read on: at least `lines` of each adder."""
        for adder in self.adders:
            for _ in range(lines):
                self._read(adder.until("added"))

    def all_by_now(self):
        """All that was acknowledged before this was called and can be read without waiting; the ids."""
        for adder in self.adders:
            while select.select([adder.process.stdout], (), (), 0)[0] or b"\n" in adder._buffer:
                line = adder.line(0)
                if line is None:
                    break
                self._read(line)
        return set(self.ids)

    def _read(self, line):
        self.ids.update(map(int, line.split()[1:]))


@pytest.fixture
def load(start):
    """A daemon that runs, and two processes that add."""
    daemon = start("serve.py", LEVEL="WARNING")
    daemon.until("alone")
    adders = [start("-c", ADD) for _ in range(2)]
    told = Acknowledged(adders)
    told.take(5)
    told.daemon = daemon
    return told


def ids_in(path):
    with closing(SqliteStore(path, create=False)) as store:
        return {row.id for row in store.find(Filter(states=STATES, limit=10**7))}


def test_backups_under_load_have_all_that_was_acknowledged_before_they_began(load, place, tmp_path):
    store = place["STORE"]
    for number in range(4):
        before = load.all_by_now()
        assert before
        copy = str(tmp_path / f"copy-{number}.db")
        backup(store, copy)
        assert findings_in(copy) == []
        assert before <= ids_in(copy)
        load.take(2)  # they go on
    assert findings_in(store) == []


def test_a_check_an_export_and_a_compaction_beside_a_load(load, place, tmp_path):
    store, target = place["STORE"], str(tmp_path / "target.db")
    for _ in range(2):
        assert findings_in(store) == []
        before = load.all_by_now()
        lines = list(exported(store, 1))
        ids = [line.id for line in lines if isinstance(line, TaskLine)]
        assert before <= set(ids)
        import_lines(target, written(lines))
        assert findings_in(target) == []
        assert ids_in(target) == set(ids)
        assert compact(store, SystemClock()).how == "log"
        load.take(2)


def test_a_backup_that_is_restored_runs(load, place, start, tmp_path):
    store, copy = place["STORE"], str(tmp_path / "copy.db")
    backup(store, copy)
    load.take(3)
    for one in (*load.adders, load.daemon):
        one.kill()
    with_all = ids_in(store)
    told = restore(store, copy, 1)
    assert findings_in(store) == findings_in(told.aside) == []
    assert with_all == ids_in(told.aside)
    daemon = start("serve.py")
    daemon.until("alone")
    with closing(SqliteStore(store)) as kept:
        due = [row.id for row in kept.find(Filter(states=STATES, limit=10**7)) if row.run_at < SystemClock().now()]
        assert due
        with closing(kept.watch()) as watch:
            while any(kept.get(task).finished_at is None for task in due):
                assert select.select([watch.fileno()], (), (), 60)[0]
                watch.drain()
        adder = start("-c", ADD)
        assert min(map(int, adder.until("added").split()[1:])) > max(with_all)
        adder.kill()
    daemon.terminate()
    assert findings_in(store) == []


# ── killed in the middle ───────────────────────────────────────────────────────────────────────────────────────

STOPS_IN_A_BACKUP = """
import sys
from support import say
from mainspring.store.sqlite_backup import backup

def progress(done, of):
    if done < of:
        say("half")
        sys.stdin.readline()

backup(sys.argv[1], sys.argv[2], progress=progress)
"""
STOPS_IN_A_RESTORE = """
import sys
from support import say
from mainspring.store import sqlite_restore
from mainspring.store.sqlite_copy import transfer

def progress(done, of):
    if done < of:
        say("half")
        sys.stdin.readline()

sqlite_restore.transfer = lambda new, old: transfer(new, old, progress)
sqlite_restore.restore(sys.argv[1], sys.argv[2], 1)
"""
STOPS_IN_AN_IMPORT = """
import sys
from support import say
from mainspring.store.sqlite_import import import_lines

def texts():
    for number, line in enumerate(open(sys.argv[1], "rb")):
        if number == 2_500:
            say("half")
            sys.stdin.readline()
        yield line

import_lines(sys.argv[2], texts())
"""


@pytest.fixture
def filled(place):
    with closing(SqliteStore(place["STORE"])) as store:
        store.add([NewTask(run_at=1, work="m:f", payload='[["%s"],{}]' % ("x" * 300)) for _ in range(6_000)], 1)
    return place["STORE"]


def test_a_backup_that_is_killed_leaves_no_half_file(filled, start, tmp_path):
    copy = str(tmp_path / "copy.db")
    script = start("-c", STOPS_IN_A_BACKUP, filled, copy)
    script.until("half")
    assert len(parts(tmp_path)) == 1
    script.kill()
    assert not os.path.exists(copy)
    backup(filled, copy)  # which clears away what was left
    assert parts(tmp_path) == []
    assert len(ids_in(copy)) == 6_000


def test_a_restore_that_is_killed_leaves_the_old_store_whole(filled, start, tmp_path):
    copy = str(tmp_path / "copy.db")
    backup(filled, copy)
    with closing(SqliteStore(filled)) as store:
        store.add([NewTask(run_at=1, work="m:g") for _ in range(3_000)], 1)
    script = start("-c", STOPS_IN_A_RESTORE, filled, copy)
    script.until("half")
    script.kill()
    assert findings_in(filled) == []
    assert len(ids_in(filled)) == 9_000
    assert restore(filled, copy, 2).tasks == len(ids_in(filled)) == 6_000
    assert parts(tmp_path) == []


def test_one_that_still_runs_is_not_cleared_away(filled, start, tmp_path):
    copy = str(tmp_path / "copy.db")
    script = start("-c", STOPS_IN_A_BACKUP, filled, copy)
    script.until("half")
    backup(filled, copy)
    assert len(parts(tmp_path)) == 1


def parts(folder):
    return [name for name in os.listdir(folder) if name.endswith(".part")]


def test_an_import_that_is_killed_goes_on_and_doubles_nothing(filled, start, tmp_path):
    text, target = tmp_path / "store.jsonl", str(tmp_path / "target.db")
    with open(text, "wb") as file:
        file.writelines(written(exported(filled, 1)))
    script = start("-c", STOPS_IN_AN_IMPORT, text, target)
    script.until("half")
    script.kill()
    assert findings_in(target) == []
    assert 1_000 <= len(ids_in(target)) < 6_000
    with open(text, "rb") as file:
        told = import_lines(target, file)
    assert told.known >= 1_000
    assert told.tasks + told.known == 6_000
    assert ids_in(target) == ids_in(filled)
    assert findings_in(target) == []
