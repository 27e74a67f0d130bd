"""The programs in examples/ run as they are."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
EXAMPLES = ROOT / "examples"


def run(name, *words, cwd):
    return subprocess.run(
        [sys.executable, EXAMPLES / name, *words], cwd=cwd, capture_output=True, text=True, timeout=60, check=True
    ).stdout


class Running:
    """A program that goes on until it is told to stop."""

    def __init__(self, name, *words, cwd):
        self.process = subprocess.Popen(
            [sys.executable, EXAMPLES / name, *words],
            cwd=cwd,
            stdout=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )

    def line(self):
        return self.process.stdout.readline()

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(timeout=60)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()
        self.process.stdout.close()


def test_every_program_is_described_and_tested():
    programs = {path.name for path in EXAMPLES.glob("*.py")}
    described = (EXAMPLES / "README.md").read_text()
    tested = Path(__file__).read_text()
    assert programs
    for program in programs:
        assert f"`{program}`" in described
        assert f'"{program}"' in tested


def test_the_small_flash_sale(tmp_path):
    lines = run("flash_sale_small.py", cwd=tmp_path).splitlines()
    assert lines[0].startswith("item 42 is on sale")
    assert "order 2 is paid" in lines
    assert lines[-1] == "order 3: too late to pay"
    closed = [line for line in lines if "was not paid and is closed" in line]
    assert sorted(line.split()[1] for line in closed) == ["1", "3"]


def test_orders_in_coroutines(tmp_path):
    said = run("async_orders.py", cwd=tmp_path)
    assert said.startswith("8 orders, 358.20 in all")
    assert "'3': 2" in said


@pytest.mark.process
def test_reminders_are_kept_until_somebody_runs_them(tmp_path):
    assert run("reminder.py", "0s", "tea", "is", "ready", cwd=tmp_path).startswith("reminder 1 at ")
    run("reminder.py", "2099-01-01T00:00:00+00:00", "much later", cwd=tmp_path)
    assert len(run("reminder.py", "list", cwd=tmp_path).splitlines()) == 2
    with Running("reminder.py", "run", cwd=tmp_path) as daemon:
        assert daemon.line() == "\atea is ready\n"
        assert daemon.stop() == 0
    assert run("reminder.py", "list", cwd=tmp_path).startswith("2 2099-01-01")


@pytest.mark.process
def test_a_watched_folder(tmp_path):
    inbox = tmp_path / "inbox"
    inbox.mkdir()
    (inbox / "early.txt").write_text("a\nb\n")
    with Running("watch_folder.py", "inbox", cwd=tmp_path) as watcher:
        assert watcher.line() == "early.txt: 2 lines\n"
        (tmp_path / "late.txt").write_text("a\n")
        (tmp_path / "late.txt").rename(inbox / "late.txt")
        assert watcher.line() == "late.txt: 1 lines\n"
        assert watcher.stop() == 0
    assert sorted(path.name for path in (inbox / "done").iterdir()) == ["early.txt", "late.txt"]
