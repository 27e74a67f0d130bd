"""How tasks, schedules and listeners appear as JSON: the same keys wherever they are shown.

Instants are ISO 8601 in UTC with microseconds, absent values null, secrets and values of environments `•••`. Keys may
be added here, never renamed.
"""

from typing import Any

import msgspec

from mainspring.engine.definitions import Work, listener_of, schedule_of, status_of
from mainspring.engine.planner import planned
from mainspring.engine.program_attempts import decode_call as decode_program
from mainspring.errors import InvalidArguments
from mainspring.store.rows import AttemptRow, Standing, TaskRow
from mainspring.task import bare_name
from mainspring.tasks.codec import display_call
from mainspring.tasks.options import TaskOptions, complete_options, decode_options
from mainspring.tasks.problems import Problem, read_problem
from mainspring.tasks.registry import Registry
from mainspring.tasks.secrets import redact_env
from mainspring.tasks.state import Kind, State
from mainspring.when.cron import Cron
from mainspring.when.instants import isoformat
from mainspring.when.triggers import Trigger, decode_trigger


class ShownWork(msgspec.Struct, frozen=True, kw_only=True):
    """What is run: `args`, `kwargs` of a function, or `command`, `cwd`, `env` of a program; the others are null."""

    function: str | None
    kind: str
    args: list[object] | None
    kwargs: dict[str, object] | None
    command: list[str] | None
    cwd: str | None
    env: dict[str, str] | None


class ShownTask(msgspec.Struct, frozen=True, kw_only=True):
    """A task. `name` is the label or else the bare name, `label` what was said; `timeout` in seconds."""

    id: str
    name: str
    label: str | None
    function: str | None
    kind: str
    state: str
    reason: str | None
    run_at: str
    started_at: str | None
    finished_at: str | None
    lateness_ms: float | None
    attempt: int
    max_attempts: int
    queue: str
    priority: int
    key: str | None
    schedule: str | None
    occurrence: str | None
    missed_until: str | None
    missed_count: int | None
    delivery: str
    timeout: float | None
    expires_at: str | None
    args: list[object] | None
    kwargs: dict[str, object] | None
    command: list[str] | None
    exit_code: int | None
    error: Problem | None
    result: msgspec.Raw | None
    created_at: str
    cwd: str | None
    env: dict[str, str] | None


class ShownAttempt(msgspec.Struct, frozen=True):
    """An attempt that did not end its task."""

    attempt: int
    started_at: str | None
    finished_at: str | None
    reason: str
    error: Problem | None


class ShownSchedule(ShownWork, frozen=True, kw_only=True):
    """A schedule; `rule` in words; `app` is who declared it in code, null when it was added by hand.

    `grace` and `expires` in seconds.
    """

    name: str
    next_run_at: str | None
    paused: bool
    paused_until: str | None
    rule: str
    misfire: str
    grace: float
    catch_up: int
    overlap: str
    keep: int | None
    expires: float | None
    queue: str
    priority: int
    app: str | None


class ShownListener(ShownWork, frozen=True, kw_only=True):
    """A listener; `pause` in seconds, between two turns."""

    name: str
    state: str
    restarts: int
    turns: int
    last_error: str | None
    output: str | None
    paused: bool
    pause: float
    everywhere: bool
    app: str | None


def shown_task(row: TaskRow, registry: Registry | None = None) -> ShownTask:
    """The task of a stored row. With the `registry`, functions known there say which of their parameters are secret."""
    options = shown_options(row, registry)
    work = shown_work(row.kind, row.work, row.payload, registry)
    result = None if row.result is None else _result(row.result)
    return ShownTask(
        id=str(row.id),
        name=row.name or bare_name(row),
        label=row.name,
        function=work.function,
        kind=row.kind.value,
        state=row.state.value,
        reason=row.reason,
        run_at=isoformat(row.run_at),
        started_at=shown_instant(row.started_at),
        finished_at=shown_instant(row.finished_at),
        lateness_ms=None if row.started_at is None else max(0, row.started_at - row.run_at) / 1000,
        attempt=row.attempt,
        max_attempts=1 + (0 if options.retry is None else options.retry.times),
        queue=row.queue,
        priority=row.priority,
        key=row.key,
        schedule=row.schedule,
        occurrence=shown_instant(row.occurrence),
        missed_until=shown_instant(row.missed_until),
        missed_count=row.missed_count,
        delivery=options.delivery,
        timeout=None if options.timeout is None else options.timeout / 1e6,
        expires_at=shown_instant(row.expires_at),
        args=work.args,
        kwargs=work.kwargs,
        command=work.command,
        exit_code=result if row.kind is Kind.PROGRAM and isinstance(result, int) else None,
        error=_problem(row.error),
        result=msgspec.Raw(row.result) if row.state is State.SUCCEEDED and row.result and result is not None else None,
        created_at=isoformat(row.created_at),
        cwd=work.cwd,
        env=work.env,
    )


