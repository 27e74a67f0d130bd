"""The clock that a test moves: exact, in order, and only from outside."""

import threading
from datetime import UTC, datetime, timedelta

import pytest

from mainspring import Daemon, InvalidValue, Misuse
from mainspring.testing import VirtualClock

T0 = datetime(2030, 1, 1, tzinfo=UTC)


@pytest.mark.parametrize("start", [T0, "2030-01-01T08:00:00+08:00", T0.timestamp()])
def test_it_stands_where_it_was_told(start):
    clock = VirtualClock(start)
    assert clock.time == T0
    assert clock.now() == int(T0.timestamp()) * 1_000_000
    assert "2030-01-01" in repr(clock)


def test_a_naive_start_is_refused():
    with pytest.raises(InvalidValue, match="offset|zone"):
        VirtualClock(datetime(2030, 1, 1))  # noqa: DTZ001


def test_it_goes_exactly_as_far_as_asked():
    clock = VirtualClock(T0)
    assert clock.advance("1h30m") == T0 + timedelta(minutes=90)
    assert clock.advance(0.000001) == T0 + timedelta(minutes=90, microseconds=1)
    assert clock.monotonic() == 5_400_000_001


def test_it_does_not_go_back_unless_it_is_set():
    clock = VirtualClock(T0)
    with pytest.raises(InvalidValue):
        clock.advance(-1)
    with pytest.raises(InvalidValue, match="set"):
        clock.advance_to(T0 - timedelta(seconds=1))
    assert clock.time == T0


def test_each_task_sees_its_own_instant_and_nothing_is_early_or_late(daemon, clock):
    seen = []

    @daemon.task(name="t:look")
    def look(number):
        seen.append((number, clock.time - T0))

    for seconds in (50, 3, 7_200, 0.25):
        look.after(seconds).enqueue(seconds)
    clock.advance("3h")
    assert seen == [(s, timedelta(seconds=s)) for s in (0.25, 3, 50, 7_200)]
    assert all(task.lateness == timedelta(0) for task in daemon.find(state="succeeded"))
    assert clock.time == T0 + timedelta(hours=3)


def test_what_is_due_just_after_the_goal_does_not_run(daemon, clock):
    @daemon.task(name="t:f")
    def f(): ...

    task = f.after("10s").enqueue()
    clock.advance(timedelta(seconds=10, microseconds=-1))
    assert task.refresh().state == "waiting"
    clock.advance(timedelta(microseconds=1))
    assert task.refresh().state == "succeeded"


def test_what_a_task_adds_runs_within_the_same_advance(daemon, clock):
    seen = []

    @daemon.task(name="t:chain")
    def chain(left):
        seen.append(clock.time - T0)
        if left:
            chain.after("1h").enqueue(left - 1)

    chain.enqueue(3)
    clock.advance("1d")
    assert seen == [timedelta(hours=h) for h in range(4)]


def test_run_to_next_goes_to_what_fires_next_and_runs_it(daemon, clock):
    seen = []

    @daemon.task(name="t:note")
    def note(what):
        seen.append(what)

    daemon.add_schedule(note, "1d", args=("daily",), name="daily")
    note.after("36h").enqueue("once")
    assert clock.run_to_next() == T0 + timedelta(days=1)
    assert seen == ["daily"]
    assert clock.run_to_next() == T0 + timedelta(hours=36)
    assert clock.run_to_next() == T0 + timedelta(days=2)
    assert seen == ["daily", "once", "daily"]


def test_run_to_next_stops_at_a_retry(daemon, clock):
    tries = []

    @daemon.task(name="t:twice", retry=1)
    def twice():
        tries.append(clock.time)
        if len(tries) == 1:
            raise OSError("not yet")

    task = twice.after("1h").enqueue()
    clock.run_to_next()
    assert task.refresh().attempt == 1
    assert clock.run_to_next() == task.run_at
    assert task.refresh().state == "succeeded"


def test_run_to_next_without_a_plan_moves_nothing(daemon, clock):
    assert clock.run_to_next() is None
    assert clock.time == T0

    @daemon.listener
    @daemon.task(name="t:watch")
    def watch(): ...

    assert clock.run_to_next() is None


def test_a_paused_schedule_is_no_plan(daemon, clock):
    @daemon.task(name="t:f")
    def f(): ...

    schedule = daemon.add_schedule(f, "1h", name="hourly")
    schedule.pause()
    assert clock.run_to_next() is None


def test_a_year_of_an_hourly_schedule(clock):
    count = 0
    daemon = Daemon("memory:", clock=clock)

    @daemon.every("1h")
    @daemon.task(name="t:hourly")
    def hourly():
        nonlocal count
        count += 1

    with daemon:
        clock.advance("365d")
    assert count == 8_760


def test_a_task_that_moves_its_own_clock_is_told_so(daemon, clock):
    @daemon.task(name="t:mover")
    def mover():
        clock.advance("1h")

    @daemon.task(name="t:async_mover")
    async def async_mover():
        clock.run_to_next()

    for function in (mover, async_mover):
        task = function.enqueue()
        assert task.refresh().state == "failed"
        assert task.error.type.endswith("Misuse")
        assert "virtual clock" in task.error.message
    assert clock.time == T0


