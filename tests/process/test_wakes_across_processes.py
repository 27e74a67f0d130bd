"""News and steering between processes: nobody polls, and every answer is the truth."""

import threading
import time

import pytest
from support import PATIENCE, Ledger, compare, held, open_gate, wait_at_gate

from mainspring import TaskCancelled, TooLate
from mainspring.steering import Cancellation

pytestmark = pytest.mark.process

# A daemon that can be asked how much only its safety look found. That comes after 60 s; no test lasts as long.
TELLS = """
import sys, workload
from support import say
with workload.daemon as daemon:
    say("ready")
    for _ in sys.stdin:
        say(daemon._engine.claimer.found_by_safety)
"""


def test_a_waiting_client_is_woken_and_reads_only_when_there_is_news(start, client, fifo, monkeypatch):
    path = fifo()
    start("serve.py").until("ready")
    task = client.add_task("workload:gate", (path,))
    wait_at_gate(path)
    reads, drains, waiting = [], [], threading.Event()
    store, watch = client.store, client.store.watch
    get = store.get

    def watched():
        made = watch()
        drain = made.drain
        monkeypatch.setattr(made, "drain", lambda: drains.append(drain()))
        return made

    def read(number):
        reads.append(number)
        row = get(number)
        waiting.set()  # not before: it is to have read that the task runs
        return row

    monkeypatch.setattr(store, "watch", watched)
    monkeypatch.setattr(store, "get", read)
    results = []
    waiter = threading.Thread(target=lambda: results.append(task.result(PATIENCE / 2)))
    waiter.start()
    waiting.wait()
    open_gate(path)
    waiter.join()
    assert results == [None]
    assert len(reads) == len(drains) + 1  # once before the first news, once for each
    assert all(drains)
    assert any("done" in news for news in drains)


def test_a_sleeping_daemon_hears_of_each_new_task(start, client):
    daemon = start("-c", TELLS)
    daemon.until("ready")
    for _ in range(20):
        assert client.add_task("workload:quick").result(PATIENCE / 2) is None
    later = client.add_task("workload:quick", after="10h")
    sooner = client.add_task("workload:quick", after="50ms")
    assert sooner.result(PATIENCE / 2) is None
    later.run_now()
    assert later.result(PATIENCE / 2) is None
    daemon.say("how many?")
    assert daemon.line() == "0"


def test_what_a_daemon_holds_is_changed_from_another_process(holder, client, place):
    one, two, three = held(client, *[client.add_task("workload:quick", after="1h") for _ in range(3)])
    assert one.cancel() is Cancellation.CANCELLED
    assert one.cancel() is Cancellation.TOO_LATE
    with pytest.raises(TaskCancelled):
        one.result(PATIENCE)
    two.reschedule(after=0)
    assert two.result(PATIENCE) is None
    three.run_now()
    assert three.result(PATIENCE) is None
    with pytest.raises(TooLate):
        three.run_now()
    with pytest.raises(TooLate):
        three.reschedule(after="1h")
    ledger = Ledger(place["LEDGER"])
    assert compare(client.store, ledger, [int(task.id) for task in (one, two, three)]) == []
    assert ledger.begun[int(one.id)] == []


def test_a_pause_takes_back_what_is_held_and_lets_go_on_what_runs(holder, client, fifo, place):
    path = fifo()
    running = client.add_task("workload:gate", (path,))
    wait_at_gate(path)
    mail, other = held(client, *[client.add_task("workload:quick", after="1h", queue=q) for q in ("mail", "other")])
    client.pause("mail")
    assert mail.refresh().row.holder is None
    assert other.refresh().row.holder is not None
    mail.run_now()
    other.run_now()
    assert other.result(PATIENCE) is None
    client.pause()
    stopped = client.add_task("workload:quick")
    open_gate(path)
    assert running.result(PATIENCE) is None
    assert [task.refresh().state for task in (mail, stopped)] == ["waiting"] * 2
    client.resume()
    assert stopped.result(PATIENCE) is None
    assert mail.refresh().state == "waiting"
    client.resume("mail")
    assert mail.result(PATIENCE) is None


def test_a_key_is_replaced_while_a_daemon_holds_its_task(holder, client):
    [old] = held(client, client.add_task("workload:quick", after="1h", key="k"))
    new = client.add_task("workload:quick", key="k", on_conflict="replace")
    assert new.result(PATIENCE) is None
    assert old.refresh().state == "cancelled"


@pytest.mark.parametrize("kind", ["quick", "short", "once"])
def test_a_cancel_at_the_instant_of_the_start_tells_the_truth(start, client, place, kind):
    start("serve.py").until("ready")
    begin = time.time() + 0.2
    instants = [begin + n * 0.005 for n in range(60)]
    tasks = client.add_tasks([{"work": f"workload:{kind}", "at": at} for at in instants])
    answers = []
    for n, (at, task) in enumerate(zip(instants, tasks, strict=True)):
        early = (n % 8) * 0.0005  # from 3.5 ms before the instant on to just at it
        threading.Event().wait(max(0.0, at - early - time.time()))
        answers.append(task.cancel())
    for task in tasks:
        assert task.wait(PATIENCE)
    ledger = Ledger(place["LEDGER"])
    for task, answer in zip(tasks, answers, strict=True):
        ran = len(ledger.begun[int(task.id)])
        if answer is Cancellation.CANCELLED:
            assert (task.state, ran) == ("cancelled", 0)
        elif answer is Cancellation.STOPPING:  # asked; a body that does not look comes to its good end
            assert ran == 1
        else:
            assert (task.state, ran) == ("succeeded", 1)
    assert compare(client.store, ledger, [int(task.id) for task in tasks]) == []
