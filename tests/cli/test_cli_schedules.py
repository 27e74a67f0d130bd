"""`schedules show`, `change` and `backfill`: what a rule says, another one, and occurrences of a time that is past."""

from datetime import UTC, datetime

import pytest

from mainspring import Cron, Daemon, Every
from mainspring.when.triggers import decode_trigger


@pytest.fixture
def nightly(cli):
    cli("cron", "30 2 * * *", "--tz", "Europe/Berlin", "--name", "nightly", "--keep", 5, "--", "./backup.sh")

    def look():
        client = Daemon(cli.store)
        definition = client.schedules()[0].definition
        client.close()
        return decode_trigger(definition.trigger), definition.rule

    return look


def test_rules_are_shown_in_words(cli, nightly):
    assert "cron '30 2 * * *' in Europe/Berlin" in cli("schedules").stdout
    shown = cli("schedules", "show", "nightly").stdout
    following = Cron("30 2 * * *", tz="Europe/Berlin").next(datetime.now(UTC))
    assert following.isoformat(timespec="milliseconds") in shown
    for words in ("latest; missed is what is later than 1m", "5 finished tasks", "cron '30 2 * * *' in Europe/Berlin"):
        assert words in shown


def test_what_is_not_said_stays(cli, nightly):
    said = cli("schedules", "change", "nightly", "31 2 * * *").stdout
    assert "nightly is changed: cron '31 2 * * *' in Europe/Berlin" in said
    trigger, rule = nightly()
    assert (trigger, rule.keep) == (Cron("31 2 * * *", tz="Europe/Berlin"), 5)
    cli("schedules", "change", "nightly", "--tz", "Asia/Shanghai", "--gap", "skip")
    assert nightly()[0] == Cron("31 2 * * *", tz="Asia/Shanghai", gap="skip")
    shown = cli.json("schedules", "change", "nightly", "--misfire", "all", "--catch-up", 7)
    assert shown["name"] == "nightly"
    trigger, rule = nightly()
    assert trigger == Cron("31 2 * * *", tz="Asia/Shanghai", gap="skip")
    assert (rule.misfire, rule.catch_up, rule.keep) == ("all", 7, 5)


def test_cron_may_become_an_interval_and_back(cli, nightly):
    cli("schedules", "change", "nightly", "5m")
    assert nightly()[0] == Every("5m")
    assert "--tz, --gap and --fold" in cli("schedules", "change", "nightly", "--tz", "UTC", code=2).stderr
    cli("schedules", "change", "nightly", "@daily", "--tz", "Asia/Shanghai")
    assert nightly()[0] == Cron("@daily", tz="Asia/Shanghai")


@pytest.mark.parametrize(
    ("words", "code", "hint"),
    [
        (("nightly",), 2, "say what is to change"),
        (("nightli", "5m"), 3, "did you mean 'nightly'"),
        (("nightly", "61 * * * *"), 2, "^^"),
        (("nightly", "--tz", "Berlin"), 2, "Europe/Berlin"),
        (("nightly", "--catch-up", "-1"), 2, "catch_up"),
    ],
)
def test_a_change_that_cannot_be_changes_nothing(cli, nightly, words, code, hint):
    before = nightly()
    assert hint in cli("schedules", "change", *words, code=code).stderr
    assert nightly() == before


def test_backfill_adds_what_is_missing_once(cli, nightly):
    words = ("schedules", "backfill", "nightly", "2026-03-28 00:00", "2026-03-31 00:00", "--tz", "Europe/Berlin")
    assert "3 tasks are added" in cli(*words).stdout
    assert [task["run_at"][:16] for task in cli.json("list", "--schedule", "nightly")] == [
        "2026-03-28T01:30", "2026-03-29T01:00", "2026-03-30T00:30",
    ]  # fmt: skip
    assert cli.json(*words) == {
        "name": "nightly", "start": "2026-03-27T23:00:00.000000Z", "end": "2026-03-30T22:00:00.000000Z", "added": 0,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("words", "hint"),
    [
        (("2026-03-28T00:00Z", "2026-03-27T00:00Z"), "FROM before TO"),
        (("2026-03-28T00:00Z", "2100-01-01T00:00Z"), "not after now"),
        (("2026-03-28T00:00Z",), "TO"),
        (("soon", "2026-03-28T00:00Z"), "soon"),
    ],
)
def test_a_time_that_cannot_be_back_filled(cli, nightly, words, hint):
    assert hint in cli("schedules", "backfill", "nightly", *words, code=2).stderr
    assert cli.json("list") == []
