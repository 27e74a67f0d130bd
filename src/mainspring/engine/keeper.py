"""The keeper: a small process that starts programs, reaps them, and ends them all when the daemon is gone.

It runs as a script (`python -I -S keeper.py FD`) and imports nothing of Mainspring. FD is a Unix stream socket to
the daemon; other descriptors it was given (the node's lock) are simply held until it exits. Messages are JSON after
a length of four bytes; a `start` brings the write ends of the program's two output pipes with it.

    daemon: {"do": "start", "id", "command", "executable", "cwd", "env"}  {"do": "stop", "id", "grace"}  {"do": "end",
    "grace"} keeper: {"is": "started", "id", "pid"}  {"is": "refused", "id", "where", "cwd", "name", "errno",
    "message"} {"is": "exited", "id", "code", "signal", "cpu", "max_rss"}

Invariants: every program leads a session, and so a process group, of its own. After end-of-file from the daemon
nothing is started any more, and the keeper exits, which releases the node's lock, only when all that it started is
gone; as the subreaper (Linux) it inherits whatever outlives its parent, so "no child left" means "nothing left". One
that was asked to stop is reported as exited only when its whole group is gone. Durations are in seconds.
"""

import contextlib
import json
import os
import select
import signal
import socket
import struct
import subprocess
import sys
import time
from collections import deque

TYPE_CHECKING = False
if TYPE_CHECKING:  # neither module is needed to run
    import resource
    from typing import Any

_LENGTH = struct.Struct("!I")
_GRACE = 2.0  # between TERM and KILL when the daemon died without a word
_AFTER_KILL = 2.0  # how long the rest of a killed group is waited for; it may be stuck in the kernel
_AGAIN = 0.1  # between two looks at what is left
_LAST_WORDS = 1.0  # for the daemon to read what is still unsent
_PR_SET_CHILD_SUBREAPER = 36
_GONE = select.POLLHUP | getattr(select, "POLLRDHUP", 0)
Message = dict[str, "Any"]  # decoded JSON


class Program:
    """One program: its leader's pid is also the id of its group."""

    __slots__ = ("deadline", "exited", "id", "killed", "pid", "stopping")

    def __init__(self, id: int, pid: int) -> None:  # noqa: A002
        self.id = id
        self.pid = pid
        self.exited: Message | None = None  # what to report; the leader has exited
        self.stopping = False
        self.killed = False
        self.deadline: float | None = None  # monotonic: the next harder measure


