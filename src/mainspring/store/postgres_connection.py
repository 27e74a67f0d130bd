"""The connections of a store on PostgreSQL: made when they are needed, made anew when they are lost.

A transaction is a function, so that it can be run again: when it was in somebody's way, or when the connection broke
before its commit. When it breaks while the commit is on its way, nobody knows whether it was made. So each transaction
first writes its number into the row that its connection has in `receipt`; another connection then looks which number
is there, and waits meanwhile for the old session, which holds that row as long as it lives.
"""

import logging
import os
import secrets
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from threading import Condition
from typing import LiteralString, TypeVar
from urllib.parse import parse_qsl, urlsplit

import psycopg
from psycopg.rows import TupleRow

from mainspring.errors import StoreError
from mainspring.store.postgres_errors import explained, remedy
from mainspring.store.postgres_url import shown
from mainspring.when.clock import SystemClock

log = logging.getLogger("mainspring")

T = TypeVar("T")
Cursor = psycopg.Cursor[TupleRow]
Values = Sequence[object] | dict[str, object]

_MOST = 8  # connections for transactions
_PATIENCE_US = 30_000_000  # so long a server that cannot be reached is waited for
_PAUSE_S, _LONGEST_PAUSE_S = 0.02, 0.5
_PREPARE_AFTER = 5
_HINTED = 3  # tries: connections of before the server was started anew find out one by one

# A peer that is gone is noticed within 15 s, also where no packet tells of it.
_KEPT_ALIVE: dict[str, str | int] = {
    "connect_timeout": 5, "keepalives_idle": 5, "keepalives_interval": 2, "keepalives_count": 3,
    "tcp_user_timeout": 10_000, "application_name": "mainspring", "client_encoding": "utf8",
    "target_session_attrs": "read-write",
}  # fmt: skip

# The receipt is looked at while the old session may still be about to commit: then this waits until it has ended.
_RECEIPT = """
INSERT INTO mainspring.receipt (client, number) VALUES (%s, 0)
ON CONFLICT (client) DO UPDATE SET number = mainspring.receipt.number RETURNING number"""


def void(_: object) -> None:
    """Nothing, whatever was done."""


class _Line:
    """A connection, and the name and number of its receipts."""

    def __init__(self, con: psycopg.Connection[TupleRow]) -> None:
        self.con = con
        self.client = secrets.randbits(63)
        self.number = 0
        self.cursor = con.cursor()

    def begin(self, *, receipt: bool) -> None:
        """One round trip. The server ends a transaction whose client says nothing for 10 s: it holds rows."""
        self.number += 1
        note = (  # numbers of ours alone
            f"INSERT INTO mainspring.receipt (client, number) VALUES ({self.client}, {self.number}) "  # noqa: S608
            f"ON CONFLICT (client) DO UPDATE SET number = excluded.number, at = excluded.at"
        )
        text = f"BEGIN; SET LOCAL idle_in_transaction_session_timeout = 10000; {note if receipt else ''}"
        self.con.execute(_literal(text))


