"""Whatever somebody writes into the rows of a store, its daemons run nothing that was not theirs to run, say what
cannot be read, set it aside, and go on (S1).
"""

import json
import logging
import sys
from contextlib import closing

import apsw
import pytest

from daemons import until
from mainspring import Daemon, MainspringError, TaskFailed
from mainspring.cli.terminal import clean
from mainspring.errors import Unreadable

LONG = 60

MODULE = """
import os, subprocess
from os import system, remove
from builtins import exec as run, eval
from typing import TypedDict

class Plain:
    def method(self): open("evil.txt", "w").close()
    @staticmethod
    def static(): open("evil.txt", "w").close()
    def __init__(self, *args): open("evil.txt", "w").close()

class Thing(TypedDict):
    size: int

def fine(x=0): return x
def takes(thing: Thing): return type(thing).__name__
def _private(): open("evil.txt", "w").close()
def generator(): yield open("evil.txt", "w").close()
os_system = os.system
"""

NAMES = [
    "os:system",
    "builtins:exec",
    "builtins:eval",
    "subprocess:run",
    "subprocess:Popen",
    "posix:system",
    "nt:system",
    "shutil:rmtree",
    "importlib:import_module",
    "runpy:run_path",
    "pickle:loads",
    "code:interact",
    "pty:spawn",
    "ctypes:CDLL",
    "webbrowser:open",
    "antigravity:fly",
    "timeit:timeit",
    "pdb:run",
    "sys:exit",
    "os.path:join",
    "rows_shop:system",
    "rows_shop:run",
    "rows_shop:os",
    "rows_shop:os.system",
    "rows_shop:subprocess.run",
    "rows_shop:remove",
    "rows_shop:os_system",
    "rows_shop:Plain",
    "rows_shop:Plain.method",
    "rows_shop:Plain.static",
    "rows_shop:_private",
    "rows_shop:generator",
    "rows_shop:__builtins__",
    "rows_shop:__class__",
    "rows_shop:__import__",
    "rows_shop:fine.__globals__",
    "rows_shop:fine.__call__",
    "rows_shop.os:system",
    "rows_shop:__loader__.load_module",
    "rows_shop.fine:__call__",
    "rows_shop.__builtins__:exec",
    "..rows_shop:fine",
    "rows_shop::fine",
    "rows_shop:fine:",
    ":fine",
    "rows_shop:",
    "rows_shop",
    "",
    ":",
    "::",
    ".:.",
    " rows_shop:fine",
    "rows_shop:fine ",
    "rows_shop:fine\n",
    "rows_shop:fi\0ne",
    "rows_shop/../rows_shop:fine",
    "./rows_shop:fine",
    "rows_shop.py:fine",
    "/etc/passwd:x",
    "ROWS_SHOP:fine",
    "rows_shop:FINE",
    "rows_shop:f\u0131ne",
    "r\u043ews_shop:fine",
    "mainspring:Daemon",
    "mainspring.cli:main",
    "mainspring.engine.keeper:Keeper",
    "mainspring.tasks.registry:plan_of",
    "apsw:Connection",
    "msgspec.json:decode",
    "click:launch",
    "pytest:main",
    "hypothesis:given",
    "__main__:main",
    "__mp_main__:main",
    "rows_shop:" + "a" * 600, "a." * 300 + "b:c",
    "evil_package:run",
    "evil_package.sub:run",
]  # fmt: skip


