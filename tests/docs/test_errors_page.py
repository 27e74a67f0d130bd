"""The errors page has a section for each error a user can meet, and its classes are described as they are."""

import inspect
import re
from pathlib import Path

import pytest

import mainspring
from mainspring import errors

PAGE = Path(__file__).resolve().parents[2] / "docs/reference/errors.md"
PUBLIC = [
    thing
    for name in mainspring.__all__
    if inspect.isclass(thing := getattr(mainspring, name)) and issubclass(thing, Exception)
]


def sections() -> dict[str, str]:
    """The text below each heading of the second level."""
    parts = re.split(r"(?m)^## (.+)$", PAGE.read_text())
    return dict(zip(parts[1::2], parts[2::2], strict=True))


def test_every_public_error_has_a_section_and_no_section_is_about_nothing():
    assert sections().keys() == {error.__name__ for error in PUBLIC}


def test_every_error_of_the_module_is_public_or_a_case_of_one_that_is():
    own = [thing for thing in vars(errors).values() if inspect.isclass(thing) and thing.__module__ == errors.__name__]
    described = set(PUBLIC) - {errors.MainspringError}
    assert len(own) > 15
    for error in own:
        assert error is errors.MainspringError or described.intersection(error.__mro__), error


@pytest.mark.parametrize("error", PUBLIC, ids=lambda error: error.__name__)
def test_a_section_names_the_built_in_bases(error):
    text = sections()[error.__name__]
    for base in error.__bases__:
        if base.__module__ == "builtins" and base is not Exception:
            assert f"`{base.__name__}`" in text


@pytest.mark.parametrize("error", PUBLIC, ids=lambda error: error.__name__)
def test_a_section_says_what_to_do(error):
    text = sections()[error.__name__]
    if error not in (errors.MainspringError, mainspring.RetryLater):
        assert "**Cause:**" in text
        assert "**Do:**" in text
