"""Mainspring itself: embedded, on a SQLite file. BENCH_POOLS names the pools to measure, `threads` if not given."""

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from bench.harness.notes import note
from bench.harness.protocol import Timed, Variant
from mainspring import Daemon

PACKAGES = ("mainspring", "apsw")


def body(number: int) -> int:
    """The task; children of a pool of processes find it by its name."""
    return note(number)


class _Session:
    def __init__(self, daemon: Daemon) -> None:
        self._daemon = daemon
        self._task = daemon.task(body)

    def add_now(self, numbers: Sequence[int]) -> None:
        for first in range(0, len(numbers), 1_000):
            chunk = numbers[first : first + 1_000]
            self._daemon.add_tasks({"work": self._task, "args": (number,)} for number in chunk)

    def add_one(self, number: int) -> None:
        self._daemon.add_task(self._task, args=(number,))

    def add_at(self, tasks: Sequence[Timed]) -> None:
        for first in range(0, len(tasks), 1_000):
            chunk = tasks[first : first + 1_000]
            self._daemon.add_tasks({"work": self._task, "args": (number,), "at": at / 1e6} for number, at in chunk)

    def settled(self, total: int) -> bool:
        return self._daemon.drain(5) and self._daemon.status().counts["succeeded"] == total

    def processes(self) -> tuple[list[int], list[int]]:
        return [os.getpid()], []


def variants() -> tuple[list[Variant], list[str]]:
    """One for each pool."""
    return [
        Variant(
            key=f"mainspring-{pool}",
            title=f"Mainspring, {pool}",
            durable="fsync before the add returns; outcomes by group commit",
            how=f'Daemon("queue.db", workers=…, pool="{pool}") in the adding process; add_tasks by 1,000',
            outcomes="state, result, times; kept 7 days",
        )
        for pool in os.environ.get("BENCH_POOLS", "threads").split()
    ], []


@contextmanager
def session(key: str, workers: int) -> Iterator[_Session]:
    """A started daemon."""
    with Daemon("queue.db", workers=workers, pool=key.removeprefix("mainspring-")) as daemon:
        yield _Session(daemon)
