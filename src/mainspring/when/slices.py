"""Asks for a slice: how long a thread that is woken may wait for one that is computing.

Of Linux (6.12 and later): with slices of its scheduler's own length (1 to 3 ms) a thread that wakes up beside busy ones
waits for that long or longer. One with a shorter slice goes first, sooner; it gets no larger share of the processor for
it. Elsewhere, and where it is refused, nothing happens: it is a wish.

Of the interpreter, whose lock a computing thread keeps for 5 ms before it gives way: while something exact runs in its
process, for one millisecond. Threads that compute side by side get no less done for it (`docs/design/slices.md`).
"""

import ctypes
import platform
import struct
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager

PROMPT_NS = 100_000  # the shortest there is: for who sleeps nearly always, and has to be exact
LONG_NS = 3_000_000  # for who computes for long: others are to go first, and it is interrupted less often

SWITCH_S = 0.001

_SET, _GET = {"x86_64": (314, 315), "aarch64": (274, 275)}.get(platform.machine(), (0, 0))
_ATTRIBUTES = struct.Struct("=IIQiIQQQ")  # size, policy, flags, nice, priority, runtime, deadline, period
_OTHER, _BATCH = 0, 3  # the policies of ordinary threads


def ask_for_slice(nanoseconds: int, thread: int = 0) -> bool:
    """Wish for a slice, for this thread or another of this user's (0.1 to 100 ms); whether the system took it."""
    if sys.platform != "linux" or not _SET:
        return False
    call = ctypes.CDLL(None).syscall
    now = ctypes.create_string_buffer(_ATTRIBUTES.size)
    if call(_GET, thread, now, _ATTRIBUTES.size, 0) != 0:
        return False
    size, policy, flags, nice, *_ = _ATTRIBUTES.unpack(now.raw)
    if policy not in (_OTHER, _BATCH):  # somebody has chosen already
        return False
    wish = _ATTRIBUTES.pack(size, policy, flags, nice, 0, nanoseconds, 0, 0)
    return bool(call(_SET, thread, wish, 0) == 0)


class _Switches:
    lock = threading.Lock()
    wanted = 0
    before = 0.0


@contextmanager
def short_switches() -> Iterator[None]:
    """Meanwhile a thread of this process that computes gives way after a millisecond, unless it does so sooner anyway.

    Whoever sets another interval meanwhile keeps it.
    """
    with _Switches.lock:
        _Switches.wanted += 1
        if _Switches.wanted == 1:
            _Switches.before = sys.getswitchinterval()
            sys.setswitchinterval(min(SWITCH_S, _Switches.before))
    try:
        yield
    finally:
        with _Switches.lock:
            _Switches.wanted -= 1
            if not _Switches.wanted and sys.getswitchinterval() == SWITCH_S:
                sys.setswitchinterval(_Switches.before)
