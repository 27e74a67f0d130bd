"""The machine's clocks, and the sleeper that is told when one of them is set."""

import ctypes
import errno
import sys
import time

import pytest

from mainspring.when.clock import _FAR_S, SelectSleeper, SystemClock, TimerSleeper

linux = pytest.mark.skipif(sys.platform != "linux", reason="timerfd")


def test_the_three_clocks_are_those_of_the_system():
    clock = SystemClock()
    before = time.time_ns() // 1000, time.monotonic_ns() // 1000
    read = clock.now(), clock.monotonic()
    after = time.time_ns() // 1000, time.monotonic_ns() // 1000
    assert all(low <= value <= high for low, value, high in zip(before, read, after, strict=True))


def test_the_boot_clock_has_the_time_that_the_machine_slept():
    clock = SystemClock()
    monotonic, boottime = clock.monotonic(), clock.boottime()
    assert boottime >= monotonic


@pytest.fixture
def sleeper():
    one = TimerSleeper()
    yield one
    one.close()


class Settime:
    """Stands for the system call: notes for when the timer was armed, and tells what the test wants."""

    def __init__(self, error=0):
        self.error = error
        self.armed = []

    def __call__(self, _timer, _flags, spec, _old):
        value = spec._obj.value
        self.armed.append((value.seconds, value.nanoseconds))
        ctypes.set_errno(self.error)
        return -1 if self.error else 0


@linux
def test_a_clock_that_was_set_while_nobody_slept_ends_the_next_sleep(sleeper):
    """The kernel arms the timer then, and says ECANCELED all the same."""
    sleeper._settime = settime = Settime(errno.ECANCELED)
    sleeper.sleep(2**60)  # a sleeping body; returns: the caller looks again
    assert len(settime.armed) == 1
    settime.error = 0
    sleeper.wake()
    sleeper.sleep(2**60)  # a sleeping body
    assert len(settime.armed) == 1, "it is armed already"


@linux
def test_any_other_error_of_the_timer_is_one(sleeper):
    sleeper._settime = Settime(errno.EINVAL)
    with pytest.raises(OSError, match="timerfd_settime"):
        sleeper.sleep(2**60)  # a sleeping body


@linux
def test_who_waits_for_no_instant_is_told_of_a_set_clock_too(sleeper):
    """A timer that is not armed is not cancelled either: it is armed for a far instant."""
    sleeper._settime = settime = Settime()
    sleeper.wake()
    sleeper.sleep(None)  # a sleeping body
    assert settime.armed == [(_FAR_S, 0)]
    assert _FAR_S > 2**31 - 2


@linux
def test_the_kernel_takes_the_far_instant(sleeper):
    sleeper.wake()
    sleeper.sleep(None)  # a sleeping body
    sleeper.sleep(0)  # a sleeping body; past: it is armed anew, and due


@pytest.mark.parametrize("kind", [SelectSleeper, pytest.param(TimerSleeper, marks=linux)])
def test_a_past_instant_is_no_sleep(kind):
    one = kind()
    for until in (0, 1, time.time_ns() // 1000 - 1):
        one.sleep(until)  # a sleeping body
    one.close()
