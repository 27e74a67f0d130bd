"""The verbs of a store: add, look, steer. A daemon that was not started is just this."""

from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Unpack

from msgspec import UNSET

from mainspring.adding import Duration, Item, Moment, Options, Said, Spec, Work, options_of
from mainspring.errors import InvalidArguments, KeyHeld, StoreError, TooLate
from mainspring.items import specs_of
from mainspring.setting_values import file_of
from mainspring.steering import Steering
from mainspring.store.arrivals import is_outbox_id
from mainspring.store.rows import Bound as StoreBound
from mainspring.store.rows import Filter, NewTask, Release, Standing, TaskRow
from mainspring.task import Task
from mainspring.tasks.names import bare_name
from mainspring.tasks.state import Kind, State
from mainspring.when.durations import parse_duration

if TYPE_CHECKING:
    from mainspring.aio import Aio
    from mainspring.batch import Batch
    from mainspring.bound import Bound
    from mainspring.scheduling import ScheduleSaid
    from mainspring.standing import Listener, Schedule
    from mainspring.status import Status
    from mainspring.when.triggers import Trigger
    from mainspring.why import Why

_REPLACE_TRIES = 20


class Client(Steering):
    """Adds, looks and steers."""

    _aio: "Aio | None" = None
    bound: "Bound | None" = None  # of the queue, for what this client adds

    @property
    def aio(self) -> "Aio":
        """The same methods for coroutines: they never block the loop."""
        if self._aio is None:
            from mainspring.aio import Aio

            self._aio = Aio(self)
        return self._aio

    # ── adding ─────────────────────────────────────────────────────────────────────────────────────────────
    def add_task(
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
        """Add one task: a function, a registered name `module:function`, or a program as a list. Durable when it
        returns.

        `at` is an instant, `after` a duration; neither: due now. The options are those of `mainspring.adding.Said`:
        name, key, on_conflict, queue, priority, retry, timeout, expires, delivery, and for a program cwd and env.

        With a `connection` to your own database the task becomes part of the transaction there: it is added when that
        is committed, and never when it is rolled back (see `outboxes`).
        """
        spec = Spec(work=work, args=args, kwargs=kwargs, at=at, after=after, options=options_of(said))
        return self.add_new([spec], connection)[0]

    def add_tasks(self, items: Iterable[Item], *, connection: object | None = None) -> list[Task[object]]:
        """Add many, each a dict of `add_task`'s arguments, in one durable commit: all or none. 100,000 at most."""
        return self.add_new(specs_of(items), connection)

    def batch(self, *, connection: object | None = None) -> "Batch":
        """`with daemon.batch() as batch:` collects tasks and adds them in one commit at the end, none if the block
        raises.
        """
        from mainspring.batch import Batch

        return Batch(self, connection)

    def create_outbox(self, connection: object) -> None:
        """Make the table that `add_task(connection=)` writes to, in the connection's transaction; if it is there,
        nothing.
        """
        from mainspring.transactional import create_outbox

        create_outbox(self, connection)

    @staticmethod
    def outbox_schema() -> str:
        """The SQL of that table, for migrations."""
        from mainspring.store.outbox import SCHEMA

        return SCHEMA

    def add_schedule(
        self,
        work: Work,
        trigger: "Trigger | Duration",
        *,
        args: Sequence[object] = (),
        kwargs: Mapping[str, object] | None = None,
        **said: "Unpack[ScheduleSaid]",
    ) -> "Schedule":
        """Store a rule that creates a task for each occurrence. Its `name` (default: the work's own) must be free.

        Beside the options of its tasks: `misfire`, `grace`, `catch_up`, `overlap`, `keep` (see `ScheduleSaid`);
        `expires` is a duration after each occurrence.
        """
        from mainspring.standing import Schedule, find_standing, put_new

        standing = self.new_schedule(work, trigger, args, kwargs, said, self.clock.now())
        put_new(self, standing)
        return Schedule(self, find_standing(self, "schedule", standing.name))

    def add_listener(
        self,
        work: Work,
        *,
        args: Sequence[object] = (),
        kwargs: Mapping[str, object] | None = None,
        pause: Duration = "10ms",
        everywhere: bool = False,
        **said: Unpack[Said],
    ) -> "Listener":
        """Store work without an end; a daemon on this store takes it up. Its `name` (default: its own) must be free."""
        from mainspring.standing import Listener, find_standing, put_new

        standing = self.new_listener(work, args, kwargs, options_of(said), pause, everywhere=everywhere)
        put_new(self, standing)
        return Listener(self, find_standing(self, "listener", standing.name))

    def new_schedule(
        self, work: Work, trigger: "Trigger | Duration", args: Sequence[object], kwargs: Mapping[str, object] | None,
        said: Mapping[str, object], now: int, *, app: str | None = None,
    ) -> Standing:  # fmt: skip
        """The row of a schedule, checked and not yet stored."""
        from mainspring.engine.definitions import ScheduleDefinition
        from mainspring.scheduling import expiring, split
        from mainspring.standing import new_schedule
        from mainspring.when.triggers import encode_trigger, parse_trigger

        options, rule = split(said)
        _refuse_for_standing(options, "schedule", "key", "on_conflict")
        stored = expiring(self._adder.work(work, args, kwargs, options), options)
        definition = ScheduleDefinition(trigger=encode_trigger(parse_trigger(trigger)), work=stored, rule=rule)
        return new_schedule(stored.name or bare_name(stored.kind, stored.work), app, definition, now)

    def new_listener(
        self, work: Work, args: Sequence[object], kwargs: Mapping[str, object] | None, options: Options,
        pause: Duration, *, everywhere: bool, app: str | None = None,
    ) -> Standing:  # fmt: skip
        """The row of a listener, checked and not yet stored."""
        from mainspring.engine.definitions import ListenerDefinition
        from mainspring.standing import new_listener

        _refuse_for_standing(options, "listener", "key", "on_conflict", "expires")
        stored = self._adder.work(work, args, kwargs, options)
        definition = ListenerDefinition(work=stored, pause=parse_duration(pause), everywhere=everywhere)
        return new_listener(stored.name or bare_name(stored.kind, stored.work), app, definition)

    def schedules(self) -> "list[Schedule]":
        """All schedules of the store."""
        from mainspring.standing import Schedule

        return [Schedule(self, one) for one in self.store.standings("schedule")]

    def listeners(self) -> "list[Listener]":
        """All listeners of the store."""
        from mainspring.standing import Listener

        return [Listener(self, one) for one in self.store.standings("listener")]

    def add_new(self, specs: Sequence[Spec], connection: object | None = None) -> list[Task[object]]:
        """Add what was specified: all in one durable commit, or none; or within the transaction of a `connection`."""
        if connection is not None:
            from mainspring.transactional import add_within

            return add_within(self, specs, connection)
        new, now = self.build(specs)
        return self.put(new, now) if self.bound is None else self.bound.add(new, now)

    def build(self, specs: Sequence[Spec]) -> tuple[list[NewTask], int]:
        """The rows to be added, checked; and the instant (µs) from which they count."""
        now = self.clock.now()
        new = self.rows_of(specs, now)
        self.before_adding()
        return new, now

    def rows_of(self, specs: Sequence[Spec], now: int) -> list[NewTask]:
        """The rows of tasks, checked."""
        return self._adder.build(specs, now)

    def put(self, new: Sequence[NewTask], now: int, bound: StoreBound | None = None) -> list[Task[object]]:
        """Write the rows, all or none; `QueueFull` when there is no room for them."""
        for _ in range(_REPLACE_TRIES):
            try:
                added = self.store.add(new, now) if bound is None else self.store.add(new, now, bound)
            except KeyHeld as held:
                self._release(held, new)
                continue
            self.after_adding()
            return [
                Task(self, partial(_as_row, one, done.id, now)) if done.created else self.get(str(done.id))
                for one, done in zip(new, added, strict=True)
            ]
        raise StoreError("the task to be replaced was reserved again each time it was released; try again")

    @property
    def carries_programs(self) -> bool:
        """May it add programs within a transaction?"""
        return False

    @property
    def store_file(self) -> str | None:
        """The file that the store is in, if it is in one."""
        return file_of(self.store.url)

    @property
    def by_hand(self) -> bool:
        """Is it a daemon whose turns are taken by whoever calls it? Then waiting means taking them."""
        return False

    def before_adding(self) -> None:
        """A daemon looks here whether it may block."""

    def after_adding(self) -> None:
        """A daemon that is driven by hand takes its turns here."""

    def _release(self, held: KeyHeld, new: Sequence[NewTask]) -> None:
        """Ask the holder of the task that is to be replaced to give it back."""
        verdict = self.ask(held.holder, held.task, Release())
        if verdict is not None and verdict.outcome == "too-late":
            raise TooLate(f"task {held.task} with the key {held.key!r} is running: it can no longer be replaced")
        assert new

    def decode_result(self, row: TaskRow) -> object:
        """What a task returned; a function known here brings it back by its return annotation."""
        from mainspring.tasks.codec import decode_result

        registered = self.registry.get(row.work) if row.kind is Kind.FUNCTION else None
        return decode_result(row.result or "null", None if registered is None else registered.plan)

    # ── looking ────────────────────────────────────────────────────────────────────────────────────────────
    def get(self, id: str) -> Task[object]:  # noqa: A002  # the contract's word
        """The task; `TaskNotFound` when there is none."""
        row = self.find_row(id)
        if not is_outbox_id(str(id)):
            return Task(self, row)
        from mainspring.transactional import OutboxTask

        return OutboxTask(self, id, row)

    def find(
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
        """The tasks that fit, soonest first; of finished ones the newest `limit`."""
        from mainspring.asked import as_kind, as_limit, as_states

        wanted = Filter(
            states=as_states(state),
            name=name,
            queue=queue,
            kind=as_kind(kind),
            schedule=schedule,
            key=key,
            limit=as_limit(limit),
        )
        return [Task(self, row) for row in self.store.find(wanted)]

    def why(self, id: str) -> "Why":  # noqa: A002  # the contract's word
        """Why a task has not started, started late, was tried again, missed or cancelled; `TaskNotFound`."""
        return self.get(id).why()

    def status(self) -> "Status":
        """Nodes, workers, listeners, schedules, counts and lateness, as they are now."""
        from mainspring.status import read_status

        return read_status(self.store, self.clock.now())

    # ── waiting ────────────────────────────────────────────────────────────────────────────────────────────
    def wait_for(self, task: Task[object], timeout: int | None) -> None:
        """Return when the task finished or `timeout` µs are over; it is refreshed."""
        self._waiting.finished(task, timeout)


def _refuse_for_standing(options: Options, what: str, *words: str) -> None:
    for word in words:
        if getattr(options, word) is not UNSET:
            raise InvalidArguments(f"{word}= is for a single task; a {what} is unique by its name=")


def _as_row(new: NewTask, number: int, now: int) -> TaskRow:
    """The row as it was just written, without reading it back."""
    return TaskRow(
        number, new.kind, new.work, new.queue, new.priority, State.WAITING, None, new.run_at, now, None, None, 0, 0, 0,
        new.name, new.options, new.payload, new.key, new.expires_at, new.schedule, None, None, None,
    )  # fmt: skip
