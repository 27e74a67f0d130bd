"""The pages of the docs say what there is."""

import re
from pathlib import Path

from mainspring.web.operations import table
from mainspring.web.problems import TITLES

PAGE = (Path(__file__).parents[2] / "docs" / "reference" / "http.md").read_text()


def test_the_table_of_requests_is_the_table_of_operations():
    rows = re.findall(r"^\| `(\w+) (\S+)` \| (.+) \| `(.+)` \| (\w+) \|$", PAGE, re.MULTILINE)
    assert rows == [(one.method, one.path, one.summary, one.verb, one.role.word) for one in table()]


def test_every_status_is_there():
    named = {int(code) for row in re.findall(r"^\| ([\d, ]+) \|", PAGE, re.MULTILINE) for code in row.split(", ")}
    assert named == set(TITLES) - {500}
