"""Waiting for room on an event loop: no thread waits, and a waiting that is cancelled leaves nothing behind."""

import asyncio
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from mainspring.store.rows import NewTask
from mainspring.waiting import SAFETY_US, monotonic

if TYPE_CHECKING:
    from mainspring.bound import Bound
    from mainspring.store.protocol import Store
    from mainspring.task import Task


async def add(bound: "Bound", store: "Store", new: Sequence[NewTask], now: int) -> "list[Task[object]]":
    """See `Bound.add`; who waits stands in the same line as the threads do."""
    tasks = await asyncio.to_thread(bound.add_now, new, now)
    if tasks is not None:
        return tasks
    loop = asyncio.get_running_loop()
    end = bound.ends_at()
    mine: asyncio.Future[bool] = loop.create_future()

    def turn() -> None:
        loop.call_soon_threadsafe(_answer, mine, True)

    over = None if end is None else loop.call_later(_left(end) / 1e6, _answer, mine, False)
    bound.line.join(turn)
    try:
        tasks = await _when_room(bound, store, new, turn, end) if await mine else None
    finally:
        if over is not None:
            over.cancel()
        bound.line.leave(turn)
    if tasks is None:
        raise await asyncio.to_thread(bound.waited_too_long, new)
    return tasks


async def _when_room(
    bound: "Bound", store: "Store", new: Sequence[NewTask], turn: Callable[[], object], end: int | None
) -> "list[Task[object]] | None":
    """Add as soon as there is room; None when the time was over first."""
    # the end of the time cuts short the waiting, never the adding: what was added is told
    tasks = await asyncio.to_thread(bound.add_if_room, new, turn)
    if tasks is not None:
        return tasks
    news = _News(store)
    try:
        while True:
            tasks = await asyncio.to_thread(bound.add_if_room, new, turn)
            if tasks is not None or (end is not None and not _left(end)):
                return tasks
            await news.next(SAFETY_US if end is None else min(SAFETY_US, _left(end)))
    finally:
        news.close()


class _News:
    """The store's news, on the running loop."""

    def __init__(self, store: "Store") -> None:
        self._loop = asyncio.get_running_loop()
        self._come = asyncio.Event()
        self._watch = store.watch()
        self._loop.add_reader(self._watch.fileno(), self._hear)

    def _hear(self) -> None:
        self._watch.drain()
        self._come.set()

    async def next(self, timeout: int) -> None:
        """Return when there was news since the last call, or after `timeout` µs."""
        # no wait_for: on 3.11 it swallows a cancel that comes with the news
        again = self._loop.call_later(timeout / 1e6, self._come.set)
        try:
            await self._come.wait()
        finally:
            again.cancel()
        self._come.clear()

    def close(self) -> None:
        self._loop.remove_reader(self._watch.fileno())
        self._watch.close()


def _answer(future: "asyncio.Future[bool]", value: bool) -> None:
    if not future.done():
        future.set_result(value)


def _left(end: int) -> int:
    return max(0, end - monotonic())
