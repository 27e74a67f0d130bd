"""Schedules and listeners over HTTP."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal, TypeVar

import msgspec
from msgspec import UNSET, UnsetType

from mainspring.adding import Options
from mainspring.client import Client
from mainspring.errors import InvalidArguments, InvalidValue
from mainspring.previewed import Previewed, shown_preview
from mainspring.shown import ShownListener, ShownSchedule, ShownTask, shown_listener, shown_schedule, shown_task
from mainspring.standing import Listener, Schedule, find_standing
from mainspring.triggers import Cron, Every
from mainspring.web.adding import WorkToDo, options_of, work_of
from mainspring.web.looking import MOST
from mainspring.web.operations import Call, Nothing, Operation
from mainspring.web.roles import Role
from mainspring.when.instants import load_zone
from mainspring.when.preview import preview, rule_zone
from mainspring.when.triggers import Trigger, decode_trigger

H = TypeVar("H", Schedule, Listener)


class RuleToSet(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """When (`every` a duration, or `cron` in `tz` with `gap` and `fold`), and what becomes of missed occurrences."""

    every: str | float | None = None
    cron: str | None = None
    tz: str = "UTC"
    gap: Literal["skip", "shift"] | None = None
    fold: Literal["first", "second", "both"] | None = None
    misfire: Literal["latest", "all", "skip"] | UnsetType = UNSET
    grace: str | float | UnsetType = UNSET
    catch_up: int | UnsetType = UNSET
    overlap: Literal["skip", "queue", "allow", "replace"] | UnsetType = UNSET
    keep: int | None | UnsetType = UNSET


class ScheduleToAdd(WorkToDo, frozen=True, kw_only=True):
    """What is run, and by which rule."""

    rule: RuleToSet


class ListenerToAdd(WorkToDo, frozen=True, kw_only=True):
    """What is run again and again; `pause`: a duration between two turns."""

    pause: str | float = "10ms"
    everywhere: bool = False


class Until(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """When a pause ends by itself; null: it does not."""

    until: str | float | None = None


class Stretch(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """From `start` up to and without `end`, which is past."""

    start: str | float
    end: str | float


class Backfilled(msgspec.Struct, frozen=True):
    """How many tasks were added."""

    added: int


class Removed(msgspec.Struct, frozen=True):
    """What is no more."""

    name: str
    removed: bool = True


class HowMany(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """So many occurrences, with their wall time in `tz` too."""

    count: int = 10
    tz: str = "UTC"


def _trigger(rule: RuleToSet) -> Trigger | None:
    if rule.every is not None and rule.cron is not None:
        raise InvalidArguments("a rule is either `every` a duration or a `cron` expression")
    if rule.every is not None:
        return Every(rule.every)
    return None if rule.cron is None else Cron(rule.cron, tz=rule.tz, gap=rule.gap, fold=rule.fold)


def _said(rule: RuleToSet) -> dict[str, Any]:  # keyword arguments, each checked where it is read
    words = ("misfire", "grace", "catch_up", "overlap", "keep")
    return {word: value for word in words if (value := getattr(rule, word)) is not UNSET}


def _words_of(options: Options) -> dict[str, Any]:  # likewise
    return {word: value for word in options.__struct_fields__ if (value := getattr(options, word)) is not UNSET}


def _schedule(call: Call[Any, Any]) -> Schedule:  # of any query and body
    return Schedule(call.client, find_standing(call.client, "schedule", call.path["name"]))


def _listener(call: Call[Any, Any]) -> Listener:  # likewise
    return Listener(call.client, find_standing(call.client, "listener", call.path["name"]))


def _shown(schedule: Schedule, client: Client) -> ShownSchedule:
    return shown_schedule(schedule.standing, client.registry)


def shown_listeners(client: Client, listeners: Sequence[Listener]) -> list[ShownListener]:
    """With the state that takes a look at who lives."""
    states: Mapping[str, str] = {one.name: one.state for one in client.status().listeners} if listeners else {}
    return [shown_listener(one.standing, states.get(one.name, "down"), client.registry) for one in listeners]


# ── schedules ──────────────────────────────────────────────────────────────────────────────────────────────────
def shown_schedules(client: Client) -> list[ShownSchedule]:
    """Those that this version can read."""
    shown = []
    for one in client.schedules():
        try:
            shown.append(_shown(one, client))
        except InvalidValue:  # of a newer program: in nobody's way
            continue
    return shown


def _schedules(call: Call[Nothing, Nothing]) -> list[ShownSchedule]:
    return shown_schedules(call.client)


def _show_schedule(call: Call[Nothing, Nothing]) -> ShownSchedule:
    return _shown(_schedule(call), call.client)


def _add_schedule(call: Call[Nothing, ScheduleToAdd]) -> ShownSchedule:
    body = call.body
    trigger = _trigger(body.rule)
    if trigger is None:
        raise InvalidArguments("a schedule's `rule` expects `every` a duration or a `cron` expression")
    work = work_of(body, programs=call.programs)
    said = {**_words_of(options_of(body)), **_said(body.rule)}
    return _shown(call.client.add_schedule(work, trigger, args=body.args, kwargs=body.kwargs, **said), call.client)


def _change_schedule(call: Call[Nothing, RuleToSet]) -> ShownSchedule:
    schedule, trigger, said = _schedule(call), _trigger(call.body), _said(call.body)
    if trigger is None and not said:
        raise InvalidArguments(f"say what is to change: {', '.join(RuleToSet.__struct_fields__)}")
    schedule.change(trigger, **said)
    return _shown(schedule, call.client)


def _pause_schedule(call: Call[Nothing, Until]) -> ShownSchedule:
    schedule = _schedule(call)
    schedule.pause(call.body.until)
    return _shown(schedule, call.client)


def _resume_schedule(call: Call[Nothing, Nothing]) -> ShownSchedule:
    schedule = _schedule(call)
    schedule.resume()
    return _shown(schedule, call.client)


def _run_schedule(call: Call[Nothing, Nothing]) -> ShownTask:
    return shown_task(_schedule(call).run_now().row, call.client.registry)


def _backfill(call: Call[Nothing, Stretch]) -> Backfilled:
    return Backfilled(_schedule(call).backfill(call.body.start, call.body.end))


def _preview(call: Call[HowMany, Nothing]) -> Previewed:
    schedule, count = _schedule(call), call.query.count
    if not 1 <= count <= MOST:
        raise InvalidValue(f"count= expects a whole number from 1 to {MOST}, got {count}")
    trigger, now, local = decode_trigger(schedule.definition.trigger), call.client.clock.now(), load_zone(call.query.tz)
    found = preview(trigger, now, count, local)
    return shown_preview(trigger, found, rule_zone(trigger, now) or local, local, schedule.name)


def _removing(find: Callable[[Call[Any, Any]], H]) -> Callable[[Call[Nothing, Nothing]], Removed]:
    def remove(call: Call[Nothing, Nothing]) -> Removed:
        find(call).remove()
        return Removed(call.path["name"])

    return remove


# ── listeners ──────────────────────────────────────────────────────────────────────────────────────────────────
def _listeners(call: Call[Nothing, Nothing]) -> list[ShownListener]:
    return shown_listeners(call.client, call.client.listeners())


def _show_listener(call: Call[Nothing, Nothing]) -> ShownListener:
    [shown] = shown_listeners(call.client, [_listener(call)])
    return shown


def _add_listener(call: Call[Nothing, ListenerToAdd]) -> ShownListener:
    body = call.body
    work = work_of(body, programs=call.programs)
    listener = call.client.add_listener(
        work, args=body.args, kwargs=body.kwargs, pause=body.pause, everywhere=body.everywhere,
        **_words_of(options_of(body)),
    )  # fmt: skip
    [shown] = shown_listeners(call.client, [listener])
    return shown


def _changing_listener(change: Callable[[Listener], None]) -> Callable[[Call[Nothing, Nothing]], ShownListener]:
    def act(call: Call[Nothing, Nothing]) -> ShownListener:
        listener = _listener(call)
        change(listener)
        [shown] = shown_listeners(call.client, [listener])
        return shown

    return act


_V, _O, _A = Role.VIEWER, Role.OPERATOR, Role.ADMIN
OPERATIONS: tuple[Operation, ...] = (
    Operation("schedules list", "GET", "/schedules", _V, "Schedules", _schedules, list[ShownSchedule]),
    Operation("every", "POST", "/schedules", _A, "Add a schedule", _add_schedule, ShownSchedule, body=ScheduleToAdd,
              status=201),
    Operation("schedules preview", "GET", "/schedules/{name}/preview", _V, "When it will run", _preview, Previewed,
              query=HowMany),
    Operation("schedules pause", "POST", "/schedules/{name}/pause", _O, "Create no more tasks", _pause_schedule,
              ShownSchedule, body=Until),
    Operation("schedules resume", "POST", "/schedules/{name}/resume", _O, "Go on from now", _resume_schedule,
              ShownSchedule),
    Operation("schedules run-now", "POST", "/schedules/{name}/run-now", _O, "One task of it, now", _run_schedule,
              ShownTask, status=201),
    Operation("schedules backfill", "POST", "/schedules/{name}/backfill", _A, "Make up for a time", _backfill,
              Backfilled, body=Stretch),
    Operation("schedules show", "GET", "/schedules/{name}", _V, "One schedule", _show_schedule, ShownSchedule),
    Operation("schedules change", "PATCH", "/schedules/{name}", _A, "Another rule", _change_schedule, ShownSchedule,
              body=RuleToSet),
    Operation("schedules remove", "DELETE", "/schedules/{name}", _A, "Forget it", _removing(_schedule), Removed),
    Operation("listeners list", "GET", "/listeners", _V, "Listeners", _listeners, list[ShownListener]),
    Operation("listen", "POST", "/listeners", _A, "Add a listener", _add_listener, ShownListener, body=ListenerToAdd,
              status=201),
    Operation("listeners pause", "POST", "/listeners/{name}/pause", _O, "Stop it, and keep it stopped",
              _changing_listener(Listener.pause), ShownListener),
    Operation("listeners resume", "POST", "/listeners/{name}/resume", _O, "Let it run again",
              _changing_listener(Listener.resume), ShownListener),
    Operation("listeners restart", "POST", "/listeners/{name}/restart", _O, "Start it anew",
              _changing_listener(Listener.restart), ShownListener),
    Operation("listeners show", "GET", "/listeners/{name}", _V, "One listener", _show_listener, ShownListener),
    Operation("listeners remove", "DELETE", "/listeners/{name}", _A, "Stop and forget it", _removing(_listener),
              Removed),
)  # fmt: skip  # a table
