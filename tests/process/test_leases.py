"""A daemon whose process stands still beyond its lease: another takes what it held, and it cannot get in the way."""

import signal
import subprocess
from contextlib import contextmanager
from pathlib import Path

import pytest
from support import PATIENCE, Ledger, held, open_gate, wait_at_gate

from mainspring import TaskFailed

pytestmark = pytest.mark.process

SHORT = {"MAINSPRING_LEASE": "1s", "WORKERS": "1"}


@contextmanager
def standing_still(daemon):
    daemon.send(signal.SIGSTOP)
    try:
        yield
    finally:
        daemon.send(signal.SIGCONT)


def test_what_it_ran_begins_again_elsewhere_and_its_late_outcome_is_refused(start, place, client, fifo):
    path = fifo()
    first = start("serve.py", **SHORT)
    first.until("ready")
    running = client.add_task("workload:gate", (path,))
    wait_at_gate(path)
    second = start("serve.py", **SHORT)
    second.until("ready")
    with standing_still(first):
        assert "has been silent for longer than its lease" in second.until("node")
        wait_at_gate(path)
        open_gate(path)
        assert running.result(PATIENCE) is None
        assert [(one.attempt, one.reason) for one in running.refresh().attempts] == [(1, "lease lost")]
        before = running.refresh()
        assert (before.state, before.attempt) == ("succeeded", 2)
    first.until("this daemon stood still")
    open_gate(path)
    first.until("1 outcomes came too late")
    assert running.refresh().attempt == 2
    begun = [line.split() for line in Path(place["LEDGER"]).read_text().splitlines() if line.startswith("B")]
    first_fence, second_fence = [int(fence) for _, task, _, fence, *_ in begun if task == running.id]
    assert first_fence < second_fence
    assert client.add_task("workload:quick").result(PATIENCE) is None


def test_what_runs_at_most_once_is_told_as_lost_and_never_starts_again(start, place, client, fifo):
    path = fifo()
    first = start("serve.py", **SHORT)
    first.until("ready")
    once = client.add_task("workload:gate_once", (path,))
    wait_at_gate(path)
    second = start("serve.py", **SHORT)
    second.until("ready")
    with standing_still(first):
        with pytest.raises(TaskFailed):
            once.result(PATIENCE)
        assert once.refresh().reason == "lost"
    open_gate(path)
    first.until("1 outcomes came too late")
    assert (once.refresh().state, once.attempt) == ("failed", 1)
    assert len(Ledger(place["LEDGER"]).begun[int(once.id)]) == 1


def test_what_runs_twice_is_asked_to_stop_where_it_was_lost(start, place, client, fifo):
    path = fifo()
    first = start("serve.py", **SHORT)
    first.until("ready")
    running = client.add_task("workload:heedful", (path,))
    wait_at_gate(path)
    second = start("serve.py", **SHORT)
    second.until("ready")
    with standing_still(first):
        wait_at_gate(path)  # it began again
    first.until(f"the reservation of task {running.id} was lost")
    first.until("1 outcomes came too late")  # it has stopped; the other goes on
    assert running.cancel() == "stopping"
    assert running.result(PATIENCE) is None
    assert running.refresh().attempt == 2


def test_what_it_had_reserved_runs_elsewhere_and_only_there(start, place, client, fifo):
    first = start("serve.py", **SHORT)
    first.until("ready")
    soon = client.add_tasks([{"work": "workload:quick", "after": 3}] * 50)
    held(client, *soon)
    second = start("serve.py", **SHORT)
    second.until("ready")
    with standing_still(first):
        assert [task.result(PATIENCE) for task in soon] == [None] * 50
    first.until("this daemon stood still")
    assert client.add_task("workload:quick").result(PATIENCE) is None
    begun = Ledger(place["LEDGER"]).begun
    assert {len(begun[int(task.id)]) for task in soon} == {1}
    assert {task.refresh().attempt for task in soon} == {1}


def test_alone_it_goes_on_where_it_stood(start, place, client):
    only = start("serve.py", **SHORT)
    only.until("ready")
    soon = client.add_tasks([{"work": "workload:quick", "after": 1.5}] * 50)
    held(client, *soon)
    subprocess.run(["sh", "-c", f"kill -STOP {only.pid}; sleep 2; kill -CONT {only.pid}"], check=True)
    only.until("this daemon stood still")
    assert [task.result(PATIENCE) for task in soon] == [None] * 50
    begun = Ledger(place["LEDGER"]).begun
    assert {len(begun[int(task.id)]) for task in soon} == {1}
