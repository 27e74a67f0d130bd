"""Processes that end with their test, and a client of the store that they share."""

import os
from contextlib import ExitStack, closing

import pytest
from support import Script

from mainspring import Daemon


@pytest.fixture
def place(tmp_path):
    """The environment that tells processes where the store and the ledgers are."""
    return {
        "STORE": str(tmp_path / "shop.db"),
        "LEDGER": str(tmp_path / "ledger"),
        "ACCEPTED": str(tmp_path / "accepted"),
    }


@pytest.fixture
def start(place, tmp_path):
    """Start a script of this folder, or `-c` code: `start("serve.py", WORKERS="2")`."""
    with ExitStack() as stack:

        def start(*argv, **environment):
            script = Script(argv, {**place, **environment}, tmp_path / "errors")
            stack.callback(script.close)
            return script

        yield start


@pytest.fixture
def client(place):
    """A client in the test's own process. It is opened on first use."""
    with closing(Daemon(place["STORE"], programs=False)) as daemon:
        yield daemon


@pytest.fixture
def fifo(tmp_path):
    """Make the two FIFOs of a `workload.gate`; its path."""

    def fifo(name="gate"):
        path = str(tmp_path / name)
        os.mkfifo(f"{path}.in")
        os.mkfifo(f"{path}.out")
        return path

    return fifo


# A daemon that reserves what is due within a day: what is not due yet is held all the same.
HOLDS = """
import sys
from mainspring.engine import claimer
claimer.HORIZON_US = 86_400_000_000
import workload
from support import say
with workload.daemon:
    say("ready")
    sys.stdin.read()
"""


@pytest.fixture
def holder(start):
    """A daemon that reserves what is due within a day."""
    daemon = start("-c", HOLDS)
    daemon.until("ready")
    return daemon
