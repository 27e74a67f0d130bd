"""What `doctor` checks: each check is a function that finds one thing out and says what to do about it."""

import os
import sys
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING, Literal

import click
import msgspec

from mainspring.cli.session import Session
from mainspring.errors import MainspringError, StoreError
from mainspring.version import __version__
from mainspring.when.clock import SystemClock, TimerSleeper
from mainspring.when.instants import isoformat, load_zone
from mainspring.when.wall import local_zone

if TYPE_CHECKING:
    from mainspring.store.outbox_connections import Place
    from mainspring.store.protocol import Store

_RELEASED = 1_735_689_600_000_000  # 2025-01-01T00:00Z: a clock before that was never set
_OLDEST_SQLITE = (3, 51, 3)  # before: a race that corrupts a write-ahead log
_NETWORKS = frozenset(
    {"nfs", "nfs4", "cifs", "smb3", "smbfs", "9p", "afs", "ceph", "lustre", "glusterfs", "gpfs", "ocfs2", "gfs2"}
)
_FORGETFUL = frozenset({"tmpfs", "ramfs"})
_LITTLE = 100 * 1024 * 1024
_TIME_ERROR = 5  # adjtimex: the clock is not synchronised


class Check(msgspec.Struct, frozen=True):
    """What was found, and where it is not well, what to do."""

    name: str
    level: Literal["ok", "warn", "fail"]
    found: str
    advice: str | None = None


def machine() -> Iterator[Check]:
    """Python, clocks, time zones, SQLite."""
    yield Check("python", "ok", f"{sys.version.split()[0]}, mainspring {__version__}")
    yield _sqlite()
    yield _clock(SystemClock().now())
    yield _timer()
    yield _zones()


def _sqlite() -> Check:
    try:
        found = version("apsw")
    except PackageNotFoundError:
        return Check("sqlite", "fail", "apsw is not installed", "pip install apsw")
    parts = tuple(int(part) for part in found.split(".")[:3] if part.isdigit())
    if parts < _OLDEST_SQLITE:
        return Check("sqlite", "fail", f"{found} can corrupt its log", "pip install --upgrade apsw")
    return Check("sqlite", "ok", f"{'.'.join(map(str, parts))}, from apsw")


def _clock(now: int) -> Check:
    if now < _RELEASED:
        return Check("clock", "fail", f"it says {isoformat(now)}", "set the clock; tasks start by it")
    if _unsynchronised():
        advice = "start chrony or systemd-timesyncd, or instants are as wrong as the clock"
        return Check("clock", "warn", f"{isoformat(now)}, not synchronised", advice)
    return Check("clock", "ok", isoformat(now))


def _unsynchronised() -> bool:
    """Does the kernel say that nobody keeps its clock right? False where it cannot be asked."""
    if sys.platform != "linux":
        return False
    import ctypes

    library = ctypes.CDLL(None)
    nothing_changed = ctypes.create_string_buffer(512)  # struct timex, all zero: only read
    return hasattr(library, "adjtimex") and library.adjtimex(nothing_changed) == _TIME_ERROR


def _timer() -> Check:
    sleeper = SystemClock().sleeper()
    exact = isinstance(sleeper, TimerSleeper)
    sleeper.close()
    if exact:
        return Check("timer", "ok", "timerfd: exact, and woken when the clock is set")
    return Check("timer", "warn", "no timerfd", "tasks start a little later, and up to 1 s after the clock was set")


def _zones() -> Check:
    try:
        load_zone("Europe/Berlin")
    except MainspringError:
        return Check("zones", "fail", "there are no time zones", "pip install tzdata, or install the system's tzdata")
    return Check("zones", "ok", f"local zone {local_zone()}")


def store(session: Session) -> Iterator[Check]:
    """The settings, the store's file and what is in it."""
    try:
        url = session.url
    except (MainspringError, click.ClickException) as error:
        yield Check("settings", "fail", error.message if isinstance(error, click.ClickException) else str(error))
        return
    if url == "memory:":
        yield Check("store", "ok", "in memory: what is in it ends with its process")
        return
    if url.startswith("sqlite:"):
        path = "/" + url.removeprefix("sqlite:").lstrip("/")
        yield from _directory(os.path.dirname(path))
        if not os.path.exists(path):
            yield Check("store", "ok", f"none yet at {path}; the first task or `{session.start_command}` makes it")
            return
        yield _file(path)
    try:
        kept = session.client.store
        yield Check("store", "ok", f"{kept.url}, {sum(kept.stats().counts.values())} tasks")
        yield from _nodes(kept, session)
    except StoreError as error:
        yield Check("store", "fail", str(error))


def outboxes(session: Session) -> Iterator[Check]:
    """Each database that tasks come from: can it be reached, and how many wait in it?"""
    try:
        places = session.outboxes
    except MainspringError as error:
        yield Check("outbox", "fail", str(error))
        return
    except click.ClickException:  # said with the settings
        return
    yield from map(_outbox, places)