class Keeper:
    """Serves one daemon over `link` until its end-of-file."""

    def __init__(self, link: socket.socket) -> None:
        self.link = link
        self.link.setblocking(False)
        self.subreaper = _become_subreaper()
        self.programs: dict[int, Program] = {}  # by id: not yet reported as exited
        self.by_pid: dict[int, Program] = {}  # leaders that are not reaped
        self.groups: set[int] = set()  # without a subreaper: groups that outlived their leader
        self.grace = _GRACE
        self.inbox = bytearray()
        self.outbox = bytearray()
        self.descriptors: deque[int] = deque()  # received, in the order of the `start` messages they belong to
        self.null = os.open(os.devnull, os.O_RDWR | os.O_CLOEXEC)
        self.bell, bell = os.pipe()
        os.set_blocking(self.bell, False)
        os.set_blocking(bell, False)
        signal.set_wakeup_fd(bell, warn_on_full_buffer=False)
        # handled, not ignored: what is ignored here would stay ignored in every program
        for number in (signal.SIGCHLD, signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, _wake_only)
        signal.pthread_sigmask(signal.SIG_SETMASK, ())

    def serve(self) -> None:
        """Until the daemon is gone; then end everything."""
        try:
            while self.turn():
                pass
        finally:
            self.end_everything()

    def turn(self) -> bool:
        """Wait for a message, a death or a deadline, and see to it. False at the end-of-file."""
        deadlines = [program.deadline for program in self.programs.values() if program.deadline is not None]
        alive = True
        if self.wait(min(deadlines, default=None), listen=True):
            alive = self.receive()
        self.reap()
        self.press()
        self.flush()
        return alive

    def wait(self, deadline: float | None, *, listen: bool) -> bool:
        """Until something happens or `deadline` has come; whether the socket is ready. A death rings the bell."""
        poll = select.poll()
        poll.register(self.bell, select.POLLIN)
        events = (select.POLLIN if listen else 0) | (select.POLLOUT if self.outbox else 0)
        if events:
            poll.register(self.link, events)
        ready = [fd for fd, _ in poll.poll(None if deadline is None else max(0.0, deadline - time.monotonic()) * 1000)]
        if self.bell in ready:
            os.read(self.bell, 4096)
        return self.link.fileno() in ready

    def receive(self) -> bool:
        """Take what has come and do it."""
        try:
            data, descriptors, flags, _ = socket.recv_fds(self.link, 65536, 64)
        except BlockingIOError:
            return True
        except ConnectionError:
            return False
        self.descriptors.extend(descriptors)
        if flags & socket.MSG_CTRUNC:
            return False  # descriptors were lost: which output belongs to which program is no longer known
        if not data:
            return False
        self.inbox += data
        while len(self.inbox) >= _LENGTH.size:
            end = _LENGTH.size + _LENGTH.unpack_from(self.inbox)[0]
            if len(self.inbox) < end:
                break
            message = json.loads(self.inbox[_LENGTH.size : end])
            del self.inbox[:end]
            self.obey(message)
        return True

    def obey(self, message: Message) -> None:
        """Do one thing that the daemon asked for."""
        match message["do"]:
            case "start":
                self.start(message)
            case "stop":
                self.stop(message["id"], message["grace"])
            case "end":
                self.grace = message["grace"]

    def start(self, message: Message) -> None:
        """Start a program, unless the daemon has gone since it asked."""
        stdout, stderr = self.descriptors.popleft(), self.descriptors.popleft()
        try:
            if self.daemon_is_gone():
                return
            process = subprocess.Popen(
                message["command"],
                executable=message["executable"],
                stdin=self.null,
                stdout=stdout,
                stderr=stderr,
                cwd=message["cwd"],
                env=message["env"],
                start_new_session=True,
            )
        except Exception as error:  # noqa: BLE001  whatever it is, the daemon has to hear of it
            self.refuse(message, error)
        else:
            process.returncode = 0  # reaped here, not by subprocess
            program = Program(message["id"], process.pid)
            self.programs[program.id] = self.by_pid[program.pid] = program
            self.send({"is": "started", "id": program.id, "pid": program.pid})
        finally:
            os.close(stdout)
            os.close(stderr)

    def refuse(self, request: Message, error: Exception) -> None:
        """Say why a program could not be started."""
        cwd, name = request["cwd"], request["executable"]
        self.send(
            {
                "is": "refused",
                "id": request["id"],
                "where": "cwd" if getattr(error, "filename", None) == cwd != name else "command",
                "cwd": cwd,
                "name": name,
                "errno": getattr(error, "errno", None),
                "message": getattr(error, "strerror", None) or str(error) or type(error).__name__,
            }
        )

    def stop(self, id: int, grace: float) -> None:  # noqa: A002
        """TERM to the group now, KILL after `grace`; at once if it is 0. Nothing if the program has exited."""
        program = self.programs.get(id)
        if program is None or program.killed:
            return
        if not program.stopping and grace > 0:
            self.signal_groups({program.pid}, signal.SIGTERM, signal.SIGCONT)  # one that is stopped could not heed it
        deadline = time.monotonic() + grace
        program.deadline = deadline if program.deadline is None else min(program.deadline, deadline)
        program.stopping = True

    def press(self) -> None:
        """What did not end within its grace is killed; what not even that ends is no longer waited for."""
        now = time.monotonic()
        for program in [one for one in self.programs.values() if one.deadline is not None and one.deadline <= now]:
            if not program.killed:
                _signal_group(program.pid, signal.SIGKILL)
                program.killed = True
                program.deadline = now + _AFTER_KILL
            elif program.exited is not None:
                self.report(program)
            else:
                program.deadline = None  # the leader itself cannot be killed: it is reported when it goes

    def reap(self) -> bool:
        """Collect every dead child: programs, and orphans that became ours. Whether any child is left."""
        left = True
        while True:
            try:
                pid, status, usage = os.wait4(-1, os.WNOHANG)
            except ChildProcessError:
                left = False
                break
            if pid == 0:
                break
            program = self.by_pid.pop(pid, None)
            if program is not None:
                self.leader_exited(program, status, usage)
        # the last member of a group that was asked to stop may have been an orphan
        for program in [one for one in self.programs.values() if one.exited is not None]:
            if not _group_exists(program.pid):
                self.report(program)
        return left

    def leader_exited(self, program: Program, status: int, usage: "resource.struct_rusage") -> None:
        """A program's own process is dead. Children that it left are its own affair, unless it was asked to stop."""
        code = os.waitstatus_to_exitcode(status)
        program.exited = {
            "is": "exited",
            "id": program.id,
            "code": code if code >= 0 else None,
            "signal": -code if code < 0 else None,
            "cpu": usage.ru_utime + usage.ru_stime,
            "max_rss": usage.ru_maxrss * (1 if sys.platform == "darwin" else 1024),
        }
        if not self.subreaper and _group_exists(program.pid):
            if program.stopping:
                _signal_group(program.pid, signal.SIGKILL)  # nobody would tell us when the others end
            else:
                self.groups = {group for group in self.groups if _group_exists(group)} | {program.pid}
        if not program.stopping or not self.subreaper:
            self.report(program)

    def report(self, program: Program) -> None:
        """The program is over."""
        assert program.exited is not None
        del self.programs[program.id]
        self.send(program.exited)

    def send(self, message: Message) -> None:
        """Queue a message; the keeper never waits for the daemon to read."""
        data = json.dumps(message).encode()
        self.outbox += _LENGTH.pack(len(data)) + data
        self.flush()

    def flush(self) -> None:
        """Send what the socket takes."""
        try:
            while self.outbox:
                del self.outbox[: self.link.send(self.outbox)]
        except BlockingIOError:
            pass
        except OSError:
            self.outbox.clear()  # nobody reads any more

    def daemon_is_gone(self) -> bool:
        """Whether the other end is closed, even if messages are still unread."""
        poll = select.poll()
        poll.register(self.link, _GONE)
        return bool(poll.poll(0))

    def end_everything(self) -> None:
        """TERM to all that is left, KILL after the grace, and again until nothing is left."""
        deadline = time.monotonic() + self.grace
        look = 0.0
        asked: set[int] = set()
        while self.reap():
            now = time.monotonic()
            if now >= deadline:
                self.signal_groups(self.groups_left(), signal.SIGKILL)
                look = deadline = now + _AGAIN
            elif now >= look:
                # look again: one may have forked, or moved to a group of its own, while we looked
                new = self.groups_left() - asked
                asked |= new
                self.signal_groups(new, signal.SIGTERM, signal.SIGCONT)
                look = min(now + _AGAIN, deadline)
            self.wait(look, listen=False)
            self.flush()
        if not self.subreaper:
            self.signal_groups(self.groups_left(), signal.SIGKILL)
        self.link.settimeout(_LAST_WORDS)
        with contextlib.suppress(OSError):
            self.link.sendall(self.outbox)

    def groups_left(self) -> set[int]:
        """Every group with a descendant of ours in it, or, where that cannot be known, every group we know."""
        return _descendant_groups() if self.subreaper else self.groups | set(self.by_pid)

    def signal_groups(self, groups: set[int], *numbers: int) -> None:
        """Each of the signals to each of the groups."""
        for group in groups:
            for number in numbers:
                _signal_group(group, number)


