"""The listeners' turns: who is next (`rota`), and the threads that take them (`turns`)."""

import random
import threading

import pytest
from listener_parts import LONG, HandClock

from mainspring.engine.rota import PATIENCE_US, SLACK, STARVED_US, Place, Rota
from mainspring.engine.turns import LEAST_PAUSE_US, InlineTurns, ThreadTurns

MS = 1_000


def rota_of(count, workers, pause=10 * MS):
    rota = Rota(workers)
    places = [Place(pause, None) for _ in range(count)]
    for place in places:
        rota.add(place, 0)
    return rota, places


def turn(rota, now):
    """One short turn of whoever is next."""
    place, wanted = rota.take(now)
    if place is not None:
        rota.done(place, now, place.pause, resting=True)
    return place, wanted


# ── the rota ───────────────────────────────────────────────────────────────────────────────────────────────
def test_each_has_its_turn_before_any_has_a_second():
    rota, places = rota_of(5, 2)
    assert {turn(rota, 0)[0] for _ in places} == set(places)
    assert turn(rota, 0) == (None, 10 * MS)


def test_fewest_turns_go_first():
    rota, (first, second) = rota_of(2, 1)
    taken, _ = rota.take(0)
    rota.done(taken, 0, 0, resting=True)
    other = second if taken is first else first
    assert rota.take(0)[0] is other


def test_one_that_is_ready_waits_for_a_pausing_peer_with_fewer_turns():
    rota, _ = rota_of(2, 1)
    ahead, _ = rota.take(0)
    rota.done(ahead, 0, 10 * MS, resting=True)
    behind, _ = rota.take(0)
    rota.done(behind, 5 * MS, 10 * MS, resting=True)
    assert rota.take(10 * MS)[0] is ahead
    rota.done(ahead, 10 * MS, 0, resting=True)
    assert rota.take(11 * MS) == (None, 15 * MS), "it is ready, but has had two turns and its peer one"
    assert rota.take(15 * MS)[0] is behind


def test_nobody_waits_for_peers_while_there_is_a_worker_for_each():
    rota, (first, second) = rota_of(2, 2)
    for _ in range(3):
        taken, _ = rota.take(0)
        if taken is second:
            break
        rota.done(first, 0, 0, resting=True)
    for _ in range(5):
        assert rota.take(0)[0] is first
        rota.done(first, 0, 0, resting=True)


def test_a_longer_pause_is_not_waited_for():
    rota = Rota(1)
    quick, slow = Place(MS, None), Place(1000 * MS, None)
    rota.add(quick, 0)
    rota.add(slow, 0)
    assert {turn(rota, 0)[0], turn(rota, 0)[0]} == {quick, slow}
    for now in range(MS, 6 * MS, MS):
        assert turn(rota, now)[0] is quick
    assert turn(rota, 1000 * MS)[0] is slow, "and it goes first when it is ready"


def test_a_failed_peer_is_not_waited_for():
    rota, _ = rota_of(3, 1)
    failed, _ = rota.take(0)
    rota.done(failed, 0, 30_000 * MS, resting=False)
    for now in range(0, 100 * MS, 10 * MS):
        assert {turn(rota, now)[0], turn(rota, now)[0]}.isdisjoint({failed, None})


def test_a_blocked_peer_blocks_only_itself():
    rota, places = rota_of(3, 2, pause=0)
    blocked, _ = rota.take(0)
    others = set(places) - {blocked}
    assert {turn(rota, 0)[0], turn(rota, 0)[0]} == others
    assert turn(rota, 0) == (None, PATIENCE_US) or turn(rota, 0)[0] in others
    for now in range(PATIENCE_US, 2 * PATIENCE_US, MS):
        assert turn(rota, now)[0] in others
    rota.done(blocked, 2 * PATIENCE_US, 0, resting=True)
    assert not blocked.quick
    for _ in range(SLACK + 3):  # what it missed is made up for in part, and then all are equal again
        turn(rota, 2 * PATIENCE_US)
    given = sorted(place.given for place in places)
    assert given[-1] - given[0] <= 1


def test_a_newcomer_makes_up_for_a_few_turns_and_not_for_the_past():
    rota, places = rota_of(3, 1)
    for now in range(0, 1000 * MS, 10 * MS):
        for _ in places:
            turn(rota, now)
    late = Place(10 * MS, None)
    rota.add(late, 1000 * MS)
    assert late.given == places[0].given - SLACK
    for now in range(1000 * MS, 1000 * MS + SLACK * 10 * MS, 10 * MS):
        assert turn(rota, now)[0] is late
    for now in range(1100 * MS, 1200 * MS, 10 * MS):
        assert {turn(rota, now)[0] for _ in range(4)} == {*places, late}


