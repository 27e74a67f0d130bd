"""`status`: who runs, what waits, how late it was."""

from mainspring.cli.session import Session
from mainspring.cli.terminal import coloured, out, pairs, table
from mainspring.cli.times import distance, exact
from mainspring.cli.verb import verb
from mainspring.status import Lateness, Status
from mainspring.when.instants import parse_instant


@verb("status", examples="mainspring status\nmainspring status --app shop:daemon --json")
def status_verb(session: Session) -> int:
    """Show daemons, workers, listeners, schedules, counts and lateness, as they are now."""
    client = session.client
    status = client.status()
    if not session.answer(status):
        _show(session, status, client.clock.now())
    return 0


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


def _moment(text: str, now: int) -> str:
    return distance(parse_instant(text), now)


def _lateness(lateness: Lateness) -> str:
    if lateness.p50 is None:
        return "nothing ran yet"
    return f"p50 {lateness.p50:.1f} ms, p90 {lateness.p90:.1f} ms, p99 {lateness.p99:.1f} ms, max {lateness.max:.1f} ms"
