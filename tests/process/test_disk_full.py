"""A full disk: what cannot be kept is refused, what was accepted is kept, and with room again all goes on by itself."""

import json
import shutil
import subprocess

import pytest
from support import Script

pytestmark = pytest.mark.process

# A daemon on a disk that fills up while one task runs and others wait behind it; then there is room again.
# argv: "tmpfs" (the store is on a small one: fill it) or "limit" (no file can be written to), and the gate's path.
FULL = """
import json, logging, os, resource, sys, threading
import workload
from support import open_gate, say, wait_at_gate
from mainspring import StoreError

how, gate = sys.argv[1:]
daemon, store = workload.daemon, os.environ["STORE"]
# so many starts that the next ones are noted on a page of the journal that was not touched before
BEFORE = 122

def fill():
    if how == "limit":
        resource.setrlimit(resource.RLIMIT_FSIZE, (1, resource.RLIM_INFINITY))
        return
    with open(store + ".ballast", "wb", buffering=0) as file:
        for size in (65536, 4096):
            try:
                while True:
                    file.write(bytes(size))
            except OSError:
                pass

def make_room():
    if how == "limit":
        resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    else:
        os.unlink(store + ".ballast")

class Kept(logging.Handler):
    kept = threading.Event()
    def emit(self, record):
        # most of what was behind the gate ran, or could not be started; this is said four times a second
        if "outcomes are kept" in record.getMessage() and len(daemon._engine.timeline) < 15:
            self.kept.set()

logging.getLogger("mainspring").addHandler(Kept())
with daemon:
    for task in daemon.add_tasks([{"work": workload.quick}] * BEFORE):
        task.result(50)
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


def small_disk(place):
    """The beginning of a command that runs the rest of it with a small disk of its own mounted at `place`; or skip."""
    if shutil.which("unshare") is None:
        pytest.skip("needs unshare(1)")
    command = ["unshare", "-Urm", "sh", "-c", 'mount -t tmpfs -o size=6m none "$0" && exec "$@"', str(place)]
    if subprocess.run([*command, "true"], capture_output=True, check=False).returncode:
        pytest.skip("may not mount a file system in a namespace of its own")
    return command


@pytest.mark.parametrize("how", ["tmpfs", "limit"])
def test_a_full_disk_refuses_what_it_cannot_keep_and_goes_on_when_there_is_room(place, tmp_path, fifo, how):
    disk = tmp_path / "disk"
    disk.mkdir()
    prefix = small_disk(disk) if how == "tmpfs" else []
    environment = {**place, "STORE": str(disk / "shop.db"), "WORKERS": "1", "LEDGER": "/dev/null"}
    script = Script(["-c", FULL, how, fifo()], environment, tmp_path / "errors", prefix)
    try:
        said = script.line()
        assert said is not None, (script.process.wait(), script.errors())
        refused, results, counts, accepted, last = json.loads(said)
    finally:
        script.close()
    why = "is full; nothing was stored" if how == "tmpfs" else "the disk did not take"
    assert [why in text for text in refused[:5]] == [True] * 5, refused
    assert len(refused) == 7  # no other daemon can start either
    assert all(results)
    assert last == "succeeded" or refused[5].startswith("cancelled")
    cancelled = last == "cancelled"
    assert counts["succeeded"] == 122 + 1 + 1 + 30 + accepted - cancelled
    assert sum(counts.values()) == 122 + 1 + 1 + 30 + accepted