def test_equal_ones_stay_within_one_turn_whatever_the_order():
    for seed in range(20):
        chance = random.Random(seed)
        rota, places = rota_of(15, 3)
        running, now = [], 0
        for _ in range(2000):
            place, _ = rota.take(now) if len(running) < 3 else (None, None)
            if place is not None:
                running.append(place)
            elif running and chance.random() < 0.7:
                rota.done(running.pop(chance.randrange(len(running))), now, 10 * MS, resting=True)
            now += chance.choice([0, MS, 3 * MS])
            if any(now - place.began_at >= PATIENCE_US - 3 * MS for place in running):
                for place in running:
                    rota.done(place, now, 10 * MS, resting=True)
                running = []
            given = [place.given for place in places]
            assert max(given) - min(given) <= 1, seed
        assert min(given) > 10, "and they get on"


def test_who_waits_long_is_starving_and_who_pauses_is_not():
    rota, places = rota_of(2, 1)
    taken, _ = rota.take(0)
    (other,) = set(places) - {taken}
    assert rota.starving(STARVED_US - 1) == ([], STARVED_US)
    assert rota.starving(STARVED_US) == ([other], None)
    rota.remove(taken)
    assert rota.starving(STARVED_US) == ([], None), "there is a worker for each"


def test_what_was_removed_has_no_turn():
    rota, (first, second) = rota_of(2, 1)
    assert rota.remove(first)
    assert rota.take(0)[0] is second
    assert not rota.remove(second), "it is in its body"
    rota.done(second, 0, 0, resting=True)
    assert rota.take(0) == (None, None)


# ── the threads ────────────────────────────────────────────────────────────────────────────────────────────
class Counter:
    """An owner whose turns are counted; `stop_after` of them it stays away for good."""

    def __init__(self, pause=0, stop_after=None):
        self.place = Place(pause, self)
        self.count = 0
        self.stop_after = stop_after
        self.changed = threading.Condition()
        self.gone = threading.Event()

    def turn(self):
        with self.changed:
            self.count += 1
            self.changed.notify_all()
        far = self.stop_after is not None and self.count >= self.stop_after
        return (10**15 if far else self.place.pause), True

    def until(self, count):
        with self.changed:
            assert self.changed.wait_for(lambda: self.count >= count, LONG)

    def left(self):
        self.gone.set()


class Ends:
    """Counts the turns that are over, so that a test moves the clock between turns and not inside one."""

    def __init__(self, turns):
        self.count = 0
        self.changed = threading.Condition()
        self.done = turns._rota.done
        turns._rota.done = self

    def __call__(self, *args, **kwargs):
        self.done(*args, **kwargs)
        with self.changed:
            self.count += 1
            self.changed.notify_all()

    def until(self, count):
        with self.changed:
            assert self.changed.wait_for(lambda: self.count >= count, LONG)


class Blocker(Counter):
    def __init__(self):
        super().__init__()
        self.inside, self.go = threading.Event(), threading.Event()

    def turn(self):
        self.inside.set()
        assert self.go.wait(LONG)
        return super().turn()


@pytest.fixture
def clock():
    return HandClock()


@pytest.fixture
def turns(clock):
    one = ThreadTurns(3, clock, lambda: None)
    yield one
    one.close()


def listener_threads():
    return [thread for thread in threading.enumerate() if thread.name.startswith("mainspring-listener")]


def test_threads_are_started_for_those_who_need_them(turns):
    assert listener_threads() == []
    for count in (1, 2, 3, 3):
        turns.add([Counter(stop_after=1).place])
        assert len(listener_threads()) == count


def test_close_ends_the_threads(clock):
    turns = ThreadTurns(2, clock, lambda: None)
    ends = Ends(turns)
    turns.add([Counter(pause=MS).place])
    turns.add([Counter(pause=MS).place])
    ends.until(2)
    turns.close()
    turns.close()
    assert listener_threads() == []
    assert all(sleeper.closed for sleeper in clock.sleepers)


def test_fifteen_on_three_workers_have_equal_turns(turns, clock):
    counters, ends = [Counter(pause=10 * MS) for _ in range(15)], Ends(turns)
    turns.add([one.place for one in counters])
    for rounds in range(1, 20):
        ends.until(15 * rounds)
        assert {one.count for one in counters} == {rounds}
        clock.advance(10 * MS)


