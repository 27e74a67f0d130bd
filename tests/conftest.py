"""Daemons for tests: on a clock moved by hand, or on threads whose bodies wait at gates that open in the end."""

import threading

import pytest

from mainspring import Daemon
from mainspring.testing import VirtualClock

START = "2030-01-01T00:00:00+00:00"
LONG = 60  # seconds: what is waited for comes at once, or the test has failed


class Gate:
    """Bodies wait at it; the test waits until they are there, and lets them on."""

    def __init__(self):
        self.arrived = threading.Semaphore(0)
        self.opened = threading.Event()
        self.inside = 0
        self.most = 0  # at one time
        self._lock = threading.Lock()

    def wait(self):
        with self._lock:
            self.inside += 1
            self.most = max(self.most, self.inside)
        self.arrived.release()
        try:
            assert self.opened.wait(LONG), "nobody opened the gate"
        finally:
            with self._lock:
                self.inside -= 1

    def await_arrivals(self, count=1):
        for _ in range(count):
            assert self.arrived.acquire(timeout=LONG), "nobody came to the gate"

    def open(self):
        self.opened.set()


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


def until(daemon, look):
    """What `look` finds, looked for at each news of the store of `daemon` and, for what is no news, every 5 ms."""
    found = daemon._waiting.until(lambda: look() or None, LONG * 1_000_000, every=5_000)
    assert found, "it never came"
    return found
