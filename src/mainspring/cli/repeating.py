"""`every` and `listen`: add what goes on, a schedule or a listener."""

import click

from mainspring.cli.session import Session
from mainspring.cli.terminal import clean, out
from mainspring.cli.times import distance, exact
from mainspring.cli.verb import verb
from mainspring.cli.work import Given, ProgramVerb, chosen_options, chosen_work, given_options, what
from mainspring.shown import shown_listener, shown_schedule
from mainspring.standing import find_standing
from mainspring.when.durations import format_duration, parse_duration


@verb(
    "every",
    cls=ProgramVerb,
    examples="""
        mainspring every 5s --name tick -- ./tick.sh
        mainspring every 1h --call shop:count_stock --timeout 5m
        mainspring schedules
    """,
)
@click.argument("duration", metavar="DURATION -- PROGRAM [ARG ...]")
@click.argument("words", nargs=-1, metavar="")
@given_options("key", "on_conflict", "expires", "wait")
def every_verb(session: Session, duration: str, words: tuple[str, ...], **said: object) -> int:
    """Add a schedule: a task at whole multiples of DURATION since 1970-01-01T00:00Z. --name is the schedule's."""
    given = Given(**said)  # type: ignore[arg-type]  # as the options declare
    interval = parse_duration(duration)
    work, args, kwargs = chosen_work(session, given, words, f"{duration} ")
    zone = session.zone(given.tz)
    client = session.adding_client
    now = client.clock.now()
    options = chosen_options(given, now, zone)
    schedule = client.add_schedule(work, duration, args=args, kwargs=kwargs, **options)
    standing = find_standing(client, "schedule", schedule.name)
    shown = shown_schedule(standing, client.registry)
    if not session.answer(shown):
        at = standing.next_run_at
        following = "" if at is None else f", next {exact(at, zone)}, {distance(at, now)}"
        out(f"schedule {clean(shown.name)} ({clean(what(shown))}): every {format_duration(interval)}{following}")
    session.warn_if_nobody_runs()
    return 0


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
