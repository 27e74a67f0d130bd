"""Steering over HTTP: one task, all that a filter finds, queues."""

from collections.abc import Callable
from typing import Literal

import msgspec

from mainspring.client import Client
from mainspring.errors import InvalidArguments, MainspringError, TooLate
from mainspring.shown import ShownTask, shown_task
from mainspring.steering import Cancellation
from mainspring.web.looking import Which, filter_of, page_of
from mainspring.web.operations import Call, Nothing, Operation
from mainspring.web.roles import Role

MOST = 1_000  # changed by one request
_NAMED = 5


class NewInstant(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`at` an instant, or `after` a duration from now."""

    at: str | float | None = None
    after: str | float | None = None


class Changed(msgspec.Struct, frozen=True):
    """What came of it (`cancelled`, `stopping`, `due`, `waiting`), and the task as it is now."""

    outcome: str
    task: ShownTask


class ChangeOfMany(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What is to be done with all that `which` finds. `dry_run`: only say how many that would be. `expected`: how many
    there were when somebody decided; when there are more now, nothing is done.
    """

    verb: Literal["cancel", "run-now", "retry", "reschedule"]
    which: Which
    at: str | float | None = None
    after: str | float | None = None
    dry_run: bool = True
    expected: int | None = None


class Failed(msgspec.Struct, frozen=True):
    """A task that was not changed, and why."""

    id: str
    message: str


class ManyChanged(msgspec.Struct, frozen=True):
    """How many were found (at most 1,000; `more`: there are others), how many changed, which were not, and the names of
    the first.
    """

    found: int
    changed: int
    more: bool
    dry_run: bool
    names: list[str]
    failed: list[Failed]


class Queue(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A queue; null: all of them."""

    queue: str | None = None


class Paused(msgspec.Struct, frozen=True):
    """Whether it is paused now."""

    queue: str | None
    paused: bool


def _cancel(client: Client, task: str) -> str:
    outcome = client.cancel(task)
    if outcome is Cancellation.TOO_LATE:
        raise TooLate(f"task {task} is over: too late to cancel")
    return outcome.value


def _run_now(client: Client, task: str) -> str:
    client.run_now(task)
    return "due"


def _retry(client: Client, task: str) -> str:
    client.retry(task)
    return "waiting"


_PLAIN: dict[str, Callable[[Client, str], str]] = {"cancel": _cancel, "run-now": _run_now, "retry": _retry}


def _changing(verb: str) -> Callable[[Call[Nothing, Nothing]], Changed]:
    def change(call: Call[Nothing, Nothing]) -> Changed:
        return _changed(call.client, call.path["id"], _PLAIN[verb](call.client, call.path["id"]))

    return change


def _changed(client: Client, task: str, outcome: str) -> Changed:
    return Changed(outcome, shown_task(client.find_row(task), client.registry))


def _reschedule(call: Call[Nothing, NewInstant]) -> Changed:
    call.client.reschedule(call.path["id"], at=call.body.at, after=call.body.after)
    return _changed(call.client, call.path["id"], "waiting")


def _change_many(call: Call[Nothing, ChangeOfMany]) -> ManyChanged:
    client, body = call.client, call.body
    if body.verb == "reschedule" and (body.at is None) == (body.after is None):
        raise InvalidArguments("reschedule expects either `at` or `after`")
    rows, following = page_of(client, filter_of(client, body.which, MOST), None)
    names = [shown_task(row, client.registry).name for row in rows[:_NAMED]]
    more = following is not None
    if body.expected is not None and not body.dry_run and (len(rows) > body.expected or (more and not body.expected)):
        raise TooLate(f"there are {len(rows)} by now, not {body.expected}: nothing was changed; look again")
    failed: list[Failed] = []
    for row in () if body.dry_run else rows:
        try:
            if body.verb == "reschedule":
                client.reschedule(str(row.id), at=body.at, after=body.after)
            else:
                _PLAIN[body.verb](client, str(row.id))
        except MainspringError as error:
            failed.append(Failed(str(row.id), str(error)))
    changed = 0 if body.dry_run else len(rows) - len(failed)
    return ManyChanged(len(rows), changed, more, body.dry_run, names, failed)


def _pause(call: Call[Nothing, Queue]) -> Paused:
    call.client.pause(call.body.queue)
    return Paused(call.body.queue, paused=True)


def _resume(call: Call[Nothing, Queue]) -> Paused:
    call.client.resume(call.body.queue)
    return Paused(call.body.queue, paused=bool({None, call.body.queue} & call.client.store.paused()))


OPERATIONS: tuple[Operation, ...] = (
    Operation("cancel", "POST", "/tasks/{id}/cancel", Role.OPERATOR, "Cancel it", _changing("cancel"), Changed),
    Operation("run-now", "POST", "/tasks/{id}/run-now", Role.OPERATOR, "Make it due now", _changing("run-now"),
              Changed),
    Operation("retry", "POST", "/tasks/{id}/retry", Role.OPERATOR, "Let it run again", _changing("retry"), Changed),
    Operation("reschedule", "POST", "/tasks/{id}/reschedule", Role.OPERATOR, "Give it another instant", _reschedule,
              Changed, body=NewInstant),
    Operation("cancel", "POST", "/tasks/change", Role.OPERATOR, "Change all that a filter finds", _change_many,
              ManyChanged, body=ChangeOfMany),
    Operation("pause", "POST", "/pause", Role.OPERATOR, "Start nothing more of a queue, or at all", _pause, Paused,
              body=Queue),
    Operation("resume", "POST", "/resume", Role.OPERATOR, "End a pause", _resume, Paused, body=Queue),
)  # fmt: skip  # a table
