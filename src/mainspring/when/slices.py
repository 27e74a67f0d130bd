"""Asks Linux (6.12 and later) for a slice: how long a thread that is woken may wait for one that is computing.

With slices of its scheduler's own length (1 to 3 ms) a thread that wakes up beside busy ones waits for that long or
longer. One with a shorter slice goes first, sooner; it gets no larger share of the processor for it. Elsewhere, and
where it is refused, nothing happens: it is a wish.
"""

import ctypes
import platform
import struct
import sys

PROMPT_NS = 100_000  # the shortest there is: for who sleeps nearly always, and has to be exact
LONG_NS = 3_000_000  # for who computes for long: others are to go first, and it is interrupted less often

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
