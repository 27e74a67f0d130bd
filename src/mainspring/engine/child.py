"""One process that runs tasks, as the daemon sees it: started, fed, listened to, asked to stop, killed, reaped.

Nothing here waits for the child, but for `ended` when it is told to and for the setup, which fits into the socket.
What each message means is said in `child_messages`; what the child does with it, in `child_main`.

When the daemon dies, however it dies, its end of `control` is closed and the child kills its whole group. For a body
that never lets go of the interpreter there is a second net, Linux's PDEATHSIG, which fires when the *thread* that made
the `Child` ends: make children on a thread that lives as long as the daemon.
"""

import contextlib
import logging
import os
import signal
import socket
import sys
import weakref
from collections.abc import Sequence
from typing import TYPE_CHECKING

import msgspec

from mainspring.engine.child_messages import (
    CHUNK,
    LARGEST_FEED,
    Answer,
    ControlMessage,
    Frames,
    NeedPayload,
    Payload,
    Ready,
    Setup,
    framed,
)
from mainspring.store.journal import Buffer, Journal

if TYPE_CHECKING:
    import subprocess

_ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
_PACKETS = getattr(socket, "SOCK_SEQPACKET", socket.SOCK_DGRAM) if sys.platform == "linux" else socket.SOCK_DGRAM
log = logging.getLogger("mainspring")

_CHUNK = 256 * 1024
_ROOM = 4 * 1024 * 1024  # asked for the feed; the system gives what it allows
_NOW = getattr(socket, "MSG_DONTWAIT", 0)


