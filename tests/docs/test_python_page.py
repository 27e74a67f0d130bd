"""The page on the Python interface leaves nothing public out."""

import re
from pathlib import Path

import pytest

import mainspring
from mainspring.aio import Aio
from mainspring.batch import Batch
from mainspring.errors import MainspringError
from mainspring.functions import Call
from mainspring.tasks.context import TaskContext

TEXT = (Path(__file__).resolve().parents[2] / "docs/reference/python.md").read_text()
WORDS = set(re.findall(r"\w+", TEXT))

# What the parts of the package need of each other. Not for users, and not on the page.
INNER = {
    mainspring.Daemon: {
        "add_new", "after_adding", "answer_own", "ask", "before_adding", "bound", "build", "by_hand",
        "carries_programs", "change_task",
        "declared", "decode_result",
        "find_row", "forget_engine", "hurry", "start_nothing_more",
        "moment", "new_listener", "new_schedule", "own_answer", "reconcile",
        "put", "rows_of", "settle_dead", "store_file", "wait_for",
    },
    mainspring.Task: {"row"},
    mainspring.TaskFunction: {"registered"},
    Call: {"registered"},
    mainspring.Schedule: {"KIND", "definition", "standing"},
    mainspring.Listener: {"KIND", "definition", "standing"},
    mainspring.Cron: {"KIND", "from_stored", "next_us", "stored"},
    mainspring.Every: {"KIND", "count_us", "from_stored", "next_us", "stored"},
    TaskContext: {"stop"},
    Batch: set(),
    Aio: {"add_new"},
}  # fmt: skip


@pytest.mark.parametrize("kind", INNER, ids=lambda kind: kind.__name__)
def test_everything_public_is_on_the_page(kind):
    public = {name for name in dir(kind) if not name.startswith("_")} - INNER[kind]
    assert public <= WORDS, sorted(public - WORDS)


@pytest.mark.parametrize("kind", INNER, ids=lambda kind: kind.__name__)
def test_what_is_left_out_is_there(kind):
    assert INNER[kind] <= set(dir(kind))


def test_every_name_of_the_package_is_on_a_page():
    errors = {name for name in mainspring.__all__ if issubclass_of_error(getattr(mainspring, name))}
    missing = set(mainspring.__all__) - errors - WORDS - {"State"}
    assert not missing


def issubclass_of_error(thing: object) -> bool:
    return isinstance(thing, type) and issubclass(thing, MainspringError)
