"""Listeners, from their rows in the store to their bodies and back to the status that is shown."""

import asyncio
import contextvars
import logging
import threading

import pytest
from listener_parts import HOUR, LONG, Obedient, change

from mainspring.engine.backoff import FIRST_US, HEALTHY_US, MOST_US, delay_us
from mainspring.engine.rota import STARVED_US
from mainspring.engine.supervisor import WRITE_EVERY_US
from mainspring.store.rows import NewNode
from mainspring.tasks.codec import encode_call
from mainspring.tasks.context import context, stopping


# ── turns ──────────────────────────────────────────────────────────────────────────────────────────────────
def test_a_function_is_called_again_and_again_in_a_context_of_its_own(site):
    seen, mark = [], contextvars.ContextVar("mark", default=None)

    def watch(word, *, times):
        here = context()
        seen.append((word, times, here.name, here.task_id, here.run_at, here.attempt, mark.get()))
        mark.set("left behind")
        site.bell.wake()

    site.listen("watch", watch, payload=encode_call(("a",), {"times": 2}), pause=0)
    site.supervisor()
    site.until(lambda: len(seen) >= 3)
    assert set(seen) == {("a", 2, "watch", "", None, 1, None)}
    assert site.status("watch").state == "up"


def test_fifteen_on_three_workers_are_all_called(site):
    counts = dict.fromkeys([f"one{index}" for index in range(15)], 0)

    def body(name):
        def count():
            counts[name] += 1
            site.bell.wake()

        return count

    for name in counts:
        site.listen(name, body(name), pause=0)
    supervisor = site.supervisor(workers=3)
    site.until(lambda: min(counts.values()) >= 20)
    supervisor.ask_stop()
    assert supervisor.join(LONG)
    assert max(counts.values()) - min(counts.values()) <= 1


def test_no_listener_no_thread(site):
    site.supervisor().step(site.clock.now())
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("mainspring-listener")]


# ── starving ───────────────────────────────────────────────────────────────────────────────────────────────
def test_the_fourth_on_three_workers_starves_and_says_so_until_it_has_a_turn(site, caplog):
    bodies = {f"stay{index}": Obedient(site.bell) for index in range(4)}
    for name, one in bodies.items():
        site.listen(name, one.body())
    supervisor = site.supervisor(workers=3)
    site.until(lambda: sum(one.inside for one in bodies.values()) == 3)
    (hungry,) = [name for name, one in bodies.items() if not one.inside]
    assert supervisor.busy() == supervisor.workers == 3
    assert site.state(hungry) == "up"
    wanted = supervisor.step(site.clock.now())
    assert wanted == site.clock.now() + STARVED_US
    site.clock.advance(STARVED_US)
    supervisor.step(site.clock.now())
    assert site.state(hungry) == "starved"
    assert (hungry, "starved") in [fact[:2] for fact in supervisor.facts()]
    assert supervisor.step(site.clock.now()) is None, "nothing more to look for"
    (record,) = [record for record in caplog.records if "no turn for 10 s" in record.message]
    assert record.levelno == logging.WARNING
    assert "raise listener_workers, or return from each call" in record.message
    next(one for name, one in bodies.items() if name != hungry).crash(ValueError("room for another"))
    site.clock.advance(WRITE_EVERY_US)
    site.until(lambda: site.state(hungry) == "up")
    assert bodies[hungry].inside


# ── failures ───────────────────────────────────────────────────────────────────────────────────────────────
def test_a_failure_is_shown_and_the_listener_started_again(site, caplog):
    calls = []

    def fragile():
        calls.append(context().attempt)
        if len(calls) <= 4:
            raise ValueError(f"bad {len(calls)}")
        site.bell.wake()

    site.listen("fragile", fragile, pause=HOUR)
    supervisor = site.supervisor()
    site.until(lambda: site.status("fragile").restarts == 1)
    status = site.status("fragile")
    assert (status.state, status.last_error) == ("backing-off", "ValueError: bad 1")
    for failures in (1, 2, 3, 4):
        site.until(lambda: supervisor.facts()[0][3] == failures)  # noqa: B023
        assert len(calls) == failures, "it is left alone"
        site.clock.await_sleep(site.clock.time + delay_us("fragile", failures))
        site.clock.advance(delay_us("fragile", failures))
    site.until(lambda: len(calls) == 5)
    site.clock.advance(WRITE_EVERY_US)
    site.until(lambda: site.state("fragile") == "up")
    assert supervisor.facts() == [("fragile", "up", 5, 4, "ValueError: bad 4")]
    assert site.status("fragile").restarts == 4
    assert calls == [1, 2, 3, 4, 5]
    warnings = [record for record in caplog.records if record.levelno == logging.WARNING]
    assert len(warnings) == 4
    assert "Traceback" in warnings[0].message
    assert "bad 1" in warnings[0].message


