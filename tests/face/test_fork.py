"""After fork: the child's daemons are not started, and everything works in it anew."""

import os
import sys

import pytest

from daemons import LONG

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")


def in_child(body):
    """Run `body` in a forked child; what it returns as text, or the error."""
    read, write = os.pipe()
    sys.stdout.flush()
    pid = os.fork()
    if pid == 0:
        try:
            answer = str(body())
        except BaseException as error:
            answer = f"{type(error).__name__}: {error}"
        os.write(write, answer.encode())
        os._exit(0)
    os.close(write)
    with open(read, "rb") as pipe:
        answer = pipe.read().decode()
    assert os.waitpid(pid, 0)[1] == 0
    return answer


@pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork:DeprecationWarning")
def test_the_child_s_daemon_is_not_started_and_may_add_and_start(threaded):
    daemon = threaded()

    @daemon.task(name="t:who")
    def who():
        return os.getpid()

    assert who.enqueue().result(LONG) == os.getpid()

    def child():
        if daemon.started:
            return "started"
        task = who.enqueue()  # the parent runs it
        return f"{task.result(LONG) == os.getppid()}"

    assert in_child(child) == "True"
    assert daemon.started
    assert who.enqueue().result(LONG) == os.getpid()


@pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork:DeprecationWarning")
def test_the_child_may_start_it_for_itself(threaded):
    daemon = threaded()

    @daemon.task(name="t:who")
    def who():
        return os.getpid()

    who.enqueue().result(LONG)

    def child():
        daemon.start()
        nodes = len(daemon.status().nodes)
        ok = who.enqueue().wait(LONG)
        daemon.stop()
        return f"{nodes} {ok} {daemon.started}"

    assert in_child(child) == "2 True False"
    assert daemon.drain(LONG)
    assert len(daemon.status().nodes) == 1


@pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork:DeprecationWarning")
def test_a_fork_leaves_the_parent_s_tasks_alone(threaded, gate):
    daemon = threaded(workers=1)

    @daemon.task(name="t:hold")
    def hold():
        gate.wait()
        return "done"

    task = hold.enqueue()
    gate.await_arrivals()
    assert in_child(lambda: daemon.stop() or daemon.close()) == "None"
    gate.open()
    assert task.result(LONG) == "done"
    assert task.attempt == 1
