"""A node's journal: a ring in shared memory in which each start is noted before the task's body begins.

The store learns of a start only with the outcome (or after 50 ms). When a node is killed in between, its
successor reads from this ring what had really started. SIGKILL loses nothing that was written to a mapped page; a power
cut may, and then the task runs again under the same attempt number.

Nothing is ever erased: an entry counts only while its task still has the entry's token in the store. The ring is larger
than the number of starts that may be unsettled at a time (`LIMIT`, which the pool respects).

Several processes can share it, each with a part of its own (`part`). The first entry of a part repeats the last one
that was written, so that one look tells what its process started last. Readers read all entries alike.
"""

import itertools
import mmap
import os
import struct
from collections.abc import Iterator, Sequence

_HEAD = struct.Struct("<8sqq")  # magic, workers, busy
_ENTRY = struct.Struct("<qqqq")  # task, token, started_at, check: a torn entry is recognised and passed over
_MAGIC = b"mspring3"
_BUSY = struct.Struct("<q")
_BUSY_AT = 16
PARTS = ("timer", "worker", "start")  # of lateness; each has p50, p99 and maximum in µs
_LATENESS = struct.Struct(f"<{3 * len(PARTS)}I")
_LATENESS_AT = 24
_LONGEST = 2**32 - 2  # µs, more than an hour; 0 stands for "not known", so what is known is kept one larger
_MOVED = struct.Struct("<qqq")
_MOVED_AT = 64
_LEASE = struct.Struct("<q")
_TRUST = struct.Struct("<qqq")  # floor, until, cut
_LEASE_AT, _FLOOR_AT, _UNTIL_AT, _CUT_AT, _LENGTH_AT = 88, 96, 104, 112, 120
HEAD = 128  # bytes, in which all figures are found
COUNT = 65_536
_LOOKS = 100  # at an entry that is being written just now; each takes as long as the writing does

LIMIT = COUNT // 2
SIZE = HEAD + COUNT * _ENTRY.size

Buffer = bytearray | mmap.mmap | memoryview


class Contact:
    """What a store on another machine has heard of a node, whose lease counts from that. Whoever speaks with it says
    so; `heard` is the boot-time instant (µs) before what was heard last was sent, 0 where that is not known or the
    store has lost sight of the node; `cuts`: how often it has.
    """

    def __init__(self) -> None:
        self.heard = 0
        self.cuts = 0


