"""Clocks that are set, by seconds, hours and days, and machines that sleep, at each stage of a task."""

import logging
import threading
from datetime import timedelta

import pytest

from daemons import LONG, until
from mainspring import Daemon
from mainspring.engine import settle
from mainspring.engine.clockwatch import ClockWatch, Moved, span
from mainspring.store.journal import SIZE, Journal
from mainspring.store.rows import Settlement
from mainspring.testing import VirtualClock
from mainspring.when.clock import SelectSleeper, SystemClock

SECOND = 1_000_000
HOUR, DAY = 3_600 * SECOND, 86_400 * SECOND
STEPS = [pytest.param(by * SECOND, id=f"{by:+}s") for by in (1, -1, 3_600, -3_600, 86_400, -86_400)]


class MovedClock(SystemClock):
    """The machine's clock, set by hand: who sleeps is told, as the kernel tells it."""

    def __init__(self):
        self.shift = 0
        self.asleep = 0
        self.sleepers = []

    def now(self):
        return super().now() + self.shift

    def boottime(self):
        return super().boottime() + self.asleep

    def sleeper(self):
        self.sleepers.append(MovedSleeper(self))
        return self.sleepers[-1]

    def set(self, by):
        self.shift += by
        self._tell()

    def suspend(self, length):
        """While it slept, the wall clock went on."""
        self.asleep += length
        self.shift += length
        self._tell()

    def _tell(self):
        for sleeper in self.sleepers:
            sleeper.wake()


class MovedSleeper(SelectSleeper):
    def __init__(self, clock):
        super().__init__()
        self.clock = clock

    def sleep(self, until):
        super().sleep(None if until is None else until - self.clock.shift)  # a sleeping body


class SlowClock(VirtualClock):
    """Slewed: its monotonic clock runs faster or slower than what it shows."""

    ppm = 0

    def monotonic(self):
        passed = super().monotonic()
        return passed + passed * self.ppm // 1_000_000


@pytest.fixture
def moved():
    return MovedClock()


def said(caplog):
    return [record.getMessage() for record in caplog.records if "clock was set" in record.getMessage()]


# ── noticed, and said ──────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("by", STEPS)
def test_a_step_is_noticed_and_said_in_log_and_status(daemon, clock, caplog, by):
    assert daemon.status().nodes[0].clock is None
    clock.step(by / SECOND)
    (node,) = daemon.status().nodes
    assert (node.clock.set_by, node.clock.slept) == (by / SECOND, 0)
    assert node.clock.at.startswith(clock.time.strftime("%Y-%m-%dT%H:%M:%S"))
    (line,) = said(caplog)
    assert f"set {'forward' if by > 0 else 'back'} by {span(abs(by))}" in line
    assert caplog.records[-1].levelno == logging.WARNING


def test_an_idle_daemon_notices_without_a_turn_of_its_own(threaded, moved):
    daemon = threaded(clock=moved)
    moved.set(-HOUR)
    clock = until(daemon, lambda: daemon.status().nodes[0].clock)
    assert clock.set_by == pytest.approx(-3_600, abs=0.1)


def test_a_sleep_of_the_machine_is_no_step(threaded, moved):
    daemon = threaded(clock=moved)
    moved.suspend(7 * HOUR)
    clock = until(daemon, lambda: daemon.status().nodes[0].clock)
    assert clock.slept == pytest.approx(7 * 3_600, abs=0.1)
    assert clock.set_by == 0


def test_what_passes_by_itself_is_no_step(daemon, clock, caplog):
    for _ in range(10):
        clock.advance("1d")
    assert daemon.status().nodes[0].clock is None
    assert not said(caplog)


def test_a_turn_that_began_before_the_clock_was_set_goes_on_and_asks_for_another():
    clock, told, rung = VirtualClock("2030-01-01T00:00Z"), [], []

    class Told:
        def clock_moved(self, moved):
            told.append(moved)

    watch = ClockWatch(clock, [Told()], Journal(bytearray(SIZE)), [lambda: rung.append(True)])
    before = clock.now()
    clock.step(-3_600)
    watch.step(before)
    assert (told, rung) == ([], [True])
    watch.step(clock.now())
    assert told == [Moved(before - HOUR, -HOUR, 0)]


