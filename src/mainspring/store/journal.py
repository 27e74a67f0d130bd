"""A node's journal: a ring in shared memory in which each start is noted before the task's body begins.

The store learns of a start only with the outcome (or after 50 ms). When a node is killed in between, its
successor reads from this ring what had really started. SIGKILL loses nothing that was written to a mapped page; a power
cut may, and then the task runs again under the same attempt number.

Nothing is ever erased: an entry counts only while its task still has the entry's token in the store. The ring is larger
than the number of starts that may be unsettled at a time (`LIMIT`, which the pool respects).
"""

import itertools
import os
import struct
from collections.abc import Iterator

_HEAD = struct.Struct("<8sqq")  # magic, workers, busy
_ENTRY = struct.Struct("<qqqq")  # task, token, started_at, check: a torn entry is recognised and passed over
_MAGIC = b"mspring1"
_BUSY = struct.Struct("<q")
_BUSY_AT = 16
_FIRST = 64
_COUNT = 65_536

LIMIT = _COUNT // 2
SIZE = _FIRST + _COUNT * _ENTRY.size


class Journal:
    """The ring over `buffer`: a `mmap` of SIZE bytes (shared), or a `bytearray` where no other process can look."""

    def __init__(self, buffer: "bytearray | object") -> None:
        self._view = memoryview(buffer)  # type: ignore[arg-type]  # anything writable with the buffer protocol
        self._next = itertools.count()  # its next() is atomic: writers on several threads never share an entry
        if bytes(self._view[:8]) != _MAGIC:
            _HEAD.pack_into(self._view, 0, _MAGIC, 0, 0)

    def note(self, task: int, token: int, started_at: int) -> None:
        """Note a start. About a microsecond; no lock, no system call."""
        at = _FIRST + (next(self._next) % _COUNT) * _ENTRY.size
        _ENTRY.pack_into(self._view, at, task, token, started_at, task ^ token ^ started_at)

    def started(self) -> Iterator[tuple[int, int, int]]:
        """Every whole entry as (task, token, started_at), in no particular order."""
        for task, token, started_at, check in _ENTRY.iter_unpack(self._view[_FIRST:]):
            if token and check == task ^ token ^ started_at:
                yield task, token, started_at

    @property
    def busy(self) -> int:
        """How many workers are running something; written by the owner, read by whoever asks for the status."""
        return int(_BUSY.unpack_from(self._view, _BUSY_AT)[0])

    @busy.setter
    def busy(self, count: int) -> None:
        _BUSY.pack_into(self._view, _BUSY_AT, count)

    def close(self) -> None:
        """Let go of the buffer, so that a mapping under it can be closed."""
        self._view.release()


def create(path: str) -> int:
    """Make an empty journal file at `path` (0600); its descriptor, for `mmap`."""
    fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        if hasattr(os, "posix_fallocate"):
            os.posix_fallocate(fd, 0, SIZE)  # all of it now: a page that finds the disk full later is a SIGBUS
        else:
            os.ftruncate(fd, SIZE)
    except BaseException:
        os.close(fd)
        raise
    return fd
