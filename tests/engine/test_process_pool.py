"""Tasks on worker processes: what a body does to its process costs its own task, and nobody else anything."""

import os
import time
from datetime import timedelta

import pytest

from daemons import LONG, until
from mainspring import Retry, TaskCancelled, TaskFailed

HERE = os.path.dirname(__file__)


@pytest.fixture
def processes(tmp_path, monkeypatch, threaded):
    """Makes started daemons whose tasks run in processes; their children find `child_bodies` and `pool_bodies`."""
    monkeypatch.chdir(HERE)
    monkeypatch.setenv("CHILD_STORE", str(tmp_path / "tasks.db"))

    def make(**settings):
        return threaded(str(tmp_path / "tasks.db"), pool="processes", **{"workers": 2, **settings})

    return make


@pytest.fixture
def fifo(tmp_path):
    path = str(tmp_path / "gate")
    os.mkfifo(path)
    return path


def release(fifo):
    """Let go of whoever waits at it."""
    with open(fifo, "w") as gate:
        gate.write("go")


def running(daemon, task):
    """Wait until it runs."""
    until(daemon, lambda: any(slot.held is not None and str(slot.held.id) == task.id and slot.started_at
                              for slot in daemon._engine.pool.slots))  # fmt: skip


def bodies(*calls, **more):
    return [{"work": f"child_bodies:{name}", "args": args, **more} for name, *args in calls]


# ── what comes of tasks ────────────────────────────────────────────────────────────────────────────────────────
def test_tasks_run_in_other_processes_and_never_early(processes):
    daemon = processes()
    tasks = daemon.add_tasks(
        [{"work": "pool_bodies:started_at", "after": timedelta(milliseconds=50 + 7 * n)} for n in range(30)]
    )
    for task in tasks:
        began = task.result(LONG)
        task.refresh()
        assert task.started_at >= task.run_at
        assert began >= task.run_at.timestamp() * 1e6
    pids = {task.result(LONG) for task in daemon.add_tasks(bodies(*[("pid",)] * 20))}
    assert os.getpid() not in pids
    assert len(pids) <= 2


def test_results_errors_output_and_retries(processes):
    daemon = processes()
    assert daemon.add_task("child_bodies:double", [21]).result(LONG) == 42
    failed = daemon.add_task("child_bodies:fail", ["no"])
    with pytest.raises(TaskFailed, match="no"):
        failed.result(LONG)
    failed.refresh()
    assert (failed.error.type, failed.reason, failed.attempt) == ("Missing", "error", 1)
    printed = daemon.add_task("child_bodies:prints", ["hello"])
    assert printed.wait(LONG)
    assert printed.output.startswith("hello\nto stderr\n")
    again = daemon.add_task("child_bodies:fail", ["no"], retry=Retry(2, delay=0, on=LookupError))
    assert again.wait(LONG)
    assert again.refresh().attempt == 3
    unkept = daemon.add_task("child_bodies:unkept")
    assert unkept.wait(LONG)
    assert (unkept.refresh().state, unkept.reason) == ("succeeded", "result not stored")
    assert daemon.add_task("child_bodies:add", [1, 2]).result(LONG) == 3
    assert daemon.add_task("child_bodies:around", [1]).result(LONG) == 2
    large = daemon.add_task("child_bodies:size", ["x" * 500_000])
    assert large.result(LONG) == 500_000


def test_programs_take_a_place_beside(processes):
    daemon = processes(workers=1)
    task = daemon.add_task(["/bin/sh", "-c", "echo from a program"])
    assert task.result(LONG) == 0
    assert task.refresh().output == "from a program\n"
    assert daemon.add_task("child_bodies:double", [2]).result(LONG) == 4


def test_a_program_beside_a_child_that_dies_is_recorded_as_it_ran(processes, fifo):
    daemon = processes(workers=1)
    daemon.add_task("pool_bodies:started_at").result(LONG)  # its child is there
    [place] = daemon._engine.pool.places
    program = daemon.add_task(["sh", "-c", 'cat "$0"', fifo])
    running(daemon, program)
    child = place.child
    child.kill()
    until(daemon, lambda: place.child is not None and place.child is not child and place.child.ready)
    release(fifo)
    assert program.wait(LONG)
    assert (program.state, program.attempt) == ("succeeded", 1)
    assert program.run_at <= program.started_at <= program.finished_at


def test_what_the_daemon_has_registered_is_judged_once(processes, tmp_path, monkeypatch):
    installed = tmp_path / "site-packages"  # what is there is only run because it is registered
    installed.mkdir()
    heard = tmp_path / "heard"
    (installed / "installed_bodies.py").write_text(
        f"import os\ndef where(): return os.getpid()\ndef hear(): open({str(heard)!r}, 'w').close()\n"
    )
    monkeypatch.syspath_prepend(str(installed))
    import installed_bodies

    daemon = processes(listener_workers=1)
    assert daemon.task(installed_bodies.where).enqueue().result(LONG) != os.getpid()
    daemon.listener(installed_bodies.hear)
    until(daemon, heard.exists)


