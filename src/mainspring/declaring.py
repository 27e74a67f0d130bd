"""Declaring: the decorators that make functions tasks, schedules and listeners. They write nothing; `start()` does."""

from collections.abc import Callable, Coroutine
from typing import TYPE_CHECKING, ParamSpec, Protocol, TypeVar, Unpack, cast, overload

from mainspring.adding import Adder, Duration, Moment, Options
from mainspring.client import Client
from mainspring.functions import AsyncTaskFunction, TaskFunction
from mainspring.store.protocol import Store
from mainspring.store.rows import Standing
from mainspring.tasks.options import Delivery, build_options
from mainspring.tasks.registry import Registry
from mainspring.tasks.retry import Retry
from mainspring.when.clock import Clock
from mainspring.when.durations import parse_duration

if TYPE_CHECKING:
    from datetime import tzinfo

    from mainspring.scheduling import ScheduleSaid
    from mainspring.when.triggers import Trigger

P = ParamSpec("P")
R = TypeVar("R")


class AnyTask(Protocol):
    """What a decorator with options makes of a function, `async def` or not."""

    @overload
    def __call__(self, function: Callable[P, Coroutine[object, None, R]], /) -> AsyncTaskFunction[P, R]: ...
    @overload
    def __call__(self, function: Callable[P, R], /) -> TaskFunction[P, R]: ...


class Declaring(Client):
    """A client that keeps what an app's code declares, for `start()` to reconcile with the store."""

    def __init__(
        self, *, name: str, open_store: Callable[[], Store], registry: Registry, clock: Clock, adder: Adder
    ) -> None:
        super().__init__(open_store=open_store, registry=registry, clock=clock, adder=adder)
        self.name = name
        self._declared: list[Callable[[int], Standing]] = []

    def declared(self) -> None:
        """A started daemon looks again at what its code declares."""

    # ── declaring ──────────────────────────────────────────────────────────────────────────────────────────
    @overload
    def task(self, function: Callable[P, Coroutine[object, None, R]], /) -> AsyncTaskFunction[P, R]: ...
    @overload
    def task(self, function: Callable[P, R], /) -> TaskFunction[P, R]: ...
    @overload
    def task(
        self,
        *,
        name: str | None = ...,
        label: str | None = ...,
        retry: int | Retry | None = ...,
        timeout: Duration | None = ...,
        queue: str = ...,
        priority: int = ...,
        expires: Duration | None = ...,
        delivery: Delivery = ...,
    ) -> AnyTask: ...
    def task(  # type: ignore[misc]  # it takes all that those above do, which mypy does not see
        self,
        function: Callable[..., object] | None = None,
        /,
        *,
        name: str | None = None,
        label: str | None = None,
        retry: int | Retry | None = None,
        timeout: Duration | None = None,
        queue: str = "default",
        priority: int = 0,
        expires: Duration | None = None,
        delivery: Delivery = "at-least-once",
    ) -> object:
        """Make a function a task. `name` replaces its registered name; the rest are its tasks' options unless they say
        otherwise.
        """

        def declare(function: Callable[P, R]) -> TaskFunction[P, R]:
            registered = self.registry.add(
                function,
                name,
                options=build_options(retry=retry, timeout=timeout, delivery=delivery),
                queue=queue,
                priority=priority,
                expires=None if expires is None else parse_duration(expires),
                label=label,
            )
            self.declared()
            return AsyncTaskFunction(self, function) if registered.is_async else TaskFunction(self, function)

        return declare if function is None else declare(function)

    def every(
        self, interval: Duration, *, anchor: Moment | None = None, **said: "Unpack[ScheduleSaid]"
    ) -> Callable[[Callable[P, R]], TaskFunction[P, R]]:
        """Run the function at whole multiples of `interval` since 1970-01-01T00:00Z or `anchor`, on the tasks' workers.

        See `schedule` for the other arguments.
        """
        from mainspring.when.every import Every

        return self.schedule(Every(interval, anchor=anchor), **said)

    def cron(
        self,
        expression: str,
        *,
        tz: "tzinfo | str" = "UTC",
        dst: str = "cron",
        gap: str | None = None,
        fold: str | None = None,
        **said: "Unpack[ScheduleSaid]",
    ) -> Callable[[Callable[P, R]], TaskFunction[P, R]]:
        """Run the function when `Cron(expression, ...)` says, on the tasks' workers. See `schedule` for the others."""
        from mainspring.when.cron import Cron

        return self.schedule(Cron(expression, tz=tz, dst=dst, gap=gap, fold=fold), **said)

    def schedule(
        self, trigger: "Trigger | Duration", **said: "Unpack[ScheduleSaid]"
    ) -> Callable[[Callable[P, R]], TaskFunction[P, R]]:
        """Run the function whenever the trigger says, on the tasks' workers.

        `name` names the schedule (default: the function's name); `misfire`, `grace`, `catch_up`, `overlap` and `keep`
        are its rule (`ScheduleSaid`); the other options are its tasks'. Written by `start()`.
        """

        def declare(function: Callable[P, R]) -> TaskFunction[P, R]:
            task = self._as_task(function)
            self._declare(lambda now: self.new_schedule(function, trigger, (), None, said, now, app=self.name))
            return task

        return declare

    @overload
    def listener(self, function: Callable[P, R], /) -> TaskFunction[P, R]: ...
    @overload
    def listener(
        self, *, name: str | None = ..., pause: Duration = ..., everywhere: bool = ...
    ) -> Callable[[Callable[P, R]], TaskFunction[P, R]]: ...
    def listener(  # type: ignore[misc]  # likewise
        self,
        function: Callable[..., object] | None = None,
        /,
        *,
        name: str | None = None,
        pause: Duration = "10ms",
        everywhere: bool = False,
    ) -> object:
        """Call the function again and again, for ever, on the listeners' own workers. Written to the store by
        `start()`.
        """

        def declare(function: Callable[P, R]) -> TaskFunction[P, R]:
            task = self._as_task(function)
            options = Options(name=name)
            self._declare(
                lambda _: self.new_listener(function, (), None, options, pause, everywhere=everywhere, app=self.name)
            )
            return task

        return declare if function is None else declare(function)

    def _as_task(self, function: Callable[P, R]) -> TaskFunction[P, R]:
        """A decorated schedule or listener is a task like any other; one that is one already stays as it is."""
        if isinstance(function, TaskFunction):
            return cast("TaskFunction[P, R]", function)
        return self.task(function)

    def _declare(self, build: Callable[[int], Standing]) -> None:
        build(self.clock.now())  # what is wrong with it is said where it is written
        self._declared.append(build)
        self.declared()

    def reconcile(self) -> None:
        """Make the store agree with what this app declares."""
        from mainspring.standing import reconcile

        now = self.clock.now()
        reconcile(self, self.name, [build(now) for build in self._declared], now)
