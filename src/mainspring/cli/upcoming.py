"""`next`: what will run, tasks that wait and occurrences of schedules that are no tasks yet, in order of time."""

from collections.abc import Sequence

import click

from mainspring.asked import as_limit
from mainspring.cli.completing import schedules
from mainspring.cli.session import Session
from mainspring.cli.standings import named, readable
from mainspring.cli.terminal import out, say, table
from mainspring.cli.verb import verb
from mainspring.cli.work import what
from mainspring.standing import Schedule
from mainspring.upcoming import Upcoming, upcoming
from mainspring.when.durations import format_duration, parse_duration
from mainspring.when.instants import parse_instant
from mainspring.when.readable import distance, exact


@verb(
    "next",
    examples="""
        mainspring next
        mainspring next --for 7d --limit 20
        mainspring next nightly report --for 4w
        mainspring next --json
    """,
)
@click.argument("names", nargs=-1, metavar="[SCHEDULE ...]", shell_complete=schedules)
@click.option("--for", "length", metavar="DURATION", default="24h", show_default=True, help="How far ahead.")
@click.option("--limit", type=int, default=100, show_default=True, help="At most so many.")
@click.option("--tz", metavar="ZONE", help="The zone in which times are shown.")
def next_verb(session: Session, names: tuple[str, ...], length: str, limit: int, tz: str | None) -> int:
    """Show what will run: waiting tasks and coming occurrences of schedules, soonest first; of some schedules alone
    when they are named. What is overdue stands first.
    """
    client, ahead = session.client, parse_duration(length)
    now, zone = client.clock.now(), session.zone(tz)
    most = as_limit(limit)
    handles = readable(client.schedules())
    if names:
        handles = [named("schedule", handles, name) for name in dict.fromkeys(names)]
    found = upcoming(client, handles, now + ahead, most + 1, alone=bool(names))
    if not session.answer(found[:most]):
        rows = [
            (distance(at, now), exact(at, zone), one.id or "", one.schedule or "", _words(one))
            for one in found[:most]
            for at in (parse_instant(one.run_at),)
        ]
        if rows:
            table(("WHEN", "AT", "TASK", "SCHEDULE", "WHAT"), rows)
        else:
            out(f"nothing will run within {format_duration(ahead)}")
    _say_what_is_not_there(handles, cut=len(found) > most, limit=most)
    return 0


def _say_what_is_not_there(handles: Sequence[Schedule], *, cut: bool, limit: int) -> None:
    asleep = [one.name for one in handles if one.paused and one.next_run_at is None]
    if asleep:
        shown = ", ".join(asleep[:5]) + (", ..." if len(asleep) > 5 else "")
        say(f"paused: {shown}; mainspring schedules resume NAME")
    if cut:
        say(f"only the first {limit} are shown; --limit {limit * 10} shows more")


def _words(one: Upcoming) -> str:
    return f"{what(one)}  (paused: {one.queue})" if one.paused else what(one)