def test_without_a_pause_turns_are_equal_too(clock):
    turns = ThreadTurns(3, clock, lambda: None)
    counters = [Counter() for _ in range(15)]
    turns.add([one.place for one in counters])
    counters[0].until(100)
    turns.close()  # threads end after the turn they are in
    for thread in listener_threads():
        thread.join(LONG)
    counts = [one.count for one in counters]
    assert max(counts) - min(counts) <= 1


def test_a_blocked_worker_blocks_only_itself(turns, clock):
    blockers = [Blocker(), Blocker()]
    for one in blockers:
        turns.add([one.place])
        assert one.inside.wait(LONG)
    others, ends = [Counter(pause=MS), Counter(pause=MS)], Ends(turns)
    for one in others:
        turns.add([one.place])
    ends.until(2)
    clock.advance(PATIENCE_US)
    for rounds in range(2, 10):
        ends.until(2 * rounds)
        assert [one.count for one in others] == [rounds, rounds]
        clock.advance(MS)
    assert turns.busy() >= 2
    for one in blockers:
        one.go.set()
        one.until(1)


def test_a_hot_listener_leaves_turns_for_others(clock):
    turns = ThreadTurns(1, clock, lambda: None)
    hot, other = Counter(), Counter()
    turns.add([hot.place])
    hot.until(100)
    turns.add([other.place])
    other.until(100)
    turns.close()
    assert hot.count > 100


def test_nothing_wakes_up_while_all_are_in_their_bodies(turns, clock):
    blockers = [Blocker() for _ in range(3)]
    for one in blockers:
        turns.add([one.place])
        assert one.inside.wait(LONG)
    before = [sleeper.sleeps for sleeper in clock.sleepers]
    clock.advance(3_600_000 * MS)
    assert [sleeper.sleeps for sleeper in clock.sleepers] == before
    assert all(sleeper.until is None for sleeper in clock.sleepers), "nobody watches the clock"
    for one in blockers:
        one.go.set()


def test_long_pauses_are_slept_through(turns, clock):
    counters = [Counter(pause=3_600_000 * MS) for _ in range(3)]
    for one in counters:
        turns.add([one.place])
        one.until(1)
    (sleeper,) = clock.sleepers
    with clock.changed:
        assert clock.changed.wait_for(lambda: sleeper.until == clock.time + 3_600_000 * MS, LONG)
    sleeps = sleeper.sleeps
    clock.advance(1_000_000 * MS)
    assert sleeper.sleeps == sleeps
    assert sleeper.until is not None


def test_removed_in_its_turn_it_says_when_that_ends(turns):
    blocker = Blocker()
    turns.add([blocker.place])
    assert blocker.inside.wait(LONG)
    assert turns.remove(blocker.place) is False
    assert not blocker.gone.is_set()
    blocker.go.set()
    assert blocker.gone.wait(LONG)
    assert blocker.count == 1


def test_removed_between_two_turns_it_is_gone_at_once(turns, clock):
    counter = Counter(pause=MS)
    turns.add([counter.place])
    counter.until(1)
    (sleeper,) = clock.sleepers
    with clock.changed:
        assert clock.changed.wait_for(lambda: sleeper.until is not None, LONG)
    assert turns.remove(counter.place) is True


def test_the_loop_is_told_when_somebody_may_starve_sooner(clock):
    woken = threading.Event()
    turns = ThreadTurns(1, clock, woken.set)
    first, second = Counter(pause=MS, stop_after=1), Blocker()
    turns.add([first.place])
    first.until(1)
    turns.add([second.place])
    assert second.inside.wait(LONG)
    second.go.set()
    assert woken.wait(LONG)
    turns.close()


# ── inline ─────────────────────────────────────────────────────────────────────────────────────────────────
def test_inline_each_that_is_due_has_one_turn():
    turns = InlineTurns()
    hot, slow = Counter(pause=0), Counter(pause=10 * MS)
    turns.add([hot.place])
    turns.add([slow.place])
    assert turns.run_due(0) == LEAST_PAUSE_US
    assert (hot.count, slow.count) == (1, 1)
    for now in range(LEAST_PAUSE_US, 10 * MS + 1, LEAST_PAUSE_US):
        turns.run_due(now)
    assert (hot.count, slow.count) == (11, 2)
