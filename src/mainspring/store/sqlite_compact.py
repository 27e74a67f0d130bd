"""Giving back the room that forgotten tasks have left in a store's file.

With nobody else at work the file is written anew. While daemons run pages are moved and cut off a few at a time: a
writer waits for one such step at most. That needs a file that was once written anew by this; in others the free pages
stay, and are used again.
"""

import os
import time
from contextlib import closing
from typing import Literal

import apsw
import msgspec

from mainspring.errors import StoreConflict
from mainspring.store.migrate import bring_up
from mainspring.store.sqlite_alone import alone
from mainspring.store.sqlite_connection import Connections
from mainspring.store.sqlite_copy import Progress, nothing, opened_to_read
from mainspring.when.clock import Clock

_INCREMENTAL = 2  # of PRAGMA auto_vacuum
_FIRST_PAGES, _MOST_PAGES = 64, 4_096
_WANTED_US = 20_000  # how long a step may hold the write lock; the number of pages follows what was measured
_LOG_PAGES = 1_000


class Compacted(msgspec.Struct, frozen=True):
    """Bytes of file and log `before` and `after`; `free` of them are still unused.

    `how`: `anew` (written anew, alone), `steps` (beside others), `log` (beside others, and only the log was shortened).
    `longest_hold_us`: for how long at a time no other could write.
    """

    how: Literal["anew", "steps", "log"]
    before: int
    after: int
    free: int
    longest_hold_us: int


def compact(path: str, clock: Clock, progress: Progress = nothing) -> Compacted:
    """Make the store at `path` as small as it can be made beside whoever uses it."""
    path = os.path.realpath(path)
    with opened_to_read(path):
        before = _size(path)  # while somebody has it open, so that the log is still there
    how: Literal["anew", "steps", "log"] = "anew"
    try:
        hold = _anew(path, clock)
    except StoreConflict:
        how, hold = _in_steps(path, clock, progress)
    with opened_to_read(path) as con:
        free = int(con.pragma("freelist_count")) * int(con.pragma("page_size"))
    return Compacted(how, before, _size(path), free, hold)


def _anew(path: str, clock: Clock) -> int:
    begun = clock.monotonic()
    with alone(path) as con:
        bring_up(con, path, create=False)
        con.execute(f"PRAGMA auto_vacuum = {_INCREMENTAL}; VACUUM")
    return clock.monotonic() - begun


def _in_steps(path: str, clock: Clock, progress: Progress) -> tuple[Literal["steps", "log"], int]:
    longest = 0
    with closing(Connections(path, create=False)) as db:
        if db.look("PRAGMA auto_vacuum") != _INCREMENTAL:
            db.keep_log_short(0)
            return "log", 0
        free = first = int(str(db.look("PRAGMA freelist_count")))
        pages = _FIRST_PAGES
        while free:
            with db.write(durable=False) as con:
                begun = clock.monotonic()
                _cut(con, pages)
                left = int(con.pragma("freelist_count"))
            hold = clock.monotonic() - begun
            longest = max(longest, hold)
            pages = max(1, min(_MOST_PAGES, 2 * pages, pages * _WANTED_US // max(hold, 1)))
            db.keep_log_short(_LOG_PAGES)
            progress(max(0, first - left), first)
            if left >= free:  # others free pages faster, or what is left cannot be moved
                break
            free = left
            time.sleep(hold / 1e6)  # half of the time is for others, who may come in only now
        db.keep_log_short(0)
    return "steps", longest


def _cut(con: apsw.Connection, pages: int) -> None:
    for _ in con.execute(f"PRAGMA incremental_vacuum({pages})"):
        pass


def _size(path: str) -> int:
    return sum(os.stat(name).st_size for name in (path, f"{path}-wal") if os.path.exists(name))
