"""What the tests of listeners in children run there. What they print is logged by the daemon."""
# ruff: noqa: T201  # that is how they tell

import asyncio
import ctypes
import os
import sys
import threading
import time
from pathlib import Path

from mainspring import context, stopping

ONE_MIB = 2**20


def tell():
    here = context()
    print("turn", os.getpid(), repr(here.task_id), here.name, here.attempt, here.run_at, stopping())


def count(number):
    print("count", number)


def size(text):
    print("size", len(text))


async def size_async(text):
    print("size", len(text))
    await asyncio.Event().wait()


def fail():
    raise ValueError(f"bad {context().attempt}")


async def fail_async():
    await asyncio.sleep(0)
    raise SystemExit(f"bad {context().attempt}")


def once(flag):
    """Whether this is the first time."""
    try:
        Path(flag).touch(exist_ok=False)
    except FileExistsError:
        return False
    return True


def crash(flag, how):
    if once(flag):
        print("dies", flush=True)
        os._exit(3) if how == "exit" else ctypes.string_at(0)
    print("back", context().attempt)
    stay()


async def crash_async(flag):
    if once(flag):
        await asyncio.sleep(0)
        os._exit(3)
    print("back", context().attempt)
    await stay_async()


calls = []


def fail_at(number):
    calls.append(number)
    if len(calls) == number:
        raise ValueError(f"at {number}")
    if len(calls) > number:
        stay()


def first():
    calls.append(1)
    if len(calls) == 1:
        print("first")


def stay():
    print("stays")
    while not stopping():
        time.sleep(0.001)  # a sleeping body
    print("asked")


def hold():
    print("stays")
    threading.Event().wait()


async def stay_async():
    print("stays", context().name)
    try:
        await asyncio.Event().wait()
    except asyncio.CancelledError:
        print("cancelled", stopping())
        raise


async def deaf_async():
    print("stays")
    while True:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            print("not heeded")


async def ticks():
    print("tick", context().name, os.getpid())
    await asyncio.sleep(0)


def writes():
    print("one\ntwo")
    print("to stderr", file=sys.stderr)
    context().log.warning("logged")
    thread = threading.Thread(target=print, args=("from a thread",))
    thread.start()
    thread.join()
    print("unended", end="")


def grows():
    globals().setdefault("kept", bytearray(os.urandom(1)) * (64 * ONE_MIB))
    print("pid", os.getpid())


def grows_with_a_thread():
    threading.Thread(target=hold).start()
    grows()
