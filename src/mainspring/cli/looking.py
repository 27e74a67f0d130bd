"""`list` and `show`: what is in the store. Looking changes nothing and creates nothing."""

from datetime import tzinfo

import click

from mainspring.asked import as_kind, as_limit, as_states
from mainspring.cli.completing import ids, queues, schedules, words
from mainspring.cli.session import Session
from mainspring.cli.terminal import COLOURS, clean, coloured, out, pairs, say, table
from mainspring.cli.verb import verb
from mainspring.cli.work import what
from mainspring.shown import ShownTask, shown_task
from mainspring.shown_in_full import TaskInFull, shown_in_full
from mainspring.store.rows import Filter, TaskRow
from mainspring.tasks.state import FINISHED, UNFINISHED, Kind, State
from mainspring.when.durations import format_duration, parse_duration
from mainspring.when.readable import distance, exact, span
from mainspring.why import View, explain

_OUTPUT_LINES = 20


@verb(
    "list",
    examples="""
        mainspring list
        mainspring list --state failed --limit 20
        mainspring list --due-within 10m --queue mail
        mainspring list --name open_sale --json
    """,
)
@click.option(
    "--state",
    "states",
    multiple=True,
    metavar="STATE",
    shell_complete=words(*State, "all"),
    help=f"{', '.join(State)}, or all; several times.",
)
@click.option("--kind", metavar="KIND", shell_complete=words(*Kind), help="function or program.")
@click.option("--name", help="A label, or the name of a function or program.")
@click.option("--queue", shell_complete=queues, help="Of this queue.")
@click.option("--schedule", shell_complete=schedules, help="Created by this schedule.")
@click.option("--key", help="With this key.")
@click.option("--due-within", metavar="DURATION", help="Due by then; overdue too.")
@click.option("--limit", type=int, default=100, show_default=True, help="At most so many.")
@click.option("--tz", metavar="ZONE", help="The zone in which times are shown.")
def list_verb(
    session: Session, states: tuple[str, ...], kind: str | None, name: str | None, queue: str | None,
    schedule: str | None, key: str | None, due_within: str | None, limit: int, tz: str | None,
) -> int:  # fmt: skip
    """List tasks, soonest first; those that wait and run, unless --state says otherwise."""
    client = session.client
    now, zone = client.clock.now(), session.zone(tz)
    wanted = Filter(
        states=_states(states),
        kind=as_kind(kind),
        name=name,
        queue=queue,
        schedule=schedule,
        key=key,
        due_before=None if due_within is None else now + parse_duration(due_within) + 1,
        limit=as_limit(limit) + 1,
    )
    rows = client.store.find(wanted)
    shown = [shown_task(row, client.registry) for row in rows[:limit]]
    if not session.answer(shown):
        if shown:
            table(
                ("ID", "STATE", "WHEN", "AT", "WHAT"),
                [_line(row, one, now, zone) for row, one in zip(rows, shown, strict=False)],
                colour=1,
            )
        else:
            say(
                "no tasks" if states else "nothing waits and nothing runs; `mainspring list --state all` shows the rest"
            )
    if len(rows) > limit:
        say(f"only the first {limit} are shown; --limit {limit * 10} shows more")
    return 0


def _states(words: tuple[str, ...]) -> tuple[State, ...]:
    split = [one for word in words for one in word.split(",")]
    if "all" in split:
        return ()
    return as_states(split) if split else tuple(state for state in State if state in UNFINISHED)


def _line(row: TaskRow, shown: ShownTask, now: int, zone: tzinfo) -> tuple[str, ...]:
    """When it is due, started or finished, whichever it came to."""
    at = row.run_at
    if row.state is State.RUNNING and row.started_at is not None:
        at = row.started_at
    elif row.state in FINISHED and row.finished_at is not None:
        at = row.finished_at
    words = shown.label or what(shown)
    words = words if row.missed_count is None else f"{words}  ({_stretch(row)})"
    return shown.id, shown.state, distance(at, now), exact(at, zone), words


def _stretch(row: TaskRow) -> str:
    """How many occurrences a row stands for that says they were missed."""
    return f"{row.missed_count:,} occurrence{'' if row.missed_count == 1 else 's'}"


