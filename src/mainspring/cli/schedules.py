"""`schedules`: the stored rules that create tasks."""

import click

from mainspring.cli import completing
from mainspring.cli.changing import backfill_verb, change_verb
from mainspring.cli.previewing import preview_verb
from mainspring.cli.session import Session
from mainspring.cli.standings import Standings, readable
from mainspring.cli.terminal import clean, out, pairs, say, table
from mainspring.cli.verb import Family, verb
from mainspring.cli.work import what
from mainspring.cli.zones import following
from mainspring.shown import ShownSchedule, rule_words, shown_schedule, shown_task
from mainspring.standing import Schedule
from mainspring.when.durations import format_duration
from mainspring.when.instants import parse_instant, to_datetime
from mainspring.when.readable import distance, exact
from mainspring.when.triggers import decode_trigger
from mainspring.when.wall import parse_when

_NEXT = 5


@click.group("schedules", cls=Family)
def schedules_verb(**_: object) -> None:
    """List, show, preview, change, remove, pause, resume, back-fill schedules, or run one now. Alone: list."""


def _shown(session: Session, schedule: Schedule) -> ShownSchedule:
    return shown_schedule(schedule.standing, session.client.registry)


_schedules = Standings("schedule", lambda client: client.schedules(), _shown, completing.schedules, "tick")


@verb("list", examples="mainspring schedules\nmainspring schedules list --json")
def _list(session: Session) -> int:
    """List the schedules of the store."""
    client, zone = session.client, session.zone()
    handles = readable(client.schedules())
    shown = [_shown(session, schedule) for schedule in handles]
    if session.answer(shown):
        return 0
    now, rows = client.clock.now(), []
    for schedule, line in zip(handles, shown, strict=True):
        at = None if line.next_run_at is None or line.paused else parse_instant(line.next_run_at)
        when = _pause_of(line) if line.paused else "" if at is None else distance(at, now)
        rows.append((line.name, _rule(schedule), when, "" if at is None else exact(at, zone), what(line)))
    if rows:
        table(("NAME", "RULE", "NEXT", "AT", "WHAT"), rows)
    else:
        say("there are no schedules; add one: mainspring every 5s -- PROGRAM")
    return 0


@verb("show", examples="mainspring schedules show tick")
@_schedules.name
def _show(session: Session, name: str) -> int:
    """Show a schedule and its next occurrences."""
    schedule = _schedules.one(session, name)
    shown = _shown(session, schedule)
    if session.answer(shown):
        return 0
    zone, now = session.zone(), session.client.clock.now()
    lines = [
        ("schedule", shown.name),
        ("rule", _rule(schedule)),
        ("paused", _pause_of(shown)),
        *_missed(schedule),
        ("runs", what(shown)),
        ("queue", f"{shown.queue}, priority {shown.priority}"),
        ("declared in", shown.app or "the command line"),
    ]
    pairs([(name, value) for name, value in lines if value])
    if not shown.paused:
        out(following(decode_trigger(schedule.definition.trigger), now, _NEXT, zone))
    return 0


@verb("pause", examples="mainspring schedules pause tick\nmainspring schedules pause tick --until 'tomorrow 09:00'")
@_schedules.names
@click.option("--until", metavar="WHEN", help="Go on by itself then.")
@click.option("--tz", metavar="ZONE", help="The zone of wall times (default: the local one).")
def _pause(session: Session, names: tuple[str, ...], until: str | None, tz: str | None) -> int:
    """Create no more tasks until `resume`, or until WHEN."""
    now, zone = session.client.clock.now(), session.zone(tz)
    end = None if until is None else parse_when(until, now=now, tz=zone)
    moment = None if end is None else to_datetime(end)
    words = "is paused" if end is None else f"is paused until {exact(end, zone)}, {distance(end, now)}"
    return _schedules.changed(session, names, lambda one: one.pause(moment), words)


@verb("run-now", examples="mainspring schedules run-now tick")
@_schedules.name
def _run_now(session: Session, name: str) -> int:
    """Add one task of a schedule, due now, beside its occurrences."""
    task = _schedules.one(session, name).run_now()
    shown = shown_task(task.row, session.client.registry)
    if not session.answer(shown):
        out(f"task {task.id} ({clean(shown.label or what(shown))}) is due now")
    return 0


def _rule(schedule: Schedule) -> str:
    return rule_words(decode_trigger(schedule.definition.trigger))


def _missed(schedule: Schedule) -> list[tuple[str, str]]:
    """What becomes of occurrences that cannot run in time."""
    rule = schedule.definition.rule
    most = f", at most {rule.catch_up}" if rule.misfire == "all" else ""
    return [
        ("misfire", f"{rule.misfire}{most}; missed is what is later than {format_duration(rule.grace)}"),
        ("overlap", rule.overlap),
        ("keeps", "" if rule.keep is None else f"{rule.keep} finished tasks"),
    ]


def _pause_of(shown: ShownSchedule) -> str:
    if not shown.paused:
        return ""
    return "paused" if shown.paused_until is None else f"paused until {shown.paused_until}"


for _verb in (
    _list,
    _show,
    _pause,
    _schedules.changing("resume", Schedule.resume, "goes on", "Go on from now."),
    _schedules.removing("Forget schedules. The tasks they created stay."),
    _run_now,
    preview_verb,
    change_verb(_schedules.name, _schedules.one),
    backfill_verb(_schedules.name, _schedules.one),
):
    schedules_verb.add_command(_verb)
