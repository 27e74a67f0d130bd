"""Changes from a shell: the answer is the truth, of several the highest exit code."""

import msgspec
import pytest

from mainspring.settings import open_store


@pytest.fixture
def task(cli):
    """A waiting task."""
    return cli.json("after", "1h", "--name", "t", "--", "true")["id"]


def test_cancel(cli, task):
    assert "task 1 (t) is cancelled" in cli("cancel", task).stdout
    assert cli.json("show", task)["state"] == "cancelled"
    late = cli("cancel", task, "--json", code=4)
    assert '"outcome":"too-late"' in late.stdout
    assert "too late" in late.stderr


def test_several_are_an_array_and_the_highest_code(cli, task):
    other = cli.json("after", "1h", "--", "true")["id"]
    answers = cli.json("cancel", task, "99", other, code=3)
    assert [one["id"] for one in answers] == [task, "99", other]
    assert [one["outcome"] for one in answers] == ["cancelled", "not-found", "cancelled"]
    assert [one.get("state") for one in answers] == ["cancelled", None, "cancelled"]
    assert [one["outcome"] for one in cli.json("cancel", task, "99", code=4)] == ["too-late", "not-found"]
    assert cli.json("cancel", "99", code=3)["outcome"] == "not-found"


def test_reschedule(cli, task):
    assert "2031-01-01T08:00:00.000+08:00" in cli(
        "reschedule", task, "2031-01-01", "08:00:00", "--tz", "Asia/Shanghai"
    ).stdout  # fmt: skip
    assert cli.json("show", task)["run_at"] == "2031-01-01T00:00:00.000000Z"
    assert cli.json("reschedule", task, "2032-01-01T00:00:00Z")["run_at"] == "2032-01-01T00:00:00.000000Z"
    assert "What is accepted" in cli("reschedule", task, "later", code=2).stderr
    cli("cancel", task)
    assert "cancelled" in cli("reschedule", task, "+1s", code=4).stderr


def test_run_now_and_retry(cli, shop):
    cli("after", "1h", "--call", "shop:breaks")
    before = cli.json("show", "1")["run_at"]
    assert cli.json("retry", "1", code=4)["outcome"] == "too-late"
    assert cli.json("run-now", "1")["run_at"] < before
    cli.work()
    assert cli.json("run-now", "1", code=4)["outcome"] == "too-late"
    assert "waits again" in cli("retry", "1").stdout
    cli.work()
    assert cli.json("show", "1")["attempt"] == 4
    assert cli.json("retry", "1")["state"] == "waiting"


def test_pause_and_resume(cli, task):
    assert cli.json("pause") == {"queue": None, "paused": True}
    assert cli.json("pause", "mail") == {"queue": "mail", "paused": True}
    assert cli.json("status")["paused"] == ["*", "mail"]
    assert "whole store is paused" in cli("resume", "mail").stderr
    assert cli.json("resume") == {"queue": None, "paused": False}
    cli("pause", "mail")
    assert "still paused by name: mail" in cli("resume").stderr
    assert cli.json("resume", "mail") == {"queue": "mail", "paused": False}
    assert cli.json("status")["paused"] == []


def test_schedules(cli):
    cli("now", "--", "true")
    assert cli.json("schedules") == []
    assert "mainspring every" in cli("schedules").stderr
    cli("every", "1h", "--name", "one", "--", "true")
    cli("every", "2h", "--name", "two", "--call", "m:f")
    assert [one["name"] for one in cli.json("schedules")] == ["one", "two"]
    assert cli.json("schedules", "list") == cli.json("schedules")
    text = cli("schedules").stdout
    assert "every 1h" in text
    assert "m:f()" in text
    assert cli("schedules", "show", "one").stdout.count("+00:00") == 5
    answers = cli.json("schedules", "pause", "one", "nine", "two", code=3)
    assert [one.get("paused") for one in answers] == [True, None, True]
    assert "paused" in cli("schedules").stdout
    assert "did you mean 'two'" in cli("schedules", "resume", "twoo", code=3).stderr
    assert cli.json("schedules", "resume", "one")["paused"] is False
    said = cli("schedules", "pause", "one", "--until", "2031-01-01 08:00", "--tz", "Asia/Shanghai").stdout
    assert "paused until 2031-01-01T08:00:00.000+08:00" in said
    assert cli.json("schedules", "show", "one")["paused_until"] == "2031-01-01T00:00:00.000000Z"
    assert "paused until 2031" in cli("schedules", "show", "one").stdout
    cli("schedules", "pause", "one", "--until", "2001-01-01T00:00Z", code=2)
    assert cli.json("schedules", "resume", "one")["paused_until"] is None
    task = cli.json("schedules", "run-now", "two")
    assert (task["schedule"], task["function"], task["state"]) == ("two", "m:f", "waiting")
    assert cli.json("schedules", "remove", "two") == {"name": "two", "removed": True}
    assert "is removed" in cli("schedules", "remove", "one").stdout
    assert cli.json("schedules") == []


def test_a_listener_whose_daemon_is_gone_is_down(cli):
    cli("listen", "--name", "one", "--", "true")
    store = open_store(str(cli.store), create=False)
    standing = store.standings()[0]
    store.advance(msgspec.structs.replace(standing, holder=99, status='{"state":"up"}'))
    store.close()
    assert cli.json("listeners", "show", "one")["state"] == "down"
    assert cli.json("status")["listeners"][0]["state"] == "down"


def test_listeners(cli):
    cli("now", "--", "true")
    assert "mainspring listen" in cli("listeners").stderr
    cli("listen", "--name", "one", "--", "watch", "it")
    assert "watch it" in cli("listeners").stdout
    assert cli.json("listeners", "pause", "one")["state"] == "paused"
    assert "paused" in cli("listeners", "show", "one").stdout
    assert cli.json("listeners", "resume", "one")["state"] == "down"
    assert "is started anew" in cli("listeners", "restart", "one").stdout
    assert "there are: one" in cli("listeners", "show", "other", code=3).stderr
    cli("listeners", "remove", "one")
    assert cli.json("listeners") == []
