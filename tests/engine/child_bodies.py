"""What the tests of children run in them."""
# ruff: noqa: T201  # printing is what some of these bodies are for

import asyncio
import ctypes
import logging
import os
import signal
import subprocess
import sys
import threading
import time

from mainspring import Daemon, RetryLater, context, get_daemon, stopping

daemon = Daemon(os.environ.get("CHILD_STORE", "memory:"), name="bodies")
kept = []


def nothing():
    pass


def double(number):
    return 2 * number


def size(text):
    return len(text)


def much(count):
    return "x" * count


def unkept():
    return object()


class Missing(LookupError):
    pass


def fail(text):
    raise Missing(text)


def later():
    raise RetryLater("90s")


def leave():
    raise SystemExit(3)


@daemon.task(name="named")
def under_another_name():
    return "named"


def who():
    here = context()
    return [here.task_id, here.name, here.attempt, here.fence, here.run_at.timestamp(), stopping()]


def remember(value=None):
    """Leaves nothing behind in context variables; does in globals."""
    kept.append(value)
    return kept


def pid():
    return os.getpid()


def exit_with(code):
    os._exit(code)


def crash():
    ctypes.string_at(0)


def kill_me():
    os.kill(os.getpid(), signal.SIGKILL)


def wait_at(path):
    """Blocks until somebody writes to the FIFO."""
    with open(path) as fifo:
        return fifo.read()


def until_asked():
    while not stopping():
        time.sleep(0.001)  # a sleeping body
    return "asked"


def hold():
    """Never lets go of the interpreter."""
    ctypes.PyDLL(None).sleep(600)  # a sleeping body


def for_ever():
    threading.Event().wait()


def spin():
    while True:
        pass


async def add(one, other):
    await asyncio.sleep(0)
    return one + other


async def asleep():
    await asyncio.Event().wait()


async def stubborn():
    try:
        await asyncio.Event().wait()
    except asyncio.CancelledError:
        return "cancelled"


async def leave_async():
    raise SystemExit(4)


async def loop_id():
    return id(asyncio.get_running_loop())


def around(number):
    return add(number, 1)


def prints(text):
    print(text)
    print("to stderr", file=sys.stderr)
    sys.stdout.buffer.write(b"bytes\n")


def logs():
    context().log.warning("mind the %s", "gap")
    logging.getLogger("elsewhere").debug("too low")


def prints_and_waits(path):
    print("so far")
    return wait_at(path)


def prints_much():
    print("a" * 100_000 + "end")


def fork_and_return():
    child = os.fork()
    if child:
        os.waitpid(child, 0)
    else:
        print("copy", flush=True)
    return child > 0


def fork_and_wait(path):
    """Leaves a child that lives until the FIFO is written."""
    if not os.fork():
        wait_at(path)
        os._exit(0)
    os._exit(9)


def spawn_and_die():
    """Leaves a program in its group; its pid comes in the output."""
    program = subprocess.Popen(["sleep", "600"])
    os.write(int(os.environ["TELL"]), f"{program.pid}\n".encode())
    os._exit(1)


def inherited_by_programs():
    """What a program gets that is started without closing anything."""
    command = ["ls", "-l", "/proc/self/fd"]
    return subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True, close_fds=False).stdout


def grow(size):
    kept.append(bytearray(os.urandom(1)) * size)


def adds():
    return daemon.add_task(double, [21]).id


def adds_to_the_one_daemon():
    return get_daemon().started


def starts():
    daemon.start()


def runs_inline():
    Daemon("memory:", inline=True)


def signals():
    os.kill(os.getpid(), signal.SIGINT)
    return signal.getsignal(signal.SIGTERM) == signal.SIG_DFL
