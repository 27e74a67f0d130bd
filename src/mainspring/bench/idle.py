"""What a daemon costs while nothing is due: how often any of its threads wakes up, and the processor time it takes."""

import multiprocessing
import os
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from multiprocessing.connection import Connection
from pathlib import Path

from mainspring.app import Daemon
from mainspring.bench.figures import Idle
from mainspring.when.clock import SystemClock

_clock = SystemClock()
_BATCH = 1_000
_SETTLE_S = 3.0
_UP_S = 60.0


def later(number: int) -> None:
    """What would be done, in a month."""


def idle(pending: int, seconds: float, others: int = 0) -> Idle:
    """A started daemon with so many tasks a month ahead, and so many others on its file."""
    daemon = Daemon("bench.db", workers=8)
    task = daemon.task(later, name="bench:later")  # type: ignore[call-overload]
    daemon.before_adding = lambda: None  # type: ignore[method-assign]  # the daemon starts when all is there
    for first in range(0, pending, _BATCH):
        daemon.add_tasks(
            {"work": task, "args": (number,), "after": 30 * 86400 + number / 1000}
            for number in range(first, first + _BATCH)
        )
    began = _clock.monotonic()
    with daemon, ExitStack() as company:
        start_ms = (_clock.monotonic() - began) / 1000
        for _ in range(others):
            company.enter_context(_another())
        time.sleep(_SETTLE_S)
        switches_per_s, cpu_ms_per_s = cost(seconds)
        memory = memory_mb()
    daemon.store.close()  # moves the log into the file
    size = os.path.getsize("bench.db")
    return Idle(
        pending=pending,
        switches_per_s=switches_per_s,
        cpu_ms_per_s=cpu_ms_per_s,
        memory_mb=memory,
        start_ms=start_ms,
        bytes_per_task=round(size / pending, 1) if pending else None,
        others=others,
    )


@contextmanager
def _another() -> Iterator[None]:
    """One more daemon on the file, in a process of its own, up and with all its children."""
    spawn = multiprocessing.get_context("spawn")
    ours, theirs = spawn.Pipe()
    process = spawn.Process(target=_sit, args=(theirs,))
    process.start()
    if not ours.poll(_UP_S):
        raise TimeoutError(f"another daemon on the file did not come up within {_UP_S:g} s")
    ours.recv()
    yield
    ours.send(None)
    process.join()


def _sit(pipe: Connection) -> None:
    daemon = Daemon("bench.db", workers=2, listener_workers=1, pool="processes")
    daemon.task(later, name="bench:later")  # type: ignore[call-overload]
    daemon.listener(hear, name="bench:hear")  # type: ignore[call-overload]
    with daemon:
        while [one.state for one in daemon.status().listeners] != ["up"]:  # here or in another
            time.sleep(0.01)
        pipe.send(None)
        pipe.recv()
        daemon.stop(0)


def hear() -> None:
    """A listener that waits for what never comes."""
    ears, _mouth = socket.socketpair()
    ears.recv(1)


def cost(seconds: float) -> tuple[float, float]:
    """What this process and all below it do meanwhile: wake-ups, and milliseconds of processor time, a second."""
    family = list(_family(os.getpid()))
    switches, cpu = _switches(family), _cpu(family)
    time.sleep(seconds)
    switches, cpu = _switches(family) - switches, _cpu(family) - cpu
    return switches / seconds, cpu * 1000 / seconds


def memory_mb() -> float:
    """The resident memory of this process."""
    return round(_field(Path("/proc/self/status"), "VmRSS") / 1024, 1)


def _family(pid: int) -> Iterator[int]:
    """A process, its children, and theirs."""
    yield pid
    for thread in Path(f"/proc/{pid}/task").iterdir():
        for child in (thread / "children").read_text().split():
            yield from _family(int(child))


def _threads(family: list[int]) -> Iterator[Path]:
    """All threads of these processes but this one, which does the measuring."""
    own = str(threading.get_native_id())
    for pid in family:
        yield from (thread for thread in Path(f"/proc/{pid}/task").iterdir() if thread.name != own)


def _switches(family: list[int]) -> int:
    """Their voluntary context switches so far."""
    return sum(_field(thread / "status", "voluntary_ctxt_switches") for thread in _threads(family))


def _cpu(family: list[int]) -> float:
    """Their processor time so far, in seconds: by the nanosecond, for it is less than a tick."""
    return sum(int((thread / "schedstat").read_text().split()[0]) for thread in _threads(family)) / 1e9


def _field(path: Path, name: str) -> int:
    for line in path.read_text().splitlines():
        if line.startswith(f"{name}:"):
            return int(line.split()[1])
    raise LookupError(f"{path} has no {name}; the idle measurement needs Linux")
