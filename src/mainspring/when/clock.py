"""Reading clocks and sleeping: the only file that does either.

Three readings, all in microseconds: `now`, the wall clock, decides *when*; `monotonic`, which stands still while the
machine sleeps, decides *how long*; `boottime`, which does not, tells by how much the other two were moved. Readings are
rounded down and waits up, so that nothing can be early by rounding.

A `Sleeper` waits for an instant of the wall clock, for a `wake` from another thread, or for a watched descriptor,
whichever is first. On Linux it is a timerfd on CLOCK_REALTIME that is cancelled when the clock is set or the machine
has slept, in an epoll without a timeout (epoll's own timeout counts whole milliseconds). Elsewhere a `select` that
looks at the clock at least once a second.
"""

import ctypes
import errno
import os
import select
import socket
import sys
import time
from typing import Protocol

_BOOTTIME = getattr(time, "CLOCK_BOOTTIME", None)
_RECHECK_US = 1_000_000


class Sleeper(Protocol):
    """Waits on behalf of one thread."""

    def sleep(self, until: int | None) -> None:
        """Return at `until` (µs, wall clock; None: no instant), or when woken, or when a watched descriptor is
        readable.

        Returning too soon is allowed (the clock was set, a stale wake): the caller looks again.
        """

    def wake(self) -> None:
        """End the sleep, or the next one if nobody sleeps now. From any thread; cheap when already woken."""

    def watch(self, fd: int) -> None:
        """End sleeps also when `fd` is readable. Watching twice is fine."""

    def unwatch(self, fd: int) -> None:
        """Stop watching; before the descriptor is closed."""

    def close(self) -> None:
        """Let go of the descriptors. Closing twice is fine."""


class Clock(Protocol):
    """Where time comes from. `mainspring.testing.VirtualClock` is another one."""

    def now(self) -> int:
        """The wall clock, µs since 1970-01-01T00:00Z."""

    def monotonic(self) -> int:
        """A clock that nobody sets and that stops while the machine sleeps, µs since some start."""

    def boottime(self) -> int:
        """The same, going on while the machine sleeps."""

    def sleeper(self) -> Sleeper:
        """A new sleeper for one thread."""


class SystemClock:
    """The machine's own clocks."""

    def now(self) -> int:
        """The wall clock, rounded down to the microsecond."""
        return time.time_ns() // 1000

    def monotonic(self) -> int:
        """CLOCK_MONOTONIC, or what stands for it."""
        return time.monotonic_ns() // 1000

    def boottime(self) -> int:
        """CLOCK_BOOTTIME where there is one, else the monotonic clock: a sleep then looks like a clock set forward."""
        if _BOOTTIME is not None:
            return time.clock_gettime_ns(_BOOTTIME) // 1000
        return time.monotonic_ns() // 1000

    def sleeper(self) -> Sleeper:
        """The most exact sleeper that this system has."""
        return TimerSleeper() if _timerfd is not None else SelectSleeper()


