"""`at`, `after` and `now`: add one task, durably, and say exactly when it is due."""

import shlex
from datetime import datetime, tzinfo

import click

from mainspring.cli.session import Session
from mainspring.cli.terminal import clean, out
from mainspring.cli.verb import verb
from mainspring.cli.work import Given, ProgramVerb, chosen_options, chosen_work, given_options, program_given, what
from mainspring.errors import InvalidValue
from mainspring.shown import shown_task
from mainspring.when.durations import parse_duration
from mainspring.when.instants import to_datetime
from mainspring.when.readable import distance, exact
from mainspring.when.wall import ACCEPTED, parse_when


@verb(
    "at",
    cls=ProgramVerb,
    examples="""
        mainspring at 10:00 -- ./open.sh --item 42
        mainspring at 2026-11-27T10:00:00.000+08:00 --call shop:open_sale --args '[42]'
        mainspring at next friday 18:00 --tz Asia/Shanghai --name report -- python report.py
        mainspring at +1.5s --key sale-42 --retries 3 -- ./open.sh
    """,
)
@click.argument("when", nargs=-1, metavar="WHEN -- PROGRAM [ARG ...]")
@given_options()
def at_verb(session: Session, when: tuple[str, ...], **said: object) -> int:
    """Add a task for an instant."""
    given = Given(**said)  # type: ignore[arg-type]  # as the options declare
    text = " ".join(when)
    if not text:
        raise click.UsageError(f"WHEN is missing. What is accepted:\n{ACCEPTED}")
    now, zone = session.adding_client.clock.now(), session.zone(given.tz)
    return _add(session, given, (), at=to_datetime(_when(when, now, zone)))


@verb(
    "after",
    cls=ProgramVerb,
    examples="""
        mainspring after 30m -- ./close.sh --order 42
        mainspring after 2h30m --queue mail --call shop:remind --kwargs '{"order": 42}'
        mainspring after 1.5s -- echo done
    """,
)
@click.argument("duration", metavar="DURATION -- PROGRAM [ARG ...]")
@click.argument("words", nargs=-1, metavar="")
@given_options()
def after_verb(session: Session, duration: str, words: tuple[str, ...], **said: object) -> int:
    """Add a task for later: DURATION is 250ms, 1.5s, 10m, 2h30m, 1d, 1w, or seconds."""
    parse_duration(duration)  # a slip here is said before anything else
    return _add(session, Given(**said), words, after=duration)  # type: ignore[arg-type]  # as the options declare


@verb(
    "now",
    cls=ProgramVerb,
    examples="""
        mainspring now -- ./import.sh orders.csv
        mainspring now --call shop:open_sale --args '[42]' --timeout 30s
    """,
)
@click.argument("words", nargs=-1, metavar="-- PROGRAM [ARG ...]")
@given_options()
def now_verb(session: Session, words: tuple[str, ...], **said: object) -> int:
    """Add a task that is due now: it starts as soon as a worker is free."""
    return _add(session, Given(**said), words)  # type: ignore[arg-type]  # as the options declare


def _when(words: tuple[str, ...], now: int, zone: tzinfo) -> int:
    """The instant of WHEN. `at 10:00 ./open.sh`: what follows a part that can be read was meant as the program."""
    text = " ".join(words)
    try:
        return parse_when(text, now=now, tz=zone)
    except InvalidValue:
        for count in range(len(words) - 1, 0, -1):
            first, rest = " ".join(words[:count]), shlex.join(words[count:])
            if not program_given() and _reads(first, now, zone):
                raise click.UsageError(
                    f"unexpected {rest!r}: write -- before the program, as in: mainspring at {first} -- {rest}"
                ) from None
        raise


def _reads(text: str, now: int, zone: tzinfo) -> bool:
    try:
        parse_when(text, now=now, tz=zone)
    except InvalidValue:
        return False
    return True


def _add(
    session: Session, given: Given, words: tuple[str, ...], *, at: datetime | None = None, after: str | None = None
) -> int:
    work, args, kwargs = chosen_work(session, given, words, "" if after is None else f"{after} ")
    zone = session.zone(given.tz)
    client = session.bounded_client(given.wait)
    now = client.clock.now()
    task = client.add_task(work, args, kwargs, at=at, after=after, **chosen_options(given, now, zone))
    shown = shown_task(task.row, client.registry)
    if not session.answer(shown):
        kept = "is there already, its key is in use; it " if task.row.created_at < now else ""
        due = task.row.run_at
        label = shown.label or what(shown)
        out(f"task {task.id} ({clean(label)}) {kept}is due {exact(due, zone)}, {distance(due, client.clock.now())}")
    session.warn_if_nobody_runs()
    return 0
