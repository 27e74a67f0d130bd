"""What the server knows of the nodes of this process: that they live, and until when they may be taken for alive.

A node lives as long as its session, which holds a lock under its number: when its process ends, the server knows at
once. But a session can also break while the process lives, and others may then take what it holds. So as soon as that
is noticed nothing starts here (`Journal.cut`); with the next session the node takes its place again, and begins anew.
Where no packet tells that the server is gone, the lease decides: it counts from when what was heard last was sent, and
nothing starts after two thirds of it, while others wait for all of it.
"""

import threading
from collections.abc import Sequence

import msgspec
import psycopg
from psycopg.rows import TupleRow

from mainspring.store import postgres_sql as sql
from mainspring.store.journal import Contact, Journal
from mainspring.when.clock import SystemClock

LIFE = 0x4D53504C  # "MSPL": the first number of the locks that stand for a node's life; the second is the node's

_BEATS = 6  # in the length of a lease
_LONGEST_US = 5_000_000  # between two beats


class _Member(msgspec.Struct):
    """A node of this process."""

    journal: Journal
    contact: Contact
    row: tuple[object, ...]  # as `sql.JOIN` takes it
    told: int | None = None  # when the server was told of its lease last (boot-time clock); None: it knows of none


class Life:
    """The nodes of this process. `keep`, `tell` and `cut` are for the thread that has the session."""

    def __init__(self) -> None:
        self._clock = SystemClock()
        self._lock = threading.Lock()
        self._members: dict[int, _Member] = {}
        self._locked: set[int] = set()

    def add(self, node: int, journal: Journal, row: Sequence[object]) -> None:
        """Have it live from the next `keep` on."""
        contact = journal.contact = Contact()
        contact.heard = self._clock.boottime()
        with self._lock:
            self._members[node] = _Member(journal, contact, tuple(row))

    def remove(self, node: int) -> None:
        """The node is no more."""
        with self._lock:
            self._members.pop(node, None)

    @property
    def kept(self) -> bool:
        """Does the session stand for all of them?"""
        return self._members.keys() <= self._locked

    # ── in a transaction of the store's ────────────────────────────────────────────────────────────────────
    def due(self, node: int) -> tuple[tuple[int, int, int], int] | None:
        """What the server is to be told now of the node's lease (for `sql.HEARD`), and the instant; None: it knows of a
        good one, or there is none.
        """
        member, boot = self._members.get(node), self._clock.boottime()
        if member is None or not (length := member.journal.length):
            return None
        if member.told is not None and boot - member.told < _pause(length):
            return None
        return (member.journal.busy, length, node), boot

    def told(self, node: int, at: int) -> bool:
        """The server has been told at this instant; whether it knew of none before."""
        with self._lock:
            member = self._members.get(node)
            if member is None or not member.contact.heard:
                return False
            new = member.told is None
            member.told = max(at, member.told or 0)
            member.contact.heard = max(at, member.contact.heard)
            return new

    # ── for the thread that has the session ────────────────────────────────────────────────────────────────
    def keep(self, con: psycopg.Connection[TupleRow], *, lasting: bool) -> None:
        """Hold a lock for each node, where the session is `lasting`; who had been cut off takes its place again."""
        with self._lock:
            members = dict(self._members)
        for node in self._locked - members.keys():
            if lasting:
                con.execute("SELECT pg_advisory_unlock_shared(%s, %s)", (LIFE, node))
        for node in members.keys() - self._locked:
            if lasting:
                con.execute("SELECT pg_advisory_lock_shared(%s, %s)", (LIFE, node))
            if members[node].contact.cuts:
                self._return(con, node, members[node])
        self._locked = set(members)

    def _return(self, con: psycopg.Connection[TupleRow], node: int, member: _Member) -> None:
        boot = self._clock.boottime()
        con.execute(sql.REJOIN, (node, *member.row))
        with self._lock:
            member.told, member.contact.heard = None, boot

    def tell(self, con: psycopg.Connection[TupleRow]) -> float | None:
        """Tell the server of leases that go on or have ended; in how many seconds to come again."""
        waits: list[float] = []
        for node, member in list(self._members.items()):
            journal, boot = member.journal, self._clock.boottime()
            if not journal.lease or not journal.length:
                if member.told is not None:
                    con.execute(sql.HEARD, (journal.busy, None, node))
                    member.told = None
                continue
            if member.told is None or boot - member.told >= _pause(journal.length):
                if not con.execute(sql.HEARD, (journal.busy, journal.length, node)).rowcount:
                    self._cut(member)  # it was taken for dead
                    self._return(con, node, member)
                self.told(node, boot)
            waits.append(_pause(journal.length) / 1e6)
        return min(waits, default=None)

    def cut(self, *, lasting: bool) -> None:
        """The session broke; where it was `lasting`, it stood for the nodes: nothing starts before they are back."""
        self._locked = set()
        for member in list(self._members.values()):
            if lasting:
                self._cut(member)

    def _cut(self, member: _Member) -> None:
        with self._lock:
            if member.journal.length:
                member.journal.cut = True  # first of all
            member.contact.heard, member.told = 0, None
            member.contact.cuts += 1


def _pause(length: int) -> int:
    return min(length // _BEATS, _LONGEST_US)
