"""What a daemon costs while nothing is due: how often any of its threads wakes up, and the processor time it takes."""

import os
import threading
import time
from pathlib import Path

from mainspring.app import Daemon
from mainspring.bench.figures import Idle
from mainspring.when.clock import SystemClock

_clock = SystemClock()
_BATCH = 1_000
_SETTLE_S = 3.0


def later(number: int) -> None:
    """What would be done, in a month."""


def idle(pending: int, seconds: float) -> Idle:
    """A started daemon with so many tasks a month ahead."""
    daemon = Daemon("bench.db", workers=8)
    task = daemon.task(later, name="bench:later")  # type: ignore[call-overload]
    daemon.before_adding = lambda: None  # type: ignore[method-assign]  # the daemon starts when all is there
    for first in range(0, pending, _BATCH):
        daemon.add_tasks(
            {"work": task, "args": (number,), "after": 30 * 86400 + number / 1000}
            for number in range(first, first + _BATCH)
        )
    began = _clock.monotonic()
    with daemon:
        start_ms = (_clock.monotonic() - began) / 1000
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
    )


def cost(seconds: float) -> tuple[float, float]:
    """What this process does meanwhile: wake-ups, and milliseconds of processor time, a second."""
    switches, cpu = _switches(), _cpu()
    time.sleep(seconds)
    switches, cpu = _switches() - switches, _cpu() - cpu
    return switches / seconds, cpu * 1000 / seconds


def memory_mb() -> float:
    """The resident memory of this process."""
    return round(_field(Path("/proc/self/status"), "VmRSS") / 1024, 1)


def _switches() -> int:
    """Voluntary context switches of all threads but this one, which does the measuring."""
    own = str(threading.get_native_id())
    return sum(
        _field(thread / "status", "voluntary_ctxt_switches")
        for thread in Path("/proc/self/task").iterdir()
        if thread.name != own
    )


def _cpu() -> float:
    """Processor time of this process so far, in seconds."""
    times = os.times()
    return times.user + times.system


def _field(path: Path, name: str) -> int:
    for line in path.read_text().splitlines():
        if line.startswith(f"{name}:"):
            return int(line.split()[1])
    raise LookupError(f"{path} has no {name}; the idle measurement needs Linux")
