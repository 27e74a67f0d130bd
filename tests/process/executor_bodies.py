"""Bodies for executors: importable wherever they run."""

import os
import time

from mainspring import context, stopping


def where(value=None):
    return os.getpid(), value


async def awaited(value):
    return os.getpid(), value


def fail(words):
    raise ValueError(words)


def fail_once():
    if context().attempt == 1:
        raise ValueError("not yet")
    return context().attempt


def die():
    os._exit(3)


def die_once():
    """A worker that dies, the first time."""
    if context().attempt == 1:
        os._exit(3)
    return context().attempt


def until_told():
    while not stopping():
        time.sleep(0.001)  # a sleeping body
    return "told"
