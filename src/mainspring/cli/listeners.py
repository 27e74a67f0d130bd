"""`listeners`: work without an end."""

import click

from mainspring.cli import completing
from mainspring.cli.session import Session
from mainspring.cli.standings import Standings
from mainspring.cli.terminal import clean, out, pairs, say, table
from mainspring.cli.verb import Family, verb
from mainspring.cli.work import what
from mainspring.shown import ShownListener, shown_listener
from mainspring.standing import Listener
from mainspring.when.durations import format_duration


@click.group("listeners", cls=Family)
def listeners_verb(**_: object) -> None:
    """List, show, remove, pause, resume or restart listeners. Alone: list."""


def _shown(session: Session, listener: Listener) -> ShownListener:
    """With its state as `status` tells it: one whose daemon died is down, whatever it said last."""
    states = {one.name: one.state for one in session.client.status().listeners}
    return shown_listener(listener.standing, states.get(listener.name, "down"), session.client.registry)


_listeners = Standings("listener", lambda client: client.listeners(), _shown, completing.listeners, "orders")


@verb("list", examples="mainspring listeners\nmainspring listeners list --json")
def _list(session: Session) -> int:
    """List the listeners of the store."""
    shown = [_shown(session, listener) for listener in session.client.listeners()]
    if session.answer(shown):
        return 0
    rows = [(line.name, line.state, str(line.restarts), what(line), line.last_error or "") for line in shown]
    if rows:
        table(("NAME", "STATE", "RESTARTS", "WHAT", "LAST ERROR"), rows)
    else:
        say("there are no listeners; add one: mainspring listen -- PROGRAM")
    return 0


@verb("show", examples="mainspring listeners show orders")
@_listeners.name
def _show(session: Session, name: str) -> int:
    """Show a listener: its state, restarts and last error."""
    shown = _shown(session, _listeners.one(session, name))
    if session.answer(shown):
        return 0
    lines = [
        ("listener", shown.name),
        ("state", shown.state),
        ("runs", what(shown) + (", in every daemon" if shown.everywhere else "")),
        ("pause", f"{format_duration(round(shown.pause * 1e6))} between turns"),
        ("restarts", str(shown.restarts)),
        ("last error", shown.last_error or "none"),
        ("declared in", shown.app or "the command line"),
    ]
    pairs(lines)
    if shown.output:
        out("output before its last end:")
        for line in shown.output.rstrip("\n").split("\n"):
            out(f"  {clean(line)}")
    return 0


for _verb in (
    _list,
    _show,
    _listeners.changing("pause", Listener.pause, "is paused", "Stop listeners, and keep them stopped until `resume`."),
    _listeners.changing("resume", Listener.resume, "may run", "Let listeners run again."),
    _listeners.changing("restart", Listener.restart, "is started anew", "Ask listeners to stop, and start them anew."),
    _listeners.removing("Stop listeners and forget them."),
):
    listeners_verb.add_command(_verb)
