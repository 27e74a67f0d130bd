"""The loop that the pool owns: `async def` tasks and listeners run on it, each taking a worker's place.

The worker's thread waits while its coroutine runs; asyncio is imported, and the thread started, on first use.
"""

import threading
from collections.abc import Callable
from contextvars import copy_context
from typing import TYPE_CHECKING, Any

from mainspring.engine.pool import Slot
from mainspring.tasks.context import enter

if TYPE_CHECKING:
    import asyncio
    from contextvars import Context


class CoroutineLoop:
    """One event loop on one thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None

    def run(
        self, function: Callable[..., object], args: tuple[object, ...], kwargs: dict[str, object], slot: Slot
    ) -> object:
        """Run the coroutine to its end and return what it returns; `slot.ask` cancels it."""
        inside = copy_context()
        inside.run(enter, slot.context)
        done = threading.Lock()
        done.acquire()
        running = self.start(function, args, kwargs, inside, done.release)
        slot.halt = running.cancel
        if slot.cause is not None:  # asked before there was anything to cancel
            running.cancel()
        done.acquire()
        return running.result()

    def start(
        self,
        function: Callable[..., object],
        args: tuple[object, ...],
        kwargs: dict[str, object],
        inside: "Context",
        done: Callable[[], object],
    ) -> "Running":
        """Start a coroutine and return at once; `done` is called on the loop's thread when it ended."""
        loop = self._started()
        running = Running(loop, done)
        loop.call_soon_threadsafe(running.begin, function, args, kwargs, inside)
        return running

    def _started(self) -> "asyncio.AbstractEventLoop":
        import asyncio

        with self._lock:
            if self._loop is None:
                loop = asyncio.new_event_loop()
                self._thread = threading.Thread(target=loop.run_forever, name="mainspring-loop", daemon=True)
                self._thread.start()
                self._loop = loop
            return self._loop

    def stop(self) -> None:
        """Cancel what still runs and end the thread."""
        with self._lock:
            loop, self._loop = self._loop, None
            thread, self._thread = self._thread, None
        if loop is None or thread is None:
            return
        loop.call_soon_threadsafe(self._finish, loop)
        thread.join()
        loop.close()

    @staticmethod
    def _finish(loop: "asyncio.AbstractEventLoop") -> None:
        import asyncio

        async def finish() -> None:
            others = asyncio.all_tasks() - {asyncio.current_task()}
            for task in others:
                task.cancel()
            if others:
                await asyncio.wait(others, timeout=1)
            await loop.shutdown_asyncgens()
            loop.stop()

        ending = loop.create_task(finish())
        ending.add_done_callback(lambda _: None)  # keeps it from being collected before it ran


class Running:
    """A coroutine on the loop."""

    def __init__(self, loop: "asyncio.AbstractEventLoop", done: Callable[[], object]) -> None:
        self._loop = loop
        self._done = done
        self._task: asyncio.Task[None] | None = None
        self._value: object = None
        self._error: BaseException | None = None

    def begin(
        self, function: Callable[..., Any], args: tuple[object, ...], kwargs: dict[str, object], inside: "Context"
    ) -> None:
        """Make the coroutine and its task, inside its context; on the loop's thread."""
        self._task = self._loop.create_task(self._outcome(function, args, kwargs), context=inside)
        self._task.add_done_callback(lambda _: self._done())

    async def _outcome(self, function: Callable[..., Any], args: tuple[object, ...], kwargs: dict[str, object]) -> None:
        """Keep what happened as a value: a SystemExit that left a task of asyncio's would end the whole loop."""
        try:
            self._value = await function(*args, **kwargs)
        except BaseException as error:  # noqa: BLE001  # the caller gets it from result()
            self._error = error

    def cancel(self) -> None:
        """Ask it to stop; from any thread."""
        try:
            self._loop.call_soon_threadsafe(self._cancel)
        except RuntimeError:
            pass  # the loop is closed: it has ended already

    def _cancel(self) -> None:
        if self._task is not None:
            self._task.cancel()

    def result(self) -> object:
        """What it returned; raises what it raised. Only after `done`."""
        assert self._task is not None
        if self._error is not None:
            raise self._error
        if self._task.cancelled():  # before it took its first step
            raise self._cancelled_error()
        return self._value

    @staticmethod
    def _cancelled_error() -> BaseException:
        import asyncio

        return asyncio.CancelledError()
