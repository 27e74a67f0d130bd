"""Bodies that nobody would want, each of its own kind, and what must become of it; a daemon that runs them.

`KINDS` says of each the exception's type with which its task fails, or None when it succeeds all the same.
Says `ready`.
"""

import asyncio
import os
import signal
import sys
import threading
import time

from support import say

from mainspring import Daemon, context

daemon = Daemon(os.environ.get("STORE", "memory:"), name="poison", workers=2, grace="1s")


class Unprintable(Exception):
    def __str__(self):
        raise RuntimeError("not even its text")

    __repr__ = __str__


class Unpicklable(Exception):
    def __reduce__(self):
        raise TypeError("it goes nowhere")


def raises_unprintable():
    raise Unprintable


def raises_unpicklable():
    raise Unpicklable("x")


def raises_huge():
    raise ValueError("x" * 10_000_000)


def raises_a_circle():
    one, other = ValueError("one"), ValueError("other")
    one.__cause__, other.__cause__ = other, one
    raise one


def raises_a_group():
    raise ExceptionGroup("several", [ValueError("a"), ExceptionGroup("more", [TypeError("b")])])


def raises_surrogates():
    raise ValueError("\ud800 \0 \x1b[31m")


def exits():
    sys.exit(0)


def interrupts():
    raise KeyboardInterrupt


def closes_a_generator():
    raise GeneratorExit


def cancels():
    raise asyncio.CancelledError


def stops_iterating():
    raise StopIteration


def recurses():
    recurses()


def runs_out_of_memory():
    raise MemoryError


def returns_what_is_no_json():
    return {object()}


def returns_a_deep_list():
    deep = []
    for _ in range(100_000):
        deep = [deep]
    return deep


def changes_directory():
    os.chdir("/")
    os.umask(0)
    os.environ["LC_ALL"] = "tlh"
    os.environ.pop("PATH", None)


def leaks():
    for _ in range(20):
        threading.Thread(target=time.sleep, args=(3600,), daemon=True).start()
        os.open("/dev/null", os.O_RDONLY)


def floods():
    for _ in range(1000):
        sys.stdout.write("x" * 1000 + "\n")
        sys.stderr.write("x" * 1000 + "\n")


def breaks_logging():
    sys.stdout.close()
    sys.stderr = None


# on threads these would take the daemon with them: that is what worker processes are for
def dies():
    os._exit(3)


def is_killed():
    os.kill(os.getpid(), signal.SIGKILL)


def segfaults():
    import ctypes

    ctypes.string_at(0)


def closes_every_descriptor():
    os.closerange(3, 256)


def ignores_signals():
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, signal.SIG_IGN)


KINDS = {
    raises_unprintable: "Unprintable", raises_unpicklable: "Unpicklable", raises_huge: "ValueError",
    raises_a_circle: "ValueError", raises_a_group: "ExceptionGroup", raises_surrogates: "ValueError",
    exits: "SystemExit", interrupts: "KeyboardInterrupt", closes_a_generator: "GeneratorExit",
    cancels: "CancelledError", stops_iterating: "StopIteration", recurses: "RecursionError",
    runs_out_of_memory: "MemoryError", returns_what_is_no_json: None, returns_a_deep_list: None,
    changes_directory: None, leaks: None,
}  # fmt: skip
DEADLY = {dies: "WorkerDied", is_killed: "WorkerDied", segfaults: "WorkerDied"}
WAYWARD = {closes_every_descriptor, ignores_signals, breaks_logging, floods}


@daemon.task
def neighbour():
    return context().attempt


def as_coroutine(function):
    async def body():
        await asyncio.sleep(0)
        return function()

    body.__qualname__ = body.__name__ = f"{function.__name__}_in_the_loop"
    return body


for _function in (*KINDS, *DEADLY, *WAYWARD):
    daemon.task(name=f"poison:{_function.__name__}")(_function)
    daemon.task(name=f"poison:{_function.__name__}_in_the_loop")(as_coroutine(_function))

if __name__ == "__main__":
    threading.Timer(0, say, ("ready",)).start()
    daemon.run()