def _wake_only(number: int, frame: object) -> None:
    """The signal's work is done: it rang the bell."""


def _become_subreaper() -> bool:
    """Orphans of our programs become our children, not init's (Linux, and with /proc to find them in)."""
    if sys.platform != "linux" or not os.path.exists("/proc/self/stat"):
        return False
    import ctypes

    zero = ctypes.c_ulong(0)
    return bool(ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, ctypes.c_ulong(1), zero, zero, zero) == 0)


def _descendant_groups() -> set[int]:
    """The process groups of all our descendants, whatever session they moved to; from /proc."""
    children: dict[int, list[tuple[int, int]]] = {}
    for name in os.listdir("/proc"):
        if name.isdigit():
            try:
                with open(f"/proc/{name}/stat", "rb") as file:
                    fields = file.read().rpartition(b")")[2].split()
            except OSError:
                continue  # gone meanwhile
            children.setdefault(int(fields[1]), []).append((int(name), int(fields[2])))
    groups: set[int] = set()
    front = [os.getpid()]
    while front:
        for pid, group in children.get(front.pop(), ()):
            groups.add(group)
            front.append(pid)
    return groups - {0, os.getpgrp()}  # 0: a group of another pid namespace; to us it would mean our own


def _signal_group(group: int, number: int) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):  # gone, or somebody else's: not ours to end
        os.killpg(group, number)


def _group_exists(group: int) -> bool:
    try:
        os.killpg(group, 0)
    except (ProcessLookupError, PermissionError):
        return False
    return True


if __name__ == "__main__":
    Keeper(socket.socket(fileno=int(sys.argv[1]))).serve()
