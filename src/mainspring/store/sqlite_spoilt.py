"""Rows that cannot be read: bytes where text stands, text that is no UTF-8, words where a number stands.

Mainspring writes none; a damaged file, or another program, may. A daemon that met one would fail over it for ever and
run nothing else, so it is set aside: `failed`, with what stood there kept as its output.
"""

# ruff: noqa: S608 - nothing enters these texts but the names of columns; values are always bound

import logging
from collections.abc import Sequence
from typing import Generic, TypeVar

import apsw
import msgspec

from mainspring.errors import Unreadable
from mainspring.store.rows import UNREADABLE, Reservation
from mainspring.store.sqlite_sql import PICK, PICK_IDS
from mainspring.tasks.problems import Problem
from mainspring.tasks.state import CODES, State

log = logging.getLogger("mainspring")

T = TypeVar("T")

_MOST_KEPT = 16_384  # bytes of each column
_NUMBERS = ("run_at", "created_at", "attempt", "failures", "losses", "expires_at", "occurrence", "started_at")
_MUST = frozenset({"run_at", "created_at", "attempt", "failures", "losses"})
_TEXTS = ("name", "options", "payload", "key", "schedule", "reason", "result", "error")
_COLUMNS = (*_NUMBERS, *_TEXTS)
_READ = f"SELECT {', '.join(f'typeof({one}), CAST({one} AS BLOB)' for one in _COLUMNS)} FROM task WHERE id = ?"

_ASIDE = """
UPDATE task SET state = ?2, reason = ?3, error = ?4, finished_at = ?5, holder = NULL, token = NULL WHERE id = ?1"""


class Reader(Generic[T]):
    """Reads rows that left as JSON; `Unreadable` for those that are not what they should be."""

    def __init__(self, kind: type[T]) -> None:
        self._decode = msgspec.json.Decoder(kind).decode

    def decode(self, text: str) -> T:
        """The rows."""
        try:
            return self._decode(text)
        except msgspec.MsgspecError as error:
            said = f"a row of the store cannot be read ({error}); `mainspring store check` says which"
            raise Unreadable(said) from None


def as_text(value: object) -> str:
    """A value of a statement that tells text; `Unreadable` when it does not."""
    if not isinstance(value, str):
        raise unreadable(f"{value!r} where text stands")
    return value


def as_number(value: object) -> int | None:
    """A value of a statement that tells a number or nothing; `Unreadable` when it does not."""
    if value is not None and not isinstance(value, int):
        raise unreadable(f"{value!r} where a number stands")
    return value


def unreadable(what: str) -> Unreadable:
    """The error of what a damaged file made of a statement."""
    return Unreadable(f"the store cannot be read ({what}); `mainspring store check` says where")


_reservations = Reader(list[Reservation])
_ids = Reader(list[int])


def pick(con: apsw.Connection, values: tuple[str, int, int, int]) -> tuple[list[Reservation], str]:
    """What `sqlite_sql.PICK` finds, and the ids as JSON; rows that cannot be read are set aside first.

    `values`: lanes as JSON, after, until (µs), limit. For whoever is in a write transaction.
    """
    _, after, until, _ = values
    while True:
        try:
            rows, ids = con.execute(PICK, values).get
            return _reservations.decode(rows), ids
        except (apsw.SQLError, UnicodeDecodeError, Unreadable):
            ended = set_aside(con, _ids.decode(con.execute(PICK_IDS, values).get), max(0, after) or until)
            if not ended:
                raise
            said = ", ".join(map(str, ended))
            log.error("tasks %s cannot be read: they were set aside as failed", said)  # noqa: TRY400  # no bug of ours


def set_aside(con: apsw.Connection, tasks: Sequence[int], now: int) -> list[int]:
    """End those of the tasks whose rows cannot be read; their ids. For whoever is in a write transaction."""
    ended = []
    for task in tasks:
        row = con.execute(_READ, (task,)).get
        found = {} if row is None else _spoilt(row)
        if found:
            _end(con, task, found, now)
            ended.append(task)
    return ended


def _spoilt(row: Sequence[object]) -> dict[str, bytes]:
    """The columns that are not what they should be, with what stands there."""
    found = {}
    for column, kind, value in zip(_COLUMNS, row[::2], row[1::2], strict=True):
        data = value if isinstance(value, bytes) else b""
        if kind == "null" and column not in _MUST:
            continue
        if kind != ("text" if column in _TEXTS else "integer") or not _is_text(data):
            found[column] = data
    return found


def _is_text(data: bytes) -> bool:
    try:
        data.decode()
    except UnicodeDecodeError:
        return False
    return True


def _end(con: apsw.Connection, task: int, found: dict[str, bytes], now: int) -> None:
    columns = ", ".join(found)
    kept = "\n".join(f"{column}: {data[:_MOST_KEPT].hex()}" for column, data in found.items())
    error = Problem("Unreadable", f"its row could not be read: {columns}; what stood there is its output, as hex")
    for column in found:
        con.execute(f"UPDATE task SET {column} = {0 if column in _MUST else 'NULL'} WHERE id = ?", (task,))
    con.execute(_ASIDE, (task, CODES[State.FAILED], UNREADABLE, error.encode(), now))
    con.execute("INSERT OR REPLACE INTO output (task, text) VALUES (?, ?)", (task, kept))
