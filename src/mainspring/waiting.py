"""Waiting for something in the store: bound to its news first, then looked at, so that nothing is missed in between."""

import select
from collections.abc import Callable
from typing import TYPE_CHECKING, TypeVar

from mainspring.store.rows import Verdict
from mainspring.when.clock import SystemClock

if TYPE_CHECKING:
    from mainspring.steering import Steering
    from mainspring.task import Task

T = TypeVar("T")

# Waits of people are real time, whatever clock the tasks go by.
monotonic = SystemClock().monotonic

# A hint may be lost (a full buffer, a killed sender): look again at least this often.
SAFETY_US = 60_000_000
_ALIVE_US = 250_000


class Waiting:
    """What a client waits for."""

    def __init__(self, client: "Steering") -> None:
        self._client = client

    def finished(self, task: "Task[object]", timeout: int | None) -> None:
        """Until the task is in a final state, or the time (µs) is over."""
        self.until(lambda: task.refresh().finished or None, timeout)

    def answer(self, request: int, node: int, timeout: int) -> Verdict | None:
        """The answer to a request; None when the time is over or the node is dead."""
        store = self._client.store

        def look() -> Verdict | bool | None:
            found = store.answered(request)
            if found is None and not any(one.id == node and one.alive for one in store.nodes()):
                return store.answered(request) or False
            return found

        found = self.until(look, timeout, every=_ALIVE_US)
        return found if isinstance(found, Verdict) else None

    def until(self, look: Callable[[], T | None], timeout: int | None, every: int = SAFETY_US) -> T | None:
        """What `look` finds, as soon as the store's news make it worth looking; None when the time is over."""
        end = None if timeout is None else monotonic() + timeout
        watch = self._client.store.watch()
        try:
            while True:
                found = look()
                if found is not None:
                    return found
                left = every if end is None else min(every, end - monotonic())
                if left <= 0:
                    return None
                _readable(watch.fileno(), left)
                watch.drain()
        finally:
            watch.close()


def _readable(fd: int, timeout: int) -> None:
    """Wait until `fd` has news or `timeout` µs are over."""
    if hasattr(select, "poll"):
        poll = select.poll()
        poll.register(fd, select.POLLIN)
        poll.poll(-(-timeout // 1000))
    else:
        select.select([fd], (), (), timeout / 1e6)
