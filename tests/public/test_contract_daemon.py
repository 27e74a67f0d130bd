"""The daemon: settings from each place, clients, the one daemon of a process, and the end of the interpreter."""

import os
import stat
import subprocess
import sys

import pytest

from mainspring import Daemon, InvalidArguments, NotAStore


@pytest.fixture
def elsewhere(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def run_python(code, *args):
    done = subprocess.run([sys.executable, "-c", code, *args], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.split()


def test_argument_environment_file_default(elsewhere, monkeypatch):
    """ "order: argument, flag, environment, file, default" """
    assert Daemon("memory:").settings.workers == 8
    (elsewhere / "pyproject.toml").write_text("[tool.mainspring]\nworkers = 2\nstore = 'data/shop.db'\n")
    assert Daemon().settings.workers == 2
    monkeypatch.setenv("MAINSPRING_WORKERS", "3")
    assert Daemon().settings.workers == 3
    assert Daemon(workers=4).settings.workers == 4


def test_relative_paths(elsewhere, monkeypatch):
    """ "Relative paths are fixed when the Daemon is made; in a settings file they are relative to it." """
    below = elsewhere / "below"
    below.mkdir()
    (elsewhere / "pyproject.toml").write_text("[tool.mainspring]\nstore = 'shop.db'\n")
    monkeypatch.chdir(below)
    from_file, from_code = Daemon(), Daemon("shop.db")
    monkeypatch.chdir(elsewhere)
    for daemon in (from_file, from_code):
        daemon.add_task(["/bin/true"])
        daemon.close()
    assert (elsewhere / "shop.db").exists()
    assert (below / "shop.db").exists()


def test_a_slip_is_answered_with_what_was_meant(elsewhere, monkeypatch):
    """ "an unknown key is an error with a suggestion", wherever it stands, and whoever expects which error."""
    for kind in (InvalidArguments, TypeError, ValueError):
        with pytest.raises(kind, match="did you mean 'workers'"):
            Daemon(worker=3)
    monkeypatch.setenv("MAINSPRING_LISTENER_WORKER", "3")
    with pytest.raises(ValueError, match="did you mean 'listener_workers'"):
        Daemon()
    monkeypatch.delenv("MAINSPRING_LISTENER_WORKER")
    (elsewhere / "mainspring.toml").write_text("grce = '3s'\n")
    with pytest.raises(ValueError, match="did you mean 'grace'"):
        Daemon()


def test_the_store_s_file_is_its_owner_s_alone(elsewhere):
    """ "default yes for a SQLite file that only its owner can write" """
    daemon = Daemon("tasks.db")
    daemon.add_task(["/bin/true"])
    assert stat.S_IMODE(os.stat("tasks.db").st_mode) == 0o600
    daemon.close()


def test_a_file_with_foreign_tables_is_refused(elsewhere):
    run_python("import sqlite3; sqlite3.connect('other.db').execute('create table t (x)').connection.commit()")
    (elsewhere / "text.db").write_text("not a database at all, but long enough to be taken for one\n" * 10)
    for name in ("other.db", "text.db"):
        with pytest.raises(NotAStore, match=name):
            Daemon(name).find()


def test_at_the_end_of_the_interpreter_running_tasks_have_their_grace(elsewhere):
    """ "At exit of the interpreter: no new starts, running tasks get `grace`, the rest waits in the store." """
    code = """
import threading
from mainspring import Daemon, stopping
daemon = Daemon("end.db", workers=1, grace="100ms")
begun = threading.Event()
@daemon.task(name="body")
def body():
    begun.set()
    while not stopping():
        pass
    return "ended in order"
daemon.start()
tasks = [body.enqueue(), body.enqueue()]
begun.wait(30)
"""
    run_python(code)
    first, second = Daemon("end.db").find()
    assert (first.state, first.result(timeout=5)) == ("succeeded", "ended in order")
    assert (second.state, second.attempt) == ("waiting", 0)


def test_the_child_of_a_fork_starts_its_own(elsewhere):
    """ "After fork the child's daemons are 'not started'." The parent's go on."""
    code = """
import os, sys
from mainspring import Daemon
daemon = Daemon("fork.db", workers=1)
@daemon.task(name="pid")
def pid():
    return os.getpid()
with daemon:
    assert pid.enqueue().result(timeout=30) == os.getpid()
    child = os.fork()
    if child == 0:
        assert not daemon.started
        assert daemon.find(state="succeeded")
        daemon.start()
        daemon.stop()
        os._exit(0)
    assert os.waitpid(child, 0)[1] == 0
    assert daemon.started
    assert pid.enqueue().result(timeout=30) == os.getpid()
print("both")
"""
    assert run_python(code) == ["both"]


def test_the_one_daemon_of_a_process(elsewhere, monkeypatch):
    """ "`mainspring.add_task(...)`, `mainspring.add_listener(...)` are short for `get_daemon().…`" """
    monkeypatch.setenv("MAINSPRING_STORE", "one.db")
    code = """
import mainspring
client = mainspring.get_daemon(start=False)
assert not client.started
assert mainspring.add_task(["/bin/true"], name="ok", queue="mail").result(timeout=30) == 0
assert mainspring.get_daemon() is client and client.started
listener = mainspring.add_listener(["/bin/sleep", "60"], name="sleeper", pause="1s", everywhere=True)
print(*[one.name for one in client.listeners()], *[task.queue for task in client.find(name="ok")])
"""
    assert run_python(code) == ["sleeper", "mail"]
