"""The table of the settings page is that of the code: every key, where it can be said, and its default."""

import inspect
import re
from pathlib import Path

import pytest

from mainspring import Daemon
from mainspring.settings import KEYS, load_settings
from mainspring.when.durations import format_duration

PAGE = Path(__file__).resolve().parents[2] / "docs/reference/settings.md"
ROW = re.compile(r"\| \[`(\w+)`\]\(#(\w+)\) \|([^|]*)\|([^|]*)\|([^|]*)\|([^|]*)\|")
TABLE = {found[1]: [cell.strip() for cell in found.groups()[1:]] for found in ROW.finditer(PAGE.read_text())}


def test_every_key_has_a_row_in_order_and_a_section():
    assert tuple(TABLE) == KEYS
    for key, (anchor, *_) in TABLE.items():
        assert anchor == key
        assert f"\n## {key}\n" in PAGE.read_text()


@pytest.mark.parametrize("key", KEYS)
def test_the_column_of_arguments(key):
    assert (TABLE[key][1] == "yes") == (key in inspect.signature(Daemon).parameters)


@pytest.mark.parametrize("key", KEYS)
def test_the_column_of_variables(key):
    assert TABLE[key][3] == ("" if key == "clock" else f"`MAINSPRING_{key.upper()}`")


def test_the_column_of_flags():
    from mainspring.cli.run import run_verb

    flags = {option for parameter in run_verb.params for option in parameter.opts if option.startswith("--")}
    shown = {cells[2].strip("`") for cells in TABLE.values()} - {""}
    assert shown <= flags
    assert {f"--{key.replace('_', '-')}" for key in KEYS} & flags == shown


def test_the_defaults(tmp_path):
    settings = load_settings({}, flags={}, environ={}, start=tmp_path)
    shown = {key: cells[4] for key, cells in TABLE.items()}
    assert settings.store == f"sqlite://{tmp_path}/{shown['store'].strip('`')}"
    for key in ("retention", "grace"):
        assert f"`{format_duration(getattr(settings, key))}`" == shown[key]
    for key in ("workers", "listener_workers", "when_full"):
        assert f"`{getattr(settings, key)}`" == shown[key]
    for key in (
        "pool",
        "max_tasks_per_child",
        "max_memory_per_child",
        "queues",
        "max_pending",
        "full_timeout",
        "tz",
        "name",
        "programs",
        "app",
        "clock",
    ):
        assert getattr(settings, key) is None
        assert "`" not in shown[key]
    assert settings.allow == ()
