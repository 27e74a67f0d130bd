"""The tables of the page on times: each text means the instant beside it, or is refused."""

import re
from pathlib import Path

import pytest

from mainspring.errors import InvalidValue
from mainspring.when.instants import parse_instant
from mainspring.when.wall import parse_when

PAGE = (Path(__file__).resolve().parents[2] / "docs/reference/times.md").read_text()
ZONE = "Asia/Shanghai"
NOW = parse_instant("2026-11-26 12:00", tz=ZONE)
_INSTANT = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2} [0-9]{2}:[0-9]{2}\S*")


def rows(text: str) -> list[list[str]]:
    found = [line.strip("|").split("|") for line in text.splitlines() if line.startswith("| `")]
    return [[cell.strip() for cell in cells] for cells in found]


MEANT, REFUSED = map(rows, PAGE.split("## What is refused"))


def test_there_are_rows():
    assert len(MEANT) > 30
    assert len(REFUSED) > 8


@pytest.mark.parametrize("cells", MEANT, ids=lambda cells: cells[0])
def test_a_text_means_the_instant_beside_it(cells):
    instant = next(cell for cell in cells if _INSTANT.fullmatch(cell))
    for cell in cells[: cells.index(instant)]:
        assert parse_when(cell.strip("`"), now=NOW, tz=ZONE) == parse_instant(instant, tz=ZONE), cell


@pytest.mark.parametrize("cells", REFUSED, ids=lambda cells: cells[0])
def test_what_is_refused(cells):
    with pytest.raises(InvalidValue):
        parse_when(cells[0].strip("`"), now=NOW, tz=ZONE)
