"""Several daemons on one file: they share the work, and take over from one that is killed at once."""

import pytest
from support import PATIENCE, Ledger, compare, open_gate, wait_at_gate

from mainspring import TaskFailed

pytestmark = pytest.mark.process

BOTH = """
import sys, workload
from support import say
with workload.daemon as daemon:
    say("ready")
    sys.stdin.readline()
    one_by_one = [workload.quick.enqueue() for _ in range(20)]
    together = daemon.add_tasks([{"work": workload.short, "args": (1,)}] * 60 + [{"work": workload.soon}] * 20)
    for task in [*one_by_one, *together]:
        task.result(50)
    say(*[task.id for task in [*one_by_one, *together]])
    sys.stdin.readline()
"""


def test_eight_daemons_that_add_as_well_run_each_task_once(start, place, client):
    daemons = [start("-c", BOTH) for _ in range(8)]
    for daemon in daemons:
        daemon.until("ready")
    for daemon in daemons:
        daemon.say("go")
    tasks = [int(task) for daemon in daemons for task in daemon.line().split()]
    for daemon in daemons:
        daemon.say("end")
    assert [(daemon.end(), daemon.errors()) for daemon in daemons] == [(0, "")] * 8
    assert len(set(tasks)) == 800
    ledger = Ledger(place["LEDGER"])
    assert compare(client.store, ledger, tasks) == []
    assert {len(ledger.begun[task]) for task in tasks} == {1}
    assert client.status().counts["succeeded"] == 800
    assert client.store.nodes() == []


@pytest.mark.parametrize("count", [3, 7])
def test_daemons_with_busy_workers_leave_due_tasks_to_those_with_free_ones(start, client, fifo, count):
    gates = [fifo(f"gate{n}") for n in range(count)]
    daemons = [start("serve.py", WORKERS="1") for _ in range(3)]
    for daemon in daemons:
        daemon.until("ready")
    tasks = client.add_tasks([{"work": "workload:gate", "args": (path,)} for path in gates])
    begun = wait_at_gate(*gates, count=3)  # each daemon runs one; which of the three is its own affair
    while gates:
        for path in begun:
            open_gate(path)
            gates.remove(path)
        begun = wait_at_gate(*gates, count=min(3, len(gates)))
    assert [task.result(PATIENCE) for task in tasks] == [None] * count
    assert {task.attempt for task in tasks} == {1}


STRANGER = """
import logging, os, sys
logging.basicConfig(stream=sys.stdout, format="%(message)s", level="INFO")
os.chdir("/")
sys.path.remove(os.environ["PYTHONPATH"].split(os.pathsep)[0])
from mainspring import Daemon
Daemon(os.environ["STORE"], name="stranger").run()
"""


def test_what_one_daemon_does_not_know_another_runs(start, client):
    stranger = start("-c", STRANGER)
    stranger.until("ready")
    task = client.add_task("workload:quick")
    assert "workload:quick" in stranger.until("nobody here knows")
    assert client.status().unresolved == 1
    assert (task.refresh().state, task.attempt) == ("waiting", 0)
    start("serve.py").until("ready")
    assert task.result(PATIENCE) is None
    assert client.status().unresolved == 0


def test_a_peer_takes_over_at_once_what_a_killed_daemon_ran(start, client, fifo):
    path = fifo()
    first = start("serve.py")
    first.until("ready")
    running = client.add_task("workload:gate", (path,))
    wait_at_gate(path)
    second = start("serve.py")
    second.until("ready")
    first.kill()
    wait_at_gate(path)  # it begins again, on the second
    open_gate(path)
    assert running.result(PATIENCE) is None
    assert running.attempt == 2
    assert [(one.attempt, one.reason) for one in running.attempts] == [(1, "worker lost")]
    assert "node 1 died" in second.until("node")


def test_what_was_only_reserved_is_free_again_and_not_charged(start, client, fifo):
    path = fifo()
    first = start("serve.py", WORKERS="1")
    first.until("ready")
    running = client.add_task("workload:gate", (path,))
    wait_at_gate(path)
    waiting = client.add_tasks([{"work": "workload:quick"}] * 20)  # behind the only worker
    first.kill()
    start("serve.py").until("ready")
    assert [task.result(PATIENCE) for task in waiting] == [None] * 20
    assert {(task.attempt, len(task.attempts)) for task in waiting} == {(1, 0)}
    wait_at_gate(path)
    open_gate(path)
    assert running.result(PATIENCE) is None


def test_after_all_were_killed_a_fresh_daemon_takes_over(start, place, client, fifo):
    path, once = fifo("gate"), fifo("once")
    daemons = [start("serve.py", WORKERS="2") for _ in range(3)]
    for daemon in daemons:
        daemon.until("ready")
    running = client.add_task("workload:gate", (path,))
    at_most_once = client.add_task("workload:gate_once", (once,))
    wait_at_gate(path)
    wait_at_gate(once)
    for daemon in daemons:
        daemon.process.kill()
    for daemon in daemons:
        daemon.kill()
    assert not any(node.alive for node in client.store.nodes())
    start("serve.py").until("ready")
    wait_at_gate(path)
    open_gate(path)
    assert running.result(PATIENCE) is None
    assert [one.reason for one in running.attempts] == ["worker lost"]
    with pytest.raises(TaskFailed):
        at_most_once.result(PATIENCE)
    assert (at_most_once.reason, at_most_once.attempt) == ("lost", 1)
    assert len(Ledger(place["LEDGER"]).begun[int(at_most_once.id)]) == 1


def test_a_task_that_kills_its_worker_is_set_aside_after_the_third_time(start, place, client):
    killer = client.add_task("workload:deadly", priority=1)
    neighbours = client.add_tasks([{"work": "workload:quick"}] * 20)
    for _ in range(3):
        assert start("serve.py", WORKERS="1").end() == -9
    start("serve.py", WORKERS="1").until("ready")
    with pytest.raises(TaskFailed):
        killer.result(PATIENCE)
    assert (killer.reason, killer.attempt) == ("poison", 3)
    assert [one.reason for one in killer.attempts] == ["worker lost"] * 3
    assert len(Ledger(place["LEDGER"]).begun[int(killer.id)]) == 3
    assert [task.result(PATIENCE) for task in neighbours] == [None] * 20
