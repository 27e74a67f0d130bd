"""The session of a store on PostgreSQL: it hears news, holds the locks that stand for the life of its nodes, and tells
the server how long their leases are. One thread and one connection, made when somebody watches or takes part.

A pooler that gives each transaction to another session (PgBouncer in transaction mode) hears nothing for us, and a lock
there would be nobody's. So it is tried once whether what is said is heard; where it is not, whoever watches looks
once a second, and leases alone tell who lives.
"""

import logging
import secrets
import select
import threading
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress

import psycopg
from psycopg.rows import TupleRow

from mainspring.errors import StoreError
from mainspring.store.journal import Journal
from mainspring.store.memory_watch import Bell
from mainspring.store.postgres_clock import warn_where_off
from mainspring.store.postgres_connection import Connections, abandon
from mainspring.store.postgres_errors import said_by
from mainspring.store.postgres_life import Life
from mainspring.when.clock import SystemClock

log = logging.getLogger("mainspring")

CHANNEL = "mainspring"

_TRIED_S = 1.0  # so long one's own voice may take to come back
_POLL_S = 1.0  # how late a watcher hears where nobody listens
_SLOW_S = 0.5  # between two attempts to connect
_PATIENCE_S = 30.0
_STEADY_US = 5_000_000  # so long nodes may take to come back after the server was away
_MOST_BYTES = 7_500  # of one notification; PostgreSQL takes 8,000
_IDLE = psycopg.pq.TransactionStatus.IDLE


