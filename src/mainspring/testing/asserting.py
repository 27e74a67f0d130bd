"""Assertions on what is scheduled and on what ran, whose failures show what there is instead.

They read through the same methods as any user of a daemon, of a real one on a file as well as of one on a virtual
clock; so a worker's tasks can be looked at from a test that only holds a client.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

import msgspec

from mainspring.adding import Duration, Moment, Work
from mainspring.engine.program_attempts import decode_call as decode_program
from mainspring.errors import InvalidArguments
from mainspring.shown import shown_work
from mainspring.tasks.callplan import CallPlan
from mainspring.tasks.codec import decode_call, redact
from mainspring.tasks.names import bare_name, name_of
from mainspring.tasks.registry import Registered
from mainspring.tasks.state import Kind
from mainspring.when.durations import format_duration, parse_duration
from mainspring.when.instants import from_datetime, to_datetime
from mainspring.when.triggers import decode_trigger

if TYPE_CHECKING:
    from mainspring.client import Client
    from mainspring.standing import Schedule
    from mainspring.task import Task

_MOST_TASKS = 100_000
_MOST_OCCURRENCES = 10_000  # of one schedule, within the time that is asked about
_SHOWN = 20


def assert_scheduled(
    daemon: "Client",
    work: Work,
    *,
    at: Moment | None = None,
    within: Duration | None = None,
    args: Sequence[object] | None = None,
    kwargs: Mapping[str, object] | None = None,
    times: int | None = 1,
) -> None:
    """Assert that `work` is going to run: exactly `times` times (None: at least once). Counted are tasks that wait, and
    coming occurrences of schedules.

    `work`: a function, its registered name, a label or the name of a schedule, or a program as a list. `at`: at this
    very instant, or, with `within`, at most that much before or after it; `within` alone: not later than that from now;
    neither: at any time, and of a schedule only the next occurrence counts. `args`, `kwargs`: called with these, bound
    to the function's signature as the call is; neither: with any. Raises `AssertionError`, which shows what is
    scheduled instead.
    """
    wanted = _Wanted.of(daemon, work, at, within, args, kwargs)
    planned = list(_planned(daemon, wanted))
    found = [one for one in planned if wanted.fits(one)]
    if len(found) != times if times is not None else not found:
        raise AssertionError(_not_as_expected(daemon, wanted, "scheduled", times, found, planned))


def assert_not_scheduled(
    daemon: "Client",
    work: Work,
    *,
    at: Moment | None = None,
    within: Duration | None = None,
    args: Sequence[object] | None = None,
    kwargs: Mapping[str, object] | None = None,
) -> None:
    """Assert that `work` is not going to run: `assert_scheduled` with `times=0`."""
    assert_scheduled(daemon, work, at=at, within=within, args=args, kwargs=kwargs, times=0)


def assert_ran(
    daemon: "Client",
    work: Work,
    *,
    at: Moment | None = None,
    within: Duration | None = None,
    args: Sequence[object] | None = None,
    kwargs: Mapping[str, object] | None = None,
    times: int | None = 1,
) -> None:
    """Assert that `work` has run and succeeded: exactly `times` times (None: at least once).

    As `assert_scheduled`, but `at` is when it was due, and `within` alone means: due not longer ago than that. Only
    what is still in the history counts (`retention`). The failure shows what ended otherwise, with its error.
    """
    wanted = _Wanted.of(daemon, work, at, within, args, kwargs, back=True)
    ended = ("succeeded", "failed", "cancelled", "missed")
    past = [_Planned.of_task(task) for task in daemon.find(state=ended, limit=_MOST_TASKS)]
    past += [_Planned.of_task(task) for task in daemon.find(state=("waiting", "running"), limit=_SHOWN)]
    past.sort(key=lambda one: one.run_at)
    found = [one for one in past if one.state == "succeeded" and wanted.fits(one)]
    if len(found) != times if times is not None else not found:
        raise AssertionError(_not_as_expected(daemon, wanted, "run", times, found, past))


class _Planned(msgspec.Struct, frozen=True, kw_only=True):
    """A task, or an occurrence that is no task yet. `run_at` in µs; `note`: what else is shown of it."""

    kind: Kind
    work: str
    label: str | None
    payload: str | None
    schedule: str | None
    run_at: int
    state: str
    note: str = ""

    @classmethod
    def of_task(cls, task: "Task[object]") -> "_Planned":
        row = task.row
        note = f"task {task.id}, {task.state}"
        if task.attempt > 1 or (task.attempt and task.state == "waiting"):
            note += f" after attempt {task.attempt}"
        if task.error is not None:
            note += f", {task.error.type}: {task.error.message:.200}"
        elif task.reason:
            note += f", {task.reason}"
        return cls(
            kind=row.kind, work=row.work, label=row.name, payload=row.payload, schedule=row.schedule,
            run_at=row.run_at, state=row.state.value, note=note,
        )  # fmt: skip

    @classmethod
    def of_schedule(cls, schedule: "Schedule", run_at: int) -> "_Planned":
        work = schedule.definition.work
        return cls(
            kind=work.kind, work=work.work, label=work.name, payload=work.payload, schedule=schedule.name,
            run_at=run_at, state="waiting", note=f"schedule {schedule.name}",
        )  # fmt: skip

    def call(self, daemon: "Client") -> str:
        """As it would be typed: `shop:close_order(42, loud=True)`; secrets hidden."""
        shown = shown_work(self.kind, self.work, self.payload, daemon.registry)
        if shown.command is not None:
            return repr(shown.command)
        said = [repr(value) for value in shown.args or ()]
        said += [f"{name}={value!r}" for name, value in (shown.kwargs or {}).items()]
        return f"{self.work}({', '.join(said)})"


class _Wanted(msgspec.Struct, frozen=True, kw_only=True):
    """What is looked for. `first`, `last`: between these instants (µs); `call`: the arguments, bound; None: any."""

    what: str
    function: str | None
    command: list[str] | None
    now: int
    at: int | None
    first: int | None
    last: int | None
    call: object
    plan: CallPlan | None
    said: str  # the arguments and the instant, in words

    @classmethod
    def of(
        cls, daemon: "Client", work: Work, at: Moment | None, within: Duration | None, args: Sequence[object] | None,
        kwargs: Mapping[str, object] | None, *, back: bool = False,
    ) -> "_Wanted":  # fmt: skip
        now = daemon.clock.now()
        instant = None if at is None else daemon.moment(at)
        around = None if within is None else parse_duration(within)
        first = last = None
        if instant is not None:
            first, last = instant - (around or 0), instant + (around or 0)
        elif around is not None:
            first, last = (now - around, now) if back else (None, now + around)
        function, command, registered = _identify(daemon, work)
        plan = None if registered is None else registered.plan
        said, call = "", None
        if args is not None or kwargs is not None:
            if isinstance(args, str):
                raise InvalidArguments(f"args= expects a tuple such as (42,), got a text: {args!r:.100}")
            positional, named = tuple(args or ()), dict(kwargs or {})
            call = _bound(plan, positional, named)
            hidden, hidden_named = redact(plan, positional, named)
            given = [*map(repr, hidden), *(f"{name}={value!r}" for name, value in hidden_named.items())]
            said = f"({', '.join(given)})"
        return cls(
            what=function or repr(command), function=function, command=command, now=now, at=instant, first=first,
            last=last, call=call, plan=plan, said=said + _when(instant, around, back=back),
        )  # fmt: skip

    def fits(self, one: _Planned) -> bool:
        """Is this what is looked for?"""
        return self.is_work(one) and self.is_call(one) and self.is_then(one)

    def is_work(self, one: _Planned) -> bool:
        """The same function or program?"""
        if self.command is not None:
            return one.kind is Kind.PROGRAM and decode_program(one.payload or "").command == self.command
        names = {one.work, one.label or bare_name(one.kind, one.work), one.schedule}
        return self.function in names

    def is_call(self, one: _Planned) -> bool:
        """With the same arguments?"""
        if self.call is None or one.kind is Kind.PROGRAM:
            return self.call is None
        try:
            return bool(_bound(self.plan, *decode_call(one.payload, self.plan)) == self.call)
        except InvalidArguments:  # added by name, or before the function was changed
            return False

    def is_then(self, one: _Planned) -> bool:
        """At that time?"""
        return (self.first is None or self.first <= one.run_at) and (self.last is None or one.run_at <= self.last)


def _identify(daemon: "Client", work: Work) -> tuple[str | None, list[str] | None, Registered | None]:
    """The registered name (or what else a text may name) or the command, and how the function is registered."""
    if isinstance(work, str):
        return work, None, daemon.registry.get(work)
    if callable(work):
        known = daemon.registry.of(work)
        if known is None:
            there = getattr(work, "registered", None)
            known = there if isinstance(there, Registered) else None
        return name_of(work) if known is None else known.name, None, known
    return None, list(work), None


def _bound(plan: CallPlan | None, args: tuple[object, ...], kwargs: Mapping[str, object]) -> object:
    """The call as its function sees it: `f(1)` and `f(item=1)` are one, and defaults are as good as said."""
    if plan is None or plan.signature is None:
        return list(args), dict(kwargs)
    plan.bind(args, kwargs)
    bound = plan.signature.bind(*args, **kwargs)
    bound.apply_defaults()
    return dict(bound.arguments)


def _planned(daemon: "Client", wanted: _Wanted) -> Iterator[_Planned]:
    """Everything that is going to run, soonest first; of each schedule the occurrences that are asked about."""
    found = [_Planned.of_task(task) for task in daemon.find(state="waiting", limit=_MOST_TASKS)]
    for schedule in daemon.schedules():
        found += [_Planned.of_schedule(schedule, at) for at in _occurrences(schedule, wanted)]
    found.sort(key=lambda one: one.run_at)
    if wanted.last is not None:
        yield from found
        return
    seen: set[str] = set()
    for one in found:  # an occurrence may be a task already: it is the next one then
        if one.schedule is None or one.schedule not in seen:
            yield one
        if one.schedule is not None:
            seen.add(one.schedule)


def _occurrences(schedule: "Schedule", wanted: _Wanted) -> Iterator[int]:
    """The next occurrence that is no task yet, and those in the time that is asked about."""
    upcoming = schedule.next_run_at
    if upcoming is None:
        return
    trigger = decode_trigger(schedule.definition.trigger)
    soonest = from_datetime(upcoming)
    yield soonest
    if wanted.last is None:
        return
    if wanted.first is not None:
        soonest = max(soonest, wanted.first - 1)
    at = trigger.next_us(soonest)
    for _ in range(_MOST_OCCURRENCES):
        if at is None or at > wanted.last:
            return
        yield at
        at = trigger.next_us(at)


def _when(at: int | None, within: int | None, *, back: bool) -> str:
    """The instant in words."""
    if at is not None:
        around = f", give or take {format_duration(within)}" if within else ""
        return f" at {to_datetime(at).isoformat()}{around}"
    if within is None:
        return ""
    return f" within the last {format_duration(within)}" if back else f" within {format_duration(within)}"


def _not_as_expected(
    daemon: "Client", wanted: _Wanted, verb: str, times: int | None, found: Sequence[_Planned], all_: Sequence[_Planned]
) -> str:
    """What was expected, and what there is: the same work first, each with what is different about it."""
    expected = {None: "at least once", 0: "not at all", 1: "once"}.get(times, f"{times} times")
    got = "it is not" if not found else "it is once" if len(found) == 1 else f"it is {len(found)} times"
    now = to_datetime(wanted.now).isoformat()
    lines = [f"expected {wanted.what}{wanted.said} to be {verb} {expected}; {got}. It is {now}."]
    same = [one for one in all_ if wanted.is_work(one)]
    others = [one for one in all_ if not wanted.is_work(one)]
    if not all_:
        lines.append(f"Nothing is {verb} at all." if verb == "scheduled" else "No task has run.")
    else:
        lines.append(f"This is {verb} (soonest first):" if verb == "scheduled" else "These tasks there are:")
    lines += [f"  {_line(daemon, wanted, one)}" for one in [*same, *others][:_SHOWN]]
    if len(all_) > _SHOWN:
        lines.append(f"  ... and {len(all_) - _SHOWN} more")
    return "\n".join(lines)


def _line(daemon: "Client", wanted: _Wanted, one: _Planned) -> str:
    distance = one.run_at - wanted.now
    away = "now" if not distance else f"{format_duration(abs(distance))} {'from now' if distance > 0 else 'ago'}"
    text = f"{one.call(daemon)}  at {to_datetime(one.run_at).isoformat()} ({away})  [{one.note}]"
    differs: list[str] = []
    if wanted.is_work(one):
        if not wanted.is_call(one):
            differs.append("other arguments")
        if not wanted.is_then(one):
            differs.append(_off(wanted, one))
    return text if not differs else f"{text}  <- {', '.join(differs)}"


def _off(wanted: _Wanted, one: _Planned) -> str:
    if wanted.at is None:
        return "not within that time"
    off = one.run_at - wanted.at
    return f"{format_duration(abs(off))} {'later' if off > 0 else 'earlier'}"
