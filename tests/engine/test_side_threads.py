"""Threads beside a pool: each job at once, a thread kept for a while, none left behind."""

import threading

import pytest

from mainspring.engine.pool import Slot
from mainspring.engine.side_threads import SideThreads
from mainspring.engine.timeline import Held
from mainspring.store.rows import Lane, Reservation
from mainspring.tasks.options import DEFAULT
from mainspring.tasks.state import Kind

LONG = 30


def held(number):
    task = Reservation(number, 1, number, 0, 0, 0, None, None, None, None, None)
    return Held(task, 1, Lane(1, "default", 0, Kind.PROGRAM, "/bin/true"), DEFAULT)


class Work:
    """Bodies that say where they run, and wait at a gate when there is one."""

    def __init__(self, keep=LONG):
        self.gate = None
        self.threads = []
        self.arrived = threading.Semaphore(0)
        self.done = threading.Semaphore(0)
        self.side = SideThreads(self, keep=keep)

    def __call__(self, held, slot):
        self.threads.append(threading.current_thread())
        self.arrived.release()
        if self.gate is not None:
            assert self.gate.wait(LONG)

    def run(self, number):
        self.side.run(held(number), Slot(number), lambda slot: self.done.release())

    def await_done(self, count):
        for _ in range(count):
            assert self.done.acquire(timeout=LONG)


@pytest.fixture
def works():
    made = []

    def make(**options):
        made.append(Work(**options))
        return made[-1]

    yield make
    for work in made:
        if work.gate is not None:
            work.gate.set()
        work.side.close()
        for thread in work.threads:
            thread.join(LONG)
            assert not thread.is_alive()


def test_all_run_at_once(works):
    work = works()
    work.gate = threading.Event()
    for number in range(5):
        work.run(number)
    for _ in range(5):
        assert work.arrived.acquire(timeout=LONG)
    assert len(set(work.threads)) == 5
    assert not work.side.join(0)
    work.gate.set()
    assert work.side.join(LONG)
    work.await_done(5)


def test_a_thread_serves_again(works):
    work = works()
    for number in range(20):
        work.run(number)
        work.await_done(1)
        assert work.side.join(LONG)
        while work.side._idle == 0:  # it comes back
            threading.Event().wait(0.001)
    assert len(set(work.threads)) == 1


def test_an_idle_thread_ends(works):
    work = works(keep=0)
    work.run(1)
    work.await_done(1)
    work.threads[0].join(LONG)
    assert not work.threads[0].is_alive()
    work.run(2)
    work.await_done(1)
    assert work.threads[1] is not work.threads[0]


def test_nothing_is_taken_after_close(works):
    work = works()
    work.run(1)
    work.await_done(1)
    work.side.close()
    with pytest.raises(RuntimeError, match="closed"):
        work.run(2)
    work.threads[0].join(LONG)
    assert not work.threads[0].is_alive()
    assert work.side.join(0)


def test_no_thread_to_be_had_leaves_nothing_behind(works, monkeypatch):
    work = works()

    def refuse(thread):
        raise RuntimeError("can't start new thread")

    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", refuse)
        with pytest.raises(RuntimeError, match="new thread"):
            work.run(1)
    assert work.side.join(0)
    work.run(2)
    work.await_done(1)
    assert len(work.threads) == 1
