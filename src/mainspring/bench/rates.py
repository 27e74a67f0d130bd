"""How many a second: tasks added in bulk, run and recorded; tasks added one by one, beside the disk's own commits."""

import os
import threading
from collections.abc import Callable

from mainspring.app import Daemon
from mainspring.bench.figures import Adds, Flow
from mainspring.bench.starts import ring
from mainspring.when.clock import SystemClock

_clock = SystemClock()
_PATIENCE_S = 300.0
_BATCH = 1_000
_PAGE = b"\0" * 4096

_ran: list[int] = []
_all = threading.Event()
_count = 0


def pass_by(number: int) -> None:
    """What the tasks of this measurement do: next to nothing."""
    _ran.append(number)
    if len(_ran) >= _count:
        _all.set()


def flow(count: int, store: str = "bench.db") -> Flow:
    """Added by a thousand, run by 8 threads, recorded; all in this process, history kept."""
    global _count  # noqa: PLW0603  # a task's body is a plain function; this is a process for one measurement
    _count = count
    _ran.clear()
    _all.clear()
    daemon = Daemon(store, workers=8)
    task = daemon.task(pass_by, name="bench:pass_by")  # type: ignore[call-overload]
    daemon.task(ring, name="bench:ring")  # type: ignore[call-overload]  # what waits in a full store
    with daemon:
        before = daemon.status().counts["succeeded"]
        began = _clock.monotonic()
        for first in range(0, count, _BATCH):
            daemon.add_tasks({"work": task, "args": (number,)} for number in range(first, min(first + _BATCH, count)))
        _all.wait(_PATIENCE_S)
        daemon.drain(_PATIENCE_S)
        took = _clock.monotonic() - began
        counts = daemon.status().counts
    return Flow(
        tasks=count, seconds=took / 1e6, succeeded=counts["succeeded"] - before, twice=len(_ran) - len(set(_ran))
    )


def adds(seconds: float) -> Adds:
    """Commits a second: of the disk (one page, one fdatasync), of one adding thread, of eight."""
    daemon = Daemon("bench.db")  # a client: nobody runs what is added, nothing but the adding is measured
    daemon.before_adding = lambda: None  # type: ignore[method-assign]  # nobody runs it, and need not be told

    def add() -> None:
        daemon.add_task("bench:later", args=(1,), after="30d")

    add()  # opens the store
    disk = _rate(_fsync(), 1, seconds)
    return Adds(fsync=disk, one=_rate(add, 1, seconds), eight=_rate(add, 8, seconds))


def _fsync() -> Callable[[], None]:
    file = os.open("disk", os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600)

    def commit() -> None:
        os.write(file, _PAGE)
        os.fdatasync(file)

    return commit


def _rate(act: Callable[[], None], threads: int, seconds: float) -> float:
    """How often a second `act` comes to its end, called by so many threads for so long."""
    counts: list[int] = []
    end = _clock.monotonic() + int(seconds * 1e6)

    def go() -> None:
        count = 0
        while _clock.monotonic() < end:
            act()
            count += 1
        counts.append(count)

    crew = [threading.Thread(target=go) for _ in range(threads)]
    for one in crew:
        one.start()
    for one in crew:
        one.join()
    return sum(counts) / seconds
