"""Looking at a store's file without changing it, and copies of it: page by page, whole before they have their name.

All reading goes through SQLite, also that of a file's first bytes: a process that opens and closes a store's file by
itself drops the locks of its own connections.
"""

import os
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from types import TracebackType
from typing import Self

import apsw

from mainspring.errors import NewerStore, NotAStore, StoreConflict, StoreError, StoreNotFound
from mainspring.store.migrate import APPLICATION_ID, STEPS
from mainspring.store.sqlite_connection import BUSY_MS, explained

try:
    import fcntl
except ImportError:  # untested: without it what a killed copy left is not cleared away
    fcntl = None  # type: ignore[assignment]

_MAGIC = b"SQLite format 3\0"
_STEP = 250  # pages between two looks at how far it is: 1 MB
_PART = ".part"

Progress = Callable[[int, int], None]  # pages done, of how many


def nothing(_done: int, _of: int) -> None:
    """Nobody wants to know how far it is."""


@contextmanager
def told(path: str) -> Iterator[None]:
    """Errors of SQLite leave as those of the store at `path`."""
    try:
        yield
    except apsw.Error as error:
        raise explained(path, error) from error


@contextmanager
def opened_to_read(path: str) -> Iterator[apsw.Connection]:
    """A connection to the store at `path` that changes nothing, not even by closing; daemons may be at work.

    Raises `StoreNotFound`, `NotAStore` (no database, or somebody else's), `NewerStore`, and `StoreError` when it
    cannot be read. A store of an older version is fine.
    """
    check_head(path)
    with told(path), closing(_connected(path)) as con:
        check_owner(con, path)
        yield con


def check_head(path: str) -> None:
    """Is it a database, by its first bytes? Before there is a connection, which might begin to recover it."""
    if os.path.isdir(path):
        raise StoreError(f"{path} is a directory; a store is a file: name a file in it")
    if not os.path.exists(path):
        raise StoreNotFound(f"there is no store at {path}")
    size, head = first_bytes(path)
    if size == 0:
        raise StoreNotFound(f"there is no store at {path}: the file is empty")
    if not head.startswith(_MAGIC):
        raise NotAStore(f"{path} is not a database, or its beginning is destroyed; nothing was changed")
    pages, page = int.from_bytes(head[28:32], "big"), int.from_bytes(head[16:18], "big")
    page = 65_536 if page == 1 else page
    if size < pages * page and not _size(f"{path}-wal"):
        raise StoreError(f"{path} is cut short: it has {size:,} bytes of {pages * page:,}; nothing was changed")


def first_bytes(path: str) -> tuple[int, bytes]:
    """The file's size and its first 100 bytes, read by SQLite's own means."""
    try:
        file = apsw.VFSFile("", path, [apsw.SQLITE_OPEN_MAIN_DB | apsw.SQLITE_OPEN_READONLY, 0])
    except apsw.Error as error:
        raise explained(path, error) from error
    with closing(_Closed(file)):
        size = file.xFileSize()
        return size, file.xRead(min(size, 100), 0)


class _Closed:
    """What `closing` wants of a file."""

    def __init__(self, file: apsw.VFSFile) -> None:
        self.close = file.xClose


def check_owner(con: apsw.Connection, path: str) -> None:
    """Is it a store, and of a version that is known here?"""
    owner, version = int(con.pragma("application_id")), int(con.pragma("user_version"))
    if owner != APPLICATION_ID:
        raise NotAStore(f"{path} is a SQLite database of something else (application id {owner}); nothing was changed")
    if version > len(STEPS):
        raise NewerStore(
            f"{path} was written by a newer Mainspring (schema {version}, this one knows {len(STEPS)}): upgrade this "
            f"program"
        )


def _connected(path: str) -> apsw.Connection:
    log = _size(f"{path}-wal")
    con = apsw.Connection(path, flags=apsw.SQLITE_OPEN_READWRITE)  # to share the log with those who write
    con.set_busy_timeout(BUSY_MS)
    if log:  # it stays where it is, also when everybody else has gone meanwhile
        con.config(apsw.SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1)
    con.execute("PRAGMA query_only = 1; PRAGMA cache_size = -16000")
    return con


