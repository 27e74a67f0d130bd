"""Listeners in children: the daemon's own process runs none of their code.

Functions take turns in `workers` children, `async def` listeners are on the loop of one more. A child is started when
there is a listener for it, on the loop that drives `step`: its thread has to live as long as the daemon.

Their starts are noted in a journal of their own, which nobody reads: no task is to be found again by them.
"""

import logging
import mmap
import os
from collections.abc import Callable, Sequence

import msgspec

from mainspring.engine.bodies import LONGEST_LINE, Later, lines
from mainspring.engine.child import Child
from mainspring.engine.child_loops import ChildCoroutineBody, ChildLoop
from mainspring.engine.child_messages import Answer, Setup, Wrote
from mainspring.engine.child_post import Post
from mainspring.engine.child_turns import ChildFunctionBody, ChildTurns, Fed
from mainspring.engine.listener import Body, Listener
from mainspring.engine.service import Loop
from mainspring.engine.turns import Turns
from mainspring.store import journal as ring
from mainspring.tasks.registry import Registered
from mainspring.when.clock import Clock


class ChildPlaces:
    """`Places`, and a step of `loop`. Each child is told `setup` and holds `locks`, the node's, until it is gone.

    What was asked to stop has `grace` (µs).
    """

    def __init__(
        self, *, setup: Setup, locks: Sequence[int], workers: int, clock: Clock, loop: Loop, grace: int
    ) -> None:
        self.hungry: Callable[[], None] = loop.wake
        self._setup = setup
        self._locks = locks
        self._journal: tuple[int, mmap.mmap] | None = None  # made with the first child
        self._workers = workers
        self._clock = clock
        self._functions = ChildTurns(
            workers,
            lambda index: Post(f"listeners {index}", lambda: self.child(index, "listeners"), clock, loop),
            clock,
            loop,
            grace=grace,
            heard=_heard,
            hungry=self._hungry,
        )
        self.turns: Turns = self._functions
        coroutines = Post("listeners async", lambda: self.child(workers, "coroutines"), clock, loop)
        self._coroutines = ChildLoop(coroutines, clock, loop, grace=grace, heard=_heard)

    def step(self, now: int) -> int | None:
        """See `service.Step`."""
        monotonic = self._clock.monotonic()
        wants = [want for want in (self._functions.step(), self._coroutines.step()) if want is not None]
        return now + min(wants) - monotonic if wants else None

    def function(self, listener: Listener, registered: Registered, payload: str | None) -> Body:
        """See `Places`."""
        return ChildFunctionBody(listener, Fed(listener, registered, payload, None), self.turns, self._workers)

    def coroutine(self, listener: Listener, registered: Registered, payload: str | None, later: Later) -> Body:
        """See `Places`."""
        fed = Fed(listener, registered, payload, listener.definition.pause)
        return ChildCoroutineBody(listener, fed, self._coroutines, later)

    def kill(self) -> bool:
        """See `Places`."""
        killed = self._functions.kill()
        return self._coroutines.kill() or killed

    def close(self) -> None:
        """See `Places`."""
        self._functions.close()
        self._coroutines.close()
        if self._journal is not None:
            os.close(self._journal[0])
            self._journal = None

    def child(self, index: int, role: str) -> Child:
        """Start one: below `workers` for functions, that number for coroutines; `role` is `Setup.role`."""
        if self._journal is None:
            fd = ring.anonymous()
            self._journal = fd, mmap.mmap(fd, ring.SIZE)
        fd, mapped = self._journal
        setup = msgspec.structs.replace(self._setup, role=role, max_tasks=None)  # turns are no tasks
        return Child(index, self._workers + 1, setup, fd, mapped, self._locks)

    def _hungry(self) -> None:
        self.hungry()  # whoever it is now


def _heard(answer: Answer) -> None:
    if isinstance(answer, Wrote) and lines.isEnabledFor(logging.INFO):
        for line in answer.text.split("\n"):
            lines.info("%s: %s", answer.name, line[:LONGEST_LINE])
