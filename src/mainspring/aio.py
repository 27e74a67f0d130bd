"""The verbs for coroutines. They never block the loop: the store works on another thread, and waiting takes none."""

from collections.abc import Callable, Coroutine, Iterable, Mapping, Sequence
from functools import wraps
from typing import TYPE_CHECKING, Concatenate, ParamSpec, TypeVar, Unpack
from weakref import WeakKeyDictionary

from mainspring.adding import Duration, Item, Moment, Said, Spec, Work, options_of
from mainspring.app import Daemon
from mainspring.client import Client
from mainspring.errors import WaitTimeout
from mainspring.items import specs_of
from mainspring.steering import Steering
from mainspring.task import Task
from mainspring.tasks.state import State
from mainspring.when.durations import parse_duration

if TYPE_CHECKING:
    from asyncio import AbstractEventLoop

    from mainspring.batch import Batch
    from mainspring.lookout import Lookout

C = TypeVar("C", bound=Steering)
P = ParamSpec("P")
R = TypeVar("R")


async def _away(function: Callable[P, R], /, *args: P.args, **kwargs: P.kwargs) -> R:
    import asyncio

    return await asyncio.to_thread(function, *args, **kwargs)


def _awaited(verb: Callable[Concatenate[C, P], R]) -> "Callable[Concatenate[Aio, P], Coroutine[None, None, R]]":
    """A verb of the client under the same name, with the same parameters: called on another thread, and awaited."""
    name = verb.__name__

    @wraps(verb)
    async def awaited(aio: "Aio", /, *args: P.args, **kwargs: P.kwargs) -> R:
        own: Callable[P, R] = getattr(aio._client, name)  # noqa: SLF001  # its own: a daemon may have another one
        return await _away(own, *args, **kwargs)

    awaited.__doc__ = f"See `{verb.__qualname__}`."
    return awaited


class Aio:
    """`daemon.aio`: the same methods, awaited."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._lookouts: WeakKeyDictionary[AbstractEventLoop, Lookout] = WeakKeyDictionary()

    # ── adding ─────────────────────────────────────────────────────────────────────────────────────────────
    async def add_new(self, specs: Sequence[Spec], connection: object | None = None) -> list[Task[object]]:
        """See `Client.add_new`; who waits for room takes no thread."""
        if connection is not None:
            from mainspring.transactional import add_within_awaited

            return await add_within_awaited(self._client, specs, connection)
        bound = self._client.bound
        if bound is None or self._client.by_hand:
            return await _away(self._client.add_new, specs)
        from mainspring import bound_aio

        new, now = await _away(self._client.build, specs)
        return await bound_aio.add(bound, self._client.store, new, now)

    async def add_task(
        self,
        work: Work,
        args: Sequence[object] = (),
        kwargs: Mapping[str, object] | None = None,
        *,
        at: Moment | None = None,
        after: Duration | None = None,
        connection: object | None = None,
        **said: Unpack[Said],
    ) -> Task[object]:
        """See `Client.add_task`; `connection` is SQLAlchemy's AsyncSession or AsyncConnection."""
        spec = Spec(work=work, args=args, kwargs=kwargs, at=at, after=after, options=options_of(said))
        return (await self.add_new([spec], connection))[0]

    async def add_tasks(self, items: Iterable[Item], *, connection: object | None = None) -> list[Task[object]]:
        """See `Client.add_tasks`; `items` are drawn here, on the loop."""
        return await self.add_new(await _away(specs_of, list(items)), connection)

    add_schedule = _awaited(Client.add_schedule)
    add_listener = _awaited(Client.add_listener)

    def batch(self, *, connection: object | None = None) -> "Batch":
        """See `Client.batch`; here it is `async with daemon.aio.batch() as batch:`."""
        return self._client.batch(connection=connection)

    # ── looking ────────────────────────────────────────────────────────────────────────────────────────────
    get = _awaited(Client.get)
    find = _awaited(Client.find)
    schedules = _awaited(Client.schedules)
    listeners = _awaited(Client.listeners)
    status = _awaited(Client.status)
    why = _awaited(Client.why)

    # ── steering ───────────────────────────────────────────────────────────────────────────────────────────
    cancel = _awaited(Client.cancel)
    reschedule = _awaited(Client.reschedule)
    run_now = _awaited(Client.run_now)
    retry = _awaited(Client.retry)
    pause = _awaited(Client.pause)
    resume = _awaited(Client.resume)

    # ── waiting ────────────────────────────────────────────────────────────────────────────────────────────
    async def wait(self, task: Task[R], timeout: Duration | None = None) -> bool:
        """See `Task.wait`."""
        import asyncio

        if self._client.by_hand:
            return await _away(task.wait, timeout)
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

    start = _awaited(Daemon.start)
    stop = _awaited(Daemon.stop)
    drain = _awaited(Daemon.drain)
