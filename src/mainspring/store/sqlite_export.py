"""The lines of a store in a file, as they are at one moment, while daemons run.

The pages of that moment are copied aside first, which takes as long as the disk needs; the lines are made from the
copy, which may take as long as whoever reads them likes. So the store at work is never held for a slow reader.
"""

import os
import secrets
from collections.abc import Iterator
from contextlib import closing

import apsw
import msgspec

from mainspring.store import sqlite_sql as sql
from mainspring.store.portable import FORMAT, ArrivalLine, Head, Line, OutboxRow, Pause, standing_line, task_line
from mainspring.store.rows import AttemptRow, Standing, TaskRow
from mainspring.store.sqlite_connection import Connections
from mainspring.store.sqlite_copy import Partial, Progress, copy_pages, nothing, opened_to_read, told

_PAGE = 250  # tasks that are read at a time: they may have megabytes each
_ORIGIN = "SELECT value FROM meta WHERE key = 'origin'"
_IDS = "SELECT json_group_array(id) FROM (SELECT id FROM task WHERE id > ? ORDER BY id LIMIT ?)"
_ATTEMPTS = """
SELECT json_group_array(json_array(task, json_array(attempt, started_at, finished_at, reason, error)) ORDER BY id)
FROM attempt WHERE task IN (SELECT value FROM json_each(?))"""
_OUTPUTS = "SELECT json_group_array(json_array(task, text)) FROM output WHERE task IN (SELECT value FROM json_each(?))"

_OUTBOXES = """
SELECT json_group_array(json_array(task, json_array(id, json(iif(gone, 'true', 'false')))) ORDER BY id)
FROM arrival WHERE task IN (SELECT value FROM json_each(?))"""
_NO_TASKS = """
SELECT id, task IS NULL FROM arrival WHERE task IS NULL OR task NOT IN (SELECT id FROM task) ORDER BY id"""

_ids = msgspec.json.Decoder(list[int])
_tasks = msgspec.json.Decoder(list[TaskRow])
_attempts = msgspec.json.Decoder(list[tuple[int, AttemptRow]])
_outputs = msgspec.json.Decoder(list[tuple[int, str]])
_outboxes = msgspec.json.Decoder(list[tuple[int, OutboxRow]])
_queues = msgspec.json.Decoder(list[str | None])
_standings = msgspec.json.Decoder(list[Standing])


def exported(path: str, now: int, progress: Progress = nothing) -> Iterator[Line]:
    """The lines of the store at `path`, as of the moment the first is asked for. `now`: µs, for the first line."""
    path = os.path.realpath(path)
    with Partial(f"{path}.export") as copy:
        with opened_to_read(path):
            pass
        _have_origin(path)
        with opened_to_read(path) as con:
            copy_pages(con, copy.path)
        with opened_to_read(copy.path) as con, told(path):
            yield from _lines(con, now, progress)


def _have_origin(path: str) -> None:
    """A store gets its name when it is first exported: by it an import knows what it has taken in already."""
    with closing(Connections(path, create=False)) as db:
        if db.look(_ORIGIN) is None:
            with db.write(durable=True) as con:
                con.execute("INSERT OR IGNORE INTO meta VALUES ('origin', ?)", (secrets.randbits(62),))


def _lines(con: apsw.Connection, now: int, progress: Progress) -> Iterator[Line]:
    count = int(con.execute("SELECT count(*) FROM task").get)
    token = int(con.execute("SELECT value FROM meta WHERE key = 'token'").get)
    yield Head(FORMAT, f"{con.execute(_ORIGIN).get:016x}", now, token, count)
    yield from (Pause(queue) for queue in _queues.decode(con.execute(sql.PAUSED).get))
    last = done = 0
    while wanted := _ids.decode(ids := con.execute(_IDS, (last, _PAGE)).get):
        attempts: dict[int, list[AttemptRow]] = {}
        for task, attempt in _attempts.decode(con.execute(_ATTEMPTS, (ids,)).get):
            attempts.setdefault(task, []).append(attempt)
        outboxes: dict[int, list[OutboxRow]] = {}
        for task, outbox in _outboxes.decode(con.execute(_OUTBOXES, (ids,)).get):
            outboxes.setdefault(task, []).append(outbox)
        outputs = dict(_outputs.decode(con.execute(_OUTPUTS, (ids,)).get))
        rows = _tasks.decode(con.execute(sql.ROWS_BY_ID, (ids,)).get)
        for row in sorted(rows, key=lambda row: row.id):
            yield task_line(row, attempts.get(row.id, ()), outputs.get(row.id), outboxes.get(row.id, ()))
        last = wanted[-1]
        done += len(wanted)
        progress(done, count)
    yield from (ArrivalLine(id_, bool(withdrawn)) for id_, withdrawn in con.execute(_NO_TASKS))
    for place in list(con.execute("SELECT kind, name FROM standing ORDER BY kind, name")):
        yield from map(standing_line, _standings.decode(con.execute(sql.STANDING, place).get))
