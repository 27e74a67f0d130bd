"""Why the store's file can be no outbox: two SQLite libraries in one process drop each other's locks."""

import subprocess
import sys

import pytest

pytestmark = pytest.mark.process

# Tries to write to the store, and says whether it was let.
INTRUDER = """
import sys, apsw
con = apsw.Connection(sys.argv[1])
try:
    con.execute("BEGIN IMMEDIATE")
except apsw.BusyError:
    print("locked")
else:
    print("let in")
"""


def intrude(path):
    done = subprocess.run(
        [sys.executable, "-c", INTRUDER, path], capture_output=True, text=True, timeout=60, check=True
    )
    return done.stdout.strip()


# The process that writes: it asks before and after another library of its own has read the same file.
WRITER = """
import sqlite3, sys
from mainspring.store.rows import NewTask
from mainspring.store.sqlite import SqliteStore

store = SqliteStore(sys.argv[1])
store.add([NewTask(work="shop:open_sale", run_at=1)], 1)
with store._db.write(durable=True) as con:  # it writes, and has the lock
    print("writing", flush=True)
    input()
    other = sqlite3.connect(sys.argv[1])
    other.execute("SELECT count(*) FROM task").fetchall()
    other.close()
    print("closed", flush=True)
    input()
"""


def test_the_close_of_another_library_lets_a_second_writer_in(tmp_path):
    path = str(tmp_path / "shop.db")
    writer = subprocess.Popen(
        [sys.executable, "-c", WRITER, path], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    with writer:
        assert writer.stdout.readline() == "writing\n"
        assert intrude(path) == "locked"
        writer.stdin.write("\n")
        writer.stdin.flush()
        assert writer.stdout.readline() == "closed\n"
        # the writer is still within its transaction, and somebody else begins one
        assert intrude(path) == "let in"
        writer.kill()
