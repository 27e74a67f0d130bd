"""Whoever writes to a store starts no program that `programs` does not allow, and nothing passes a shell (S7)."""

import json
import os
from contextlib import closing

import apsw
import msgspec
import pytest

from daemons import until
from mainspring import Daemon
from mainspring.engine.program_attempts import ProgramCall, allowed, executable_of, started
from mainspring.errors import NotAllowed
from mainspring.tasks.problems import decode_problem

LONG = 60


@pytest.fixture
def path(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return str(tmp_path / "a.db")


@pytest.fixture
def fine(tmp_path):
    return program(tmp_path / "fine", "echo fine")


def program(path, script):
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o700)
    return str(path)


def forge(path, task, **columns):
    """Change a row as somebody with the file would, and the work of its lane."""
    with closing(apsw.Connection(path)) as con:
        for column, value in columns.items():
            if column == "work":
                con.execute("UPDATE lane SET work = ? WHERE id = (SELECT lane FROM task WHERE id = ?)", (value, task))
            else:
                con.execute(f"UPDATE task SET {column} = ? WHERE id = ?", (value, task))


def payload(command, cwd="/", env=None):
    return msgspec.json.encode(ProgramCall(command, cwd, env)).decode()


def run(path, task, programs):
    """What becomes of the task in a daemon with `programs=`, which still runs what it may."""
    with closing(Daemon(path, name="tests", programs=programs, workers=1)) as daemon, daemon:
        ended = daemon.get(task)
        ended.wait(LONG)
        return ended


@pytest.mark.process
def test_what_is_started_is_what_was_allowed_whatever_the_command_says(path, fine, tmp_path):
    evil = program(tmp_path / "evil", "echo evil > evil.txt")
    daemon = Daemon(path, name="tests", programs=[fine])
    task = daemon.add_task([fine])
    daemon.close()
    forge(path, int(task.id), payload=payload([evil, "-c", "echo evil > evil.txt"], str(tmp_path)))
    ended = run(path, task.id, [fine])
    assert (ended.state, ended.output) == ("succeeded", "fine\n")
    assert not (tmp_path / "evil.txt").exists()


@pytest.mark.process
@pytest.mark.parametrize("programs", [False, ["fine", "/bin/true", "true"]])
def test_what_is_not_allowed_waits(path, tmp_path, programs):
    program(tmp_path / "evil", "echo evil > evil.txt")
    (tmp_path / "link").symlink_to(tmp_path / "evil")
    here = str(tmp_path)
    works = [
        "evil",
        "./evil",
        f"{here}/evil",
        f"{here}/../{tmp_path.name}/evil",
        f"{here}/link",
        "evil\0fine",
        "",
        " true",
    ]
    daemon = Daemon(path, name="tests")
    tasks = [daemon.add_task(["true"], queue=f"q{number}") for number in range(len(works))]
    daemon.close()
    for task, work in zip(tasks, works, strict=True):
        forge(path, int(task.id), work=work, payload=payload([work], here, {"PATH": here}))
    with closing(Daemon(path, name="tests", programs=programs)) as daemon, daemon:
        until(daemon, lambda: daemon.status().unresolved == len(works))
        assert {task.state for task in daemon.find()} == {"waiting"}
    assert not (tmp_path / "evil.txt").exists()


@pytest.mark.process
def test_a_bare_name_is_found_where_the_daemon_looks_not_where_the_store_says(path, tmp_path, monkeypatch):
    for place, word in (("good", "good"), ("bad", "bad")):
        (tmp_path / place).mkdir()
        program(tmp_path / place / "backup", f"echo {word}")
    daemon = Daemon(path, name="tests")
    task = daemon.add_task(["backup"])
    forged = daemon.add_task(["backup"], env={"PATH": str(tmp_path / "bad")}, cwd=tmp_path / "bad")
    daemon.close()
    monkeypatch.setenv("PATH", f"{tmp_path / 'good'}:{os.environ['PATH']}")
    assert run(path, task.id, ["backup"]).output == "good\n"
    ended = run(path, forged.id, ["backup"])
    assert (ended.state, ended.reason, ended.output) == ("failed", "not started", None)
    assert "PATH" in ended.error.message
    assert run(path, daemon_task(path, ["backup"], {"PATH": str(tmp_path / "bad")}), True).output == "bad\n"


def daemon_task(path, command, env):
    with closing(Daemon(path, name="tests")) as daemon:
        return daemon.add_task(command, env=env).id


@pytest.mark.process
def test_a_listeners_program_is_held_to_the_same(path, tmp_path):
    fine = program(tmp_path / "fine", f"echo fine > {tmp_path}/fine.txt")
    evil = program(tmp_path / "evil", f"echo evil > {tmp_path}/evil.txt")
    with closing(Daemon(path, name="tests", programs=[fine])) as daemon:
        daemon.add_listener([fine], name="watch", pause="1h")
        with closing(apsw.Connection(path)) as con:
            definition = json.loads(con.execute("SELECT definition FROM standing").get)
            definition["work"]["payload"] = payload([evil], str(tmp_path))
            con.execute("UPDATE standing SET definition = ?", (json.dumps(definition),))
        with daemon:
            until(daemon, lambda: (tmp_path / "fine.txt").exists() or (tmp_path / "evil.txt").exists())
    assert (tmp_path / "fine.txt").exists()
    assert not (tmp_path / "evil.txt").exists()


