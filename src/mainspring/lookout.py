"""Waiting for tasks in coroutines: on each event loop one watch of the store, and one look for all that are awaited.

No thread waits, so that any number of tasks can be awaited and an awaiting that is cancelled leaves nothing behind.
"""

import asyncio
from typing import TYPE_CHECKING

from mainspring.waiting import SAFETY_US

if TYPE_CHECKING:
    from mainspring.steering import Steering
    from mainspring.task import Task


class Lookout:
    """Looks as long as somebody waits; then it is `over`, and who comes next makes another one."""

    def __init__(self, client: "Steering") -> None:
        self._client = client
        self._waiting: dict[asyncio.Future[None], Task[object]] = {}
        self._news = asyncio.Event()
        self._looking = asyncio.create_task(self._look(), name="mainspring-lookout")
        self.over = False

    async def finished(self, task: "Task[object]") -> None:
        """Return when the task is in a final state; it is refreshed."""
        ended = asyncio.get_running_loop().create_future()
        self._waiting[ended] = task
        self._news.set()  # it may have ended before it was waited for
        try:
            await ended
        finally:
            del self._waiting[ended]
            if not self._waiting:
                self.over = True
                self._looking.cancel()

    async def _look(self) -> None:
        loop = asyncio.get_running_loop()
        try:
            watch = self._client.store.watch()  # here and now: a cancel during it would leave it open
        except Exception as error:  # noqa: BLE001  # told to those who wait
            self._fail(error)
            return

        def heard() -> None:
            watch.drain()
            self._news.set()

        loop.add_reader(watch.fileno(), heard)
        try:
            while True:
                self._news.clear()
                await self._settle()
                # a hint may be lost: look again then. No wait_for: on 3.11 it swallows a cancel that comes with
                # the news
                again = loop.call_later(SAFETY_US / 1e6, self._news.set)
                try:
                    await self._news.wait()
                finally:
                    again.cancel()
        except Exception as error:  # noqa: BLE001  # likewise
            self._fail(error)
        finally:
            loop.remove_reader(watch.fileno())
            watch.close()
            self.over = True
            for ended in self._waiting:  # whoever cancels all tasks of the loop cancels those who wait here, too
                ended.cancel()

    async def _settle(self) -> None:
        """Look at all tasks that are awaited, away from the loop, and tell those who wait for what has ended."""
        waiting = list(self._waiting.items())
        outcomes = await asyncio.to_thread(lambda: [_outcome(task) for _, task in waiting])
        for (ended, _), outcome in zip(waiting, outcomes, strict=True):
            if ended.done() or outcome is False:
                continue
            if isinstance(outcome, Exception):
                ended.set_exception(outcome)
            else:
                ended.set_result(None)

    def _fail(self, error: Exception) -> None:
        self.over = True
        for ended in self._waiting:
            if not ended.done():
                ended.set_exception(error)


def _outcome(task: "Task[object]") -> bool | Exception:
    """Has it ended? Or why that cannot be told."""
    try:
        return task.refresh().finished
    except Exception as error:  # noqa: BLE001  # raised where it is awaited
        return error
