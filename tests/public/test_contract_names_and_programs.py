"""Names: what a daemon runs and what it never runs. Programs: where, with what around them, and which."""

import os

import pytest

from mainspring import Daemon, TaskFailed

ENVIRONMENT = {"HOME", "LANG", "LC_ALL", "LC_CTYPE", "LOGNAME", "PATH", "SHELL", "TMPDIR", "TZ", "USER"}


@pytest.fixture
def place(tmp_path, monkeypatch):
    """A working directory with a module."""
    (tmp_path / "till_of_this_test.py").write_text("def close(day=0):\n    return day + 1\n\n\ndef _own(): ...\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    return tmp_path


@pytest.fixture
def daemon(place):
    with Daemon("tasks.db", workers=2) as daemon:
        yield daemon
    daemon.close()


def test_functions_of_modules_under_the_directory_run_by_name(daemon):
    """Module-level functions of modules under its working directory run; never the standard library, nothing else."""
    assert daemon.add_task("till_of_this_test:close", args=(4,)).result(timeout=30) == 5
    refused = ["os:getpid", "msgspec.json:decode", "till_of_this_test:_own", "till_of_this_test:nothing", "gone:f"]
    for name in refused:
        daemon.add_task(name)
    assert daemon.drain(timeout=30)
    assert daemon.status().unresolved == len(refused)
    assert {task.attempt for task in daemon.find(state="waiting")} == {0}


def test_allow_opens_a_module(place, monkeypatch):
    """ "or named in `allow`" """
    work = place / "work"
    work.mkdir()
    monkeypatch.chdir(work)  # the module is above it
    daemon = Daemon("tasks.db")
    task = daemon.add_task("till_of_this_test:close")
    with daemon:
        assert daemon.drain(timeout=30)
        assert task.refresh().state == "waiting"
    with Daemon("tasks.db", allow=["till_of_this_test"]):
        assert task.result(timeout=30) == 1
    daemon.close()


def test_a_registered_name_replaces_module_and_qualname(daemon):
    @daemon.task(name="close")
    def anything():
        return "closed"

    assert daemon.add_task("close").result(timeout=30) == "closed"
    with pytest.raises(ValueError, match="close"):  # "two functions under one name is an error"

        @daemon.task(name="close")
        def another(): ...


def test_a_program_runs_where_its_adder_is(daemon, place, monkeypatch):
    """`cwd` (default: the directory of whoever added it)"""
    there = place / "there"
    there.mkdir()
    monkeypatch.chdir(there)
    by_default = daemon.add_task(["/bin/pwd"])
    monkeypatch.chdir(place)
    for task in (by_default, daemon.add_task(["/bin/pwd"], cwd="there"), daemon.add_task(["/bin/pwd"], cwd=there)):
        assert task.result(timeout=30) == 0
        assert task.output == f"{os.path.realpath(there)}\n"


def test_a_program_sees_little_and_what_it_was_given(daemon, monkeypatch):
    """ "a minimal environment plus `env`; they see `MAINSPRING_TASK_ID`, `MAINSPRING_ATTEMPT`, `MAINSPRING_RUN_AT`" """
    monkeypatch.setenv("SECRET_OF_THE_DAEMON", "x")
    task = daemon.add_task(["/usr/bin/env"], env={"SALE": "42"})
    assert task.result(timeout=30) == 0
    seen = dict(line.split("=", 1) for line in task.output.splitlines())
    own = {"SALE": "42", "MAINSPRING_TASK_ID": task.id, "MAINSPRING_ATTEMPT": "1"}
    assert {name: seen.get(name) for name in own} == own
    assert seen["MAINSPRING_RUN_AT"] == f"{task.run_at:%Y-%m-%dT%H:%M:%S.%f}Z"
    assert set(seen) - set(own) - {"MAINSPRING_RUN_AT"} <= ENVIRONMENT


def test_another_exit_code_is_a_failure(daemon):
    """ "Exit 0 is `succeeded`, else `failed`" """
    task = daemon.add_task(["/bin/sh", "-c", "echo lost; exit 3"])
    with pytest.raises(TaskFailed, match="exited with 3") as failed:
        task.result(timeout=30)
    assert (task.state, task.reason, failed.value.reason, task.output) == (
        "failed", "exit code", "exit code", "lost\n",
    )  # fmt: skip


@pytest.mark.parametrize(
    ("mode", "programs", "runs"),
    [
        (0o600, None, True), (0o644, None, True), (0o660, None, False), (0o606, None, False),
        (0o660, True, True), (0o600, False, False), (0o600, ["/bin/true"], True), (0o600, ["/bin/echo"], False),
    ],
)  # fmt: skip
def test_which_programs_a_daemon_may_run(place, mode, programs, runs):
    """`programs=True | False | [paths]`; "What a daemon cannot resolve it does not claim: it stays `waiting`" """
    daemon = Daemon("modes.db", programs=programs)
    task = daemon.add_task(["/bin/true"])
    os.chmod("modes.db", mode)
    with daemon:
        assert daemon.drain(timeout=30)
        assert task.refresh().state == ("succeeded" if runs else "waiting")
        assert daemon.status().unresolved == (0 if runs else 1)
    daemon.close()
