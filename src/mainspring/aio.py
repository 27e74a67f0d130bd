"""The verbs for coroutines. They never block the loop: the store works on another thread, and waiting takes none."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, ParamSpec, TypeVar, Unpack
from weakref import WeakKeyDictionary

from mainspring.adding import Duration, Item, Moment, Said, Spec, Work
from mainspring.errors import WaitTimeout
from mainspring.steering import Cancellation
from mainspring.task import Task
from mainspring.tasks.state import Kind, State
from mainspring.when.durations import parse_duration

if TYPE_CHECKING:
    from asyncio import AbstractEventLoop

    from mainspring.app import Daemon
    from mainspring.batch import Batch
    from mainspring.client import Client
    from mainspring.lookout import Lookout
    from mainspring.standing import Listener, Schedule
    from mainspring.status import Status
    from mainspring.when.triggers import Trigger

P = ParamSpec("P")
R = TypeVar("R")


class Aio:
    """`daemon.aio`: the same methods, awaited."""

    def __init__(self, client: "Client") -> None:
        self._client = client
        self._lookouts: WeakKeyDictionary[AbstractEventLoop, Lookout] = WeakKeyDictionary()

    async def _away(self, function: Callable[P, R], /, *args: P.args, **kwargs: P.kwargs) -> R:
        import asyncio

        return await asyncio.to_thread(function, *args, **kwargs)

    # ── adding ─────────────────────────────────────────────────────────────────────────────────────────────
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

    def batch(self) -> "Batch":
        """See `Client.batch`; here it is `async with daemon.aio.batch() as batch:`."""
        return self._client.batch()

    async def add_schedule(
        self,
        work: Work,
        trigger: "Trigger | Duration",
        *,
        args: Sequence[object] = (),
        kwargs: Mapping[str, object] | None = None,
        **said: Unpack[Said],
    ) -> "Schedule":
        """See `Client.add_schedule`."""
        return await self._away(lambda: self._client.add_schedule(work, trigger, args=args, kwargs=kwargs, **said))

    async def add_listener(
        self,
        work: Work,
        *,
        args: Sequence[object] = (),
        kwargs: Mapping[str, object] | None = None,
        pause: Duration = "10ms",
        everywhere: bool = False,
        **said: Unpack[Said],
    ) -> "Listener":
        """See `Client.add_listener`."""
        return await self._away(
            lambda: self._client.add_listener(
                work, args=args, kwargs=kwargs, pause=pause, everywhere=everywhere, **said
            )
        )

    # ── looking ────────────────────────────────────────────────────────────────────────────────────────────
    async def get(self, id: str) -> Task[object]:  # noqa: A002  # the contract's word
        """See `Client.get`."""
        return await self._away(self._client.get, id)

    async def find(
        self,
        *,
        state: State | str | Iterable[State | str] | None = None,
        name: str | None = None,
        queue: str | None = None,
        kind: Kind | str | None = None,
        schedule: str | None = None,
        key: str | None = None,
        limit: int = 100,
    ) -> list[Task[object]]:
        """See `Client.find`."""
        return await self._away(
            lambda: self._client.find(
                state=state, name=name, queue=queue, kind=kind, schedule=schedule, key=key, limit=limit
            )
        )

    async def schedules(self) -> "list[Schedule]":
        """See `Client.schedules`."""
        return await self._away(self._client.schedules)

    async def listeners(self) -> "list[Listener]":
        """See `Client.listeners`."""
        return await self._away(self._client.listeners)

    async def status(self) -> "Status":
        """See `Client.status`."""
        return await self._away(self._client.status)

    # ── steering ───────────────────────────────────────────────────────────────────────────────────────────
    async def cancel(self, id: str) -> Cancellation:  # noqa: A002
        """See `Client.cancel`."""
        return await self._away(self._client.cancel, id)

    async def reschedule(self, id: str, *, at: Moment | None = None, after: Duration | None = None) -> None:  # noqa: A002
        """See `Client.reschedule`."""
        await self._away(lambda: self._client.reschedule(id, at=at, after=after))

    async def run_now(self, id: str) -> None:  # noqa: A002
        """See `Client.run_now`."""
        await self._away(self._client.run_now, id)

    async def retry(self, id: str) -> None:  # noqa: A002
        """See `Client.retry`."""
        await self._away(self._client.retry, id)

    async def pause(self, queue: str | None = None) -> None:
        """See `Client.pause`."""
        await self._away(self._client.pause, queue)

    async def resume(self, queue: str | None = None) -> None:
        """See `Client.resume`."""
        await self._away(self._client.resume, queue)

    # ── waiting ────────────────────────────────────────────────────────────────────────────────────────────
    async def wait(self, task: Task[R], timeout: Duration | None = None) -> bool:
        """See `Task.wait`."""
        import asyncio

        if self._client.by_hand:
            return await self._away(task.wait, timeout)
        seconds = None if timeout is None else parse_duration(timeout) / 1e6
        try:
            await asyncio.wait_for(self._lookout().finished(task), seconds)
        except TimeoutError:
            pass
        return task.finished

    async def result(self, task: Task[R], timeout: Duration | None = None) -> R:
        """See `Task.result`; `await task` is short for it."""
        if task.state is not State.SUCCEEDED and not await self.wait(task, timeout):
            raise WaitTimeout(f"task {task.id} ({task.name}) is still {task.state} after {timeout}; its work goes on")
        return task._ended()  # noqa: SLF001  # the two halves of `Task.result`

    def _lookout(self) -> "Lookout":
        """The one of the running loop."""
        import asyncio

        from mainspring.lookout import Lookout

        loop = asyncio.get_running_loop()
        found = self._lookouts.get(loop)
        if found is None or found.over:
            found = self._lookouts[loop] = Lookout(self._client)
        return found


class DaemonAio(Aio):
    """`daemon.aio` of a daemon: also its life."""

    def __init__(self, daemon: "Daemon") -> None:
        super().__init__(daemon)
        self._daemon = daemon

    async def start(self) -> None:
        """See `Daemon.start`."""
        await self._away(self._daemon.start)

    async def stop(self, grace: Duration | None = None) -> None:
        """See `Daemon.stop`."""
        await self._away(self._daemon.stop, grace)

    async def drain(self, timeout: Duration | None = None) -> bool:
        """See `Daemon.drain`."""
        return await self._away(self._daemon.drain, timeout)
