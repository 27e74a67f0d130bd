"""Adding within a transaction of the caller's own database: the task is there if that is committed, and only then.

The task is written into an outbox beside the caller's own rows (`store.outbox`); a daemon that was told of the database
(`outboxes=`) moves it into the store after the commit (`engine.mover`). Until then the task is known by its outbox id
alone; afterwards by that and by its number in the store.
"""

import importlib
import os
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, TypeVar
from urllib.parse import quote

import msgspec

from mainspring.adding import Spec
from mainspring.errors import InvalidArguments, InvalidValue, NotAllowed, StoreError
from mainspring.store import outbox
from mainspring.store.arrivals import new_id
from mainspring.store.outbox_connections import Place, reach
from mainspring.store.rows import NewTask, TaskRow
from mainspring.task import Task
from mainspring.tasks.state import Kind, State

if TYPE_CHECKING:
    from mainspring.client import Client
    from mainspring.why import Why

R_co = TypeVar("R_co", covariant=True)

Added = list[Task[object]]
RunSync = Callable[[Callable[[object], Added]], Awaitable[Added]]  # calls with the connection that is not awaited

_BUSY_S = 1.0  # how long the mover waits for the lock of a SQLite database before it tries again later


class OutboxTask(Task[R_co]):
    """A task that was added within a transaction. Its id is that of its row in the outbox, before and after it came.

    While it has not come it is `waiting`: nobody but the caller's database knows whether its transaction was committed.
    """

    __slots__ = ("_outbox_id",)

    def __init__(self, client: "Client", id: str, row: TaskRow) -> None:  # noqa: A002  # as `Task.id`
        super().__init__(client, row)
        self._outbox_id = id

    @property
    def id(self) -> str:
        """The outbox's id: every verb that takes an id takes it."""
        return self._outbox_id

    def refresh(self) -> "Task[R_co]":
        """Read it again; as it was, while it has not come."""
        if self.row.id:
            return super().refresh()
        arrival = self._client.store.arrivals.find(self.id)
        if arrival is None:
            return self
        if arrival.task is None:
            now = self._client.clock.now()
            self._known = msgspec.structs.replace(
                self.row, state=State.CANCELLED, reason="cancelled", finished_at=self.row.finished_at or now
            )
            return self
        self._known = msgspec.structs.replace(self.row, id=arrival.task)
        return super().refresh()

    def why(self) -> "Why":
        """See `Task.why`; of one that has not come only its own database knows."""
        self._client.find_row(self.id)
        return super().why()

    def __hash__(self) -> int:
        return hash(self._outbox_id)


# ── adding ─────────────────────────────────────────────────────────────────────────────────────────────────────


def add_within(client: "Client", specs: Sequence[Spec], connection: object) -> list[Task[object]]:
    """Write the tasks into the outbox of the connection's database, in its transaction."""
    reached = reach(connection)
    outbox.refuse_store(reached, client.store_file)
    outbox.refuse_alone(reached)
    now = client.clock.now()
    new = [(new_id(now), task) for task in client.rows_of(specs, now)]
    if not client.carries_programs and any(task.kind is Kind.PROGRAM for _, task in new):
        raise NotAllowed(
            "a program is added within a transaction only where programs= says which may run, for otherwise whoever "
            "can write to your database could have any program run: say programs=[...] here and at the daemon, or add "
            "a function"
        )
    outbox.write(reached, new)
    if new:
        tell = partial(_announce, client, new[-1][0])
        tell()
        reached.when_committed(tell)
    return [OutboxTask(client, id_, _as_row(task, now)) for id_, task in new]


def _announce(client: "Client", id_: str) -> None:
    with suppress(StoreError):  # a hint; the store need not even be within reach
        client.store.arrivals.announce(id_)


async def add_within_awaited(client: "Client", specs: Sequence[Spec], connection: object) -> list[Task[object]]:
    """The same for coroutines, with a connection of SQLAlchemy's that is awaited."""
    import asyncio

    run_sync: RunSync | None = getattr(connection, "run_sync", None)
    if run_sync is None:
        raise InvalidArguments(
            f"in coroutines connection= expects SQLAlchemy's AsyncSession or AsyncConnection, got "
            f"{type(connection).__name__}: call the verb that is not awaited where your connection may be used"
        )
    with suppress(StoreError):  # opened here, so that the loop need not wait for it
        await asyncio.to_thread(lambda: client.store)
    return await run_sync(lambda sync: add_within(client, specs, sync))


def create_outbox(client: "Client", connection: object) -> None:
    """Make the table, in the connection's transaction."""
    reached = reach(connection)
    outbox.refuse_store(reached, client.store_file)
    reached.run(outbox.SCHEMA)


def _as_row(new: NewTask, now: int) -> TaskRow:
    """The task as it will be; 0 is no number of any."""
    return TaskRow(
        0, new.kind, new.work, new.queue, new.priority, State.WAITING, None, new.run_at, now, None, None, 0, 0, 0,
        new.name, new.options, new.payload, new.key, new.expires_at, None, None, None, None,
    )  # fmt: skip


# ── where a daemon looks ───────────────────────────────────────────────────────────────────────────────────────

_refused: list[object] = []  # to close one would do what it was refused for


def places_of(outboxes: Sequence[object], store_file: str | None) -> tuple[Place, ...]:
    """What a daemon connects to, from its setting. `store_file`: the store's own, which can be none of them."""
    return tuple(_place_of(one, store_file) for one in outboxes)


def _place_of(one: object, store_file: str | None) -> Place:
    if isinstance(one, str) and os.path.isabs(one):
        if store_file is not None and (one == store_file or outbox.same_file(one, store_file)):
            raise InvalidValue(f"outboxes=: {outbox.own_store(one)}")
        return Place(one, lambda: _sqlite(one))
    connect = _connector(_imported(one) if isinstance(one, str) else one)

    def checked() -> object:
        connection = connect()
        try:
            outbox.refuse_store(reach(connection), store_file)
        except BaseException:
            _refused.append(connection)
            raise
        return connection

    return Place(one if isinstance(one, str) else getattr(one, "__qualname__", type(one).__name__), checked)


def _sqlite(path: str) -> object | None:
    """None while there is no such file: whoever it belongs to makes it."""
    if not os.path.exists(path):
        return None
    import sqlite3

    # Opened on the mover's thread, and by hand on whichever takes the turn.
    con = sqlite3.connect(f"file:{quote(path)}?mode=rw", uri=True, timeout=_BUSY_S, check_same_thread=False)
    con.text_factory = lambda text: text.decode(errors="replace")  # what is no text holds nobody else up
    return con


def _connector(value: object) -> Callable[[], object]:
    """What connects: a function, or the `connect` of an Engine. Django's `connection` is another one on each thread."""
    if hasattr(value, "vendor"):
        return lambda: value
    connect = value if callable(value) else getattr(value, "connect", None)
    if not callable(connect):
        raise InvalidValue(f"outboxes= expects what connects to a database, got {value!r:.200}")
    return connect


def _imported(spec: str) -> object:
    module, _, attribute = spec.partition(":")
    try:
        value: object = importlib.import_module(module)
        for part in attribute.split("."):
            value = getattr(value, part)
    except (ImportError, AttributeError) as error:
        raise InvalidValue(f"outboxes=: there is no {spec}: {error}") from error
    return value
