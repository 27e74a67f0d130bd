"""`every`, `cron` and `listen`: add what goes on, a schedule or a listener."""

from typing import TYPE_CHECKING, cast

import click

from mainspring.cli.scheduling import daylight_options, rule_options, take_rule
from mainspring.cli.session import Session
from mainspring.cli.terminal import clean, out
from mainspring.cli.verb import verb
from mainspring.cli.work import Given, ProgramVerb, chosen_options, chosen_work, given_options, what
from mainspring.cli.zones import following, named
from mainspring.errors import InvalidValue
from mainspring.shown import ShownSchedule, rule_words, shown_listener, shown_schedule
from mainspring.standing import find_standing
from mainspring.when.durations import format_duration, parse_duration
from mainspring.when.readable import distance, exact

if TYPE_CHECKING:
    from mainspring.scheduling import ScheduleSaid
    from mainspring.standing import Schedule
    from mainspring.when.cron import Cron
    from mainspring.when.triggers import Trigger

_NEXT = 3


@verb(
    "every",
    cls=ProgramVerb,
    examples="""
        mainspring every 5s --name tick -- ./tick.sh
        mainspring every 1h --call shop:count_stock --timeout 5m --misfire skip
        mainspring schedules
    """,
)
@click.argument("duration", metavar="DURATION -- PROGRAM [ARG ...]")
@click.argument("words", nargs=-1, metavar="")
@rule_options
@given_options("key", "on_conflict", "wait")
def every_verb(session: Session, duration: str, words: tuple[str, ...], **said: object) -> int:
    """Add a schedule: a task at whole multiples of DURATION since 1970-01-01T00:00Z. --name is the schedule's."""
    rule = take_rule(said)
    given = Given(**said)  # type: ignore[arg-type]  # as the options declare
    interval = parse_duration(duration)
    schedule, shown = _add_schedule(session, given, words, duration, rule, duration)
    if not session.answer(shown):
        zone, now = session.zone(given.tz), session.client.clock.now()
        at = schedule.standing.next_run_at
        first = "" if at is None else f", next {exact(at, zone)}, {distance(at, now)}"
        out(f"schedule {clean(shown.name)} ({clean(what(shown))}): every {format_duration(interval)}{first}")
    session.warn_if_nobody_runs()
    return 0


@verb(
    "cron",
    cls=ProgramVerb,
    examples="""
        mainspring cron '0 3 * * *' --name nightly -- ./backup.sh
        mainspring cron '30 9 * * mon-fri' --tz Asia/Shanghai --call shop:open_day
        mainspring cron '*/10 * * * * *' -- ./look.sh       every ten seconds: six fields, seconds first
        mainspring cron '0 17 lw * *' -- ./bill.sh          the last weekday of the month
        mainspring cron @daily -- ./tidy.sh
        mainspring schedules preview '30 2 * * *' --tz Europe/Berlin
    """,
)
@click.argument("expression", metavar="EXPRESSION -- PROGRAM [ARG ...]")
@click.argument("words", nargs=-1, metavar="")
@daylight_options
@rule_options
@given_options("key", "on_conflict", "wait")
def cron_verb(
    session: Session, expression: str, words: tuple[str, ...], gap: str | None, fold: str | None, **said: object
) -> int:
    """Add a schedule in cron's words: minute, hour, day of month, month, weekday, in quotes; or six fields, with
    seconds first. Its times are local ones unless --tz says otherwise. Without --gap and --fold daylight saving is
    treated as Debian's cron does: fixed times run once, wildcards follow real time.
    """
    rule = take_rule(said)
    given = Given(**said)  # type: ignore[arg-type]  # as the options declare
    local, zone = session.zone(), session.zone(given.tz)
    trigger = _cron(expression, words, named(zone), gap, fold)
    _, shown = _add_schedule(session, given, words, trigger, rule, f"'{trigger.expression}'")
    if not session.answer(shown):
        out(f"schedule {clean(shown.name)} ({clean(what(shown))}): {rule_words(trigger)}")
        out(following(trigger, session.client.clock.now(), _NEXT, local))
    session.warn_if_nobody_runs()
    return 0


def _add_schedule(
    session: Session, given: Given, words: tuple[str, ...], trigger: "Trigger | str", rule: "ScheduleSaid", hint: str
) -> "tuple[Schedule, ShownSchedule]":
    """Store the schedule that the options say; `hint`: what stands before the program."""
    work, args, kwargs = chosen_work(session, given, words, f"{hint} ")
    client = session.adding_client
    chosen = {**chosen_options(given, client.clock.now(), session.zone(given.tz)), **rule}
    schedule = client.add_schedule(work, trigger, args=args, kwargs=kwargs, **cast("ScheduleSaid", chosen))
    return schedule, shown_schedule(schedule.standing, client.registry)


def _cron(expression: str, words: tuple[str, ...], tz: str, gap: str | None, fold: str | None) -> "Cron":
    """The trigger; an expression that a shell took apart, and a duration, are answered with what to type."""
    from mainspring.when.cron import Cron

    try:
        return Cron(expression, tz=tz, gap=gap, fold=fold)
    except InvalidValue as error:
        if words and len(expression.split()) == 1:
            raise click.UsageError(
                "write the expression in quotes, or the shell takes it apart: mainspring cron '0 3 * * *' -- PROGRAM"
            ) from None
        if _is_duration(expression):
            raise click.UsageError(f"{error}\nThat is a duration: mainspring every {expression} -- PROGRAM") from None
        raise


def _is_duration(text: str) -> bool:
    try:
        parse_duration(text)
    except InvalidValue:
        return False
    return True


@verb(
    "listen",
    cls=ProgramVerb,
    examples="""
        mainspring listen --name orders -- ./watch-orders.sh
        mainspring listen --call shop:watch_orders --pause 1s
        mainspring listeners
    """,
)
@click.argument("words", nargs=-1, metavar="-- PROGRAM [ARG ...]")
@click.option("--pause", metavar="DURATION", default="10ms", show_default=True, help="Between two turns.")
@click.option("--everywhere", is_flag=True, help="In every daemon of the store, not in one.")
@given_options(
    "key", "on_conflict", "expires", "kwargs", "queue", "priority", "timeout", "retries", "delivery", "wait", "tz"
)
def listen_verb(session: Session, words: tuple[str, ...], pause: str, everywhere: bool, **said: object) -> int:
    """Add a listener: a program or function that runs again and again, for ever, started anew when it fails."""
    given = Given(**said)  # type: ignore[arg-type]  # as the options declare
    work, args, _ = chosen_work(session, given, words)
    client = session.adding_client
    options = chosen_options(given, client.clock.now(), session.zone())
    listener = client.add_listener(work, args=args, pause=pause, everywhere=everywhere, **options)
    standing = find_standing(client, "listener", listener.name)
    shown = shown_listener(standing, listener.state, client.registry)
    if not session.answer(shown):
        out(f"listener {clean(shown.name)} ({clean(what(shown))}) is added")
    session.warn_if_nobody_runs()
    return 0
