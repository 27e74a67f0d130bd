"""A wish for a slice of the scheduler is taken where the system knows it, and is never an error."""

import ctypes
import os
import platform
import struct
import subprocess
import sys

from mainspring.when.slices import LONG_NS, PROMPT_NS, ask_for_slice

KNOWN = sys.platform == "linux" and platform.machine() in ("x86_64", "aarch64")
NEW = KNOWN and tuple(map(int, platform.release().split(".")[:2])) >= (6, 12)


def slice_of(thread):
    call = {"x86_64": 315, "aarch64": 275}[platform.machine()]
    answer = ctypes.create_string_buffer(56)
    assert ctypes.CDLL(None).syscall(call, thread, answer, 56, 0) == 0
    return struct.unpack_from("=IIQiIQ", answer.raw)[5], struct.unpack_from("=IIQi", answer.raw)[3]


def test_it_is_taken_where_the_system_knows_it():
    with subprocess.Popen(["sleep", "600"]) as other:
        os.setpriority(os.PRIO_PROCESS, other.pid, 3)
        try:
            for wish in (PROMPT_NS, LONG_NS) if NEW else ():
                assert ask_for_slice(wish, other.pid)
                assert slice_of(other.pid) == (wish, 3)  # and how nice it is stays as it was
            assert ask_for_slice(PROMPT_NS, other.pid) in ((True,) if NEW else (True, False))
        finally:
            other.kill()


def test_who_is_not_there_is_no_error():
    with subprocess.Popen(["true"]) as gone:
        pass
    assert ask_for_slice(PROMPT_NS, gone.pid) is False
