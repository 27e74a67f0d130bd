"""Looking over HTTP: lists page by page, one task in full, why, what will run."""

from datetime import UTC

import msgspec

from mainspring.asked import as_kind, as_states
from mainspring.client import Client
from mainspring.errors import InvalidValue
from mainspring.shown import ShownTask, shown_task
from mainspring.shown_in_full import TaskInFull, shown_in_full
from mainspring.status import Status
from mainspring.store.rows import Filter, TaskRow
from mainspring.tasks.state import FINISHED, STATES, UNFINISHED
from mainspring.upcoming import Upcoming, upcoming
from mainspring.web.operations import Call, Nothing, Operation
from mainspring.web.roles import Role
from mainspring.when.durations import parse_duration
from mainspring.why import View, Why

MOST = 200  # of one page


class Which(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which tasks. `state`: several, or `all`; without it those that wait and run. `due_within`: a duration."""

    state: list[str] = msgspec.field(default_factory=list)
    kind: str | None = None
    name: str | None = None
    queue: str | None = None
    schedule: str | None = None
    key: str | None = None
    due_within: str | None = None


class Page(Which, frozen=True, kw_only=True):
    """A page of tasks: at most `limit`, behind `after`, which is the `next` of the page before."""

    limit: int = 100
    after: str | None = None


class Tasks(msgspec.Struct, frozen=True):
    """A page of tasks; `next` is null on the last one."""

    tasks: list[ShownTask]
    next: str | None


class Ahead(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How far ahead: a duration."""

    within: str = msgspec.field(default="24h", name="for")
    limit: int = 100


class Log(msgspec.Struct, frozen=True):
    """What a task's program wrote, as far as it is kept."""

    id: str
    state: str
    output: str | None


def view_of(client: Client) -> View:
    """The store as it is now; instants are told in UTC."""
    return View(client.store, client.clock.now(), UTC, registry=client.registry)


def filter_of(client: Client, which: Which, limit: int) -> Filter:
    """What `find` is to look for; raises `InvalidValue`."""
    words = [word for given in which.state for word in given.split(",") if word]
    unfinished = tuple(state for state in STATES if state in UNFINISHED)
    return Filter(
        states=STATES if "all" in words else as_states(words) if words else unfinished,
        kind=as_kind(which.kind),
        name=which.name,
        queue=which.queue,
        schedule=which.schedule,
        key=which.key,
        due_before=None if which.due_within is None else client.clock.now() + parse_duration(which.due_within) + 1,
        limit=limit,
    )


def page_of(client: Client, wanted: Filter, after: str | None) -> tuple[list[TaskRow], str | None]:
    """A page: unfinished ones, soonest first, then finished ones, newest first; and where the next page begins."""
    place = None if after is None else _read(after)
    rows: list[TaskRow] = []
    for finished in (False, True):
        states = tuple(state for state in wanted.states if (state in FINISHED) is finished)
        if not states or len(rows) > wanted.limit or (place is not None and place[0] and not finished):
            continue
        behind = place[1:] if place is not None and place[0] is finished else None
        more = msgspec.structs.replace(wanted, states=states, after=behind, limit=wanted.limit + 1 - len(rows))
        found = client.store.find(more)
        rows += sorted(found, key=_newest_first) if finished else found
    last = rows[wanted.limit - 1] if len(rows) > wanted.limit else None
    return rows[: wanted.limit], None if last is None else _written(last)


def _newest_first(row: TaskRow) -> tuple[int, int]:
    return -(row.finished_at or 0), -row.id


def _written(row: TaskRow) -> str:
    if row.state in FINISHED:
        return f"f{row.finished_at}.{row.id}"
    return f"u{row.run_at}.{row.id}"


def _read(text: str) -> tuple[bool, int, int]:
    """Whether it is among finished ones, its instant, its id."""
    instant, _, number = text[1:].partition(".")
    if text[:1] not in {"f", "u"} or len(text) > 60:
        raise InvalidValue(f"after= expects the `next` of another page, got {text!r:.60}")
    try:
        return text[0] == "f", int(instant), int(number)
    except ValueError:
        raise InvalidValue(f"after= expects the `next` of another page, got {text!r:.60}") from None


def page_limit(limit: int) -> int:
    """Of one page."""
    if not 1 <= limit <= MOST:
        raise InvalidValue(f"limit= expects a whole number from 1 to {MOST}, got {limit}")
    return limit


def _list(call: Call[Page, Nothing]) -> Tasks:
    rows, following = page_of(
        call.client, filter_of(call.client, call.query, page_limit(call.query.limit)), call.query.after
    )
    return Tasks([shown_task(row, call.client.registry) for row in rows], following)


def _show(call: Call[Nothing, Nothing]) -> TaskInFull:
    return shown_in_full(view_of(call.client), call.client.find_row(call.path["id"]))


def _why(call: Call[Nothing, Nothing]) -> Why:
    return call.client.why(call.path["id"])


def _logs(call: Call[Nothing, Nothing]) -> Log:
    task = call.client.get(call.path["id"])
    return Log(task.id, task.state.value, task.output)


def _next(call: Call[Ahead, Nothing]) -> list[Upcoming]:
    client, end = call.client, call.client.clock.now() + parse_duration(call.query.within)
    return upcoming(client, client.schedules(), end, page_limit(call.query.limit))


def _status(call: Call[Nothing, Nothing]) -> Status:
    return call.client.status()


OPERATIONS: tuple[Operation, ...] = (
    Operation("list", "GET", "/tasks", Role.VIEWER, "Tasks, page by page", _list, Tasks, query=Page),
    Operation("show", "GET", "/tasks/{id}", Role.VIEWER, "One task in full", _show, TaskInFull),
    Operation("why", "GET", "/tasks/{id}/why", Role.VIEWER, "Why it waits, was late, failed", _why, Why),
    Operation("logs", "GET", "/tasks/{id}/logs", Role.VIEWER, "What its program wrote", _logs, Log),
    Operation("next", "GET", "/next", Role.VIEWER, "What will run", _next, list[Upcoming], query=Ahead),
    Operation("status", "GET", "/status", Role.VIEWER, "Daemons, counts, lateness", _status, Status),
)  # fmt: skip  # a table
