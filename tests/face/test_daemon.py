"""A daemon's life: started, stopped, drained, several in one process, and what is written at which moment."""

import threading

import pytest

from daemons import LONG, until
from mainspring import Daemon, InvalidValue, Misuse, StoreError


def test_starting_twice_is_an_error_and_stopping_twice_is_not(url, clock):
    daemon = Daemon(url, clock=clock)
    daemon.stop()  # before the start: fine
    daemon.start()
    with pytest.raises(Misuse, match="started already"):
        daemon.start()
    assert daemon.started
    daemon.stop()
    daemon.stop()
    assert not daemon.started
    daemon.start()
    daemon.stop()
    daemon.close()


def test_on_threads_too(threaded):
    daemon = threaded()
    with pytest.raises(Misuse):
        daemon.start()
    with daemon:  # started already: it is stopped in the end
        assert daemon.started
    assert not daemon.started
    daemon.stop()


def test_stopping_leaves_no_thread_behind(threaded):
    before = set(threading.enumerate())
    daemon = threaded()

    @daemon.task(name="t:f")
    def f(): ...

    @daemon.listener(name="l")
    @daemon.task(name="t:listen")
    def listen(): ...

    f.enqueue().wait(LONG)
    daemon.stop()
    left = {thread for thread in threading.enumerate() if thread not in before and thread.is_alive()}
    for thread in left:
        thread.join(LONG)
    assert not {thread for thread in left if thread.is_alive()}


def test_a_restart_goes_on_where_it_stopped(threaded):
    daemon = threaded()

    @daemon.task(name="t:f")
    def f():
        return 1

    daemon.stop()
    task = f.enqueue()
    assert task.refresh().state == "waiting"
    daemon.start()
    assert task.result(LONG) == 1


def test_a_stop_lets_what_runs_end_and_starts_nothing_more(threaded, gate):
    daemon = threaded(workers=1)
    asked = threading.Event()

    @daemon.task(name="t:hold")
    def hold():
        gate.wait()
        return "done"

    running, next_one = hold.enqueue(), hold.enqueue()
    gate.await_arrivals()
    stopper = threading.Thread(target=lambda: (asked.set(), daemon.stop()))
    stopper.start()
    assert asked.wait(LONG)
    until(daemon, lambda: not daemon.started)
    gate.open()
    stopper.join(LONG)
    assert running.refresh().result() == "done"
    assert (next_one.refresh().state, next_one.attempt, next_one.row.holder) == ("waiting", 0, None)


def test_what_still_runs_after_the_grace_is_given_back_and_counted(threaded, gate):
    daemon = threaded(workers=1)

    @daemon.task(name="t:hold")
    def hold():
        gate.wait()

    task = hold.enqueue()
    gate.await_arrivals()
    daemon.stop(grace=0)
    assert (task.refresh().state, task.attempt, task.row.holder) == ("waiting", 1, None)
    assert [one.reason for one in task.attempts] == ["daemon stopped"]
    gate.open()
    again = threaded(name="again")
    again.task(name="t:hold")(hold.function)
    assert task.wait(LONG)
    assert (task.state, task.attempt) == ("succeeded", 2)


def test_a_body_that_heeds_the_stop_ends_within_the_grace(threaded):
    from mainspring import stopping

    daemon = threaded(workers=1)
    entered, pause = threading.Event(), threading.Event()

    @daemon.task(name="t:polite")
    def polite():
        entered.set()
        while not stopping():
            pause.wait(0.001)
        raise InterruptedError

    task = polite.enqueue()
    assert entered.wait(LONG)
    daemon.stop(grace=0)
    assert task.refresh().state == "waiting"
    assert task.row.holder is None


def test_hurry_cuts_the_grace_short(threaded, gate):
    daemon = threaded(workers=1, grace="1h")

    @daemon.task(name="t:hold")
    def hold():
        gate.wait()

    task = hold.enqueue()
    gate.await_arrivals()
    engine = daemon._engine
    stopper = threading.Thread(target=daemon.stop)
    stopper.start()
    until(daemon, lambda: engine.claimer.paused)
    engine.hurry()
    stopper.join(LONG)
    assert not stopper.is_alive()
    assert task.refresh().state == "waiting"


def test_drain_waits_for_what_is_due_not_for_the_future(threaded, gate):
    daemon = threaded(workers=1)

    @daemon.task(name="t:hold")
    def hold():
        gate.wait()

    later = hold.after("1h").enqueue()
    due = [hold.enqueue() for _ in range(3)]
    gate.await_arrivals()
    assert daemon.drain("10ms") is False
    gate.open()
    assert daemon.drain(LONG) is True
    assert [task.refresh().state for task in due] == ["succeeded"] * 3
    assert later.refresh().state == "waiting"