class Journal:
    """The ring over `buffer`: a `mmap` of SIZE bytes (shared), or a `bytearray` where no other process can look.

    With `part=(k, n)` it writes only to the k-th of n parts (counted from 0).
    """

    def __init__(self, buffer: Buffer, part: tuple[int, int] | None = None) -> None:
        self._view = memoryview(buffer)
        self.contact: Contact | None = None  # None: the operating system tells who lives
        self._next = itertools.count()  # its next() is atomic: writers on several threads never share an entry
        self._shared = part is not None
        first, end = 0, COUNT
        if part is not None:
            index, parts = part
            assert 0 <= index < parts <= COUNT // 2
            first, end = index * COUNT // parts + 1, (index + 1) * COUNT // parts
        self._from = HEAD + first * _ENTRY.size
        self._count = end - first
        if bytes(self._view[:8]) != _MAGIC:
            self._view[:HEAD] = bytes(HEAD)
            _HEAD.pack_into(self._view, 0, _MAGIC, 0, 0)

    def part(self, index: int, parts: int) -> "Journal":
        """One part of the same ring, to be written by one process, or read by whoever wants to know its last start."""
        return Journal(self._view, (index, parts))

    def note(self, task: int, token: int, started_at: int) -> None:
        """Note a start. About a microsecond; no lock, no system call."""
        check = task ^ token ^ started_at
        at = self._from + (next(self._next) % self._count) * _ENTRY.size
        _ENTRY.pack_into(self._view, at, task, token, started_at, check)
        if self._shared:
            _ENTRY.pack_into(self._view, self._from - _ENTRY.size, task, token, started_at, check)

    def last(self) -> tuple[int, int, int] | None:
        """What was noted last in this part, as (task, token, started_at); None before the first.

        It may have ended long ago: only its outcome tells.
        """
        assert self._shared, "only a part knows its last start"
        for _ in range(_LOOKS):
            task, token, started_at, check = _ENTRY.unpack_from(self._view, self._from - _ENTRY.size)
            if check == task ^ token ^ started_at:
                return (task, token, started_at) if token else None
        return None  # its process died while it wrote; the body had not begun

    def resume(self) -> None:
        """In a process that takes over a part: write on where its predecessor stopped, which may be unsettled yet."""
        assert self._shared, "only a part is taken over"
        before, end = self._from - _ENTRY.size, self._from + self._count * _ENTRY.size
        newest = _ENTRY.unpack_from(self._view, before)
        entries = enumerate(_ENTRY.iter_unpack(self._view[self._from : end]))
        self._next = itertools.count(next((at + 1 for at, entry in entries if entry == newest and any(entry)), 0))
        self._view[before : self._from] = bytes(_ENTRY.size)  # this process has started nothing yet

    def started(self) -> Iterator[tuple[int, int, int]]:
        """Every whole entry of the ring as (task, token, started_at), in no particular order."""
        for task, token, started_at, check in _ENTRY.iter_unpack(self._view[HEAD:]):
            if token and check == task ^ token ^ started_at:
                yield task, token, started_at

    @property
    def busy(self) -> int:
        """How many workers are running something; written by the owner, read by whoever asks for the status."""
        return int(_BUSY.unpack_from(self._view, _BUSY_AT)[0])

    @busy.setter
    def busy(self, count: int) -> None:
        _BUSY.pack_into(self._view, _BUSY_AT, count)

    @property
    def lateness(self) -> list[int | None]:
        """p50, p99 and maximum (µs) of each of `PARTS`, as the owner told them last; None: not known."""
        return [value - 1 if value else None for value in _LATENESS.unpack_from(self._view, _LATENESS_AT)]

    @lateness.setter
    def lateness(self, figures: Sequence[int | None]) -> None:
        told = [0 if value is None else min(value, _LONGEST) + 1 for value in figures]
        _LATENESS.pack_into(self._view, _LATENESS_AT, *told)

    @property
    def moved(self) -> tuple[int, int, int] | None:
        """The last time that the clock was set or the machine slept, as the owner noticed it: the instant, by how far
        it was set, how long it slept (µs); None: never.
        """
        at, by, slept = _MOVED.unpack_from(self._view, _MOVED_AT)
        return (at, by, slept) if at else None

    @moved.setter
    def moved(self, moved: tuple[int, int, int]) -> None:
        _MOVED.pack_into(self._view, _MOVED_AT, *moved)

    @property
    def lease(self) -> int:
        """When the owner's lease ends (boot-time clock, µs): it may lose what it holds then. 0: it has none."""
        return int(_LEASE.unpack_from(self._view, _LEASE_AT)[0])

    @lease.setter
    def lease(self, end: int) -> None:
        _LEASE.pack_into(self._view, _LEASE_AT, end)

    def trust(self, floor: int, until: int) -> None:
        """From now on only what was reserved under a token larger than `floor` starts, and only before `until`
        (boot-time clock, µs; 0: whenever).
        """
        _LEASE.pack_into(self._view, _FLOOR_AT, floor)  # first: whoever reads in between starts too little
        _LEASE.pack_into(self._view, _UNTIL_AT, until)

    @property
    def cut(self) -> bool:
        """Has the store lost sight of the owner? Then nothing starts: others may have what it holds."""
        return bool(_LEASE.unpack_from(self._view, _CUT_AT)[0])

    @cut.setter
    def cut(self, cut: bool) -> None:
        _LEASE.pack_into(self._view, _CUT_AT, cut)

    @property
    def length(self) -> int:
        """For how long a lease is good, in µs; 0: the owner has none."""
        return int(_LEASE.unpack_from(self._view, _LENGTH_AT)[0])

    @length.setter
    def length(self, length: int) -> None:
        _LEASE.pack_into(self._view, _LENGTH_AT, length)

    def covers(self, token: int, boottime: int) -> bool:
        """May what was reserved under this token start at `boottime`? Read last, before the start."""
        floor, until, cut = _TRUST.unpack_from(self._view, _FLOOR_AT)
        return not cut and (not until or (boottime < until and token > floor))

    def close(self) -> None:
        """Let go of the buffer, so that a mapping under it can be closed."""
        self._view.release()


def create(path: str) -> int:
    """Make an empty journal file at `path` (0600); its descriptor, for `mmap`."""
    fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    return _filled(fd)


def anonymous() -> int:
    """The descriptor of an empty journal without a name, for a store in memory whose node has worker processes."""
    if hasattr(os, "memfd_create"):
        return _filled(os.memfd_create("mainspring-journal", os.MFD_CLOEXEC))
    import tempfile

    with tempfile.TemporaryFile() as file:
        return _filled(os.dup(file.fileno()))


def _filled(fd: int) -> int:
    try:
        if hasattr(os, "posix_fallocate"):
            os.posix_fallocate(fd, 0, SIZE)  # all of it now: a page that finds the disk full later is a SIGBUS
        else:
            os.ftruncate(fd, SIZE)
    except BaseException:
        os.close(fd)
        raise
    return fd
