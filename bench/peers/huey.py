"""huey on SQLite: tasks added by this process, run by its consumer in another. The consumer imports this file too."""

import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

from huey import SqliteHuey

from bench.harness.notes import note
from bench.harness.protocol import Timed, Variant

PACKAGES = ("huey",)

huey = SqliteHuey("bench", filename="queue.db")  # its defaults: write-ahead log, SQLite's synchronous=FULL


@huey.task()  # type: ignore[untyped-decorator]
def body(number: int) -> int:
    """The task."""
    return note(number)


class _Session:
    def __init__(self, consumer: int) -> None:
        self._consumer = consumer

    def add_now(self, numbers: Sequence[int]) -> None:
        body.map(numbers)

    def add_one(self, number: int) -> None:
        body(number)

    def add_at(self, tasks: Sequence[Timed]) -> None:
        for number, at in tasks:
            body.schedule(args=(number,), eta=datetime.fromtimestamp(at / 1e6, UTC))

    def settled(self, total: int) -> bool:
        return bool(huey.result_count() == total)

    def processes(self) -> tuple[list[int], list[int]]:
        return [self._consumer], []


def variants() -> tuple[list[Variant], list[str]]:
    """Its default kind of workers, and the one that its help names for work that computes."""
    return [
        Variant(
            f"huey-sqlite-{kind}",
            f"huey, SQLite, {kind}",
            "fsync before the add returns; a task is removed before it runs (at most once)",
            f"SqliteHuey(filename) and huey_consumer -w … -k {kind}, otherwise its defaults; map() in bulk",
            "the result, until it is read",
        )
        for kind in ("thread", "process")
    ], []


@contextmanager
def session(key: str, workers: int) -> Iterator[_Session]:
    """A consumer."""
    program = Path(sys.executable).with_name("huey_consumer")
    consumer = subprocess.Popen(
        [program, "bench.peers.huey.huey", "-w", str(workers), "-k", key.removeprefix("huey-sqlite-"), "-q"]
    )
    try:
        yield _Session(consumer.pid)
    finally:
        consumer.terminate()
        try:
            consumer.wait(10)
        except subprocess.TimeoutExpired:
            consumer.kill()
            consumer.wait()
