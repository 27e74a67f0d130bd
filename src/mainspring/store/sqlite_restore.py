"""A backup in the place of a store: checked first, with what was there kept aside, and no number given twice.

Where there is a readable store its pages are replaced by SQLite itself, in one transaction: after a kill in the middle
the old store is there. A file that cannot be read is moved aside, and the copy gets its name.
"""

import os
from contextlib import closing, nullcontext, suppress
from datetime import UTC, datetime

import apsw
import msgspec

from mainspring.errors import StoreConflict, StoreError
from mainspring.store import sqlite_nodes
from mainspring.store.migrate import bring_up
from mainspring.store.sqlite_alone import alone, refuse_living
from mainspring.store.sqlite_check import findings_in
from mainspring.store.sqlite_copy import (
    Partial,
    Progress,
    check_head,
    copy_pages,
    nothing,
    opened_to_read,
    sync_folder,
    told,
    transfer,
)

# Where the old store cannot tell which numbers it has given, so many are left out: more than it can have given.
_IDS_LEFT_OUT = 1_000_000_000
_TOKENS_LEFT_OUT = 2**40
_TOKENS_OF_A_START = 2**24


class Restored(msgspec.Struct, frozen=True):
    """`aside`: where the file is now that was replaced, if there was one; `running`: tasks that ran in the copy."""

    aside: str | None
    tasks: int
    running: int


class _Numbers(msgspec.Struct, frozen=True):
    """The largest numbers a store has given: ids by table, and its token."""

    ids: dict[str, int]
    token: int


def restore(path: str, source: str, now: int, progress: Progress = nothing) -> Restored:
    """Put the store at `source` in the place of that at `path`. `now` (µs) names the file that is kept aside.

    Raises `StoreConflict` when anybody has the store open, `StoreError` when `source` is damaged, `NotAStore` when one
    of the two is something else. Nothing has changed then.
    """
    path, source = os.path.realpath(path), os.path.realpath(source)
    if path == source:
        raise StoreConflict(f"{source} is the store itself: name a backup of it")
    refuse_living(path)
    stamp = datetime.fromtimestamp(now / 1e6, UTC).strftime("%Y%m%dT%H%M%S.%f")
    aside = f"{path}.replaced-{stamp}Z"
    with opened_to_read(source) as con, Partial(path) as partial:
        copy_pages(con, partial.path, progress)
        _check(partial.path, source)
        readable = _is_readable(path)
        with alone(path) if readable else nullcontext() as old:
            numbers = None
            if old is not None:
                numbers = _numbers(old)
                with Partial(aside) as kept:
                    copy_pages(old, kept.path)
                    kept.name()
            counts = _prepare(partial.path, numbers)
            if old is None:
                there = _move_aside(path, aside)
                partial.name()
                _forget_journals(path)
                return Restored(aside if there else None, *counts)
            with closing(apsw.Connection(partial.path, flags=apsw.SQLITE_OPEN_READWRITE)) as new:
                transfer(new, old)
            _forget_journals(path)
    return Restored(aside, *counts)


def _check(copy: str, source: str) -> None:
    """Bring the copy up to date and look it over. Raises `StoreError` with the first thing that is wrong."""
    with told(source), closing(apsw.Connection(copy, flags=apsw.SQLITE_OPEN_READWRITE)) as con:
        bring_up(con, source, create=False)
    found = findings_in(copy)
    if found:
        raise StoreError(
            f"{source} is damaged, and nothing was restored: {found[0].says}"
            + (f" (and {len(found) - 1} more; `mainspring store check` tells them)" if len(found) > 1 else "")
        )


def _is_readable(path: str) -> bool:
    """Is there a store to write to? False: nothing, or something broken. Raises `NotAStore` for somebody else's."""
    try:
        check_head(path)
    except StoreError as error:
        if os.path.isdir(path) or isinstance(error.__cause__, apsw.Error):  # nothing is wrong with what is in it
            raise
        return False
    try:
        with opened_to_read(path) as con:
            _numbers(con)
    except StoreError as error:
        if isinstance(error.__cause__, apsw.CorruptError | apsw.NotADBError):
            return False
        raise
    return True


def _numbers(con: apsw.Connection) -> _Numbers:
    ids = {str(name): int(seq) for name, seq in con.execute("SELECT name, seq FROM sqlite_sequence")}
    return _Numbers(ids, int(con.execute("SELECT value FROM meta WHERE key = 'token'").get))


def _prepare(path: str, old: _Numbers | None) -> tuple[int, int]:
    """Bring the copy past all numbers that were ever given; how many tasks it has, and that ran."""
    with closing(apsw.Connection(path, flags=apsw.SQLITE_OPEN_READWRITE)) as con:
        con.execute("PRAGMA synchronous = FULL; BEGIN IMMEDIATE")
        own = _numbers(con)
        for name in own.ids:
            last = own.ids[name] + _IDS_LEFT_OUT if old is None else max(own.ids[name], old.ids.get(name, 0))
            con.execute("UPDATE sqlite_sequence SET seq = ? WHERE name = ?", (last, name))
        token = own.token + _TOKENS_LEFT_OUT if old is None else max(own.token, old.token)
        token = (token // _TOKENS_OF_A_START + 1) * _TOKENS_OF_A_START
        con.execute("UPDATE meta SET value = ? WHERE key = 'token'", (token,))
        counts = con.execute("SELECT count(*), count(*) FILTER (WHERE state = 1) FROM task").get
        con.execute("COMMIT")
    return int(counts[0]), int(counts[1])


def _move_aside(path: str, aside: str) -> bool:
    """What cannot be read, with its log; was there anything?"""
    there = False
    for suffix in ("-shm", "-wal", "-journal", ""):
        with suppress(FileNotFoundError):
            os.rename(path + suffix, aside + suffix)
            there = True
    sync_folder(os.path.dirname(path))
    return there


def _forget_journals(path: str) -> None:
    """What daemons noted beside the replaced store says nothing about this one."""
    folder = f"{path}-nodes"
    if os.path.isdir(folder):
        sqlite_nodes.forget_all_but(folder, [])
