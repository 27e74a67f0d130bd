"""What a store full of pending tasks costs: each function is one measurement, in a process of its own.

They work on a store that `fill` has made, in the current directory. The pending tasks are of the same function, queue
and priority as those that are measured, and due at random in a month: they stand in the same index, right behind them.
"""

import os
import random
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager

from mainspring.adding import Item
from mainspring.app import Daemon
from mainspring.bench import idle, rates, starts
from mainspring.bench.figures import Filled, Load, Pruned, Resting, median
from mainspring.functions import TaskFunction
from mainspring.store.rows import Filter
from mainspring.store.sqlite_connection import Connections
from mainspring.tasks.state import State
from mainspring.when.clock import SystemClock

_clock = SystemClock()
_BATCH = 100_000  # the most that one `add_tasks` takes
_MONTH_S = 30 * 86_400
_SETTLE_S = 3.0
_PATIENCE_S = 120.0
_TIMES = 3  # each look is that of a fresh client; the median counts


def fill(store: str, pending: int, keyed: bool) -> Filled:
    """Add so many tasks for next month, and one that is due: the first that a daemon will start."""
    random.seed(pending)
    began = _clock.monotonic()
    with closing(_client(store)) as client:
        work = _ring(client)
        for first in range(0, pending, _BATCH):
            client.add_tasks(_item(work, number, keyed) for number in range(first, min(first + _BATCH, pending)))
        took = _clock.monotonic() - began
        client.store.close()  # moves the log into the file
        size = os.path.getsize(store)
    with closing(_client(store)) as client:
        client.add_task(_ring(client), (0,))
    return Filled(pending=pending, seconds=took / 1e6, bytes_per_task=size / pending if pending else None)


def _item(work: TaskFunction[[int], None], number: int, keyed: bool) -> Item:
    item: Item = {"work": work, "args": (number,)}
    item["after"] = _MONTH_S + random.randrange(_MONTH_S * 1_000_000) / 1e6  # noqa: S311  # an instant, no secret
    if keyed:
        item["key"] = f"order-{number}"
    return item


def resting(store: str, seconds: float) -> Resting:
    """Start a daemon on it, cold: until its first task begins; then its memory, wake-ups and processor time."""
    began = _clock.monotonic()
    bell = starts.ringing(1)
    daemon = Daemon(store, workers=8)
    _ring(daemon)
    with daemon:
        bell.rung.wait(_PATIENCE_S)
        start_ms = (_clock.monotonic() - began) / 1000
        time.sleep(_SETTLE_S)
        switches_per_s, cpu_ms_per_s = idle.cost(seconds)
        memory_mb = idle.memory_mb()
    return Resting(start_ms=start_ms, memory_mb=memory_mb, switches_per_s=switches_per_s, cpu_ms_per_s=cpu_ms_per_s)


def looks(store: str, pending: int) -> dict[str, float]:
    """How long it takes to look, in ms, by what is asked for."""
    middle = f"order-{pending // 2}"
    asked: dict[str, Callable[[Daemon], object]] = {
        "status": lambda client: client.status(),
        "list": lambda client: client.find(),
        "list --due-within 10m": lambda client: client.store.find(
            Filter(states=(State.WAITING, State.RUNNING), due_before=_clock.now() + 600_000_000)
        ),
        "find(name=)": lambda client: client.find(name="bench:ring"),
        "find(state=failed)": lambda client: client.find(state="failed"),
        "find(key=)": lambda client: client.find(key=middle),
        "find(name=), no such label": lambda client: client.find(name="nothing is called that"),
        "find(schedule=), no such": lambda client: client.find(schedule="nothing is called that"),
    }
    return {name: median([_look(store, ask) for _ in range(_TIMES)]) for name, ask in asked.items()}


def _look(store: str, ask: Callable[[Daemon], object]) -> float:
    with closing(_client(store)) as client:
        client.find(state="cancelled", limit=1)  # the connection is open, nothing of what is asked for is read
        began = _clock.monotonic()
        ask(client)
        return (_clock.monotonic() - began) / 1000


def load(store: str, count: int) -> Load:
    """Add, run and record so many tasks at once."""
    with _watched(store) as seen:
        flow = rates.flow(count, store)
    return Load(flow=flow, log_mb=seen.log_mb, longest_write_ms=seen.longest_write_ms)


def prune(store: str, count: int, over_s: float) -> Pruned:
    """Tasks at random instants while a daemon forgets all that had finished before."""
    with closing(_client(store)) as client:
        before = _finished(client)
    with _watched(store) as seen:
        began = _clock.monotonic()
        started = starts.lateness(count, over_s, store, retention="1ms")
        left = _finished(Daemon(store))
        took = _clock.monotonic() - began
    return Pruned(
        forgotten=before + count - left,
        left=left,
        seconds=took / 1e6,
        started=started,
        log_mb=seen.log_mb,
        longest_write_ms=seen.longest_write_ms,
    )


# ── watching ───────────────────────────────────────────────────────────────────────────────────────────────────


class _Seen:
    log_mb = 0.0
    longest_write_ms = 0.0


@contextmanager
def _watched(store: str) -> Iterator[_Seen]:
    """How long the log becomes meanwhile, and how long the longest transaction of this process holds the write lock."""
    seen, over = _Seen(), threading.Event()
    write = Connections.write

    @contextmanager
    def timed(self: Connections, *, durable: bool) -> Iterator[object]:
        with write(self, durable=durable) as con:
            began = _clock.monotonic()
            yield con
        seen.longest_write_ms = max(seen.longest_write_ms, (_clock.monotonic() - began) / 1000)

    def watch() -> None:
        while not over.wait(0.01):
            try:
                seen.log_mb = max(seen.log_mb, os.stat(f"{store}-wal").st_size / 2**20)
            except FileNotFoundError:
                continue

    watcher = threading.Thread(target=watch)
    watcher.start()
    Connections.write = timed  # type: ignore[assignment,method-assign]  # for the rest of this measurement
    try:
        yield seen
    finally:
        Connections.write = write  # type: ignore[method-assign]
        over.set()
        watcher.join()


def _client(store: str) -> Daemon:
    """It adds and looks; that nobody runs what it adds is meant so."""
    client = Daemon(store)
    client.before_adding = lambda: None  # type: ignore[method-assign]
    return client


def _ring(daemon: Daemon) -> TaskFunction[[int], None]:
    return daemon.task(name="bench:ring")(starts.ring)


def _finished(client: Daemon) -> int:
    return sum(client.status().counts[state] for state in ("succeeded", "failed", "cancelled", "missed"))
