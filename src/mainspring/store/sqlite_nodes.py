"""What a node has beside the rows: a lock that the system gives back when its process ends, and its journal.

They lie in `<store>-nodes/`: `<number>.lock`, held with `flock` for the seat's life, and `<number>.journal`, mapped
into memory. Files of their own, because nothing may lock the database file but SQLite.
"""

import mmap
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from mainspring.errors import StoreError
from mainspring.store import journal
from mainspring.store.journal import Buffer, Journal
from mainspring.store.rows import NodeRow

# id, host, pid, version, workers, started_at, app, unknown lanes
NodeFields = tuple[int, str, int, str, int, int, str | None, list[int]]

_NOFOLLOW = getattr(os, "O_NOFOLLOW", 0)

if sys.platform == "win32":  # untested: one byte of the file stands for the lock; a look takes it for an instant
    import msvcrt

    def _lock(fd: int, *, wait: bool) -> None:
        msvcrt.locking(fd, msvcrt.LK_LOCK if wait else msvcrt.LK_NBLCK, 1)

    def _look(fd: int) -> None:
        msvcrt.locking(fd, msvcrt.LK_NBLCK, 1)
else:
    import fcntl

    def _lock(fd: int, *, wait: bool) -> None:
        fcntl.flock(fd, fcntl.LOCK_EX if wait else fcntl.LOCK_EX | fcntl.LOCK_NB)

    def _look(fd: int) -> None:
        fcntl.flock(fd, fcntl.LOCK_SH | fcntl.LOCK_NB)


class SqliteSeat:
    """Fills the port's `Seat`. `locks` is its life: whoever inherits it on purpose keeps the node alive."""

    def __init__(self, folder: str, node: int) -> None:
        """Take the seat: nobody knows the number yet, for its row is not committed."""
        self.node = node
        self._folder = folder
        self._shared = -1
        self._fd = os.open(_path(folder, node, "lock"), os.O_RDWR | os.O_CREAT | _NOFOLLOW, 0o600)
        try:
            _lock(self._fd, wait=True)  # only somebody who looks could have it, for an instant
            with suppress(FileNotFoundError):  # of a join that was never committed
                os.unlink(_path(folder, node, "journal"))
            fd = journal.create(_path(folder, node, "journal"))
            try:
                self._map = mmap.mmap(fd, journal.SIZE)
            finally:
                os.close(fd)
        except BaseException:
            os.close(self._fd)
            raise
        self.journal = Journal(self._map)

    @property
    def locks(self) -> tuple[int, ...]:
        """The descriptor of the lock; none when the seat was given up."""
        return () if self._fd < 0 else (self._fd,)

    def share(self) -> tuple[int, Buffer]:
        """See `Seat`: the node's own journal."""
        if self._shared < 0:
            self._shared = os.open(_path(self._folder, self.node, "journal"), os.O_RDWR)
        return self._shared, self._map

    def drop(self) -> None:
        """Give the lock back; the journal stays readable to whoever still has it."""
        (fd, shared), self._fd, self._shared = (self._fd, self._shared), -1, -1
        for one in (fd, shared):
            if one >= 0:
                os.close(one)


def is_alive(folder: str, node: int) -> bool:
    """Whether somebody holds the node's lock."""
    fd = _opened(folder, node, "lock", os.O_RDWR)
    if fd is None:
        return False
    try:
        _look(fd)
    except OSError:
        return True
    else:
        return False
    finally:
        os.close(fd)


@contextmanager
def claimed(folder: str, node: int) -> Iterator[bool]:
    """Hold a dead node's lock, so that only one successor settles what it left; False while anybody else has it."""
    fd = _opened(folder, node, "lock", os.O_RDWR)
    if fd is None:  # it left, or somebody cleared the directory: the rows decide
        yield True
        return
    try:
        yield _taken(fd)
    finally:
        os.close(fd)


def _taken(fd: int) -> bool:
    while True:
        try:
            _lock(fd, wait=False)
        except OSError:
            try:
                _look(fd)
            except OSError:
                return False
            # Somebody was only looking, and is done: try again.
        else:
            return True


def starts(folder: str, node: int) -> dict[tuple[int, int], int]:
    """What a node's journal shows: the newest start of each (task, token)."""
    newest: dict[tuple[int, int], int] = {}
    held = _noted(folder, node, journal.SIZE)
    if len(held) == journal.SIZE:
        for task, token, started_at in Journal(held).started():
            newest[task, token] = max(started_at, newest.get((task, token), started_at))
    return newest


def head(folder: str, node: int) -> Journal:
    """The head of a node's journal: how many workers are busy, where its lateness comes from, and its clock."""
    return Journal(_noted(folder, node, journal.HEAD).ljust(journal.HEAD, b"\0"))


def _noted(folder: str, node: int, size: int) -> bytearray:
    """The first bytes of a node's journal; none when there is no such file."""
    fd = _opened(folder, node, "journal", os.O_RDONLY)
    if fd is None:
        return bytearray()
    with open(fd, "rb") as file:
        return bytearray(file.read(size))


def _opened(folder: str, node: int, suffix: str, flags: int) -> int | None:
    """A descriptor of a node's file; None when there is none. Raises `StoreError` when that cannot be known."""
    try:
        return os.open(_path(folder, node, suffix), flags)
    except FileNotFoundError:
        return None
    except OSError as error:  # too many open files, for one
        raise StoreError(f"what the daemon {node} has noted in {folder} cannot be read: {error}") from error


def rows(folder: str, kept: list[NodeFields]) -> list[NodeRow]:
    """What `nodes` shows: what is kept of each node, and what its lock and its journal tell."""
    return [
        NodeRow(
            id=id_, host=host, pid=pid, version=version, workers=workers, started_at=started_at, app=app,
            alive=is_alive(folder, id_), lease=told.lease, busy=told.busy, lateness=told.lateness, moved=told.moved,
            unknown=unknown,
        )
        for id_, host, pid, version, workers, started_at, app, unknown in kept
        for told in (head(folder, id_),)
    ]  # fmt: skip


def forget(folder: str, node: int) -> None:
    """Remove the files of a node that is no more."""
    for suffix in ("journal", "lock"):
        with suppress(OSError):
            os.unlink(_path(folder, node, suffix))


def forget_all_but(folder: str, nodes: list[int]) -> None:
    """Remove what is left of joins and takeovers that were cut short. For whoever has the write lock."""
    for name in os.listdir(folder):
        number, _, suffix = name.partition(".")
        if suffix in ("lock", "journal") and number.isdecimal() and int(number) not in nodes:
            with suppress(OSError):
                os.unlink(os.path.join(folder, name))


def death_fd(host: str, pid: int) -> int | None:
    """A descriptor that becomes readable when the process ends; None where there is no such thing, or it is not here.

    A hint: whoever is woken looks at the lock again, which alone decides.
    """
    if not hasattr(os, "pidfd_open") or host != os.uname().nodename:
        return None
    try:
        return os.pidfd_open(pid)
    except OSError:
        return None


def _path(folder: str, node: int, suffix: str) -> str:
    return os.path.join(folder, f"{node}.{suffix}")
