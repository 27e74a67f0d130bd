"""Parts of a daemon under load are killed, stopped and showered with signals. Nothing is lost, and the books are true.

`CHAOS_KILLS` says how often, `CHAOS_SEED` repeats a run as far as chance allows; see `make chaos`.
"""

import os
import random
import signal
from pathlib import Path

import pytest
from support import PATIENCE, say
from test_kill_9 import CHECK, accepted, judge
from window_books import killed, windows

from mainspring.testing.windows import Kill
from mainspring.when.clock import SystemClock

pytestmark = pytest.mark.process

HARMS = max(4, int(os.environ.get("CHAOS_KILLS", "20")) // 4)
IGNORED = (signal.SIGCHLD, signal.SIGWINCH, signal.SIGCONT, signal.SIGURG)  # by whoever has no handler for them
_clock = SystemClock()


def descendants(pid):
    """Its children, theirs, and so on: pid and command line."""
    found = []
    for task in Path(f"/proc/{pid}/task").glob("*"):
        try:
            for child in (task / "children").read_text().split():
                words = Path(f"/proc/{child}/cmdline").read_bytes().decode(errors="replace").split("\0")
                found += [(int(child), " ".join(words)), *descendants(child)]
        except OSError:
            pass  # gone meanwhile
    return found


def kill_some(pids, kills):
    """SIGKILL these, whoever of them is still there."""
    before = _clock.now()
    for pid in pids:
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
    kills.append(Kill(before, _clock.now(), set(pids)))


def a_worker_process(daemon, chance, kills):
    """One of the processes that bodies run in."""
    workers = [pid for pid, words in descendants(daemon.pid) if "keeper" not in words and "sh -c" not in words]
    if workers:
        kill_some([chance.choice(workers)], kills)


def the_keeper(daemon, _, kills):
    """The process that starts programs; it takes them with it."""
    keepers = [pid for pid, words in descendants(daemon.pid) if "keeper" in words]
    kill_some(keepers, kills)


def everything_at_once(daemon, _, kills):
    """As the out-of-memory killer does to a whole group."""
    kill_some([daemon.pid, *(pid for pid, _ in descendants(daemon.pid))], kills)
    daemon.process.wait()


def it_stands_still(daemon, chance, _):
    """Stopped for a moment, everything as it is, and let go on."""
    daemon.send(signal.SIGSTOP)
    os.waitid(os.P_PID, daemon.pid, os.WSTOPPED | os.WNOWAIT)
    daemon.lines_for(chance.uniform(0.01, 0.2))
    daemon.send(signal.SIGCONT)


def a_shower_of_signals(daemon, chance, _):
    """Each may come in the middle of a commit."""
    for _ in range(100):
        daemon.send(chance.choice(IGNORED))


CASES = [
    (a_worker_process, "processes"), (the_keeper, "threads"), (the_keeper, "processes"),
    (everything_at_once, "threads"), (everything_at_once, "processes"), (it_stands_still, "threads"),
    (it_stands_still, "processes"), (a_shower_of_signals, "threads"), (a_shower_of_signals, "processes"),
]  # fmt: skip


@pytest.mark.timeout(90 + 6 * HARMS)
@pytest.mark.parametrize(("harm", "pool"), CASES, ids=lambda one: getattr(one, "__name__", one))
def test_whatever_is_done_to_its_processes_it_loses_nothing(place, start, client, ledger, harm, pool):
    seed = int(os.environ.get("CHAOS_SEED", random.randrange(1 << 32)))
    say(f"seed {seed}, {HARMS} times {harm.__name__}, on {pool}")
    chance = random.Random(seed)

    def begin():
        daemon = start("serve.py", TICK="50ms", MAINSPRING_POOL=pool)
        daemon.until("ready")
        return daemon

    check = start("-c", CHECK)
    daemon, adder, said, kills = begin(), start("feed.py", str(chance.randrange(1 << 32))), [], []
    adder.until("ready")
    for _ in range(HARMS):
        said += daemon.lines_for(chance.uniform(0.05, 0.3))
        harm(daemon, chance, kills)
        if daemon.process.poll() is not None:
            assert harm is everything_at_once, daemon.errors()
            said += daemon.rest()
            daemon = begin()
        check.say(place["STORE"])
        assert check.line() == "ok"
    adder.kill()
    said += daemon.lines_for(0.1)
    said += killed(daemon, kills)
    last = start("serve.py", TICK="50ms", MAINSPRING_POOL=pool)
    assert last.until("alone") == "alone 0"
    tasks, cancelled = accepted(place["ACCEPTED"])
    for number in tasks:
        assert client.get(str(number)).wait(PATIENCE), client.get(str(number))
    assert last.terminate() == 0
    twice = judge(client.store, place, tasks, cancelled, said, died=0)
    ledger.add(harm.__name__.replace("_", " "), runs=HARMS, twice=twice)
    assert windows(client.store, place["LEDGER"], tasks, kills) == []
