"""The six states of a task, and which may follow which.

`LEGAL` is the one table: stores apply it, the conformance suite checks it, the docs are drawn from it.
"""

from enum import StrEnum


class State(StrEnum):
    """A task's state; the words are the ones seen in code, JSON, command line and pages."""

    WAITING = "waiting"
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"
    MISSED = "missed"


class Kind(StrEnum):
    """What a task runs."""

    FUNCTION = "function"
    PROGRAM = "program"


UNFINISHED = frozenset({State.WAITING, State.RUNNING})
FINISHED = frozenset(State) - UNFINISHED

LEGAL: dict[State, frozenset[State]] = {
    # waiting → succeeded and → failed: a short task is recorded once, when it is over
    State.WAITING: frozenset(State),
    # running → waiting: a retry, a lost worker, or a daemon that stops and gives it back
    State.RUNNING: frozenset(State) - {State.MISSED},
    State.SUCCEEDED: frozenset(),
    # a finished task that did not succeed waits again after `retry`
    State.FAILED: frozenset({State.WAITING}),
    State.CANCELLED: frozenset({State.WAITING}),
    State.MISSED: frozenset({State.WAITING}),
}

# Stores keep the state as a small integer: one byte a row, and indexes that compare fast.
CODES: dict[State, int] = {state: code for code, state in enumerate(State)}
STATES: tuple[State, ...] = tuple(State)
