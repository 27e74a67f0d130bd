"""`store`: looking after the store's file: check, backup, restore, compact, export, import."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from typing import TYPE_CHECKING, Literal

import click
import msgspec

from mainspring.cli.failure import FAILED, NOT_FOUND, Failure
from mainspring.cli.session import Session
from mainspring.cli.terminal import clean, out
from mainspring.cli.verb import Verbs, common_options, verb

if TYPE_CHECKING:
    from mainspring.store.rows import Standing


@click.group("store", cls=Verbs, no_args_is_help=False, params=common_options())
def store_verb(**_: object) -> None:
    """Look after the store's file, also while daemons run."""


def path_of(session: Session) -> str:
    """The file of the store; one in memory has none."""
    from mainspring.setting_values import store_path

    if session.url == "memory:":
        raise click.UsageError("a store in memory has no file, and ends with its process; give --store a path")
    if session.url.startswith("postgresql:"):
        raise click.UsageError(
            "a store on PostgreSQL has no file: look after it as after every database (pg_dump, replicas, VACUUM)"
        )
    return os.path.realpath(store_path(session.url))


@contextmanager
def not_found(session: Session) -> Iterator[None]:
    """Where there is no store: how one is made."""
    from mainspring.errors import StoreNotFound

    try:
        yield
    except StoreNotFound:
        raise Failure(f"there is no store at {session.url}; --store names another place", NOT_FOUND) from None


def understood(one: "Standing") -> None:
    """Read a schedule or listener as a daemon does; raises `ValueError`."""
    from mainspring.engine.definitions import listener_of, status_of, trigger_of

    if one.kind == "schedule":
        trigger_of(one)
    else:
        listener_of(one)
        status_of(one)


class Meter:
    """How far it is, in percent, on a terminal alone."""

    def __init__(self, what: str) -> None:
        self._what = what
        self._said = -1
        self._shown = sys.stderr.isatty()

    def __call__(self, done: int, of: int) -> None:
        """`done` of `of` parts."""
        percent = 100 * done // max(of, 1)
        if self._shown and percent > self._said:
            self._said = percent
            click.echo(f"\r{self._what} {percent:3} %", err=True, nl=percent == 100)


@verb("backup", examples="mainspring store backup monday.db\nmainspring store backup --force latest.db")
@click.argument("target", type=click.Path(), metavar="TARGET")
@click.option("--force", is_flag=True, help="Replace a file that is there.")
def backup_verb(session: Session, target: str, force: bool) -> int:
    """Copy the store to the file TARGET, as it is at one moment. Daemons go on meanwhile.

    The copy is checked before it gets its name: a file of that name is whole.
    """
    from mainspring.store.sqlite_backup import backup

    path = path_of(session)
    with not_found(session):
        size = backup(path, target, force=force, progress=Meter("copying"))
    full = os.path.realpath(target)
    if not session.answer({"store": session.url, "backup": full, "bytes": size}):
        out(f"backed up to {clean(full)}: {size:,} bytes, checked")
    return 0


@verb("check", examples="mainspring store check\nmainspring store check --store monday.db --json")
def check_verb(session: Session) -> int:
    """Look the store over, and change nothing: its pages, its indexes, each row, and what must hold between them.

    Daemons go on meanwhile. Exit code 1 when something is found; each finding is a line.
    """
    from mainspring.store.sqlite_check import findings_in

    path = path_of(session)
    with not_found(session):
        found = findings_in(path, Meter("checking"), understood)
    if not session.answer({"store": session.url, "ok": not found, "findings": found}):
        for finding in found:
            out(f"{finding.check}: {clean(finding.says)}")
        out(f"{clean(path)} is {'not sound' if found else 'sound'}")
    return FAILED if found else 0


@verb("restore", examples="mainspring store restore monday.db")
@click.argument("source", type=click.Path(), metavar="SOURCE")
def restore_verb(session: Session, source: str) -> int:
    """Put the backup SOURCE in the place of the store, which nobody may have open then. What was there is kept aside.

    SOURCE is checked first. Ids and fences go on after those of the replaced store. What was running in the backup
    counts as lost when the next daemon starts, and runs again unless it may not.
    """
    from mainspring.store.sqlite_restore import restore

    path = path_of(session)
    restored = restore(path, source, session.now(), Meter("copying"))
    if not session.answer({"store": session.url, **msgspec.structs.asdict(restored)}):
        out(f"restored {clean(path)}: {restored.tasks:,} tasks")
        if restored.aside is not None:
            out(f"what was there is kept as {clean(restored.aside)}")
        if restored.running:
            out(f"{restored.running:,} were running in the backup: the next daemon to start takes them over as lost")
    return 0


