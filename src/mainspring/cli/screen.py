"""The whole terminal for a live display: entered once, and given back as it was on every way out.

What needs a POSIX terminal is here alone; `is_live` says whether there is one.
"""

import os
import signal
import socket
import sys
from collections.abc import Callable, Sequence
from types import FrameType, TracebackType
from typing import TYPE_CHECKING, Self

try:
    import termios
    import tty
except ImportError:  # not POSIX: one frame is printed instead
    if not TYPE_CHECKING:
        termios = None

_ENTER = "\x1b[?1049h\x1b[?25l\x1b[2J"  # the alternate screen, no cursor
_LEAVE = "\x1b[?25h\x1b[?1049l"
_BEGIN, _END = "\x1b[?2026h\x1b[H", "\x1b[J\x1b[?2026l"  # shown at once, by terminals that know how
_ENDING = ("SIGTERM", "SIGHUP")


def is_live() -> bool:
    """Can this terminal show something that changes?"""
    return termios is not None and sys.stdout.isatty() and os.environ.get("TERM", "dumb") != "dumb"


class Screen:
    """`with Screen() as screen:` takes the terminal; signals that end the process give it back first."""

    def __init__(self) -> None:
        self._out = sys.stdout.fileno()
        self._in = sys.stdin.fileno() if sys.stdin is not None and sys.stdin.isatty() else -1
        self._saved: list[object] | None = None
        self._before: dict[int, object] = {}
        self._bell, self._inbox = socket.socketpair()
        self.keys = self._in >= 0

    def __enter__(self) -> Self:
        """Take it."""
        self._bell.setblocking(False)
        self._inbox.setblocking(False)
        self._bell_before = signal.set_wakeup_fd(self._bell.fileno(), warn_on_full_buffer=False)
        handlers: dict[str, Callable[[int, FrameType | None], None]] = dict.fromkeys(_ENDING, self._end)
        handlers |= {"SIGWINCH": lambda *_: None, "SIGTSTP": self._stop}
        for name, handler in handlers.items():
            number = getattr(signal, name)
            self._before[number] = signal.signal(number, handler)
        self._enter()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        """Give it back."""
        self._leave()
        for number, handler in self._before.items():
            signal.signal(number, handler)  # type: ignore[arg-type]  # what was there
        signal.set_wakeup_fd(self._bell_before)
        self._bell.close()
        self._inbox.close()

    def _enter(self) -> None:
        if self._in >= 0:
            self._saved = termios.tcgetattr(self._in)
            tty.setcbreak(self._in)
        self._write(_ENTER)

    def _leave(self) -> None:
        self._write(_LEAVE)
        if self._saved is not None:
            termios.tcsetattr(self._in, termios.TCSADRAIN, self._saved)  # type: ignore[arg-type]  # as it was given

    def _end(self, number: int, _frame: FrameType | None) -> None:
        raise SystemExit(128 + number)  # through every `finally`

    def _stop(self, number: int, _frame: FrameType | None) -> None:
        """Ctrl-Z: the shell gets its terminal back, and we get it again with `fg`."""
        self._leave()
        signal.signal(number, signal.SIG_DFL)
        os.kill(os.getpid(), number)
        signal.signal(number, self._stop)
        self._enter()

    def size(self) -> tuple[int, int]:
        """Columns and lines, as they are now."""
        try:
            columns, lines = os.get_terminal_size(self._out)
        except OSError:
            columns = lines = 0
        return max(20, columns or 80), max(4, lines or 24)  # 0: a terminal that does not know

    def show(self, lines: Sequence[str]) -> None:
        """Replace what is shown; each line is no wider than the terminal."""
        self._write(_BEGIN + "\r\n".join(f"{line}\x1b[K" for line in lines) + _END)

    def wait(self, fd: int, timeout_us: int) -> str:
        """Wait for a key, news at `fd` (unless -1), a signal or the end of the time; the keys that were pressed."""
        import select

        poll = select.poll()
        for one in (fd, self._inbox.fileno(), self._in if self.keys else -1):
            if one >= 0:
                poll.register(one, select.POLLIN)
        ready = {one for one, _ in poll.poll(-(-max(0, timeout_us) // 1000))}
        if self._inbox.fileno() in ready:
            self._inbox.recv(256)
        if self._in not in ready:
            return ""
        pressed = os.read(self._in, 256)
        self.keys = bool(pressed)  # else the terminal is gone
        return pressed.decode(errors="replace")

    def _write(self, text: str) -> None:
        sys.stdout.flush()
        data = text.encode(sys.stdout.encoding or "utf-8", "replace")
        while data:
            data = data[os.write(self._out, data) :]
