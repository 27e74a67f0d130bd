"""The outbox: a small table in somebody else's database, in which tasks wait until their transaction was committed.

A row has an id, which is the task's from then on, and the task as JSON. What writes rows is whoever adds (`write`);
what reads and deletes them is the daemon's mover (`read`, `delete`). Rows come from outside: each is checked.
"""

import os
from collections.abc import Iterable, Sequence
from typing import Annotated, Literal

import msgspec

from mainspring.errors import InvalidArguments, InvalidValue, Misuse
from mainspring.store.outbox_connections import Reached
from mainspring.store.row_rules import wrong_with
from mainspring.store.rows import NewTask, OnConflict, TaskRow
from mainspring.tasks.state import Kind, State

TABLE = "mainspring_outbox"
# TEXT holds less than a task may be on MySQL: LONGTEXT there.
SCHEMA = f"""CREATE TABLE IF NOT EXISTS {TABLE} (
    id VARCHAR(40) NOT NULL PRIMARY KEY,
    task TEXT NOT NULL
)"""
PAGE = 500  # rows that are read, moved and deleted at a time

_INSERT = f"INSERT INTO {TABLE} (id, task) VALUES (?, ?)"  # noqa: S608  # a constant
_READ = f"SELECT id, task FROM {TABLE} WHERE id > ? ORDER BY id LIMIT {PAGE}"  # noqa: S608  # likewise
_COUNT = f"SELECT count(*) FROM {TABLE}"  # noqa: S608  # likewise
_DELETE = f"DELETE FROM {TABLE} WHERE id IN ({{marks}})"  # noqa: S608  # likewise

_Text = Annotated[str, msgspec.Meta(max_length=500, pattern=r"^[^\x00-\x1f\x7f]*$")]
_Instant = Annotated[int, msgspec.Meta(ge=-62_135_596_800_000_000, le=253_402_300_799_999_999)]  # years 1 to 9999


class Letter(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    """A task as a row has it: the fields of `NewTask` that may be said from outside."""

    format: Literal[1]
    kind: Kind = Kind.FUNCTION
    work: Annotated[str, msgspec.Meta(min_length=1, max_length=4096, pattern=r"^[^\x00-\x1f\x7f]*$")]
    queue: Annotated[_Text, msgspec.Meta(min_length=1)] = "default"
    priority: Annotated[int, msgspec.Meta(ge=-32_768, le=32_767)] = 0
    run_at: _Instant
    name: _Text | None = None
    options: str | None = None
    payload: Annotated[str, msgspec.Meta(max_length=1_100_000)] | None = None
    key: _Text | None = None
    on_conflict: OnConflict = "error"
    expires_at: _Instant | None = None


_decoder = msgspec.json.Decoder(Letter)
_FIELDS = tuple(field for field in Letter.__struct_fields__ if field != "format")


# ── rows ───────────────────────────────────────────────────────────────────────────────────────────────────────


def write(reached: Reached, tasks: Iterable[tuple[str, NewTask]]) -> None:
    """Write rows, in the transaction of whoever has the connection. On SQLite the table is made if there is none."""
    if reached.dialect == "sqlite":  # nowhere else is it safe: others commit, or lock, when a table is made
        reached.run(SCHEMA)
    try:
        for id_, task in tasks:
            reached.run(_INSERT, (id_, written(task)))
    except Exception as error:
        if TABLE in str(error):
            error.add_note(
                f"Is there a table {TABLE} in this database? daemon.create_outbox(connection) makes it, once; or take "
                f"its SQL, Daemon.outbox_schema(), into your migrations"
            )
        raise


def read(reached: Reached, after: str) -> list[tuple[str, str]]:
    """The first rows that are committed and come after this id: id and text. Leaves no transaction open."""
    rows = reached.run(_READ, (after,)) if _may_have_rows(reached) else []
    reached.commit()
    return [(str(id_), str(text)) for id_, text in rows]


def waiting(reached: Reached) -> int:
    """How many rows are committed and wait to be moved."""
    found = reached.run(_COUNT) if _may_have_rows(reached) else [(0,)]
    reached.commit()
    return int(str(found[0][0]))


def _may_have_rows(reached: Reached) -> bool:
    """On SQLite the table is made by whoever needs it first; elsewhere a missing one is an error."""
    return reached.dialect != "sqlite" or bool(reached.run("SELECT 1 FROM sqlite_master WHERE name = ?", (TABLE,)))


def delete(reached: Reached, ids: Sequence[str]) -> None:
    """Delete rows, and commit that."""
    if ids:
        reached.run(_DELETE.format(marks=", ".join("?" * len(ids))), ids)
        reached.commit()


def written(task: NewTask) -> str:
    """A task as a row's text."""
    fields = {field: getattr(task, field) for field in _FIELDS}
    return msgspec.json.encode(Letter(format=1, **fields)).decode()


def understood(text: str) -> NewTask:
    """The task of a row; `InvalidValue` says what is wrong with one that no Mainspring writes, or a newer one."""
    try:
        letter = _decoder.decode(text)
    except (msgspec.DecodeError, ValueError) as error:
        raise InvalidValue(str(error)) from None
    task = NewTask(**{field: getattr(letter, field) for field in _FIELDS})
    for wrong in wrong_with(_as_row(task)):
        raise InvalidValue(f"the task {wrong}")
    return task


def _as_row(task: NewTask) -> TaskRow:
    return TaskRow(
        1, task.kind, task.work, task.queue, task.priority, State.WAITING, None, task.run_at, 0, None, None, 0, 0, 0,
        task.name, task.options, task.payload, task.key, task.expires_at, None, None, None, None,
    )  # fmt: skip


# ── what must not be ───────────────────────────────────────────────────────────────────────────────────────────


def refuse_store(reached: Reached, path: str | None) -> None:
    """Raise where the connection is open on the file of the store, `path` (None: it is in no file)."""
    if path is None or reached.dialect != "sqlite":
        return
    for _, _, file in reached.run("PRAGMA database_list"):
        if same_file(file, path):
            raise InvalidArguments(own_store(path))


def same_file(file: object, path: str) -> bool:
    """Are these one file? Neither is opened for it: that alone would drop SQLite's locks."""
    try:
        return isinstance(file, str) and file != "" and os.path.samefile(file, path)
    except OSError:
        return False


def own_store(path: str) -> str:
    """Why the store's own file can be no outbox, and what to do instead."""
    return (
        f"{path} is the store itself, and has its own SQLite library in this process: a second one on the same file "
        f"drops the first one's locks when it closes, and commits are lost. Open the store's file with nothing but "
        f"Mainspring: keep your own tables in another database, or leave connection= out to add to the store directly"
    )


def refuse_alone(reached: Reached) -> None:
    """Raise where each statement would be committed by itself: then there is nothing to join."""
    if reached.alone():
        raise Misuse(
            "connection= is in autocommit mode and no transaction is open, so the task would be added whatever becomes "
            "of your own changes: begin a transaction first (BEGIN, connection.transaction(), transaction.atomic()), "
            "or leave connection= out"
        )
