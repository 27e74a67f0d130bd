"""`store`: looking after the store's file: check, backup, restore, compact, export, import."""

import os
import sys

import click

from mainspring.cli.session import Session
from mainspring.cli.terminal import clean, out
from mainspring.cli.verb import Verbs, common_options, verb


@click.group("store", cls=Verbs, no_args_is_help=False, params=common_options())
def store_verb(**_: object) -> None:
    """Look after the store's file, also while daemons run."""


def path_of(session: Session) -> str:
    """The file of the store; one in memory has none."""
    from mainspring.setting_values import store_path

    if session.url == "memory:":
        raise click.UsageError("a store in memory has no file, and ends with its process; give --store a path")
    return os.path.realpath(store_path(session.url))


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
    size = backup(path, target, force=force, progress=Meter("copying"))
    full = os.path.realpath(target)
    if not session.answer({"store": session.url, "backup": full, "bytes": size}):
        out(f"backed up to {clean(full)}: {size:,} bytes, checked")
    return 0


store_verb.add_command(backup_verb)
