"""One keeper process and the thread that listens to it: what it says, and what its programs write.

The thread sleeps until a pipe or the keeper's socket is readable, or a drain is over. A handle's result comes exactly
once, whatever becomes of the keeper. See `keeper` for the messages.
"""

import contextlib
import errno
import json
import logging
import os
import selectors
import signal
import socket
import struct
import sys
import threading
from collections.abc import Callable, Sequence
from typing import Any

import msgspec

from mainspring.tasks.output import Tail
from mainspring.when.clock import SystemClock

log = logging.getLogger("mainspring")

GRACE_US = 2_000_000  # between TERM and KILL, where nobody says otherwise
_DRAIN_US = 100_000  # how long output is still read after the exit, when a child of the program keeps the pipe open
_CHUNK = 65536
_LAST_CHUNKS = 16  # the largest pipe an ordinary user can make is 1 MiB
_KEEPER = os.path.join(os.path.dirname(os.path.abspath(__file__)), "keeper.py")
_LENGTH = struct.Struct("!I")
_monotonic = SystemClock().monotonic


class ProgramResult(msgspec.Struct, frozen=True, kw_only=True):
    """What became of one program: `exit_code` or `signal` if it ran to an end, else `error` says why not."""

    exit_code: int | None = None
    signal: int | None = None  # the number of the signal that ended it
    output: str = ""
    error: str | None = None  # could not be started, or lost
    lost: bool = False  # the keeper died: whether and how far it ran is not known
    cpu: int = 0  # µs, user and system, with the children it waited for
    max_rss: int = 0  # bytes; on Linux never less than the 13 MB that the keeper has when it starts a program

    @property
    def ok(self) -> bool:
        """It exited with 0."""
        return self.exit_code == 0


OnOutput = Callable[[str, bytes], None]
OnExit = Callable[[ProgramResult], None]


class ProgramHandle:
    """One program that was asked for. `tail` has what it has written so far; `pid` is None until it was started."""

    def __init__(self, id: int, on_output: OnOutput | None, on_exit: OnExit | None) -> None:  # noqa: A002
        self.pid: int | None = None
        self.tail = Tail()
        self.id = id
        self.on_output = on_output
        self.on_exit = on_exit
        self.pipes: dict[int, str] = {}  # read ends that are open: "stdout", "stderr"
        self.exited: dict[str, Any] | None = None  # the keeper's message
        self.link: Link | None = None
        self._result: ProgramResult | None = None
        self._done = threading.Event()

    def terminate(self, grace_us: int = GRACE_US) -> None:
        """TERM to the program's whole group, KILL `grace_us` later. Nothing if it has ended. From any thread."""
        if self.link is not None and not self._done.is_set():
            self.link.tell({"do": "stop", "id": self.id, "grace": grace_us / 1e6})

    def kill(self) -> None:
        """KILL to the whole group, at once."""
        self.terminate(0)

    def wait(self, timeout: float | None = None) -> ProgramResult | None:
        """The result, as soon as there is one; None when `timeout` (seconds) was over first."""
        self._done.wait(timeout)
        return self._result

    def settle(self, result: ProgramResult) -> None:
        """It is over. Called once."""
        self.tail.finish()
        self._result = msgspec.structs.replace(result, output=self.tail.text())
        self._done.set()
        if self.on_exit is not None:
            try:
                self.on_exit(self._result)
            except Exception:
                log.exception("what was to be done at the exit of a program failed")