def test_a_function_that_no_worker_process_finds(processes):
    daemon = processes()

    @daemon.task(name="only:here")
    def only_here():
        """Not to be imported from anywhere."""

    task = only_here.enqueue()
    with pytest.raises(TaskFailed, match="a worker process does not find it"):
        task.result(LONG)
    assert task.refresh().reason == "unknown function"


def test_what_a_body_adds_is_there_at_once(processes):
    daemon = processes()
    added = daemon.get(daemon.add_task("pool_bodies:adds_another").result(LONG))
    assert added.result(LONG) == 42


# ── who is held up by whom ─────────────────────────────────────────────────────────────────────────────────────
def test_a_slow_task_holds_up_nobody(processes, fifo):
    """It is of a function whose bodies were short so far, so others were fed behind it."""
    daemon = processes()
    short = [{"work": "pool_bodies:perhaps_wait", "args": (None,)}]
    daemon.add_tasks(short * 500)
    assert daemon.drain(LONG)
    mixed = daemon.add_tasks([*short * 200, {"work": "pool_bodies:perhaps_wait", "args": (fifo,)}, *short * 200])
    slow = mixed.pop(200)
    assert all(task.wait(LONG) for task in mixed)
    assert slow.refresh().state in ("waiting", "running")
    release(fifo)
    assert slow.result(LONG) == "go"
    assert {task.refresh().attempt for task in mixed} == {1}


def test_with_all_places_taken_what_is_due_waits_in_order(processes, fifo):
    daemon = processes(workers=1)
    slow = daemon.add_task("child_bodies:wait_at", [fifo])
    running(daemon, slow)
    tasks = [daemon.add_task("pool_bodies:started_at", priority=priority) for priority in (0, 0, 5)]
    until(daemon, lambda: daemon._engine.pool.ready.count == 3)  # the daemon has noticed them
    assert [task.refresh().state for task in tasks] == ["waiting"] * 3
    release(fifo)
    first, second, urgent = (task.result(LONG) for task in tasks)
    assert urgent < first < second


# ── death ──────────────────────────────────────────────────────────────────────────────────────────────────────
@pytest.mark.parametrize(
    ("body", "words"), [("exit_with", "exited with code 9"), ("crash", "SIGSEGV"), ("kill_me", "SIGKILL")]
)
def test_a_death_costs_its_own_task_alone(processes, body, words):
    daemon = processes()
    arguments = [9] if body == "exit_with" else []
    short = bodies(*[("double", number) for number in range(300)])
    assert all(task.wait(LONG) for task in daemon.add_tasks(short))  # known to be short: fed ahead, around the victim
    tasks = daemon.add_tasks([*short, {"work": f"child_bodies:{body}", "args": arguments}, *short])
    victim = tasks.pop(300)
    with pytest.raises(TaskFailed, match=words):
        victim.result(LONG)
    assert (victim.refresh().reason, victim.attempt) == ("poison", 3)
    assert [task.result(LONG) for task in tasks] == [2 * number for number in [*range(300), *range(300)]]
    assert {task.refresh().attempt for task in tasks} == {1}


def test_a_lost_attempt_says_so_and_uses_no_retry(processes):
    daemon = processes()
    task = daemon.add_task("pool_bodies:die_the_first_time")
    assert task.result(LONG) == 2
    (lost,) = task.refresh().attempts
    assert (lost.reason, lost.attempt) == ("worker lost", 1)


def test_what_may_start_once_starts_once(processes, tmp_path):
    daemon = processes()
    ledger = str(tmp_path / "ledger")
    task = daemon.add_task("pool_bodies:note", [ledger], delivery="at-most-once")
    assert task.wait(LONG)
    assert task.refresh().state == "succeeded"
    task = daemon.add_task("pool_bodies:note_and_die", [ledger], delivery="at-most-once")
    with pytest.raises(TaskFailed):
        task.result(LONG)
    assert (task.refresh().reason, task.attempt) == ("lost", 1)
    assert daemon.drain(LONG)
    assert os.path.getsize(ledger) == 2


def test_a_child_is_replaced_when_it_has_done_its_part(processes):
    daemon = processes(workers=1, max_tasks_per_child=5)
    pids = [task.result(LONG) for task in daemon.add_tasks(bodies(*[("pid",)] * 20))]
    assert len(set(pids)) == 4
    assert max(map(pids.count, pids)) == 5


