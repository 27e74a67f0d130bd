"""A store's file for one process alone: for what no other may see half done, or be in the middle of."""

import os
from collections.abc import Iterator
from contextlib import contextmanager

import apsw

from mainspring.errors import StoreConflict
from mainspring.store import sqlite_nodes
from mainspring.store.sqlite_copy import told

_PATIENCE_MS = 1_000  # for whoever only looks in


@contextmanager
def alone(path: str) -> Iterator[apsw.Connection]:
    """A connection beside which there is none, in no process; whoever comes meanwhile waits for its end.

    SQLite gives up a write-ahead log only to the last connection there is, and every connection of ours lives as long
    as its store is open: so a file in use is known, whoever uses it. Raises `StoreConflict` then.
    """
    refuse_living(path)
    with told(path):
        con = apsw.Connection(path, flags=apsw.SQLITE_OPEN_READWRITE)
        try:
            con.set_busy_timeout(_PATIENCE_MS)
            con.execute("PRAGMA locking_mode = EXCLUSIVE; PRAGMA synchronous = FULL")
            try:
                con.execute("PRAGMA journal_mode = DELETE")
                con.execute("BEGIN EXCLUSIVE; COMMIT")
                con.execute(
                    "PRAGMA journal_mode = WAL"
                )  # still alone: what is written goes there, and back when closed
            except apsw.BusyError:
                raise StoreConflict(
                    f"the store {path} is in use: stop the daemons (`mainspring status` shows them) and the programs "
                    f"that have it open, and come again"
                ) from None
            yield con
        finally:
            con.close()


def refuse_living(path: str) -> None:
    """Raise `StoreConflict` when a daemon holds its lock beside the file, whatever the file itself is like."""
    folder = f"{path}-nodes"
    names = os.listdir(folder) if os.path.isdir(folder) else []
    for number in sorted(int(name[:-5]) for name in names if name.endswith(".lock") and name[:-5].isdecimal()):
        if sqlite_nodes.is_alive(folder, number):
            raise StoreConflict(
                f"the daemon {number} runs the store {path}: stop it (`mainspring status` shows its process), and come "
                f"again"
            )
