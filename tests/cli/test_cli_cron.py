"""`cron`, `next`, `schedules preview`: a rule in cron's words, what it will do, and what is said about it."""

from datetime import UTC, datetime, timedelta
from importlib.resources import files

import pytest

from mainspring import Cron, Daemon


def stored(cli, name):
    client = Daemon(cli.store)
    (found,) = [one for one in client.schedules() if one.name == name]
    trigger = found.definition.trigger
    client.close()
    return trigger


def test_cron_adds_a_schedule_and_says_when(cli):
    said = cli("cron", "30 2 * * *", "--tz", "Asia/Shanghai", "--name", "nightly", "--", "./backup.sh", "--all")
    first, *instants = said.stdout.splitlines()
    assert first == "schedule nightly (./backup.sh --all): cron '30 2 * * *' in Asia/Shanghai"
    assert len(instants) == 3
    following = Cron("30 2 * * *", tz="Asia/Shanghai").next(datetime.now(UTC))
    local = following.astimezone(UTC).isoformat(timespec="milliseconds")
    assert instants[0].split("  ")[1:3] == [following.isoformat(timespec="milliseconds"), f"({local} in UTC)"]
    assert ", in" not in instants[0]
    assert "in " in instants[0].split("  ")[3]
    assert "no daemon runs" in said.stderr


def test_its_times_are_local_ones_under_the_name_of_the_zone(cli, monkeypatch):
    monkeypatch.setenv("TZ", "Europe/Berlin")
    said = cli("cron", "@daily", "--", "true").stdout
    assert "cron '@daily' in Europe/Berlin" in said
    assert "(" not in said.splitlines()[1]
    assert stored(cli, "true") == {"cron": Cron("@daily", tz="Europe/Berlin").stored()}


def test_a_zone_without_a_name_is_refused(cli, monkeypatch):
    (cli.directory / "here").write_bytes(files("tzdata").joinpath("zoneinfo/Europe/Berlin").read_bytes())
    monkeypatch.setenv("TZ", f":{cli.directory}/here")
    assert "--tz ZONE" in cli("cron", "@daily", "--", "true", code=2).stderr
    assert not cli.store.exists()


def test_the_options_of_tasks_and_of_daylight_saving(cli):
    shown = cli.json(
        "cron", "0 3 * * *", "--name", "n", "--queue", "q", "--priority", 3, "--gap", "skip", "--call", "shop:run",
        "--args", "[1]",
    )  # fmt: skip
    assert (shown["name"], shown["queue"], shown["priority"], shown["args"]) == ("n", "q", 3, [1])
    assert stored(cli, "n")["cron"] == Cron("0 3 * * *", gap="skip").stored()
    cli("cron", "0 3 * * *", "--name", "n", "--", "true", code=4)


@pytest.mark.parametrize("verb", [("cron", "0 3 * * *"), ("every", "1h")])
def test_what_becomes_of_occurrences_that_cannot_run_in_time(cli, verb):
    cli(*verb, "--misfire", "all", "--grace", "5m", "--catch-up", 3, "--overlap", "queue", "--keep", 9, "--expires",
        "10m", "--", "true")  # fmt: skip
    client = Daemon(cli.store)
    definition = client.schedules()[0].definition
    client.close()
    rule = definition.rule
    assert (rule.misfire, rule.grace, rule.catch_up) == ("all", 300_000_000, 3)
    assert (rule.overlap, rule.keep, definition.work.expires) == ("queue", 9, 600_000_000)
    assert "--misfire" in cli(*verb, "--misfire", "never", "--", "true", code=2).stderr
    assert "grace" in cli(*verb, "--grace", "soon", "--name", "x", "--", "true", code=2).stderr


@pytest.mark.parametrize(
    ("words", "hint"),
    [
        (("cron", "0", "3", "1", "1", "1", "--", "true"), "in quotes"),
        (("cron", "0 3 * * *", "./x.sh"), "mainspring cron '0 3 * * *' -- ./x.sh"),
        (("cron", "5s", "--", "true"), "mainspring every 5s"),
        (("cron", "61 3 * * *", "--", "true"), "^^"),
        (("cron", "@dayly", "--", "true"), "@daily"),
        (("cron", "0 0 31 2 *", "--", "true"), "31 February"),
        (("cron", "0 3 * * *", "--tz", "Berlin", "--", "true"), "Europe/Berlin"),
        (("cron", "0 3 * * *"), "say what to run"),
        (("cron", "0 3 * * *", "--gapp", "skip", "--", "true"), "--gap"),
    ],
)
def test_a_slip_is_answered_with_what_to_type(cli, words, hint):
    assert hint in cli(*words, code=2).stderr
    assert not cli.store.exists() or cli.json("schedules") == []


# ── next ───────────────────────────────────────────────────────────────────────────────────────────────────────
def test_next_merges_tasks_and_occurrences_in_order(cli):
    cli("every", "6h", "--name", "tick", "--", "./tick.sh")
    cli("after", "7h", "--name", "once", "--", "echo", "hi")
    cli("after", "30h", "--name", "too-late", "--", "true")
    found = cli.json("next")
    assert [one["run_at"] for one in found] == sorted(one["run_at"] for one in found)
    assert [one["name"] for one in found].count("tick") == 4
    (task,) = [one for one in found if one["id"] is not None]
    assert (task["name"], task["schedule"], task["command"]) == ("once", None, ["echo", "hi"])
    assert {(one["id"], one["schedule"]) for one in found if one is not task} == {(None, "tick")}
    assert "too-late" in {one["name"] for one in cli.json("next", "--for", "31h")}


