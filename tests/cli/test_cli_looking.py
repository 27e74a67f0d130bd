"""`list`, `show`, `logs`, `status`: the truth, within the terminal, and never a store that was not there."""

import pytest

from mainspring import Daemon
from mainspring.cli.logs import Shown
from mainspring.cli.terminal import width
from mainspring.testing import VirtualClock

LOOKING = [
    ("list",), ("show", "1"), ("logs", "1"), ("status",), ("cancel", "1"), ("reschedule", "1", "+1s"), ("run-now", "1"),
    ("retry", "1"), ("pause",), ("resume", "mail"), ("schedules",), ("schedules", "show", "x"), ("listeners", "list"),
    ("listeners", "pause", "x"), ("next",), ("next", "x"), ("schedules", "preview", "x"),
]  # fmt: skip


@pytest.mark.parametrize("words", LOOKING, ids=" ".join)
def test_looking_makes_no_store(cli, words):
    said = cli(*words, code=3)
    assert "there is no store at" in said.stderr
    assert "mainspring run" in said.stderr
    assert said.stdout == ""
    assert list(cli.directory.iterdir()) == []


@pytest.mark.parametrize("words", ["show 77", "logs 77", "logs -f x", "cancel 77", "schedules show x"])
def test_what_is_not_there_is_not_found(cli, words):
    cli("now", "--", "true")
    assert "there is no" in cli(*words.split(), code=3).stderr


def test_list_is_soonest_first_and_says_when_it_cuts(cli):
    for minutes in (3, 1, 2):
        cli("after", f"{minutes}m", "--name", f"in-{minutes}", "--", "true")
    assert [task["name"] for task in cli.json("list")] == ["in-1", "in-2", "in-3"]
    cut = cli("list", "--json", "--limit", 2)
    assert "only the first 2 are shown" in cut.stderr
    assert len(cli.json("list", "--limit", 2)) == 2
    assert cli("list", "--limit", 3).stderr == ""
    assert "limit" in cli("list", "--limit", 0, code=2).stderr


def test_list_filters(cli, shop):
    cli("after", "1h", "--queue", "mail", "--name", "letter", "--", "true")
    cli("after", "2h", "--call", "shop:open_sale", "--args", "[1]", "--key", "k")
    cli("now", "--call", "shop:breaks")
    cli.work()

    def names(*words):
        return [task["name"] for task in cli.json("list", *words)]

    assert names() == ["letter", "open_sale"]
    assert names("--kind", "function") == ["open_sale"]
    assert names("--queue", "mail") == ["letter"]
    assert names("--name", "open_sale") == names("--name", "shop:open_sale") == names("--key", "k") == ["open_sale"]
    assert names("--due-within", "90m") == ["letter"]
    assert names("--state", "failed") == ["breaks"]
    assert sorted(names("--state", "failed", "--state", "waiting")) == ["breaks", "letter", "open_sale"]
    assert sorted(names("--state", "all")) == ["breaks", "letter", "open_sale"]
    assert "did you mean 'failed'" in cli("list", "--state", "faild", code=2).stderr
    assert "function, program" in cli("list", "--kind", "x", code=2).stderr


def test_a_table_fits_the_terminal(cli):
    cli("after", "1h", "--name", "名前" * 40, "--", "true")
    cli("after", "1h", "--", "program-with-a-long-name", *["argument"] * 20)
    lines = cli("list").stdout.splitlines()
    assert len(lines) == 3
    assert all(width(line) <= 80 for line in lines)
    assert all(line.endswith("…") for line in lines[1:])
    assert "in 59m" in lines[1]
    assert "+00:00" in lines[1]
    assert "+08:00" in cli("list", "--tz", "Asia/Shanghai").stdout


def test_nothing_to_list_is_said_and_is_no_document(cli):
    cli("now", "--", "true")
    cli("cancel", "1")
    assert cli.json("list") == []
    said = cli("list")
    assert said.stdout == ""
    assert "--state all" in said.stderr


