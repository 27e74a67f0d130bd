"""In a child: what a task prints and logs while it runs is caught, kept within a limit, and sent to the daemon.

`sys.stdout` and `sys.stderr` are replaced once, by objects that write to the running task's tail, and to the real
stderr between two tasks. What is written past them (C code, subprocesses, `sys.__stdout__`) goes where it always went.
A thread that a task leaves behind writes into the task that runs then.
"""

import io
import logging
import os
import sys
from collections.abc import Callable
from typing import TextIO

from mainspring.tasks.output import Tail


class Capture:
    """The output of the task that runs; `begin` and `end` by the thread that runs it, `news` by the one that tells."""

    def __init__(self, ring: Callable[[], object]) -> None:
        self.owner: tuple[int, int] | None = None  # task and token
        self.ticking = False  # somebody looks at the output again and again, and need not be rung
        self._ring = ring
        self._tail: Tail | None = None  # made when something is written
        self._real = sys.__stderr__ or open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115  # kept for good
        self._streams = (_Stream(self, "stdout", self._real), _Stream(self, "stderr", self._real))

    def install(self) -> None:
        """Replace the streams of `sys`; before anything of the user's is imported."""
        sys.stdout, sys.stderr = self._streams

    def catch_logs(self, level: int) -> None:
        """Records that reach the root logger are output, too: formatted as the app has set it up, or else by us.

        `level` is for an app that has not set up logging.
        """
        root = logging.getLogger()
        if any(getattr(handler, "stream", None) in self._streams for handler in root.handlers):
            return
        if not root.handlers:
            root.setLevel(level)
        handler = logging.StreamHandler(self._streams[1])
        handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s"))
        root.addHandler(handler)

    def begin(self, task: int, token: int) -> None:
        """From now on it is this task's."""
        self.owner = task, token

    def end(self) -> str | None:
        """The task is over: what is kept of its output, None if there was none."""
        self.owner = None
        tail = self._tail
        if tail is None:
            return None
        self._tail = None
        tail.finish()
        return tail.text()

    def news(self) -> str | None:
        """All that is kept so far, if there is more than the last time."""
        tail = self._tail
        return None if tail is None else tail.news()

    def forget(self) -> None:
        """In the child of a fork: the streams write to the real stderr."""
        self.owner = None

    def write(self, data: bytes, stream: str) -> None:
        """Add to the output; to the real stderr when no task runs."""
        if self.owner is None:
            self._real.write(data.decode("utf-8", "replace"))
            return
        tail = self._tail
        if tail is None:
            tail = self._tail = Tail()
        tail.write(data, stream)
        if not self.ticking:
            self.ticking = True
            self._ring()


class _Stream(io.TextIOBase):
    """Stands in for `sys.stdout` or `sys.stderr`."""

    encoding = "utf-8"
    errors = "backslashreplace"

    def __init__(self, capture: Capture, name: str, real: TextIO) -> None:
        self.name = f"<{name}>"
        self._stream = name
        self._capture = capture
        self._real = real
        self.buffer = _Bytes(capture, name)

    def write(self, text: str) -> int:
        self._capture.write(text.encode("utf-8", "backslashreplace"), self._stream)
        return len(text)

    def flush(self) -> None:
        self._real.flush()

    def fileno(self) -> int:
        """The real one: a subprocess that is given this stream writes there."""
        return self._real.fileno()

    def writable(self) -> bool:
        return True

    def close(self) -> None:
        """As little as the real ones is it closed by a task."""


class _Bytes(io.RawIOBase):
    """The `buffer` of such a stream."""

    def __init__(self, capture: Capture, name: str) -> None:
        self._capture = capture
        self._stream = name

    def write(self, data: object) -> int:
        taken = bytes(data)  # type: ignore[call-overload]  # anything with the buffer protocol
        self._capture.write(taken, self._stream)
        return len(taken)

    def writable(self) -> bool:
        return True

    def close(self) -> None:
        """See `_Stream`."""