# ── asking to stop ─────────────────────────────────────────────────────────────────────────────────────────────
@pytest.mark.parametrize("body", ["until_asked", "spin", "hold", "asleep", "stubborn"])
def test_a_time_limit_is_hard(processes, body):
    daemon = processes()
    task = daemon.add_task(f"child_bodies:{body}", timeout=0.2)
    with pytest.raises(TaskFailed, match="longer than its time limit"):
        task.result(LONG)
    assert (task.refresh().reason, task.attempt) == ("time limit", 1)
    assert task.finished_at - task.started_at >= timedelta(milliseconds=200)
    assert [one.result(LONG) for one in daemon.add_tasks(bodies(("double", 1), ("double", 2)))] == [2, 4]


def test_a_time_limit_with_a_retry(processes):
    daemon = processes()
    task = daemon.add_task("child_bodies:spin", timeout=0.1, retry=Retry(1, delay=0))
    with pytest.raises(TaskFailed):
        task.result(LONG)
    assert task.refresh().attempt == 2


def test_cancelling_what_runs_and_what_waits(processes, fifo):
    daemon = processes(workers=1)
    task = daemon.add_task("child_bodies:asleep")
    running(daemon, task)
    assert task.cancel() == "stopping"
    with pytest.raises(TaskCancelled):
        task.result(LONG)
    slow = daemon.add_task("child_bodies:wait_at", [fifo])
    running(daemon, slow)
    waiting = daemon.add_task("child_bodies:double", [1])
    assert waiting.cancel() == "cancelled"
    release(fifo)
    assert slow.result(LONG) == "go"


def test_what_is_fed_and_not_read_can_be_recalled(processes, fifo):
    """A short body, to all that is known, holds the child: what was fed behind it has not started."""
    daemon = processes(workers=1)
    short = [{"work": "pool_bodies:perhaps_wait", "args": (None,)}]
    daemon.add_tasks(short * 300)
    assert daemon.drain(LONG)
    pool = daemon._engine.pool
    pool.nudge = lambda: False  # nothing is taken back by itself
    daemon._engine.timer._pool = pool
    slow, behind = daemon.add_tasks([{"work": "pool_bodies:perhaps_wait", "args": (fifo,)}, *short])
    until(daemon, lambda: len(pool.places[0].fed) == 2)
    assert behind.cancel() == "cancelled"
    assert slow.cancel() == "stopping"
    release(fifo)
    assert slow.wait(LONG)
    assert behind.refresh().state == "cancelled"
    assert behind.attempt == 0


def test_a_stop_lets_what_runs_end_and_gives_back_the_rest(processes, tmp_path):
    daemon = processes(workers=1)
    ledger = str(tmp_path / "ledger")
    asked = daemon.add_task("pool_bodies:stop_when_asked", [ledger])
    running(daemon, asked)
    waiting = daemon.add_task("child_bodies:double", [1])
    daemon.stop()
    assert (asked.refresh().state, asked.attempt) == ("succeeded", 1)
    assert (waiting.refresh().state, waiting.attempt) == ("waiting", 0)


def test_what_does_not_end_within_the_grace_is_given_back(processes, tmp_path):
    daemon = processes(workers=1)
    task = daemon.add_task("child_bodies:spin")
    running(daemon, task)
    before = time.monotonic()
    daemon.stop(grace=0)
    assert time.monotonic() - before < LONG
    assert (task.refresh().state, task.attempt) == ("waiting", 1)
    assert task.attempts[0].reason == "daemon stopped"


# ── listeners ──────────────────────────────────────────────────────────────────────────────────────────────────
def test_listeners_run_in_processes_of_their_own(processes, tmp_path):
    daemon = processes(workers=1, listener_workers=1)
    ledger = tmp_path / "ledger"
    daemon.add_listener("pool_bodies:note", args=(str(ledger),), name="notes", pause="1ms")
    until(daemon, lambda: ledger.exists() and ledger.stat().st_size > 3)
    assert [(one.name, one.state) for one in daemon.listeners()] == [("notes", "up")]
    assert daemon.add_task("child_bodies:double", [4]).result(LONG) == 8
    daemon.stop()
    size = ledger.stat().st_size
    assert daemon.status().nodes == []
    assert ledger.stat().st_size == size


def test_a_process_that_says_what_cannot_be_read_is_replaced(processes, caplog):
    daemon = processes(workers=1)
    task = daemon.add_task("pool_bodies:babble")
    until(daemon, lambda: task.refresh().row.losses >= 1)
    assert "said what cannot be read" in caplog.text
    assert task.attempts[0].reason == "worker lost"
    task.cancel()
    assert daemon.add_task("pool_bodies:perhaps_wait", (None,)).wait(LONG)
