"""Connections of somebody else's to their own database, as the outbox needs them: run a statement, commit, close.

Known by what they have, so that none of their libraries is imported here: SQLAlchemy's Connection and Session, Django's
connection, and whatever follows PEP 249 (sqlite3, psycopg, PyMySQL, ...). Statements are written with `?` for values.
"""

# ruff: noqa: D102 - what each method promises stands in `Reached`

import inspect
import sys
from collections.abc import Callable, Sequence
from typing import Any, Protocol

import msgspec

from mainspring.errors import InvalidArguments

EXPECTED = (
    "a connection to your own database: one of sqlite3, psycopg or another library that follows PEP 249, SQLAlchemy's "
    "Connection or Session, or Django's connection"
)


class Place(msgspec.Struct, frozen=True):
    """An outbox: what it is called in the log, and what connects to its database (None: it is not there yet)."""

    label: str
    connect: Callable[[], object | None]


class Reached(Protocol):
    """Somebody's connection. `dialect`: `sqlite`, or another word."""

    dialect: str

    def run(self, statement: str, values: Sequence[str] = ()) -> list[Sequence[object]]:
        """Run a statement in the transaction that is open; its rows."""

    def alone(self) -> bool:
        """Would each statement be committed by itself, as far as that can be told?"""

    def when_committed(self, tell: Callable[[], None]) -> None:
        """Call `tell` after the transaction was committed, where the library has a place for that. A hint: once is
        enough for all that was written in it, and after a rollback it may still come with the next commit.
        """

    def commit(self) -> None:
        """End the transaction."""

    def close(self) -> None:
        """Let go of the connection."""


def reach(connection: object) -> Reached:
    """The connection as the outbox needs it; raises `InvalidArguments` for what is none."""
    libraries = {kind.__module__.partition(".")[0] for kind in type(connection).__mro__}
    if "apsw" in libraries:
        raise InvalidArguments(
            "an apsw connection is no outbox: daemons read one with Python's sqlite3, and two SQLite libraries in one "
            "process on one file drop each other's locks; open the database with sqlite3"
        )
    if "sqlalchemy" in libraries:
        return _reach_sqlalchemy(connection)
    if hasattr(connection, "vendor") and hasattr(connection, "in_atomic_block"):
        return DjangoConnection(connection)
    if hasattr(connection, "cursor") and hasattr(connection, "commit") and (style := _paramstyle(connection)):
        if inspect.iscoroutinefunction(connection.commit):
            raise InvalidArguments(
                f"connection= is {type(connection).__module__}.{type(connection).__name__}, which must be awaited; of "
                f"such only SQLAlchemy's AsyncSession and AsyncConnection can be joined: await daemon.aio.add_task(...)"
            )
        return PlainConnection(connection, style)
    raise InvalidArguments(
        f"connection= expects {EXPECTED}; got {type(connection).__module__}.{type(connection).__name__}"
    )


def _reach_sqlalchemy(connection: object) -> Reached:
    name = type(connection).__name__
    if hasattr(connection, "run_sync"):
        raise InvalidArguments(
            f"connection= is {name}, which must be awaited: await daemon.aio.add_task(..., connection=...), or "
            f"await f.within(...).aenqueue(...)"
        )
    if hasattr(connection, "get_bind"):  # a Session, or a scoped one
        return SqlalchemyConnection(connection.connection(), connection)  # type: ignore[attr-defined]
    if hasattr(connection, "exec_driver_sql"):
        return SqlalchemyConnection(connection, connection)
    raise InvalidArguments(f"connection= expects a transaction to join: {EXPECTED}; got SQLAlchemy's {name}")


