"""The verbs for coroutines. They never block the loop: the store works on another thread."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, ParamSpec, TypeVar, Unpack

from mainspring.adding import Duration, Item, Moment, Said, Spec, Work
from mainspring.steering import Cancellation
from mainspring.task import Task

if TYPE_CHECKING:
    from mainspring.client import Client
    from mainspring.status import Status

P = ParamSpec("P")
R = TypeVar("R")


class Aio:
    """`daemon.aio`: the same methods, awaited."""

    def __init__(self, client: "Client") -> None:
        self._client = client

    async def _away(self, function: Callable[P, R], /, *args: P.args, **kwargs: P.kwargs) -> R:
        import asyncio

        return await asyncio.to_thread(function, *args, **kwargs)

    async def add_new(self, specs: Sequence[Spec]) -> list[Task[object]]:
        """See `Client.add_new`."""
        return await self._away(self._client.add_new, specs)

    async def add_task(
        self,
        work: Work,
        args: Sequence[object] = (),
        kwargs: Mapping[str, object] | None = None,
        *,
        at: Moment | None = None,
        after: Duration | None = None,
        **said: Unpack[Said],
    ) -> Task[object]:
        """See `Client.add_task`."""
        return await self._away(lambda: self._client.add_task(work, args, kwargs, at=at, after=after, **said))

    async def add_tasks(self, items: Iterable[Item]) -> list[Task[object]]:
        """See `Client.add_tasks`."""
        return await self._away(self._client.add_tasks, list(items))

    async def get(self, id: str) -> Task[object]:  # noqa: A002  # the contract's word
        """See `Client.get`."""
        return await self._away(self._client.get, id)

    async def status(self) -> "Status":
        """See `Client.status`."""
        return await self._away(self._client.status)

    async def cancel(self, id: str) -> Cancellation:  # noqa: A002
        """See `Client.cancel`."""
        return await self._away(self._client.cancel, id)

    async def retry(self, id: str) -> None:  # noqa: A002
        """See `Client.retry`."""
        await self._away(self._client.retry, id)

    async def pause(self, queue: str | None = None) -> None:
        """See `Client.pause`."""
        await self._away(self._client.pause, queue)

    async def resume(self, queue: str | None = None) -> None:
        """See `Client.resume`."""
        await self._away(self._client.resume, queue)

    async def wait(self, task: Task[R], timeout: Duration | None = None) -> bool:
        """See `Task.wait`."""
        return await self._away(task.wait, timeout)

    async def result(self, task: Task[R], timeout: Duration | None = None) -> R:
        """See `Task.result`; `await task` is short for it."""
        return await self._away(task.result, timeout)