def shown_attempt(row: AttemptRow) -> ShownAttempt:
    """An attempt of a stored row."""
    return ShownAttempt(
        row.attempt, shown_instant(row.started_at), shown_instant(row.finished_at), row.reason, _problem(row.error)
    )


def shown_schedule(standing: Standing, registry: Registry | None = None) -> ShownSchedule:
    """The schedule of a stored row."""
    definition = schedule_of(standing)
    rule = definition.rule
    return ShownSchedule(
        name=standing.name,
        next_run_at=shown_instant(planned(standing)),
        paused=standing.paused,
        paused_until=shown_instant(definition.resume_at) if standing.paused else None,
        rule=rule_words(decode_trigger(definition.trigger)),
        misfire=rule.misfire,
        grace=rule.grace / 1e6,
        catch_up=rule.catch_up,
        overlap=rule.overlap,
        keep=rule.keep,
        expires=None if definition.work.expires is None else definition.work.expires / 1e6,
        queue=definition.work.queue,
        priority=definition.work.priority,
        app=standing.app,
        **_parts(definition.work, registry),
    )


def shown_listener(standing: Standing, state: str, registry: Registry | None = None) -> ShownListener:
    """The listener of a stored row; `state` as it is now, which takes a look at who lives (`status.read_status`)."""
    definition, status = listener_of(standing), status_of(standing)
    return ShownListener(
        name=standing.name,
        state=state,
        restarts=status.restarts,
        turns=status.turns,
        last_error=status.last_error,
        output=status.output,
        paused=standing.paused,
        pause=definition.pause / 1e6,
        everywhere=definition.everywhere,
        app=standing.app,
        **_parts(definition.work, registry),
    )


def shown_work(kind: Kind, work: str, payload: str | None, registry: Registry | None = None) -> ShownWork:
    """A function with its arguments, or a program with its own, secrets hidden."""
    if kind is Kind.PROGRAM:
        try:
            call = decode_program(payload or "")
        except (msgspec.MsgspecError, ValueError):
            return ShownWork(function=None, kind=kind.value, args=None, kwargs=None, command=None, cwd=None, env=None)
        env = None if call.env is None else redact_env(call.env)
        return ShownWork(
            function=None, kind=kind.value, args=None, kwargs=None, command=call.command, cwd=call.cwd, env=env
        )
    registered = None if registry is None else registry.get(work)
    args: list[object] | None
    kwargs: dict[str, object] | None
    try:
        args, kwargs = display_call(payload, None if registered is None else registered.plan)
    except InvalidArguments:  # what stands there is no call
        args = kwargs = None
    return ShownWork(function=work, kind=kind.value, args=args, kwargs=kwargs, command=None, cwd=None, env=None)


def shown_instant(instant: int | None) -> str | None:
    """An instant in µs as ISO 8601, or null."""
    return None if instant is None else isoformat(instant)


def rule_words(trigger: Trigger) -> str:
    """What a rule says: `cron '0 3 * * *' in Asia/Shanghai`, `every 5s`."""
    if isinstance(trigger, Cron):
        rule = "" if trigger.gap is None else f", gap={trigger.gap}, fold={trigger.fold}"
        return f"cron {trigger.expression!r} in {trigger.tz}{rule}"
    return str(trigger)


def _parts(work: Work, registry: Registry | None) -> dict[str, Any]:  # keyword arguments of structs that have these
    return msgspec.structs.asdict(shown_work(work.kind, work.work, work.payload, registry))


def shown_options(row: TaskRow, registry: Registry | None = None) -> TaskOptions:
    """A task's options, completed by what is registered in `registry`.

    The defaults where they cannot be read, which its daemon says when it comes to it.
    """
    try:
        options = decode_options(row.options)
    except (msgspec.MsgspecError, ValueError):
        options = decode_options(None)
    registered = None if registry is None or row.kind is Kind.PROGRAM else registry.get(row.work)
    return options if registered is None else complete_options(options, registered.options)


def _result(text: str) -> object:
    """What stands there, as far as it is JSON; null else."""
    try:
        return msgspec.json.decode(text)
    except (msgspec.MsgspecError, ValueError, RecursionError):
        return None


def _problem(text: str | None) -> Problem | None:
    return None if text is None else read_problem(text)
