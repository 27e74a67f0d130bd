"""What an error of PostgreSQL means: whether it helps to try again, to connect anew, or neither; by its SQLSTATE."""

import re
from typing import Literal

import psycopg

from mainspring.errors import InvalidValue, MainspringError, StoreError, StoreNotFound, Unreadable

Remedy = Literal["again", "reconnect", "unprepared", "none"]

# Somebody else was in the way: the same transaction once more has every chance.
_AGAIN = frozenset(
    {
        "40001",  # serialization failure
        "40P01",  # deadlock
        "55P03",  # a lock was not to be had in time
        "23505",  # another transaction was first with a key, an occurrence or a lane: look again what is there
    }
)
# The connection is gone, or this server cannot be written to (now): another connection may do.
_RECONNECT = frozenset(
    {
        "57P01",  # ended by an administrator, or the server stops
        "57P02",  # the server crashed
        "57P03",  # it is starting up
        "57P05",  # idle for too long
        "25P03",  # idle within a transaction for too long
        "25006",  # read-only: it became a replica
        "53300",  # too many connections
    }
)
# A pooler gave the next transaction to another session, which knows none of our prepared statements.
_UNPREPARED = frozenset({"26000", "42P05"})

# While a connection is made libpq tells no SQLSTATE. In another language than English these are tried for a while.
_NO_DATABASE = re.compile(r'database ".*" does not exist')
_NOBODY = re.compile(r'authentication failed|no pg_hba.conf entry|role ".*" does not exist|no password supplied')


def remedy(error: psycopg.Error) -> Remedy:
    """What helps against the error."""
    state = error.sqlstate
    if state in _AGAIN:
        return "again"
    if state in _UNPREPARED:
        return "unprepared"
    if state in _RECONNECT or (state or "").startswith("08"):
        return "reconnect"
    if state is None and (_NO_DATABASE.search(str(error)) or _NOBODY.search(str(error))):
        return "none"
    if state is None and isinstance(error, psycopg.OperationalError | psycopg.InterfaceError):
        return "reconnect"  # nothing came from the server: refused, cut, or not heard of
    return "none"


def said_by(error: psycopg.Error) -> str:
    """What the error says, in one line."""
    return " ".join(str(error).split())


def explained(place: str, error: psycopg.Error) -> MainspringError:
    """What the error means to somebody who wants to run tasks, and what to do about it. `place`: without a password."""
    said = said_by(error)
    state = error.sqlstate or ""
    if state in {"22021", "22P05"} or (isinstance(error, psycopg.DataError) and "NUL" in said):
        return InvalidValue("PostgreSQL keeps no NUL characters (\\0) in text: leave them out of names, keys and texts")
    if state == "3D000" or (not state and _NO_DATABASE.search(said)):
        return StoreNotFound(f"the database of {place} does not exist; make it: createdb NAME")
    if state.startswith("28") or (not state and _NOBODY.search(said)):
        return StoreError(f"the server of {place} lets nobody in by this name and password ({said})")
    if state == "42501":
        return StoreError(f"the role of {place} may not do that ({said}); it must own the schema mainspring")
    if state.startswith("53"):
        return StoreError(f"the server of {place} has no room or no memory left ({said}); nothing was stored")
    if state in {"42P01", "3F000"}:
        return StoreError(f"the schema of {place} is not whole ({said}): was it dropped while it was open?")
    if state.startswith("XX"):
        return Unreadable(f"the server of {place} finds its files damaged ({said}): look at its log")
    if remedy(error) == "reconnect":
        return StoreError(f"the server of {place} cannot be reached ({said}); is it running?")
    return StoreError(f"the store {place} refused: {said}")
