"""The connections of a SQLite store: one that writes, two that look, one that keeps the log short.

Nothing but SQLite may open, copy or lock the database file, its `-wal` and its `-shm` in a process that has a
connection: POSIX locks belong to the process, and closing any descriptor of the file drops them all.
For the same reason all connections are closed before a fork and opened again when they are next needed: a child
would inherit SQLite's own account of locks that it does not hold.
"""

import logging
import os
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from threading import Lock

import apsw

from mainspring.errors import NotAStore, StoreError, Unreadable
from mainspring.store.migrate import bring_up
from mainspring.store.sqlite_place import check_place, files_of, make_file
from mainspring.store.sqlite_sql import Value
from mainspring.store.sqlite_torn import torn
from mainspring.store.sqlite_turns import INSIST_MS, Turns

log = logging.getLogger("mainspring")

BUSY_MS = 30_000
_LOG_PAGES = 1_000  # 4 MB of log: then it is copied into the file
_CACHE = -16_000  # KB for each connection, taken as needed: the upper levels of the indexes of some million tasks
_LOG_LONG = 4_000  # pages of a log that is copied whole, while writers wait
_KEEPER_BUSY_MS = 20  # and so long for whoever else writes or reads
_LOG_KEPT = 16 * 1024 * 1024  # a log that had grown longer is cut to this when it starts afresh
_CHUNK = 65_536  # bytes of a log that is written again at a time; SQLite takes less than 128 KB
_CHECKED = 256 * 1024 * 1024  # a file up to this size is checked page by page after an I/O error

_READ_WRITE = apsw.SQLITE_OPEN_READWRITE

_in_doubt: set[str] = set()  # files on which I/O failed in this process, which may have closed them since


class _Slot:
    """A connection that is opened when it is first needed, and the lock of whoever uses it."""

    def __init__(self) -> None:
        self.lock = Lock()
        self.con: apsw.Connection | None = None


