"""A daemon that is stopped (SIGSTOP, a debugger, a frozen container): nobody guesses, and nothing is lost."""

import os
import signal

import pytest
from support import PATIENCE, held, open_gate, wait_at_gate

from mainspring import StoreError, TaskCancelled, steering
from mainspring.steering import Cancellation

pytestmark = pytest.mark.process


def stop(daemon):
    """Stop it, and wait until it is."""
    daemon.send(signal.SIGSTOP)
    os.waitid(os.P_PID, daemon.pid, os.WSTOPPED | os.WNOWAIT)


def test_what_a_stopped_daemon_holds_is_not_changed_and_not_guessed_about(holder, start, client, fifo, monkeypatch):
    path = fifo()
    running = client.add_task("workload:gate", (path,))
    wait_at_gate(path)
    [waiting] = held(client, client.add_task("workload:quick", after="1h", key="k"))
    stop(holder)
    monkeypatch.setattr(steering, "ANSWER_US", 100_000)
    before = waiting.row
    for change in (
        running.cancel,
        waiting.cancel,
        waiting.run_now,
        lambda: waiting.reschedule(after="2h"),
        lambda: client.add_task("workload:quick", key="k", on_conflict="replace"),
        client.pause,
    ):
        with pytest.raises(StoreError, match="did not answer"):
            change()
    client.resume()
    assert waiting.refresh().row == before
    # who does not depend on it goes on
    start("serve.py").until("ready")
    assert client.add_task("workload:quick").result(PATIENCE) is None
    assert [node.alive for node in client.store.nodes()] == [True, True]
    monkeypatch.undo()
    holder.send(signal.SIGCONT)
    # nor is anything done later that its asker was told had failed
    open_gate(path)
    assert running.result(PATIENCE) is None
    assert running.attempts == []
    assert waiting.refresh().row == before
    assert waiting.cancel() is Cancellation.CANCELLED


def test_who_waits_long_enough_gets_the_answer(holder, client):
    [waiting] = held(client, client.add_task("workload:quick", after="1h"))
    stop(holder)
    number = client.store.ask(waiting.row.holder, int(waiting.id), steering.Cancel())
    assert client.store.answered(number) is None
    holder.send(signal.SIGCONT)
    with pytest.raises(TaskCancelled):
        waiting.result(PATIENCE)
    verdict = client._waiting.until(lambda: client.store.answered(number), 30_000_000)
    assert (verdict.outcome, verdict.state) == ("done", "cancelled")
