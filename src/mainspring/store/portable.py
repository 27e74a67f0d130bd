"""A store as text: one JSON object a line, in an order that can be taken in from the front.

First what the text is; then paused queues, tasks by id with their attempts and output, what else is known of outboxes,
schedules and listeners; last a
line that says it is complete. Instants are µs since 1970-01-01T00:00Z. Arguments, options, results and errors are the
JSON texts that are stored. Who holds what is left out: it means nothing elsewhere.
"""

import re
from collections.abc import Iterable, Iterator
from typing import Literal

import msgspec

from mainspring.errors import InvalidValue
from mainspring.store.protocol import Store
from mainspring.store.row_rules import wrong_with
from mainspring.store.rows import WORKER_LOST, AttemptRow, Filter, Standing, TaskRow
from mainspring.tasks.options import decode_options
from mainspring.tasks.state import STATES, Kind, State

FORMAT = 1
POISON = 3  # losses after which a task is set aside
LONGEST = 64 * 1024 * 1024  # bytes of a line
_MOST_ID = 2**53


class Head(msgspec.Struct, frozen=True, tag_field="line", tag="store", forbid_unknown_fields=True):
    """The first line. `origin` names the store, the same in each of its exports; `token`: its largest fence."""

    format: int
    origin: str
    exported_at: int
    token: int
    tasks: int


class Pause(msgspec.Struct, frozen=True, tag_field="line", tag="pause", forbid_unknown_fields=True):
    """A paused queue; None: everything is paused."""

    queue: str | None


class OutboxRow(msgspec.Struct, frozen=True, array_like=True):
    """The id of a row that came from an outbox; `gone`: it is in none any more."""

    id: str
    gone: bool


class TaskLine(
    msgspec.Struct, frozen=True, kw_only=True, tag_field="line", tag="task", forbid_unknown_fields=True,
    omit_defaults=True,
):  # fmt: skip
    """A task; the fields are those of `TaskRow`. `outbox`: the rows of outboxes that came as this task."""

    id: int
    kind: Kind
    work: str
    queue: str
    priority: int
    state: State
    run_at: int
    created_at: int
    reason: str | None = None
    started_at: int | None = None
    finished_at: int | None = None
    attempt: int = 0
    failures: int = 0
    losses: int = 0
    name: str | None = None
    options: str | None = None
    payload: str | None = None
    key: str | None = None
    expires_at: int | None = None
    schedule: str | None = None
    result: str | None = None
    error: str | None = None
    occurrence: int | None = None
    missed_until: int | None = None
    missed_count: int | None = None
    attempts: tuple[AttemptRow, ...] = ()
    output: str | None = None
    outbox: tuple[OutboxRow, ...] = ()


class StandingLine(
    msgspec.Struct, frozen=True, kw_only=True, tag_field="line", tag="standing", forbid_unknown_fields=True,
    omit_defaults=True,
):  # fmt: skip
    """A schedule or a listener; the fields are those of `Standing`."""

    kind: Literal["schedule", "listener"]
    name: str
    definition: str
    app: str | None = None
    paused: bool = False
    next_run_at: int | None = None
    status: str | None = None


class ArrivalLine(msgspec.Struct, frozen=True, tag_field="line", tag="arrival", forbid_unknown_fields=True):
    """A row of an outbox that must not become a task any more: it was withdrawn, or its task has been forgotten."""

    id: str
    withdrawn: bool


class End(msgspec.Struct, frozen=True, tag_field="line", tag="end", forbid_unknown_fields=True):
    """The last line: how many lines there are before it."""

    lines: int


Line = Head | Pause | TaskLine | ArrivalLine | StandingLine | End

_encoder = msgspec.json.Encoder()
_decoder = msgspec.json.Decoder(Line)
_CARRIED = tuple(name for name in TaskRow.__struct_fields__ if name in TaskLine.__struct_fields__)


# ── writing ────────────────────────────────────────────────────────────────────────────────────────────────────