class Connections:
    """All access to the file at `path`. Every apsw error leaves here as a `StoreError` that says what to do."""

    def __init__(self, path: str, *, create: bool, busy_ms: int = BUSY_MS) -> None:
        self.path = path
        self._busy_ms = busy_ms
        self._closed = False
        self._doubt = False  # after an I/O error: nothing is written or read before `_mend`
        self._writing = _Slot()
        self._looking = _Slot()  # for what must be quick
        self._browsing = _Slot()  # for what may take its time
        self._keeping = _Slot()
        self._slots = (self._writing, self._looking, self._browsing, self._keeping)  # locks are taken in this order
        self._turns = Turns(path)
        self._files: tuple[object, ...] = ()  # which files are open, by `files_of`
        self._durable: bool | None = None  # what the writer's `synchronous` is set to
        self._written = self._kept = 0  # pages that the writer has written, and had when the log was last copied
        with self._told():
            self._begin(create)

    # ── using ──────────────────────────────────────────────────────────────────────────────────────────────
    @contextmanager
    def write(self, *, durable: bool) -> Iterator[apsw.Connection]:
        """One write transaction: committed at the end, rolled back when the block raises. `durable`: with fsync."""
        with self._writing.lock, self._told():
            con = self._writer()
            if self._durable is not durable:
                con.execute("PRAGMA synchronous = FULL" if durable else "PRAGMA synchronous = NORMAL")
                self._durable = durable
            self._begin_to_write(con)
            try:
                yield con
                self._check_names()
                con.execute("COMMIT")
                self._written = con.status(apsw.SQLITE_DBSTATUS_CACHE_WRITE)[0]
            except BaseException:
                if con.in_transaction:
                    with suppress(apsw.Error):  # what went wrong first is what is told
                        con.execute("ROLLBACK")
                raise

    def _begin_to_write(self, con: apsw.Connection) -> None:
        """Get the write lock; who has waited for it for a while goes next."""
        self._turns.give_way()
        try:
            con.execute("BEGIN IMMEDIATE")
        except apsw.BusyError:
            with self._turns.insisting(), _waiting(con, self._busy_ms, INSIST_MS):
                con.execute("BEGIN IMMEDIATE")

    def look(self, statement: str, values: Sequence[Value] = ()) -> object:
        """The one row of a statement (its value, when the row has one), as it is committed now; None without a row."""
        return self._read(self._looking, statement, values)

    def browse(self, statement: str, values: Sequence[Value] = ()) -> object:
        """The same for statements that may read much: nobody who looks waits for them."""
        return self._read(self._browsing, statement, values)

    def _read(self, slot: _Slot, statement: str, values: Sequence[Value]) -> object:
        if self._doubt:
            with self._writing.lock, self._told():
                self._writer()
        with slot.lock, self._told():
            if slot.con is None:
                slot.con = self._connect(_READ_WRITE)
                slot.con.execute("PRAGMA query_only = 1")
            return slot.con.execute(statement, values).get

    def keep_log_short(self, pages: int = _LOG_PAGES) -> None:
        """Copy the log into the file when it has grown by `pages`; whoever else reads or writes is not held up.

        Under a load that never pauses there is always a bit that is not copied yet, and only a log that is copied whole
        starts afresh. So when it has become long, writers wait while the rest of it is copied.
        """
        slot = self._keeping
        if 0 <= self._written - self._kept < pages or not slot.lock.acquire(blocking=False):
            return
        with suppress(StoreError):  # busy, or a full disk: what the caller has committed is safe in the log
            try:
                frames = self._copy_log(apsw.SQLITE_CHECKPOINT_PASSIVE)
            finally:
                slot.lock.release()
            if frames > _LOG_LONG:
                with self._writing.lock, slot.lock:
                    self._copy_log(apsw.SQLITE_CHECKPOINT_RESTART)

    def _copy_log(self, mode: int) -> int:
        """For whoever has the lock of the keeping connection; how many pages the log has."""
        slot = self._keeping
        with self._told():
            if slot.con is None:
                slot.con = self._connect(_READ_WRITE)
                _wait_at_most(slot.con, _KEEPER_BUSY_MS)
            self._kept = self._written
            return slot.con.wal_checkpoint(mode=mode)[0]

    def close(self) -> None:
        """Let go of the file. The last one out leaves it without a log. Closing twice is fine."""
        with self._all():
            if self._closed:
                return
            self._closed = True
            con = self._writing.con
            if con is not None and not self._doubt and files_of(self.path) == self._files:  # else it is another's log
                with suppress(StoreError), self._told():  # others are at work: they will do it
                    con.set_busy_timeout(0)
                    con.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_TRUNCATE)
                    con.config(apsw.SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 0)
            self._close_all()

    # ── forking ────────────────────────────────────────────────────────────────────────────────────────────
    def before_fork(self) -> None:
        """Wait until nobody uses a connection, and close them all."""
        for slot in self._slots:
            slot.lock.acquire()
        self._close_all()

    def after_fork(self) -> None:
        """In the parent: go on."""
        for slot in reversed(self._slots):
            slot.lock.release()

    def after_fork_in_child(self) -> None:
        """In the child: the same, with locks that no thread of the parent waits for."""
        for slot in self._slots:
            slot.lock = Lock()

    @contextmanager
    def _all(self) -> Iterator[None]:
        with ExitStack() as stack:
            for slot in self._slots:
                stack.enter_context(slot.lock)
            yield

    # ── opening ────────────────────────────────────────────────────────────────────────────────────────────
    def _begin(self, create: bool) -> None:
        check_place(self.path, create)
        if not os.path.exists(self.path):
            make_file(self.path)  # SQLite gives its other files the same mode
        con = self._connect(_READ_WRITE)
        try:
            bring_up(con, self.path, create=create)
        except BaseException:
            con.close()
            raise
        self._write_with(con)
        self._doubt = self.path in _in_doubt
        if said := torn(con, self.path):
            log.warning("%s", said)

    def _connect(self, flags: int) -> apsw.Connection:
        if self._closed:
            raise StoreError(f"the store {self.path} was closed; make another one to go on")
        con = apsw.Connection(self.path, flags=flags)
        _wait_at_most(con, self._busy_ms)
        con.config(apsw.SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1)
        con.execute(f"PRAGMA wal_autocheckpoint = 0; PRAGMA cache_size = {_CACHE}; PRAGMA temp_store = MEMORY")
        con.execute(f"PRAGMA journal_size_limit = {_LOG_KEPT}")
        con.execute("PRAGMA user_version")  # a connection that never read knows of no log, and would not shorten it
        return con

    def _writer(self) -> apsw.Connection:
        """The connection to write with, for whoever has its lock; after an I/O error once all is well again."""
        if self._doubt:
            self._mend()
        if self._writing.con is None:
            self._write_with(self._connect(_READ_WRITE))
        assert self._writing.con is not None
        return self._writing.con

    def _write_with(self, con: apsw.Connection) -> None:
        _wait_at_most(con, INSIST_MS)
        self._writing.con = con
        file, *beside = files_of(self.path)  # without a connection the log may become another file, the store may not
        self._files = (self._files[0] if self._files else file, *beside)

    def _check_names(self) -> None:
        """What is written to a file that was moved or removed while it is open, nobody would find again."""
        if files_of(self.path) != self._files:
            raise StoreError(
                f"the store {self.path} is not the file any more that this process opened (it, its -wal or its -shm "
                f"was moved, removed or replaced): nothing was stored. Put it back, or start this process anew"
            )

    def _mend(self) -> None:
        """After an I/O error: look the file over, and bring all that is in the log safely into it."""
        with ExitStack() as others:
            for slot in self._slots[1:]:
                others.enter_context(slot.lock)
            self._close_all()
        con = self._connect(_READ_WRITE)
        try:
            self._make_sure(con)
        except BaseException:
            with suppress(apsw.Error):
                con.close()
            raise
        self._write_with(con)
        self._durable, self._doubt = True, False
        _in_doubt.discard(self.path)

    def _make_sure(self, con: apsw.Connection) -> None:
        """A failed fsync is reported once; a second one may succeed without having written anything.

        So the log is not trusted any more: a checkpoint writes its pages to the file and syncs them. Before that
        the log itself is written again as it is: if the power fails during the checkpoint, it is all there is.
        """
        size = con.pragma("page_count") * con.pragma("page_size")
        checked = con.execute("PRAGMA quick_check(1)").get if size <= _CHECKED else "ok"
        if checked != "ok":
            raise apsw.CorruptError(str(checked))
        con.execute("PRAGMA synchronous = FULL; BEGIN IMMEDIATE")  # nobody else writes to the log meanwhile
        _write_again(f"{self.path}-wal")
        con.execute("COMMIT")
        con.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_TRUNCATE)

    def _close_all(self) -> None:
        for slot in reversed(self._slots):
            con, slot.con = slot.con, None
            if con is not None:
                with suppress(apsw.Error):  # its file may be what is broken
                    con.close()
        self._turns.close()
        self._durable = None
        self._written = self._kept = 0

    # ── telling ────────────────────────────────────────────────────────────────────────────────────────────
    @contextmanager
    def _told(self) -> Iterator[None]:
        try:
            yield
        except UnicodeDecodeError:
            raise Unreadable(
                f"the store {self.path} has text that is no text; `mainspring store check` says where"
            ) from None
        except apsw.Error as error:
            if isinstance(error, apsw.IOError):
                self._doubt = True
                _in_doubt.add(self.path)
            raise explained(self.path, error) from error


