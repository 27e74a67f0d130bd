"""Looking a store's file over: SQLite's own check of pages and indexes, and what must hold between our rows.

Nothing is changed. Rows are read a page at a time, so that no transaction is long for their sake; what spans rows is
one statement each, and sees one moment. So a store at work is checked as one at rest.
"""

import os
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from itertools import pairwise

import apsw
import msgspec

from mainspring.errors import StoreError, StoreNotFound
from mainspring.store import sqlite_sql as sql
from mainspring.store.migrate import STEPS
from mainspring.store.row_rules import wrong_with
from mainspring.store.rows import Demand, Standing, TaskRow, Verdict
from mainspring.store.sqlite_connection import explained
from mainspring.store.sqlite_copy import Progress, nothing, opened_to_read
from mainspring.store.sqlite_torn import torn

_PAGE = 250  # tasks that are read at a time: they may have megabytes each
_SAID = 100  # findings of one kind; of more the number is said

_ids = msgspec.json.Decoder(list[int])
_raws = msgspec.json.Decoder(list[msgspec.Raw])
_tasks = msgspec.json.Decoder(list[TaskRow])
_task = msgspec.json.Decoder(TaskRow)
_standing = msgspec.json.Decoder(list[Standing])
_demand = msgspec.json.Decoder(Demand)
_verdict = msgspec.json.Decoder(Verdict)
_json = msgspec.json.Decoder(dict[str, object])
_NOT_READ = (msgspec.DecodeError, ValueError, TypeError)  # the last: a number, or nothing, where text stands


class Finding(msgspec.Struct, frozen=True):
    """Something that is not as it must be, said in a line. `check`: `file`, `pages`, `schema`, `rows` or `between`."""

    check: str
    says: str


Understand = Callable[[Standing], object]


def findings_in(path: str, progress: Progress = nothing, understand: Understand | None = None) -> list[Finding]:
    """Everything that is wrong with the store at `path`; empty when it is sound. Raises `StoreNotFound` alone.

    `understand` reads a schedule or listener, whose definition means nothing here, and raises `ValueError`. Of a store
    that an older version wrote pages and schema are checked, and no rows.
    """
    found: list[Finding] = []
    try:
        with opened_to_read(os.path.realpath(path)) as con:
            try:
                if said := torn(con, os.path.realpath(path)):
                    found.append(Finding("file", said))
                for finding in _all(con, progress, understand):
                    found.append(finding)  # noqa: PERF402  # what was found before an error counts
            except apsw.Error as error:
                found.append(Finding("file", str(explained(path, error))))
    except StoreNotFound:
        raise
    except StoreError as error:
        found.append(Finding("file", str(error)))
    return found


def _all(con: apsw.Connection, progress: Progress, understand: Understand | None) -> Iterator[Finding]:
    pages = [str(text) for (text,) in con.execute(f"PRAGMA integrity_check({_SAID})")]
    if pages != ["ok"]:
        yield from (Finding("pages", text.replace("\n", "; ")) for text in pages)
    schema = list(_schema(con))
    yield from schema
    if not schema and int(con.pragma("user_version")) == len(STEPS):  # else the statements do not fit
        yield from _bounded(_rows(con, progress), "rows")
        yield from _bounded(_others(con, understand), "rows")
        yield from _bounded(_between(con), "between")


def _bounded(texts: Iterator[str], check: str) -> Iterator[Finding]:
    count = 0
    try:
        for text in texts:
            count += 1
            if count <= _SAID:
                yield Finding(check, text)
    except UnicodeDecodeError as error:
        yield Finding(
            check, f"there is text that is no text, and what comes after it was not read: {error.object[:50]!r}"
        )
    if count > _SAID:
        yield Finding(check, f"and {count - _SAID:,} more of this kind")


def _schema(con: apsw.Connection) -> Iterator[Finding]:
    """Tables, indexes and triggers against those that the steps make."""
    look = "SELECT name, sql FROM sqlite_schema WHERE name NOT LIKE 'sqlite_%'"
    with closing(apsw.Connection(":memory:")) as fresh:
        for step in STEPS[: int(con.pragma("user_version"))]:
            fresh.execute(step)
        wanted = dict(fresh.execute(look))
    there = dict(con.execute(look))
    for name in sorted(wanted.keys() | there.keys()):
        if name not in there:
            yield Finding("schema", f"{name} is missing")
        elif name not in wanted:
            yield Finding("schema", f"{name} is not of a store")
        elif wanted[name] != there[name]:
            yield Finding("schema", f"{name} is another one than this version makes")


# ── rows ───────────────────────────────────────────────────────────────────────────────────────────────────────


def _rows(con: apsw.Connection, progress: Progress) -> Iterator[str]:
    last, end = 0, int(con.execute("SELECT coalesce(max(id), 0) FROM task").get)
    if con.execute("SELECT EXISTS (SELECT 1 FROM task WHERE id < 1)").get:
        yield "there are tasks with numbers below 1"
    while True:
        with _moment(con):
            found = con.execute("SELECT id FROM task WHERE id > ? ORDER BY id LIMIT ?", (last, _PAGE))
            wanted = [int(id_) for (id_,) in found]
            rows = list(_page(con, wanted))
        if not wanted:
            return
        if any(one <= before for before, one in pairwise([last, *wanted])):  # of a damaged page: no way to go on
            yield f"the numbers of the tasks after {last} are in no order: the rest of them was not read"
            return
        yield from (said for _, said in rows if said)
        for lost in set(wanted) - {id_ for id_, _ in rows}:
            yield f"task {lost} is of a lane that is not there"
        last = wanted[-1]
        progress(min(last, end), end)


