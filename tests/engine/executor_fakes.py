"""Executors whose calls wait until the test runs them, and the bodies of the tests that use them."""

import threading
from concurrent.futures import Executor, Future, ProcessPoolExecutor

from daemons import LONG
from mainspring import RetryLater, context, stopping

ran = []


def note(value=None):
    ran.append(value)
    return value


def fail():
    raise LookupError("not here")


def later():
    if context().attempt == 1:
        raise RetryLater(0)
    return context().attempt


async def coroutine(value):
    return value, context().name, stopping()


def around(value):
    return coroutine(value)


def unkept():
    return threading


def state(daemon, task):
    return daemon.get(task.id).state


def attempts(daemon, task):
    return daemon.get(task.id).attempt


class Calls:
    """What was submitted and waits; `refuses`: what `submit` raises instead."""

    def __init__(self):
        self.waiting = []
        self.submitted = threading.Semaphore(0)
        self.count = 0
        self.refuses = None
        self.shut = False

    def submit(self, function, /, *args):
        if self.refuses is not None:
            self.submitted.release()
            raise self.refuses
        future = Future()
        self.count += 1
        self.waiting.append((future, function, args))
        self.submitted.release()
        return future

    def shutdown(self, wait=True, *, cancel_futures=False):
        self.shut = True

    def await_submitted(self, count=1):
        for _ in range(count):
            assert self.submitted.acquire(timeout=LONG), "nothing was submitted"

    def take(self):
        """The first that is still wanted, begun."""
        while True:
            future, function, args = self.waiting.pop(0)
            if future.set_running_or_notify_cancel():
                return future, function, args

    def run(self):
        """Run the first."""
        future, function, args = self.take()
        future.set_result(function(*args))

    def fail(self, error):
        """The first is begun and lost."""
        self.take()[0].set_exception(error)


class Exact(Calls, ProcessPoolExecutor):
    """Is believed, as a pool of processes is."""


class Vague(Calls, Executor):
    """One of which nothing is known. Like Dask's, its futures never run and let themselves be cancelled."""

    def take(self):
        return self.waiting.pop(0)
