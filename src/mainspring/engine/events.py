"""What the engine says: frozen events, and observers that can break nothing.

An observer that raises is logged and dropped. Observers are called on the recorder's thread, after the commit: keep
them short, or hand over to a thread of your own.
"""

import logging
from collections.abc import Callable, Iterable
from typing import Literal

import msgspec

from mainspring.store.rows import Settlement
from mainspring.tasks.plain import CleanValues
from mainspring.tasks.state import CODES, STATES, State

log = logging.getLogger("mainspring")
log.addFilter(CleanValues())  # names, errors and reasons come from a store that others write to

_RUNNING, _SUCCEEDED = CODES[State.RUNNING], CODES[State.SUCCEEDED]

Observer = Callable[["Event"], None]


class Event(msgspec.Struct, frozen=True):
    """Something that happened to a task, a listener or a node. Instants in µs.

    `kind`: `started` (recorded after 50 ms), `retry` (the attempt failed, another follows), `returned` (given back),
    a final state's word, or `listener` and `node` with `message`.
    """

    kind: Literal["started", "retry", "returned", "succeeded", "failed", "cancelled", "missed", "listener", "node"]
    task_id: str | None = None
    attempt: int = 0
    run_at: int | None = None
    started_at: int | None = None
    finished_at: int | None = None
    reason: str | None = None
    error: str | None = None  # JSON, tasks.problems.Problem
    message: str | None = None


class Events:
    """Fans out to observers. `wanted` is false while there are none: the hot path then makes no event."""

    def __init__(self) -> None:
        self._observers: list[Observer] = []
        self.wanted = False
        self.journalist: Observer | None = None  # who writes the log

    def subscribe(self, observer: Observer) -> None:
        """Call `observer` with each event from now on."""
        self._observers.append(observer)
        self.wanted = True

    def emit(self, event: Event) -> None:
        """Write the log, and tell every observer."""
        if self.journalist is not None:
            try:
                self.journalist(event)
            except Exception:
                log.exception("the log could not be written: %r", event)
        for observer in tuple(self._observers):
            try:
                observer(event)
            except Exception:
                log.exception("an observer raised and is dropped: %r", observer)
                self._observers.remove(observer)
                self.wanted = bool(self._observers)

    def settled(self, batch: Iterable[Settlement]) -> None:
        """The events of settlements that were written; none where nobody would look at it."""
        silent: tuple[int, ...] = ()
        if not self.wanted:
            silent = (_RUNNING,) if log.isEnabledFor(logging.DEBUG) else (_RUNNING, _SUCCEEDED)
        for one in batch:
            if one.code not in silent:
                self._settled(one)

    def _settled(self, one: Settlement) -> None:
        state = STATES[one.code]
        if state is State.RUNNING:
            kind = "started"
        elif state is State.WAITING:
            kind = "retry" if one.failed_try else "returned"
        else:
            kind = state.value
        self.emit(
            Event(kind, str(one.id), one.attempt, one.run_at, one.started_at, one.finished_at, one.reason, one.error)  # type: ignore[arg-type]  # the six words are among the literals
        )
