"""`status()` and percentiles: what is shown is what is."""

import os
from datetime import timedelta

import pytest

from daemons import LONG, until
from mainspring import Daemon
from mainspring.status import percentiles


def test_of_an_empty_store_without_a_daemon(url, clock):
    daemon = Daemon(url, clock=clock)
    status = daemon.status()
    assert (status.nodes, status.listeners, status.schedules, status.paused) == ([], [], [], [])
    assert (status.workers.total, status.workers.busy, status.unresolved) == (0, 0, 0)
    assert set(status.counts) == {"waiting", "running", "succeeded", "failed", "cancelled", "missed"}
    assert set(status.counts.values()) == {0}
    assert status.lateness_ms.max is None
    daemon.close()


def test_counts_and_lateness(daemon, clock):
    @daemon.task(name="t:f")
    def f(fail=False):
        if fail:
            raise OSError

    f.enqueue()
    f.enqueue(True)
    f.after("1h").enqueue().cancel()
    f.after("2h").enqueue()
    late = f.after("1s").enqueue()
    clock.step("1m")
    assert late.refresh().lateness == timedelta(seconds=59)
    status = daemon.status()
    assert status.counts == {"waiting": 1, "running": 0, "succeeded": 2, "failed": 1, "cancelled": 1, "missed": 0}
    assert status.lateness_ms.max == 59_000
    assert status.lateness_ms.p50 == 0


def test_nodes_and_workers(threaded, gate):
    daemon, client = threaded(workers=3), threaded(start=False)

    @daemon.task(name="t:hold")
    def hold():
        gate.wait()

    for _ in range(2):
        hold.enqueue()
    gate.await_arrivals(2)
    until(client, lambda: client.status().workers.busy == 2)
    (node,) = client.status().nodes
    assert (node.pid, node.workers, node.busy) == (os.getpid(), 3, 2)
    assert client.status().workers.total == 3
    gate.open()
    assert daemon.drain(LONG)
    until(client, lambda: client.status().workers.busy == 0)
    daemon.stop()
    assert client.status().nodes == []


def test_schedules_and_listeners(daemon, clock):
    @daemon.task(name="t:f")
    def f(): ...

    daemon.add_schedule(f, "1h", name="hourly")
    listener = daemon.add_listener(f, name="watch")
    clock.advance("1s")
    status = daemon.status()
    assert [(one.name, one.paused, one.next_run_at) for one in status.schedules] == [
        ("hourly", False, "2030-01-01T01:00:00.000000Z")
    ]
    assert [(one.name, one.state, one.restarts) for one in status.listeners] == [("watch", "up", 0)]
    listener.pause()
    assert daemon.status().listeners[0].state == "paused"


def test_listeners_of_a_store_without_a_daemon_are_down(tmp_path, clock):
    daemon = Daemon(str(tmp_path / "one.db"), clock=clock)

    @daemon.listener(name="watch")
    @daemon.task(name="t:watch")
    def watch(): ...

    with daemon:
        clock.advance("1s")
        assert daemon.status().listeners[0].state == "up"
    assert daemon.status().listeners[0].state == "down"
    daemon.close()


@pytest.mark.parametrize(
    ("lateness", "expected"),
    [
        ([5_000], (5, 5, 5, 5)),
        (list(range(0, 100_000, 1_000)), (50, 90, 99, 99)),
        ([0, 0, 0, 0, 0, 0, 0, 0, 0, 7], (0, 0.007, 0.007, 0.007)),
    ],
)
def test_percentiles_are_nearest_ranks(lateness, expected):
    found = percentiles(lateness)
    assert (found.p50, found.p90, found.p99, found.max) == expected


def test_lateness_over_windows_by_name_queue_and_schedule(daemon, clock):
    @daemon.task(name="t:quick")
    def quick(): ...

    @daemon.task(name="t:slow", queue="mail")
    def slow(): ...

    slow.after("1s").enqueue()
    clock.step("5s")
    clock.advance("30m")
    quick.enqueue()
    quick.after("1s").enqueue()
    daemon.add_schedule(quick, "1h", name="hourly")
    clock.advance("1s")
    windows = {one.window: one for one in daemon.status().lateness}
    assert list(windows) == ["1m", "10m", "1h", "24h"]
    assert [windows[window].count for window in windows] == [2, 2, 3, 3]
    assert windows["1m"].max == 0
    hour = windows["1h"]
    assert (hour.p50, hour.max) == (0, 4_000)
    assert hour.p99 == pytest.approx(4_000, rel=0.05)
    assert [(one.name, one.count, one.max) for one in hour.names] == [("t:slow", 1, 4_000), ("t:quick", 2, 0)]
    assert [(one.name, one.count) for one in hour.queues] == [("mail", 1), ("default", 2)]
    assert hour.schedules == []
    clock.advance("1h")
    day = daemon.status().lateness[-1]
    assert [(one.name, one.count) for one in day.schedules] == [("hourly", 1)]
    assert day.count == 4
    assert daemon.status().lateness[0].p50 is None
