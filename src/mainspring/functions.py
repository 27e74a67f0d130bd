"""A decorated function: still a plain function, and a way to add tasks of it."""

from collections.abc import Callable, Coroutine, Mapping
from typing import TYPE_CHECKING, Generic, ParamSpec, TypeVar, Unpack, cast

from mainspring.adding import NOTHING_SAID, Duration, Moment, Options, Said, Spec, options_of
from mainspring.errors import InvalidValue
from mainspring.tasks.registry import Registered

if TYPE_CHECKING:
    from mainspring.client import Client
    from mainspring.task import Task

P = ParamSpec("P")
R = TypeVar("R")

_DURATION_WORDS = ("weeks", "days", "hours", "minutes", "seconds", "milliseconds", "microseconds")


class Call(Generic[P, R]):
    """A function with an instant and options: a reusable value. Each method gives a new one; the order does not
    matter.
    """

    __slots__ = ("_after", "_at", "_client", "_connection", "_function", "_options")

    def __init__(
        self,
        client: "Client",
        function: Callable[P, R],
        options: Options,
        at: Moment | None,
        after: Duration | None,
        connection: object | None = None,
    ) -> None:
        self._client = client
        self._function = function
        self._options = options
        self._at = at
        self._after = after
        self._connection = connection

    def at(self, moment: Moment) -> "Call[P, R]":
        """Due at an aware datetime, an ISO 8601 text with an offset, or epoch seconds."""
        return Call(self._client, self._function, self._options, moment, None, self._connection)

    def after(self, duration: Duration | None = None, /, **parts: float) -> "Call[P, R]":
        """Due a duration after it is added: seconds, a timedelta, a text such as "30m", or minutes=30."""
        after = duration_of(duration, parts)
        return Call(self._client, self._function, self._options, None, after, self._connection)

    def options(self, **said: Unpack[Said]) -> "Call[P, R]":
        """Other options for the tasks that this value adds, as `add_task` takes them; what is not said stays as it
        was.
        """
        options = options_of(said).over(self._options)
        return Call(self._client, self._function, options, self._at, self._after, self._connection)

    def within(self, connection: object) -> "Call[P, R]":
        """Added within the transaction that is open on this connection to your own database; see `add_task`."""
        return Call(self._client, self._function, self._options, self._at, self._after, connection)

    def enqueue(self, *args: P.args, **kwargs: P.kwargs) -> "Task[R]":
        """Add a task with these arguments, durably; they are checked against the signature now."""
        return cast("Task[R]", self._client.add_new([self._spec(args, kwargs)], self._connection)[0])

    async def aenqueue(self, *args: P.args, **kwargs: P.kwargs) -> "Task[R]":
        """The same for coroutines: the loop goes on while the store writes."""
        specs = [self._spec(args, kwargs)]
        return cast("Task[R]", (await self._client.aio.add_new(specs, self._connection))[0])

    @property
    def registered(self) -> Registered | None:
        """How the function was registered at its daemon."""
        return self._client.registry.of(self._function)

    def _spec(self, args: tuple[object, ...], kwargs: Mapping[str, object]) -> Spec:
        return Spec(
            work=self._function, args=args, kwargs=kwargs, at=self._at, after=self._after, options=self._options
        )

    def __repr__(self) -> str:
        when = f" at {self._at}" if self._at is not None else f" after {self._after}" if self._after is not None else ""
        return f"<Call of {getattr(self._function, '__qualname__', self._function)}{when}>"


class TaskFunction(Generic[P, R]):
    """What `@daemon.task` makes of a function. Calling it calls the function, here and now."""

    def __init__(self, client: "Client", function: Callable[P, R]) -> None:
        self.function = self.__wrapped__ = function
        self.__module__ = function.__module__
        self.__name__ = getattr(function, "__name__", "")
        self.__qualname__ = getattr(function, "__qualname__", "")
        self.__doc__ = function.__doc__
        self._call = Call(client, function, NOTHING_SAID, None, None)
        self.at = self._call.at
        self.after = self._call.after
        self.options = self._call.options
        self.within = self._call.within

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R:
        """Call the function, here and now."""
        return self.__wrapped__(*args, **kwargs)

    @property
    def registered(self) -> Registered | None:
        """How it was registered: a daemon that finds it by its module's name takes the options from here."""
        return self._call.registered

    def enqueue(self, *args: P.args, **kwargs: P.kwargs) -> "Task[R]":
        """Add a task that is due now: it starts as soon as a worker is free."""
        return self._call.enqueue(*args, **kwargs)

    async def aenqueue(self, *args: P.args, **kwargs: P.kwargs) -> "Task[R]":
        """The same for coroutines."""
        return await self._call.aenqueue(*args, **kwargs)

    def __repr__(self) -> str:
        return f"<TaskFunction {self.__module__}:{self.__qualname__}>"


class AsyncTaskFunction(TaskFunction[P, R]):
    """What `@daemon.task` makes of an `async def`. Calling it gives its coroutine; its tasks' results are what that
    returns.
    """

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> Coroutine[object, None, R]:  # type: ignore[override]
        """Call the function, here and now: a coroutine to be awaited."""
        return cast("Coroutine[object, None, R]", self.function(*args, **kwargs))


def duration_of(duration: Duration | None, parts: Mapping[str, float]) -> Duration:
    """One duration from either form of `after`."""
    from datetime import timedelta

    unknown = [word for word in parts if word not in _DURATION_WORDS]
    if unknown or (duration is None) == (not parts):
        raise InvalidValue(
            f"after() expects one duration (seconds, a timedelta or a text such as '30m') or parts named "
            f"{', '.join(_DURATION_WORDS)}; got {', '.join(unknown) or 'both or neither'}"
        )
    return timedelta(**parts) if duration is None else duration
