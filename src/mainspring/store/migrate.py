"""The schema of a store's file, in versions, and the way from an older one to this one.

The file says what it is: `application_id` marks it as ours, `user_version` is the number of steps it has seen.
A step is SQL text; it is never edited once released, a change is a further step. All steps run in one transaction.
"""

# ruff: noqa: S608 - the text is made of constants

import time
from contextlib import nullcontext

import apsw

from mainspring.errors import NewerStore, NotAStore, StoreError, StoreNotFound
from mainspring.store import sqlite_lateness
from mainspring.store.sqlite_sql import FIRED

_TRIES, _PAUSE = 3_000, 0.01  # half a minute
APPLICATION_ID = 0x4D535052  # "MSPR"

# Columns in an order that keeps a pending row small: what is NULL or 0 costs its byte in the row's head alone.
_FIRST = f"""
CREATE TABLE meta (key TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID;
INSERT INTO meta VALUES ('token', 0);

CREATE TABLE lane (
  id INTEGER PRIMARY KEY AUTOINCREMENT, queue TEXT NOT NULL, priority INTEGER NOT NULL, kind TEXT NOT NULL,
  work TEXT NOT NULL, UNIQUE (queue, priority, kind, work));

CREATE TABLE task (
  id INTEGER PRIMARY KEY AUTOINCREMENT, lane INTEGER NOT NULL, state INTEGER NOT NULL DEFAULT 0,
  run_at INTEGER NOT NULL, holder INTEGER, token INTEGER, started_at INTEGER, finished_at INTEGER,
  created_at INTEGER NOT NULL, attempt INTEGER NOT NULL DEFAULT 0, failures INTEGER NOT NULL DEFAULT 0,
  losses INTEGER NOT NULL DEFAULT 0, key TEXT, name TEXT, options TEXT, payload TEXT, expires_at INTEGER,
  schedule TEXT, reason TEXT, result TEXT, error TEXT);
CREATE INDEX task_free ON task (lane, run_at) WHERE state = 0 AND holder IS NULL;
CREATE INDEX task_held ON task (holder) WHERE holder IS NOT NULL;
CREATE UNIQUE INDEX task_key ON task (key) WHERE key IS NOT NULL AND state < 2;
CREATE INDEX task_ended ON task (state, {FIRED}, finished_at) WHERE state >= 2;

CREATE TABLE attempt (
  id INTEGER PRIMARY KEY, task INTEGER NOT NULL, attempt INTEGER NOT NULL, started_at INTEGER, finished_at INTEGER,
  reason TEXT NOT NULL, error TEXT);
CREATE INDEX attempt_task ON attempt (task);
CREATE TABLE output (task INTEGER PRIMARY KEY, text TEXT NOT NULL);

CREATE TABLE request (
  id INTEGER PRIMARY KEY AUTOINCREMENT, node INTEGER NOT NULL, task INTEGER, demand TEXT NOT NULL, answer TEXT);
CREATE INDEX request_open ON request (node) WHERE answer IS NULL;
CREATE TABLE node (
  id INTEGER PRIMARY KEY AUTOINCREMENT, host TEXT NOT NULL, pid INTEGER NOT NULL, version TEXT NOT NULL,
  workers INTEGER NOT NULL, started_at INTEGER NOT NULL, app TEXT, unknown TEXT NOT NULL DEFAULT '[]');
CREATE TABLE paused (queue TEXT);
CREATE TABLE standing (
  kind TEXT NOT NULL, name TEXT NOT NULL, app TEXT, definition TEXT NOT NULL, paused INTEGER NOT NULL,
  next_run_at INTEGER, holder INTEGER, status TEXT, version INTEGER NOT NULL, PRIMARY KEY (kind, name)) WITHOUT ROWID;
"""

# For whoever looks for one of them among millions. A task without any of them is in none of these.
_FINDING = """
CREATE INDEX task_label ON task (name, run_at) WHERE name IS NOT NULL AND state < 2;
CREATE INDEX task_schedule ON task (schedule, run_at) WHERE schedule IS NOT NULL AND state < 2;
CREATE INDEX task_label_ended ON task (name, finished_at) WHERE name IS NOT NULL AND state >= 2;
CREATE INDEX task_schedule_ended ON task (schedule, finished_at) WHERE schedule IS NOT NULL AND state >= 2;
CREATE INDEX task_key_ended ON task (key, finished_at) WHERE key IS NOT NULL AND state >= 2;
"""

