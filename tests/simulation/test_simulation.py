"""The simulation in short: some seeds of each scenario, the same twice, and planted bugs that it must find."""

import logging

import pytest
from simulate import scenario
from simulate.checks import Violation

from mainspring.engine.attempt import Attempt
from mainspring.engine.planner import Planner
from mainspring.engine.timeline import Timeline


@pytest.fixture(autouse=True)
def quiet():
    log = logging.getLogger("mainspring")
    before = log.level
    log.setLevel(logging.CRITICAL + 1)
    yield
    log.setLevel(before)


@pytest.mark.parametrize("seed", range(1, 8))
def test_storms_break_no_promise(seed):
    assert scenario.storm(seed, hours=6).books.ran


@pytest.mark.parametrize("seed", range(1, 5))
def test_years_break_no_promise(seed):
    assert scenario.year(seed, years=0.3).books.ran


def test_a_seed_does_the_same_again():
    first, second = scenario.storm(3, hours=6), scenario.storm(3, hours=6)
    assert list(first.told) == list(second.told)
    assert first.machine.boot == second.machine.boot


def early(monkeypatch):
    """A tenth of a second before the instant a task is handed over, and starts at once."""
    real = Attempt.run

    def run(self, held, slot):
        held.run_at -= 1_000_000
        real(self, held, slot)

    due, following = Timeline.due, Timeline.next
    monkeypatch.setattr(Attempt, "run", run)
    monkeypatch.setattr(Timeline, "due", lambda self, now, limit: due(self, now + 100_000, limit))
    monkeypatch.setattr(Timeline, "next", lambda self: (at := following(self)) and at - 100_000)


def forgotten(monkeypatch):
    """Now and then a schedule is not looked at again."""

    def put(self, name, at, real=Planner._put):
        if at is not None and at % 7 == 0:
            return
        real(self, name, at)

    monkeypatch.setattr(Planner, "_put", put)


@pytest.mark.parametrize("bug", [early, forgotten])
def test_planted_bugs_are_found(bug, monkeypatch):
    bug(monkeypatch)
    assert any(is_broken(seed) for seed in range(1, 100))


def is_broken(seed):
    try:
        scenario.year(seed, years=0.1)
    except Violation:
        return True
    return False
