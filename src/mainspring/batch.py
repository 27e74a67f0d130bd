"""Many tasks in one commit, added one after the other: the chain."""

from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Self, Unpack

from mainspring.adding import Duration, Moment, Said, Spec, Work, options_of
from mainspring.errors import Misuse

if TYPE_CHECKING:
    from mainspring.client import Client
    from mainspring.task import Task


class Batch:
    """Collects until the block ends; then all are added in one durable commit, or none if the block raised."""

    def __init__(self, client: "Client", connection: object | None = None) -> None:
        self._client = client
        self._connection = connection
        self._specs: list[Spec] = []
        self._tasks: list[Task[object]] | None = None

    def add_task(
        self,
        work: Work,
        args: Sequence[object] = (),
        kwargs: Mapping[str, object] | None = None,
        *,
        at: Moment | None = None,
        after: Duration | None = None,
        **said: Unpack[Said],
    ) -> Self:
        """As `Daemon.add_task`; returns the batch, for the next one."""
        self._specs.append(Spec(work=work, args=args, kwargs=kwargs, at=at, after=after, options=options_of(said)))
        return self

    @property
    def tasks(self) -> "list[Task[object]]":
        """The tasks, in the order of adding, once the block has ended."""
        if self._tasks is None:
            raise Misuse("the tasks of a batch exist only after its block has ended")
        return self._tasks

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is None:
            self._tasks = self._client.add_new(self._specs, self._connection) if self._specs else []

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is None:
            self._tasks = await self._client.aio.add_new(self._specs, self._connection) if self._specs else []
