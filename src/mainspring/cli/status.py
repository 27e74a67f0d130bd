"""`status`: who runs, what waits, how late it was."""

import click

from mainspring.cli.session import Session
from mainspring.cli.terminal import coloured, out, pairs, say, table
from mainspring.cli.verb import verb
from mainspring.engine.clockwatch import said
from mainspring.lateness import BY, WINDOWS, Late, NamedLate, read_lateness
from mainspring.status import Lateness, Status
from mainspring.when.instants import parse_instant
from mainspring.when.readable import distance, exact, span

_LATE = ("P50", "P90", "P99", "MAX LATE")


@verb("status", examples="mainspring status\nmainspring status --by name --last 24h\nmainspring status --json")
@click.option("--by", type=click.Choice(BY), help="Lateness alone, of each name, queue or schedule; the latest first.")
@click.option(
    "--last", type=click.Choice(tuple(WINDOWS)), default="1h", show_default=True, help="Of --by: how far back."
)
def status_verb(session: Session, by: str | None, last: str) -> int:
    """Show daemons, workers, listeners, schedules, counts and lateness, as they are now."""
    client = session.client
    if by is not None:
        found = read_lateness(client.store, client.clock.now(), [last])[0]
        rows = {"name": found.names, "queue": found.queues, "schedule": found.schedules}[by]
        if not session.answer(rows):
            _show_by(by, last, rows)
        return 0
    status = client.status()
    if not session.answer(status):
        _show(session, status, client.clock.now())
    return 0


def _show_by(by: str, last: str, rows: list[NamedLate]) -> None:
    if rows:
        table((by.upper(), "STARTS", *_LATE), [(one.name, *_late_cells(one)) for one in rows], grow=0)
    else:
        what = "no schedule's task" if by == "schedule" else "nothing"
        say(f"{what} started in the last {last}")


def _show(session: Session, status: Status, now: int) -> None:
    zone = session.zone()
    workers = status.workers
    lines = [
        ("store", status.store),
        ("tasks", ", ".join(f"{count} {state}" for state, count in status.counts.items() if count) or "none"),
        ("workers", f"{workers.busy} of {workers.total} busy" if status.nodes else "none"),
        ("lateness", _lateness(status.lateness_ms)),
    ]
    if status.paused:
        names = ["everything" if name == "*" else f"queue {name}" for name in status.paused]
        lines.append(("paused", ", ".join(names)))
    if status.unresolved:
        lines.append(("unresolved", f"{status.unresolved} wait that no running daemon may run; their logs say why"))
    pairs(lines)
    if status.nodes:
        out()
        table(
            ("DAEMON", "HOST", "PID", "VERSION", "BUSY", "STARTED"),
            [
                (
                    str(node.id), node.host, str(node.pid), node.version, f"{node.busy}/{node.workers}",
                    _moment(node.started_at, now),
                )
                for node in status.nodes
            ],
            grow=1,
        )  # fmt: skip
    else:
        out(coloured(f"no daemon runs this store; start one: {session.start_command}", "yellow"))
    _show_clocks(status, now)
    _show_parts(status)
    if any(one.count for one in status.lateness):
        out()
        table(("LAST", "STARTS", *_LATE), [(one.window, *_late_cells(one)) for one in status.lateness])
    if status.listeners:
        out()
        table(
            ("LISTENER", "STATE", "RESTARTS", "LAST ERROR"),
            [(one.name, one.state, str(one.restarts), one.last_error or "") for one in status.listeners],
        )
    if status.schedules:
        out()
        rows = []
        for one in status.schedules:
            at = None if one.next_run_at is None else parse_instant(one.next_run_at)
            when = "paused" if one.paused else "" if at is None else distance(at, now)
            rows.append((one.name, when, "" if at is None or one.paused else exact(at, zone)))
        table(("SCHEDULE", "NEXT", "AT"), rows, grow=0)


def _show_clocks(status: Status, now: int) -> None:
    """Which daemons' clocks were set, or machines slept, and when."""
    for node in status.nodes:
        if node.clock is not None:
            moved = (round(node.clock.set_by * 1e6), round(node.clock.slept * 1e6))
            out(coloured(f"daemon {node.id}: {said(*moved)}, {_moment(node.clock.at, now)}", "yellow"))


def _show_parts(status: Status) -> None:
    """Where lateness came from, on each daemon that knows."""
    rows = [
        (str(node.id), part, *map(_ms, (late.p50, late.p99, late.max)))
        for node in status.nodes
        for part, late in (
            ("timer", node.lateness.timer),
            ("wait for a worker", node.lateness.worker),
            ("start", node.lateness.start),
        )
        if late.max is not None
    ]
    if rows:
        out()
        table(("DAEMON", "LATE BY", "P50", "P99", "MAX"), rows)


def _ms(value: float | None) -> str:
    return "" if value is None else span(round(value * 1000))


def _late_cells(late: Late) -> tuple[str, ...]:
    """How many starts, and how late they were."""
    values = (late.p50, late.p90, late.p99, late.max)
    return str(late.count), *map(_ms, values)


def _moment(text: str, now: int) -> str:
    return distance(parse_instant(text), now)


def _lateness(lateness: Lateness) -> str:
    if lateness.p50 is None:
        return "nothing ran yet"
    return f"p50 {lateness.p50:.1f} ms, p90 {lateness.p90:.1f} ms, p99 {lateness.p99:.1f} ms, max {lateness.max:.1f} ms"
