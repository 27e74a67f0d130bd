"""Daemons for tests: on a clock moved by hand, or on threads whose bodies wait at gates that open in the end."""

import pytest

from daemons import START, Gate
from faults.ledger import ledger, pytest_terminal_summary  # noqa: F401  # for every room
from mainspring import Daemon
from mainspring.testing import VirtualClock


@pytest.fixture(params=["memory", "sqlite"])
def url(request, tmp_path):
    """A fresh store of each kind."""
    return "memory:" if request.param == "memory" else str(tmp_path / "tasks.db")


@pytest.fixture
def clock():
    return VirtualClock(START)


@pytest.fixture
def daemon(url, clock):
    """Started, on `clock`: its tasks run in the thread of the test."""
    with Daemon(url, clock=clock, name="tests") as daemon:
        yield daemon
    daemon.close()


@pytest.fixture
def threaded(tmp_path):
    """Makes daemons with threads, started unless `start=False`; all are stopped in the end."""
    made = []

    def make(url=None, *, start=True, **settings):
        daemon = Daemon(url or str(tmp_path / "threaded.db"), **{"name": "tests", "grace": 30, **settings})
        made.append(daemon)
        if start:
            daemon.start()
        return daemon

    yield make
    for daemon in made:
        daemon.stop()
        daemon.close()


@pytest.fixture
def gates(threaded):
    """Makes gates; all are opened before the daemons of the test are stopped."""
    made = []

    def make():
        made.append(Gate())
        return made[-1]

    yield make
    for gate in made:
        gate.open()


@pytest.fixture
def gate(gates):
    return gates()
