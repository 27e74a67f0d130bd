"""`schedules change` and `schedules backfill`: another rule from now on, and occurrences of a time that is past."""

from collections.abc import Callable

import click
import msgspec

from mainspring.cli.previewing import expression
from mainspring.cli.scheduling import daylight_options, rule_options, take_rule
from mainspring.cli.session import Session
from mainspring.cli.terminal import clean, out
from mainspring.cli.verb import Verb, verb
from mainspring.cli.zones import following, named
from mainspring.shown import ShownSchedule, rule_words, shown_schedule
from mainspring.standing import Schedule
from mainspring.when.cron import Cron
from mainspring.when.every import Every
from mainspring.when.instants import isoformat, to_datetime
from mainspring.when.readable import exact
from mainspring.when.triggers import Trigger, decode_trigger
from mainspring.when.wall import parse_when

Finder = Callable[[Session, str], Schedule]
Argument = Callable[[Callable[..., object]], Callable[..., object]]

_NEXT = 3


class Backfilled(msgspec.Struct, frozen=True):
    """How many tasks a back-fill added, for occurrences from `start` up to and without `end`."""

    name: str
    start: str
    end: str
    added: int


def change_verb(name: Argument, find: Finder) -> Verb:
    """`schedules change`; `name` is its argument, `find` finds a schedule."""

    @verb(
        "change",
        examples="""
            mainspring schedules change nightly '30 3 * * *'
            mainspring schedules change tick 10s
            mainspring schedules change nightly --tz Asia/Shanghai --misfire skip --overlap queue
        """,
    )
    @name
    @click.argument("words", nargs=-1, metavar="[EXPRESSION|DURATION]")
    @click.option("--tz", metavar="ZONE", help="The zone of the expression (default: that of the old one).")
    @daylight_options
    @rule_options
    def change(
        session: Session, name: str, words: tuple[str, ...], tz: str | None, gap: str | None, fold: str | None,
        **said: object,
    ) -> int:  # fmt: skip
        """Give a schedule another rule from now on. What is not said stays, a pause too."""
        rule = take_rule(said)
        schedule = find(session, name)
        trigger = _trigger(session, schedule, " ".join(words), tz, gap, fold)
        if trigger is None and not rule:
            raise click.UsageError("say what is to change: an expression, a duration, or options such as --misfire")
        schedule.change(trigger, **rule)  # type: ignore[misc]  # words of a rule alone, as the options declare
        shown: ShownSchedule = shown_schedule(schedule.standing, session.client.registry)
        if not session.answer(shown):
            now = decode_trigger(schedule.definition.trigger)
            out(f"schedule {clean(name)} is changed: {clean(rule_words(now))}")
            out(following(now, session.client.clock.now(), _NEXT, session.zone()))
        return 0

    return change


def backfill_verb(name: Argument, find: Finder) -> Verb:
    """`schedules backfill`; likewise."""

    @verb(
        "backfill",
        examples="""
            mainspring schedules backfill nightly '2026-11-01 00:00' '2026-11-08 00:00'
            mainspring schedules backfill tick 2026-11-27T10:00:00Z 2026-11-27T10:05:00Z --json
        """,
    )
    @name
    @click.argument("start", metavar="FROM")
    @click.argument("end", metavar="TO")
    @click.option("--tz", metavar="ZONE", help="The zone of wall times (default: the local one).")
    def backfill(session: Session, name: str, start: str, end: str, tz: str | None) -> int:
        """Make up for the occurrences from FROM up to and without TO: a task for each that is none yet, due now."""
        zone, now = session.zone(tz), session.client.clock.now()
        first, last = parse_when(start, now=now, tz=zone), parse_when(end, now=now, tz=zone)
        if not first < last <= now:
            raise click.UsageError(
                f"expected FROM before TO, and TO not after now, got {exact(first, zone)} and {exact(last, zone)}"
            )
        added = find(session, name).backfill(to_datetime(first), to_datetime(last))
        if not session.answer(Backfilled(name, isoformat(first), isoformat(last), added)):
            tasks = "1 task is" if added == 1 else f"{added:,} tasks are"
            out(f"schedule {clean(name)}: {tasks} added for {exact(first, zone)} to {exact(last, zone)}, due now")
        return 0

    return backfill


def _trigger(
    session: Session, schedule: Schedule, text: str, tz: str | None, gap: str | None, fold: str | None
) -> Trigger | None:
    """The new trigger; None: the old one stays. Of an old cron rule stays what is not said."""
    old = decode_trigger(schedule.definition.trigger)
    if not text and tz is None and gap is None and fold is None:
        return None
    if not isinstance(old, Cron):
        if not text:
            raise click.UsageError(f"--tz, --gap and --fold are for cron rules; {schedule.name} is {rule_words(old)}")
        return expression(text, named(session.zone(tz)), gap, fold)
    new = expression(text or old.expression, tz or old.tz, gap or old.gap, fold or old.fold)
    assert isinstance(new, Cron | Every)
    return new
