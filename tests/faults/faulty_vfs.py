"""A disk that fails on purpose: SQLite's own files with a plan that is asked before every call.

`Disk(plan)` becomes the default of its process, so a store opens its files through it and no product code knows. A plan
is told the kind of the call (`xWrite`, `xSync`, ...), the file's role (`db`, `-wal`, `-journal`) and a function that
does half of it; it may raise, end the process, or do nothing. Shared memory (`-shm`) is not among the calls that can
be reached; SQLite builds it anew from the log.

`Platter` is the same files as the power leaves them: what was not synced may be there, or not, in any mixture.
"""

import itertools
import os
import random
import signal
from collections import Counter
from contextlib import nullcontext
from functools import partial
from pathlib import Path
from threading import Lock

import apsw

WRITING = frozenset({"xOpen", "xWrite", "xSync", "xTruncate", "xDelete"})  # what changes a disk, or makes sure of it
SECTOR = 512


def die():
    """The end of this process: nothing of it runs any more."""
    os.kill(os.getpid(), signal.SIGKILL)


class Disk(apsw.VFS):
    """The system's files behind a plan. `platter`: told of everything that reaches them."""

    def __init__(self, plan, platter=None):
        self.plan = plan
        self.platter = platter
        self.usual = apsw.vfs_names()[0]
        super().__init__("faulty", self.usual, makedefault=True)

    def xOpen(self, name, flags):
        path = name.filename() if isinstance(name, apsw.URIFilename) else name
        self.plan("xOpen", role(path))
        return _File(self, path, name, flags)

    def xDelete(self, path, sync_folder):
        self.plan("xDelete", role(path))
        super().xDelete(path, sync_folder)
        if self.platter:
            self.platter.delete(path, sync_folder)

    def excepthook(self, *_):
        """What SQLite has nobody to tell of was planned."""

    def close(self):
        """Give the process the usual files again."""
        apsw.set_default_vfs(self.usual)
        self.unregister()


