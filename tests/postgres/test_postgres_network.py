"""The connection to the server is lost at every byte of an exchange: nothing is lost, and nothing is done twice."""

from contextlib import closing

import pytest
from tcp_proxy import TcpProxy

from mainspring.errors import StoreError
from mainspring.store.postgres import PostgresStore
from mainspring.store.rows import Filter, NewNode, NewTask, Settlement
from mainspring.tasks.state import CODES, STATES, State
from postgres_server import shared_server

T = 1_800_000_000_000_000
EVER = 1 << 62


@pytest.fixture
def proxy():
    with closing(TcpProxy(shared_server().folder)) as proxy:
        yield proxy


@pytest.fixture
def store(proxy):
    with closing(PostgresStore(proxy.url(shared_server().new_database()))) as store:
        yield store


def length_of(proxy, direction, exchange):
    before = proxy.bytes[direction]
    exchange()
    return proxy.bytes[direction] - before


@pytest.mark.parametrize("direction", ["up", "down"])
def test_adding_is_done_once_wherever_it_is_cut(proxy, store, direction):
    def add(number):
        return store.add([NewTask(work="shop:a", run_at=T + number)], T)[0].id

    add(0)
    length = length_of(proxy, direction, lambda: add(1))
    told = []
    for number, at in enumerate(range(1, length, 5), start=2):
        proxy.cut_after(direction, at)
        told.append(add(number))
    proxy.cut_after(direction, None)
    found = store.find(Filter(limit=1_000))
    assert [row.run_at - T for row in found] == list(range(len(found)))
    assert [row.id for row in found][2:] == told
    assert proxy.cuts > 20


@pytest.mark.parametrize("direction", ["up", "down"])
def test_an_outcome_is_recorded_once_wherever_it_is_cut(proxy, store, direction):
    seat = store.join(NewNode(host="h", pid=1, version="1", workers=1, started_at=T))
    count = 60
    store.add([NewTask(work="shop:a", run_at=T) for _ in range(count)], T)
    held = store.reserve(seat.node, [lane.id for lane in store.lanes()], after=-1, until=EVER, limit=count)
    assert len(held.tasks) == count

    def record(task):
        done = Settlement(
            task.id, held.token, CODES[State.WAITING], keep=False, attempt=1, failures=1, reason="exception",
            started_at=T, finished_at=T + 1, failed_try=True,
        )  # fmt: skip
        assert store.record([done]) == []

    tasks = iter(held.tasks)
    record(next(tasks))
    length = length_of(proxy, direction, lambda: record(next(tasks)))
    for at, task in zip(range(1, 10_000, max(1, length // (count - 4))), tasks, strict=False):
        proxy.cut_after(direction, at)
        record(task)
    proxy.cut_after(direction, None)
    for row in store.find(Filter(states=STATES, limit=count)):
        assert (row.attempt, row.failures, row.holder) == (1, 1, None)
        assert len(store.attempts(row.id)) == 1


def test_who_waits_is_told_although_the_session_broke(proxy, store):
    """What was said meanwhile went by: so everything is looked at anew."""
    with closing(store.watch()) as watch, closing(PostgresStore(proxy.url(store.url))) as other:
        import select

        proxy.cut()
        assert select.select([watch.fileno()], [], [], 30)[0]
        assert watch.drain() == ["*"]
        other.add([NewTask(work="shop:a", run_at=T)], T)
        assert select.select([watch.fileno()], [], [], 30)[0]
        assert f"due {T}" in watch.drain()


def test_a_server_that_is_away_is_waited_for_and_then_told(proxy, store, monkeypatch):
    monkeypatch.setattr(store._db, "_patience", 300_000)
    proxy.refuse()
    proxy.cut()
    with pytest.raises(StoreError, match="cannot be reached.*running"):
        store.add([NewTask(work="shop:a", run_at=T)], T)
    proxy.refuse(False)
    store.add([NewTask(work="shop:a", run_at=T)], T)
    assert len(store.find(Filter())) == 1


def test_who_has_committed_does_not_wait_for_a_server_that_went_away_then(proxy, store, monkeypatch):
    """News are a hint."""
    store.add([NewTask(work="shop:a", run_at=T)], T)
    write = store._db.write

    def then_cut(*args, **kwargs):
        done = write(*args, **kwargs)
        proxy.refuse()
        proxy.cut()
        return done

    monkeypatch.setattr(store._db, "write", then_cut)
    monkeypatch.setattr(store._db, "_patience", 1 << 62)  # else it waits for ever
    assert store.add([NewTask(work="shop:a", run_at=T)], T)
    proxy.refuse(False)