class PlainConnection:
    """One that follows PEP 249; `style` is its library's way to mark values."""

    def __init__(self, connection: Any, style: str) -> None:  # Any: of any library
        self._connection = connection
        self._mark = _MARKS[style]
        self._named = style == "named"
        self._is_sqlite = hasattr(connection, "total_changes")
        self.dialect = "sqlite" if self._is_sqlite else "other"

    def run(self, statement: str, values: Sequence[str] = ()) -> list[Sequence[object]]:
        cursor = self._connection.cursor()
        try:
            if values:
                given = {f"v{place}": value for place, value in enumerate(values)} if self._named else tuple(values)
                cursor.execute(_marked(statement, self._mark), given)
            else:
                cursor.execute(statement)
            return list(cursor.fetchall()) if cursor.description else []
        finally:
            cursor.close()

    def alone(self) -> bool:
        connection = self._connection
        if self._is_sqlite:
            automatic = getattr(connection, "autocommit", None) is True or connection.isolation_level is None
            return bool(automatic and not connection.in_transaction)
        status = getattr(getattr(connection, "info", None), "transaction_status", None)  # psycopg's: 0 is idle
        return getattr(connection, "autocommit", None) is True and status == 0

    def when_committed(self, tell: Callable[[], None]) -> None:
        pass  # PEP 249 knows of no such place

    def commit(self) -> None:
        self._connection.commit()

    def close(self) -> None:
        self._connection.close()


class SqlalchemyConnection:
    """SQLAlchemy's Connection; `owner`: the Session that it is of, or itself."""

    def __init__(self, connection: Any, owner: Any) -> None:  # Any: the library may not be there
        self._connection = connection
        self._owner = owner
        self._text: Callable[[str], object] = sys.modules["sqlalchemy"].text
        self.dialect = str(connection.dialect.name)

    def run(self, statement: str, values: Sequence[str] = ()) -> list[Sequence[object]]:
        given = {f"v{place}": value for place, value in enumerate(values)}
        if self._owner is not self._connection:
            self._connection = self._owner.connection()  # after each commit a Session may have another one
        result = self._connection.execute(self._text(_marked(statement, _MARKS["named"])), given)
        return list(result.fetchall()) if result.returns_rows else []

    def alone(self) -> bool:
        return bool(self._connection.get_execution_options().get("isolation_level") == "AUTOCOMMIT")

    def when_committed(self, tell: Callable[[], None]) -> None:
        if self._owner is self._connection:  # the event of a Connection comes before its commit
            return
        session = self._owner.registry() if hasattr(self._owner, "registry") else self._owner
        event = sys.modules["sqlalchemy"].event
        if not event.contains(session, "after_commit", _tell_of_session):
            event.listen(session, "after_commit", _tell_of_session)
        session.info[_TELL] = tell

    def commit(self) -> None:
        self._owner.commit()

    def close(self) -> None:
        self._owner.close()


_TELL = "mainspring"


def _tell_of_session(session: Any) -> None:  # Any: the library may not be there
    tell = session.info.pop(_TELL, None)
    if tell is not None:
        tell()


class DjangoConnection:
    """Django's; outside `atomic` it commits each statement."""

    def __init__(self, connection: Any) -> None:  # Any: the library may not be there
        self._connection = connection
        self.dialect = str(connection.vendor)

    def run(self, statement: str, values: Sequence[str] = ()) -> list[Sequence[object]]:
        with self._connection.cursor() as cursor:
            cursor.execute(_marked(statement, _MARKS["format"]), tuple(values) or None)
            return list(cursor.fetchall()) if cursor.description else []

    def alone(self) -> bool:
        return not self._connection.in_atomic_block and bool(self._connection.get_autocommit())

    def when_committed(self, tell: Callable[[], None]) -> None:
        self._connection.on_commit(tell)

    def commit(self) -> None:
        if not self._connection.get_autocommit():
            self._connection.commit()

    def close(self) -> None:
        self._connection.close()


_MARKS: dict[str, Callable[[int], str]] = {
    "qmark": lambda _: "?",
    "format": lambda _: "%s",
    "pyformat": lambda _: "%s",
    "numeric": lambda place: f":{place + 1}",
    "named": lambda place: f":v{place}",
}


def _marked(statement: str, mark: Callable[[int], str]) -> str:
    """The statement with the library's own marks for values."""
    first, *others = statement.split("?")
    return first + "".join(f"{mark(place)}{part}" for place, part in enumerate(others))


def _paramstyle(connection: object) -> str | None:
    """How the connection's library marks values: what one of the modules says that its classes are from."""
    for kind in type(connection).__mro__:
        name = kind.__module__
        while name:
            style = getattr(sys.modules.get(name), "paramstyle", None)
            if style in _MARKS:
                return str(style)
            name = name.rpartition(".")[0]
    return None
