"""Steps and who drives them: an error does not end a loop, a wake is never lost, by hand it goes in a fixed order."""

import logging
import os
import threading

import pytest

from daemons import LONG
from mainspring import Misuse
from mainspring.engine import service
from mainspring.engine.service import ManualDriver, ThreadLoop
from mainspring.testing import VirtualClock
from mainspring.when.clock import SystemClock


class Step:
    def __init__(self, body):
        self.body = body

    def step(self, now):
        return self.body(now)


@pytest.fixture
def loop():
    loop = ThreadLoop("test", SystemClock())
    yield loop
    loop.stop()


def test_a_thread_takes_turns_when_woken_and_at_the_wanted_instant(loop):
    turns, clock = threading.Semaphore(0), SystemClock()
    wanted = [None]

    def body(now):
        turns.release()
        at, wanted[0] = wanted[0], None
        return at

    loop.start([Step(body)])
    assert turns.acquire(timeout=LONG)
    wanted[0] = clock.now() + 20_000
    loop.wake()
    assert turns.acquire(timeout=LONG)
    assert turns.acquire(timeout=LONG)  # without another wake


def test_a_readable_descriptor_wakes_it(loop):
    turns = threading.Semaphore(0)
    read, write = os.pipe()

    def body(now):
        turns.release()

    loop.start([Step(body)])
    assert turns.acquire(timeout=LONG)
    loop.watch(read)
    os.write(write, b"!")
    assert turns.acquire(timeout=LONG)
    loop.unwatch(read)
    os.close(read)
    os.close(write)


def test_a_step_that_raises_is_logged_and_the_others_go_on(caplog):
    seen = []

    def bad(now):
        raise RuntimeError("broken step")

    clock = VirtualClock("2030-01-01T00:00:00Z")
    driver = ManualDriver(clock)
    driver.loop().start([Step(bad), Step(seen.append)])
    with caplog.at_level(logging.ERROR, "mainspring"):
        assert driver.settle()
    assert seen == [clock.now()]
    assert "broken step" in caplog.text
    assert driver.wanted == clock.now() + 1_000_000  # tried again in a second


def test_stopping_takes_a_last_turn_and_twice_is_fine():
    turns = []
    loop = ThreadLoop("test", SystemClock())
    entered = threading.Event()

    def body(now):
        turns.append(now)
        entered.set()

    loop.start([Step(body)])
    assert entered.wait(LONG)
    before = len(turns)
    loop.stop()
    assert len(turns) == before + 1
    loop.stop()
    assert len(turns) == before + 1


def test_by_hand_loops_turn_in_the_order_in_which_they_were_made():
    driver = ManualDriver(VirtualClock("2030-01-01T00:00:00Z"))
    seen = []
    loops = [driver.loop() for _ in range(3)]
    for number in (2, 0, 1):
        loops[number].start([Step(lambda now, number=number: seen.append(number))])
    driver.settle()
    assert seen == [0, 1, 2]
    assert not driver.settle()
    loops[1].wake()
    assert driver.settle()
    assert seen == [0, 1, 2, 1]


def test_by_hand_news_on_a_descriptor_are_seen():
    driver = ManualDriver(VirtualClock("2030-01-01T00:00:00Z"))
    read, write = os.pipe()
    seen = []
    loop = driver.loop()
    loop.start([Step(lambda now: seen.append(os.read(read, 9)) if seen else seen.append(b""))])
    loop.watch(read)
    driver.settle()
    os.write(write, b"news")
    assert driver.settle()
    assert seen == [b"", b"news"]
    loop.unwatch(read)
    os.write(write, b"more")
    assert not driver.settle()
    os.close(read)
    os.close(write)


def test_by_hand_a_call_from_inside_a_turn_returns_at_once():
    driver = ManualDriver(VirtualClock("2030-01-01T00:00:00Z"))
    inner = []
    driver.loop().start([Step(lambda now: inner.append((driver.inside(), driver.settle())))])
    assert not driver.inside()
    assert driver.settle()
    assert inner == [(True, False)]


def test_by_hand_turns_without_end_are_an_error(monkeypatch):
    monkeypatch.setattr(service, "MOST_TURNS", 50)
    driver = ManualDriver(VirtualClock("2030-01-01T00:00:00Z"))
    turns = []
    driver.loop().start([Step(lambda now: turns.append(1) or now)])
    with pytest.raises(Misuse, match="50 turns"):
        driver.settle()
    assert len(turns) == 50