def _page(con: apsw.Connection, wanted: list[int]) -> Iterator[tuple[int, str]]:
    """The ids of the tasks that are there, each with what is wrong with it."""
    try:
        text = con.execute(sql.ROWS_BY_ID, (msgspec.json.encode(wanted).decode(),)).get
    except (UnicodeDecodeError, apsw.SQLError):  # the latter: bytes, which JSON cannot hold
        if len(wanted) > 1:
            for id_ in wanted:
                yield from _page(con, [id_])
        else:
            yield wanted[0], f"task {wanted[0]} cannot be read: there are bytes where text stands"
    else:
        yield from _decoded(text, wanted)


def _decoded(text: str, wanted: list[int]) -> Iterator[tuple[int, str]]:
    """The ids of the rows, each with what is wrong with it."""
    try:
        tasks = _tasks.decode(text)
    except (msgspec.DecodeError, ValueError):
        for raw in _raws.decode(text.encode("utf-8", "replace")):
            yield from _decoded_alone(bytes(raw), wanted)
        return
    for row in tasks:
        yield row.id, ""
        yield from ((row.id, f"task {row.id} {wrong}") for wrong in wrong_with(row))


def _decoded_alone(raw: bytes, wanted: list[int]) -> Iterator[tuple[int, str]]:
    try:
        row = _task.decode(raw)
    except (msgspec.DecodeError, ValueError) as error:
        with suppress(msgspec.DecodeError, ValueError):
            id_ = msgspec.json.decode(raw, type=list[object])[0]
            if id_ in wanted:
                yield int(str(id_)), f"task {id_} cannot be read: {error}"
    else:
        yield row.id, ""
        yield from ((row.id, f"task {row.id} {wrong}") for wrong in wrong_with(row))


def _others(con: apsw.Connection, understand: Understand | None) -> Iterator[str]:
    """Schedules, listeners, requests and daemons: few."""
    for kind, name in list(con.execute("SELECT kind, name FROM standing")):
        try:
            found = con.execute(sql.STANDING, (kind, name)).get
            if found is not None:
                one = _standing.decode(found)[0]
                _json.decode(one.definition)
                if understand is not None:
                    understand(one)
                if one.status is not None:
                    _json.decode(one.status)
        except _NOT_READ as error:
            yield f"{kind} {name!r} cannot be read: {error}"
    for id_, demand, answer in con.execute("SELECT id, demand, answer FROM request"):
        try:
            _demand.decode(demand)
            if answer is not None:
                _verdict.decode(answer)
        except _NOT_READ as error:
            yield f"request {id_} cannot be read: {error}"
    for id_, text in con.execute("SELECT task, CAST(text AS BLOB) FROM output"):
        try:
            str(text, "utf-8")
        except _NOT_READ as error:
            yield f"the output of task {id_} cannot be read: {error}"
    for id_, unknown in con.execute("SELECT id, unknown FROM node"):
        try:
            _ids.decode(unknown)
        except _NOT_READ as error:
            yield f"daemon {id_} cannot be read: {error}"


# ── between rows ───────────────────────────────────────────────────────────────────────────────────────────────

_TOKEN = "coalesce((SELECT value FROM meta WHERE key = 'token'), 0)"  # noqa: S105
_BETWEEN: tuple[tuple[str, str], ...] = (
    (
        "SELECT id, holder FROM task WHERE holder IS NOT NULL AND holder NOT IN (SELECT id FROM node)",
        "task {} is held by the daemon {}, which is not there",
    ),
    (
        "SELECT id, token FROM task WHERE holder IS NOT NULL AND token IS NULL",
        "task {} is held without a token",
    ),
    (
        f"SELECT id, token FROM task WHERE holder IS NOT NULL AND token > {_TOKEN}",  # noqa: S608
        "task {} is held under the token {}, which was never given",
    ),
    (
        "SELECT kind, name, holder FROM standing WHERE holder IS NOT NULL AND holder NOT IN (SELECT id FROM node)",
        "{} {!r} is held by the daemon {}, which is not there",
    ),
    ("SELECT task FROM attempt WHERE task NOT IN (SELECT id FROM task)", "an attempt is of the task {}, which is gone"),
    ("SELECT task FROM output WHERE task NOT IN (SELECT id FROM task)", "an output is of the task {}, which is gone"),
    (
        "SELECT a.task, a.attempt, t.attempt FROM attempt a JOIN task t ON t.id = a.task WHERE a.attempt > t.attempt",
        "task {} has an attempt {}, but only {} were begun",
    ),
    (
        "SELECT id, task FROM arrival WHERE gone AND task NOT IN (SELECT id FROM task)",
        "the row {} of an outbox is remembered beyond its task {}",
    ),
    ("SELECT queue FROM paused GROUP BY queue HAVING count(*) > 1", "the queue {!r} is paused twice"),
    *(
        (
            f"SELECT m, seq FROM (SELECT max(id) AS m, (SELECT seq FROM sqlite_sequence WHERE name = '{table}') AS seq "  # noqa: S608
            f"FROM {table}) WHERE m > coalesce(seq, 0)",
            f"the {table} {{}} has a number above the last that was given, {{}}",
        )
        for table in ("task", "lane", "request", "node")
    ),
    ("SELECT 1 WHERE NOT EXISTS (SELECT 1 FROM meta WHERE key = 'token')", "the counter of tokens is missing"),
)


def _between(con: apsw.Connection) -> Iterator[str]:
    for statement, words in _BETWEEN:
        for row in con.execute(statement):
            yield words.format(*row)


class _moment:  # noqa: N801  # used as a statement
    """Two looks that see the same."""

    def __init__(self, con: apsw.Connection) -> None:
        self._con = con

    def __enter__(self) -> None:
        self._con.execute("BEGIN")

    def __exit__(self, *_: object) -> None:
        if self._con.in_transaction:
            self._con.execute("ROLLBACK")
