"""Which occurrences run after an absence, and how the others are accounted for: each exactly once."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mainspring import Every
from mainspring.engine.definitions import Rule
from mainspring.engine.occurrences import Stretch, plan, stretch

SECOND = 1_000_000
T = 1_800_000_000 * SECOND
RULES = [Rule(misfire=misfire, grace=60 * SECOND, catch_up=3) for misfire in ("latest", "all", "skip")]


class Listed:
    """Instants, each of which has to be asked for."""

    def __init__(self, instants):
        self.instants = sorted(instants)

    def next_us(self, after):
        return next((at for at in self.instants if at > after), None)


def whole(trigger, rule, first, now, until):
    """All turns of one absence: what runs, the stretches, and where to go on."""
    run, missed, at = [], [], first
    while True:
        made = plan(trigger, rule, at, now, until)
        run += made.run
        missed += [made.missed] if made.missed else []
        if made.following is None or made.following > until:
            return run, missed, made.following
        at = made.following


@pytest.mark.parametrize(("rule", "late"), [*zip(RULES, [1, 3, 0], strict=True)], ids=["latest", "all", "skip"])
def test_of_what_was_missed_the_rule_says_what_runs(rule, late):
    hour = 3600 * SECOND
    first, now = T - T % hour, T - T % hour + 10 * hour + SECOND
    run, missed, following = whole(Every("1h"), rule, first, now, now)
    on_time = [first + 10 * hour]
    assert run == [first + n * hour for n in range(10 - late, 10)] + on_time
    assert missed == [Stretch(first, first + (9 - late) * hour, 10 - late)]
    assert following == first + 11 * hour


@pytest.mark.parametrize("rule", RULES, ids=lambda one: one.misfire)
def test_within_the_grace_nothing_is_missed(rule):
    second = Every("1s")
    run, missed, following = whole(second, rule, T - 60 * SECOND, T, T + 5 * SECOND)
    assert run == [T + n * SECOND for n in range(-60, 6)]
    assert (missed, following) == ([], T + 6 * SECOND)


def test_two_weeks_of_every_five_seconds_are_one_row():
    fortnight = 14 * 86_400 * SECOND
    run, missed, _ = whole(Every("5s"), Rule(), T - fortnight, T, T)
    assert [one.count for one in missed] == [14 * 86_400 // 5 - 13]
    assert len(run) == 14


def test_what_must_be_counted_one_by_one_is_counted_in_pieces(monkeypatch):
    monkeypatch.setattr("mainspring.engine.occurrences._COUNTED", 4)
    trigger = Listed([T + n for n in range(11)])
    pieces, first = [], T
    while first is not None:
        piece, first = stretch(trigger, first, T + 10)
        pieces.append(piece)
    assert pieces == [Stretch(T, T + 3, 4), Stretch(T + 4, T + 7, 4), Stretch(T + 8, T + 9, 2)]


@given(
    st.sets(st.integers(-400, 20), min_size=1, max_size=60),
    st.sampled_from(RULES),
    st.integers(1, 50),
)
def test_each_occurrence_runs_or_is_missed_exactly_once(offsets, rule, counted):
    instants = sorted(T + offset * SECOND for offset in offsets)
    if instants[0] > T:
        return
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("mainspring.engine.occurrences._COUNTED", counted)
        run, missed, following = whole(Listed(instants), rule, instants[0], T, T + 5 * SECOND)
    accounted = [at for at in instants if any(one.first <= at <= one.last for one in missed)]
    assert sum(one.count for one in missed) == len(accounted)
    assert accounted + run == [at for at in instants if at <= T + 5 * SECOND]
    assert following == next((at for at in instants if at > T + 5 * SECOND), None)
    late = [at for at in instants if at < T - rule.grace]
    assert [at for at in run if at in late] == late[len(late) - min(rule.late, len(late)) :]


@given(st.integers(1, 10**9), st.integers(0, 10**9), st.integers(0, 10**9))
def test_every_counts_without_being_asked_for_each(interval, after, length):
    trigger = Every.from_stored({"interval": interval * 1000, "anchor": None})
    until = after + min(length, interval * 1000 * 50)
    count, at = 0, trigger.next_us(after)
    while at is not None and at <= until:
        count, at = count + 1, trigger.next_us(at)
    assert trigger.count_us(after, until) == count


def test_resuming_what_is_not_paused_loses_nothing(url, clock):
    """What fell due while no daemon ran is still to be made: it was passed over, and nobody told."""
    from mainspring import Daemon

    daemon = Daemon(url, clock=clock, name="tests")
    daemon._warned = True
    schedule = daemon.add_schedule("no:where", "1m", name="s")
    clock.advance("5m")
    schedule.resume()
    with daemon:
        found = daemon.find(schedule="s")
        assert sum(task.missed_count or 1 for task in found if task.occurrence <= clock.time) == 5
    daemon.close()
