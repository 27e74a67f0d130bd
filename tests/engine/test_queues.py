"""Queues: which are served, and how many of one run at once."""

import pytest

from daemons import LONG, until
from mainspring import InvalidValue


def test_only_the_named_queues_are_served(url, clock):
    from mainspring import Daemon

    daemon = Daemon(url, clock=clock, queues=["mail"])

    @daemon.task(name="t:f")
    def f(): ...

    with daemon:
        mine, other = f.options(queue="mail").enqueue(), f.enqueue()
        assert (mine.refresh().state, other.refresh().state) == ("succeeded", "waiting")
        clock.advance("1h")
        assert other.refresh().state == "waiting"


def test_a_limit_holds_while_other_queues_go_on(threaded, gates):
    daemon = threaded(workers=4, queues={"mail": 2, "default": None})
    mail, rest = gates(), gates()

    @daemon.task(name="t:send", queue="mail")
    def send():
        mail.wait()

    @daemon.task(name="t:work")
    def work():
        rest.wait()

    mails = [send.enqueue() for _ in range(6)]
    mail.await_arrivals(2)
    works = [work.enqueue() for _ in range(2)]
    rest.await_arrivals(2)  # the two other workers are not kept busy by mail that may not start
    assert mail.inside == 2
    mail.open()
    assert all(task.wait(LONG) for task in mails)
    assert mail.most == 2
    rest.open()
    assert all(task.wait(LONG) for task in works)


def test_a_limited_queue_keeps_its_order(threaded, gate):
    daemon = threaded(workers=4, queues={"mail": 1, "default": None})
    seen = []

    @daemon.task(name="t:hold", queue="mail")
    def hold():
        gate.wait()

    @daemon.task(name="t:note", queue="mail")
    def note(what):
        seen.append(what)

    hold.enqueue()
    gate.await_arrivals()
    tasks = daemon.add_tasks([{"work": note, "args": (n,), "priority": int(n == 3)} for n in range(6)])
    until(daemon, lambda: tasks[3].refresh().row.holder)
    gate.open()
    assert daemon.drain(LONG)
    assert seen == [3, 0, 1, 2, 4, 5]


@pytest.mark.parametrize("bad", ["", "a\nb", 7, "x" * 501])
def test_bad_queue_names_are_refused(daemon, bad):
    @daemon.task(name="t:f")
    def f(): ...

    with pytest.raises(InvalidValue, match="queue="):
        f.options(queue=bad).enqueue()


def test_what_is_planned_for_later_takes_no_room_from_what_is_due(url, clock):
    from mainspring import Daemon

    daemon = Daemon(url, clock=clock, queues={"mail": 1})

    @daemon.task(name="t:f", queue="mail")
    def f(): ...

    with daemon:
        for _ in range(5):
            f.after("1s").enqueue()  # reserved ahead
        clock.advance("1ms")
        assert f.enqueue().refresh().state == "succeeded"
