"""`listeners`: work without an end."""

import click

from mainspring.cli import completing
from mainspring.cli.session import Session
from mainspring.cli.standings import changed, one, removed
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
@click.argument("name", shell_complete=completing.listeners)
def _show(session: Session, name: str) -> int:
    """Show a listener: its state, restarts and last error."""
    shown = _shown(session, one(session.client.listeners(), "listener", name))
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


@verb("pause", examples="mainspring listeners pause orders")
@click.argument("names", nargs=-1, required=True, metavar="NAME ...", shell_complete=completing.listeners)
def _pause(session: Session, names: tuple[str, ...]) -> int:
    """Stop listeners, and keep them stopped until `resume`."""
    return changed(session, "listener", names, lambda client: client.listeners(), Listener.pause, _shown, "is paused")


@verb("resume", examples="mainspring listeners resume orders")
@click.argument("names", nargs=-1, required=True, metavar="NAME ...", shell_complete=completing.listeners)
def _resume(session: Session, names: tuple[str, ...]) -> int:
    """Let listeners run again."""
    return changed(session, "listener", names, lambda client: client.listeners(), Listener.resume, _shown, "may run")


@verb("restart", examples="mainspring listeners restart orders")
@click.argument("names", nargs=-1, required=True, metavar="NAME ...", shell_complete=completing.listeners)
def _restart(session: Session, names: tuple[str, ...]) -> int:
    """Ask listeners to stop, and start them anew."""
    return changed(
        session, "listener", names, lambda client: client.listeners(), Listener.restart, _shown, "is started anew"
    )


@verb("remove", examples="mainspring listeners remove orders")
@click.argument("names", nargs=-1, required=True, metavar="NAME ...", shell_complete=completing.listeners)
def _remove(session: Session, names: tuple[str, ...]) -> int:
    """Stop listeners and forget them."""
    return removed(session, "listener", names, lambda client: client.listeners())


for _verb in (_list, _show, _pause, _resume, _restart, _remove):
    listeners_verb.add_command(_verb)
