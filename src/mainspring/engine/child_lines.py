"""In a child that runs listeners: what a body prints and logs is sent to the daemon, each line at once.

Whose it is, is known from the context that the body runs in, so that listeners which share a loop do not share their
lines. A thread that a body starts has no such context: what it writes goes to the real stderr.
"""

import threading
from collections.abc import Callable

from mainspring.engine.child_messages import Answer, Wrote
from mainspring.engine.child_output import Capture
from mainspring.tasks.context import context, inside

LONGEST_LINE = 8192  # bytes


class Lines(Capture):
    """Takes the place of the output of tasks, which is kept until they end: a turn may have no end."""

    def __init__(self, send: Callable[[Answer], None]) -> None:
        super().__init__(_silent)
        self._send = send
        self._lock = threading.RLock()  # again by the same thread: a finalizer that prints
        self._unended: dict[tuple[str, str], bytes] = {}  # by listener and stream: the beginning of a line
        self._forked = False

    def write(self, data: bytes, stream: str) -> None:
        """Send the lines that are complete now."""
        if self._forked or not inside():
            self._real.write(data.decode("utf-8", "replace"))
            return
        name = context().name
        with self._lock:
            *whole, rest = (self._unended.pop((name, stream), b"") + data).split(b"\n")
            if len(rest) > LONGEST_LINE:
                whole.append(rest)
            elif rest:
                self._unended[name, stream] = rest
            if whole:
                self._tell(name, whole)

    def end(self) -> None:
        """The turn of a child's only listener is over."""
        self.owner = None
        for name in {name for name, _ in self._unended}:
            self.finish(name)

    def finish(self, name: str) -> None:
        """A turn of this listener is over: what it has written is a line, with or without an end."""
        if not self._unended:
            return
        with self._lock:
            for key in [key for key in self._unended if key[0] == name]:
                self._tell(name, [self._unended.pop(key)])

    def forget(self) -> None:
        """In the child of a fork: see `Capture`."""
        super().forget()
        self._forked = True

    def _tell(self, name: str, lines: list[bytes]) -> None:
        text = b"\n".join(line[:LONGEST_LINE] for line in lines)
        self._send(Wrote(name, text.decode("utf-8", "replace")))


def _silent() -> None:
    """Nobody looks at lines again and again: they are sent."""
