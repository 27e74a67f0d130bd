"""What is written on a terminal: never a control character that came from outside, never wider than it is."""

import os
import re
import shutil
import sys
import unicodedata
from collections.abc import Sequence

import click
import msgspec

from mainspring.tasks.plain import clean as clean  # noqa: PLC0414  # all that is shown here passes it

_IN_JSON = re.compile("[\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff]")

COLOURS = {"running": "cyan", "succeeded": "green", "failed": "red", "missed": "yellow", "cancelled": "bright_black"}


def out(text: str = "") -> None:
    """A line or more on stdout; its pieces were cleaned."""
    click.echo(text, color=_colourful(sys.stdout))


def say(text: str) -> None:
    """A message on stderr."""
    click.echo(clean(text, keep="\n"), err=True, color=False)


def write_json(value: object) -> None:
    """The one document of --json: indented on a terminal, one line elsewhere."""
    data = msgspec.json.encode(value)
    if sys.stdout.isatty():
        data = msgspec.json.format(data, indent=2)
    text = _IN_JSON.sub(lambda found: f"\\u{ord(found[0]):04x}", data.decode())
    click.echo(text)


def coloured(text: str, colour: str | None, *, bold: bool = False) -> str:
    """`text` in a colour, on a terminal that wants it."""
    if not _colourful(sys.stdout) or (colour is None and not bold):
        return text
    return click.style(text, fg=colour, bold=bold or None)


def _colourful(stream: object) -> bool:
    isatty = getattr(stream, "isatty", None)
    return (
        isatty is not None and isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM", "dumb") != "dumb"
    )


def columns() -> int:
    """How wide the terminal is; 80 where there is none."""
    return max(40, shutil.get_terminal_size((80, 24)).columns)


def width(text: str) -> int:
    """How many columns a text takes."""
    if text.isascii():
        return len(text)
    return sum(
        0 if unicodedata.combining(one) else 2 if unicodedata.east_asian_width(one) in "WF" else 1 for one in text
    )


def fitted(text: str, room: int) -> str:
    """`text`, cut with an ellipsis where it is wider than `room`."""
    if width(text) <= room:
        return text
    kept = ""
    for one in text:
        if width(kept + one) > room - 1:
            break
        kept += one
    return kept + "…"


def table(header: Sequence[str], rows: Sequence[Sequence[str]], *, grow: int = -1, colour: int | None = None) -> None:
    """Rows in columns that fit the terminal; the column `grow` gives way. `colour`: the column of states."""
    cells = [[clean(cell) for cell in row] for row in rows]
    grow %= len(header)
    widths = [max(width(cell) for cell in column) for column in zip(header, *cells, strict=True)]
    rest = sum(widths) - widths[grow] + 2 * (len(widths) - 1)
    widths[grow] = max(4, min(widths[grow], columns() - rest))
    for number, row in enumerate([list(header), *cells]):
        parts = []
        for index, cell in enumerate(row):
            text = fitted(cell, widths[index])
            padded = text + " " * (widths[index] - width(text)) if index < len(row) - 1 else text
            if number == 0:
                padded = coloured(padded, None, bold=True)
            elif index == colour:
                padded = coloured(padded, COLOURS.get(cell))
            parts.append(padded)
        out("  ".join(parts).rstrip())


def pairs(lines: Sequence[tuple[str, str]]) -> None:
    """Names and values, the values aligned and broken where the terminal ends."""
    indent = max((width(name) for name, _ in lines), default=0) + 2
    for name, value in lines:
        label = coloured(f"{name:<{indent}}", None, bold=True)
        out(label + clean(value))
