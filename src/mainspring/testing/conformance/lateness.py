"""Lateness: each start counted once, in windows that grow with age, within 5 % and with the exact maximum."""

from mainspring.store.histogram import Spread, bucket_of
from mainspring.store.protocol import Store
from mainspring.store.rows import Again, Settlement
from mainspring.tasks.state import CODES, State
from mainspring.testing.conformance.trial import AT_MOST_ONCE, T, Trial, settlement

_S = 1_000_000
_MIN, _HOUR = 60 * _S, 3_600 * _S


def _told(store: Store, since: int = T) -> list[tuple[int, int]]:
    """(bucket, count), lanes and schedules together."""
    spread = Spread()
    for row in store.lateness(since):
        spread.add(row.bucket, row.count, row.most)
    return sorted(spread.counts.items())


def _late(trial: Trial, late: int, at: int = T, **fields: object) -> None:
    """A task due at `at` that started so much later, and is done."""
    trial.finish(trial.hold(None, run_at=at, **fields), started_at=at + late, finished_at=at + late)


def nothing_ran_nothing_told(trial: Trial) -> None:
    """A store in which nothing started has no lateness; what is missed or cancelled did not start."""
    assert trial.store.lateness(0) == []
    trial.finish(trial.hold(), State.MISSED, reason="expired", finished_at=T)
    trial.finish(trial.hold(), State.WAITING, attempt=0)
    assert trial.store.lateness(0) == []


def starts_are_counted_by_lane_schedule_and_bucket(trial: Trial) -> None:
    """One row for each; `most` is the exact largest of the bucket; a lateness of nought counts too."""
    near = [1_000_000, 1_000_003]
    assert len(set(map(bucket_of, near))) == 1
    for late in (*near, 0, 20):
        _late(trial, late)
    _late(trial, 20, schedule="hourly")
    _late(trial, 20, queue="mail")
    lanes = {lane.id: lane.queue for lane in trial.store.lanes()}
    found = {(lanes[row.lane], row.schedule, row.bucket): (row.count, row.most) for row in trial.store.lateness(T)}
    assert found == {
        ("default", None, bucket_of(near[0])): (2, 1_000_003),
        ("default", None, bucket_of(0)): (1, 0),
        ("default", None, bucket_of(20)): (1, 20),
        ("default", "hourly", bucket_of(20)): (1, 20),
        ("mail", None, bucket_of(20)): (1, 20),
    }


def a_start_counts_when_it_is_first_told(trial: Trial) -> None:
    """As running, and then not once more with its outcome."""
    held = trial.hold()
    trial.start(held, started_at=T + 500)
    assert _told(trial.store) == [(bucket_of(500), 1)]
    trial.store.record([settlement(held, State.RUNNING, started_at=T + 500, output="so far")])
    trial.finish(held, started_at=T + 500, finished_at=T + 600)
    assert _told(trial.store) == [(bucket_of(500), 1)]


def a_start_told_later_is_moved(trial: Trial) -> None:
    """An at-most-once start is told before its fsync and, exactly, at its end."""
    held = trial.hold(options=AT_MOST_ONCE)
    trial.start(held, started_at=T + 10)
    trial.finish(held, started_at=T + 5_000, finished_at=T + 5_001, durable=True)
    assert _told(trial.store) == [(bucket_of(5_000), 1)]
    assert [row.count for row in trial.store.lateness(T, apart=True)] == [1]


def each_attempt_counts_once(trial: Trial) -> None:
    """Against the instant that it was due: that of the retry, not of the first try."""
    seat = trial.join()
    held = trial.hold(seat)
    tried = {"failures": 1, "reason": "raised", "failed_try": True}
    trial.finish(held, State.WAITING, started_at=T + 100, finished_at=T + 200, run_at=T + _S, **tried)
    again = trial.hold_again(held.id, seat)
    trial.finish(again, State.FAILED, attempt=2, started_at=T + _S + 9_000, finished_at=T + _S + 9_001, reason="raised")
    assert _told(trial.store) == [(bucket_of(100), 1), (bucket_of(9_000), 1)]
    trial.store.change(held.id, Again(T + 2 * _S), T + 2 * _S)
    third = trial.hold_again(held.id, seat)
    trial.finish(third, attempt=3, started_at=T + 2 * _S + 100, finished_at=T + 2 * _S + 101)
    assert _told(trial.store) == [(bucket_of(100), 2), (bucket_of(9_000), 1)]