class Connections:
    """All access to the database at `url`. Every error of psycopg leaves here as one that says what to do."""

    def __init__(self, url: str, *, patience: int = _PATIENCE_US) -> None:
        self.place = shown(url)
        self._url = url
        self._patience = patience
        self._clock = SystemClock()
        self._prepare: int | None = _PREPARE_AFTER
        self._begin()

    def _begin(self) -> None:
        self._free = Condition()
        self._idle: list[_Line] = []
        self._lent: set[_Line] = set()
        self._closed = False

    # ── using ──────────────────────────────────────────────────────────────────────────────────────────────
    def look(self, statement: LiteralString, values: Values = ()) -> list[TupleRow]:
        """The rows of one statement, as it is committed now."""
        return self._tried(lambda line: line.cursor.execute(statement, values).fetchall())

    def do(self, statement: LiteralString) -> None:
        """One statement, or several at once, of which it does not matter whether they were done twice."""
        self._tried(lambda line: void(line.con.execute(statement)))

    def hint(self, statement: LiteralString) -> None:
        """The same, if it can be done at once: nobody waits for a server that is away, to tell what is only a hint."""
        for _ in range(_HINTED):
            with suppress(psycopg.Error), self._borrowed() as line:
                line.con.execute(statement)
                return

    def write(self, work: Callable[[Cursor], T], *, receipt: bool = True) -> T:
        """One durable transaction: what `work` does, which is called again when it has to be.

        Without a `receipt` a commit whose answer was lost is a `StoreError`: for what the caller can set right.
        """

        def once(line: _Line) -> T:
            line.begin(receipt=receipt)
            value = work(line.cursor)
            try:
                line.con.execute("COMMIT")
            except psycopg.Error as error:
                if remedy(error) != "reconnect":
                    raise
                self._drop(line)
                if not receipt:
                    said = f"the connection to {self.place} broke: whether the last change was kept is not known"
                    raise StoreError(said) from error
                if not self._was_committed(line):
                    raise
                log.info("the connection broke while a commit was on its way; it had been made")
            return value

        return self._tried(once)

    def _was_committed(self, line: _Line) -> bool:
        [(number,)] = self.look(_RECEIPT, (line.client,))
        return bool(number == line.number)

    def _tried(self, work: Callable[[_Line], T]) -> T:
        """What `work` answers; called again as long as there is hope."""
        end, pause = self._clock.monotonic() + self._patience, _PAUSE_S
        while True:
            try:
                with self._borrowed() as line:
                    return work(line)
            except psycopg.Error as error:
                match remedy(error):
                    case "unprepared":
                        self._prepare = None
                    case "none":
                        raise explained(self.place, error) from error
                if self._clock.monotonic() >= end or self._closed:
                    raise explained(self.place, error) from error
            time.sleep(pause * (1 + secrets.randbelow(100) / 100))
            pause = min(2 * pause, _LONGEST_PAUSE_S)

    # ── having ─────────────────────────────────────────────────────────────────────────────────────────────
    def connect(self) -> psycopg.Connection[TupleRow]:
        """A connection of one's own, outside of the count. Raises `psycopg.Error`."""
        given = dict(parse_qsl(urlsplit(self._url).query))
        options = {name: value for name, value in _KEPT_ALIVE.items() if name not in given}
        con = psycopg.connect(self._url, autocommit=True, **options)  # type: ignore[arg-type]  # of libpq
        con.prepare_threshold = self._prepare
        return con

    @contextmanager
    def _borrowed(self) -> Iterator[_Line]:
        line = self._take()
        try:
            yield line
        finally:
            self._give(line)

    def _take(self) -> _Line:
        with self._free:
            self._free.wait_for(lambda: self._idle or len(self._lent) < _MOST or self._closed)
            if self._closed:
                raise StoreError(f"the store {self.place} was closed; make another one to go on")
            line = self._idle.pop() if self._idle else None
            place = line or _Nobody()
            self._lent.add(place)  # type: ignore[arg-type]  # keeps its place while it connects
        if line is None:
            try:
                line = _Line(self.connect())
            finally:
                with self._free:
                    self._lent.discard(place)
                    if line is not None:
                        self._lent.add(line)
                    self._free.notify()
        return line

    def _give(self, line: _Line) -> None:
        """Take it back, in order: what an exception left open is undone; a broken one is dropped."""
        with suppress(psycopg.Error):
            if not line.con.closed and line.con.info.transaction_status != psycopg.pq.TransactionStatus.IDLE:
                line.con.execute("ROLLBACK")
        idle = not line.con.closed and line.con.info.transaction_status == psycopg.pq.TransactionStatus.IDLE
        with self._free:
            self._lent.discard(line)
            if idle and not self._closed and line.con.prepare_threshold == self._prepare:
                self._idle.append(line)
            else:
                self._drop(line)
            self._free.notify()

    def _drop(self, line: _Line) -> None:
        with suppress(psycopg.Error):
            line.con.close()

    def close(self) -> None:
        """Let go of everything. Closing twice is fine."""
        with self._free:
            self._closed = True
            idle, self._idle = self._idle, []
            self._free.notify_all()
        for line in idle:
            self._drop(line)

    def after_fork_in_child(self) -> None:
        """In a forked child: the sessions are the parent's."""
        for line in [*self._idle, *self._lent]:
            if isinstance(line, _Line):
                abandon(line.con)
        closed = self._closed
        self._begin()
        self._closed = closed


class _Nobody:
    """Stands for a connection that is being made."""


_abandoned: list[psycopg.Connection[TupleRow]] = []  # never collected: that would tell the server goodbye


def abandon(con: psycopg.Connection[TupleRow]) -> None:
    """In a forked child: let go of a connection without a word to the server, with whom the parent goes on."""
    _abandoned.append(con)
    with suppress(psycopg.Error, OSError):
        nothing = os.open(os.devnull, os.O_RDWR)
        os.dup2(nothing, con.fileno())
        os.close(nothing)


def _literal(text: str) -> LiteralString:
    """A text of ours with numbers of ours in it."""
    return text
