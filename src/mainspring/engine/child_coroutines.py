"""In a child: coroutines run on one event loop, in the thread that runs all tasks, one task at a time.

The loop stays open from one task to the next and stands still between them: what a task leaves on it goes on when the
next coroutine runs.
"""

from collections.abc import Callable
from contextvars import copy_context
from typing import TYPE_CHECKING, Any

from mainspring.tasks.context import TaskContext, enter

if TYPE_CHECKING:
    import asyncio


class Coroutines:
    """The loop; made with the first coroutine."""

    def __init__(self) -> None:
        self._loop: asyncio.AbstractEventLoop | None = None
        self._task: asyncio.Task[tuple[object, BaseException | None]] | None = None

    def run(
        self,
        function: Callable[..., Any],  # its result is awaited, whatever it is
        args: tuple[object, ...],
        kwargs: dict[str, object],
        context: TaskContext,
    ) -> object:
        """Run the coroutine to its end and return what it returns; `cancel` cancels it."""
        import asyncio

        loop = self._loop
        if loop is None:
            loop = self._loop = asyncio.new_event_loop()
        inside = copy_context()
        inside.run(enter, context)
        self._task = loop.create_task(_ended(function, args, kwargs), context=inside)
        if context.stop:  # asked before there was anything to cancel
            self._task.cancel()
        try:
            value, error = loop.run_until_complete(self._task)
        finally:
            self._task = None
        if error is not None:
            raise error
        return value

    def cancel(self) -> None:
        """Cancel what runs, if anything does; from any thread, after `context.stop` was set."""
        loop, task = self._loop, self._task
        if loop is not None and task is not None:
            loop.call_soon_threadsafe(task.cancel)

    def close(self) -> None:
        """Nothing more will run."""
        loop, self._loop = self._loop, None
        if loop is None:
            return
        import asyncio

        left = asyncio.all_tasks(loop)
        for task in left:
            task.cancel()
        if left:
            loop.run_until_complete(asyncio.wait(left))
        loop.run_until_complete(loop.shutdown_asyncgens())
        loop.close()


async def _ended(
    function: Callable[..., Any], args: tuple[object, ...], kwargs: dict[str, object]
) -> tuple[object, BaseException | None]:
    """What happened, as a value: a SystemExit that left a task of asyncio's would break the loop."""
    try:
        return await function(*args, **kwargs), None
    except BaseException as error:  # noqa: BLE001  # raised again by who waits
        return None, error