SPOILT = [
    None, "", "{", "[1, 2]", "17", '{"command": []}', '{"command": [], "cwd": "/"}', '{"command": "true", "cwd": "/"}',
    '{"command": ["true", 1], "cwd": "/"}', '{"command": ["true"], "cwd": 7}', '{"command": ["a\\u0000b"], "cwd": "/"}',
    '{"command": ["true"], "cwd": "/", "env": {"A": null}}', '{"command": ["true"], "cwd": "/", "env": {"A=B": "c"}}',
    '{"command": ["true"], "cwd": "/\\u0000"}', '{"command": ["true"], "cwd": "/no/such/place"}',
    '{"command": ["\\ud800"], "cwd": "/"}',
]  # fmt: skip


@pytest.mark.process
def test_a_command_that_cannot_be_read_fails_and_its_worker_goes_on(path):
    daemon = Daemon(path, name="tests")
    tasks = [daemon.add_task(["true"]) for _ in SPOILT]
    last = daemon.add_task(["true"], priority=-1)
    daemon.close()
    for task, spoilt in zip(tasks, SPOILT, strict=True):
        forge(path, int(task.id), payload=spoilt)
    with closing(Daemon(path, name="tests", workers=1)) as daemon, daemon:
        assert daemon.get(last.id).result(LONG) == 0
        for task, spoilt in zip(tasks, SPOILT, strict=True):
            row = daemon.find_row(task.id)
            assert (row.state, row.reason) == ("failed", "not started"), spoilt
            assert decode_problem(row.error).message, spoilt


@pytest.mark.process
def test_no_shell_reads_an_argument(path, tmp_path):
    odd = [
        "$(touch evil.txt)",
        "`touch evil.txt`",
        "; touch evil.txt",
        "| touch evil.txt",
        "* ?",
        "a\nb",
        "%s{0}",
        "--",
    ]
    with closing(Daemon(path, name="tests")) as daemon, daemon:
        task = daemon.add_task(["printf", "%s\\0", *odd], cwd=tmp_path)
        assert task.result(LONG) == 0
        assert task.output.split("\ufffd")[:-1] == odd  # NUL is shown as U+FFFD
    assert not (tmp_path / "evil.txt").exists()


@pytest.mark.process
def test_of_the_daemons_environment_a_program_sees_a_few_names_only(path, monkeypatch):
    monkeypatch.setenv("DATABASE_PASSWORD", "hunter2")
    monkeypatch.setenv("MAINSPRING_QUEUES", "default")
    with closing(Daemon(path, name="tests")) as daemon, daemon:
        task = daemon.add_task(["env"])
        assert task.result(LONG) == 0
    names = {line.partition("=")[0] for line in task.output.splitlines()}
    assert {"MAINSPRING_TASK_ID", "PATH"} <= names
    assert "hunter2" not in task.output
    assert not {name for name in names if name.startswith("MAINSPRING_")} - {
        "MAINSPRING_TASK_ID", "MAINSPRING_ATTEMPT", "MAINSPRING_RUN_AT",
    }  # fmt: skip


@pytest.mark.parametrize(
    "name",
    ["PATH", "LD_PRELOAD", "LD_LIBRARY_PATH", "DYLD_INSERT_LIBRARIES", "BASH_ENV", "BASH_FUNC_ls%%", "ENV", "IFS",
     "PYTHONPATH", "PYTHONSTARTUP", "PERL5OPT", "RUBYOPT", "NODE_OPTIONS", "GIT_SSH_COMMAND", "A B", "A\nB", "é"],
)  # fmt: skip
def test_with_a_list_variables_that_run_other_code_are_refused(name):
    with pytest.raises(NotAllowed):
        started("/bin/true", {name: "x"}, ("/bin/true",))
    assert started("/bin/true", {name: "x"}, True) == "/bin/true"


def test_with_a_list_other_variables_are_fine():
    env = {"LANG": "C", "ITEM": "42", "HOME": "/", "lower_case": "", "_X1": "LD_PRELOAD"}
    assert started("/bin/true", env, ("/bin/true",)) == "/bin/true"


def test_a_bare_name_that_is_nowhere_is_no_program(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", f"{tmp_path}:.::relative")
    monkeypatch.chdir(tmp_path)
    (tmp_path / "relative").mkdir()
    for place in (tmp_path, tmp_path / "relative"):
        program(place / "tool", "true")
    with pytest.raises(NotAllowed, match="PATH"):
        started("other", None, ("other",))
    assert started("tool", None, ("tool",)) == str(tmp_path / "tool")
    (tmp_path / "tool").unlink()
    with pytest.raises(NotAllowed):  # relative entries of PATH mean another file in each directory
        started("tool", None, ("tool",))


@pytest.mark.parametrize(
    ("command", "cwd", "name"),
    [
        (["tool"], "/srv", "tool"),
        (["./tool"], "/srv", "/srv/tool"),
        (["../tool"], "/srv/a", "/srv/tool"),
        (["/bin/../bin//tool"], "/srv", "/bin/tool"),
        (["/../../bin/tool"], "/", "/bin/tool"),
    ],
)
def test_a_path_has_one_form_before_it_is_compared(command, cwd, name):
    assert executable_of(command, cwd) == name
    assert allowed(name, (name,))
    assert not allowed(name, ())
    assert not allowed(name + "/", (name,))