def test_show_tells_everything(cli, shop):
    cli("now", "--call", "shop:breaks", "--retries", "1", "--name", "label", "--timeout", "90s", "--env", "A=1", code=2)
    cli("now", "--call", "shop:breaks", "--name", "label", "--timeout", "90s", "--args", '["oh"]')
    cli.work()
    task = cli.json("show", "1")
    assert (task["state"], task["reason"], task["attempt"]) == ("failed", "error", 2)
    assert task["error"]["type"] == "ValueError"
    assert task["error"]["message"] == "oh"
    assert "in breaks" in task["error"]["traceback"]
    assert task["lateness_ms"] >= 0
    assert [one["attempt"] for one in task["attempts"]] == [1]
    text = cli("show", "1").stdout
    for part in ("task 1", "failed", "label", 'shop:breaks("oh")', "1m30s", "ValueError: oh", "Traceback", "late by"):
        assert part in text


def test_show_tells_the_result_and_earlier_attempts(cli, shop, write):
    write(
        "once.py",
        """
        tries = []

        def again() -> dict:
            tries.append(1)
            if len(tries) == 1:
                raise OSError("not yet")
            return {"tries": len(tries)}
        """,
    )
    cli("now", "--call", "once:again", "--retries", 1)
    cli.work()
    cli("run-now", "1")
    cli.work()
    task = cli.json("show", "1")
    assert (task["state"], task["result"], task["attempt"], task["error"]) == ("succeeded", {"tries": 2}, 2, None)
    assert [(one["attempt"], one["error"]["message"]) for one in task["attempts"]] == [(1, "not yet")]
    assert "result" in cli("show", "1").stdout
    assert "attempt 1 error: OSError: not yet" in cli("show", "1").stdout


def test_show_tells_what_a_task_waits_for(cli, shop):
    cli("after", "1h", "--call", "shop:nothing")
    assert "no daemon runs this store" in cli.json("show", "1")["waits_for"]
    cli("pause")
    assert cli.json("show", "1")["waits_for"] == "everything is paused: mainspring resume"
    cli("resume")
    cli("pause", "default")
    assert "mainspring resume default" in cli("show", "1").stdout


def test_what_comes_from_outside_cannot_write_on_the_terminal(cli, shop):
    evil = "\x1b[31mred\x07\n2026-01-01 task 9 is due\u202e\x9b0m"
    cli("now", "--call", "shop:breaks", "--args", '["\\u001b[31mred\\u0007\\n\\u202e\\u009b"]')
    cli("after", "1h", "--", "echo", evil)
    cli("every", "1h", "--name", "s", "--", "echo", evil)
    cli("listen", "--name", "l", "--", "echo", evil)
    cli.work()
    for words in (
        ("list", "--state", "all"), ("show", "1"), ("show", "2"), ("status",), ("schedules",), ("listeners",),
        ("schedules", "show", "s"), ("listeners", "show", "l"), ("list", "--state", "all", "--json"), ("show", evil),
    ):  # fmt: skip
        said = cli(*words, code=3 if evil in words else 0)
        assert not set("\x1b\x07\u202e\x9b") & set(said.stdout + said.stderr), words
    assert "\\x1b[31mred\\x07" in cli("show", "1").stdout


def test_status(cli, shop):
    cli("now", "--call", "shop:open_sale", "--args", "[1]")
    cli("after", "1h", "--", "true")
    cli("every", "1h", "--name", "tick", "--", "true")
    cli("listen", "--name", "orders", "--", "true")
    cli.work()
    status = cli.json("status")
    assert status["counts"]["waiting"] == 1
    assert status["counts"]["succeeded"] == 1
    assert (status["nodes"], status["workers"], status["unresolved"]) == ([], {"total": 0, "busy": 0}, 0)
    assert set(status["lateness_ms"]) == {"p50", "p90", "p99", "max"}
    assert [one["name"] for one in status["schedules"]] == ["tick"]
    assert [(one["name"], one["state"]) for one in status["listeners"]] == [("orders", "down")]
    cli("pause", "mail")
    text = cli("status").stdout
    for part in ("1 waiting", "p50", "no daemon runs this store", "tick", "orders", "queue mail"):
        assert part in text


