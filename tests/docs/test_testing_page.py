"""The page on the test kit leaves nothing public out, and says of each parameter what it is."""

import inspect
import re
from pathlib import Path

import pytest

from mainspring import testing

TEXT = (Path(__file__).resolve().parents[2] / "docs/reference/testing.md").read_text()
WORDS = set(re.findall(r"\w+", TEXT))


@pytest.mark.parametrize("name", testing.__all__)
def test_every_name_and_parameter_is_on_the_page(name):
    thing = getattr(testing, name)
    assert name in WORDS
    parameters = set() if inspect.isclass(thing) else set(inspect.signature(thing).parameters)
    assert parameters <= WORDS, parameters - WORDS


@pytest.mark.parametrize("name", ["assert_scheduled", "assert_not_scheduled", "assert_ran", "virtual"])
def test_signatures_are_as_they_are_written(name):
    found = re.search(rf"`{name}\(([^`]*)\)`", TEXT)
    written = [part.strip() for part in found[1].replace("*daemons", "daemons").split(",") if part.strip() != "*"]
    there = inspect.signature(getattr(testing, name)).parameters.values()
    assert written == [one.name + (f"={_shown(one.default)}" if one.default is not one.empty else "") for one in there]


def _shown(value: object) -> str:
    return f'"{value}"' if isinstance(value, str) else repr(value)


def test_every_method_of_the_clock_is_on_the_page():
    public = {name for name in dir(testing.VirtualClock) if not name.startswith("_")}
    assert public <= WORDS, public - WORDS
    assert "tasks" in WORDS
