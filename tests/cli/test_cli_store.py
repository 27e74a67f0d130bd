"""`mainspring store ...`: what it says and what it exits with; what it does is tested with the store."""

import json
import os
import sqlite3
import stat
import sys
from contextlib import closing

import pytest
from click.testing import CliRunner

from mainspring import Daemon
from mainspring.cli import main
from mainspring.cli.store import Meter


@pytest.fixture
def tasks(cli):
    """A store with three tasks and a schedule; nobody has it open."""
    for word in ("one", "two", "three"):
        cli("now", "--name", word, "--", "echo", word)
    cli("every", "1h", "--name", "tick", "--", "echo", "tick")
    return cli


def states(cli, *words):
    return [(task["label"], task["state"]) for task in cli.json("list", "--state", "all", *words)]


def test_the_family_teaches_itself(cli):
    text = cli("store", "--help").stdout
    for verb in ("check", "backup", "restore", "compact", "export", "import"):
        assert f"  {verb}" in text
        assert f"Examples:\n  mainspring store {verb}" in cli("store", verb, "--help").stdout


@pytest.mark.parametrize(
    "words",
    [("check",), ("backup", "x"), ("restore", "x"), ("compact",), ("export",), ("import", "x")],
    ids=lambda words: words[0],
)
def test_a_store_in_memory_has_no_file(cli, words):
    assert "a store in memory has no file" in cli("store", *words, "--store", "memory:", code=2).stderr


@pytest.mark.parametrize("words", [("check",), ("backup", "x"), ("compact",), ("export",)], ids=lambda words: words[0])
def test_looking_makes_no_store(cli, words):
    assert "there is no store at" in cli("store", *words, code=3).stderr
    assert os.listdir() == []


# ── check ──────────────────────────────────────────────────────────────────────────────────────────────────────
def test_a_sound_store(tasks):
    assert tasks("store", "check").stdout == f"{tasks.store} is sound\n"
    told = json.loads(tasks("store", "check", "--json").stdout)
    assert told == {"store": f"sqlite://{tasks.store}", "ok": True, "findings": []}


def test_a_damaged_one_has_a_line_for_each_finding_and_a_code(tasks):
    with closing(sqlite3.connect(tasks.store)) as con, con:
        con.execute("UPDATE task SET state = 9 WHERE id = 1")
        con.execute("UPDATE task SET lane = 77 WHERE id = 2")
    lines = tasks("store", "check", code=1).stdout.splitlines()
    assert len(lines) == 3
    assert "task 1 cannot be read" in lines[0]
    assert lines[1] == "rows: task 2 is of a lane that is not there"
    assert lines[2].endswith("is not sound")
    told = json.loads(tasks("store", "check", "--json", code=1).stdout)
    assert (told["ok"], [finding["check"] for finding in told["findings"]]) == (False, ["rows", "rows"])


@pytest.mark.parametrize("kind", ["schedule", "listener"])
def test_a_definition_that_no_daemon_reads(tasks, kind):
    tasks("listen", "--name", "watch", "--", "true")
    tasks("store", "check")
    with closing(sqlite3.connect(tasks.store)) as con, con:
        con.execute("UPDATE standing SET definition = '{\"x\":1}' WHERE kind = ?", (kind,))
    lines = tasks("store", "check", code=1).stdout.splitlines()
    assert len(lines) == 2
    assert kind in lines[0]


def test_what_is_no_store_is_a_finding(cli, write):
    write("text", "to whom it may concern")
    told = json.loads(cli("store", "check", "--store", "text", "--json", code=1).stdout)
    assert "not a database" in told["findings"][0]["says"]


# ── backup and restore ─────────────────────────────────────────────────────────────────────────────────────────
def test_a_backup_and_the_way_back(tasks):
    told = json.loads(tasks("store", "backup", "copy.db", "--json").stdout)
    assert told["backup"] == str(tasks.directory / "copy.db")
    assert told["bytes"] == os.stat("copy.db").st_size
    assert stat.S_IMODE(os.stat("copy.db").st_mode) == 0o600
    tasks("now", "--name", "four", "--", "echo")
    assert "--force" in tasks("store", "backup", "copy.db", code=4).stderr
    assert "checked" in tasks("store", "backup", "copy.db", "--force").stdout
    tasks.work()
    assert {state for _, state in states(tasks)} == {"succeeded"}
    told = json.loads(tasks("store", "restore", "copy.db", "--json").stdout)
    assert (told["tasks"], told["running"]) == (4, 0)
    assert os.path.exists(told["aside"])
    assert {state for _, state in states(tasks)} == {"waiting"}
    tasks.work()
    assert {state for _, state in states(tasks)} == {"succeeded"}
    assert tasks("store", "check").exit_code == 0


