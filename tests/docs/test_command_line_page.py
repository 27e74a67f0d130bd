"""The page of the command line has every verb and every option, and no others."""

import re
from pathlib import Path

import click
import pytest

from mainspring.cli import main
from mainspring.cli.root import VERBS

PAGE = (Path(__file__).resolve().parents[2] / "docs/reference/command-line.md").read_text()
NOT_SAID = {"--help", "--version"}


def verb_of(name):
    return main.get_command(click.Context(main), name)


def test_every_verb_has_a_row():
    rows = re.findall(r"^\| \[?`([a-z-]+)[^|]*\|", PAGE.split("## ")[0], flags=re.MULTILINE)
    assert rows == list(VERBS)


def options_of(name):
    """Of a verb, and of the verbs below it."""
    verb = verb_of(name)
    inner = verb.commands.values() if isinstance(verb, click.Group) else ()
    return {option for one in (verb, *inner) for parameter in one.params for option in parameter.opts}


@pytest.mark.parametrize("name", VERBS)
def test_every_option_is_on_the_page(name):
    missing = {option for option in options_of(name) if option.startswith("-") and f"`{option}" not in PAGE}
    assert missing - NOT_SAID == set()


def test_no_option_is_on_the_page_that_is_not_there():
    assert set(re.findall(r"`(--[a-z-]+)", PAGE)) <= set().union(*map(options_of, VERBS))


@pytest.mark.parametrize("name", ["schedules", "listeners"])
def test_the_verbs_of_families(name):
    row = next(line for line in PAGE.splitlines() if line.startswith(f"| [`{name}`]"))
    assert set(re.findall(r"[a-z-]+", row.split("|")[2])) == set(verb_of(name).commands)
