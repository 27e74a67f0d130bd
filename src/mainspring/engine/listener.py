"""One listener that this daemon runs: what is known of it, and what each turn's end does to that.

A listener has one turn at a time; its facts are changed by whoever runs the turn and read by the supervisor.
"""

import logging
from collections.abc import Callable
from typing import Protocol

from mainspring.engine.backoff import HEALTHY_US, delay_us
from mainspring.engine.definitions import ListenerDefinition, ListenerStatus, status_of
from mainspring.engine.rota import Place
from mainspring.store.rows import Standing
from mainspring.tasks.context import TaskContext
from mainspring.tasks.problems import Problem
from mainspring.when.clock import Clock

log = logging.getLogger("mainspring")

_LONGEST_ERROR = 500
_LONGEST_OUTPUT = 2_000


class Body(Protocol):
    """What runs: a function on the listeners' workers, a coroutine, a program."""

    place: Place | None  # of one that takes turns on the listeners' workers

    def start(self) -> None:
        """Begin to take turns, or take the next one."""

    def ask(self) -> None:
        """Ask it to stop; `Listener.end` is called once it does not run any more."""


class Listener:
    """Calls `changed` when something visible changed, `ended` once it runs no more; both from any thread."""

    def __init__(
        self,
        standing: Standing,
        definition: ListenerDefinition,
        clock: Clock,
        changed: Callable[["Listener"], None],
        ended: Callable[["Listener"], None],
    ) -> None:
        before = ListenerStatus() if definition.everywhere else status_of(standing)
        self.name = standing.name
        self.standing = standing  # as it was last seen in the store
        self.text = standing.definition  # what it was started with
        self.definition = definition
        self.turns = before.turns
        self.restarts = before.restarts
        self.last_error = before.last_error
        self.output = before.output
        self.since = clock.now()
        self.asked = False
        self.ended = False
        self.starved = False
        self.body: Body | None = None
        self.written: tuple[object, ...] | None = None  # what of `shown` is in the store
        self.write_at = 0  # not again before this instant (monotonic)
        self._clock = clock
        self._changed = changed
        self._ended = ended
        self._fence = standing.version  # grows with each daemon that takes it
        self._context: TaskContext | None = None
        self._began_at = 0  # monotonic
        self._in_a_row = 0
        self._failing = False
        self._warned = False

    @property
    def state(self) -> str:
        """One of the words of `ListenerStatus`."""
        if self.ended:
            return "paused" if self.standing.paused else "down"
        if self.asked:
            return "stopping"
        if self.starved:
            return "starved"
        return "backing-off" if self._failing else "up"

    @property
    def shown(self) -> tuple[object, ...]:
        """What is worth a write when it changes."""
        return self.state, self.restarts, self.last_error, self.output

    def status(self) -> ListenerStatus:
        """What is stored."""
        return ListenerStatus(
            state=self.state,
            restarts=self.restarts,
            turns=self.turns,
            last_error=self.last_error,
            output=self.output,
            since=self.since,
        )

    # ── turns ──────────────────────────────────────────────────────────────────────────────────────────────
    def begin(self) -> TaskContext:
        """A turn begins: what its body sees as `context()`."""
        self._began_at = self._clock.monotonic()
        self.turns += 1
        self._context = context = TaskContext(0, self.name, "", self.restarts + 1, self._fence)
        if self.asked:  # asked while it was about to begin
            context.stop = True
        elif self._failing or self.starved:
            self._failing = self.starved = False
            self._note()
        return context

    def went_well(self) -> int:
        """The turn came to a good end; the wait (µs) until the next."""
        self._in_a_row = 0
        return self.definition.pause

    def more(self, turns: int) -> None:
        """So many turns more have begun, after good ones; nobody waited here while they were taken."""
        self._began_at = self._clock.monotonic()
        self.turns += turns
        self.went_well()

    def failed(self, problem: Problem, output: str | None = None) -> int:
        """The turn failed; the wait (µs) until the next. After a body that ran for long, failures count from one."""
        if self.asked:  # how it ends does not matter any more; that it ended badly is worth a line
            log.info("listener %s failed while it was stopping: %s: %s", self.name, problem.type, problem.message)
            return 0
        if self._clock.monotonic() - self._began_at >= HEALTHY_US:
            self._in_a_row = 0
        self._in_a_row += 1
        self.restarts += 1
        self._failing = True
        self.last_error = f"{problem.type}: {problem.message}"[:_LONGEST_ERROR]
        self.output = output[-_LONGEST_OUTPUT:] if output else None
        delay = delay_us(self.name, self._in_a_row)
        log.warning(
            "listener %s failed (%d in a row) and is started again after %d ms: %s%s",
            self.name, self._in_a_row, delay // 1000, self.last_error, _below(problem.traceback or self.output),
        )  # fmt: skip
        self._note()
        return delay

    def starve(self, workers: int) -> None:
        """It gets no turn."""
        if self.starved or self.asked:
            return
        self.starved = True
        if not self._warned:
            self._warned = True
            log.warning(
                "listener %s has had no turn for 10 s: all %d listener workers are inside other listeners; "
                "raise listener_workers, or return from each call",
                self.name, workers,
            )  # fmt: skip
        self._note()

    # ── the end ────────────────────────────────────────────────────────────────────────────────────────────
    def ask(self) -> None:
        """Ask its body to stop, once."""
        if self.asked:
            return
        self.asked = True
        if self._context is not None:
            self._context.stop = True
        self._note()
        if self.body is not None:
            self.body.ask()

    def end(self) -> None:
        """It does not run any more, and will not. Twice is fine."""
        if not self.ended:
            self.ended = True
            self._ended(self)

    def _note(self) -> None:
        self.since = self._clock.now()
        self._changed(self)


def _below(text: str | None) -> str:
    return f"\n{text.rstrip()}" if text else ""
