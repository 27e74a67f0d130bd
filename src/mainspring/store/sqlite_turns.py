"""Who has waited long to write goes next.

SQLite's write lock is not fair: who waits looks every millisecond, and a process that writes in a stream takes it again
within microseconds. Beside a few of those a daemon's writes took up to 5 s each, and its answers as long. So who has
waited for INSIST_MS holds `<store>-nodes/turn` until it has SQLite's lock, and everybody looks at that file before a
write and lets him go first. Up to INSIST_MS nobody gives way: to hand the lock over each time would cost more than it
is worth.

It is a courtesy, no lock that anything depends on: who cannot have the file goes without, and who holds it for too long
(its process was stopped) is not waited for.
"""

import ctypes
import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from mainspring.errors import StoreError
from mainspring.store.sqlite_place import make_folder

INSIST_MS = 20
_PAUSE_S = 0.001
_LOOKS = 200  # so often at somebody who insists, with a pause between
_SKIPPED = 1_000  # writes that look no more after that

_SHARED, _ALONE, _NONE = 1 | 4, 2 | 4, 8  # flock: LOCK_SH and LOCK_EX without waiting, LOCK_UN
# PyDLL keeps the interpreter lock: calls of a microsecond, which never wait, are not worth giving it up.
_flock = None if sys.platform == "win32" else ctypes.PyDLL(None).flock


class Turns:
    """The turns of one user of the store at `path`; for whoever has the lock of its writing connection."""

    def __init__(self, path: str) -> None:
        self._folder = f"{path}-nodes"
        self._fd: int | None = None
        self._skip = 0

    def give_way(self) -> None:
        """Let go first who insists. A microsecond when nobody does."""
        if self._skip:
            self._skip -= 1
        elif self._has(_SHARED):
            self._has(_NONE)

    @contextmanager
    def insisting(self) -> Iterator[None]:
        """Within this block whoever looks gives way."""
        mine = self._has(_ALONE)
        try:
            yield
        finally:
            if mine:
                self._has(_NONE)

    def close(self) -> None:
        """Let go of the file; it is opened again when it is needed."""
        fd, self._fd = self._fd, None
        if fd is not None and fd >= 0:
            os.close(fd)

    def _has(self, what: int) -> bool:
        """Take or leave the file's lock; False when there is none to be had."""
        fd = self._opened()
        if fd < 0 or _flock is None:
            return False
        for _ in range(_LOOKS):
            if _flock(fd, what) == 0:
                return True
            time.sleep(_PAUSE_S)
        self._skip = _SKIPPED  # it stands still
        return False

    def _opened(self) -> int:
        if self._fd is None:
            self._fd = -1
            with suppress(OSError, StoreError):
                make_folder(self._folder)
                path = os.path.join(self._folder, "turn")
                self._fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | getattr(os, "O_NOFOLLOW", 0), 0o600)
        return self._fd
