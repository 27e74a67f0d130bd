"""Beside others: tasks on worker processes next to busy ones, and timed tasks in a flood of others.

What a body notes, it notes in a file: it may run in any process.
"""

import multiprocessing
import os
import struct
import time
from collections.abc import Sequence
from functools import cache
from multiprocessing.connection import Connection

from mainspring.app import Daemon
from mainspring.bench.figures import Flood, Flow, Started
from mainspring.bench.starts import LEAD_US, PATIENCE_S, instants, started
from mainspring.functions import TaskFunction
from mainspring.when.clock import SystemClock
from mainspring.when.instants import to_datetime

_clock = SystemClock()
_LEDGER = "began"
_ENTRY = struct.Struct("<qq")
_WARMING = -1  # a number of no instant
_ROUND = 10_000
_BATCH = 1_000


def note(number: int) -> None:
    """A body, in whatever process: when it began, in one write."""
    os.write(_ledger(), _ENTRY.pack(number, _clock.now()))


@cache
def _ledger() -> int:
    return os.open(_LEDGER, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)


def compute(until: int) -> None:
    """A body of nothing but Python; until an instant (µs)."""
    while _clock.now() < until:
        for _ in range(_ROUND):
            pass


def nothing(number: int) -> None:
    """An empty body."""


def rest(seconds: float) -> None:
    """A body that has its worker for so long, and takes no processor."""
    time.sleep(seconds)


def crowd(count: int, over_s: float, workers: int, busy: int) -> Started:
    """Tasks at random instants on worker processes, so many of which compute all the time."""
    daemon = Daemon("bench.db", workers=workers, pool="processes")
    task, computing = daemon.task(note, name="bench:note"), daemon.task(compute, name="bench:compute")  # type: ignore[call-overload]
    with daemon:
        _warm(daemon, task, workers)
        due = instants(count, over_s)
        daemon.add_tasks({"work": computing, "args": (max(due),)} for _ in range(busy))
        return _play(daemon, task, due)


def pair(count: int, over_s: float, busy: int) -> Started:
    """What the system gives at best: one process sleeps until each instant and writes to another; others compute."""
    spawn = multiprocessing.get_context("spawn")
    ours, theirs = spawn.Pipe()
    due = sorted(instants(count, over_s))
    crew = [spawn.Process(target=compute, args=(due[-1],)) for _ in range(busy)]
    crew.append(spawn.Process(target=_listen, args=(theirs, count)))
    for one in crew:
        one.start()
    for at in due:
        while (left := at - _clock.now()) > 0:
            time.sleep(left / 1e6)
        ours.send_bytes(b"now")
    began: list[int] = ours.recv()
    for one in crew:
        one.join()
    return Started(late=sorted(at - instant for at, instant in zip(began, due, strict=True)))


def _listen(pipe: Connection, count: int) -> None:
    began = []
    for _ in range(count):
        pipe.recv_bytes()
        began.append(_clock.now())
    pipe.send(began)


def process_burst(count: int) -> Started:
    """All at one instant, on 4 worker processes."""
    daemon = Daemon("bench.db", workers=4, pool="processes")
    task = daemon.task(note, name="bench:note")  # type: ignore[call-overload]
    with daemon:
        _warm(daemon, task, 4)
        return _play(daemon, task, [_clock.now() + LEAD_US + count * 50] * count)


def process_flow(count: int) -> Flow:
    """Added by a thousand, run by 4 worker processes, recorded; history kept."""
    daemon = Daemon("bench.db", workers=4, pool="processes")
    task, empty = daemon.task(note, name="bench:note"), daemon.task(nothing, name="bench:nothing")  # type: ignore[call-overload]
    with daemon:
        _warm(daemon, task, 4)
        before = daemon.status().counts["succeeded"]
        began = _clock.monotonic()
        for first in range(0, count, _BATCH):
            daemon.add_tasks({"work": empty, "args": (number,)} for number in range(first, min(first + _BATCH, count)))
        daemon.drain(PATIENCE_S)
        took = _clock.monotonic() - began
        succeeded = daemon.status().counts["succeeded"] - before
    return Flow(tasks=count, seconds=took / 1e6, succeeded=succeeded)


def flood(count: int, over_s: float, body_ms: float) -> Flood:
    """On 4 threads: twice as many tasks "for now" as they can do meanwhile, and some at random instants."""
    daemon = Daemon("bench.db", workers=4)
    task, filler = daemon.task(note, name="bench:note"), daemon.task(rest, name="bench:rest")  # type: ignore[call-overload]
    others = int(2 * (over_s * 1e3 + LEAD_US / 1e3) * 4 / body_ms)
    with daemon:
        due = instants(count, over_s)
        daemon.add_tasks({"work": filler, "args": (body_ms / 1e3,)} for _ in range(others))
        timed = _play(daemon, task, due)
        left = daemon.status().counts["waiting"]
        daemon.stop(0)
    return Flood(timed=timed, body_ms=body_ms, others=others, left=left)


def _warm(daemon: Daemon, task: TaskFunction[[int], None], workers: int) -> None:
    """All children are up and have done something."""
    daemon.add_tasks({"work": task, "args": (_WARMING,)} for _ in range(100 * workers))
    daemon.drain(PATIENCE_S)


def _play(daemon: Daemon, task: TaskFunction[[int], None], due: Sequence[int]) -> Started:
    """Add a task for each instant, let them run, see when they began."""
    added = daemon.add_tasks({"work": task, "args": (number,), "at": to_datetime(at)} for number, at in enumerate(due))
    for one in added:
        one.wait(PATIENCE_S)
    with open(_LEDGER, "rb") as ledger:
        began = [(number, at) for number, at in _ENTRY.iter_unpack(ledger.read()) if number != _WARMING]
    return started(began, due)
