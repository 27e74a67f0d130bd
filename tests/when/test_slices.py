"""A wish for a slice of the scheduler is taken where the system knows it; the interpreter gets its own one back."""

import ctypes
import os
import platform
import struct
import subprocess
import sys

import pytest

from daemons import LONG
from mainspring.when.slices import LONG_NS, PROMPT_NS, SWITCH_S, ask_for_slice, short_switches

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


@pytest.fixture
def interval():
    """Sets the interpreter's own, which is restored."""
    before = sys.getswitchinterval()
    yield sys.setswitchinterval
    sys.setswitchinterval(before)


def test_threads_give_way_sooner_while_anybody_wants_it(interval):
    interval(0.005)
    with short_switches():
        assert sys.getswitchinterval() == SWITCH_S
        with short_switches():
            assert sys.getswitchinterval() == SWITCH_S
        assert sys.getswitchinterval() == SWITCH_S
    assert sys.getswitchinterval() == 0.005


def test_what_the_process_has_chosen_is_kept(interval):
    interval(0.0002)
    with short_switches():
        assert sys.getswitchinterval() == pytest.approx(0.0002, rel=0.02)
    assert sys.getswitchinterval() == pytest.approx(0.0002, rel=0.02)
    interval(0.005)
    with short_switches():
        interval(0.003)
    assert sys.getswitchinterval() == 0.003


def test_a_daemon_wants_it(threaded, interval):
    interval(0.005)
    daemon = threaded(start=False)
    assert sys.getswitchinterval() == 0.005
    daemon.start()
    daemon.task(lambda: None, name="t:f").enqueue().wait(LONG)  # its timer is at work
    assert sys.getswitchinterval() == SWITCH_S
    daemon.stop()
    assert sys.getswitchinterval() == 0.005
