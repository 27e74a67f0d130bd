"""The tables of the JSON page have every key that is printed, and no others."""

import re
from pathlib import Path

import pytest

from mainspring import lateness, previewed, shown, status
from mainspring.cli import changing, importing, overview, upcoming

PAGE = Path(__file__).resolve().parents[2] / "docs/reference/json.md"


def section(heading: str) -> str:
    return re.split(r"(?m)^## ", PAGE.read_text().split(f"\n## {heading}\n", 1)[1])[0]


@pytest.mark.parametrize(
    ("heading", "kind"),
    [
        ("Task", shown.ShownTask),
        ("Schedule", shown.ShownSchedule),
        ("Listener", shown.ShownListener),
        ("Status", status.Status),
        ("Top", overview.Overview),
        ("Next", upcoming.Upcoming),
        ("Preview", previewed.Previewed),
        ("Backfill", changing.Backfilled),
        ("Import", importing.Imported),
    ],
)
def test_the_keys_of_a_table(heading, kind):
    firsts = re.findall(r"(?m)^\| (`[^|]+`) \|", section(heading))
    keys = [key for cell in firsts for key in re.findall(r"`(\w+)`", cell)]
    assert sorted(keys) == sorted(kind.__struct_fields__)


@pytest.mark.parametrize(
    "kind",
    [
        status.NodeStatus,
        status.ListenerLine,
        status.ScheduleLine,
        status.Lateness,
        status.NodeLateness,
        status.ClockLine,
        status.PartLate,
        lateness.LateWindow,
        lateness.NamedLate,
    ],
)
def test_the_keys_within_status(kind):
    assert set(kind.__struct_fields__) <= set(re.findall(r"`(\w+)`", section("Status")))


def test_every_tag_of_the_codec_is_shown():
    from mainspring.tasks import tagged

    tags = set(re.findall(r'"(\$\w+)"', Path(tagged.__file__).read_text()))
    assert len(tags) > 10
    assert tags <= set(re.findall(r'"(\$\w+)"', section("Arguments and results")))