def test_an_observer_that_moves_the_clock_is_dropped(daemon, clock):
    calls = []

    def observer(event):
        calls.append(event.kind)
        clock.advance("1h")

    daemon.observe(observer)

    @daemon.task(name="t:f")
    def f(): ...

    f.enqueue()
    f.enqueue()
    assert calls == ["succeeded"]
    assert clock.time == T0


def test_a_coroutine_may_add_and_steer(daemon, clock):
    """Its body has a thread of its own, which must not wait for the thread that waits for it."""
    done = []

    @daemon.task(name="t:note")
    def note(what):
        done.append(what)

    @daemon.task(name="t:adder")
    async def adder():
        await note.aenqueue("async")
        note.enqueue("sync")
        late = await daemon.aio.add_task(note, ("late",), after="1s")
        assert await daemon.aio.cancel(late.id) == "cancelled"

    assert adder.enqueue().result() is None
    clock.advance("1m")
    assert done == ["async", "sync"]


def test_a_body_may_cancel_what_its_daemon_holds(daemon, clock):
    seen = []

    @daemon.task(name="t:close")
    def close():
        seen.append("closed")

    @daemon.task(name="t:pay")
    def pay(order):
        return str(daemon.cancel(order))

    order = close.after("2s").enqueue()
    clock.advance("1s")  # within the horizon: it is reserved
    assert pay.enqueue(order.id).result() == "cancelled"
    clock.advance("1h")
    assert seen == []
    assert order.refresh().state == "cancelled"


def test_work_without_an_end_at_one_instant_is_an_error(clock, monkeypatch):
    monkeypatch.setattr("mainspring.engine.service.MOST_TURNS", 200)
    daemon = Daemon("memory:", clock=clock)
    again = True

    @daemon.task(name="t:forever")
    def forever():
        if again:
            forever.enqueue()

    with daemon, pytest.raises(Misuse, match="after="):
        forever.enqueue()
    again = False


def test_waiting_for_what_is_not_due_says_to_advance(daemon):
    @daemon.task(name="t:f")
    def f(): ...

    task = f.after("1h").enqueue()
    with pytest.raises(Misuse, match="advance"):
        task.result()
    assert task.wait(0) is False


# ── setting the clock ──────────────────────────────────────────────────────────────────────────────────────────


def test_a_clock_set_forward_runs_what_is_due_and_shows_how_late(daemon, clock):
    @daemon.task(name="t:f")
    def f(): ...

    task = f.after("10s").enqueue()
    before = clock.monotonic()
    clock.step("1h")
    assert clock.time == T0 + timedelta(hours=1)
    assert clock.monotonic() == before
    assert task.refresh().lateness == timedelta(minutes=59, seconds=50)


def test_a_clock_set_back_never_starts_anything_early(daemon, clock):
    @daemon.task(name="t:f")
    def f(): ...

    task = f.after("3s").enqueue()  # reserved at once
    clock.step(-3600)
    assert clock.time == T0 - timedelta(hours=1)
    clock.advance("1h")
    assert task.refresh().state == "waiting"
    clock.advance("3s")
    assert task.refresh().lateness == timedelta(0)


def test_what_is_added_after_the_clock_was_set_back_runs_on_time(daemon, clock):
    @daemon.task(name="t:f")
    def f(): ...

    f.after("1h").enqueue()
    clock.set("2029-01-01T00:00Z")
    task = f.after("1m").enqueue()
    clock.advance("1m")
    assert task.refresh().lateness == timedelta(0)


def test_a_sleeper_wakes_when_the_clock_passes_its_instant(clock):
    sleeper = clock.sleeper()
    woken = threading.Event()
    goal = clock.now() + 5_000_000

    def sleep():
        while clock.now() < goal:
            sleeper.sleep(goal)  # a sleeping body
        woken.set()

    thread = threading.Thread(target=sleep, daemon=True)
    thread.start()
    clock.advance("2s")
    assert not woken.is_set()
    clock.advance("3s")
    assert woken.wait(60)
    thread.join()
    sleeper.sleep(goal)  # a sleeping body: past, it returns at once
    sleeper.close()


# ── what ships with it ─────────────────────────────────────────────────────────────────────────────────────────


def test_the_fixture_is_a_started_daemon_on_a_virtual_clock(mainspring_daemon):
    assert mainspring_daemon.started
    assert isinstance(mainspring_daemon.clock, VirtualClock)

    @mainspring_daemon.task(name="t:length")
    def length(text):
        return len(text)

    task = length.after("1h").enqueue("four")
    mainspring_daemon.clock.advance("1h")
    assert task.result() == 4


def test_the_plugin_brings_in_next_to_nothing():
    """pytest imports it in every run of every project where Mainspring is installed."""
    import subprocess
    import sys

    program = (
        "import sys, pytest; before = set(sys.modules); import mainspring.testing.plugin; "
        "print(*sorted(m for m in set(sys.modules) - before))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=60)
    brought = set(done.stdout.split())
    assert brought <= {"mainspring", "mainspring.version", "mainspring.testing", "mainspring.testing.plugin"}