def written(lines: Iterable[Line]) -> Iterator[bytes]:
    """The lines as text, and the one that says they are all."""
    count = 0
    for line in lines:
        count += 1
        yield _encoder.encode(line) + b"\n"
    yield _encoder.encode(End(count)) + b"\n"


def task_line(
    row: TaskRow, attempts: Iterable[AttemptRow], output: str | None, outbox: Iterable[OutboxRow] = ()
) -> TaskLine:
    """A task as a line."""
    carried = {name: getattr(row, name) for name in _CARRIED}
    return TaskLine(**carried, attempts=tuple(attempts), output=output, outbox=tuple(outbox))


def standing_line(one: Standing) -> StandingLine:
    """A schedule or listener as a line."""
    return StandingLine(
        kind=one.kind, name=one.name, definition=one.definition, app=one.app, paused=one.paused,
        next_run_at=one.next_run_at, status=one.status,
    )  # fmt: skip


def lines_of(store: Store, origin: str, now: int) -> Iterator[Line]:
    """All lines of any store, by its verbs alone: one in memory, or one at rest."""
    rows = store.find(Filter(states=STATES, limit=2**31))
    yield Head(FORMAT, origin, now, 0, len(rows))
    yield from (Pause(queue) for queue in sorted(store.paused(), key=str))
    for row in sorted(rows, key=lambda row: row.id):
        yield task_line(row, store.attempts(row.id), store.output(row.id))
    yield from map(standing_line, store.standings())


# ── reading ────────────────────────────────────────────────────────────────────────────────────────────────────


def read_line(number: int, text: bytes) -> Line:
    """A line, checked. Raises `InvalidValue` that says where in it something is not understood."""
    try:
        line: Line = _decoder.decode(text)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise not_understood(number, _column(text, str(error)), str(error)) from None
    if isinstance(line, Head) and line.format != FORMAT:
        raise not_understood(
            number, _column(text, "`$.format`"), f"its format is {line.format}, and this Mainspring knows {FORMAT}"
        )
    if isinstance(line, TaskLine):
        for wrong in _wrong_with(line):
            raise not_understood(number, 1, f"the task {line.id} {wrong}")
    return line


def not_understood(number: int, column: int, why: str) -> InvalidValue:
    """What is said of a line that means nothing here."""
    return InvalidValue(f"line {number}, column {column}: {why}")


def _wrong_with(line: TaskLine) -> Iterator[str]:
    if not 1 <= line.id <= _MOST_ID:
        yield "has a number that no store gives"
    holder = 1 if line.state is State.RUNNING else None
    yield from wrong_with(TaskRow(**{name: getattr(line, name) for name in _CARRIED}, holder=holder))


def _column(text: bytes, said: str) -> int:
    """Where in the line it is, as far as the message tells: a byte, or the name of a field, or a path to it."""
    if (byte := re.search(r"\(byte (\d+)\)", said)) is not None:
        return len(text[: int(byte[1])].decode(errors="replace")) + 1
    if "truncated" in said:
        return len(text.decode(errors="replace").rstrip("\n")) + 1
    path = re.search(r"`\$([^`]*)`", said)
    names = re.findall(r"\.(\w+)", path[1]) if path else []
    unknown = re.search(r"unknown field `([^`]*)`", said)
    place = 0
    for name in (*names, unknown[1]) if unknown else names:
        found = text.find(_encoder.encode(name) + b":", place)
        place = found if found >= 0 else max(place, text.find(_encoder.encode(name), place))
    return len(text[:place].decode(errors="replace")) + 1


def settled(line: TaskLine) -> TaskLine:
    """The task as it is where nobody runs it: what was running is lost, by the rules of a daemon that died."""
    if line.state is not State.RUNNING:
        return line
    once = decode_options(line.options).delivery == "at-most-once"
    over = once or line.losses + 1 >= POISON
    return msgspec.structs.replace(
        line,
        state=State.FAILED if over else State.WAITING,
        reason=("lost" if once else "poison") if over else None,
        finished_at=(line.started_at or line.run_at) if over else None,
        losses=line.losses + 1,
        attempts=(*line.attempts, AttemptRow(line.attempt, line.started_at, None, WORKER_LOST, None)),
    )
