"""When the daemon's process dies, its children are gone, whatever their bodies do."""

import os
import select
import signal

import pytest
from support import PATIENCE

pytestmark = pytest.mark.process


def gone(pid):
    """Whether that process ends."""
    try:
        watched = os.pidfd_open(pid)
    except ProcessLookupError:
        return True
    try:
        return bool(select.select([watched], (), (), PATIENCE)[0])
    finally:
        os.close(watched)


@pytest.mark.parametrize("body", ["sleep", "spin", "hold", "stopped"])
def test_killed(start, body):
    daemon = start("child_parent.py", body, "wait")
    child = int(daemon.until("running").split()[1])
    daemon.send(signal.SIGKILL)
    assert gone(child)


def test_killed_with_listeners(start):
    daemon = start("listener_parent.py")
    children = {int(daemon.until("running").split()[1]) for _ in ("hold", "stay", "block")}
    assert len(children) == 3
    daemon.send(signal.SIGKILL)
    assert all(gone(child) for child in children)


def test_a_fork_of_the_daemon_that_lives_on_keeps_no_child_alive(start):
    daemon = start("child_parent.py", "sleep", "fork")
    child = int(daemon.until("running").split()[1])
    assert gone(child)
