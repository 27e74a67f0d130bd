"""An exception as text, whatever it is: one whose `str` raises, one without end, one that was raised ten thousand
deep.
"""

import os
import traceback
from types import TracebackType

import msgspec

_HERE = os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "")
_LONGEST = 64 * 1024


class Problem(msgspec.Struct, frozen=True):
    """An error as it is kept and shown: strings alone, nothing to unpickle."""

    type: str
    message: str
    traceback: str = ""

    def encode(self) -> str:
        """The stored form: JSON."""
        return msgspec.json.encode(self).decode()


def decode_problem(text: str) -> Problem:
    """A stored problem."""
    return msgspec.json.decode(text, type=Problem)


def read_problem(text: str) -> Problem:
    """A stored problem to be shown; what is none, in words."""
    try:
        return decode_problem(text)
    except (msgspec.MsgspecError, ValueError):
        return Problem("Unreadable", f"the stored error cannot be read: {text!r:.1000}")


def describe(error: BaseException) -> Problem:
    """Type, message and traceback; bounded, and never raising itself."""
    name = type(error).__name__
    try:
        message = str(error)
    except BaseException:  # noqa: BLE001  # a body's exception class may do anything
        message = "(its text cannot be printed: str() of it raised)"
    try:
        text = "".join(traceback.format_exception(type(error), error, _own_frames(error), limit=-30))
    except BaseException:  # noqa: BLE001  # likewise: circular causes, broken __repr__, no stack left
        text = "(its traceback cannot be printed)"
    return Problem(_clean(name), _clean(message), _clean(text))


def _own_frames(error: BaseException) -> TracebackType | None:
    """The traceback from the task's own code on: how the daemon called it says nothing to its author."""
    trace = error.__traceback__
    while trace is not None and trace.tb_frame.f_code.co_filename.startswith(_HERE):
        trace = trace.tb_next
    return trace or error.__traceback__


def _clean(text: str) -> str:
    """At most 64 KiB, head and tail, and nothing that UTF-8 cannot say."""
    if len(text) > _LONGEST:
        half = _LONGEST // 2
        text = f"{text[:half]}\n[... {len(text) - 2 * half} characters left out ...]\n{text[-half:]}"
    return text.encode("utf-8", "backslashreplace").decode()
