"""WHEN as several words without quotes, and a program whose -- was forgotten."""

from datetime import datetime

import pytest


@pytest.mark.parametrize(
    "words",
    [
        "next friday 18:00",
        "in 5 minutes",
        "day after tomorrow 9am",
        "nov 27 2040 18:00",
        "下周五18:00",
        "half an hour from now",
    ],
)
def test_times_as_people_say_them_need_no_quotes(cli, words):
    task = cli.json("at", *words.split(), "--", "true")
    assert f"{datetime.fromisoformat(task['run_at']):%Y-%m-%dT%H:%M:%S}" in cli("list", "--tz", "UTC").stdout
    assert cli.json("at", *words.split(), "--call", "m:f")["kind"] == "function"
    assert cli("reschedule", task["id"], *words.split()).stdout


@pytest.mark.parametrize(
    ("words", "hint"),
    [
        ("10:00 ./open.sh --", "What is accepted"),
        ("10:00 ./open.sh", "mainspring at 10:00 -- ./open.sh"),
        ("next friday 18:00 ./open.sh now", "mainspring at next friday 18:00 -- ./open.sh now"),
        ("in 5 minutes echo hi", "mainspring at in 5 minutes -- echo hi"),
        ("soon ./open.sh", "What is accepted"),
    ],
)
def test_a_program_without_its_dashes(cli, words, hint):
    assert hint in cli("at", *words.split(), code=2).stderr