def _write_again(path: str) -> None:
    """So that the system takes it for changed, and the next sync really writes it."""
    file = apsw.VFSFile("", path, [apsw.SQLITE_OPEN_WAL | _READ_WRITE, 0])
    try:
        for start in range(0, file.xFileSize(), _CHUNK):
            file.xWrite(file.xRead(min(_CHUNK, file.xFileSize() - start), start), start)
        file.xSync(apsw.SQLITE_SYNC_FULL)
    finally:
        file.xClose()


def _wait_at_most(con: apsw.Connection, ms: int) -> None:
    """For a lock that another connection has."""
    con.set_busy_timeout(ms)
    con.setlk_timeout(ms, 0)  # waits in steps of 1 ms, where the busy handler's grow to 100 ms


@contextmanager
def _waiting(con: apsw.Connection, ms: int, otherwise: int) -> Iterator[None]:
    """Within this block for so long."""
    _wait_at_most(con, ms)
    try:
        yield
    finally:
        _wait_at_most(con, otherwise)


def explained(path: str, error: apsw.Error) -> StoreError:
    """What an error of SQLite means to somebody who wants to run tasks, and what to do about it."""
    match error:
        case apsw.NotADBError():
            return NotAStore(f"{path} is not a database; choose another path for the store")
        case apsw.SQLError() if "BLOB" in str(error):  # "JSON cannot hold BLOB values": rows leave as JSON
            return Unreadable(f"the store {path} has bytes where text stands; `mainspring store check` says where")
        case apsw.CorruptError():
            return StoreError(
                f"the store {path} is damaged ({error}); nothing was changed: put it aside with its -wal file, and go "
                f"back to a backup or save what can be read with `sqlite3 {path} .recover`"
            )
        case apsw.BusyError() | apsw.LockedError():
            return StoreError(f"another process has kept the store {path} locked for 30 s: look what it is doing")
        case apsw.ReadOnlyError() | apsw.PermissionsError() | apsw.AuthError():
            return StoreError(f"no permission to write to the store {path} and to its directory ({error})")
        case apsw.CantOpenError():
            return StoreError(f"the store {path} cannot be opened ({error}): check that it and its directory are yours")
        case apsw.FullError():
            return StoreError(f"the disk that holds the store {path} is full; nothing was stored: make room")
        case apsw.IOError():
            return StoreError(
                f"the disk did not take what was written to {path} ({error}): whether the last change was kept is not "
                f"known. The store is checked before anything else is acknowledged; look at the disk"
            )
    return StoreError(f"the store {path} refused: {error}")
