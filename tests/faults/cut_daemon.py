"""A daemon whose disk loses its power: it runs tasks of `tests/process/workload.py` and adds more until then.

argv: at which call that writes, and where to leave what the disk has kept. What `add_task` acknowledged is noted in
the file ACCEPTED, as `<task> <name>`. With `rest` instead it runs on the store as it is until all is over.
"""

import os
import sys
from pathlib import Path

sys.path.append(str(Path(__file__).parents[1] / "process"))

from faulty_vfs import CutAt, Disk, Platter


def work_until(number, into):
    platter = Platter()
    disk = Disk(CutAt(number, platter, number, into), platter)  # before anything opens the store
    import workload

    accepted = os.open(os.environ["ACCEPTED"], os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    with workload.daemon:
        while disk:
            for work in (workload.quick, workload.once, workload.flaky, workload.soon):
                task = work.enqueue()
                os.write(accepted, f"{task.id} {work.__name__}\n".encode())


def rest():
    import workload
    from support import say

    def over():
        counts = workload.daemon.status().counts
        return not (counts["waiting"] or counts["running"]) or None

    with workload.daemon:
        workload.daemon._waiting.until(over, None, every=20_000)
        say("over")


if __name__ == "__main__":
    if sys.argv[1] == "rest":
        rest()
    else:
        work_until(int(sys.argv[1]), sys.argv[2])
