"""`mainspring run` as a process of its own: what it says, how it stops, and that programs and functions are run."""

import json
import os
import signal
import subprocess
import sys
from datetime import datetime

import pytest

from daemons import until
from mainspring import Daemon

pytestmark = pytest.mark.process

PATIENCE = 60


class Running:
    """A `mainspring run` whose stderr is read line by line."""

    def __init__(self, cli, *words):
        self.process = subprocess.Popen(
            [sys.executable, "-m", "mainspring", "run", *words], stderr=subprocess.PIPE, text=True, cwd=cli.directory,
            stdout=subprocess.PIPE,
        )  # fmt: skip
        self.lines = []

    def until(self, part):
        """Read on to the first line with `part` in it."""
        for line in self.process.stderr:
            self.lines.append(line.rstrip("\n"))
            if part in line:
                return self.lines[-1]
        raise AssertionError(f"it ended before it said {part!r}:\n" + "\n".join(self.lines))

    def stop(self, number=signal.SIGTERM):
        self.process.send_signal(number)
        return self.end()

    def end(self):
        out, rest = self.process.communicate(timeout=PATIENCE)
        self.lines += rest.splitlines()
        assert out == ""
        return self.process.returncode


@pytest.fixture
def run(cli):
    started = []

    def run(*words, ready="ready"):
        started.append(Running(cli, *words))
        started[-1].until(ready)
        return started[-1]

    yield run
    for one in started:
        if one.process.poll() is None:
            one.process.kill()
            one.process.communicate(timeout=PATIENCE)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_an_orderly_stop_is_success(run, number):
    daemon = run("--workers", "3")
    assert daemon.stop(number) == 0
    ready = daemon.lines[0]
    datetime.fromisoformat(" ".join(ready.split()[:2]))
    assert ready.split()[2] == "INFO"
    assert ready.endswith("mainspring.db, 3 workers")
    assert daemon.lines[-1].endswith("INFO stopped")


def test_programs_and_functions_are_run(cli, run, write):
    write("here.py", "def add(a, b):\n    return a + b\n")
    run()
    cli("now", "--call", "here:add", "--args", "[1, 2]")
    cli("now", "--env", "WORD=hello", "--", "sh", "-c", 'echo $WORD; echo "\x1b[31mred" >&2; exit 3')
    followed = cli("logs", "-f", "2")
    assert followed.stdout == "hello\n\\x1b[31mred\n"
    assert "task 2 is failed (exit code)" in followed.stderr
    cli("logs", "-f", "1")
    program, function = cli.json("show", "2"), cli.json("show", "1")
    assert (program["exit_code"], program["result"], program["error"]["type"]) == (3, None, "ExitCode")
    assert program["output"] == "hello\n\x1b[31mred\n"
    assert (function["state"], function["result"]) == ("succeeded", 3)
    assert cli.json("logs", "-f", "2")["output"] == program["output"]
    assert "\x1b" not in cli("show", "2").stdout


def test_the_app_of_a_program(cli, run, shop):
    daemon = run(shop, "--workers", "9", "--log-level", "debug", ready="ready")
    assert "--workers is not used" in daemon.lines[0]
    assert daemon.lines[-1].endswith("shop.db, 3 workers")
    cli("now", "--app", shop, "--call", "shop:breaks", "--kwargs", '{"text": "a\\n\\u001b[31mb", "password": "hidden"}')
    daemon.until("failed (error)")
    cli("now", "--app", shop, "--call", "shop:open_sale", "--args", "[42]")
    daemon.until("succeeded in")
    status = cli.json("status", "--app", shop)
    assert [(node["pid"], node["workers"]) for node in status["nodes"]] == [(daemon.process.pid, 3)]
    assert daemon.stop() == 0
    levels = [line.split()[2] for line in daemon.lines if line.startswith("20")]
    assert levels == ["INFO", "ERROR", "WARNING", "ERROR", "DEBUG", "INFO", "INFO"]
    assert "    Traceback (most recent call last):" in daemon.lines
    text = "\n".join(daemon.lines)
    assert "task 1 (breaks) attempt 1 failed: ValueError: a\\n\\x1b[31mb" in text
    assert "hidden" not in text
    assert all(line.startswith(("20", "    ", "warning")) for line in daemon.lines)


def test_lines_as_json(cli, run, shop):
    daemon = run("--log-format", "json", "--store", "shop.db")
    cli("now", "--app", shop, "--call", "shop:breaks", "--name", "label")
    daemon.until('"event":"failed"')
    assert daemon.stop() == 0
    events = [json.loads(line) for line in daemon.lines]
    assert {"time", "level", "logger", "message"} <= set(events[0])
    failed = next(one for one in events if one.get("event") == "failed")
    assert (failed["task_id"], failed["task_name"], failed["attempt"], failed["level"]) == ("1", "label", 2, "ERROR")
    assert failed["error"]["type"] == "ValueError"
    assert "Traceback" in failed["error"]["traceback"]


def test_a_second_signal_hurries(cli, run, write):
    write("slow.py", "import time\ndef body():\n    time.sleep(600)  # a sleeping body\n")
    daemon = run("--grace", "10m")
    cli("now", "--call", "slow:body")
    wait_until_running(cli)
    daemon.process.send_signal(signal.SIGINT)
    daemon.until("stopping")
    daemon.process.send_signal(signal.SIGINT)
    daemon.until("given back")
    assert daemon.end() == 0
    assert cli.json("show", "1")["state"] == "waiting"


def wait_until_running(cli):
    client = Daemon(cli.store)
    until(client, lambda: client.get("1").state == "running")
    client.close()


@pytest.mark.parametrize(
    ("words", "code", "hint"),
    [
        (["--pool", "fibres"], 2, "expected what tasks run on: 'threads' or 'processes'"),
        (["--workers", "0"], 2, "flag --workers: expected a whole number from 1"),
        (["--workers", "many"], 2, "'many'"),
        (["--grace", "long"], 2, "flag --grace"),
        (["--queues", "mail=0"], 2, "'mail'"),
        (["nothing:daemon"], 3, "there is no module 'nothing'"),
        (["shop:daemon", "--app", "shop:other"], 2, "name one app"),
        (["shop:daemon", "--store", "other.db"], 2, "leave one out"),
        (["--store", "no/such/directory/x.db"], 1, "no/such/directory"),
    ],
)
def test_what_cannot_run_says_why(cli, shop, words, code, hint):
    said = cli("run", *words, code=code)
    assert hint in said.stderr
    assert not os.path.exists("mainspring.db")


def test_a_bad_pool_in_the_environment(cli, monkeypatch):
    monkeypatch.setenv("MAINSPRING_POOL", "fibres")
    assert "MAINSPRING_POOL: expected what tasks run on: 'threads' or 'processes'" in cli("run", code=2).stderr
