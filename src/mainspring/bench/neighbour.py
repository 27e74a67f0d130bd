"""A thread of the same process that computes all the time: what every other thread of it has to live with."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from mainspring.bench import rates, starts
from mainspring.bench.figures import Flow, Started


def flow(count: int) -> Flow:
    """See `rates.flow`."""
    with _computing():
        return rates.flow(count)


def lateness(count: int, over_s: float) -> Started:
    """See `starts.lateness`."""
    with _computing():
        return starts.lateness(count, over_s)


def bare(count: int, over_s: float) -> Started:
    """See `starts.bare`."""
    with _computing():
        return starts.bare(count, over_s)


@contextmanager
def _computing() -> Iterator[None]:
    end = threading.Event()
    thread = threading.Thread(target=_compute, args=(end,))
    thread.start()
    try:
        yield
    finally:
        end.set()
        thread.join()


def _compute(end: threading.Event) -> None:
    while not end.is_set():
        for _ in range(10_000):
            pass
