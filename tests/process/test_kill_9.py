"""A daemon under load is killed again and again, at any moment. Nothing accepted is lost, and the books are true.

`CHAOS_KILLS` says how often (`make chaos`: 200), `CHAOS_SEED` repeats a run as far as chance allows.
"""

import os
import random
from pathlib import Path

import pytest
from support import PATIENCE, Ledger, compare, compare_once, say
from window_books import killed, windows

from mainspring.store.rows import Filter
from mainspring.tasks.state import FINISHED

pytestmark = pytest.mark.process

KILLS = int(os.environ.get("CHAOS_KILLS", "20"))

TICK_US = 50_000

# A process of its own, and apsw: nothing else may open the file.
CHECK = """
import sys, apsw
for path in sys.stdin:
    connection = apsw.Connection(path.strip())
    print(connection.execute("PRAGMA integrity_check").get, flush=True)
    connection.close()
"""


def accepted(path):
    """What the adders were promised: names and instants by task, and the cancellations."""
    tasks, cancelled = {}, []
    for line in Path(path).read_text().splitlines():
        what, task, *rest = line.split()
        if what == "T":
            tasks[int(task)] = (rest[0], int(rest[1]))
        else:
            cancelled.append((int(task), rest[0], int(rest[1])))
    return tasks, cancelled


def not_as_answered(store, ledger, cancelled):
    """Cancellations whose answer was not the truth."""
    wrong = []
    for task, answer, at in cancelled:
        row, begun = store.get(task), ledger.begun[task]
        if answer == "cancelled" and (row.state != "cancelled" or any(one.at > at for one in begun)):
            wrong.append(f"{task} was to be cancelled at {at}: {row} {begun}")
        if answer == "too-late" and row.state == "cancelled":
            wrong.append(f"{task} was cancelled after all: {row}")
    return wrong


@pytest.mark.timeout(90 + 6 * KILLS)
@pytest.mark.parametrize("pool", ["threads", "processes"])
@pytest.mark.parametrize("daemons", [1, 2])
def test_killed_at_any_moment_it_loses_nothing_and_the_books_are_true(place, start, client, ledger, daemons, pool):
    seed = int(os.environ.get("CHAOS_SEED", random.randrange(1 << 32)))
    kills = KILLS // 4  # for each of the four runs: with one daemon, and with a neighbour that takes over
    say(f"seed {seed}, {kills} kills, {daemons} at a time, on {pool}")
    chance = random.Random(seed)

    def begin():
        daemon = start("serve.py", TICK="50ms", MAINSPRING_POOL=pool)
        daemon.until("alone" if daemons == 1 and chance.random() < 0.2 else "ready")
        return daemon

    check = start("-c", CHECK)
    adder = start("feed.py", str(chance.randrange(1 << 32)))
    adder.until("ready")
    said, kills_done = [], []
    running = [begin() for _ in range(daemons)]
    for _ in range(kills):
        victim = running.pop(chance.randrange(daemons))
        said += victim.lines_for(chance.uniform(0.01, 0.3))
        said += killed(victim, kills_done)
        if chance.random() < 0.2:
            adder.kill()
            adder = start("feed.py", str(chance.randrange(1 << 32)))
            adder.until("ready")
        assert adder.process.poll() is None, adder.errors()
        check.say(place["STORE"])
        assert check.line() == "ok"
        running.append(begin())
    for daemon in running:
        said += killed(daemon, kills_done)
    adder.kill()
    last = start("serve.py", TICK="50ms", MAINSPRING_POOL=pool)
    assert last.until("alone") == "alone 0"
    tasks, cancelled = accepted(place["ACCEPTED"])
    for number in tasks:
        assert client.get(str(number)).wait(PATIENCE), client.get(str(number))
    assert last.terminate() == 0
    twice = judge(client.store, place, tasks, cancelled, said, died=KILLS // 40)
    ledger.add("the daemon is killed", runs=len(kills_done), twice=twice)
    assert windows(client.store, place["LEDGER"], tasks, kills_done) == []
    check.say(place["STORE"])
    assert check.line() == "ok"


def judge(store, place, tasks, cancelled, said, died):
    """Everything that must hold now that all is at rest; how many attempts were lost. `died`: so many takeovers
    at least are told (a few kills may all hit a daemon that has not begun).
    """
    ledger = Ledger(place["LEDGER"])
    rows = store.find(Filter(limit=1_000_000))
    once = [row.id for row in rows if (row.name or row.work).rpartition(":")[2] in ("once", "program-once")]
    assert {row.id for row in rows} >= tasks.keys()
    assert ledger.begun.keys() <= {row.id for row in rows}
    assert compare(store, ledger, [row.id for row in rows if row.schedule is None]) == []
    assert compare_once(store, ledger, once) == []
    assert not_as_answered(store, ledger, cancelled) == []
    moved = [row for row in rows if row.id in tasks and row.run_at != tasks[row.id][1]]
    assert [row for row in moved if not store.attempts(row.id)] == []  # only a retry has another instant
    ticks = sorted(row.run_at for row in rows if row.schedule == "tick" and row.state in FINISHED)
    expected = list(range(ticks[0], ticks[-1] + 1, TICK_US))  # each occurrence once, none left out
    odd = {
        at: [row for row in rows if row.schedule == "tick" and row.run_at == at] for at in set(ticks) ^ set(expected)
    }
    assert (odd, sorted(ticks)) == ({}, expected)
    assert compare(store, ledger, [row.id for row in rows if row.run_at in ticks and row.schedule]) == []
    trouble = [
        "\n".join(said[at : at + 30])  # with the traceback that follows
        for at, line in enumerate(said)
        if "it goes on in a second" in line or (line.startswith("alone") and line != "alone 0")
    ]
    assert trouble == []
    lost = sum(row.losses for row in rows)
    told = sum(line.startswith("node") for line in said)
    say(f"{len(rows)} tasks, {told} takeovers, {lost} attempts lost, {len(ledger.begun)} tasks began")
    assert told >= died
    assert lost > 0 or not died
    return lost
