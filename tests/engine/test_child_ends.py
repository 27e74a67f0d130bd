"""How a child ends: by its own body, by a signal, when it has done its part, when it is told to."""

import os
import select
import signal

import pytest
from child_driver import Driver, on_path

from daemons import LONG
from mainspring.engine.child_messages import End, Failed, Outcome, Ready
from mainspring.store.journal import Journal


@pytest.fixture
def make():
    made = []

    def make(*given, **changes):
        made.append(Driver(*given, **changes))
        return made[-1]

    yield make
    for driver in made:
        driver.close()


@pytest.fixture
def fifo(tmp_path):
    path = tmp_path / "gate"
    os.mkfifo(path)
    return path


@pytest.mark.parametrize(
    ("body", "payload", "words"),
    [
        ("exit_with", "[[3],{}]", "exited with code 3"),
        ("exit_with", "[[0],{}]", "exited with code 0"),
        ("crash", None, "was killed by SIGSEGV"),
        ("kill_me", None, "was killed by SIGKILL (out of memory?)"),
    ],
)
def test_a_death_in_mid_body(make, capfd, body, payload, words):
    driver = make().ready()
    token = driver.feed(body, payload, task=9)
    unread = [driver.packet("nothing", task=10), driver.packet("nothing", task=11)]
    fed = [packet for packet in unread if driver.child.feed(packet)]
    assert driver.expect(Outcome) is None, "nothing is answered, and the end is seen"
    assert driver.child.receive() is None
    assert driver.child.ended(LONG) == words
    assert driver.child.current()[:2] == (9, token), "the one that was taken"
    assert driver.child.take_back() == fed, "those that were not"
    assert not driver.child.feed(unread[0])
    assert ("Fatal Python error" in capfd.readouterr().err) == (body == "crash")


def test_killed(make, fifo):
    driver = make().ready()
    assert driver.child.ended() is None
    driver.feed("wait_at", f'[["{fifo}"],{{}}]', task=9)
    driver.started(9)
    driver.child.kill()
    assert driver.child.ended(LONG) == "was killed by SIGKILL", "no guess where we did it"
    driver.child.kill()
    driver.child.close()
    driver.child.close()


def test_killed_while_it_holds_the_interpreter(make):
    driver = make().ready()
    driver.feed("hold", task=9)
    driver.started(9)
    driver.child.kill()
    assert driver.child.ended(LONG) == "was killed by SIGKILL"


def test_sigterm_ends_it(make):
    driver = make().ready()
    os.kill(driver.child.pid, signal.SIGTERM)
    assert driver.child.ended(LONG) == "was killed by SIGTERM"


def test_what_a_dead_ones_task_has_started_dies_with_it(make):
    read, write = os.pipe()
    setup = on_path(os.path.dirname(__file__), environ={"TELL": str(write)})
    driver = make(setup, locks=(write,))  # any descriptor can be handed down
    os.close(write)
    driver.ready().feed("spawn_and_die", task=1)
    program = int(os.read(read, 100))
    gone = os.pidfd_open(program)
    assert driver.expect(Outcome) is None
    assert driver.child.ended(LONG) == "exited with code 1"
    assert select.select([gone], (), (), LONG)[0], "the program is still running"
    os.close(gone)
    os.close(read)


@pytest.mark.parametrize("body", ["for_ever", "spin", "asleep"])
def test_when_the_daemon_says_nothing_more_it_dies(make, body):
    driver = make().ready()
    driver.feed(body, task=9)
    driver.started(9)
    driver.child._control.close()  # as the system does it when the daemon dies
    assert driver.child.ended(LONG) == "was killed by SIGKILL (out of memory?)"


def test_a_fork_that_lives_on_does_not_hide_a_death(make, fifo):
    driver = make().ready()
    driver.feed("fork_and_wait", f'[["{fifo}"],{{}}]', task=1)
    assert driver.expect(Outcome) is None
    assert driver.child.ended(LONG) == "exited with code 9"


def test_when_memory_runs_out_it_goes_before_the_daemon(make):
    driver = make().ready()
    with open("/proc/self/oom_score_adj") as ours, open(f"/proc/{driver.child.pid}/oom_score_adj") as its:
        assert int(its.read()) > int(ours.read())


def test_the_locks_are_held_until_it_is_gone(make):
    read, write = os.pipe()
    driver = make(locks=(write,)).ready()
    os.close(write)
    assert not select.select([read], (), (), 0)[0]
    assert f"pipe:[{os.fstat(read).st_ino}]" not in driver.run("inherited_by_programs").result
    driver.child.close()
    assert select.select([read], (), (), LONG)[0]
    assert os.read(read, 1) == b""
    os.close(read)


def test_a_successor_takes_over_the_part_of_the_journal(make):
    first = make()
    first.ready().run("nothing", task=1)
    first.child.kill()
    first.child.ended(LONG)
    second = make(memory=first.fd)
    assert second.child.current() is None
    second.ready()
    assert second.child.current() is None
    second.run("nothing", task=2)
    assert second.child.current()[0] == 2
    assert {task for task, _, _ in Journal(second.map).started()} == {1, 2}


def test_after_so_many_tasks_it_retires(make):
    driver = make(max_tasks=2).ready()
    assert not driver.run("nothing").retire
    assert driver.run("fail", '[["x"],{}]').retire
    packet = driver.packet("nothing", task=3)
    assert driver.child.feed(packet)
    assert driver.child.take_back() == [packet], "it reads nothing more"
    assert driver.child.ended() is None
    driver.child.control(End())
    assert driver.child.ended(LONG) == "exited with code 0"


def test_over_so_much_memory_it_retires(make):
    driver = make(max_memory=150_000_000).ready()
    assert not driver.run("nothing").retire
    assert driver.run("grow", "[[200000000],{}]").retire


def test_told_to_end_it_ends_when_what_runs_has_ended(make, fifo):
    driver = make().ready()
    driver.feed("wait_at", f'[["{fifo}"],{{}}]', task=1)
    driver.started(1)
    driver.child.control(End())
    fed = 0
    while driver.child.feed(driver.packet("nothing", task=2)):  # until it has heard of the end
        fed += 1
        os.sched_yield()
    fifo.write_text("on")
    assert driver.expect(Outcome, task=1).result == '"on"'
    for _ in range(fed):
        answered = driver.expect(Outcome, task=2)
        assert (answered.kind, answered.why) == ("not-started", "this worker process is ending")
    assert driver.child.ended(LONG) == "exited with code 0"


def test_told_to_end_while_idle(make):
    driver = make().ready()
    driver.run("add", "[[1,2],{}]")
    driver.child.control(End())
    assert driver.expect(Outcome) is None
    assert driver.child.ended(LONG) == "exited with code 0"


def test_told_to_end_before_it_is_ready(make):
    driver = make()
    driver.child.control(End())
    driver.ready()
    assert driver.child.ended(LONG) == "exited with code 0"


def test_ready_is_a_fact_of_its_own(make, tmp_path, fifo):
    (tmp_path / "slow_app.py").write_text(f"open({str(fifo)!r}).read()\ndef one():\n    return 1\n")
    driver = make(on_path(tmp_path, app="slow_app"))
    assert driver.child.feed(driver.packet("slow_app:one", task=1)), "it is fed, and reads it when it is ready"
    assert not driver.child.ready
    fifo.write_text("on")
    assert driver.expect(Ready, Failed) == Ready(driver.child.pid)
    assert driver.child.ready
    assert driver.expect(Outcome, task=1).kind == "ok"
