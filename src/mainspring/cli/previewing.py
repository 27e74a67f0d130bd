"""`schedules preview`: when a rule will run, stored or not, in its zone and in the reader's."""

from datetime import tzinfo

import click

from mainspring.cli.completing import schedules
from mainspring.cli.failure import NOT_FOUND, Failure
from mainspring.cli.scheduling import daylight_options
from mainspring.cli.session import Session
from mainspring.cli.standings import named as schedule_named
from mainspring.cli.terminal import clean, out, say
from mainspring.cli.verb import verb
from mainspring.cli.zones import both, named
from mainspring.errors import InvalidValue, NotFound
from mainspring.previewed import shown_preview
from mainspring.standing import Schedule
from mainspring.when.cron import Cron
from mainspring.when.every import Every
from mainspring.when.preview import preview, rule_zone
from mainspring.when.readable import distance
from mainspring.when.triggers import Trigger, decode_trigger
from mainspring.when.wall import parse_when


@verb(
    "preview",
    examples="""
        mainspring schedules preview tick
        mainspring schedules preview nightly --count 400 --json
        mainspring schedules preview '30 2 * * *' --tz Europe/Berlin --from '2026-03-27 00:00'
        mainspring schedules preview '0 17 * * friL'
        mainspring schedules preview 90m
    """,
)
@click.argument("words", nargs=-1, required=True, metavar="NAME|EXPRESSION", shell_complete=schedules)
@click.option("--count", type=click.IntRange(1, 10_000), default=10, show_default=True, help="How many.")
@click.option("--from", "start", metavar="WHEN", help="After that instant instead of now.")
@click.option("--tz", metavar="ZONE", help="The zone of an expression; for a stored schedule, of the reader.")
@daylight_options
def preview_verb(
    session: Session, words: tuple[str, ...], count: int, start: str | None, tz: str | None, gap: str | None,
    fold: str | None,
) -> int:  # fmt: skip
    """Show when a schedule will run: one that is stored, or a cron expression or a duration that is not.

    Each instant is exact, in the rule's zone and in the local one, with a note where the clocks are changed.
    """
    local = session.zone()
    text, now = " ".join(words), session.now()
    schedule = _stored(session, text)
    if schedule is not None:
        if gap is not None or fold is not None:
            raise click.UsageError(f"--gap and --fold are for an expression; {text!r} is a stored schedule")
        trigger, local = decode_trigger(schedule.definition.trigger), session.zone(tz)
    else:
        trigger = _rule_of(session, text, named(session.zone(tz)), gap, fold)
    after = now if start is None else parse_when(start, now=now, tz=session.zone(tz)) - 1
    _answer(session, schedule, trigger, after, count, local, now)
    return 0


def _answer(
    session: Session, schedule: Schedule | None, trigger: Trigger, after: int, count: int, local: tzinfo, now: int
) -> None:
    zone = rule_zone(trigger, after) or local
    found = preview(trigger, after, count, local)
    shown = shown_preview(trigger, found, zone, local, None if schedule is None else schedule.name)
    if session.answer(shown):
        return
    out(clean(shown.rule if schedule is None else f"{schedule.name}: {shown.rule}"))
    for at, notes in found:
        out(f"  {both(at, zone, local)}  {distance(at, now)}")
        for note in notes:
            out(f"    {note}")
    if schedule is not None and schedule.paused:
        say(f"{schedule.name} is paused: mainspring schedules resume {schedule.name}")
    if len(found) < count:
        say("there are no more" if found else "there are none")


def _stored(session: Session, name: str) -> Schedule | None:
    """The schedule of this name, where there is a store that has it."""
    try:
        handles = session.client.schedules()
    except Failure as error:
        if error.exit_code == NOT_FOUND:
            return None
        raise
    return next((one for one in handles if one.name == name), None)


def _rule_of(session: Session, text: str, tz: str, gap: str | None, fold: str | None) -> Trigger:
    """An expression or a duration; one word that is neither was meant as a name."""
    try:
        return expression(text, tz, gap, fold)
    except InvalidValue:
        if len(text.split()) > 1 or text.startswith("@"):
            raise
    try:
        found = schedule_named("schedule", session.client.schedules(), text)  # for what it says when there is none
    except NotFound as error:
        raise NotFound(f"{error} An expression has five or six fields, in quotes: '0 3 * * *'") from None
    return decode_trigger(found.definition.trigger)


def expression(text: str, tz: str, gap: str | None, fold: str | None) -> Trigger:
    """The rule that `every` or `cron` would make of it."""
    try:
        return Every(text)
    except InvalidValue:
        return Cron(text, tz=tz, gap=gap, fold=fold)
