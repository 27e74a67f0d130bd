"""A clock, and a daemon on it, on each kind of store."""

import pytest

from daemons import START
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
