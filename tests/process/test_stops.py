"""What a stop leaves: SIGTERM once, twice, three times, and SIGKILL while programs run."""

import signal
import subprocess
import sys

import pytest
from support import PATIENCE, Ledger, compare, open_gate, programs_running, wait_at_gate

from mainspring import TaskFailed

pytestmark = pytest.mark.process

TERM = signal.SIGTERM


def test_sigterm_lets_what_runs_end_and_leaves_the_rest_in_the_store(start, client, place, fifo):
    path = fifo()
    daemon = start("serve.py", WORKERS="1")
    daemon.until("ready")
    running = client.add_task("workload:gate", (path,))
    wait_at_gate(path)
    due = client.add_tasks([{"work": "workload:quick"}] * 5)
    later = client.add_task("workload:quick", after="1s")
    daemon.send(TERM)
    daemon.until("stopping")
    open_gate(path)
    assert daemon.end() == 0
    assert running.refresh().state == "succeeded"
    rows = [task.refresh().row for task in (*due, later)]
    assert {(row.state, row.attempt, row.holder) for row in rows} == {("waiting", 0, None)}
    assert client.store.nodes() == []
    start("serve.py").until("ready")
    assert [task.result(PATIENCE) for task in (*due, later)] == [None] * 6


def test_after_the_grace_a_body_is_given_back_and_an_at_most_once_one_has_failed(start, client, place, fifo):
    often, once = fifo("often"), fifo("once")
    daemon = start("serve.py", GRACE="10ms")
    daemon.until("ready")
    given_back = client.add_task("workload:gate", (often,))
    failed = client.add_task("workload:gate_once", (once,))
    wait_at_gate(often, once)
    assert daemon.terminate() == 0
    assert (given_back.refresh().state, given_back.attempt) == ("waiting", 1)
    assert [one.reason for one in given_back.attempts] == ["daemon stopped"]
    assert given_back.row.losses == 0
    with pytest.raises(TaskFailed, match="did not end within the grace"):
        failed.result(PATIENCE)
    assert failed.reason == "lost"
    start("serve.py").until("ready")
    wait_at_gate(often)
    open_gate(often)
    assert given_back.result(PATIENCE) is None
    assert compare(client.store, Ledger(place["LEDGER"]), [int(given_back.id), int(failed.id)]) == []


def test_after_the_grace_a_body_that_heeds_comes_back_by_itself(start, client, fifo):
    path = fifo()
    daemon = start("serve.py", GRACE="10ms")
    daemon.until("ready")
    task = client.add_task("workload:heedful", (path,))
    wait_at_gate(path)
    assert daemon.terminate() == 0
    assert task.refresh().state == "succeeded"


def test_a_second_signal_cuts_the_grace(start, client, fifo):
    path = fifo()
    daemon = start("serve.py", GRACE="10h")
    daemon.until("ready")
    task = client.add_task("workload:heedful", (path,))
    wait_at_gate(path)
    daemon.send(TERM)
    daemon.until("stopping")
    daemon.send(TERM)
    assert daemon.end() == 0
    assert task.refresh().state == "succeeded"  # it was asked, and heeded


def test_a_third_signal_ends_it_at_once(start, client, fifo):
    path = fifo()
    daemon = start("serve.py", GRACE="10h")
    daemon.until("ready")
    stubborn = ["sh", "-c", 'trap "" TERM; echo begun > "$0"; while :; do sleep 1; done', f"{path}.out"]
    task = client.add_task(stubborn, delivery="at-most-once")
    wait_at_gate(path)
    daemon.send(TERM)
    daemon.until("stopping")
    daemon.send(signal.SIGINT)
    daemon.until("hurrying")
    daemon.send(TERM)
    assert daemon.end() == 128 + TERM
    assert task.refresh().state == "running"
    start("serve.py").until("node")  # taken over when the program is gone: its keeper sees to that
    assert (task.refresh().state, task.reason) == ("failed", "lost")


STUBBORN = """
trap "" TERM
sh -c 'trap "" TERM; while :; do sleep 1; done' &
echo begun > "$0"
wait
"""


def test_programs_of_a_killed_daemon_are_gone_before_anybody_takes_over(start, client, place, fifo):
    meek, stubborn = fifo("meek"), fifo("stubborn")
    daemon = start("serve.py", WORKERS="2")
    daemon.until("ready")
    env = {"STORE": place["STORE"]}
    options = {"env": env, "delivery": "at-most-once"}  # or it would begin again at once
    client.add_task(["sh", "-c", 'echo begun > "$0"; exec sleep 1000', f"{meek}.out"], **options)
    client.add_task(["sh", "-c", STUBBORN, f"{stubborn}.out"], **options)
    wait_at_gate(meek, stubborn)
    assert len(programs_running(place["STORE"])) == 2
    daemon.kill()
    # the keeper holds the node until both are gone: an early takeover changes nothing
    if programs_running(place["STORE"]):
        [node] = client.store.nodes()
        assert client.store.take_over(node.id, 0) is None or not programs_running(place["STORE"])
    successor = start("serve.py")
    assert successor.until("alone") == "alone 0"
    assert programs_running(place["STORE"]) == set()
    assert [(task.state, task.reason) for task in client.find()] == [("failed", "lost")] * 2


def test_sigterm_ends_programs_too(start, client, place, fifo):
    path = fifo()
    daemon = start("serve.py", GRACE="10ms")
    daemon.until("ready")
    task = client.add_task(
        ["sh", "-c", 'echo begun > "$0"; exec sleep 1000', f"{path}.out"], env={"STORE": place["STORE"]}
    )
    wait_at_gate(path)
    assert daemon.terminate() == 0
    assert programs_running(place["STORE"]) == set()
    assert (task.refresh().state, [one.reason for one in task.attempts]) == ("waiting", ["daemon stopped"])


def test_the_command_ends_in_order_too(start, client):
    daemon = start("-m", "mainspring", "run", "workload")
    task = client.add_task("workload:quick")
    assert task.result(PATIENCE) is None
    assert daemon.terminate() == 0
    assert client.store.nodes() == []


HEARD_ELSEWHERE = """
import os, signal, threading
from mainspring import Daemon

daemon = Daemon({store!r}, workers=1)


@daemon.task(name="t:signal")
def send():
    signal.pthread_kill(threading.get_ident(), signal.SIGTERM)  # the thread that waits for signals is not interrupted


send.enqueue()
daemon.run()
"""


def test_a_signal_that_does_not_interrupt_the_wait_is_heard(tmp_path):
    """As one that comes in the moment before the main thread begins to wait: nothing interrupts that wait either."""
    script = HEARD_ELSEWHERE.format(store=str(tmp_path / "tasks.db"))
    done = subprocess.run([sys.executable, "-c", script], timeout=PATIENCE, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
