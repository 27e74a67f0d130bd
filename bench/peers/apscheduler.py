"""APScheduler 3, embedded (BackgroundScheduler), with jobs in memory and in SQLite through SQLAlchemy."""

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime

from apscheduler.executors.pool import ThreadPoolExecutor
from apscheduler.jobstores.memory import MemoryJobStore
from apscheduler.jobstores.sqlalchemy import SQLAlchemyJobStore
from apscheduler.schedulers.background import BackgroundScheduler

from bench.harness.notes import note
from bench.harness.protocol import Timed, Variant

PACKAGES = ("APScheduler", "SQLAlchemy")

_HOW = "BackgroundScheduler, ThreadPoolExecutor, misfire_grace_time=None (or late jobs would not run at all)"


class _Session:
    def __init__(self, scheduler: BackgroundScheduler) -> None:
        self._scheduler = scheduler

    def add_now(self, numbers: Sequence[int]) -> None:
        for number in numbers:
            self.add_one(number)

    def add_one(self, number: int) -> None:
        self._scheduler.add_job(note, args=(number,))

    def add_at(self, tasks: Sequence[Timed]) -> None:
        for number, at in tasks:
            self._scheduler.add_job(note, "date", run_date=datetime.fromtimestamp(at / 1e6, UTC), args=(number,))

    def settled(self, total: int) -> bool:  # noqa: ARG002  # it keeps no outcomes to count
        return not self._scheduler.get_jobs()

    def processes(self) -> tuple[list[int], list[int]]:
        return [os.getpid()], []


def variants() -> tuple[list[Variant], list[str]]:
    """Memory and SQLite."""
    nothing = "none; a job is removed when it is handed to a worker"
    return [
        Variant("apscheduler-memory", "APScheduler, memory", "no", _HOW, nothing),
        Variant(
            "apscheduler-sqlite",
            "APScheduler, SQLAlchemy/SQLite",
            "fsync before the add returns (SQLite's defaults)",
            f"{_HOW}, SQLAlchemyJobStore(sqlite:///…)",
            nothing,
        ),
    ], []


@contextmanager
def session(key: str, workers: int) -> Iterator[_Session]:
    """A started scheduler."""
    store = MemoryJobStore() if key == "apscheduler-memory" else SQLAlchemyJobStore("sqlite:///queue.db")
    scheduler = BackgroundScheduler(
        jobstores={"default": store},
        executors={"default": ThreadPoolExecutor(workers)},
        job_defaults={"misfire_grace_time": None},
        timezone=UTC,
    )
    scheduler.start()
    try:
        yield _Session(scheduler)
    finally:
        scheduler.shutdown(wait=False)
