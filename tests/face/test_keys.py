"""Keys: unique among unfinished tasks; kept, replaced or refused, and free again."""

import pytest

from daemons import LONG, until
from mainspring import (
    KeyInUse,
    TooLate,
)


def test_a_key_in_use_is_an_error_that_names_the_task(daemon, clock, echo):
    first = echo.options(key="order-42").after("1h").enqueue(1)
    with pytest.raises(KeyInUse) as caught:
        echo.options(key="order-42").enqueue(2)
    assert caught.value.task_id == first.id
    assert first.id in str(caught.value)
    clock.advance("1h")  # a finished task frees its key
    assert echo.options(key="order-42").enqueue(2).result() == 2


def test_keep_returns_the_one_there(daemon, echo):
    first = echo.options(key="k").after("1h").enqueue(1)
    kept = echo.options(key="k", on_conflict="keep").enqueue(2)
    assert kept == first
    assert kept.run_at == first.run_at
    assert len(daemon.find()) == 1


@pytest.mark.parametrize("after", ["2s", "1h"])  # held by the daemon, or free in the store
def test_replace_cancels_a_waiting_one_in_the_same_commit(daemon, clock, echo, after):
    first = echo.options(key="k").after(after).enqueue(1)
    clock.advance("1ms")
    second = echo.options(key="k", on_conflict="replace").after("3s").enqueue(2)
    clock.advance("2h")
    assert (first.refresh().state, first.attempt) == ("cancelled", 0)
    assert second.result() == 2
    assert len(daemon.find()) == 2


def test_a_client_replaces_what_a_running_daemon_holds(threaded, gate, monkeypatch):
    monkeypatch.setattr("mainspring.engine.claimer.LEAD_US", 2 * LONG * 1_000_000)  # held at once, due much later
    monkeypatch.setattr("mainspring.engine.claimer.HORIZON_US", 3 * LONG * 1_000_000)
    daemon, client = threaded(workers=1), threaded(start=False)

    @daemon.task(name="t:hold")
    def hold(number):
        gate.wait()
        return number

    first = client.add_task("t:hold", (1,), key="k", after=LONG)
    until(daemon, lambda: first.refresh().row.holder)
    second = client.add_task("t:hold", (2,), key="k", on_conflict="replace")
    gate.await_arrivals()
    assert first.refresh().state == "cancelled"
    with pytest.raises(TooLate):
        client.add_task("t:hold", (3,), key="k", on_conflict="replace")
    gate.open()
    assert second.result(LONG) == 2
    assert client.find(key="k", state="waiting") == []


def test_a_key_is_free_again_after_cancel(daemon, echo):
    echo.options(key="k").after("1h").enqueue(1).cancel()
    assert echo.options(key="k").enqueue(2).result() == 2