class Link:
    """One keeper process, from its launch to its end, and the thread that listens to it and to its programs."""

    def __init__(self, lock_fds: Sequence[int]) -> None:
        import subprocess

        self.ended = False
        self._lock = threading.Lock()  # guards sending, `ended`, and adding to the handles
        self._handles: dict[int, ProgramHandle] = {}
        self._draining: dict[int, int] = {}  # by id of a program that has exited: until when its pipes are still read
        self._inbox = bytearray()
        self._socket, theirs = socket.socketpair()
        with theirs, contextlib.ExitStack() as unless_launched:
            unless_launched.callback(self._socket.close)
            self._process = subprocess.Popen(
                [sys.executable, "-I", "-S", "-X", "utf8", _KEEPER, str(theirs.fileno())],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                cwd="/",
                pass_fds=(theirs.fileno(), *lock_fds),
                start_new_session=True,  # the terminal's Ctrl-C is the daemon's to handle
            )
            unless_launched.pop_all()
        self._selector = selectors.DefaultSelector()
        self._selector.register(self._socket, selectors.EVENT_READ)
        self._thread = threading.Thread(target=self._listen, name="mainspring-programs", daemon=True)
        self._thread.start()

    def start(self, handle: ProgramHandle, request: dict[str, Any]) -> bool:
        """Send the request with the write ends of two new pipes. False: the keeper is gone, nothing was started."""
        with self._lock, contextlib.ExitStack() as cleanup:
            if self.ended:
                return False
            writes = []
            for stream in ("stdout", "stderr"):
                read, write = os.pipe()
                cleanup.callback(os.close, write)
                writes.append(write)
                os.set_blocking(read, False)
                handle.pipes[read] = stream
            handle.link = self
            self._handles[handle.id] = handle
            try:
                self._send(request, writes)
            except OSError as error:
                del self._handles[handle.id]
                self._close_pipes(handle)
                if not isinstance(error, ConnectionError):
                    raise
                self.ended = True
                return False
        return True

    def tell(self, message: dict[str, Any]) -> None:
        """Send a message; if the keeper is gone there is nobody to hear it, and nothing left to say it about."""
        with self._lock, contextlib.suppress(OSError):
            self._send(message)

    def stop(self, grace_us: int) -> None:
        """Say that this is the end, and wait for the keeper's."""
        self.tell({"do": "end", "grace": grace_us / 1e6})
        with self._lock, contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_WR)
        if threading.current_thread() is not self._thread:
            self._thread.join()

    def forget(self) -> None:
        """In the child of a fork: close what belongs to the parent, or the keeper would not see the parent's end."""
        self.ended = True
        self._lock = threading.Lock()
        for handle in self._handles.values():
            for fd in handle.pipes:
                os.close(fd)
        self._handles.clear()
        self._selector.close()  # without unregistering: the parent shares what it watches
        self._socket.close()
        self._process.returncode = 0  # not this process's child

    def _send(self, message: dict[str, Any], descriptors: Sequence[int] = ()) -> None:
        text = json.dumps(message).encode()
        data = _LENGTH.pack(len(text)) + text
        sent = socket.send_fds(self._socket, [data], descriptors) if descriptors else 0
        self._socket.sendall(data[sent:])

    def _listen(self) -> None:
        try:
            while self._turn():
                pass
        except Exception:
            log.exception("reading from programs failed; those that run are ended")
        finally:
            self._end()

    def _turn(self) -> bool:
        """Sleep until something is readable or a drain is over. False when the keeper is gone."""
        alive = True
        timeout = max(0, min(self._draining.values()) - _monotonic()) / 1e6 if self._draining else None
        for key, _ in self._selector.select(timeout):
            if key.data is None:
                alive = self._receive()
            elif key.fd in key.data.pipes:  # else closed in this very turn
                self._read(key.data, key.fd)
        if self._draining:
            now = _monotonic()
            for id in [id for id, until in self._draining.items() if until <= now]:  # noqa: A001
                self._finish(self._handles[id])
        return alive

    def _receive(self) -> bool:
        try:
            data = self._socket.recv(_CHUNK)
        except ConnectionError:
            return False
        self._inbox += data
        while len(self._inbox) >= _LENGTH.size:
            end = _LENGTH.size + _LENGTH.unpack_from(self._inbox)[0]
            if len(self._inbox) < end:
                break
            message = json.loads(self._inbox[_LENGTH.size : end])
            del self._inbox[:end]
            self._hear(self._handles[message["id"]], message)
        return bool(data)

    def _hear(self, handle: ProgramHandle, message: dict[str, Any]) -> None:
        match message["is"]:
            case "started":
                handle.pid = message["pid"]
                for fd in handle.pipes:
                    self._selector.register(fd, selectors.EVENT_READ, handle)
            case "refused":
                self._settle(handle, ProgramResult(error=_why(message)))
            case "exited":
                handle.exited = message
                self._draining[handle.id] = _monotonic() + _DRAIN_US
                if not handle.pipes:
                    self._finish(handle)

    def _read(self, handle: ProgramHandle, fd: int) -> bool:
        """Take one chunk of output; whether there may be more."""
        try:
            data = os.read(fd, _CHUNK)
        except BlockingIOError:
            return False
        stream = handle.pipes[fd]
        if data:
            handle.tail.write(data, stream)
            if handle.on_output is not None:
                try:
                    handle.on_output(stream, data)
                except Exception:
                    log.exception("what was to be done with a program's output failed")
            return True
        self._close_pipe(handle, fd)
        if handle.exited is not None and not handle.pipes:
            self._finish(handle)
        return False

    def _finish(self, handle: ProgramHandle) -> None:
        """It has exited and its output is read, or waited for long enough: take what is there and close."""
        for fd in list(handle.pipes):
            for _ in range(_LAST_CHUNKS):
                if handle.id not in self._handles or not self._read(handle, fd):
                    break
        message = handle.exited
        if message is not None and handle.id in self._handles:
            cpu = int(message["cpu"] * 1e6)
            result = ProgramResult(
                exit_code=message["code"], signal=message["signal"], cpu=cpu, max_rss=message["max_rss"]
            )
            self._settle(handle, result)

    def _settle(self, handle: ProgramHandle, result: ProgramResult) -> None:
        self._close_pipes(handle)
        self._draining.pop(handle.id, None)
        del self._handles[handle.id]
        handle.settle(result)

    def _close_pipes(self, handle: ProgramHandle) -> None:
        for fd in list(handle.pipes):
            self._close_pipe(handle, fd)

    def _close_pipe(self, handle: ProgramHandle, fd: int) -> None:
        with contextlib.suppress(KeyError):  # not watched: the program was never started
            self._selector.unregister(fd)
        del handle.pipes[fd]
        os.close(fd)

    def _end(self) -> None:
        """The keeper is gone: who has exited is finished, the others are lost, and killed as far as we know them."""
        with self._lock:
            self.ended = True
            self._socket.close()
            handles = list(self._handles.values())
        for handle in handles:
            if handle.exited is None and handle.pid is not None:
                with contextlib.suppress(OSError):
                    os.killpg(handle.pid, signal.SIGKILL)
        status = self._process.wait()
        for handle in handles:
            self._finish(handle)
            if handle.exited is None:
                self._settle(handle, ProgramResult(error=_lost(handle, status), lost=True))
        self._selector.close()


