"""Several processes on one file: sharing, dying, forking."""

import os
import signal
import subprocess
import sys
import threading
from contextlib import closing
from multiprocessing import get_context

import pytest

from mainspring.store.rows import NewNode, NewTask, Settlement, TakenOver
from mainspring.store.sqlite import SqliteStore
from mainspring.tasks.options import TaskOptions, encode_options

T = 1_700_000_000_000_000
WAITING, RUNNING, SUCCEEDED = 0, 1, 2

pytestmark = pytest.mark.process


@pytest.fixture
def path(tmp_path):
    return str(tmp_path / "a.db")


@pytest.fixture
def store(path):
    with closing(SqliteStore(path)) as store:
        yield store


def task(run_at=T, **fields):
    return NewTask(work="shop:sell", run_at=run_at, **fields)


def node():
    return NewNode(host=os.uname().nodename, pid=os.getpid(), version="1", workers=2, started_at=T)


def lanes(store):
    return [lane.id for lane in store.lanes()]


def start(code, path):
    """A process that runs `code` on the store at `path`; to be used with `with`, and killed by who uses it."""
    setup = "from test_sqlite_processes import *\n"
    environment = {**os.environ, "PYTHONPATH": os.path.dirname(__file__)}
    command = [sys.executable, "-c", setup + code, path]
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment)


# ── together ───────────────────────────────────────────────────────────────────────────────────────────────────
def work(path, gate, done):
    """Reserve and record until nothing is left; add some on the way."""
    with closing(SqliteStore(path)) as store:
        seat = store.join(node())
        gate.wait()
        mine = []
        store.add([task(T + n) for n in range(50)], T)
        while (held := store.reserve(seat.node, lanes(store), after=0, until=2 * T, limit=17)).tasks:
            settled = [Settlement(t.id, held.token, SUCCEEDED, False, 1, 0, finished_at=T) for t in held.tasks]
            assert store.record(settled) == []
            mine += [t.id for t in held.tasks]
        store.leave(seat.node)
        done.put(mine)


def test_eight_processes_share_the_work(store, path):
    count, each = 1_000, 50
    store.add([task(T + n) for n in range(count)], T)
    context = get_context("spawn")
    gate, done = context.Barrier(8), context.SimpleQueue()
    processes = [context.Process(target=work, args=(path, gate, done)) for _ in range(8)]
    for process in processes:
        process.start()
    ids = [id_ for _ in processes for id_ in done.get()]
    for process in processes:
        process.join()
    assert [process.exitcode for process in processes] == [0] * 8
    assert sorted(ids) == list(range(1, count + 8 * each + 1))
    counts = store.stats().counts
    assert (counts["waiting"], counts["running"], counts["succeeded"]) == (0, 0, count + 8 * each)
    assert store.nodes() == []


def test_several_stores_and_threads_of_one_process_too(path):
    stores = [SqliteStore(path) for _ in range(3)]
    results = []

    def add_and_take(store):
        seat = store.join(node())
        for n in range(20):
            store.add([task(T + n)], T)
            held = store.reserve(seat.node, lanes(store), after=0, until=2 * T, limit=1)
            assert len(store.nodes()) >= 1
            settled = [Settlement(t.id, held.token, SUCCEEDED, False, 1, 0, finished_at=T) for t in held.tasks]
            results.append((store.record(settled), [t.id for t in held.tasks]))

    threads = [threading.Thread(target=add_and_take, args=(store,)) for store in stores * 2]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [refused for refused, _ in results] == [[]] * 120
    assert sorted(id_ for _, ids in results for id_ in ids) == list(range(1, 121))
    for store in stores:
        store.close()


# ── dying ──────────────────────────────────────────────────────────────────────────────────────────────────────
ADD = """
with closing(SqliteStore(sys.argv[1])) as store:
    while True:
        print(*[one.id for one in store.add([task(), task(), task()], T)], flush=True)
"""


def test_what_was_acknowledged_survives_kill_9(store, path):
    with start(ADD, path) as process:
        acknowledged = [int(id_) for _ in range(40) for id_ in process.stdout.readline().split()]
        process.kill()
        acknowledged += [int(id_) for line in process.stdout if line.endswith("\n") for id_ in line.split()]
    assert acknowledged == list(range(1, len(acknowledged) + 1))
    assert all(store.get(id_) is not None for id_ in acknowledged)
    total = store.stats().counts["waiting"]
    assert total >= len(acknowledged)
    assert total % 3 == 0  # all or none


HOLD = """
store = SqliteStore(sys.argv[1])
seat = store.join(node())
held = store.reserve(seat.node, lanes(store), after=0, until=T, limit=100)
token = held.token
seat.journal.busy = 3
seat.journal.note(1, token, T + 1)       # started, not recorded
seat.journal.note(3, token, T + 3)       # started at most once, not recorded
seat.journal.note(5, token - 1, T + 5)   # a start under an older token is none
seat.journal.note(6, token, T + 6)       # started, failed, kept for its retry
store.record([
    Settlement(2, token, RUNNING, True, 1, 0, started_at=T + 2),
    Settlement(6, token, WAITING, True, 1, 1, run_at=T, started_at=T + 6, finished_at=T + 7, failed_try=True),
])
print(seat.node, flush=True)
sys.stdin.read()
"""


@pytest.fixture
def dead(store, path):
    """The number of a node that was killed while it held six tasks."""
    once = encode_options(TaskOptions(delivery="at-most-once"))
    store.add([task(options=once if n == 3 else None) for n in range(1, 7)], T)
    with start(HOLD, path) as process:
        number = int(process.stdout.readline())
        [alive] = store.nodes()
        assert (alive.id, alive.pid, alive.alive, alive.busy) == (number, process.pid, True, 3)
        assert store.take_over(number, T) is None  # it lives
        ended = store.death_fd(alive)
        process.kill()
        process.wait()
    if ended is not None:
        os.close(ended)
    return number


