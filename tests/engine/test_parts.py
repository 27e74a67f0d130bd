"""Where lateness comes from: the parts of one task add up to its lateness, and any process can read them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from daemons import LONG
from mainspring.engine.parts import Followed, Parts
from mainspring.engine.timeline import Held
from mainspring.store.journal import SIZE, Journal
from mainspring.store.rows import Lane, Reservation, Settlement
from mainspring.tasks.options import TaskOptions
from mainspring.tasks.state import CODES, Kind, State

SECOND = 1_000_000
T = 1_800_000_000_000_000
MINUTE = 60_000_000
LANE = Lane(1, "default", 0, Kind.FUNCTION, "t:f")


def held(id_, run_at=T):
    task = Reservation(id_, 1, run_at, 0, 0, 0, None, None, None, None, None)
    return Held(task, 1, LANE, TaskOptions(), ahead=True)


def started(id_, at, state=State.SUCCEEDED):
    return Settlement(id_, 1, CODES[state], state is State.RUNNING, 1, 0, started_at=at, finished_at=at)


def followed(handed, taken=None):
    found = Followed(T, T + handed)
    found.taken_at = None if taken is None else T + taken
    return found


@given(st.integers(-300, 10_000), st.integers(0, 10_000), st.integers(0, 10_000))
def test_the_parts_add_up(handed, waited, prepared):
    taken = handed + waited
    start = max(0, taken + prepared)
    parts = followed(handed, taken).parts(T + start)
    assert sum(parts) == start
    assert min(parts) >= 0
    assert parts[0] == max(0, handed)


def test_what_was_done_early_cost_nothing():
    assert followed(-300, -250).parts(T) == (0, 0, 0)
    assert followed(-300, 40).parts(T + 70) == (0, 40, 30)
    assert followed(100, 150).parts(T + 400) == (100, 50, 250)
    assert followed(100).parts(T + 400) == (100, 300, None)


@pytest.fixture
def journal():
    return Journal(bytearray(SIZE))


def test_nothing_is_known_before_the_first_start(journal):
    assert journal.lateness == [None] * 9
    parts = Parts(journal)
    parts.hand([held(1)], T + 10)
    parts.recorded([Settlement(1, 1, CODES[State.MISSED], False, 0, 0, reason="expired", finished_at=T)])
    parts.recorded([started(1, T + 20), started(2, T + 20)])
    assert journal.lateness == [None] * 9


def test_a_start_is_counted_once_and_kept_beside_the_journal(journal):
    parts = Parts(journal)
    parts.hand([held(1)], T + 100)
    parts.followed[1].taken_at = T + 150
    parts.recorded([started(1, T + 400, State.RUNNING)])
    assert journal.lateness == pytest.approx([100, 100, 100, 50, 50, 50, 250, 250, 250], rel=0.05)
    assert journal.lateness[2::3] == [100, 50, 250]
    parts.recorded([started(1, T + 400)])
    parts.hand([held(3, T + MINUTE)], T + MINUTE)
    parts.recorded([started(3, T + MINUTE + 9)])
    assert journal.lateness == pytest.approx([0, 100, 100, 9, 50, 50, 250, 250, 250], rel=0.05, abs=1)


def test_one_of_a_batch_is_followed(journal):
    parts = Parts(journal)
    parts.hand([held(n) for n in range(9)], T)
    assert list(parts.followed) == [4]


def test_what_never_starts_is_dropped_in_the_end(journal):
    parts = Parts(journal)
    for n in range(10_000):
        parts.hand([held(n)], T)
    assert len(parts.followed) < 5_000


def test_what_is_old_is_forgotten(journal):
    parts = Parts(journal)

    def start(id_, minute, late):
        at = T + minute * MINUTE
        parts.hand([held(id_, at)], at + late)
        parts.recorded([started(id_, at + late)])
        return journal.lateness[2]

    assert start(1, 0, 900) == 900
    assert start(2, 9, 50) == 900
    assert start(3, 11, 50) == 900
    assert start(4, 22, 50) == 50
    assert start(5, 23, 70) == 70
    assert start(6, 90, 60) == 60


def test_more_than_an_hour_is_told_as_an_hour(journal):
    journal.lateness = [0, 10**12, None, *[None] * 6]
    assert journal.lateness[:3] == [0, 2**32 - 2, None]


def test_the_last_ones_are_told_too(journal):
    parts = Parts(journal)
    for id_ in (1, 2):
        parts.hand([held(id_, T)], T + 50)
        parts.recorded([started(id_, T + 60 * id_)])
    assert journal.lateness[5] == 10
    again = parts.tell(T + 200)
    assert again == T + 60 + SECOND
    assert journal.lateness[5] == 10
    assert parts.tell(again) is None
    assert journal.lateness[5] == 70


def test_a_daemon_tells_it(threaded, gate):
    daemon, client = threaded(workers=1), threaded(start=False)

    @daemon.task(name="t:hold")
    def hold():
        gate.wait()

    @daemon.task(name="t:next")
    def following(): ...

    hold.enqueue()
    gate.await_arrivals(1)
    waits = following.enqueue()
    gate.open()
    assert following.after("1s").enqueue().wait(LONG)  # it is told once a second: with this one the others are
    assert daemon.drain(LONG)
    (node,) = client.status().nodes
    parts = node.lateness
    late = waits.refresh().lateness.total_seconds() * 1000
    assert parts.timer.max + parts.worker.max >= late - (parts.start.max or 0) - 0.002
    assert parts.timer.p50 <= parts.timer.p99 <= parts.timer.max


def test_by_hand_all_is_on_time(daemon, clock):
    @daemon.task(name="t:f")
    def f(): ...

    f.after("1s").enqueue()
    clock.advance("1m")
    (node,) = daemon.status().nodes
    assert (node.lateness.timer.max, node.lateness.worker.max) == (0, 0)