def _outbox(place: "Place") -> Check:
    from mainspring.store.outbox import waiting
    from mainspring.store.outbox_connections import reach

    try:
        connection = place.connect()
        if connection is None:
            return Check("outbox", "ok", f"{place.label} is not there yet")
        reached = reach(connection)
        try:
            count = waiting(reached)
        finally:
            reached.close()
    except Exception as error:  # noqa: BLE001  # any library's
        advice = "no daemon can take tasks from it; a missing table is made by daemon.create_outbox(connection)"
        return Check("outbox", "fail", f"{place.label}: {type(error).__name__}: {error}", advice)
    return Check("outbox", "ok", f"{place.label}: {count:,} tasks wait to be moved")


def _directory(directory: str) -> Iterator[Check]:
    """Can it be written, does its file system keep what it is told, is there room?"""
    if not os.path.isdir(directory):
        yield Check("directory", "fail", f"there is no directory {directory}", f"mkdir -p {directory}")
        return
    if not os.access(directory, os.W_OK | os.X_OK):
        yield Check("directory", "fail", f"{directory} cannot be written by this user", "choose another --store")
        return
    yield file_system(directory)
    if hasattr(os, "statvfs"):
        room = os.statvfs(directory)
        free = room.f_bavail * room.f_frsize
        if free < _LITTLE:
            yield Check("disk", "warn", f"{free // 1_000_000} MB are free", "make room before it is full")


def file_system(directory: str, mounts: str = "/proc/self/mountinfo") -> Check:
    """Is it a local one? `mounts`: where the system lists what is mounted."""
    kind = _kind_of_mount(os.path.realpath(directory), mounts)
    if kind in _NETWORKS or (kind or "").startswith("fuse.sshfs"):
        return Check(
            "directory", "fail", f"{directory} is on a network file system ({kind})",
            "locks and the shared log of SQLite do not hold there: put the store on a local disk",
        )  # fmt: skip
    if kind in _FORGETFUL:
        return Check(
            "directory", "warn", f"{directory} is in memory ({kind})", "what is stored is gone after a restart"
        )
    return Check("directory", "ok", f"{directory} ({kind or 'unknown file system'})")


def _kind_of_mount(directory: str, mounts: str) -> str | None:
    """The file system of the longest mount point above the directory; None where that is not told."""
    try:
        with open(mounts, encoding="utf-8", errors="surrogateescape") as file:
            lines = file.read().splitlines()
    except OSError:
        return None
    best, kind = "", None
    for line in lines:
        fields = line.split(" ")
        point = fields[4].replace("\\040", " ")
        inside = point in {"/", directory} or directory.startswith(f"{point}/")
        if inside and len(point) >= len(best) and "-" in fields:
            best, kind = point, fields[fields.index("-") + 1]
    return kind


def _file(path: str) -> Check:
    found = os.stat(path)
    if not os.access(path, os.R_OK | os.W_OK):
        return Check("file", "fail", f"{path} cannot be read and written by this user", "run as its owner")
    if found.st_mode & 0o022:
        return Check(
            "file", "warn", f"others may write {path}, so no programs are run from it", f"chmod go-w {path}"
        )  # fmt: skip
    if found.st_mode & 0o044:
        return Check("file", "warn", f"others may read {path}", f"chmod go-r {path}, arguments may be private")
    return Check("file", "ok", f"only its owner can read and write it, {found.st_size / 1e6:.1f} MB")


def _nodes(kept: "Store", session: Session) -> Iterator[Check]:
    nodes = kept.nodes()
    living = [node for node in nodes if node.alive]
    dead = [f"{node.id} (pid {node.pid})" for node in nodes if not node.alive]
    if dead:
        advice = "a running daemon settles what they left at once; start one"
        yield Check("daemons", "warn", f"ended without settling: {', '.join(dead)}", advice)
    if not living:
        yield Check("daemons", "warn", "none runs this store", f"start one: {session.start_command}")
    else:
        others = sorted({node.version for node in living} - {__version__})
        pids = ", ".join(f"pid {node.pid}" for node in living)
        advice = f"this is {__version__}; run one version on a store"
        if others:
            yield Check("daemons", "warn", f"{pids}; of version {', '.join(others)}", advice)
        else:
            yield Check("daemons", "ok", pids)
    status = session.client.status()
    if status.unresolved:
        yield Check(
            "tasks", "warn", f"{status.unresolved} wait that no running daemon may run",
            "their daemons' logs say why; `mainspring list` shows them",
        )  # fmt: skip
    if status.paused:
        names = ", ".join("everything" if name == "*" else name for name in status.paused)
        yield Check("pause", "warn", f"paused: {names}", "mainspring resume")
