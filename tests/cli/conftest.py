"""The command line in this process: in an empty directory, with nothing set, and apps that are forgotten again."""

import json
import os
import sys
import textwrap

import pytest
from click.testing import CliRunner

from mainspring import Daemon
from mainspring.cli import main
from mainspring.settings import set_flags


class Cli:
    """`cli("list", "--json")` runs the verb, `cli.json(...)` reads what it prints; `code`: what it must exit with."""

    def __init__(self, directory):
        self.directory = directory
        self.store = directory / "mainspring.db"

    def __call__(self, *words, code=0):
        result = CliRunner().invoke(main, [str(word) for word in words])
        told = f"{words} exited with {result.exit_code}\n{result.stdout}\n{result.stderr}"
        assert result.exit_code == code, told
        assert code != 0 or "error:" not in result.stderr, told
        return result

    def json(self, *words, code=0):
        return json.loads(self(words[0], "--json", *words[1:], code=code).stdout)

    def work(self):
        """Run what is due, here and now; functions of modules in the directory too."""
        sys.path.insert(0, str(self.directory))
        with Daemon(self.store, inline=True, name="tests") as daemon:
            daemon.drain()
        daemon.close()


@pytest.fixture
def cli(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TZ", "UTC")
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("COLUMNS", "80")
    for word in [word for word in os.environ if word.startswith("MAINSPRING_")]:
        monkeypatch.delenv(word)
    path, modules = list(sys.path), set(sys.modules)
    yield Cli(tmp_path)
    sys.path[:] = path
    for name in set(sys.modules) - modules:
        if str(tmp_path) in (getattr(sys.modules[name], "__file__", None) or ""):
            del sys.modules[name]
    set_flags({})


@pytest.fixture
def write(cli):
    """Writes a file of the project in which the command line is used."""

    def write(name, text):
        (cli.directory / name).write_text(textwrap.dedent(text))

    return write


@pytest.fixture
def shop(write):
    """A module `shop` with a Daemon on shop.db."""
    write(
        "shop.py",
        """
        from mainspring import Daemon, Retry

        daemon = Daemon("shop.db", workers=3, name="shop")

        @daemon.task
        def open_sale(item: int) -> dict:
            return {"item": item}

        @daemon.task(retry=Retry(1, delay=0))
        def breaks(text: str = "it broke", password: str = "") -> None:
            raise ValueError(text)
        """,
    )
    return "shop:daemon"