def test_next_of_some_schedules_and_within_a_limit(cli):
    cli("every", "1m", "--name", "often", "--", "true")
    cli("every", "1h", "--name", "seldom", "--", "true")
    assert {one["schedule"] for one in cli.json("next", "seldom")} == {"seldom"}
    cut = cli("next", "--limit", 3)
    assert len(cut.stdout.splitlines()) == 4
    assert "only the first 3" in cut.stderr
    assert "did you mean 'seldom'" in cli("next", "seldon", code=3).stderr
    assert "nothing will run within 1s" in cli("next", "seldom", "--for", "1s").stdout
    assert "limit" in cli("next", "--limit", 0, code=2).stderr


def test_next_shows_tasks_of_a_schedule_and_what_is_overdue_once(cli):
    client = Daemon(cli.store)
    client.add_schedule(["true"], "1s", name="second")
    client.add_schedule(["true"], "1h", name="hour").run_now()
    client.close()
    now = datetime.now(UTC)
    found = cli.json("next", "second", "--for", "10s")
    assert len(found) <= 12
    assert datetime.fromisoformat(found[0]["run_at"]) < now + timedelta(seconds=2)
    assert cli.json("next", "hour", "--for", "59m")[0]["id"] == "1"


def test_next_says_what_is_paused(cli):
    cli("every", "1h", "--name", "tick", "--queue", "mail", "--", "true")
    cli("every", "1h", "--name", "asleep", "--", "true")
    cli("schedules", "pause", "asleep")
    cli("pause", "mail")
    said = cli("next", "--limit", 1)
    assert "(paused: mail)" in said.stdout
    assert "paused: asleep" in said.stderr
    assert {one["schedule"]: one["paused"] for one in cli.json("next")} == {"tick": True}
    cli("schedules", "pause", "asleep", "--until", "+3h")
    later = [one["run_at"] for one in cli.json("next", "asleep")]
    assert 20 <= len(later) <= 22
    assert datetime.fromisoformat(later[0]) > datetime.now(UTC) + timedelta(hours=2)


# ── schedules preview ──────────────────────────────────────────────────────────────────────────────────────────
def test_a_preview_of_what_is_not_stored_needs_no_store(cli):
    shown = cli("schedules", "preview", "30 2 * * *", "--tz", "Europe/Berlin", "--from", "2026-03-28 00:00",
                "--count", 2).stdout.splitlines()  # fmt: skip
    assert shown[0] == "cron '30 2 * * *' in Europe/Berlin"
    assert shown[1].startswith("  2026-03-28T02:30:00.000+01:00  (2026-03-28T01:30:00.000+00:00 in UTC)")
    assert shown[2].startswith("  2026-03-29T03:00:00.000+02:00")
    assert shown[3] == "    02:30 does not exist on 2026-03-29: runs at 03:00"
    assert not cli.store.exists()


def test_a_preview_as_json(cli):
    shown = cli.json("schedules", "preview", "30", "2", "*", "*", "*", "--tz", "Europe/Berlin", "--fold", "both",
                     "--from", "2026-10-25T00:00+02:00", "--count", 2)  # fmt: skip
    assert (shown["schedule"], shown["zone"], shown["local_zone"]) == (None, "Europe/Berlin", "UTC")
    assert [one["run_at"] for one in shown["occurrences"]] == [
        "2026-10-25T00:30:00.000000Z", "2026-10-25T01:30:00.000000Z",
    ]  # fmt: skip
    assert [one["at"][-6:] for one in shown["occurrences"]] == ["+02:00", "+01:00"]
    assert "twice" in shown["occurrences"][1]["notes"][0]


def test_a_preview_begins_with_the_instant_it_is_asked_from(cli):
    words = ("schedules", "preview", "0 3 * * *", "--from", "2026-01-01T03:00Z", "--count", 1)
    assert cli.json(*words[:1], *words[1:])["occurrences"][0]["run_at"] == "2026-01-01T03:00:00.000000Z"


def test_a_preview_of_a_stored_schedule_and_of_a_duration(cli):
    cli("cron", "0 3 * * *", "--tz", "Asia/Shanghai", "--name", "nightly", "--", "true")
    shown = cli.json("schedules", "preview", "nightly", "--tz", "Europe/Berlin")
    assert (shown["schedule"], shown["zone"], shown["local_zone"]) == ("nightly", "Asia/Shanghai", "Europe/Berlin")
    assert len(shown["occurrences"]) == 10
    cli("schedules", "pause", "nightly")
    assert "nightly is paused" in cli("schedules", "preview", "nightly").stderr
    assert cli.json("schedules", "preview", "90m")["rule"] == "every 1h30m"


@pytest.mark.parametrize(
    ("words", "code", "hint"),
    [
        (("nightli",), 3, "did you mean 'nightly'"),
        (("nightli",), 3, "in quotes"),
        (("0 3 * *",), 2, "4 fields"),
        (("nightly", "--gap", "skip"), 2, "--gap and --fold"),
        (("0 3 * * *", "--count", "0"), 2, "--count"),
        (("0 3 * * *", "--from", "soon"), 2, "What is accepted"),
    ],
)
def test_a_preview_that_cannot_be(cli, words, code, hint):
    cli("cron", "0 3 * * *", "--name", "nightly", "--", "true")
    assert hint in cli("schedules", "preview", *words, code=code).stderr