def _lost(handle: ProgramHandle, status: int) -> str:
    if handle.pid is None:
        return "the keeper of programs ended before it said whether the program was started"
    how = f"was killed by signal {-status}" if status < 0 else f"exited with {status}"
    return f"the keeper of programs {how} while the program ran; the program was killed"


def _why(refusal: dict[str, Any]) -> str:
    """Why a program could not be started, with the name of the error and what to do."""
    number, where = refusal["errno"], refusal["where"]
    name = f" ({errno.errorcode[number]})" if number in errno.errorcode else ""
    subject = repr(refusal["cwd"] if where == "cwd" else refusal["name"])
    match where, number:
        case "cwd", errno.ENOENT:
            return f"cwd does not exist: {subject}{name}; make it, or give another cwd"
        case "cwd", errno.ENOTDIR:
            return f"cwd is not a directory: {subject}{name}; give another cwd"
        case "command", errno.ENOENT if "/" in refusal["name"]:
            return (
                f"no such file: {subject}{name} in cwd {refusal['cwd']!r}, "
                "or the interpreter that its first line names does not exist; check the path"
            )
        case "command", errno.ENOENT:
            return f"no such file: {subject}{name} is nowhere on PATH; give its full path, or set PATH with env"
        case "command", errno.EACCES:
            return f"not executable: {subject}{name}; make it so with chmod +x, or name its interpreter first"
        case "command", errno.ENOEXEC:
            return f"not a program: {subject}{name}; begin it with a #! line, or name its interpreter first"
        case _:
            return f"the program {subject} could not be started in {refusal['cwd']!r}: {refusal['message']}{name}"