def a_lost_start_counts(trial: Trial) -> None:
    """What its journal shows of a node that died; and what had been recorded as running counts no second time."""
    seat = trial.join()
    noted, told = trial.hold(seat), trial.hold(seat)
    seat.journal.note(noted.id, noted.token, T + 700)
    seat.journal.note(told.id, told.token, T + 50)
    trial.start(told, started_at=T + 50)
    trial.kill(seat)
    taken = trial.store.take_over(seat.node, T + _S)
    assert taken is not None
    assert len(taken.lost) == 2
    assert _told(trial.store) == [(bucket_of(50), 1), (bucket_of(700), 1)]


def a_refused_settlement_counts_nothing(trial: Trial) -> None:
    """Also where others of its batch are applied."""
    seat = trial.join()
    good, bad = trial.hold(seat), trial.hold(seat)
    done = CODES[State.SUCCEEDED]
    batch = [
        Settlement(held.id, held.token + wrong, done, False, 1, 0, started_at=T + late, finished_at=T + _S)
        for held, wrong, late in ((good, 0, 100), (bad, 7, 5_000))
    ]
    assert trial.store.record(batch) == [bad.id]
    assert _told(trial.store) == [(bucket_of(100), 1)]


def every_way_to_the_data_tells_the_same(trial: Trial) -> None:
    """Another program counts into the same windows, and reads them."""
    _late(trial, 300)
    other = trial.another()
    assert _told(other) == [(bucket_of(300), 1)]


def windows_end_after_since(trial: Trial) -> None:
    """`since` leaves out the windows that ended by then; `apart` tells each, earlier ones first."""
    start = T // (10 * _S) * 10 * _S
    for n, late in enumerate((100, 200, 400)):
        _late(trial, late, at=start + n * 10 * _S)
    assert [count for _, count in _told(trial.store, start)] == [1, 1, 1]
    assert _told(trial.store, start + 10 * _S) == [(bucket_of(200), 1), (bucket_of(400), 1)]
    assert _told(trial.store, start + 10 * _S - _S) == _told(trial.store, start)
    assert _told(trial.store, start + 30 * _S) == []
    rows = trial.store.lateness(start, apart=True)
    assert [(row.start, row.length, row.most) for row in rows] == [
        (start + n * 10 * _S, 10 * _S, late) for n, late in enumerate((100, 200, 400))
    ]


def windows_grow_with_age(trial: Trial) -> None:
    """10 s become 1 min, then 10 min, then nothing; what was counted stays counted until it is forgotten."""
    start = T // _HOUR * _HOUR
    seconds = range(0, 60, 5)
    for n in seconds:
        _late(trial, 100 + n, at=start + n * _S)
    expected = {100 + n for n in seconds}

    def told(after: int) -> tuple[set[int], int, int]:
        """The lengths (s) of the first windows, how many starts and how late the latest, once something else ended."""
        _late(trial, 7, at=start + after)
        rows = [row for row in trial.store.lateness(start, apart=True) if row.most >= min(expected)]
        assert all(row.start == start or row.length == 10 * _S for row in rows)
        return (
            {row.length // _S for row in rows},
            sum(row.count for row in rows),
            max((r.most for r in rows), default=0),
        )

    assert told(5 * _MIN) == ({10}, len(seconds), max(expected))
    assert told(12 * _MIN) == ({60}, len(seconds), max(expected))
    assert told(75 * _MIN) == ({600}, len(seconds), max(expected))
    assert told(24 * _HOUR) == ({600}, len(seconds), max(expected))
    assert told(25 * _HOUR) == (set(), 0, 0)
