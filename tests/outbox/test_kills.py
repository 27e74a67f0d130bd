"""Real processes, killed between any two steps: each committed order has one task, and no other order has any."""

import signal
import sqlite3
import subprocess
import sys
from collections import Counter
from contextlib import closing

import pytest
from own_database import outbox_rows, stored

from mainspring import Daemon

pytestmark = pytest.mark.process

LATER = "2090-01-01T00:00:00Z"  # nothing runs: what is counted is what was added

# Adds three orders, each with its task, and dies at the step that is named.
ADDER = """
import os, signal, sqlite3, sys
from mainspring import Daemon
from mainspring.store import outbox

store, orders, point = sys.argv[1:]
def die(at):
    if at == point:
        os.kill(os.getpid(), signal.SIGKILL)

daemon = Daemon(store)
con = sqlite3.connect(orders)
for order in (1, 2, 3):
    con.execute("INSERT INTO orders (id) VALUES (?)", (order,))
    die("order written")
    daemon.add_task("shop:ship", args=(order,), name=str(order), at="2090-01-01T00:00:00Z", connection=con)
    if order == 2:
        die("task written")
die("all written")
con.commit()
die("committed")
"""

# Moves what is there, and dies after the step that is named.
MOVER = """
import os, signal, sys, threading
from mainspring import Daemon
from mainspring.store import outbox
from mainspring.store.sqlite_arrivals import SqliteArrivals

store, orders, point = sys.argv[1:]

def dies_after(holder, name):
    real = getattr(holder, name)
    def mortal(*arguments):
        value = real(*arguments)
        if name != "read" or value:
            os.kill(os.getpid(), signal.SIGKILL)
        return value
    setattr(holder, name, mortal)

def delete_and_die(reached, ids):
    reached.run(outbox._DELETE.format(marks=", ".join("?" * len(ids))), ids)
    os.kill(os.getpid(), signal.SIGKILL)

if point == "deleting":
    outbox.delete = delete_and_die
else:
    dies_after(SqliteArrivals if hasattr(SqliteArrivals, point) else outbox, point)
Daemon(store, outboxes=[orders]).start()
threading.Event().wait()
"""


def killed(program, *arguments):
    done = subprocess.run([sys.executable, "-c", program, *arguments], timeout=60, check=False)
    assert done.returncode == -signal.SIGKILL


def settle(store, orders):
    """A daemon that lives moves the rest; the orders and the names of all tasks."""
    with closing(sqlite3.connect(orders)) as con, Daemon(store, outboxes=[orders]) as daemon:
        with con:
            last = daemon.add_task("shop:ship", name="last", at=LATER, connection=con)
        assert came(daemon, last)
        kept = [str(order) for (order,) in con.execute("SELECT id FROM orders")]
        tasks = [task.name for task in stored(daemon) if task.name != "last"]
    daemon.close()
    return kept, tasks


def left(orders):
    with closing(sqlite3.connect(orders)) as con:
        return outbox_rows(con)


def came(daemon, task):
    """Wait until the task is in the store."""
    return daemon._waiting.until(lambda: task.refresh().row.id or None, 60_000_000)


@pytest.mark.parametrize("point", ["order written", "task written", "all written", "committed"])
def test_who_adds_is_killed(tmp_path, orders, point):
    store = str(tmp_path / "shop.db")
    killed(ADDER, store, orders, point)
    kept, tasks = settle(store, orders)
    assert Counter(kept) == Counter(tasks) == Counter(["1", "2", "3"] if point == "committed" else [])
    assert left(orders) == []


@pytest.mark.parametrize("point", ["read", "take_in", "deleting", "delete", "gone"])
def test_who_moves_is_killed(tmp_path, orders, point):
    store = str(tmp_path / "shop.db")
    subprocess.run([sys.executable, "-c", ADDER, store, orders, "never"], timeout=60, check=True)
    killed(MOVER, store, orders, point)
    kept, tasks = settle(store, orders)
    assert Counter(kept) == Counter(tasks) == Counter(["1", "2", "3"])
    assert left(orders) == []


def test_two_daemons_move_each_row_once(tmp_path, orders):
    store = str(tmp_path / "shop.db")
    with closing(sqlite3.connect(orders)) as con:
        adder = Daemon(store)
        for order in range(1_500):
            con.execute("INSERT INTO orders (id) VALUES (?)", (order,))
            adder.add_task("shop:ship", name=str(order), at=LATER, connection=con)
        con.commit()
        adder.close()
    with Daemon(store, outboxes=[orders]), Daemon(store, outboxes=[orders]):
        kept, tasks = settle(store, orders)
    assert len(kept) == 1_500
    assert Counter(kept) == Counter(tasks)
    assert left(orders) == []