def _size(path: str) -> int:
    try:
        return os.stat(path).st_size
    except FileNotFoundError:
        return 0


# ── copies ─────────────────────────────────────────────────────────────────────────────────────────────────────


class Partial:
    """A file beside `target`, for its owner alone, that becomes `target` when it is whole, or nothing.

    It is locked while it is made: what one that was killed has left behind is known by that, and cleared away by the
    next one.
    """

    def __init__(self, target: str) -> None:
        self.target = os.path.realpath(target)
        self._folder, name = os.path.split(self.target)
        self._prefix = f".{name}."
        self.path = os.path.join(self._folder, f"{self._prefix}{os.urandom(4).hex()}{_PART}")
        self._fd = -1

    def __enter__(self) -> Self:
        if not os.path.isdir(self._folder):
            raise StoreError(f"the directory {self._folder} does not exist; create it, or choose another path")
        self._clear_away()
        self._fd = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        if fcntl is not None:
            fcntl.flock(self._fd, fcntl.LOCK_EX)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        os.close(self._fd)
        _remove(self.path)

    def name(self, *, force: bool = False) -> None:
        """Give it its name, synced; `force`: also when there is a file of that name. No connection is open any more."""
        os.fsync(self._fd)
        if force:
            os.replace(self.path, self.target)
        else:
            try:
                os.link(self.path, self.target)
            except FileExistsError:
                raise taken(self.target) from None
            except OSError:  # untested: a file system without links
                if os.path.lexists(self.target):
                    raise taken(self.target) from None
                os.rename(self.path, self.target)
        sync_folder(self._folder)

    def _clear_away(self) -> None:
        for name in os.listdir(self._folder) if fcntl is not None else ():
            if name.startswith(self._prefix) and name.endswith(_PART):
                path = os.path.join(self._folder, name)
                with suppress(OSError):
                    fd = os.open(path, os.O_RDWR | os.O_CLOEXEC)
                    try:
                        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
                        _remove(path)
                    finally:
                        os.close(fd)


def taken(path: str) -> StoreConflict:
    """What is said when a file is there already."""
    return StoreConflict(f"there is a file {path} already: choose another name, or replace it with --force")


def sync_folder(folder: str) -> None:
    """See to it that the names in a directory are on the disk."""
    fd = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def _remove(path: str) -> None:
    for suffix in ("", "-wal", "-shm", "-journal"):
        with suppress(FileNotFoundError):
            os.unlink(path + suffix)


def copy_pages(source: apsw.Connection, path: str, progress: Progress = nothing) -> int:
    """Copy what `source` shows at this moment into the file at `path`, synced; how many pages.

    One read transaction: writers go on, and are not waited for. It lasts as long as the disk needs for the copy.
    """
    with closing(apsw.Connection(path, flags=apsw.SQLITE_OPEN_READWRITE)) as target:
        target.execute("PRAGMA journal_mode = OFF; PRAGMA synchronous = FULL; PRAGMA cache_size = -2000")
        source.execute("BEGIN")
        try:
            source.execute("SELECT count(*) FROM sqlite_schema").get  # noqa: B018  # the moment that is copied
            return transfer(source, target, progress)
        finally:
            source.execute("ROLLBACK")


def transfer(source: apsw.Connection, target: apsw.Connection, progress: Progress = nothing) -> int:
    """All pages of one database over those of another; how many."""
    work = target.backup("main", source, "main")
    try:
        while not work.done:
            work.step(_STEP)
            progress(work.page_count - work.remaining, work.page_count)
        return work.page_count
    finally:
        work.close(True)


def check_copy(path: str) -> None:
    """Is the copy a sound store? Raises `StoreError` with what SQLite found."""
    with opened_to_read(path) as con:
        found = con.execute("PRAGMA quick_check(1)").get
    if found != "ok":
        raise StoreError(
            f"the copy is damaged, because what was copied is: {found}; `mainspring store check` says more"
        )
