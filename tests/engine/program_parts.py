"""What the tests of programs share: how to run one, how to wait for its words, and a witness of its end.

A `Witness` is a FIFO that programs hold open for writing: it comes to its end exactly when the last of them is gone.
"""

import os
import threading
from pathlib import Path

ENV = {"PATH": os.environ["PATH"]}
FOREVER = "sleep 100000"
# heeds TERM, and cannot miss it however early it comes (a shell's trap can, while it starts the next command)
POLITE = """
import signal, sys
signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTERM])
print("ready", flush=True)
signal.sigwait([signal.SIGTERM])
print("bye", flush=True)
sys.exit(5)
"""


class Witness:
    """Tells whether any program that has opened `path` for writing still lives."""

    def __init__(self, directory: Path) -> None:
        self.path = directory / "witness"
        os.mkfifo(self.path)
        self.fd = os.open(self.path, os.O_RDONLY | os.O_NONBLOCK)

    def all_gone(self) -> bool:
        """Right now. Only meaningful once somebody had it open."""
        try:
            return os.read(self.fd, 1) == b""
        except BlockingIOError:
            return False

    def wait_until_all_gone(self) -> None:
        os.set_blocking(self.fd, True)
        assert os.read(self.fd, 1) == b""


class Watch:
    """An `on_output` that lets a test wait for words."""

    def __init__(self) -> None:
        self.seen = b""
        self.changed = threading.Condition()

    def __call__(self, stream: str, data: bytes) -> None:
        with self.changed:
            self.seen += data
            self.changed.notify_all()

    def wait_for(self, word: bytes, count: int = 1) -> None:
        with self.changed:
            assert self.changed.wait_for(lambda: self.seen.count(word) >= count, 60), self.seen


def sh(script: str, *args: str) -> list[str]:
    return ["sh", "-c", script, "sh", *args]


def run(programs, command, cwd="/", env=ENV, **more):
    return programs.run(command, cwd=str(cwd), env=env, **more)


def spawn_ready(programs, script, *args, cwd="/"):
    """A program that is known to have come to its `echo ready`."""
    watch = Watch()
    handle = programs.spawn(sh(script, *args), cwd=str(cwd), env=ENV, on_output=watch)
    watch.wait_for(b"ready\n")
    return handle
