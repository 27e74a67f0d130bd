"""Where the bodies of listeners run: on threads of the daemon's own process, or in children (`child_places`).

Programs have a process of their own either way.
"""

from collections.abc import Callable
from typing import Protocol

from mainspring.engine.bodies import Call, CoroutineBody, FunctionBody, Later
from mainspring.engine.coroutines import CoroutineLoop
from mainspring.engine.listener import Body, Listener
from mainspring.engine.turns import InlineTurns, ThreadTurns, Turns
from mainspring.tasks.registry import Registered
from mainspring.when.clock import Clock


class Places(Protocol):
    """What the supervisor knows of it."""

    turns: Turns
    hungry: Callable[[], None]  # set by the supervisor: somebody may starve sooner than `turns.starving` last said

    def function(self, listener: Listener, registered: Registered, payload: str | None) -> Body:
        """The body of a plain function: it has a `place`."""

    def coroutine(self, listener: Listener, registered: Registered, payload: str | None, later: Later) -> Body:
        """The body of an `async def` function."""

    def kill(self) -> bool:
        """End now what was asked to stop and has not, where that can be done; whether there was anything."""

    def close(self) -> None:
        """Nothing runs any more."""


class ThreadPlaces:
    """This process: threads and one event loop; with `manual`, the driver's own thread."""

    def __init__(self, workers: int, clock: Clock, coroutines: CoroutineLoop, *, manual: bool) -> None:
        self.hungry: Callable[[], None] = _nothing
        self.turns: Turns = InlineTurns() if manual else ThreadTurns(workers, clock, self._hungry)
        self._workers = workers
        self._coroutines = coroutines
        self._manual = manual

    def function(self, listener: Listener, registered: Registered, payload: str | None) -> Body:
        """See `Places`."""
        return FunctionBody(listener, Call(registered, payload), self.turns, self._workers)

    def coroutine(self, listener: Listener, registered: Registered, payload: str | None, later: Later) -> Body:
        """See `Places`."""
        return CoroutineBody(listener, Call(registered, payload), self._coroutines, later, inline=self._manual)

    def kill(self) -> bool:
        """See `Places`: a thread cannot be ended."""
        return False

    def close(self) -> None:
        """See `Places`."""
        self.turns.close()

    def _hungry(self) -> None:
        self.hungry()  # whoever it is now


def _nothing() -> None:
    """Until the supervisor listens."""
