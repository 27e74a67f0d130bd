"""Time limits of what runs in other processes, which note its start by the wall clock."""

from types import SimpleNamespace

import pytest

from mainspring.engine.clockwatch import Moved
from mainspring.engine.watchdog import Watchdog
from mainspring.testing import VirtualClock

SECOND = 1_000_000
LIMIT = 10 * SECOND
DAY = 86_400 * SECOND


class Place:
    """What runs in another process; notes when it is asked to stop."""

    def __init__(self, held):
        self.held = held
        self.started_at = 0
        self.began = 0
        self.cause = None

    def ask(self, cause):
        self.cause = cause


@pytest.fixture
def clock():
    return VirtualClock("2030-01-01T00:00Z")


@pytest.fixture
def watchdog(clock):
    return Watchdog(clock, SimpleNamespace(wake=lambda: None), lambda _: None)


@pytest.fixture
def place(watchdog):
    place = Place(object())
    watchdog.watch(place, place.held, LIMIT, begun=False)
    return place


def set_clock(clock, watchdog, by):
    clock.step(by / SECOND)
    watchdog.clock_moved(Moved(clock.now(), by, 0))
    watchdog.step(clock.now())


@pytest.mark.parametrize("by", [SECOND, -SECOND, DAY, -DAY])
def test_it_has_as_long_as_it_was_given_from_its_start(clock, watchdog, place, by):
    clock.advance(2)  # on its way
    place.started_at = clock.now()
    clock.advance(3)
    set_clock(clock, watchdog, by)
    clock.advance(6.9)
    watchdog.step(clock.now())
    assert place.cause is None
    clock.advance(0.1)
    watchdog.step(clock.now())
    assert place.cause == "time limit"


@pytest.mark.parametrize("by", [SECOND, -SECOND, DAY, -DAY])
def test_one_that_starts_after_the_step_is_reckoned_by_the_new_clock(clock, watchdog, place, by):
    set_clock(clock, watchdog, by)
    clock.advance(2)
    place.started_at = clock.now()
    clock.advance(9.9)
    watchdog.step(clock.now())
    assert place.cause is None
    clock.advance(0.1)
    watchdog.step(clock.now())
    assert place.cause == "time limit"
