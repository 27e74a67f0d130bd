"""`next`: what will run, tasks that wait and occurrences of schedules that are no tasks yet, in order of time."""

import heapq
from collections.abc import Iterator, Sequence
from itertools import islice
from operator import attrgetter

import click
import msgspec

from mainspring.asked import as_limit
from mainspring.cli.completing import schedules
from mainspring.cli.session import Session
from mainspring.cli.standings import named, readable
from mainspring.cli.terminal import out, say, table
from mainspring.cli.verb import verb
from mainspring.cli.work import what
from mainspring.client import Client
from mainspring.shown import ShownWork, shown_task, shown_work
from mainspring.standing import Schedule
from mainspring.store.rows import Filter
from mainspring.tasks.names import bare_name
from mainspring.tasks.state import State
from mainspring.when.durations import format_duration, parse_duration
from mainspring.when.instants import from_datetime, isoformat, parse_instant
from mainspring.when.readable import distance, exact
from mainspring.when.triggers import decode_trigger

Paused = frozenset[str | None]  # queues; None among them: everything


class Upcoming(ShownWork, frozen=True, kw_only=True):
    """What will run: `id` of the task, null for an occurrence that is no task yet; `paused`: its queue is."""

    run_at: str
    name: str
    id: str | None
    schedule: str | None
    queue: str
    priority: int
    paused: bool


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
    paused = client.store.paused()
    waiting = _tasks(client, names, now + ahead, most + 1, paused)
    coming = [_occurrences(client, one, now, now + ahead, paused) for one in handles]
    found = list(islice(heapq.merge(waiting, *coming, key=attrgetter("run_at")), most + 1))
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


def _tasks(client: Client, names: Sequence[str], end: int, limit: int, paused: Paused) -> list[Upcoming]:
    """Waiting tasks that are due before `end` (µs), soonest first; of these schedules, if there are names."""
    rows = [
        row
        for schedule in names or (None,)
        for row in client.store.find(
            Filter(states=(State.WAITING,), schedule=schedule, due_before=end + 1, limit=limit)
        )
    ]
    out: list[Upcoming] = []
    for row in sorted(rows, key=attrgetter("run_at")):
        shown = shown_task(row, client.registry)
        parts = {word: getattr(shown, word) for word in Upcoming.__struct_fields__ if word != "paused"}
        out.append(Upcoming(**parts, paused=None in paused or row.queue in paused))
    return out


def _occurrences(client: Client, schedule: Schedule, now: int, end: int, paused: Paused) -> Iterator[Upcoming]:
    """The occurrences up to `end` (µs) that are no tasks yet. Of those that are overdue the first stands for all: what
    becomes of them is the daemon's to say, when there is one.
    """
    first = schedule.next_run_at
    at = None if first is None else from_datetime(first)
    if at is None or at > end:
        return
    definition = schedule.definition
    trigger, work = decode_trigger(definition.trigger), definition.work
    parts = msgspec.structs.asdict(shown_work(work.kind, work.work, work.payload, client.registry))
    while at is not None and at <= end:
        yield Upcoming(
            **parts, run_at=isoformat(at), name=work.name or bare_name(work.kind, work.work), id=None,
            schedule=schedule.name, queue=work.queue, priority=work.priority,
            paused=None in paused or work.queue in paused,
        )  # fmt: skip
        at = trigger.next_us(max(at, now))


def _words(one: Upcoming) -> str:
    return f"{what(one)}  (paused: {one.queue})" if one.paused else what(one)
