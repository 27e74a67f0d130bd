"""An exception as text, whatever it is: one whose `str` raises, one without end, one that was raised ten thousand deep."""

import traceback

import msgspec

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


def describe(error: BaseException) -> Problem:
    """Type, message and traceback; bounded, and never raising itself."""
    name = type(error).__name__
    try:
        message = str(error)
    except BaseException:  # noqa: BLE001  # a body's exception class may do anything
        message = "(its text cannot be printed: str() of it raised)"
    try:
        text = "".join(traceback.format_exception(error, limit=-30))
    except BaseException:  # noqa: BLE001  # likewise: circular causes, broken __repr__, no stack left
        text = "(its traceback cannot be printed)"
    return Problem(_clean(name), _clean(message), _clean(text))


def _clean(text: str) -> str:
    """At most 64 KiB, head and tail, and nothing that UTF-8 cannot say."""
    if len(text) > _LONGEST:
        half = _LONGEST // 2
        text = f"{text[:half]}\n[... {len(text) - 2 * half} characters left out ...]\n{text[-half:]}"
    return text.encode("utf-8", "backslashreplace").decode()
