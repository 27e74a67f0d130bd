"""Web servers that load the application first and fork then: every side goes on, nothing is shared that must not be."""

import pytest
from support import PATIENCE, Ledger, compare, open_gate, wait_at_gate

pytestmark = pytest.mark.process

# The parent makes the daemon, and (told to) starts it and lets it work, before it forks; four children add tasks.
PRELOAD = """
import os, sys, warnings
warnings.filterwarnings("ignore", "This process .* is multi-threaded", DeprecationWarning)
import workload
from support import say
daemon = workload.daemon
if "started" in sys.argv:
    daemon.start()
    daemon.add_tasks([{"work": workload.short, "args": (1,)}] * 50)  # it is at work while it forks
elif "used" in sys.argv:
    daemon.status()
for n in range(4):
    if os.fork() == 0:
        try:
            assert not daemon.started
            tasks = [workload.quick.enqueue() for _ in range(5)]
            tasks += daemon.add_tasks([{"work": workload.quick}] * 5)
            if "start" in sys.argv:
                daemon.start()
            for task in tasks:
                task.result(50)
            say("child", *[task.id for task in tasks])
            daemon.stop()
        except BaseException:
            import traceback
            traceback.print_exc()
            os._exit(1)
        os._exit(0)
if "started" in sys.argv:
    assert daemon.started
    workload.quick.enqueue().result(50)
codes = [os.waitstatus_to_exitcode(os.wait()[1]) for _ in range(4)]
daemon.stop()
say("parent", *codes)
"""


@pytest.mark.parametrize(
    "how", [("made", "start"), ("used", "start"), ("started",), ("started", "start")], ids=" ".join
)
def test_a_server_that_forks_after_it_loaded_the_application(start, client, place, how):
    parent = start("-c", PRELOAD, *how)
    children = [parent.until("child").split()[1:] for _ in range(4)]
    assert parent.until("parent") == "parent 0 0 0 0"
    assert parent.end() == 0
    # children that add before they start are told, rightly, that nobody runs the store
    assert [line for line in parent.errors().splitlines() if not line.startswith("no daemon runs")] == []
    tasks = {int(task) for child in children for task in child}
    assert len(tasks) == 40
    ledger = Ledger(place["LEDGER"])
    everything = [int(task.id) for task in client.find(limit=1_000)]
    assert tasks <= set(everything)
    assert compare(client.store, ledger, everything) == []
    assert {len(ledger.begun[task]) for task in everything} == {1}
    assert client.store.nodes() == []


GET_DAEMON = """
import os, warnings
warnings.filterwarnings("ignore", "This process .* is multi-threaded", DeprecationWarning)
from mainspring import get_daemon
import workload
from support import say
parents = get_daemon()
reader, writer = os.pipe()
if os.fork() == 0:
    try:
        childs = get_daemon(start=False)
        os.write(writer, f"{childs is parents} {childs.started} ".encode())
        os.write(writer, f"{get_daemon().started} {get_daemon().add_task('workload:quick').result(50)}".encode())
        childs.stop()
    except BaseException:
        import traceback
        traceback.print_exc()
    os._exit(0)
os.close(writer)
os.wait()
say(os.read(reader, 1000).decode(), parents.started, len(parents.store.nodes()))
"""


def test_get_daemon_in_a_forked_child_is_not_started_and_starts_there_anew(start, place):
    script = start("-c", GET_DAEMON, MAINSPRING_STORE=place["STORE"])
    assert script.line() == "True False True None True 1"
    assert (script.end(), script.errors()) == (0, "")


def test_a_child_that_outlives_its_parent_does_not_keep_its_place(start, client, fifo):
    path = fifo()
    code = """
import os, sys, warnings
warnings.filterwarnings("ignore", "This process .* is multi-threaded", DeprecationWarning)
import workload
from support import say
workload.daemon.start()
workload.gate.enqueue(sys.argv[1])
if os.fork() == 0:
    os.write(1, b"child\\n")
    sys.stdin.read()
    os._exit(0)
sys.stdin.read()
"""
    parent = start("-c", code, path)
    parent.until("child")
    wait_at_gate(path)
    [task] = client.find(state="running") or client.find(state="waiting")
    parent.kill()  # the child lives on
    start("serve.py").until("ready")
    wait_at_gate(path)
    open_gate(path)
    assert task.result(PATIENCE) is None
    assert [one.reason for one in task.attempts] == ["worker lost"]


MULTIPROCESSING = """
import multiprocessing, sys, warnings
warnings.filterwarnings("ignore", "This process .* is multi-threaded", DeprecationWarning)
import workload
from support import say

def main():
    context = multiprocessing.get_context(sys.argv[1])
    with workload.daemon, context.Pool(3) as pool:
        found = pool.map(workload.add_and_wait, range(6))
        say(*found)
        pool.close()
        pool.join()

if __name__ == "__main__":
    main()
"""


@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
def test_workers_of_multiprocessing_are_clients(start, place, client, tmp_path, method):
    (tmp_path / "main.py").write_text(MULTIPROCESSING)
    script = start(str(tmp_path / "main.py"), method)
    found = script.line()
    assert found is not None, script.errors()
    assert (script.end(), script.errors()) == (0, "")
    started, tasks = zip(*[pair.split("/") for pair in found.split()], strict=True)
    assert set(started) == {"False"}
    assert len(set(tasks)) == 6
    assert compare(client.store, Ledger(place["LEDGER"]), map(int, tasks)) == []
