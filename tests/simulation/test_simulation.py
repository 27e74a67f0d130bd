"""The simulation in short: some seeds of each scenario, the same twice, and planted bugs that it must find."""

import logging

import plants
import pytest
from simulate import scenario
from simulate.checks import Violation


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


@pytest.mark.parametrize(
    ("bug", "seed"),
    [(plants.early, 1), (plants.forgotten, 1), (plants.no_take_over, 1), (plants.acknowledged_early, 2)],
)
def test_planted_bugs_are_found(bug, seed, monkeypatch):
    bug(monkeypatch)
    with pytest.raises(Violation):
        scenario.storm(seed, hours=2)