class Child:
    """A process that runs tasks one after the other. Used by one thread at a time, but for `current` and `kill`.

    `index` of `count`: which part of the node's journal is its own; `journal_fd` is inherited by it, `journal` the
    same file as the daemon has it mapped. It holds the descriptors `locks` until it is gone. Raises OSError when no
    process can be started.
    """

    def __init__(
        self, index: int, count: int, setup: Setup, journal_fd: int, journal: Buffer, locks: Sequence[int]
    ) -> None:
        self.index = index
        self.ready = False
        self.killed = False  # by us
        self._gone = False  # its end was seen
        self._journal = Journal(journal, part=(index, count))
        self._frames = Frames()
        self._payload: Payload | None = None
        self._unsent = bytearray()
        with contextlib.ExitStack() as unless_started, contextlib.ExitStack() as theirs:
            self._feed, self._unread = socket.socketpair(socket.AF_UNIX, _PACKETS)
            self._answers, answers = socket.socketpair()
            self._control, control = socket.socketpair()
            for own in (self._feed, self._unread, self._answers, self._control):
                unless_started.callback(own.close)
            theirs.callback(answers.close)
            theirs.callback(control.close)
            self._feed.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _ROOM)
            self._answers.setblocking(False)
            descriptors = (self._unread.fileno(), answers.fileno(), control.fileno(), journal_fd, *locks)
            self._process = _spawn(index, count, descriptors)
            unless_started.pop_all()
        self.pid = self._process.pid
        with contextlib.suppress(OSError):  # it is dead already: the next look will tell
            self._control.sendall(framed(setup))
        self._control.setblocking(False)
        _children.add(self)

    # ── tasks ──────────────────────────────────────────────────────────────────────────────────────────────
    def feed(self, message: bytes) -> bool:
        """Give it a task (see `encode_feed`). False when no more fits, or when its end was seen.

        What was given to a child that is dead already can be taken back like all that is unread.
        """
        if self._gone:
            return False
        try:
            self._feed.send(message, _NOW)
        except OSError:
            return False
        return True

    def take_back(self) -> list[bytes]:
        """The messages that it has not read, in order; it never will. Also when it is dead."""
        taken: list[bytes] = []
        try:
            while message := self._unread.recv(LARGEST_FEED, _NOW):
                taken.append(message)
        except OSError:
            pass  # nothing left
        return taken

    def current(self) -> tuple[int, int, int] | None:
        """Task, token and start of the last task that it has started: while that is unanswered, it is what runs.

        Read from the shared journal, from any thread: about a microsecond.
        """
        return self._journal.last() if self.ready else None

    # ── messages ───────────────────────────────────────────────────────────────────────────────────────────
    def fileno(self) -> int:
        """Readable when there is something to `receive`."""
        return self._answers.fileno()

    def receive(self) -> list[Answer] | None:
        """All that it has said since the last time; None when it is gone, and all was told."""
        answers: list[Answer] = []
        while True:
            try:
                data = self._answers.recv(_CHUNK)
            except BlockingIOError:
                break
            except OSError:
                data = b""
            if not data:
                self._gone = True
                if answers:
                    break  # the next call finds the same end
                return None
            try:
                answers += self._frames.answers(data)
            except msgspec.MsgspecError as error:
                # its body has written to what is not its own; what it says from here on could be anything
                log.error("worker process %d said what cannot be read, and is replaced: %s", self.pid, error)  # noqa: TRY400
                self.kill()
                if answers:
                    break
                return None
            if len(data) < _CHUNK:
                break
        for answer in answers:
            if type(answer) is Ready:
                self.ready = True
        if self._payload is not None:
            answers = [answer for answer in answers if not self._continues(answer)]
        self._flush()
        return answers

    def control(self, message: ControlMessage) -> None:
        """Tell it something. It reads at once, unless its body does not let go of the interpreter."""
        if type(message) is Payload:
            self._payload = message
            message = self._piece(0)
        self._unsent += framed(message)
        self._flush()

    def _continues(self, answer: Answer) -> bool:
        """Send the next piece of a payload that is being asked for: piece by piece, so that none waits to be read."""
        payload = self._payload
        if type(answer) is not NeedPayload or not answer.at or payload is None:
            return False
        if (answer.task, answer.token) == (payload.task, payload.token):
            self._unsent += framed(self._piece(answer.at))
        return True

    def _piece(self, at: int) -> Payload:
        payload = self._payload
        assert payload is not None
        last = at + CHUNK >= len(payload.text)
        if last:
            self._payload = None
        return msgspec.structs.replace(payload, text=payload.text[at : at + CHUNK], last=last)

    def _flush(self) -> None:
        """Send what is unsent, as far as the socket takes it: one that is stopped reads nothing."""
        try:
            while self._unsent:
                del self._unsent[: self._control.send(self._unsent)]
        except BlockingIOError:
            pass
        except OSError:
            self._unsent.clear()  # dead

    # ── the end ────────────────────────────────────────────────────────────────────────────────────────────
    def kill(self) -> None:
        """End it and its group, now. From any thread."""
        if self._process.returncode is None:
            self.killed = self._gone = True
            _kill_group(self.pid)

    def ended(self, timeout: float = 0) -> str | None:
        """How it ended, in words; None while it lives. Waits up to `timeout` seconds.

        When it did not end in peace, what its task has left running in its group is killed.
        """
        import subprocess

        try:
            code = self._process.wait(timeout) if timeout else self._process.poll()
        except subprocess.TimeoutExpired:
            return None
        if code is None:
            return None
        self._gone = True
        if code:
            _kill_group(self.pid)
        return _words(code, killed=self.killed)

    def close(self) -> None:
        """Let go of it: a child that still lives is killed. Closing twice is fine."""
        self.kill()
        self._close_sockets()
        self._process.wait()

    def forget(self) -> None:
        """In the child of a fork: what belongs to the parent is closed, or its death would not be seen."""
        self._close_sockets()
        self._process.returncode = 0  # not this process's child

    def _close_sockets(self) -> None:
        for one in (self._feed, self._unread, self._answers, self._control):
            one.close()


def _spawn(index: int, count: int, descriptors: Sequence[int]) -> "subprocess.Popen[bytes]":
    """A fresh interpreter with the flags of this one, in a session of its own: the terminal's Ctrl-C is the daemon's.

    It finds Mainspring where this one has it, whatever the directory holds.
    """
    import subprocess

    flags = subprocess._args_from_interpreter_flags()  # type: ignore[attr-defined]  # noqa: SLF001  # as multiprocessing does
    code = f"import sys; sys.path.insert(0, {_ROOT!r}); from mainspring.engine.child_main import main; main()"
    words = [str(number) for number in (index, count, os.getpid(), *descriptors)]
    return subprocess.Popen(
        [sys.executable, *flags, "-P", "-c", code, *words],
        stdin=subprocess.DEVNULL,
        pass_fds=descriptors,
        start_new_session=True,
    )


def _kill_group(group: int) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):  # gone
        os.killpg(group, signal.SIGKILL)


def _words(code: int, *, killed: bool) -> str:
    if code >= 0:
        return f"exited with code {code}"
    try:
        name = signal.Signals(-code).name
    except ValueError:  # a real-time signal has none
        name = f"signal {-code}"
    guess = " (out of memory?)" if -code == signal.SIGKILL and not killed else ""
    return f"was killed by {name}{guess}"


_children: "weakref.WeakSet[Child]" = weakref.WeakSet()


def _forget_all() -> None:
    for one in list(_children):
        one.forget()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_all)