@verb("show", examples="mainspring show 42\nmainspring show 42 --json")
@click.argument("id", shell_complete=ids())
@click.option("--tz", metavar="ZONE", help="The zone in which times are shown.")
def show_verb(session: Session, id: str, tz: str | None) -> int:  # noqa: A002  # the contract's word
    """Show everything about a task: its times, attempts, error, the end of its output, what it waits for."""
    client = session.client
    row = client.find_row(id)
    shown = shown_in_full(view_of(session), row)
    if not session.answer(shown):
        _show(row, shown, client.clock.now(), session.zone(tz))
    return 0


def _show(row: TaskRow, shown: TaskInFull, now: int, zone: tzinfo) -> None:
    def time(instant: int | None) -> str:
        return "" if instant is None else f"{exact(instant, zone)} ({distance(instant, now)})"

    out(f"task {shown.id}  {coloured(shown.state, COLOURS.get(shown.state), bold=True)}  {clean(shown.reason or '')}")
    lines = [
        ("label", shown.label or ""),
        ("runs", what(shown)),
        ("in", shown.cwd or ""),
        ("env", " ".join(f"{name}={value}" for name, value in (shown.env or {}).items())),
        ("due", time(row.run_at)),
        ("waits for", shown.waits_for or ""),
        ("started", time(row.started_at)),
        ("late by", "" if shown.lateness_ms is None else span(round(shown.lateness_ms * 1000))),
        ("finished", time(row.finished_at)),
        ("took", "" if row.finished_at is None or row.started_at is None else span(row.finished_at - row.started_at)),
        ("attempt", f"{shown.attempt} of {shown.max_attempts}"),
        ("queue", f"{shown.queue}, priority {shown.priority}"),
        ("key", shown.key or ""),
        ("schedule", shown.schedule or ""),
        ("occurrence", "" if row.occurrence in (None, row.run_at) else time(row.occurrence)),
        ("stands for", "" if row.missed_until is None else f"{_stretch(row)}, the last {time(row.missed_until)}"),
        ("delivery", shown.delivery),
        ("time limit", "" if shown.timeout is None else format_duration(round(shown.timeout * 1e6))),
        ("expires", time(row.expires_at)),
        ("added", time(row.created_at)),
        ("exit code", "" if shown.exit_code is None else str(shown.exit_code)),
        ("result", "" if shown.result is None else bytes(shown.result).decode()),
    ]
    pairs([(name, value) for name, value in lines if value])
    for attempt in shown.attempts:
        error = f": {attempt.error.type}: {attempt.error.message}" if attempt.error else ""
        out(f"attempt {attempt.attempt} {clean(attempt.reason + error)}")
    if shown.error is not None:
        out(coloured(clean(f"error: {shown.error.type}: {shown.error.message}"), "red"))
        if shown.error.traceback:
            out(clean(shown.error.traceback.rstrip(), keep="\n"))
    if shown.output:
        written = shown.output.rstrip("\n").split("\n")
        more = f", the last {_OUTPUT_LINES} lines of {len(written)}" if len(written) > _OUTPUT_LINES else ""
        out(f"output{more}:")
        for line in written[-_OUTPUT_LINES:]:
            out(f"  {clean(line, keep=chr(9))}")


@verb("why", examples="mainspring why 42\nmainspring why 42 --json")
@click.argument("id", shell_complete=ids())
@click.option("--tz", metavar="ZONE", help="The zone in which times are shown.")
def why_verb(session: Session, id: str, tz: str | None) -> int:  # noqa: A002  # the contract's word
    """Say why a task has not started, started late, was tried again, missed or cancelled."""
    answer = explain(view_of(session, tz), session.client.find_row(id))
    if not session.answer(answer):
        state = coloured(answer.state, COLOURS.get(answer.state), bold=True)
        out(f"task {answer.id}  {state}  {answer.question}")
        for one in answer.because:
            out(f"  {clean(one.text)}{f' -> {clean(one.help)}' if one.help else ''}")
    return 0


def view_of(session: Session, tz: str | None = None) -> View:
    """The store as it is now, told in the zone of who asks."""
    client = session.client
    return View(client.store, client.clock.now(), session.zone(tz), session.start_command, client.registry)
