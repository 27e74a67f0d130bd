"""In a child: `async def` listeners, all of them on one event loop in the main thread, each awaited again and again.

A good turn costs no message: how many there were is told four times a second. A turn that raises is told with its
problem, and ends the listener here: when it goes on is the daemon's to say, who feeds it again then.
"""

import os
from contextvars import copy_context
from typing import TYPE_CHECKING

from mainspring.engine.child_lines import Lines
from mainspring.engine.child_link import Link
from mainspring.engine.child_load import Functions
from mainspring.engine.child_messages import LARGEST_FEED, Feed, MoreTurns, Outcome, Stop, decode_feed
from mainspring.tasks.codec import decode_call
from mainspring.tasks.context import TaskContext, enter
from mainspring.tasks.problems import Problem, describe
from mainspring.tasks.registry import Registered

if TYPE_CHECKING:
    import asyncio

_TELL_S = 0.25


class Listeners:
    """Runs what it is fed until the daemon says `End`."""

    def __init__(self, link: Link, functions: Functions) -> None:
        import asyncio

        self._link = link
        self._functions = functions
        self._loop = asyncio.new_event_loop()
        self._running: dict[tuple[int, int], _Listener] = {}
        self._stopped: set[tuple[int, int]] = set()  # asked for before they were fed
        self._telling = False
        link.on_stop = self.stop

    def serve(self) -> None:
        """Until there is nothing more to do."""
        import asyncio

        loop, feed = self._loop, self._link.feed
        feed.setblocking(False)
        loop.add_reader(feed.fileno(), self._read)
        loop.run_forever()
        left = asyncio.all_tasks(loop)
        for task in left:
            task.cancel()
        if left:
            loop.run_until_complete(asyncio.wait(left))
        loop.run_until_complete(loop.shutdown_asyncgens())
        loop.close()

    def stop(self, asked: Stop) -> None:
        """Ask a listener to stop; on the thread that listens."""
        running = self._running.get((asked.task, asked.token))
        if running is not None:
            running.context.stop = True  # seen also by a body that does not let go of the loop
        self._loop.call_soon_threadsafe(self._stop, (asked.task, asked.token))

    def _stop(self, key: tuple[int, int]) -> None:
        running = self._running.get(key)
        if running is None:
            self._stopped.add(key)
        else:
            running.stop()

    def _read(self) -> None:
        while True:
            try:
                data = self._link.feed.recv(LARGEST_FEED)
            except BlockingIOError:
                return
            if not data:
                self._loop.stop()
                return
            self._begin(decode_feed(data))

    def _begin(self, feed: Feed) -> None:
        found = self._functions.find(feed.work, feed.origin)
        if isinstance(found, str):
            self._link.send(Outcome(feed.task, feed.token, 0, 0, "unknown", why=found))
            return
        payload = self._link.payload(feed.task, feed.token) if feed.asks else feed.payload
        key = feed.task, feed.token
        running = self._running[key] = _Listener(feed, found, payload)
        running.task = self._loop.create_task(self._live(key, running))
        if key in self._stopped:
            self._stopped.discard(key)
            running.stop()

    async def _live(self, key: tuple[int, int], running: "_Listener") -> None:
        """All its turns; tells how the last one ended."""
        import asyncio

        running.begun = True
        error: BaseException | None = None
        pause = (running.feed.pause or 0) / 1e6
        try:
            while not running.stopped:
                error = await running.turn()
                if self._link.forked:
                    os._exit(0)  # the body has forked and both copies returned: this one is not the daemon's
                if isinstance(self._link.output, Lines):
                    self._link.output.finish(running.context.name)
                if error is not None or running.stopped:
                    break
                await asyncio.sleep(pause)
                running.more += 1
                self._tell_soon()
        except asyncio.CancelledError:
            pass  # while it paused
        self._tell_turns(key, running)
        del self._running[key]
        problem: Problem | None = None
        if error is not None and not (running.stopped and isinstance(error, asyncio.CancelledError)):
            problem = describe(error)
        self._link.send(Outcome(*key, 0, 0, "ok" if problem is None else "error", problem=problem))

    def _tell_soon(self) -> None:
        if not self._telling:
            self._telling = True
            self._loop.call_later(_TELL_S, self._tell_all)

    def _tell_all(self) -> None:
        self._telling = False
        for key, running in self._running.items():
            self._tell_turns(key, running)

    def _tell_turns(self, key: tuple[int, int], running: "_Listener") -> None:
        if running.more:
            self._link.send(MoreTurns(*key, running.more))
            running.more = 0


class _Listener:
    """One that runs here."""

    def __init__(self, feed: Feed, registered: Registered, payload: str | None) -> None:
        self.feed = feed
        self.task: asyncio.Task[None] | None = None
        self.more = 0  # turns that the daemon does not know of
        self.stopped = False
        self.begun = False
        self._function = registered.function
        self._plan = registered.plan
        self._payload = payload
        self.context = self._fresh()

    def stop(self) -> None:
        """Cancel its turn, or its pause."""
        self.stopped = self.context.stop = True
        if self.task is not None and self.begun:  # cancelled sooner, it would never say that it has ended
            self.task.cancel()

    async def turn(self) -> BaseException | None:
        """One turn, in a task and a context of its own; what it raised."""
        import asyncio

        self.context = self._fresh()
        inside = copy_context()
        inside.run(enter, self.context)
        return await asyncio.get_running_loop().create_task(self._outcome(), context=inside)

    async def _outcome(self) -> BaseException | None:
        try:
            args, kwargs = ((), {}) if self._payload is None else decode_call(self._payload, self._plan)
            await self._function(*args, **kwargs)  # type: ignore[misc]  # it is `async def`
        except BaseException as error:  # noqa: BLE001  # a SystemExit that left a task would end the whole loop
            return error
        return None

    def _fresh(self) -> TaskContext:
        feed = self.feed
        return TaskContext(0, feed.name, "", feed.attempt, feed.fence or 0, stop=self.stopped)
