"""Text from outside, as it may be written on a terminal or into a log: with no character that does anything there."""

import logging
import re
from typing import Final

# Controls, the other half of them (C1), and what turns the direction of text or breaks lines.
_UNSAFE: Final = "\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff\ud800-\udfff"
_CONTROLS = re.compile(f"[{_UNSAFE}]")
_NAMED = {"\n": "\\n", "\r": "\\r", "\t": "\\t"}


def clean(text: str, keep: str = "") -> str:
    """Text from outside, with its control characters written out; `keep`: those that may stay (line ends)."""
    return _CONTROLS.sub(lambda found: found[0] if found[0] in keep else _written(found[0]), text)


def _written(character: str) -> str:
    code = ord(character)
    return _NAMED.get(character) or (f"\\x{code:02x}" if code < 256 else f"\\u{code:04x}")


class CleanValues(logging.Filter):
    """Cleans what a record's message is filled with; the message itself is our own."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Always True: nothing is kept back."""
        if isinstance(record.args, tuple):
            record.args = tuple(_cleaned(value) for value in record.args)
        return True


def _cleaned(value: object) -> object:
    if value is None or isinstance(value, int | float):
        return value
    text = str(value)
    return clean(text) if _CONTROLS.search(text) else value