def test_logs_of_what_wrote_nothing(cli, shop):
    cli("now", "--call", "shop:open_sale", "--args", "[1]")
    cli("after", "1h", "--", "true")
    cli.work()
    assert "is a function" in cli("logs", "1").stderr
    assert "has not started yet" in cli("logs", "2").stderr
    assert cli.json("logs", "1") == {"id": "1", "state": "succeeded", "output": None}
    cli("logs", "-f", "1")


def test_growing_output_is_shown_once(capsys):
    shown = Shown()
    for text in ("", "one\n", "one\ntwo", "one\ntwo three\n"):
        shown.show(text)
    shown.end()
    assert capsys.readouterr().out == "one\ntwo three\n"


def test_output_whose_middle_went_is_shown_on(capsys):
    shown = Shown()
    shown.show("head\n" + "a" * 1000 + "|")
    capsys.readouterr()
    shown.show("head\n[... 500 bytes left out ...]\n" + "a" * 500 + "|new")
    assert capsys.readouterr().out == "new"
    shown.show("head\n[... 9,999 bytes left out ...]\nall of it is other text")
    assert "left out" in capsys.readouterr().out
    shown.end()
    assert capsys.readouterr().out == "\n"


def test_status_shows_lateness_over_time_and_by_name(cli):
    assert "LAST" not in cli("status", code=3).stdout
    cli("now", "--", "true")
    cli("now", "--queue", "mail", "--", "true")
    assert "nothing started" in cli("status", "--by", "name").stderr
    cli.work()
    told = cli("status").stdout
    assert "MAX LATE" in told
    assert [line.split()[:2] for line in told.splitlines() if line[:3] in ("1m ", "24h")] == [["1m", "2"], ["24h", "2"]]
    (by_name,) = cli.json("status", "--by", "name")
    assert (by_name["count"], by_name["name"].rpartition("/")[2]) == (2, "true")
    assert {one["name"] for one in cli.json("status", "--by", "queue", "--last", "24h")} == {"default", "mail"}
    assert cli.json("status", "--by", "schedule") == []
    rows = cli("status", "--by", "queue").stdout.splitlines()
    assert (rows[0].split()[:2], sorted(row.split()[:2] for row in rows[1:])) == (
        ["QUEUE", "STARTS"],
        [["default", "1"], ["mail", "1"]],
    )


def test_a_stretch_of_missed_occurrences_says_how_many_and_until_when(cli):
    clock = VirtualClock("2030-01-01T00:30:00Z")
    with Daemon(cli.store, clock=clock, name="tests") as daemon:
        daemon.add_schedule(["true"], "1h", name="tick", misfire="skip", queue="nobody")
    daemon.close()
    with Daemon(cli.store, clock=VirtualClock("2030-01-01T10:30:00Z"), name="tests") as daemon:
        pass
    daemon.close()
    assert "(10 occurrences)" in cli("list", "--state", "missed").stdout
    (task,) = cli.json("list", "--state", "missed")
    shown = cli("show", task["id"]).stdout
    assert "stands for  10 occurrences, the last 2030-01-01T10:00:00.000+00:00" in shown


def test_why_says_it_in_sentences_and_in_json(cli, shop):
    cli("after", "1h", "--call", "shop:nothing")
    said = cli("why", "1").stdout
    assert said.startswith("task 1  waiting  why has it not started?\n  it is due at ")
    assert "no daemon runs this store -> mainspring run" in said
    assert [one["code"] for one in cli.json("why", "1")["because"]] == ["not due", "no daemon"]
    cli("why", "7", code=3)
