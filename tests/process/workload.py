"""The tasks that the tests of this folder run, and the ledger in which each body notes what really happened.

The ledger is a text file; every line is one `write` with O_APPEND, which survives SIGKILL of the writer:
`B <task> <attempt> <fence> <now µs> <run_at µs> <name> <pid> <parent's pid>` when a body begins, the same with `E` when
it ends,
`F <task> <state>` when the daemon says that a final state was recorded.
"""

import asyncio
import os
import signal
import time

from mainspring import Daemon, Retry, context, stopping

LEDGER = os.environ["LEDGER"]
_fd = os.open(LEDGER, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)

daemon = Daemon(
    os.environ["STORE"],
    name="workload",
    workers=int(os.environ.get("WORKERS", "4")),
    grace=os.environ.get("GRACE", "20s"),
)


def write(*words):
    """One line of the ledger."""
    os.write(_fd, (" ".join(map(str, words)) + "\n").encode())


def note(what):
    """What the body that calls this does now."""
    me = context()
    run_at = round(me.run_at.timestamp() * 1_000_000)
    write(what, me.task_id, me.attempt, me.fence, time.time_ns() // 1000, run_at, me.name, os.getpid(), os.getppid())


@daemon.task
def quick():
    note("B")
    note("E")


@daemon.task
def short(ms=5):
    note("B")
    time.sleep(ms / 1000)  # a sleeping body
    note("E")


@daemon.task
async def soon(ms=3):
    note("B")
    await asyncio.sleep(ms / 1000)  # a sleeping body
    note("E")


@daemon.task(retry=Retry(5, delay="2ms", jitter=False))
def flaky():
    """Fails twice, whatever else happens to it."""
    note("B")
    if context().attempt < 3:
        raise RuntimeError("not yet")
    note("E")


@daemon.task(delivery="at-most-once")
def once(ms=2):
    note("B")
    time.sleep(ms / 1000)  # a sleeping body
    note("E")


@daemon.task
def deadly():
    """Takes its whole process with it."""
    note("B")
    os.kill(os.getpid(), signal.SIGKILL)


@daemon.task
def gate(path):
    """Says "begun" through the FIFO `path`.out, and ends when somebody opens and closes `path`.in."""
    note("B")
    with open(f"{path}.out", "w") as out:
        out.write("begun\n")
    with open(f"{path}.in") as wait:
        wait.read()
    note("E")


@daemon.task(delivery="at-most-once")
def gate_once(path):
    gate.__wrapped__(path)


@daemon.task
def heedful(path):
    """Says "begun", and ends when it is asked to."""
    note("B")
    with open(f"{path}.out", "w") as out:
        out.write("begun\n")
    while not stopping():
        time.sleep(0.002)  # a sleeping body
    note("E")


def add_and_wait(_):
    """No task: for a worker of multiprocessing, which adds one."""
    task = quick.enqueue()
    task.result(50)
    return f"{daemon.started}/{task.id}"