@pytest.mark.parametrize(
    ("length", "text"),
    [(1_003_000, "1 s"), (250_000, "0.25 s"), (3_603 * SECOND, "1 h 0 min 3 s"), (DAY, "1 d")],
)  # fmt: skip
def test_lengths_of_time_as_people_say_them(length, text):
    assert span(length) == text


# ── nothing early, nothing twice ───────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("by", STEPS)
@pytest.mark.parametrize("due", [2, 30, 7_200])  # seconds: held in the timeline; waiting in the store
def test_what_waits_starts_at_its_instant_by_the_new_clock_and_once(daemon, clock, by, due):
    ran = []

    @daemon.task(name="t:f")
    def f():
        ran.append(clock.time)

    task = f.after(due).enqueue()
    clock.step(by / SECOND)
    clock.advance("3d")
    assert len(ran) == 1
    assert ran[0] >= task.run_at
    task.refresh()
    late = max(timedelta(), timedelta(microseconds=by) - timedelta(seconds=due))
    assert (task.state, task.attempt, task.lateness) == ("succeeded", 1, late)


@pytest.mark.parametrize("by", STEPS)
def test_what_has_run_does_not_run_again(daemon, clock, by):
    ran = []

    @daemon.task(name="t:f")
    def f(which):
        ran.append(which)

    daemon.add_schedule(f, "10m", args=("schedule",), name="often")
    once = f.after("5m").enqueue("once")
    clock.advance("1h")
    assert (ran.count("once"), ran.count("schedule")) == (1, 6)
    clock.step(by / SECOND)
    clock.advance("3d")
    assert ran.count("once") == 1
    assert once.refresh().attempt == 1
    instants = [task.run_at for task in daemon.find(name="f", limit=1_000) if task.id != once.id]
    assert len(instants) == len(set(instants)), "each occurrence is one task"


@pytest.mark.parametrize("by", STEPS)
def test_a_retry_waits_for_its_instant(daemon, clock, by):
    starts = []

    @daemon.task(name="t:f", retry=1)
    def f():
        starts.append(clock.time)
        if len(starts) == 1:
            raise OSError

    task = f.enqueue()
    retry_at = task.refresh().run_at
    clock.step(by / SECOND)
    clock.advance("3d")
    assert len(starts) == 2
    assert starts[1] >= retry_at


@pytest.mark.parametrize("ppm", [500, -500])
def test_a_clock_that_is_slewed_makes_nothing_early_and_is_no_step(ppm, caplog):
    clock = SlowClock("2030-01-01T00:00Z")
    clock.ppm = ppm
    with Daemon("memory:", clock=clock, name="tests") as daemon:

        @daemon.task(name="t:f")
        def f(): ...

        tasks = [f.after(seconds).enqueue() for seconds in range(100)]
        clock.advance("2m")
        assert all(task.refresh().lateness == timedelta(0) for task in tasks)
        assert not said(caplog)
    daemon.close()


# ── while something runs ───────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("by", STEPS)
def test_an_attempt_lasts_as_long_as_it_did(threaded, gate, moved, by):
    daemon = threaded(clock=moved)

    @daemon.task(name="t:f")
    def f():
        gate.wait()

    task = f.enqueue()
    gate.await_arrivals()
    moved.set(by)
    until(daemon, lambda: daemon.status().nodes[0].clock)
    gate.open()
    assert task.wait(LONG)
    task.refresh()
    assert task.lateness >= timedelta(0)
    assert timedelta(0) <= task.finished_at - task.started_at < timedelta(seconds=LONG)
    if by > LONG * SECOND:
        assert task.finished_at < task.started_at + timedelta(microseconds=by)


@pytest.mark.parametrize("by", STEPS)
def test_a_time_limit_is_no_matter_of_the_clock(threaded, gate, moved, by):
    """Its coroutine is cancelled when the time is over, neither before nor an hour later."""
    daemon = threaded(clock=moved)
    long, short = threading.Event(), threading.Event()

    @daemon.task(name="t:long", timeout="10h")
    def lasting():
        long.set()
        gate.wait()

    @daemon.task(name="t:short", timeout="300ms")
    async def limited():
        import asyncio

        short.set()
        await asyncio.Event().wait()

    lasts = lasting.enqueue()
    assert long.wait(LONG)
    ends = limited.enqueue()
    assert short.wait(LONG)
    moved.set(by)
    assert ends.wait(LONG)
    assert ends.refresh().reason == "time limit"
    gate.open()
    assert lasts.wait(LONG)
    assert lasts.refresh().state == "succeeded"


