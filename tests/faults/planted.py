"""Bugs that are planted into the process of a test: what looks for such bugs must find each of them."""

from contextlib import contextmanager

import apsw

from mainspring.store import sqlite_connection, sqlite_settle, sqlite_sql
from mainspring.store.sqlite_connection import Connections


def told_before_commit():
    """A call returns, and its commit is made when somebody comes next."""
    read, close = Connections._read, Connections.close

    @contextmanager
    def write(self, *, durable):
        with self._writing.lock, self._told():
            con = self._writer()
            _commit(self)
            con.execute("PRAGMA synchronous = FULL")
            con.execute("BEGIN IMMEDIATE")
            try:
                yield con
            except BaseException:
                con.execute("ROLLBACK")
                raise

    def _commit(self):
        if self._writing.con is not None and self._writing.con.in_transaction:
            self._writing.con.execute("COMMIT")

    def _read(self, *given):
        _commit(self)
        return read(self, *given)

    def closing(self):
        _commit(self)
        close(self)

    Connections.write, Connections._read, Connections.close = write, _read, closing


def nothing_durable():
    """Every commit is an ordinary one, also those that somebody was promised."""
    write = Connections.write
    Connections.write = lambda self, *, durable: write(self, durable=False)


def nothing_synced():
    """No commit and no copying of the log waits for the disk."""
    write, connect = Connections.write, Connections._connect

    def unsynced(self, flags):
        con = connect(self, flags)
        con.execute("PRAGMA synchronous = OFF")
        return con

    @contextmanager
    def careless(self, *, durable):
        self._durable = durable  # so that nothing is set anew
        with write(self, durable=durable) as con:
            yield con

    Connections._connect, Connections.write = unsynced, careless


def in_two_commits():
    """Outcomes are committed first, and then what goes with them."""
    keep = sqlite_settle._keep_records

    def apart(con, settlements):
        con.execute("COMMIT; BEGIN IMMEDIATE")
        keep(con, settlements)

    sqlite_settle._keep_records = apart


def no_token_check():
    """Whoever knows a task's number settles it."""
    for name in ("SETTLE", "SETTLE_PLAIN", "APPLICABLE"):
        setattr(sqlite_sql, name, getattr(sqlite_sql, name).replace("AND task.token = s.token", ""))


def failed_sync_forgotten():
    """After a failed sync the same connections go on, as if the next one made it good."""

    @contextmanager
    def told(self):
        try:
            yield
        except apsw.Error as error:
            raise sqlite_connection.explained(self.path, error) from error

    Connections._told = told


def log_not_written_again():
    """After a failed sync the log is copied into the file, though it may not be on the disk itself."""
    sqlite_connection._write_again = lambda log: None


def plant(name):
    """One of them, by its name; None: none."""
    if name is not None:
        globals()[name]()