class _File(apsw.VFSFile):
    def __init__(self, disk, path, name, flags):
        super().__init__(disk.usual, name, flags)
        self._disk, self._role = disk, role(path)
        self._platter = disk.platter if path else None
        self._path = path
        # as the system's own files do: the first sync of a log or journal brings its directory to the disk too
        self._new = bool(flags[0] & (apsw.SQLITE_OPEN_WAL | apsw.SQLITE_OPEN_MAIN_JOURNAL))
        if self._platter:
            self._platter.open(path)

    def xWrite(self, data, offset):
        half = partial(self._write, bytes(data[: len(data) // 2]), offset)
        self._disk.plan("xWrite", self._role, half if len(data) > SECTOR else None)  # a sector is written whole
        self._write(data, offset)

    def _write(self, data, offset):
        super().xWrite(data, offset)
        if self._platter:
            self._platter.write(self._path, bytes(data), offset)

    def xTruncate(self, size):
        self._disk.plan("xTruncate", self._role)
        super().xTruncate(size)
        if self._platter:
            self._platter.truncate(self._path, size)

    def xSync(self, flags):
        """The disk that counts is the platter; nobody needs to wait for the real one."""
        losing = self._disk.plan("xSync", self._role)
        if self._platter:
            if losing:
                self._platter.lose(self._path, losing)
                raise apsw.IOError("the test says so")
            self._platter.sync(self._path, self._new)
            self._new = False

    def xRead(self, amount, offset):
        self._disk.plan("xRead", self._role)
        return super().xRead(amount, offset)


def role(path):
    """Which of a store's files it is."""
    ending = (path or "").rpartition("-")[2]
    return f"-{ending}" if ending in ("wal", "journal") else "db" if path else "temporary"


# ── plans ──────────────────────────────────────────────────────────────────────────────────────────────────────


class Calm:
    """Nothing goes wrong; the calls are counted, by kind and altogether by those that write.

    For plans that stop failing: a step of whoever works may be tried `patience` times; it is told of each (`step`),
    suspends the plan for a look (`lifted`) and ends it (`over`).
    """

    patience = 1
    failed = 0

    def __init__(self):
        self.calls = Counter()
        self.writes = 0
        self._numbers = itertools.count(1)  # its next() is atomic: no two threads share a number

    def __call__(self, kind, role, half=None):
        self.calls[kind] += 1
        if kind in WRITING:
            self.writes = number = next(self._numbers)
            self.at(number, half)

    def at(self, write, half):
        """Called before each call that writes; `half` is None but for `xWrite`."""

    def step(self, number): ...

    def lifted(self):
        return nullcontext()

    def over(self): ...


class KillAt(Calm):
    """SIGKILL before the n-th call that writes; where it is a write, now and then in its middle."""

    def __init__(self, number):
        super().__init__()
        self.number = number

    def at(self, write, half):
        if write == self.number:
            if half and write % 2:
                half()
            die()


class CutAt(Calm):
    """The power fails before the n-th call that writes: what the disk has kept lies in `into` afterwards.

    With `failing` that sync fails first, and what it was to bring to the disk is gone for good, but for some of it;
    then n counts from there.
    """

    patience = 2  # opening and each step may be tried once more, which only a failed sync makes necessary

    def __init__(self, number, platter, seed, into, failing=0):
        super().__init__()
        self.number, self.platter, self.into, self.failing = number, platter, into, failing
        self.chance = random.Random(seed)

    def __call__(self, kind, role, half=None):
        super().__call__(kind, role, half)
        if kind == "xSync" and self.calls[kind] == self.failing:
            self.failing, self.number = 0, self.writes + self.number
            return self.chance
        return None

    def at(self, write, half):
        if not self.failing and write == self.number:
            self.over()

    def over(self):
        self.platter.leave(self.chance, self.into)
        die()


class FailAt(Calm):
    """The n-th call of a kind fails, and the `more` after it: not made, or half made. Then all is well again."""

    def __init__(self, kind, number, error, more=0):
        super().__init__()
        self.kind, self.failing, self.error = kind, range(number, number + more + 1), error
        self.failed = 0
        self.patience = more + 3

    def __call__(self, kind, role, half=None):
        super().__call__(kind, role, half)
        if kind == self.kind and self.calls[kind] in self.failing:
            self.failed += 1
            if half and self.calls[kind] % 2:
                half()
            raise self.error


# ── power ──────────────────────────────────────────────────────────────────────────────────────────────────────


class _Bytes:
    """The bytes of one file: as they were when it was last synced, and what was done to them since."""

    def __init__(self, data):
        self.synced = data
        self.since = []  # (offset, data), or (size, None): cut or grown to that size

    def sync(self):
        self.synced = _with(self.synced, self.since)
        self.since = []

    def lose(self, chance):
        """A sync that failed: the system believes that all is written now, and does not write it again."""
        self.synced = _with(self.synced, _some(self.since, chance))
        self.since = []

    def left(self, chance):
        """What the disk has of them when the power fails: of what was not synced all, nothing, what came first, or any
        sectors of any of it.
        """
        how = chance.choice(("all", "nothing", "first", "sectors", "sectors"))
        if how in ("all", "nothing"):
            return _with(self.synced, self.since if how == "all" else [])
        if how == "first":
            return _with(self.synced, self.since[: chance.randint(0, len(self.since))])
        return _with(self.synced, _some(self.since, chance))


def _some(changes, chance):
    """About half of the sectors that were written."""
    size = chance.choice((SECTOR, 4096))
    return [part for change in changes for part in _sectors(change, size) if chance.random() < 0.5]


def _with(data, changes):
    made = bytearray(data)
    for at, new in changes:
        if len(made) < at:
            made.extend(bytes(at - len(made)))
        if new is None:
            del made[at:]
        else:
            made[at : at + len(new)] = new
    return bytes(made)


def _sectors(change, size):
    """A write, cut at the borders of sectors; a cut is one thing."""
    at, data = change
    if data is None:
        yield change
        return
    start = at
    while start < at + len(data):
        end = min(at + len(data), (start // size + 1) * size)
        yield start, data[start - at : end - at]
        start = end


class Platter:
    """What lies on the disk, of all files in the store's directory, and which names its directory has there."""

    def __init__(self):
        self._live = {}  # name → bytes, as every process sees it
        self._kept = {}  # the same as the directory was when it was last synced
        self._lock = Lock()

    def open(self, path):
        with self._lock:
            name = os.path.basename(path)
            if name not in self._live:
                self._live[name] = _Bytes(Path(path).read_bytes() if os.path.getsize(path) else b"")

    def write(self, path, data, offset):
        self._change(path, (offset, data))

    def truncate(self, path, size):
        self._change(path, (size, None))

    def _change(self, path, change):
        with self._lock:
            self._live[os.path.basename(path)].since.append(change)

    def sync(self, path, folder_too):
        with self._lock:
            self._live[os.path.basename(path)].sync()
            if folder_too:
                self._kept = dict(self._live)

    def lose(self, path, chance):
        with self._lock:
            self._live[os.path.basename(path)].lose(chance)

    def delete(self, path, folder_too):
        with self._lock:
            self._live.pop(os.path.basename(path), None)
            if folder_too:
                self._kept = dict(self._live)

    def leave(self, chance, into):
        """Write what is left when the power fails now: each name as it was synced or as it is, each file in its turn.

        For a process that then ends: what other threads do after this reaches nothing.
        """
        self._lock.acquire()
        os.makedirs(into, exist_ok=True)
        for name in sorted(self._live.keys() | self._kept.keys()):
            held = chance.choice((self._live, self._kept)).get(name)
            if held is not None:
                Path(into, name).write_bytes(held.left(chance))
