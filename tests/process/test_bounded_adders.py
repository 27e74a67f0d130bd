"""Several processes add to one bounded queue: never is more let in than there is room for, and nothing is dropped."""

import select

import pytest
from support import Script

from mainspring import Daemon

ADD = """
import sys
from support import say
from mainspring import Daemon, QueueFull

store, limit, when_full, count = sys.argv[1:]
daemon = Daemon(store, max_pending=int(limit), when_full=when_full, name="adds")
say("ready")
sys.stdin.readline()
added = 0
for number in range(int(count)):
    try:
        if number % 3:
            daemon.add_task("t:note", (number,))
        else:
            daemon.add_tasks([{"work": "t:note", "args": (number,), "key": f"{sys.argv[0]} {id(daemon)} {number}"}])
    except QueueFull:
        continue
    added += 1
say("added", added)
"""


@pytest.fixture
def adders(tmp_path):
    started = []

    def start(*words):
        argv = ["-c", ADD, *map(str, words)]
        started.extend(Script(argv, {}, tmp_path / f"errors-{number}") for number in range(4))
        for script in started:
            script.until("ready")
        for script in started:
            script.say("go")
        return started

    yield start
    for script in started:
        script.process.kill()
        script.process.wait()
        script.process.stdin.close()
        script.process.stdout.close()


def added(script):
    return int(script.until("added").split()[1])


def test_four_processes_never_pass_the_bound(adders, tmp_path):
    store = tmp_path / "tasks.db"
    client = Daemon(store)
    client.status()
    accepted = [added(script) for script in adders(store, 50, "refuse", 40)]
    assert sum(accepted) == 50, accepted
    assert client.store.pending(client.clock.now(), 1_000) == 50
    client.close()


def test_four_processes_wait_for_room_and_all_is_run(adders, tmp_path):
    store = tmp_path / "tasks.db"
    daemon = Daemon(store, workers=2, name="runs")
    ran, most = [], 0

    @daemon.task(name="t:note")
    def note(number):
        ran.append(number)

    with daemon:
        watch = daemon.store.watch()
        scripts = adders(store, 5, "block", 60)
        waiting = {script.process.stdout: script for script in scripts}
        while waiting:
            for ready in select.select([watch.fileno(), *waiting], (), ())[0]:
                if ready in waiting:
                    assert added(waiting.pop(ready)) == 60
            watch.drain()
            most = max(most, daemon.store.pending(daemon.clock.now(), 1_000))
        watch.close()
        assert daemon.drain(60)
    daemon.close()
    assert 0 < most <= 5
    assert sorted(ran) == sorted([*range(60)] * 4)
