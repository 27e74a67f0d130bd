"""Help, slips of the pen, exit codes, and which store a verb works on."""

import errno
import os
import subprocess
import sys

import pytest

from mainspring import errors
from mainspring.cli import main, terminal
from mainspring.cli.root import VERBS
from mainspring.cli.verb import verb
from mainspring.when.instants import load_zone
from mainspring.when.readable import distance, exact, span

LOADED = """
import sys
from mainspring.cli import main
try:
    main({words!r})
except SystemExit as end:
    assert end.code == 0
print(*sorted(sys.modules))
"""
SLOW = ("apsw", "msgspec", "asyncio", "zoneinfo", "mainspring.client", "mainspring.cli.terminal", "json", "rich")


def loaded_by(*words):
    program = LOADED.format(words=list(words))
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=60)
    return done.stdout.splitlines()[-1].split()


def test_help_loads_nothing_slow():
    loaded = loaded_by("--help")
    assert "mainspring.cli.root" in loaded
    assert [slow for slow in SLOW if slow in loaded] == []
    assert "mainspring.cli.looking" in loaded_by("list", "--help")


def test_alone_it_prints_its_help(cli):
    assert cli().stdout == cli("--help").stdout == cli("-h").stdout
    for name in VERBS:
        assert f"\n  {name} " in cli().stdout


def test_the_version(cli):
    assert cli("--version").stdout == "mainspring 0.1.0.dev0\n"


@pytest.mark.parametrize("name", [name for name in VERBS if name not in {"demo", "bench"}])
def test_every_verb_teaches_itself(cli, name):
    text = cli(name, "--help").stdout
    assert text.startswith(f"Usage: mainspring {name} ")
    for option in ("--store", "--app", "--json"):
        assert option in text
    if name not in {"schedules", "listeners", "import", "store"}:
        assert f"Examples:\n  mainspring {name}" in text


@pytest.mark.parametrize(
    ("words", "hint"),
    [
        (("lst",), "did you mean 'list'"),
        (("schedule",), "did you mean 'schedules'"),
        (("frobnicate",), "there are: run, at, after"),
        (("schedules", "remov", "x"), "did you mean 'remove'"),
        (("list", "--limmit", "3"), "--limit"),
        (("list", "--limit", "many"), "--limit"),
        (("cancel",), "ID"),
        (("completion", "tcsh"), "bash"),
    ],
)
def test_slips_are_wrong_usage(cli, words, hint):
    said = cli(*words, code=2)
    assert hint in said.stderr
    assert "Usage: mainspring" in said.stderr
    assert said.stdout == ""


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (errors.InvalidValue("x"), 2), (errors.InvalidArguments("x"), 2), (errors.Misuse("x"), 2),
        (errors.TaskNotFound("x"), 3), (errors.NotFound("x"), 3), (errors.StoreNotFound("x"), 3),
        (errors.KeyInUse("k", "1"), 4), (errors.TooLate("x"), 4), (errors.NameInUse("x"), 4),
        (errors.StoreError("x"), 1), (errors.NotAStore("x"), 1), (errors.NewerStore("x"), 1),
        (errors.NotAllowed("x"), 1),
                (OSError(errno.ENOSPC, "no room"), 1), (RuntimeError("a bug"), 1), (KeyboardInterrupt(), 130),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, BaseException) else "",
)  # fmt: skip
def test_errors_are_messages_and_codes(cli, monkeypatch, error, code):
    @verb("fails", examples="mainspring fails")
    def fails_verb(session):
        raise error

    monkeypatch.setitem(VERBS, "fails", ("root", ""))
    monkeypatch.setattr("mainspring.cli.root.fails_verb", fails_verb, raising=False)
    said = cli("fails", code=code)
    assert "Traceback" not in said.stderr
    assert said.stderr.startswith("error: ") or code == 130
    if code != 130:
        assert "Traceback" in cli("fails", "--debug", code=code).stderr


def test_a_debugging_program_is_not_this_one(cli):
    cli("now", "--key", "k", "--", "true")
    assert "Traceback" not in cli("now", "--key", "k", "--", "prog", "--debug", code=4).stderr


def test_a_broken_pipe_is_silent(cli):
    cli("now", "--", "true")
    reading, writing = os.pipe()
    os.close(reading)
    command = [sys.executable, "-m", "mainspring", "show", "1"]
    done = subprocess.run(command, stdout=writing, stderr=subprocess.PIPE, check=False, timeout=60)
    os.close(writing)
    assert (done.returncode, done.stderr) == (1, b"")


# ── which store ────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.fixture
def stores(cli, shop):
    for name in ("flag.db", "environment.db", "file.db", "mainspring.db", "shop.db"):
        cli("now", "--store", name, "--", "true")


def test_the_nearest_word_names_the_store(cli, stores, shop, write, monkeypatch):
    def store(*words):
        return cli.json("status", *words)["store"].rpartition("/")[2]

    assert store() == "mainspring.db"
    write("pyproject.toml", '[tool.mainspring]\napp = "shop:daemon"')
    assert store() == "shop.db"
    write("pyproject.toml", '[tool.mainspring]\napp = "shop:daemon"\nstore = "file.db"')
    assert store() == "file.db"
    monkeypatch.setenv("MAINSPRING_APP", "shop:daemon")
    assert store() == "shop.db"
    monkeypatch.setenv("MAINSPRING_STORE", "environment.db")
    assert store() == "environment.db"
    assert store("--app", "shop:daemon") == store("--app", "shop") == "shop.db"
    assert store("--store", "flag.db") == "flag.db"
    assert cli("--store", "flag.db", "status").stdout == cli("status", "--store", "flag.db").stdout