def test_take_over_loses_what_had_started_and_frees_the_rest(store, path, dead):
    [row] = store.nodes()
    assert not row.alive
    assert store.take_over(dead, T + 50) == TakenOver(freed=3, lost=[1, 2, 3])
    assert store.take_over(dead, T + 51) is None
    assert store.nodes() == []
    rows = {id_: store.get(id_) for id_ in range(1, 7)}
    assert {id_: (row.state.value, row.attempt, row.losses, row.started_at) for id_, row in rows.items()} == {
        1: ("waiting", 1, 1, T + 1),
        2: ("waiting", 1, 1, T + 2),
        3: ("failed", 1, 1, T + 3),
        4: ("waiting", 0, 0, None),
        5: ("waiting", 0, 0, None),
        6: ("waiting", 1, 0, T + 6),
    }
    assert (rows[3].reason, rows[3].finished_at) == ("lost", T + 50)
    assert [row.holder for row in rows.values()] == [None] * 6
    assert [(row.started_at, row.finished_at, row.reason) for row in store.attempts(1)] == [
        (T + 1, T + 50, "worker lost")
    ]
    assert [entry for entry in os.listdir(f"{path}-nodes") if entry.endswith((".lock", ".journal"))] == []


def test_of_many_successors_one_settles(store, path, dead):
    stores = [SqliteStore(path) for _ in range(6)]
    results = []
    gate = threading.Barrier(len(stores))

    def succeed(other):
        gate.wait()
        other.nodes()
        results.append(other.take_over(dead, T + 50))

    threads = [threading.Thread(target=succeed, args=(other,)) for other in stores]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for other in stores:
        other.close()
    assert [result for result in results if result is not None] == [TakenOver(freed=3, lost=[1, 2, 3])]
    assert store.get(1).losses == 1


def test_what_a_cut_short_join_or_takeover_left_is_removed(store, path):
    first = store.join(node())
    for name in ("7.lock", "7.journal"):
        open(f"{path}-nodes/{name}", "w").close()
    store.join(node())
    assert sorted(set(os.listdir(f"{path}-nodes")) - {"turn"}) == ["1.journal", "1.lock", "2.journal", "2.lock"]
    assert store.nodes()[0].alive
    with closing(SqliteStore(path)) as other:  # whoever says that a node leaves, nothing stays
        other.leave(first.node)
    assert sorted(set(os.listdir(f"{path}-nodes")) - {"turn"}) == ["2.journal", "2.lock"]


# ── forking ────────────────────────────────────────────────────────────────────────────────────────────────────
def in_child(function):
    """Run `function` in a forked child; whether it returned true there."""
    pid = os.fork()
    if pid == 0:
        worked = False
        try:
            worked = bool(function())
        finally:
            os._exit(0 if worked else 1)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0


@pytest.mark.skipif(not os.path.isdir("/proc/self/fd"), reason="lists what is open through /proc")
def test_no_connection_crosses_a_fork(store, path):
    store.add([task()], T)
    store.stats()
    files = {path, f"{path}-wal", f"{path}-shm"}

    def open_files():
        return {os.path.realpath(f"/proc/self/fd/{fd}") for fd in os.listdir("/proc/self/fd")} & files

    assert open_files() == files
    assert in_child(lambda: not open_files())


def test_both_sides_of_a_fork_go_on(store):
    store.add([task()], T)
    assert in_child(lambda: store.get(1) and store.add([task()], T)[0].id == 2 and store.close() is None)
    assert store.get(2) is not None
    assert store.add([task()], T)[0].id == 3
    assert store._db._writer().execute("PRAGMA integrity_check").get == "ok"


def test_a_child_has_no_seat_and_leaves_the_parents(store):
    seat = store.join(node())
    [lock] = seat.locks

    def child():
        with pytest.raises(OSError, match="Bad file descriptor"):
            os.fstat(lock)
        store.close()
        return True

    assert in_child(child)
    assert store.nodes()[0].alive
    with closing(SqliteStore(store.path)) as other:
        assert other.take_over(seat.node, T) is None
        seat.drop()
        assert other.take_over(seat.node, T) == TakenOver(0, [])


def test_a_child_that_lives_on_does_not_keep_the_parents_seat(store, path):
    code = r"""
store = SqliteStore(sys.argv[1])
os.write(1, b"%d\n" % store.join(node()).node)
os.fork()
os.write(1, b"%d\n" % os.getpid())  # one write a line: two processes share this pipe
signal.pause()
"""
    with start(code, path) as process:
        number, *pids = (int(process.stdout.readline()) for _ in range(3))
        [child] = set(pids) - {process.pid}
        assert store.nodes()[0].alive
        process.kill()
        process.wait()
        taken = store.take_over(number, T)
        os.kill(child, signal.SIGKILL)
    assert taken == TakenOver(0, [])


def test_a_fork_beside_busy_threads(store):
    stop = threading.Event()

    def add():
        while not stop.is_set():
            store.add([task()], T)

    threads = [threading.Thread(target=add) for _ in range(3)]
    for thread in threads:
        thread.start()
    try:
        assert [in_child(lambda n=n: store.add([task(key=str(n))], T)[0].created) for n in range(5)] == [True] * 5
    finally:
        stop.set()
        for thread in threads:
            thread.join()
    assert store._db._writer().execute("PRAGMA integrity_check").get == "ok"
    waiting = store.stats().counts["waiting"]
    assert waiting == store._db.look("SELECT max(id) FROM task")
