"""Adding over HTTP: a function by its registered name, or a program where that was allowed."""

from collections.abc import Sequence

import msgspec
from msgspec import UNSET, UnsetType

from mainspring.adding import NOTHING_SAID, Options, Spec
from mainspring.errors import InvalidArguments, NotAllowed
from mainspring.shown import ShownTask, shown_task
from mainspring.store.rows import OnConflict
from mainspring.tasks.options import Delivery
from mainspring.web.operations import Call, Nothing, Operation
from mainspring.web.roles import Role

MOST = 1_000  # of one request


class WorkToDo(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What is run: a `function` with `args` and `kwargs`, or a `command` with `cwd` and `env`; and how. Durations are
    texts (`30s`) or seconds.
    """

    function: str | None = None
    args: list[object] = msgspec.field(default_factory=list)
    kwargs: dict[str, object] | None = None
    command: list[str] | None = None
    cwd: str | UnsetType = UNSET
    env: dict[str, str] | UnsetType = UNSET
    name: str | UnsetType = UNSET
    queue: str | UnsetType = UNSET
    priority: int | UnsetType = UNSET
    retries: int | UnsetType = UNSET
    timeout: str | float | None | UnsetType = UNSET
    expires: str | float | None | UnsetType = UNSET
    delivery: Delivery | UnsetType = UNSET


class TaskToAdd(WorkToDo, frozen=True, kw_only=True):
    """A task: due `at` an instant (ISO 8601 with its offset, or epoch seconds), `after` a duration, or now."""

    at: str | float | None = None
    after: str | float | None = None
    key: str | UnsetType = UNSET
    on_conflict: OnConflict | UnsetType = UNSET


class TasksToAdd(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Several, added in one commit: all or none."""

    tasks: list[TaskToAdd]


def work_of(body: WorkToDo, *, programs: bool) -> str | Sequence[str]:
    """The function's name or the program; raises where it is neither, or both, or may not be added here."""
    if (body.function is None) == (body.command is None):
        raise InvalidArguments("expected either `function` (a registered name) or `command` (a list of words)")
    if body.command is None:
        assert body.function is not None
        return body.function
    if body.args or body.kwargs:
        raise InvalidArguments("`args` and `kwargs` are a function's; a program has its words in `command`")
    if not programs:
        raise NotAllowed("programs cannot be added over HTTP here: start it with --programs to allow that")
    return body.command


def options_of(body: WorkToDo, *more: str) -> Options:
    """What was said about it beside its work and arguments."""
    words = ("cwd", "env", "name", "queue", "priority", "timeout", "expires", "delivery", *more)
    said = {word: value for word in words if (value := getattr(body, word)) is not UNSET}
    if body.retries is not UNSET:
        said["retry"] = body.retries
    return msgspec.structs.replace(NOTHING_SAID, **said)


def _spec(body: TaskToAdd, *, programs: bool) -> Spec:
    return Spec(
        work=work_of(body, programs=programs),
        args=body.args,
        kwargs=body.kwargs,
        at=body.at,
        after=body.after,
        options=options_of(body, "key", "on_conflict"),
    )


def _add(call: Call[Nothing, TaskToAdd]) -> ShownTask:
    [task] = call.client.add_new([_spec(call.body, programs=call.programs)])
    return shown_task(task.row, call.client.registry)


def _add_many(call: Call[Nothing, TasksToAdd]) -> list[ShownTask]:
    if not 1 <= len(call.body.tasks) <= MOST:
        raise InvalidArguments(f"`tasks` expects 1 to {MOST} of them, got {len(call.body.tasks)}")
    added = call.client.add_new([_spec(one, programs=call.programs) for one in call.body.tasks])
    return [shown_task(task.row, call.client.registry) for task in added]


OPERATIONS: tuple[Operation, ...] = (
    Operation("now", "POST", "/tasks", Role.ADMIN, "Add a task", _add, ShownTask, body=TaskToAdd, status=201),
    Operation("now", "POST", "/tasks/batch", Role.ADMIN, "Add tasks, all or none", _add_many, list[ShownTask],
              body=TasksToAdd, status=201),
)  # fmt: skip  # a table