def test_a_store_beside_an_app_that_says_its_own_is_refused(cli, stores):
    assert "leave one out" in cli("list", "--app", "shop:daemon", "--store", "flag.db", code=2).stderr
    cli("list", "--app", "shop:daemon", "--store", "shop.db")


def test_a_store_beside_an_app_that_leaves_it_open(cli, stores, write):
    write("open_app.py", "from mainspring import Daemon\ndaemon = Daemon()")
    assert cli.json("status", "--app", "open_app", "--store", "flag.db")["store"].endswith("/flag.db")


@pytest.mark.parametrize(
    ("spec", "code", "hint"),
    [
        ("nothing:daemon", 3, "there is no module 'nothing'"),
        ("shop:demon", 3, "did you mean 'daemon'"),
        ("shop:x.y", 3, "it has the Daemon daemon"),
        ("shop:open_sale", 2, "is not a Daemon but TaskFunction"),
        ("shop.py", 2, "such as shop:daemon"),
        ("shop:", 2, "expected a module and an attribute"),
        ("empty", 3, "has no Daemon"),
        ("two", 2, "two:first, two:second"),
        ("broken", 1, "importing broken failed: ZeroDivisionError"),
        ("lacking", 1, "No module named 'not_installed'"),
    ],
)
def test_an_app_that_cannot_be_had(cli, shop, write, spec, code, hint):
    write("empty.py", "")
    write("two.py", "from mainspring import Daemon\nfirst, second = Daemon(), Daemon()")
    write("broken.py", "x = 1\n1 / 0")
    write("lacking.py", "import not_installed")
    said = cli("list", "--app", spec, code=code).stderr
    assert hint in said
    assert spec != "broken" or "broken.py line 2" in said


def test_one_daemon_of_a_module_is_found_by_any_name(cli, stores, write):
    write("one.py", "from mainspring import Daemon\nanything = alias = Daemon('flag.db')")
    assert cli.json("status", "--app", "one")["store"].endswith("/flag.db")


# ── what is written ────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("microseconds", "text"),
    [
        (5, "5us"), (250_000, "250ms"), (1_500_000, "1.5s"), (90_000_000, "1m 30s"), (3_600_000_000, "1h"),
        (93_784_000_000, "1d 2h"),
    ],
)  # fmt: skip
def test_spans(microseconds, text):
    assert span(microseconds) == text
    assert distance(2_000_000_000 + microseconds, 2_000_000_000) == f"in {text}"


def test_instants_are_exact_and_have_their_offset():
    zone = load_zone("Asia/Shanghai")
    assert exact(1_795_744_800_250_000, zone) == "2026-11-27T10:00:00.250+08:00"
    assert exact(1_795_744_800_250_001, zone) == "2026-11-27T10:00:00.250001+08:00"
    assert distance(1, 2_000_000) == "2s ago"
    assert distance(1, 999_999) == "now"


def test_colour_is_for_terminals_that_want_it(monkeypatch):
    class Terminal:
        def isatty(self):
            return True

    monkeypatch.setattr(terminal.sys, "stdout", Terminal())
    monkeypatch.setenv("TERM", "xterm")
    assert terminal.coloured("x", "red") == "\x1b[31mx\x1b[0m"
    monkeypatch.setenv("NO_COLOR", "1")
    assert terminal.coloured("x", "red") == "x"
    monkeypatch.delenv("NO_COLOR")
    monkeypatch.setenv("TERM", "dumb")
    assert terminal.coloured("x", "red") == "x"


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_scripts(cli, shell):
    assert "_MAINSPRING_COMPLETE" in cli("completion", shell).stdout
    assert cli.json("completion", shell)["shell"] == shell


def completions(monkeypatch, line, position):
    monkeypatch.setenv("COMP_WORDS", line)
    monkeypatch.setenv("COMP_CWORD", str(position))
    from click.shell_completion import BashComplete

    maker = BashComplete(main, {}, "mainspring", "_MAINSPRING_COMPLETE")
    args, incomplete = maker.get_completion_args()
    return [item.value for item in maker.get_completions(args, incomplete)]


def test_words_ids_and_names_are_completed(cli, monkeypatch):
    assert completions(monkeypatch, "mainspring cancel ", 2) == []
    assert list(cli.directory.iterdir()) == []
    cli("after", "1h", "--queue", "mail", "--", "true")
    cli("every", "1h", "--name", "tick", "--", "true")
    cli("listen", "--name", "orders", "--", "true")
    assert completions(monkeypatch, "mainspring sch", 1) == ["schedules"]
    assert completions(monkeypatch, "mainspring cancel ", 2) == ["1"]
    assert completions(monkeypatch, "mainspring retry ", 2) == []
    assert completions(monkeypatch, "mainspring pause m", 2) == ["mail"]
    assert completions(monkeypatch, "mainspring schedules pause ", 3) == ["tick"]
    assert completions(monkeypatch, "mainspring listeners show o", 3) == ["orders"]
    assert completions(monkeypatch, "mainspring list --state c", 3) == ["cancelled"]
    assert completions(monkeypatch, "mainspring --store none.db cancel ", 4) == []
