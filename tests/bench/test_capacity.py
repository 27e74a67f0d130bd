"""The bench on a store full of pending tasks: what it measures, and what it says of it. Nothing here is timed."""

import shutil
from types import SimpleNamespace

import pytest

from mainspring import Daemon
from mainspring.bench import capacity, main, starts
from mainspring.bench.figures import Capacity, Figures, Filled, Flow, Load, Machine, Pruned, Resting, Started
from mainspring.bench.report import broken, rows_of
from mainspring.store.sqlite_connection import Connections

MACHINE = Machine(python="CPython 3.11", system="Linux", cpus=2, load=0.1, filesystem="ext4", version="1")


@pytest.fixture
def full(tmp_path, monkeypatch):
    """The path of a store with 300 tasks for next month, and one that is due."""
    monkeypatch.setattr(starts, "LEAD_US", 1000)
    monkeypatch.setattr(capacity, "_SETTLE_S", 0)
    monkeypatch.setattr(capacity, "_BATCH", 200)
    path = str(tmp_path / "full.db")
    assert capacity.fill(path, 300, True).pending == 300
    return path


def counts(path):
    daemon = Daemon(path)
    try:
        return daemon.status().counts
    finally:
        daemon.close()


def test_a_store_is_filled_with_what_waits(full):
    assert counts(full)["waiting"] == 301
    client = Daemon(full)
    (middle,) = client.find(key="order-150")
    assert middle.kind == "function"
    assert (middle.run_at - client.find(limit=1)[0].run_at).days >= 29
    client.close()


def test_what_a_task_takes_on_the_disk_is_reckoned_without_the_log(tmp_path):
    filled = capacity.fill(str(tmp_path / "plain.db"), 5000, False)
    assert 40 < filled.bytes_per_task < 200


def test_a_daemon_on_it_starts_what_is_due_and_rests(full):
    resting = capacity.resting(full, 0.001)
    assert resting.start_ms > 0
    assert resting.memory_mb > 1
    assert counts(full) == {**counts(full), "waiting": 300, "succeeded": 1}


def test_each_look_is_taken(full):
    looks = capacity.looks(full, 300)
    assert {"status", "list", "find(key=)"} <= set(looks)
    assert all(took > 0 for took in looks.values())


def test_a_load_is_watched_and_then_forgotten_beside_timed_tasks(full):
    write = Connections.write
    capacity.resting(full, 0.001)
    load = capacity.load(full, 1000)
    assert (load.flow.tasks, load.flow.succeeded) == (1000, 1000)
    assert load.log_mb > 0
    assert load.longest_write_ms > 0
    pruned = capacity.prune(full, 3, 0.01)
    assert (len(pruned.started.late), pruned.started.early) == (3, 0)
    assert pruned.forgotten + pruned.left == 1001 + 3
    assert counts(full) == {**counts(full), "waiting": 300, "succeeded": pruned.left}
    assert Connections.write is write


def whole(**more):
    """A run's figures, invented."""
    late = [Started(late=[100, 200, 300])]
    load = Load(flow=Flow(tasks=10, seconds=0.001, succeeded=10), log_mb=8.0, longest_write_ms=20.0)
    resting = Resting(start_ms=50, memory_mb=30, switches_per_s=0, cpu_ms_per_s=0)
    fields = {
        "keyed": Filled(pending=1_000_000, seconds=20, bytes_per_task=112.3),
        "plain": Filled(pending=100_000, seconds=2, bytes_per_task=77.1),
        "resting": (resting, resting),
        "late": (late, [Started(late=[110, 210, 450])]),
        "load": (load, load),
        "history": load,
        "looks": ({"status": 1.0, "list": 0.5, "find": 0.2}, {"status": 25.0, "list": 0.7, "find": 0.3}),
        "pruned": Pruned(forgotten=500_000, left=3, seconds=20, started=late[0], log_mb=9.0, longest_write_ms=15.0),
    }
    one = Capacity(**{**fields, **more})
    return Figures(at="2026-11-27T02:00:00.000000Z", smoke=False, machine=MACHINE, capacity=[one])


def test_a_full_store_stands_beside_an_empty_one():
    rows = {row[0].removeprefix("1,000,000 pending: "): row[1:3] for row in rows_of(whole())}
    assert rows["late p50, p99"] == ("0.21 ms, 0.45 ms", "0.20 ms, 0.30 ms empty (1.50×)")
    assert rows["disk for each with a key"] == ("112 B", "77 B without")
    assert rows["slowest look, status"] == ("25.0 ms", "1.0 ms empty")
    assert rows["500,000 forgotten, late"] == ("0.20 ms, 0.30 ms", "log 9 MB, longest write 15 ms")
    assert broken(whole()) == []


def test_what_a_full_store_loses_is_said():
    early = Started(late=[-1, 200, 300])
    lost = Load(flow=Flow(tasks=10, seconds=0.001, succeeded=9), log_mb=8.0, longest_write_ms=20.0)
    assert broken(whole(late=([early], [early]))) == ["capacity: 2 early"]
    assert broken(whole(history=lost)) == ["throughput: 9 of 10 tasks succeeded, 0 ran twice"]


def test_too_small_a_disk_is_said_before_anything_is_written(monkeypatch, capsys, tmp_path):
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=1_000_000_000))
    assert main(["--only", "capacity", "--pending", "10000000", "--dir", str(tmp_path)]) == 1
    assert "10,000,000 pending tasks need 4.5 GB of disk; 1.0 GB are free" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []
