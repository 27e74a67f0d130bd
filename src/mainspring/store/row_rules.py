"""What must hold within one row, whatever store it is in: for the check of a store, and for rows from outside."""

from collections.abc import Iterator

import msgspec

from mainspring.store.rows import TaskRow
from mainspring.tasks.options import decode_options
from mainspring.tasks.problems import decode_problem
from mainspring.tasks.state import FINISHED, Kind, State

_call = msgspec.json.Decoder(tuple[list[object], dict[str, object]])
_MOST = 2**63 - 1


class _Program(msgspec.Struct):
    command: list[str]
    cwd: str
    env: dict[str, str] | None = None


_program = msgspec.json.Decoder(_Program)
_any = msgspec.json.Decoder(msgspec.Raw)


def wrong_with(row: TaskRow) -> Iterator[str]:
    """What does not fit together in a task, in a few words each."""
    finished = row.state in FINISHED
    if finished and row.finished_at is None:
        yield f"is {row.state}, but never ended"
    if not finished and row.finished_at is not None:
        yield f"is {row.state}, but has ended"
    if finished and row.holder is not None:
        yield f"is {row.state}, but held by the daemon {row.holder}"
    if row.state is State.RUNNING and row.holder is None:
        yield "is running, but no daemon has it"
    if row.state in (State.FAILED, State.CANCELLED, State.MISSED) and not row.reason:
        yield f"is {row.state} without a reason"
    if row.state is State.SUCCEEDED and (row.started_at is None or row.attempt < 1):
        yield "succeeded, but never started"
    if min(row.attempt, row.failures, row.losses) < 0:
        yield f"has counts below nought: {row.attempt} attempts, {row.failures} failures, {row.losses} losses"
    if (row.missed_count is None) != (row.missed_until is None):
        yield "is half a stretch of missed occurrences"
    if row.missed_count is not None and (row.state is not State.MISSED or row.occurrence is None):
        yield f"is {row.state}, but stands for a stretch of missed occurrences"
    if row.id < 1 or max(row.id, abs(row.run_at)) > _MOST:
        yield "has a number that no store gives"
    yield from _texts(row)


def _texts(row: TaskRow) -> Iterator[str]:
    """The columns that are JSON."""
    try:
        decode_options(row.options)
    except (msgspec.DecodeError, ValueError) as error:
        yield f"has options that cannot be read: {error}"
    try:
        if row.kind is Kind.PROGRAM:
            if not _program.decode(row.payload or "").command:
                yield "is a program without a command"
        elif row.payload is not None:
            _call.decode(row.payload)
    except (msgspec.DecodeError, ValueError) as error:
        yield f"has arguments that cannot be read: {error}"
    try:
        if row.result is not None:
            _any.decode(row.result)
    except (msgspec.DecodeError, ValueError) as error:
        yield f"has a result that cannot be read: {error}"
    try:
        if row.error is not None:
            decode_problem(row.error)
    except (msgspec.DecodeError, ValueError) as error:
        yield f"has an error that cannot be read: {error}"