@pytest.mark.parametrize("error", [SystemExit(3), KeyboardInterrupt(), GeneratorExit()])
def test_whatever_is_raised_ends_the_turn_and_not_the_worker(site, error):
    def leave():
        raise error

    seen = threading.Event()

    def other():
        seen.set()

    site.listen("leave", leave)
    site.listen("other", other, pause=HOUR)
    site.supervisor(workers=1)
    site.until(lambda: site.status("leave").restarts == 1)
    assert seen.wait(LONG)
    assert site.status("leave").last_error.startswith(type(error).__name__)


def test_status_is_written_at_most_twice_a_second_and_never_for_turns(site):
    calls, versions = [], []

    def steady():
        calls.append(1)
        if len(calls) >= 50:
            versions.append(site.row("steady").version)
            raise ValueError(len(calls))

    site.listen("steady", steady, pause=0)
    supervisor = site.supervisor()
    site.until(lambda: site.status("steady").restarts == 1)
    assert versions == [1], "it was taken; its turns caused no write"
    for failures in (1, 2):
        site.clock.await_sleep(site.clock.time + delay_us("steady", failures))
        site.clock.advance(delay_us("steady", failures))
        site.until(lambda: supervisor.facts()[0][3] == failures + 1)  # noqa: B023
    assert site.row("steady").version == 2, "the first failure was written, and half a second is not over"
    site.clock.advance(WRITE_EVERY_US)
    site.until(lambda: site.row("steady").version == 3)
    assert site.status("steady").restarts >= 3


def test_waits_double_up_to_a_cap_with_a_jitter_that_can_be_repeated():
    for failures in range(1, 100):
        full = min(FIRST_US * 2 ** (failures - 1), MOST_US)
        assert full * 0.8 <= delay_us("name", failures) <= full
        assert delay_us("name", failures) == delay_us("name", failures)
    assert len({delay_us(f"listener {index}", 5) for index in range(20)}) > 15


def test_after_a_healthy_minute_failures_count_from_one(site):
    one = Obedient(site.bell)
    site.listen("one", one.body())
    site.supervisor()
    for failures in (1, 2, 3):
        site.until(lambda: one.begun == failures and one.inside)  # noqa: B023
        one.crash(ValueError("early"))
        site.until(lambda: site.supervisors[0].facts()[0][3] == failures and not one.inside)  # noqa: B023
        assert site.supervisors[0].facts()[0][1] == "backing-off"
        site.clock.await_sleep(site.clock.time + delay_us("one", failures))
        site.clock.advance(delay_us("one", failures) - 1)
        site.bell.until(lambda: True, *site.supervisors)
        assert one.begun == failures, "not before its wait is over"
        site.clock.advance(1)
    site.until(lambda: one.begun == 4 and one.inside)
    site.clock.advance(HEALTHY_US)
    one.crash(ValueError("late"))
    site.until(lambda: site.supervisors[0].facts()[0][3] == 4)
    site.clock.await_sleep(site.clock.time + delay_us("one", 1))
    site.clock.advance(delay_us("one", 1))
    site.until(lambda: one.begun == 5)


# ── coroutines ─────────────────────────────────────────────────────────────────────────────────────────────
def test_coroutines_are_awaited_again_and_hold_no_thread(site):
    calls = []

    async def poll():
        calls.append(context().name)
        await asyncio.sleep(0)
        site.bell.wake()

    site.listen("poll", poll, pause=0)
    supervisor = site.supervisor(workers=1)
    site.until(lambda: len(calls) >= 3)
    assert supervisor.busy() == 0
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("mainspring-listener")]


