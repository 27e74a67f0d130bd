"""`drain` ends where nothing is left but what nobody can run: nothing else is overlooked."""

import pytest

from daemons import LONG, Gate


@pytest.mark.parametrize("count", [1, 1200])
def test_what_nobody_can_run_is_not_waited_for(threaded, count):
    daemon = threaded()
    daemon.add_tasks([{"work": "nowhere:f"}] * count)
    waited = []
    until = daemon._waiting.until
    daemon._waiting.until = lambda look, timeout, **named: waited.append(until(look, timeout, **named)) or waited[0]
    assert daemon.drain()  # without an end of its own
    assert waited == [True]
    assert daemon.status().unresolved == count


def test_what_runs_beside_it_is(threaded):
    daemon, gate = threaded(workers=1), Gate()

    @daemon.task(name="t:slow")
    def slow():
        gate.wait()

    daemon.add_tasks([{"work": "nowhere:f"}] * 1200)
    task = slow.enqueue()
    gate.await_arrivals()
    last = slow.enqueue()
    assert not daemon.drain("300ms")
    gate.open()
    assert daemon.drain(LONG)
    assert [task.refresh().state, last.refresh().state] == ["succeeded"] * 2
