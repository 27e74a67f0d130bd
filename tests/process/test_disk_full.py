"""A full disk: what cannot be kept is refused, what was accepted is kept, and with room again all goes on by itself."""

import json
import os

import pytest
from support import Script

from mainspring.store import journal

pytestmark = pytest.mark.process

# A daemon on a disk that fills up while one task runs and others wait behind it; then there is room again.
# argv: "full" (SQLite's files cannot grow, and it says SQLITE_FULL as it does after ENOSPC) or "limit" (the system lets
# no file be written to at all, which is an I/O error), and the gate's path.
FULL = """
import json, logging, os, resource, sys, threading
import apsw

full = threading.Event()

class SmallFile(apsw.VFSFile):
    def xWrite(self, data, offset):
        if full.is_set() and offset + len(data) > self.xFileSize():
            raise apsw.FullError("no space left on device")
        super().xWrite(data, offset)

class SmallDisk(apsw.VFS):
    def __init__(self):
        super().__init__("small", "unix", makedefault=True)
    def xOpen(self, name, flags):
        return SmallFile("unix", name, flags)

disk = SmallDisk()  # before anything opens a store
import workload
from support import open_gate, say, wait_at_gate
from mainspring import StoreError

how, gate = sys.argv[1:]
daemon, store = workload.daemon, os.environ["STORE"]

def fill():
    if how == "limit":
        resource.setrlimit(resource.RLIMIT_FSIZE, (1, resource.RLIM_INFINITY))
    else:
        full.set()

def make_room():
    if how == "limit":
        resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    else:
        full.clear()

class Kept(logging.Handler):
    kept = threading.Event()
    def emit(self, record):
        # most of what was behind the gate ran, or could not be started; this is said four times a second
        if "outcomes are kept" in record.getMessage() and len(daemon._engine.timeline) < 15:
            self.kept.set()

logging.getLogger("mainspring").addHandler(Kept())
with daemon:
    workload.quick.enqueue().result(50)
    running = workload.gate.enqueue(gate)
    wait_at_gate(gate)
    behind = daemon.add_tasks([{"work": one} for one in (workload.once, workload.quick, workload.flaky) * 10])
    while len(daemon._engine.timeline) < len(behind):
        os.sched_yield()  # it reserves them now, and nothing tells when it has
    fill()
    accepted, refused = [], []
    while len(refused) < 5:
        try:
            accepted.append(workload.quick.enqueue())
        except StoreError as error:
            refused.append(str(error))
    try:
        refused.append(f"cancelled: {behind[-1].cancel()}")
    except StoreError as error:
        refused.append(str(error))
    try:
        workload.Daemon(store, name="another").start()
    except StoreError as error:
        refused.append(str(error))
    open_gate(gate)
    assert Kept.kept.wait(50)
    make_room()
    again = workload.quick.enqueue()
    results = [task.wait(50) for task in (running, again, *behind, *accepted)]
    counts = daemon.status().counts
say(json.dumps([refused, results, counts, len(accepted), behind[-1].refresh().state]))
"""


@pytest.mark.parametrize("how", ["full", "limit"])
def test_a_full_disk_refuses_what_it_cannot_keep_and_goes_on_when_there_is_room(place, tmp_path, fifo, how):
    environment = {**place, "WORKERS": "1", "LEDGER": "/dev/null"}  # the bodies themselves need no disk
    script = Script(["-c", FULL, how, fifo()], environment, tmp_path / "errors")
    try:
        said = script.line()
        assert said is not None, (script.process.wait(), script.errors())
        refused, results, counts, accepted, last = json.loads(said)
    finally:
        script.close()
    why = "is full; nothing was stored" if how == "full" else "the disk did not take"
    assert [why in text for text in refused[:5]] == [True] * 5, refused
    assert len(refused) == 7  # no other daemon can start either
    assert all(results)
    assert last == "succeeded" or refused[5].startswith("cancelled")
    cancelled = last == "cancelled"
    assert counts["succeeded"] == 1 + 1 + 1 + 30 + accepted - cancelled
    assert sum(counts.values()) == 1 + 1 + 1 + 30 + accepted


def test_the_journal_has_its_place_on_the_disk_from_the_beginning(tmp_path):
    """A start is noted in mapped memory: a page that found the disk full only then would end the process (SIGBUS)."""
    made = tmp_path / "journal"
    os.close(journal.create(str(made)))
    assert made.stat().st_size == journal.SIZE
    assert made.stat().st_blocks * 512 >= journal.SIZE