@pytest.fixture
def path(tmp_path, monkeypatch):
    """A store in a directory with a module and a store-writer's trap: modules elsewhere that leave `evil.txt`."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "rows_shop.py").write_text(MODULE)
    other = tmp_path.parent / f"{tmp_path.name}-elsewhere"
    (other / "evil_package").mkdir(parents=True)
    evil = f"open({str(tmp_path / 'evil.txt')!r}, 'w').close()\ndef run(*args): pass\n"
    for name in ("evil_package/__init__.py", "evil_package/sub.py"):
        (other / name).write_text(evil)
    monkeypatch.syspath_prepend(str(other))
    monkeypatch.syspath_prepend(str(tmp_path))
    yield str(tmp_path / "a.db")
    for name in [name for name in sys.modules if name.partition(".")[0] in ("rows_shop", "evil_package")]:
        del sys.modules[name]
    assert not (tmp_path / "evil.txt").exists()


def write(path, statement, *values):
    with closing(apsw.Connection(path)) as con:
        return con.execute(statement, values).get


@pytest.mark.process
def test_a_name_in_a_row_runs_nothing_that_is_not_registered_or_under_the_directory(path):
    with closing(Daemon(path, name="tests")) as daemon:
        tasks = [
            daemon.add_task("rows_shop:fine", queue=f"q{number}", args=("echo > evil.txt",))
            for number in range(len(NAMES))
        ]
        good = daemon.add_task("rows_shop:fine", args=(7,), priority=-5)
        for task, name in zip(tasks, NAMES, strict=True):
            write(path, "UPDATE lane SET work = ? WHERE id = (SELECT lane FROM task WHERE id = ?)", name, int(task.id))
    with closing(Daemon(path, name="tests")) as daemon:
        before = set(sys.modules)
        with daemon:
            assert daemon.get(good.id).result(LONG) == 7
            assert daemon.status().unresolved == len(NAMES)
            ran = [name for task, name in zip(tasks, NAMES, strict=True) if daemon.get(task.id).state != "waiting"]
        assert ran == []
        imported = {name.partition(".")[0] for name in set(sys.modules) - before} - sys.stdlib_module_names
        assert "evil_package" not in imported


@pytest.mark.process
@pytest.mark.parametrize("kind", ["FUNCTION", "", "class", "program ", "0", "os:system"])
def test_a_kind_that_does_not_exist_is_said_and_nothing_runs(path, kind, caplog):
    with closing(Daemon(path, name="tests")) as daemon:
        daemon.add_task("rows_shop:fine")
        write(path, "UPDATE lane SET kind = ?", kind)
    with closing(Daemon(path, name="tests")) as daemon:
        with pytest.raises(MainspringError, match="cannot be read"):
            daemon.find()
        with caplog.at_level(logging.ERROR, "mainspring"), daemon:
            until(daemon, lambda: "cannot be read" in caplog.text)


TAGS = [
    {"$type": "os:system"},
    {"$object": ["os",
    "system"]},
    {"$class": "subprocess:Popen",
    "args": ["true"]},
    {"$model": "rows_shop:Plain",
    "fields": {}},
    {"$pickle": "gASVIQAAAAAAAACMBXBvc2l4"},
    {"$exec": "1"},
    {"$": 1},
    {"$path": "/etc/passwd"},
    {"$enum": "x"},
    {"py/object": "rows_shop.Plain"},
    {"__class__": "Plain"},
    {"$datetime": "x"},
    {"$bytes": "%"},
    {"$decimal": "x" * 50},
    {"$uuid": 7},
    {"$timedelta": 1e308},
    {"$set": 5},
    {"$tuple": {}},
    {"$dict": 1},
    {"$decimal": "1e999999999"},
    {"$secret": {"$type": "x"}},
]  # fmt: skip

CLOSED = {
    "NoneType",
    "bool",
    "int",
    "float",
    "str",
    "list",
    "dict",
    "datetime",
    "date",
    "time",
    "timedelta",
    "UUID",
    "Decimal",
    "bytes",
    "set",
    "tuple",
}


@pytest.mark.process
def test_a_tag_in_a_payload_makes_no_object_of_a_class(path):
    """What a payload can become: JSON, the closed set of tagged types, or what the annotation names."""
    with closing(Daemon(path, name="tests")) as daemon:
        good = daemon.add_task("rows_shop:fine", args=(7,), priority=-5)
        tasks = [daemon.add_task(f"rows_shop:{name}", args=(1,)) for _ in TAGS for name in ("fine", "takes")]
        for index, task in enumerate(tasks):
            write(path, "UPDATE task SET payload = ? WHERE id = ?", json.dumps([[TAGS[index // 2]], {}]), int(task.id))
        with daemon:
            assert good.result(LONG) == 7
        for task in tasks:
            if task.refresh().state == "succeeded" and task.function == "rows_shop:takes":
                assert task.result() in CLOSED
            elif task.state == "failed":
                assert task.error.type in ("InvalidArguments", "InvalidValue"), task.error
            else:
                assert task.state == "succeeded"
        assert not hasattr(sys.modules["rows_shop"], "evil")


GARBAGE = [
    "", "{", "null", "17", "[]", "[1,2,3]", '{"a":', "\x00", "\x1b[31m", '"text"', "[[], []]", "[{}, {}]",
    "[[1], {}, 2]", '[[1], {"x": 1}]', "[" * 5_000, '{"retry": 7}', '{"timeout": -1e308}', '{"delivery": "twice"}',
    '{"retry": {"times": "x"}}', "9" * 400, "NaN", "\U0001f600 é", '{"type": 1}', b"\x00\xff\x80", b"", b"[[],{}]",
]  # fmt: skip


@pytest.mark.process
@pytest.mark.parametrize("column", ["payload", "options", "name", "reason", "schedule", "error", "result"])
def test_a_spoilt_column_sets_its_task_aside_and_holds_nothing_up(path, column, caplog):
    """Functions and programs alike: each ends, is still there with what stood in it, and all others run."""
    with closing(Daemon(path, name="tests", workers=2)) as daemon:
        works = ["rows_shop:fine", ["true"]]
        tasks = [daemon.add_task(works[index % 2]) for index in range(2 * len(GARBAGE))]
        for index, task in enumerate(tasks):
            value = GARBAGE[index // 2]
            write(path, f"UPDATE task SET {column} = ? WHERE id = ?", value, int(task.id))
        values = f"(lane, run_at, created_at, {column}) VALUES (1, 1, 1, CAST(x'ff80' AS TEXT))"
        bad = write(path, f"INSERT INTO task {values} RETURNING id")
        last = [daemon.add_task("rows_shop:fine", args=(7,), priority=-9), daemon.add_task(["true"], priority=-9)]
        with daemon, caplog.at_level(logging.ERROR, "mainspring"):
            assert [task.result(LONG) for task in last] == [7, 0]
            found = until(daemon, lambda: ended(daemon, tasks))
        for task, value in zip(found, [value for value in GARBAGE for _ in "fp"], strict=True):
            if task.reason == "unreadable":
                kept = f"{task.output}{task.error.message}"
                assert (value.hex() if isinstance(value, bytes) else repr(value)[:900]) in kept, value
                assert f"task {task.id}" in caplog.text or f"{task.id}," in caplog.text or "set aside" in caplog.text
        aside = daemon.get(str(bad))
        if column in ("payload", "options", "name", "schedule"):  # what a start reads
            assert (aside.state, aside.reason) == ("failed", "unreadable")
            assert "ff80" in aside.output


def ended(daemon, tasks):
    try:
        found = [daemon.get(task.id) for task in tasks]
    except Unreadable:  # a result that is none, of one that has not run yet
        return None
    return found if all(task.finished for task in found) else None


@pytest.mark.process
def test_a_spoilt_schedule_says_so_and_the_others_go_on(path, caplog):
    with closing(Daemon(path, name="tests")) as daemon:
        for index in range(len(GARBAGE) + 3):
            daemon.add_schedule("rows_shop:fine", "1h", name=f"a{index}")
        forged = [*(value for value in GARBAGE if isinstance(value, str)), '{"trigger": {"os": {}}, "work": {}}',
                  '{"trigger": {"cron": {"expression": "* * * *"}}, "work": {"work": "os:system"}}',
                  '{"trigger": {"every": {"interval": -1}}, "work": {}}']  # fmt: skip
        for index, value in enumerate(forged):
            write(path, "UPDATE standing SET definition = ?, next_run_at = 1 WHERE name = ?", value, f"a{index}")
        daemon.add_schedule("rows_shop:fine", "1s", name="z", misfire="all")
        with daemon, caplog.at_level(logging.ERROR, "mainspring"):
            until(daemon, lambda: daemon.find(schedule="z", state="succeeded"))
        assert "schedule 'a1' cannot be read" in caplog.text
        with pytest.raises(MainspringError, match="a1"):
            [one.next(1) for one in daemon.schedules() if one.name == "a1"]
        [one.remove() for one in daemon.schedules()]
        assert daemon.schedules() == []


@pytest.mark.process
def test_a_spoilt_listener_says_so_and_the_others_go_on(path, caplog):
    with closing(Daemon(path, name="tests")) as daemon:
        for index, value in enumerate(one for one in GARBAGE if isinstance(one, str)):
            daemon.add_listener("rows_shop:fine", name=f"a{index}")
            write(path, "UPDATE standing SET definition = ?, status = ? WHERE name = ?", value, value, f"a{index}")
        daemon.add_listener("rows_shop:fine", name="z")
        with daemon, caplog.at_level(logging.WARNING, "mainspring"):
            until(daemon, lambda: [one for one in daemon.listeners() if one.name == "z" and one.state == "up"])
        assert "listener a1 does not run" in caplog.text


def test_a_failure_as_text_is_never_made_an_exception_of_its_type(path):
    """An error names a class; nothing is imported or raised by that name (as CVE-2021-23727 had it)."""
    with closing(Daemon(path, name="tests", inline=True)) as daemon, daemon:
        task = daemon.add_task("rows_shop:fine")
        daemon.drain()
        error = json.dumps({"type": "os:system", "message": "echo > evil.txt", "traceback": "x"})
        write(path, "UPDATE task SET state = 3, reason = 'error', error = ?, result = NULL", error)
        with pytest.raises(TaskFailed) as caught:
            task.refresh().result()
        assert type(caught.value) is TaskFailed
        assert clean(caught.value.type) == "os:system"
