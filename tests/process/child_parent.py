"""A process that has a child run one body for ever, and says its pid: to be killed, or to fork and fall silent."""

import mmap
import os
import signal
import sys
import threading
import time

from support import say

from mainspring.engine import child_setup
from mainspring.engine.child import Child
from mainspring.engine.child_messages import Feed, encode_feed
from mainspring.store import journal as ring


def sleep():
    threading.Event().wait()


def spin():
    while True:
        pass


def hold():
    """Never lets go of the interpreter."""
    import ctypes

    ctypes.PyDLL(None).sleep(600)  # a sleeping body


def stopped():
    os.kill(os.getpid(), signal.SIGSTOP)


def main(body, then):
    fd = ring.anonymous()
    child = Child(0, 1, child_setup.here(), fd, mmap.mmap(fd, ring.SIZE), ())
    child.feed(encode_feed(Feed(task=1, token=1, attempt=1, run_at=0, work=f"child_parent:{body}")))
    while child.current() is None:
        child.receive()
        time.sleep(0.001)  # a sleeping body
    if then == "fork":
        if os.fork() == 0:
            sys.stdin.read()  # until the test is over
            os._exit(0)
        child._control.close()  # what the system does when this process dies
    say("running", child.pid)
    signal.pause()


if __name__ == "__main__":
    main(*sys.argv[1:])