def test_a_coroutine_that_fails_is_started_again_and_stop_cancels_it(site):
    begun, cancelled = [], []

    async def watch():
        begun.append(1)
        site.bell.wake()
        if len(begun) == 1:
            raise SystemExit("no")
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            cancelled.append(stopping())
            raise

    site.listen("watch", watch)
    supervisor = site.supervisor()
    site.until(lambda: site.status("watch").restarts == 1)
    assert site.status("watch").last_error == "SystemExit: no"
    site.until(lambda: site.supervisors[0]._again)  # when to go on was reckoned
    site.clock.advance(max(delay_us("watch", 1), WRITE_EVERY_US))
    site.until(lambda: len(begun) == 2 and site.state("watch") == "up")
    supervisor.ask_stop()
    assert supervisor.join(LONG)
    supervisor.close()
    assert cancelled == [True]
    assert site.status("watch").restarts == 1


# ── who holds it ───────────────────────────────────────────────────────────────────────────────────────────
def test_an_exclusive_one_runs_in_one_daemon_and_an_everywhere_one_in_both(site):
    alone, both = [Obedient(site.bell) for _ in range(6)], Obedient(site.bell)
    for index, one in enumerate(alone):
        site.listen(f"alone{index}", one.body())
    site.listen("both", both.body(), everywhere=True)
    first, second = site.supervisor(workers=9), site.supervisor(workers=9)
    gate = threading.Barrier(2)
    standings, seen = site.store.standings, threading.local()

    def at_once(kind=None):  # both read the rows before either takes one
        found = standings()
        if not hasattr(seen, "before"):
            seen.before = True
            gate.wait(LONG)
        return found

    site.store.standings = at_once
    threads = [threading.Thread(target=one.step, args=(site.clock.now(),)) for one in (first, second)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(LONG)
    site.store.standings = standings
    site.until(lambda: all(one.begun for one in alone) and both.begun == 2)
    assert [one.begun for one in alone] == [1] * 6
    nodes = {first.node, second.node}
    assert {site.row(f"alone{index}").holder for index in range(6)} <= nodes
    assert site.row("both").holder is None
    held = [fact[0] for one in (first, second) for fact in one.facts()]
    assert sorted(held) == [*(f"alone{index}" for index in range(6)), "both", "both"]


def test_stop_lets_go_and_another_daemon_takes_it(site):
    one = Obedient(site.bell)
    site.listen("one", one.body())
    first = site.supervisor()
    site.until(lambda: one.inside == 1)
    second = site.supervisor()
    second.step(site.clock.now())
    assert second.facts() == []
    first.ask_stop()
    assert first.join(LONG)
    first.close()
    assert (site.row("one").holder, site.state("one")) == (None, "down")
    site.until(lambda: one.begun == 2, second)
    assert site.row("one").holder == second.node


def test_the_listeners_of_a_dead_daemon_are_taken(site):
    one = Obedient(site.bell)
    site.listen("one", one.body())
    dead = site.store.join(NewNode(host="there", pid=1, version="1", workers=1, started_at=0)).node
    change(site, "one", holder=dead)
    supervisor = site.supervisor()
    supervisor.step(site.clock.now())
    assert supervisor.facts() == []
    site.store.lose(dead)
    site.store.take_over(dead, site.clock.now())
    supervisor.hear(["nodes"])
    site.bell.until(lambda: one.inside == 1, supervisor)
    assert site.row("one").holder == supervisor.node


def test_one_that_does_not_heed_keeps_its_place_and_is_named(site, caplog):
    release, inside = threading.Event(), threading.Event()

    def deaf():
        inside.set()
        assert release.wait(LONG)

    site.listen("deaf", deaf)
    supervisor = site.supervisor()
    supervisor.step(site.clock.now())
    assert inside.wait(LONG)
    supervisor.ask_stop()
    assert supervisor.join(0) is False
    assert "deaf" in caplog.messages[-1]
    supervisor.close()
    assert site.row("deaf").holder == supervisor.node, "nobody else may start it while it runs here"
    release.set()
