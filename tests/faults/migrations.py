"""An older store that is brought up and killed in the middle of it. The files that it leaves are looked at here."""

import sys
from contextlib import closing
from itertools import count
from pathlib import Path

import apsw
from effects import SECOND, T, contents
from faulty_vfs import die

from mainspring.store.rows import NewNode, NewTask, Settlement
from mainspring.store.sqlite import SqliteStore
from mainspring.tasks.state import CODES, State

sys.path.append(str(Path(__file__).parents[1] / "store"))

from store_ages import UNDO, make_older  # it lies in the room of the store's own tests

__all__ = ["UNDO", "kept", "killed_at_statement", "make"]


def make(path, version):
    """A store of an older version, with tasks that wait, are held, have run and have failed; the version it has."""
    with closing(SqliteStore(path)) as store:
        store.add(
            [NewTask(run_at=T + n, work="m:f", key=f"k{n}", name="label", payload="[[1],{}]") for n in range(40)], T
        )
        seat = store.join(NewNode(host="h", pid=1, version="1", workers=2, started_at=T))
        held = store.reserve(seat.node, [1], after=0, until=T + SECOND, limit=30)
        store.record([_ended(task.id, held.token) for task in held.tasks[:20]])
    with closing(apsw.Connection(path)) as con:
        return make_older(con, version)


def _ended(task, token):
    state = CODES[State.SUCCEEDED if task % 2 else State.WAITING]
    fails = task % 2 == 0
    return Settlement(task, token, state, False, 1, int(fails), T if fails else None, None, T, T, "1", failed_try=fails)


def kept(path):
    """What every version has of tasks, attempts, daemons and counters; the file's schema; SQLite's own check."""
    rows = contents(path)
    with closing(apsw.Connection(path)) as con:
        tasks = list(con.execute("SELECT id, state, run_at, holder, token, attempt, key, name, payload FROM task"))
        schema = [con.pragma("user_version"), sorted(con.execute("SELECT name, sql FROM sqlite_schema"))]
        return [tasks, rows["attempt"], rows["node"], rows["meta"]], schema, con.execute("PRAGMA integrity_check").get


def killed_at_statement(number):
    """SIGKILL before the n-th statement that this process runs from now on."""
    numbers = count(1)

    def trace(*_):
        if next(numbers) == number:
            die()
        return True

    apsw.connection_hooks.append(lambda con: con.set_exec_trace(trace))