def test_time_limits_stand_still_while_the_machine_sleeps(threaded, gate, moved):
    daemon = threaded(clock=moved)

    @daemon.task(name="t:f", timeout="1h")
    def f():
        gate.wait()

    task = f.enqueue()
    gate.await_arrivals()
    moved.suspend(7 * HOUR)
    until(daemon, lambda: daemon.status().nodes[0].clock)
    gate.open()
    assert task.wait(LONG)
    assert task.refresh().state == "succeeded"


@pytest.mark.parametrize("by", [-HOUR, -DAY])
def test_what_runs_is_shown_as_running_though_its_start_is_yet_to_come(threaded, gate, moved, by):
    daemon = threaded(clock=moved)

    @daemon.task(name="t:f")
    def f():
        moved.set(by)
        gate.wait()

    task = f.enqueue()
    gate.await_arrivals()
    assert until(daemon, lambda: task.refresh().state == "running")
    gate.open()
    assert task.wait(LONG)


@pytest.mark.parametrize("by", STEPS)
def test_outcomes_are_written_though_the_clock_is_set_while_they_are_gathered(threaded, moved, by):
    daemon = threaded(clock=moved, workers=1)

    @daemon.task(name="t:f")
    def f(number):
        if number == 499:  # the last: whatever had not started would wait for its instant
            moved.set(by)

    tasks = daemon.add_tasks([{"work": f, "args": (number,)} for number in range(500)])
    assert all(task.wait(LONG) for task in tasks)


@pytest.mark.parametrize("by", STEPS)
def test_no_neighbour_is_taken_for_dead(tmp_path, threaded, moved, caplog, by):
    url = str(tmp_path / "shared.db")
    daemons = [threaded(url, clock=moved, name=f"d{number}") for number in range(2)]
    moved.set(by)
    until(daemons[0], lambda: all(node.clock for node in daemons[0].status().nodes))
    assert len(daemons[0].status().nodes) == 2
    assert "died" not in caplog.text


# ── what is kept ───────────────────────────────────────────────────────────────────────────────────────────────


def test_a_clock_that_is_wrong_for_a_moment_takes_no_history(clock):
    with Daemon("memory:", clock=clock, name="tests", retention="7d") as daemon:

        @daemon.task(name="t:f")
        def f(): ...

        task = f.enqueue()
        clock.advance("1m")
        clock.step("365d")
        clock.advance("1m")
        clock.step(-365 * 86_400)
        clock.advance("2h")
        assert task.refresh().state == "succeeded"
    daemon.close()


def test_what_is_far_off_by_the_new_clock_takes_no_room(daemon, clock):
    @daemon.task(name="t:f")
    def f(): ...

    f.after("2s").enqueue()
    engine = daemon._engine
    assert len(engine.timeline) == 1
    clock.step("-1h")
    assert len(engine.timeline) == 0
    clock.advance("2h")
    assert daemon.status().counts["succeeded"] == 1


def ended(started, finished):
    return Settlement(1, 2, 3, False, 1, 0, started_at=started, finished_at=finished)


@pytest.mark.parametrize(
    ("started", "finished", "elapsed", "shown"),
    [
        (0, 5_000, 5_010, 5_000),  # the two clocks agree
        (HOUR, 1_000, 2_000, HOUR + 2_000),  # set back
        (0, HOUR, 3_000, 3_000),  # set forward
        (HOUR, 1_000, None, HOUR),  # set back; how long it took, nobody knows
        (0, HOUR, None, HOUR),
        (None, HOUR, 3_000, HOUR),  # it never began
    ],
)
def test_the_end_of_an_attempt_follows_its_start(started, finished, elapsed, shown):
    assert settle.timed(ended(started, finished), elapsed).finished_at == shown