def test_run_is_for_the_main_thread(threaded):
    daemon = threaded(start=False)
    errors = []

    def run():
        try:
            daemon.run()
        except Misuse as error:
            errors.append(str(error))

    thread = threading.Thread(target=run)
    thread.start()
    thread.join(LONG)
    assert "main thread" in errors[0]


def test_a_context_manager_starts_and_stops_also_when_the_block_raises(url, clock):
    daemon = Daemon(url, clock=clock)

    def block(same):
        assert same is daemon
        assert daemon.started
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError), daemon as same:
        block(same)
    assert not daemon.started
    daemon.close()


# ── several ────────────────────────────────────────────────────────────────────────────────────────────────────


def test_two_apps_in_one_process_do_not_know_each_other(tmp_path, clock):
    first = Daemon(str(tmp_path / "a.db"), clock=clock, name="first")
    second = Daemon(str(tmp_path / "b.db"), clock=clock, name="second")
    seen = []

    @first.task(name="t:f")
    def one():
        seen.append("one")

    @second.task(name="t:f")
    def two():
        seen.append("two")

    with first, second:
        one.enqueue()
        two.enqueue()
        first.add_task("t:f")
    assert seen == ["one", "two", "one"]


def test_two_daemons_on_one_file_share_the_work_and_run_each_task_once(threaded):
    lock, ran = threading.Lock(), []

    def work(number):
        with lock:
            ran.append(number)

    daemons = [threaded(name=f"d{n}", start=False, workers=2) for n in range(2)]
    for daemon in daemons:
        daemon.task(name="t:work")(work)
        daemon.start()
    tasks = daemons[0].add_tasks([{"work": "t:work", "args": (n,)} for n in range(500)])
    tasks += daemons[1].add_tasks([{"work": "t:work", "args": (n,)} for n in range(500, 1_000)])
    assert all(daemon.drain(LONG) for daemon in daemons)
    assert sorted(ran) == list(range(1_000))
    assert {task.refresh().attempt for task in tasks} == {1}
    assert len(daemons[0].status().nodes) == 2


def test_one_stops_and_the_other_goes_on_with_what_it_held(threaded, gate):
    lock, ran = threading.Lock(), []
    daemons = [threaded(name=f"d{n}", start=False, workers=1) for n in range(2)]

    def work(number):
        with lock:
            ran.append(number)

    for daemon in daemons:
        daemon.task(name="t:work")(work)
    daemons[0].start()
    daemons[0].add_tasks([{"work": "t:work", "args": (n,), "after": 0.3 + n / 1000} for n in range(100)])
    daemons[1].start()
    daemons[0].stop()
    until(daemons[1], lambda: daemons[1].status().counts["succeeded"] == 100)
    assert sorted(ran) == list(range(100))


def test_the_store_is_opened_on_first_use_only(tmp_path):
    path = tmp_path / "none.db"
    daemon = Daemon(str(path))

    @daemon.task(name="t:f")
    def f(): ...

    assert not path.exists()
    daemon.find()
    assert path.exists()
    daemon.close()


def test_a_directory_that_is_not_there_is_said(tmp_path):
    daemon = Daemon(str(tmp_path / "no" / "such" / "dir.db"))
    with pytest.raises(StoreError, match="no/such"):
        daemon.find()


def test_relative_paths_are_fixed_when_the_daemon_is_made(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    daemon = Daemon("here.db")
    (tmp_path / "sub").mkdir()
    monkeypatch.chdir(tmp_path / "sub")
    daemon.find()
    assert (tmp_path / "here.db").exists()
    daemon.close()


@pytest.mark.parametrize(
    "bad", [{"workers": 0}, {"workers": "many"}, {"grace": "soon"}, {"store": "ftp://x/y"}, {"tz": "Mars/Olympus"}]
)
def test_bad_settings_name_themselves(bad):
    with pytest.raises(InvalidValue, match=next(iter(bad))):
        Daemon(**bad)


def test_the_store_that_opens_again_after_close(url, clock):
    daemon = Daemon(url, clock=clock)
    daemon.find()
    daemon.close()
    daemon.close()
    assert daemon.find() == []
    daemon.close()


def test_a_failed_start_leaves_nothing_behind(tmp_path, clock, monkeypatch):
    from mainspring.engine import engine

    daemon = Daemon(str(tmp_path / "one.db"), clock=clock)

    def broken(self):
        raise RuntimeError("cannot start")

    with monkeypatch.context() as patch:
        patch.setattr(engine.Engine, "start", broken)
        with pytest.raises(RuntimeError):
            daemon.start()
        assert not daemon.started
        assert [node.alive for node in daemon.store.nodes()] == []
    with daemon:
        assert daemon.add_task(["true"], after="1h").state == "waiting"
    daemon.close()