@verb("compact", examples="mainspring store compact")
def compact_verb(session: Session) -> int:
    """Give back the room that forgotten tasks have left in the file.

    When nobody has the store open the file is written anew. While daemons run it is shortened in small steps, if it was
    once written anew by this; else only the log is, and what is free is used for further tasks.
    """
    from mainspring.store.sqlite_compact import compact
    from mainspring.when.clock import SystemClock

    path = path_of(session)
    with not_found(session):
        done = compact(path, SystemClock(), Meter("compacting"))
    if not session.answer({"store": session.url, **msgspec.structs.asdict(done)}):
        out(f"{clean(path)}: {done.before:,} bytes before, {done.after:,} after")
        if done.how == "steps":
            out(f"others waited {done.longest_hold_us / 1000:.1f} ms at most")
        if done.how == "log" and done.free:
            out(f"{done.free:,} bytes in it are free; with all daemons and programs stopped this gives them back")
    return 0


@verb("export", examples="mainspring store export store.jsonl\nmainspring store export | gzip > store.jsonl.gz")
@click.argument("target", type=click.Path(dir_okay=False, allow_dash=True), default="-", metavar="[FILE]")
@click.option("--force", is_flag=True, help="Replace a file that is there.")
def export_verb(session: Session, target: str, force: bool) -> int:
    """Write all there is in the store as JSON lines to FILE (none, or -: standard output). Daemons go on meanwhile.

    It is the store of one moment: tasks with their attempts and output, schedules, listeners, paused queues.
    """
    from mainspring.store.portable import written
    from mainspring.store.sqlite_copy import Partial, taken
    from mainspring.store.sqlite_export import exported

    path = path_of(session)
    if target == "-" and session.as_json:
        raise click.UsageError("--json and the export would both be written to standard output; name a FILE")
    if target != "-" and os.path.lexists(target) and not force:
        raise taken(os.path.realpath(target))
    with not_found(session):
        lines = written(exported(path, session.now(), Meter("exporting")))
        if target == "-":
            for line in lines:
                sys.stdout.buffer.write(line)
            sys.stdout.buffer.flush()
            return 0
        with Partial(target) as partial:
            with open(partial.path, "wb") as file:
                file.writelines(lines)
            size = os.stat(partial.path).st_size
            partial.name(force=force)
    full = os.path.realpath(target)
    if not session.answer({"store": session.url, "export": full, "bytes": size}):
        out(f"exported to {clean(full)}: {size:,} bytes")
    return 0


@verb("import", examples="mainspring store import store.jsonl\nzcat store.jsonl.gz | mainspring store import -")
@click.argument("source", type=click.Path(dir_okay=False, allow_dash=True), metavar="FILE")
@click.option(
    "--on-conflict", type=click.Choice(["error", "keep"]), default="error", show_default=True,
    help="When a key or a name is in use here: stop, or keep what is here.",
)  # fmt: skip
def import_verb(session: Session, source: str, on_conflict: Literal["error", "keep"]) -> int:
    """Take in what `store export` wrote (-: standard input), in small commits. Daemons go on meanwhile.

    Again, and it goes on where it was cut short: what is here already is not added twice. Tasks keep their ids where
    those are free. What was running counts as lost, and runs again unless it may not.
    """
    from mainspring.store.portable import LONGEST
    from mainspring.store.sqlite_import import import_lines

    path = path_of(session)
    try:
        with nullcontext(sys.stdin.buffer) if source == "-" else open(source, "rb") as file:
            lines = iter(lambda: file.readline(LONGEST + 1), b"")
            told = import_lines(path, lines, on_conflict=on_conflict, progress=Meter("importing"))
    except FileNotFoundError:
        raise Failure(f"there is no file {source!r}; mainspring store export {source} writes one", NOT_FOUND) from None
    if not session.answer({"store": session.url, **msgspec.structs.asdict(told)}):
        out(f"imported {told.tasks:,} tasks, {told.schedules:,} schedules, {told.listeners:,} listeners")
        for count, words in (
            (told.known, "tasks were here from an earlier import"),
            (told.kept, "tasks, schedules and listeners were left out, for there is another one here"),
            (told.lost, "of the tasks were running: they count as lost"),
        ):
            if count:
                out(f"{count:,} {words}")
    if told.tasks:
        session.warn_if_nobody_runs()
    return 0


for _one in (check_verb, backup_verb, restore_verb, compact_verb, export_verb, import_verb):
    store_verb.add_command(_one)
