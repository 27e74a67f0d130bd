"""The counting of lateness: within 5 % wherever it lies, merged without loss, bounded whatever happens."""

import math
from contextlib import closing

import apsw
from hypothesis import given
from hypothesis import strategies as st

from mainspring.store import histogram, sqlite_lateness
from mainspring.store.histogram import Spread, bucket_of, value_of
from mainspring.store.migrate import STEPS, bring_up
from mainspring.store.rows import NewNode, NewTask, Settlement
from mainspring.store.sqlite import SqliteStore

T = 1_800_000_000_000_000
DAY = 86_400_000_000
lateness = st.integers(0, 30 * DAY) | st.integers(0, 100_000)


def spread_of(values):
    spread = Spread()
    for value in values:
        spread.add(bucket_of(value), 1, value)
    return spread


@given(lateness)
def test_a_bucket_stands_for_its_values(value):
    assert abs(value_of(bucket_of(value)) - max(value, 1)) <= 0.05 * max(value, 1)


@given(st.lists(lateness, min_size=1, max_size=200), st.sampled_from([0.5, 0.9, 0.99, 1.0]))
def test_percentiles_are_nearest_ranks_within_five_percent(values, share):
    exact = sorted(values)[math.ceil(share * len(values)) - 1]
    found = spread_of(values).at(share)
    assert abs(found - exact) <= max(0.05 * exact, 1.05)
    assert found <= max(values)
    assert spread_of(values).max == max(values)


@given(st.lists(st.lists(lateness, max_size=50), max_size=5))
def test_merged_is_as_if_counted_together(parts):
    merged = Spread()
    merged.merge(map(spread_of, parts))
    assert merged == spread_of([value for part in parts for value in part])


def test_of_nothing():
    assert (Spread().at(0.5), Spread().max, Spread().count) == (None, None, 0)


@given(st.lists(lateness, min_size=1, max_size=100))
def test_the_database_counts_into_the_same_buckets(values):
    with closing(apsw.Connection(":memory:")) as con:
        found = [con.execute(f"SELECT CAST(ln(max(1, ?)) * {histogram.PER_E!r} AS INTEGER)", (v,)).get for v in values]
    assert found == [bucket_of(value) for value in values]


def test_the_oldest_windows_go_when_there_are_too_many(tmp_path):
    path = str(tmp_path / "a.db")
    with closing(apsw.Connection(path)) as con:
        bring_up(con, path, create=True)
        second = T // 1_000_000 // 600 * 600
        for age in range(5):
            for lane in range(10):
                con.execute("INSERT INTO lateness VALUES (10, ?, ?, '', 3, 1, 1)", (second - age * 10, lane))
        sqlite_lateness.fold(con, T, most_rows=50)
        assert con.execute("SELECT count(*) FROM lateness").get == 50
        sqlite_lateness.fold(con, T, most_rows=35)
        assert con.execute("SELECT count(*), min(start) FROM lateness").get == (30, second - 20)


def test_a_store_of_the_first_schema_counts_from_now_on(tmp_path):
    path = str(tmp_path / "a.db")
    with closing(apsw.Connection(path)) as con:
        bring_up(con, path, create=True, steps=STEPS[:1])
    with closing(SqliteStore(path)) as store:
        seat = store.join(NewNode(host="h", pid=1, version="1", workers=1, started_at=T))
        store.add([NewTask(work="a:b", run_at=T)], T)
        batch = store.reserve(seat.node, [lane.id for lane in store.lanes()], after=0, until=T, limit=1)
        store.record([Settlement(batch.tasks[0].id, batch.token, 2, False, 1, 0, started_at=T + 9, finished_at=T + 9)])
        assert [(row.bucket, row.count) for row in store.lateness(T)] == [(bucket_of(9), 1)]
