"""`mainspring web`, as a process: it says where it is, serves, and ends with a signal."""

import json
import os
import signal
import subprocess
import sys
import urllib.request

import pytest

from mainspring import Daemon

COMMAND = (sys.executable, "-m", "mainspring", "web")


@pytest.fixture
def place(tmp_path):
    daemon = Daemon(tmp_path / "mainspring.db", name="tests")
    daemon.add_task("shop:x", after="1h")
    daemon.close()
    return tmp_path


def started(place, *words, **how):
    env = {name: value for name, value in os.environ.items() if not name.startswith("MAINSPRING_")}
    return subprocess.Popen([*COMMAND, *words], cwd=place, env=env, stdout=subprocess.PIPE, text=True, **how)


@pytest.mark.parametrize("ending", [signal.SIGTERM, signal.SIGINT])
def test_it_serves_until_a_signal(place, ending):
    with started(place, "--port", "0", "--json") as process:
        told = json.loads(process.stdout.readline())
        request = urllib.request.Request(
            f"{told['url']}api/v1/tasks", headers={"Authorization": f"Bearer {told['token']}"}
        )
        with urllib.request.urlopen(request) as answer:
            assert [task["id"] for task in json.load(answer)["tasks"]] == ["1"]
        process.send_signal(ending)
        assert process.wait(30) == 0


def test_a_store_that_is_not_there_is_not_found(tmp_path):
    with started(tmp_path, stderr=subprocess.PIPE) as process:
        _, said = process.communicate(timeout=30)
    assert process.returncode == 3
    assert "there is no store at" in said
    assert os.listdir(tmp_path) == []


def test_elsewhere_only_with_tokens(place):
    with started(place, "--host", "0.0.0.0", stderr=subprocess.PIPE) as process:
        _, said = process.communicate(timeout=30)
    assert process.returncode == 2
    assert "--tokens FILE" in said