class Ear:
    """Hears what other processes tell, and hands it to `tell`; says what `send` is given."""

    def __init__(self, db: Connections, tell: Callable[[Iterable[str]], None]) -> None:
        self._db = db
        self._tell = tell
        self._clock = SystemClock()
        self._begin()

    def _begin(self) -> None:
        self._origin = secrets.token_hex(4)
        self._changed = threading.Condition()
        self._bell: Bell | None = None
        self._thread: threading.Thread | None = None
        self._con: psycopg.Connection[TupleRow] | None = None
        self._closing = False
        self._listens = False
        self.life = Life()
        self._heard_itself = threading.Event()
        self._echo = ""
        self._since = 0
        self.hears = False

    # ── for the store ──────────────────────────────────────────────────────────────────────────────────────
    def listen(self) -> None:
        """Hear everything that is committed from now on."""
        with self._changed:
            if self._thread is None and not self._closing:
                self._bell = Bell()
                self._thread = threading.Thread(target=self._run, name="mainspring-ear", daemon=True)
                self._thread.start()
            self._ring()
            self._changed.wait_for(lambda: self._attends or self._closing, _PATIENCE_S)

    @property
    def _attends(self) -> bool:
        """Does it listen, and hold all locks that are wanted?"""
        return self._listens and self.life.kept

    def hold(self, node: int, journal: Journal, row: Sequence[object]) -> None:
        """Have this node live as long as this process has its session. `row`: what `sql.JOIN` was given."""
        self.life.add(node, journal, row)
        self.listen()

    def release(self, node: int) -> None:
        """The node is no more."""
        self.life.remove(node)
        self._ring()

    def told(self, node: int, at: int) -> None:
        """The server was told of this node's lease at this instant: from the first time on it has to be renewed."""
        if self.life.told(node, at):
            self._ring()
            self.send(["nodes"])

    @property
    def steady(self) -> bool:
        """Has the session lasted so long that whoever is not there by now will not come back?"""
        return self.hears and self._clock.boottime() - self._since >= _STEADY_US

    def send(self, texts: Iterable[str]) -> None:
        """Tell everybody. After the commit, outside of its transaction: NOTIFY makes commits wait for each other."""
        told = list(dict.fromkeys(texts))
        self._tell(told)
        payload = ""
        for text in told:
            if len(payload.encode()) + len(text.encode()) > _MOST_BYTES:
                self._say(payload)
                payload = ""
            payload += f"\n{text}" if len(text.encode()) < _MOST_BYTES else "\n*"
        if payload:
            self._say(payload)

    def _say(self, payload: str) -> None:
        text = f"{self._origin}{payload}".replace("\0", " ").replace("'", "''")
        with suppress(StoreError):  # it was closed meanwhile
            self._db.hint(f"SET LOCAL synchronous_commit = off; SELECT pg_notify('{CHANNEL}', '{text}')")

    def close(self) -> None:
        """Hear no more. Closing twice is fine."""
        with self._changed:
            self._closing = True
            thread, self._thread = self._thread, None
            self._changed.notify_all()
        self._ring()
        if thread is not None and thread is not threading.current_thread():
            thread.join()

    def after_fork_in_child(self) -> None:
        """In a forked child: the session is the parent's."""
        con, bell = self._con, self._bell
        if con is not None:
            abandon(con)
        if bell is not None:
            bell.close()
        self._begin()

    def _ring(self) -> None:
        bell = self._bell
        if bell is not None:
            with suppress(OSError):
                bell.ring()

    # ── the thread ─────────────────────────────────────────────────────────────────────────────────────────
    def _run(self) -> None:
        bell = self._bell
        assert bell is not None
        while not self._closing:
            try:
                with self._db.connect() as con:
                    self._con = con
                    self._attend(con, bell)
            except psycopg.Error as error:
                if not self._closing and self._con is not None:
                    log.warning("the session with %s broke (%s): making another", self._db.place, said_by(error))
                self.life.cut(lasting=self.hears)
                self._con, self.hears = None, False
                self._await(bell, [], _SLOW_S)
        self._con = None
        self._bell = None
        bell.close()

    def _attend(self, con: psycopg.Connection[TupleRow], bell: Bell) -> None:
        con.add_notify_handler(lambda note: self._hear(note.payload))
        con.execute(f"LISTEN {CHANNEL}")
        self.hears = self._try(con)
        if not self.hears:
            log.warning(
                "%s is reached through a pooler that lets nobody listen: what is added is noticed up to %.0f s late, "
                "and a dead daemon when its lease has ended; connect to the server itself, or pool by session",
                self._db.place, _POLL_S,
            )  # fmt: skip
        warn_where_off(con, self._clock, self._db.place)
        self._since = self._clock.boottime()
        if self._listens:
            self.life.keep(con, lasting=self.hears)
            log.info("there is a session with %s again", self._db.place)
            self._tell(["*"])  # what was told meanwhile went by
        while not self._closing:
            self.life.keep(con, lasting=self.hears)
            wait = self.life.tell(con)
            with self._changed:
                self._listens = True
                self._changed.notify_all()
            if not self.hears:
                wait = min(wait or _POLL_S, _POLL_S)
            self._await(bell, [con.fileno()], wait)
            self._take_in(con)
            if not self.hears:
                self._tell(["*"])

    def _try(self, con: psycopg.Connection[TupleRow]) -> bool:
        """Is what is said elsewhere heard here?"""
        self._echo = f"hello {secrets.token_hex(8)}"
        self._heard_itself.clear()
        self._db.do(f"SELECT pg_notify('{CHANNEL}', '{self._echo}')")
        end = self._clock.monotonic() + round(_TRIED_S * 1e6)
        while not self._heard_itself.is_set() and (left := end - self._clock.monotonic()) > 0:
            select.select([con.fileno()], [], [], left / 1e6)
            self._take_in(con)
        return self._heard_itself.is_set()

    def _await(self, bell: Bell, others: list[int], timeout: float | None) -> None:
        ready, _, _ = select.select([bell.fileno(), *others], [], [], timeout)
        if bell.fileno() in ready:
            bell.hush()

    def _take_in(self, con: psycopg.Connection[TupleRow]) -> None:
        con.pgconn.consume_input()
        while (note := con.pgconn.notifies()) is not None:
            self._hear(note.extra.decode())

    def _hear(self, payload: str) -> None:
        if payload == self._echo:
            self._heard_itself.set()
        origin, _, texts = payload.partition("\n")
        if origin != self._origin and texts:
            self._tell(texts.split("\n"))