def test_restoring_says_what_was_kept_and_refuses_what_runs(tasks):
    tasks("store", "backup", "copy.db")
    daemon = Daemon(tasks.store, name="runs")
    with daemon:
        assert "runs the store" in tasks("store", "restore", "copy.db", code=4).stderr
    daemon.close()
    told = tasks("store", "restore", "copy.db").stdout
    assert "3 tasks" in told
    assert f"what was there is kept as {tasks.store}.replaced-" in told
    assert "there is no store at" in tasks("store", "restore", "none.db", code=3).stderr
    assert "the store itself" in tasks("store", "restore", tasks.store, code=4).stderr


@pytest.mark.parametrize("beside", ["copy.db-wal", "copy.db-journal"])
def test_a_database_in_use_is_not_replaced(tasks, write, beside):
    write(beside, "")
    assert "in use" in tasks("store", "backup", "copy.db", "--force", code=4).stderr
    assert "the store itself" in tasks("store", "backup", "mainspring.db", "--force", code=4).stderr


# ── compact ────────────────────────────────────────────────────────────────────────────────────────────────────
def test_compacting_alone_and_beside_others(tasks):
    assert "bytes before" in tasks("store", "compact").stdout
    daemon = Daemon(tasks.store, name="runs")
    assert daemon.find(limit=1)
    told = json.loads(tasks("store", "compact", "--json").stdout)
    assert told["how"] == "steps"
    daemon.close()
    told = json.loads(tasks("store", "compact", "--json").stdout)
    assert set(told) == {"store", "how", "before", "after", "free", "longest_hold_us"}
    assert told["how"] == "anew"


# ── export and import ──────────────────────────────────────────────────────────────────────────────────────────
def test_out_as_lines_and_in_again(tasks):
    text = tasks("store", "export").stdout
    lines = [json.loads(line) for line in text.splitlines()]
    assert [line["line"] for line in lines] == ["store", "task", "task", "task", "standing", "end"]
    told = json.loads(tasks("store", "export", "store.jsonl", "--json").stdout)
    assert told["bytes"] == os.stat("store.jsonl").st_size
    assert "--force" in tasks("store", "export", "store.jsonl", code=4).stderr
    told = tasks("store", "import", "store.jsonl", "--store", "other.db")
    assert told.stdout == "imported 3 tasks, 1 schedules, 0 listeners\n"
    assert "no daemon runs" in told.stderr
    told = json.loads(tasks("store", "import", "store.jsonl", "--store", "other.db", "--json").stdout)
    assert (told["tasks"], told["known"], told["kept"]) == (0, 3, 1)
    assert states(tasks, "--store", "other.db") == states(tasks)
    told = CliRunner().invoke(main, ["store", "import", "-", "--store", "third.db"], input=text)
    assert (told.exit_code, told.stdout) == (0, "imported 3 tasks, 1 schedules, 0 listeners\n")


def test_what_is_not_understood_is_refused_by_its_place(cli, write):
    write("x.jsonl", '{"line":"store","format":1,"origin":"o","exported_at":1,"token":"x","tasks":1}\n')
    assert "line 1, column 57: Expected `int`" in cli("store", "import", "x.jsonl", code=2).stderr
    assert "there is no file 'y.jsonl'" in cli("store", "import", "y.jsonl", code=3).stderr
    assert not cli.store.exists()


def test_a_key_that_is_in_use_is_a_conflict(tasks):
    tasks("now", "--key", "k", "--", "echo")
    tasks("store", "export", "store.jsonl")
    tasks("now", "--key", "k", "--store", "other.db", "--", "echo")
    assert "the key 'k'" in tasks("store", "import", "store.jsonl", "--store", "other.db", code=4).stderr
    told = tasks("store", "import", "store.jsonl", "--store", "other.db", "--on-conflict", "keep").stdout
    assert "1 tasks, schedules and listeners were left out" in told


def test_json_and_the_lines_do_not_mix(tasks):
    assert "name a FILE" in tasks("store", "export", "--json", code=2).stderr


def test_how_far_it_is_is_said_on_a_terminal_alone(capsys, monkeypatch):
    def told(terminal):
        monkeypatch.setattr(sys.stderr, "isatty", lambda: terminal)
        meter = Meter("copying")
        for done in (1, 2, 3, 4):
            meter(done, 400 if done < 4 else done)
        return capsys.readouterr()

    assert told(False) == ("", "")
    assert told(True) == ("", "\rcopying   0 %\rcopying 100 %\n")
