"""The tables of the states page are those of the code."""

import re
from pathlib import Path

from mainspring.engine import settle
from mainspring.tasks.state import LEGAL, State

PAGE = Path(__file__).resolve().parents[2] / "docs/reference/states-and-reasons.md"


def rows(heading: str) -> list[list[str]]:
    """The cells of the first table below a heading, without its head."""
    below = f"\n{PAGE.read_text()}".split(f"\n{heading}\n", 1)[1]
    lines = [line for line in re.split(r"(?m)^## ", below)[0].splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines[2:]]


def words(cell: str) -> list[str]:
    return re.findall(r"`([^`]+)`", cell)


def test_which_may_follow_which_is_the_table_of_the_code():
    shown = {words(first)[0]: set(words(then)) for first, then in rows("## Which may follow which")}
    assert shown == {state.value: {after.value for after in following} for state, following in LEGAL.items()}


def test_every_state_is_described():
    assert [words(row[0])[0] for row in rows("# States and reasons")] == [state.value for state in State]


def test_reasons_belong_to_states_that_have_some():
    shown = {(words(row[0])[0], words(row[1])[0]) for row in rows("## Reasons")}
    assert {state for state, _ in shown} == {"succeeded", "failed", "cancelled", "missed"}
    for reason in (settle.TIME_LIMIT, settle.LOST, settle.POISON):
        assert ("failed", reason) in shown
    attempts = {word for row in rows("## Reasons of attempts") for word in words(row[0])}
    assert settle.WORKER_LOST in attempts
    assert {reason for state, reason in shown if state == "failed"} - {"lost", "poison", "unreadable"} <= attempts
