"""News between processes: short texts, sent as datagrams to sockets in the store's own directory.

A watcher is one bound socket, named `w-<pid>-<random>`; who has news lists the directory and sends to every one. Nobody
polls, nobody keeps a list, and what a dead process left is removed by the next sender. News are hints: they may come
twice, and those for a watcher that does not look are dropped, which it notices and reports as `*`.
"""

import hashlib
import os
import secrets
import socket
import sys
from collections.abc import Iterable, Iterator
from contextlib import suppress
from threading import Lock

from mainspring.store.sqlite_place import make_folder

_PREFIX = "w-"
_LONGEST = 100  # bytes of a socket's path; the system's limit is 104 or 108
_ROOM = 65_536
_UNIX = hasattr(socket, "AF_UNIX") and sys.platform != "win32"


class Wake:
    """The news of the store whose companions live in `folder`."""

    def __init__(self, folder: str) -> None:
        self._folder = folder
        self._handle: int | None = None  # an open directory, through which a long path is reached by a short one
        self._lock = Lock()

    def send(self, texts: Iterable[str]) -> None:
        """Tell every watcher. Costs one listing of a small directory when there is none; never waits, never fails."""
        message = "\n".join(dict.fromkeys(texts)).encode()
        if not message:
            return
        names = list(_watchers(self._place()))
        if not names:
            return
        # A socket for each sending: what waits in a stopped watcher's queue is charged to the socket it came from,
        # and must not use up the room for the others.
        with _new_socket() as sender:
            for name in names:
                try:
                    sender.sendto(message, self._address(name))
                except BlockingIOError:
                    pass  # its queue is full: it has enough to look at
                except (ConnectionRefusedError, FileNotFoundError, ValueError):
                    with suppress(OSError):
                        os.unlink(os.path.join(self._place(), name))
                except OSError:
                    pass  # a hint that could not be given; whoever watches looks by itself now and then

    def watch(self) -> "SocketWatch":
        """A new watcher, which hears of everything that is committed from now on."""
        place = self._place()
        make_folder(place)
        name = f"{_PREFIX}{os.getpid()}-{secrets.token_hex(4)}"
        bound = _new_socket()
        try:
            if _UNIX:
                bound.bind(self._address(name))
            else:  # untested: loopback datagrams, with the port in the file that is the socket elsewhere
                bound.bind(("127.0.0.1", 0))
                with open(os.path.join(place, name), "w", encoding="ascii") as file:
                    file.write(str(bound.getsockname()[1]))
        except BaseException:
            bound.close()
            raise
        return SocketWatch(bound, os.path.join(place, name))

    def close(self) -> None:
        """Let go of the directory."""
        with self._lock:
            if self._handle is not None:
                os.close(self._handle)
            self._handle = None

    def after_fork_in_child(self) -> None:
        """A lock that another thread held in the parent would be held for ever."""
        self._lock = Lock()

    def _place(self) -> str:
        """Where the sockets are: the store's directory, or one with a short name when nothing else can shorten it."""
        long = len(os.fsencode(self._folder)) + 32 > _LONGEST
        if long and _UNIX and not os.path.isdir("/proc/self/fd"):
            return f"/tmp/mainspring-{hashlib.sha256(os.fsencode(self._folder)).hexdigest()[:16]}"  # noqa: S108  # checked to be ours
        return self._folder

    def _address(self, name: str) -> str | tuple[str, int]:
        path = os.path.join(self._place(), name)
        if not _UNIX:
            with open(path, encoding="ascii") as file:
                return "127.0.0.1", int(file.read())
        if len(os.fsencode(path)) <= _LONGEST:
            return path
        with self._lock:
            if self._handle is None:
                self._handle = os.open(self._folder, os.O_RDONLY | os.O_DIRECTORY)
            return f"/proc/self/fd/{self._handle}/{name}"


class SocketWatch:
    """Fills the port's `Watch`."""

    def __init__(self, bound: socket.socket, path: str) -> None:
        self._socket: socket.socket | None = bound
        self._path = path
        self._owner = os.getpid()
        self._room = _queue_length()
        self._lock = Lock()

    def fileno(self) -> int:
        """A descriptor for `select`; -1 when closed."""
        bound = self._socket
        return -1 if bound is None else bound.fileno()

    def drain(self) -> list[str]:
        """All news since the last call, equal ones folded; `["*"]` when the queue had been full."""
        with self._lock:
            if self._socket is None:
                return []
            news: dict[str, None] = {}
            count = 0
            with suppress(BlockingIOError):
                while count < 10 * _ROOM:
                    news |= dict.fromkeys(self._socket.recv(_ROOM).decode(errors="replace").split("\n"))
                    count += 1
            return ["*"] if count > self._room else list(news)

    def close(self) -> None:
        """Hear no more. In a forked child this drops the copy and leaves the parent's socket where it is."""
        with self._lock:
            bound, self._socket = self._socket, None
            if bound is None:
                return
            bound.close()
            if os.getpid() == self._owner:
                with suppress(OSError):
                    os.unlink(self._path)

    def after_fork_in_child(self) -> None:
        """The news are the parent's; a lock that another thread held there would be held for ever."""
        self._lock = Lock()
        self.close()


def _watchers(folder: str) -> Iterator[str]:
    with suppress(OSError), os.scandir(folder) as entries:
        for entry in entries:
            if entry.name.startswith(_PREFIX):
                yield entry.name


def _new_socket() -> socket.socket:
    made = socket.socket(socket.AF_UNIX if _UNIX else socket.AF_INET, socket.SOCK_DGRAM)
    made.setblocking(False)
    return made


def _queue_length() -> int:
    """How many datagrams wait for a receiver before further ones are refused."""
    try:
        with open("/proc/sys/net/unix/max_dgram_qlen", encoding="ascii") as file:
            return int(file.read())
    except (OSError, ValueError):
        return 10
