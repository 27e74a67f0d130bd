"""What is special to the memory store: forking, folding of news, and the work it does not do."""

import os
import select
import stat
import threading

import pytest

from mainspring.store import memory_watch
from mainspring.store.memory import MemoryStore
from mainspring.store.memory_table import Table
from mainspring.store.rows import Filter, NewNode, NewTask, Release

T = 1_800_000_000_000_000


def join(store):
    return store.join(NewNode(host="h", pid=1, version="1", workers=1, started_at=T))


def test_two_stores_share_nothing():
    one, two = MemoryStore(), MemoryStore()
    one.add([NewTask(run_at=T)], T)
    assert two.find(Filter()) == []
    assert one.url == two.url == "memory:"


def test_a_lost_node_is_dead_until_it_is_taken_over():
    store = MemoryStore()
    seat = join(store)
    assert store.take_over(seat.node, T) is None
    store.lose(seat.node)
    assert [row.alive for row in store.nodes()] == [False]
    assert store.take_over(seat.node, T) is not None
    assert store.nodes() == []


def test_a_takeover_reads_a_journal_that_its_owner_closed():
    store = MemoryStore()
    seat = join(store)
    store.add([NewTask(run_at=T)], T)
    batch = store.reserve(seat.node, [1], after=0, until=T, limit=1)
    seat.journal.note(1, batch.token, T)
    seat.journal.close()
    store.lose(seat.node)
    assert store.take_over(seat.node, T).lost == [1]


def test_news_for_who_does_not_look_are_folded_into_one():
    store = MemoryStore()
    watch = store.watch()
    for node in range(2_000):
        store.ask(node, None, Release())
    assert watch.drain() == ["*"]
    assert watch.drain() == []
    store.ask(7, None, Release())
    store.ask(7, None, Release())
    assert watch.drain() == ["ask 7"]
    watch.close()


def test_closing_the_store_closes_its_watches():
    store = MemoryStore()
    watch = store.watch()
    store.close()
    store.close()
    assert watch.fileno() == -1
    assert watch.drain() == []
    store.add([NewTask(run_at=T)], T)  # and nobody trips over the closed watch


def test_without_eventfd_a_socket_pair_rings(monkeypatch):
    monkeypatch.delattr(memory_watch.os, "eventfd", raising=False)
    bell = memory_watch.Bell()
    assert stat.S_ISSOCK(os.fstat(bell.fileno()).st_mode)
    for _ in range(3):
        bell.ring()
    assert select.select([bell], [], [], 0)[0] == [bell]
    bell.hush()
    assert select.select([bell], [], [], 0)[0] == []
    bell.close()


def test_the_watch_is_the_same_without_eventfd(monkeypatch):
    monkeypatch.delattr(memory_watch.os, "eventfd", raising=False)
    store = MemoryStore()
    watch = store.watch()
    for run_at in (T + 2, T + 1):
        store.add([NewTask(run_at=run_at)], T)
    assert select.select([watch], [], [], 0)[0] == [watch]
    assert watch.drain() == [f"due {T + 2}", f"due {T + 1}"]
    assert select.select([watch], [], [], 0)[0] == []
    watch.close()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_a_forked_child_does_not_wait_for_a_lock_of_the_parent():
    store = MemoryStore()
    watch = store.watch()
    store.add([NewTask(run_at=T)], T)
    taken, over = threading.Event(), threading.Event()

    def hold():
        with store._lock, watch._lock:
            taken.set()
            over.wait()

    thread = threading.Thread(target=hold)
    thread.start()
    taken.wait()
    child = os.fork()
    if child == 0:
        code = 1
        try:
            watch.drain()
            os._exit(0 if store.add([NewTask(run_at=T)], T)[0].id == 2 else 2)
        finally:
            os._exit(code)
    _, status = os.waitpid(child, 0)
    over.set()
    thread.join()
    watch.close()
    assert os.waitstatus_to_exitcode(status) == 0
    assert len(store.find(Filter())) == 1, "what the child adds is the child's"


class Counting(dict):
    """A table of tasks that counts how often it is looked at, and cannot be walked through."""

    looks = 0

    def __getitem__(self, id_):
        Counting.looks += 1
        return super().__getitem__(id_)

    def __iter__(self):
        raise AssertionError("all tasks were looked at")

    keys = values = items = __iter__


def test_reserving_looks_at_no_more_tasks_than_it_takes():
    store = MemoryStore()
    seat = join(store)
    store.add([NewTask(run_at=T + n, work=f"w{n % 3}") for n in range(10_000)], T)
    lanes = [lane.id for lane in store.lanes()]
    store._table.tasks = Counting(store._table.tasks)
    Counting.looks = 0
    assert store.next_due(lanes) == T
    assert Counting.looks == 0
    assert len(store.reserve(seat.node, lanes, after=0, until=T + 9_999, limit=10).tasks) == 10
    assert Counting.looks == 10


def test_every_index_follows_a_change():
    table = Table()
    table.insert([(1, NewTask(run_at=T, key="k")), (2, NewTask(run_at=T))], T)
    [lane] = table.lanes.values()
    with table.changing(table.tasks[1]) as task:
        task.holder, task.token = 5, 1
    assert [held.id for held in table.held_by(5)] == [1]
    assert table.first([lane]) == T
    with table.changing(table.tasks[2]) as task:
        task.run_at = T + 3
    assert table.first([lane]) == T + 3
    assert table.waiting[lane.id] == 2
    with table.changing(table.tasks[1]) as task:
        task.state, task.holder = "succeeded", None
    assert (table.keys, table.held_by(5), table.waiting[lane.id]) == ({}, [], 1)
