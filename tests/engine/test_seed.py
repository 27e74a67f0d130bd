"""The scenarios that this project began with, each from the outside, on real threads."""

import sys
import threading
from datetime import UTC, datetime, timedelta

from daemons import LONG, until
from mainspring import Daemon
from mainspring.engine import rota
from mainspring.engine import turns as engine_turns


def test_fifteen_listeners_take_turns_on_three_workers_beside_five_timed_tasks_on_three(threaded, monkeypatch):
    monkeypatch.setattr(rota, "PATIENCE_US", LONG * 1_000_000)  # a loaded machine makes no turn a long one
    daemon = threaded(start=False, workers=3, listener_workers=3)
    lock = threading.Lock()
    turns = dict.fromkeys(range(15), 0)
    enough = threading.Event()
    inside = most = spread = 0

    def listener(number):
        @daemon.listener(name=f"listener {number}", pause=0)
        @daemon.task(name=f"t:listener_{number}")
        def listen():
            nonlocal inside, most, spread
            with lock:
                inside += 1
                most = max(most, inside)
                turns[number] += 1
                spread = max(spread, max(turns.values()) - min(turns.values()))
                if min(turns.values()) >= 20:
                    enough.set()
            with lock:
                inside -= 1

    for number in range(15):
        listener(number)
    ran = []

    @daemon.task(name="t:timed")
    def timed(number):
        ran.append(number)

    with daemon:
        start = datetime.now(UTC)
        tasks = [timed.at(start + timedelta(milliseconds=20 * number)).enqueue(number) for number in range(5)]
        assert enough.wait(LONG)
        assert all(task.wait(LONG) for task in tasks)
        given = turns_given(daemon)
    assert max(given) - min(given) <= 1
    # seen from inside, a turn that was given may not have come to its first line yet
    assert spread <= 2
    assert most <= 3
    assert min(turns.values()) >= 20
    assert sorted(ran) == list(range(5))
    assert all(task.lateness >= timedelta(0) for task in tasks)


def turns_given(daemon):
    """How many turns each listener was given, all at one moment."""
    on_threads = daemon._engine.supervisor._turns
    with on_threads._lock:
        return [place.given for place in on_threads._rota.places]


def test_turns_are_fair_whenever_one_looks(clock):
    """The same fifteen, in the one thread of a test: after any number of turns no two differ by more than one."""
    daemon = Daemon("memory:", clock=clock, listener_workers=3)
    turns = dict.fromkeys(range(15), 0)
    spreads = set()

    @daemon.task(name="t:listen")
    def listen(number):
        turns[number] += 1
        spreads.add(max(turns.values()) - min(turns.values()))

    with daemon:
        for number in range(15):
            daemon.add_listener("t:listen", args=(number,), name=f"listener {number}")
        clock.advance("1s")
        first = dict(turns)
        for _ in range(50):
            clock.advance("7ms")
    assert min(first.values()) > 0
    behind = {number: turns[number] - first[number] for number in turns}
    assert max(behind.values()) - min(behind.values()) <= 1


def test_of_four_that_never_return_the_fourth_is_shown_as_starved(threaded, gate, monkeypatch):
    monkeypatch.setattr(rota, "STARVED_US", 20_000)
    monkeypatch.setattr(engine_turns, "STARVED_US", 20_000)
    daemon = threaded(listener_workers=3)

    @daemon.task(name="t:forever")
    def forever():
        gate.wait()

    for number in range(4):
        daemon.add_listener("t:forever", name=f"listener {number}")
    gate.await_arrivals(3)
    until(daemon, lambda: [one.state for one in daemon.status().listeners].count("starved") == 1)
    assert gate.inside == 3
    gate.open()


def test_what_is_added_while_others_run_is_picked_up(threaded, gate):
    daemon = threaded(workers=2)
    ran = []

    @daemon.task(name="t:hold")
    def hold():
        gate.wait()

    @daemon.task(name="t:note")
    def note(number):
        ran.append(number)

    hold.enqueue()
    gate.await_arrivals()
    tasks = [note.enqueue(number) for number in range(10)]
    assert all(task.wait(LONG) for task in tasks)
    assert ran == list(range(10))
    assert gate.inside == 1


def test_a_time_in_the_past_runs_at_once(threaded):
    daemon = threaded()

    @daemon.task(name="t:f")
    def f():
        return "ran"

    moment = datetime.now(UTC) - timedelta(hours=1)
    task = f.at(moment).enqueue()
    assert task.result(LONG) == "ran"
    assert task.run_at == moment
    assert task.lateness > timedelta(minutes=59)


def test_with_all_workers_busy_due_tasks_stay_in_the_store_and_start_as_each_frees(threaded):
    daemon = threaded(workers=2)
    started, freed = threading.Semaphore(0), threading.Semaphore(0)
    order = []

    @daemon.task(name="t:work")
    def work(number):
        order.append(number)
        started.release()
        assert freed.acquire(timeout=LONG)

    tasks = [work.enqueue(number) for number in range(2)]
    for _ in range(2):
        assert started.acquire(timeout=LONG)
    tasks += [work.enqueue(number) for number in range(2, 8)]  # adding goes on
    until(daemon, lambda: daemon.status().workers.busy == 2)
    assert [task.refresh().state for task in tasks[2:]] == ["waiting"] * 6
    assert len(order) == 2
    for number in range(2, 8):
        freed.release()
        assert started.acquire(timeout=LONG)
        assert sorted(order[:2]) == [0, 1]
        assert order[2:] == list(range(2, number + 1))
        if number == 4:
            tasks.append(work.enqueue(8))
    for _ in range(3):
        freed.release()
    assert daemon.drain(LONG)
    assert order[2:] == list(range(2, 9))


def test_the_number_of_workers_comes_from_the_settings_file(tmp_path, monkeypatch, threaded, gate):
    (tmp_path / "mainspring.toml").write_text('workers = 3\nstore = "seed.db"\n')
    monkeypatch.chdir(tmp_path)
    daemon = Daemon(name="tests")

    @daemon.task(name="t:hold")
    def hold():
        gate.wait()

    with daemon:
        tasks = [hold.enqueue() for _ in range(5)]
        gate.await_arrivals(3)
        assert daemon.status().workers.total == 3
        assert gate.inside == 3
        gate.open()
        assert all(task.wait(LONG) for task in tasks)
    daemon.close()
    assert gate.most == 3
    assert (tmp_path / "seed.db").exists()


def test_the_chain(daemon, clock):
    seen = []

    @daemon.task(name="t:open_sale")
    def open_sale(item):
        seen.append((item, clock.time))

    moment = clock.time + timedelta(hours=1)
    with daemon.batch() as batch:
        batch.add_task(open_sale, args=(1,), at=moment).add_task(open_sale, args=(2,), after="5s").add_task(
            "t:open_sale", args=(3,)
        )
        assert daemon.find() == []  # one commit, at the end
    assert [task.row.payload for task in batch.tasks] == ["[[1],{}]", "[[2],{}]", "[[3],{}]"]
    clock.advance("2h")
    assert seen == [(3, moment - timedelta(hours=1)), (2, moment - timedelta(hours=1, seconds=-5)), (1, moment)]


def test_functions_and_programs_in_one_queue(threaded, tmp_path):
    daemon = threaded()
    mark = tmp_path / "mark"

    @daemon.task(name="t:f")
    def f():
        return "function"

    program = daemon.add_task([sys.executable, "-c", f"open({str(mark)!r}, 'w').close(); print('program')"])
    assert f.enqueue().result(LONG) == "function"
    assert program.result(LONG) == 0
    assert program.output == "program\n"
    assert mark.exists()
