"""Daemons on several machines: who dies, is cut off, or is away with the server, and who goes on with the work."""

import os
import subprocess
import sys
import tempfile
from contextlib import closing
from pathlib import Path

import pytest
from tcp_proxy import TcpProxy

from daemons import until
from mainspring import Daemon
from postgres_server import PostgresServer, shared_server

pytestmark = pytest.mark.process
HERE = Path(__file__).parent


class Machines:
    """Processes that see nothing of each other but the server."""

    def __init__(self, folder):
        self._folder = folder
        self.lines = folder / "lines"
        self._processes = []

    def start(self, url, lease="30s"):
        runtime = tempfile.mkdtemp(dir=self._folder)
        environ = {**os.environ, "XDG_RUNTIME_DIR": runtime}
        environ["PYTHONPATH"] = os.pathsep.join([*sys.path, environ.get("PYTHONPATH", "")])
        process = subprocess.Popen(
            [sys.executable, HERE / "machine.py", url, lease, self.lines], stdin=subprocess.PIPE, env=environ
        )
        self._processes.append(process)
        return process

    def told(self, *start):
        """The lines that begin with these words."""
        words = [str(word) for word in start]
        lines = self.lines.read_text().splitlines() if self.lines.exists() else []
        return [line.split() for line in lines if line.split()[: len(words)] == words]

    def close(self):
        for process in self._processes:
            process.kill()
            process.wait()
            process.stdin.close()


@pytest.fixture
def machines(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_RUNTIME_DIR", tempfile.mkdtemp(dir=tmp_path))  # this process is another machine, too
    with closing(Machines(tmp_path)) as machines:
        yield machines


@pytest.fixture
def client():
    daemon = Daemon(shared_server().new_database(), name="machines")
    daemon.store  # makes it  # noqa: B018
    yield daemon
    daemon.store.close()


def url_of(client):
    return client.settings.store


def test_the_work_is_spread_and_each_task_runs_once(machines, client):
    processes = [machines.start(url_of(client)) for _ in range(3)]
    until(client, lambda: len(machines.told("ready")) == 3)
    client.add_tasks([{"work": "work", "args": (n, 0.5), "after": "200ms"} for n in range(36)])
    until(client, lambda: len(machines.told("ended")) == 36)
    began = machines.told("began")
    assert sorted(int(line[1]) for line in began) == list(range(36))
    assert {int(line[2]) for line in began} == {process.pid for process in processes}
    assert min(int(line[4]) for line in began) >= 0


def test_what_a_killed_daemon_ran_begins_again_elsewhere_long_before_its_lease_ends(machines, client):
    first = machines.start(url_of(client), lease="1h")
    until(client, lambda: machines.told("ready"))
    running = [client.add_task("work", args=(n, 600)) for n in range(2)]
    until(client, lambda: len(machines.told("began")) == 2)
    second = machines.start(url_of(client), lease="1h")
    until(client, lambda: len(machines.told("ready")) == 2)
    first.kill()
    until(client, lambda: len([line for line in machines.told("began") if int(line[2]) == second.pid]) == 2)
    assert {int(line[3]) for line in machines.told("began") if int(line[2]) == second.pid} == {2}
    assert [client.store.attempts(int(task.id))[0].reason for task in running] == ["worker lost"] * 2


def test_who_is_cut_off_starts_nothing_that_others_have_and_comes_back(machines, client):
    """Half-open: nobody is told. The lease decides, on both sides."""
    with closing(TcpProxy(shared_server().folder)) as proxy:
        cut_off = machines.start(proxy.url(url_of(client)), lease="2s")
        until(client, lambda: machines.told("ready"))
        [one, *_] = client.add_tasks([{"work": "work", "args": (n,), "after": "3500ms"} for n in range(20)])
        until(client, lambda: one.refresh() and client.store.get(int(one.id)).holder is not None)
        proxy.silence()
        machines.start(url_of(client), lease="2s")
        until(client, lambda: len(machines.told("ended")) == 20)
        assert cut_off.pid not in {int(line[2]) for line in machines.told("began")}
        proxy.silence(False)
        proxy.cut()
        until(client, lambda: len([node for node in client.store.nodes() if node.alive]) == 2)
        client.add_tasks([{"work": "work", "args": (n, 0.1)} for n in range(100, 200)])
        until(client, lambda: len(machines.told("ended")) == 120)
        assert len(machines.told("began")) == 120
        assert cut_off.pid in {int(line[2]) for line in machines.told("began")}


def test_a_session_that_is_ended_stops_its_node_until_it_is_back(machines, client):
    """Others may take its work at once, so it begins anew: nothing is run twice, nothing is lost."""
    for _ in range(2):
        machines.start(url_of(client))
    until(client, lambda: len(machines.told("ready")) == 2)
    client.add_tasks([{"work": "work", "args": (n,), "after": f"{n * 10}ms"} for n in range(300)])
    for part in (50, 100, 150, 200):
        until(client, lambda part=part: len(machines.told("ended")) >= part)
        client.store._db.do(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
            "WHERE pid <> pg_backend_pid() AND datname = current_database()"
        )
    until(client, lambda: len(machines.told("ended")) >= 300)
    began = machines.told("began")
    assert sorted(int(line[1]) for line in began) == list(range(300))
    assert min(int(line[4]) for line in began) >= 0


@pytest.mark.parametrize("how", ["SIGINT", "SIGQUIT", "SIGKILL"])
def test_the_server_is_ended_and_started_again_under_load(machines, how):
    """Fast, immediate and killed: what was acknowledged is there, and each task has run once or says why not."""
    import signal

    with closing(PostgresServer(durable=True)) as server:
        client = Daemon(server.new_database(), name="machines")
        with closing(client.store):
            for _ in range(2):
                machines.start(url_of(client))
            until(client, lambda: len(machines.told("ready")) == 2)
            added = []
            for n in range(150):
                if n in {40, 90}:
                    server.stop(getattr(signal, how))
                    server.start()
                added.append(client.add_task("work", args=(n,), after="50ms"))
            for task in added:
                assert task.wait(60)
            assert {task.refresh().state.value for task in added} == {"succeeded"}
            began = [int(line[1]) for line in machines.told("began")]
            assert set(began) == set(range(150))
            twice = {n for n in began if began.count(n) > 1}
            explained = {n for n, task in enumerate(added) if client.store.attempts(int(task.id))}
            assert twice <= explained