class SelectSleeper:
    """The portable form: precise to what `select` gives, and at most a second behind a clock that was set."""

    def __init__(self) -> None:
        self._inbox, self._bell = socket.socketpair()
        self._inbox.setblocking(False)
        self._bell.setblocking(False)
        self._watched: set[int] = set()
        self._rung = False

    def sleep(self, until: int | None) -> None:
        """See `Sleeper`."""
        wait = _RECHECK_US if until is None else min(until - time.time_ns() // 1000, _RECHECK_US)
        if until is None and not self._watched and not self._rung:
            timeout: float | None = None
        else:
            timeout = max(wait, 0) / 1e6
        self._wait(timeout)

    def _wait(self, timeout: float | None) -> None:
        bell = self._inbox.fileno()
        ready, _, _ = select.select([bell, *self._watched], (), (), timeout)
        if bell in ready:
            self._inbox.recv(64)
            self._rung = False  # after the read: see TimerSleeper

    def wake(self) -> None:
        """See `Sleeper`."""
        if not self._rung:
            self._rung = True
            try:
                self._bell.send(b"!")
            except (BlockingIOError, OSError):
                pass  # full: already awake; closed: nobody sleeps any more

    def watch(self, fd: int) -> None:
        """See `Sleeper`."""
        self._watched.add(fd)

    def unwatch(self, fd: int) -> None:
        """See `Sleeper`."""
        self._watched.discard(fd)

    def close(self) -> None:
        """See `Sleeper`."""
        self._inbox.close()
        self._bell.close()


class _Timespec(ctypes.Structure):
    _fields_ = (("seconds", ctypes.c_long), ("nanoseconds", ctypes.c_long))


class _Timer(ctypes.Structure):
    _fields_ = (("interval", _Timespec), ("value", _Timespec))


_TFD_CLOEXEC, _TFD_NONBLOCK = os.O_CLOEXEC if hasattr(os, "O_CLOEXEC") else 0, getattr(os, "O_NONBLOCK", 0)
_ABSOLUTE_AND_CANCEL_ON_SET = 1 | 2
# Armed for the year 2255 instead of not at all: who waits for no instant is still told when the clock is set.
_FAR_S = min(9_000_000_000, 2 ** (8 * ctypes.sizeof(ctypes.c_long) - 1) - 1)


def _load_timerfd() -> ctypes.PyDLL | None:
    """The C library, where it has timerfd. PyDLL keeps the interpreter lock: these calls never block."""
    if sys.platform != "linux":
        return None
    library = ctypes.PyDLL(None, use_errno=True)
    return library if hasattr(library, "timerfd_create") else None


_timerfd = _load_timerfd()


class TimerSleeper:
    """Linux: a timerfd and an eventfd in one epoll."""

    def __init__(self) -> None:
        assert _timerfd is not None
        self._settime = _timerfd.timerfd_settime
        self._timer = _timerfd.timerfd_create(0, _TFD_CLOEXEC | _TFD_NONBLOCK)  # 0: CLOCK_REALTIME
        if self._timer < 0:
            raise OSError(ctypes.get_errno(), "timerfd_create")
        self._bell = os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK)
        self._epoll = select.epoll()
        self._epoll.register(self._timer, select.EPOLLIN)
        self._epoll.register(self._bell, select.EPOLLIN)
        self._armed: int | None = -1  # never what is asked for: the first sleep arms it
        self._rung = False
        self._spec = _Timer()
        self._closed = False

    def sleep(self, until: int | None) -> None:
        """See `Sleeper`."""
        if until != self._armed and not self._arm(until):
            return
        for fd, _ in self._epoll.poll():
            if fd == self._bell:
                # in this order: a wake between the two is skipped, and this sleep is ending anyway; the other way
                # round the read would swallow its ring and leave the flag up, and no later wake would ring at all
                os.eventfd_read(self._bell)
                self._rung = False
            elif fd == self._timer:
                self._armed = -1
                try:
                    os.read(self._timer, 8)
                except OSError as error:
                    # ECANCELED: the clock was set, the caller looks again; EAGAIN: it was re-armed meanwhile
                    if error.errno not in (errno.ECANCELED, errno.EAGAIN):
                        raise

    def _arm(self, until: int | None) -> bool:
        """False: the clock was set since the last sleep. Armed it is, and what was to be waited for may be wrong."""
        value = self._spec.value
        if until is None:
            value.seconds, value.nanoseconds = _FAR_S, 0
        else:
            seconds, micros = divmod(max(until, 1), 1_000_000)  # 0 would disarm
            value.seconds, value.nanoseconds = seconds, micros * 1000
        set_meanwhile = False
        if self._settime(self._timer, _ABSOLUTE_AND_CANCEL_ON_SET, ctypes.byref(self._spec), None) != 0:
            set_meanwhile = ctypes.get_errno() == errno.ECANCELED
            if not set_meanwhile:
                raise OSError(ctypes.get_errno(), "timerfd_settime")
        self._armed = until
        return not set_meanwhile

    def wake(self) -> None:
        """See `Sleeper`."""
        if not self._rung and not self._closed:
            self._rung = True
            os.eventfd_write(self._bell, 1)

    def watch(self, fd: int) -> None:
        """See `Sleeper`."""
        try:
            self._epoll.register(fd, select.EPOLLIN)
        except FileExistsError:
            pass

    def unwatch(self, fd: int) -> None:
        """See `Sleeper`."""
        try:
            self._epoll.unregister(fd)
        except (FileNotFoundError, OSError, ValueError):
            pass  # closed, or never watched

    def close(self) -> None:
        """See `Sleeper`."""
        if not self._closed:
            self._closed = True
            self._epoll.close()
            os.close(self._timer)
            os.close(self._bell)