# One task for each occurrence of a schedule, whoever makes it, or one for a stretch of them that was missed. One that
# was cancelled may be made again: a pause withdraws what was made ahead, and going on makes it anew.
_OCCURRENCES = """
ALTER TABLE task ADD COLUMN occurrence INTEGER;
ALTER TABLE task ADD COLUMN missed_until INTEGER;
ALTER TABLE task ADD COLUMN missed_count INTEGER;
CREATE UNIQUE INDEX task_occurrence ON task (schedule, occurrence) WHERE occurrence IS NOT NULL AND missed_count IS NULL
  AND state <> 4;
"""

# Which tasks of another store are here already, and under which number: so an import can be repeated.
_IMPORTED = """
CREATE TABLE imported (origin TEXT NOT NULL, id INTEGER NOT NULL, task INTEGER NOT NULL, PRIMARY KEY (origin, id))
  WITHOUT ROWID;
"""

# Which rows of outboxes have come, and as which task; NULL: withdrawn before it came. One stays until it is in no
# outbox any more (`gone`) and its task is pruned.
_ARRIVALS = """
CREATE TABLE arrival (id TEXT PRIMARY KEY, task INTEGER, gone INTEGER NOT NULL DEFAULT 0) WITHOUT ROWID;
CREATE INDEX arrival_task ON arrival (task);
"""

STEPS: tuple[str, ...] = (_FIRST, sqlite_lateness.STEP, _FINDING, _OCCURRENCES, _IMPORTED, _ARRIVALS)


def bring_up(con: apsw.Connection, path: str, *, create: bool, steps: tuple[str, ...] = STEPS) -> None:
    """Check that `con` is a store and bring it to the newest schema; an empty file becomes one if `create`.

    Raises `StoreNotFound` (empty, and not to be created), `NotAStore` (somebody else's), `NewerStore`.
    """
    if not _is_behind(con, path, create, steps):
        if con.pragma("journal_mode") != "wal":  # whoever had it for himself was killed, or it was set by hand
            _use_wal(con, path)
        return
    _use_wal(con, path)
    con.execute("BEGIN IMMEDIATE")
    try:
        if _is_behind(con, path, create, steps):  # else another process was first
            seen = _pragma(con, "user_version")
            for step in steps[seen:]:
                con.execute(step)
            con.execute(f"PRAGMA application_id = {APPLICATION_ID}; PRAGMA user_version = {len(steps)}")
        con.execute("COMMIT")
    except BaseException:
        if con.in_transaction:
            con.execute("ROLLBACK")
        raise


def _is_behind(con: apsw.Connection, path: str, create: bool, steps: tuple[str, ...]) -> bool:
    with con if not con.in_transaction else nullcontext():  # one look: another process may be making it
        owner, version = _pragma(con, "application_id"), _pragma(con, "user_version")
        tables = con.execute("SELECT count(*) FROM sqlite_schema").get
    if owner != APPLICATION_ID:
        if owner or version or tables:
            raise NotAStore(
                f"{path} is a SQLite database of something else ({tables} tables, application id {owner}); "
                f"a store needs a file of its own: choose another path"
            )
        if not create:
            raise StoreNotFound(f"there is no store at {path}: the file is empty")
    if version > len(steps):
        raise NewerStore(
            f"{path} was written by a newer Mainspring (schema {version}, this one knows {len(steps)}): "
            f"upgrade this program, or use another path"
        )
    return version < len(steps)


def _use_wal(con: apsw.Connection, path: str) -> None:
    """Write-ahead logging is a property of the file: set once, when the store is made.

    SQLite refuses at once, without waiting, when two processes do it together; so this waits and tries again.
    """
    mode, tries = "", _TRIES
    while not mode:
        try:
            mode = con.execute("PRAGMA journal_mode = WAL").get
        except apsw.BusyError:
            tries -= 1
            if not tries:
                raise
            time.sleep(_PAUSE)
    if mode != "wal":
        raise StoreError(f"{path} lies on a file system where processes cannot share memory: choose another path")


def _pragma(con: apsw.Connection, name: str) -> int:
    return int(con.pragma(name))
