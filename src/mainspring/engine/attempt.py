"""Runs one task: may it start, note the start, call the body, turn what happened into a settlement.

Runs on a worker's thread. The order of the lines in `run` is the promise: nothing early (the clock is read last before
the start), the start is noted before the body begins, an at-most-once start is durable before the body begins.
"""

from collections.abc import Callable, Mapping
from contextvars import copy_context
from types import CoroutineType
from typing import Protocol

from mainspring.engine import settle
from mainspring.engine.coroutines import CoroutineLoop
from mainspring.engine.parts import Followed
from mainspring.engine.pool import Slot
from mainspring.engine.timeline import Held
from mainspring.errors import MainspringError
from mainspring.store.journal import Journal
from mainspring.store.rows import Settlement
from mainspring.tasks import codec
from mainspring.tasks.context import TaskContext, enter
from mainspring.tasks.names import class_names
from mainspring.tasks.problems import describe
from mainspring.tasks.registry import Registered, Registry
from mainspring.tasks.retry import RetryLater
from mainspring.tasks.state import Kind
from mainspring.when.clock import Clock


class Recorder(Protocol):
    """Where settlements go."""

    def put(self, settlement: Settlement) -> None:
        """Write it soon."""

    def begin(self, held: Held, attempt: int, started_at: int) -> bool:
        """Write a start durably, now; False when the reservation was lost."""


class Limits(Protocol):
    """Who watches time limits."""

    def watch(self, slot: Slot, held: Held, timeout: int) -> None:
        """Ask this slot to stop when `timeout` µs are over."""


class Programs(Protocol):
    """Who runs programs."""

    def attempt(self, held: Held, slot: Slot) -> Settlement:
        """Run the program of this task to its end."""


# A function with its arguments, ready to be called; or with what its arguments' own code raised.
Call = tuple[Registered, tuple[object, ...], dict[str, object], BaseException | None]


class Attempt:
    """The pipeline of one attempt; one object serves all workers."""

    def __init__(
        self,
        *,
        clock: Clock,
        registry: Registry,
        journal: Journal,
        recorder: Recorder,
        limits: Limits,
        programs: Programs,
        put_back: Callable[[Held], None],
        turned_away: Callable[[Held, int], bool],
        followed: Mapping[int, Followed],
        early: int,
    ) -> None:
        self._now = clock.now
        self._boottime = clock.boottime
        self._registry = registry
        self._journal = journal
        self._recorder = recorder
        self._limits = limits
        self._programs = programs
        self._put_back = put_back
        self.turned_away = turned_away
        self._followed = followed
        self._most_early = 2 * early
        self.coroutines = CoroutineLoop()
        self.tune: Callable[[int], None] = lambda _: None  # told how long (µs) each body took

    def run(self, held: Held, slot: Slot) -> None:
        """One attempt, from due to settled. Never raises."""
        task, run_at, options = held.task, held.run_at, held.options
        now = self._now()
        if run_at - now > self._most_early:  # the clock was set back since the timer handed it over
            self._put_back(held)
            return
        if (task.expires_at or task.schedule) and self.turned_away(held, now):
            return
        if (followed := self._followed.get(task.id)) is not None:
            followed.taken_at = now
        slot.attempt = attempt = task.attempt + 1
        timeout = options.timeout
        deadline = None if timeout is None else now + timeout
        slot.context = TaskContext(held.id, task.name, held.lane.work, attempt, held.token, run_at, deadline)
        call = self._prepare(held)
        while (now := self._now()) < run_at:  # handed over early, by a fraction of a millisecond
            if run_at - now > self._most_early:
                self._put_back(held)
                return
        if not self._journal.covers(held.token, self._boottime()):  # this daemon stood still: it may be another's
            self._recorder.put(settle.returned(held))
            return
        if not slot.seize():  # it was cancelled or moved in that fraction
            return
        if options.delivery == "at-most-once":
            if not self._recorder.begin(held, attempt, now):
                return
            slot.marked = True
        self._journal.note(held.id, held.token, now)  # the same instant as in the store: it is the same start
        if slot.marked:
            now = max(now, self._now())  # its lateness has the fsync in it, in which the clock may be set back
        slot.began = began = self._boottime()
        slot.started_at = now
        if timeout is not None:
            self._limits.watch(slot, held, timeout)
        settlement = self._programs.attempt(held, slot) if call is None else self._call(held, slot, call)
        settlement = settle.timed(settlement, self._boottime() - began)
        if not slot.settled:
            slot.settled = True  # before it is put: what has ended is not marked as running any more
            self._recorder.put(settlement)
        self.tune((settlement.finished_at or now) - now)

    def _prepare(self, held: Held) -> Call | None:
        """Everything that can be done before the instant; None for a program."""
        if held.lane.kind is Kind.PROGRAM:
            return None
        registered = self._registry.resolve(held.lane.work)
        assert registered is not None, "what cannot be resolved is not reserved"
        try:
            args, kwargs = codec.decode_call(held.task.payload, registered.plan)
        except BaseException as error:  # noqa: BLE001  # a model's own code may raise anything; told when it has started
            return registered, (), {}, error
        return registered, args, kwargs, None

    def _call(self, held: Held, slot: Slot, call: Call) -> Settlement:
        """Call the function and say how it ended."""
        started_at, attempt = slot.started_at, slot.attempt
        registered, args, kwargs, unreadable = call
        try:
            if unreadable is not None:
                raise unreadable
            value = self._body(registered, args, kwargs, slot)
        except BaseException as error:  # noqa: BLE001  # whatever a body raises ends its attempt, never its worker
            return self._ended_badly(held, slot, error)
        finished_at = self._now()
        if slot.cause == settle.TIME_LIMIT:  # it heeded the request, or came back too late
            return settle.failed(
                held, attempt, started_at, finished_at, settle.TIME_LIMIT, settle.time_limit(held), retry=True
            )
        try:
            result = None if value is None else codec.encode_result(value, registered.plan)
        except MainspringError as error:
            return settle.succeeded(
                held, attempt, started_at, finished_at, None, reason="result not stored", error=describe(error).encode()
            )
        return settle.succeeded(held, attempt, started_at, finished_at, result)

    def _body(self, registered: Registered, args: tuple[object, ...], kwargs: dict[str, object], slot: Slot) -> object:
        assert slot.context is not None
        if registered.is_async:
            return self.coroutines.run(registered.function, args, kwargs, slot)
        # a context of its own: what the body sets in context variables does not reach the worker's next task
        inside = copy_context()
        inside.run(enter, slot.context)
        value = inside.run(registered.function, *args, **kwargs)
        if isinstance(value, CoroutineType):  # a plain function around an `async def` one
            return self.coroutines.run(lambda: value, (), {}, slot)
        return value

    def _ended_badly(self, held: Held, slot: Slot, error: BaseException) -> Settlement:
        started_at, attempt = slot.started_at, slot.attempt
        finished_at = self._now()
        after = error.after if isinstance(error, RetryLater) else None
        return settle.raised(
            held, attempt, started_at, finished_at, slot.cause, describe(error), class_names(type(error)), after
        )
