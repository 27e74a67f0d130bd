"""The window checker gives each verdict, and no other, whatever the order of events."""

import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mainspring.testing.windows import RECORDED_US, Kill, Occurrence, Run, RunLog, check

SECOND = 1_000_000
LATER = 40 + RECORDED_US


def kinds(*given_, **named):
    return [one.kind for one in check(*given_, **named)]


@pytest.mark.parametrize(
    ("runs", "kills", "found"),
    [
        ([Run("a", 10, 20)], [], []),
        ([Run("a", 9, 20)], [], ["early"]),
        ([], [], ["lost"]),
        ([Run("a", 111, 120)], [], ["late"]),
        ([Run("a", 10, 20), Run("a", 30, 40)], [], ["extra"]),
        ([Run("a", 10, None)], [], ["unfinished"]),
        ([Run("a", 10, None), Run("a", 30, 40)], [Kill(15, 16)], []),
        ([Run("a", 10, None), Run("a", 30, 40), Run("a", 50, 60)], [Kill(15, 16)], ["extra"]),
        ([Run("a", 10, 20), Run("a", 30, 40)], [Kill(21, 22)], []),  # it had ended, and nobody had written it
        ([Run("a", 10, 20), Run("a", LATER, LATER)], [Kill(30 + RECORDED_US, 31 + RECORDED_US)], ["extra"]),
        ([Run("a", 10, None, (7, 1)), Run("a", 30, 40, (8, 1))], [Kill(15, 16, {9})], ["extra", "unfinished"]),
        ([Run("a", 10, None, (7, 9)), Run("a", 30, 40, (8, 1))], [Kill(15, 16, {9})], []),
        ([Run("b", 10, 20)], [], ["lost", "extra"]),
        ([Run("a", 5, None), Run("a", 30, 40)], [Kill(6, 7)], ["early"]),  # no kill excuses that
    ],
)  # fmt: skip
def test_each_verdict(runs, kills, found):
    assert kinds([Occurrence("a", 10, 110)], runs, kills) == found


def test_what_need_not_run_may():
    assert kinds([Occurrence("a", 10, needed=False)], []) == []
    assert kinds([Occurrence("a", 10, needed=False)], [Run("a", 10, 20)]) == []


def test_no_kill_explains_a_second_begin_of_what_begins_once():
    once = [Occurrence("a", 10, once=True)]
    assert kinds(once, [Run("a", 10, None), Run("a", 30, 40)], [Kill(15, 16)]) == ["extra"]
    assert kinds(once, [Run("a", 10, None)], [Kill(15, 16)]) == []


def test_exclusive_names_do_not_overlap():
    two = [Occurrence("a", 0), Occurrence("a", 0)]
    beside = [Run("a", 10, 50), Run("a", 20, 30)]
    assert kinds(two, beside) == []
    assert kinds(two, beside, exclusive={"a"}) == ["overlap"]
    cut = [Run("a", 10, None, (7,)), Run("a", 20, 30)]
    assert kinds([Occurrence("a", 0)], cut, [Kill(15, 16, {7})], exclusive={"a"}) == []


# ── in general ─────────────────────────────────────────────────────────────────────────────────────────────────
spans = st.integers(0, 3 * SECOND)
dues = st.lists(st.integers(0, 60 * SECOND), max_size=12)


@st.composite
def histories(draw):
    """What an honest scheduler did: each occurrence ran once, and once more after each kill that cut it."""
    occurrences, runs = [], []
    kills = [Kill(at, at + 1000) for at in draw(st.lists(st.integers(0, 60 * SECOND), max_size=4))]
    for number, due in enumerate(draw(dues)):
        name = f"t{number}"
        occurrences.append(Occurrence(name, due))
        began = due + draw(spans)
        while True:
            run = Run(name, began, began + draw(spans))
            cut = next((kill for kill in kills if run.began <= kill.at <= run.ended), None)
            runs.append(run if cut is None else run._replace(ended=None))
            if cut is None:
                break
            began = cut.until + 1 + draw(spans)
    return occurrences, draw(st.permutations(runs)), kills


@given(histories())
def test_an_honest_history_has_no_fault(history):
    assert check(*history) == []


@given(histories(), st.data())
def test_a_run_that_is_taken_out_is_missed(history, data):
    occurrences, runs, _ = history
    if not runs:
        return
    gone = data.draw(st.sampled_from(runs)).name
    found = check(occurrences, [run for run in runs if run.name != gone], [])
    assert ("lost", gone) in [(one.kind, one.name) for one in found]


@given(histories(), st.data())
def test_a_run_too_early_or_too_many_is_found(history, data):
    occurrences, runs, kills = history
    if not runs:
        return
    one = data.draw(st.sampled_from(runs))
    due = next(each.due for each in occurrences if each.name == one.name)
    first = min((run for run in runs if run.name == one.name), key=lambda run: run.began)
    early = [run._replace(began=due - 1) if run is first else run for run in runs]
    assert "early" in [fault.kind for fault in check(occurrences, early, kills)]
    # a kill explains one more run for each that it may have cut, and no more
    cut = sum(run.name == one.name and any(kill.cuts(run) for kill in kills) for run in runs)
    repeats = sum(run.name == one.name for run in runs) - 1
    more = [Run(one.name, (200 + n) * SECOND, (200 + n) * SECOND) for n in range(cut - repeats + 1)]
    assert kinds(occurrences, [*runs, *more], kills) == ["extra"]
    assert kinds(occurrences, [*runs, *more[1:]], kills) == []


# ── the log ────────────────────────────────────────────────────────────────────────────────────────────────────
def test_the_log_has_what_bodies_wrote(tmp_path, monkeypatch):
    log = RunLog(tmp_path / "runs")
    assert log.read() == []
    with log.run("a b"):
        monkeypatch.chdir("/")
        [open_] = log.read()
        assert (open_.name, open_.ended, open_.processes) == ("a b", None, (os.getpid(), os.getppid()))
    with pytest.raises(KeyError), log.run("c"):
        raise KeyError
    assert [(run.name, run.ended is None) for run in log.read()] == [("a b", False), ("c", False)]
    assert all(run.began <= run.ended for run in log.read())
