"""The port's second half: tasks that come from an outbox, each taken in once, however often it is brought.

An outbox is a table in somebody else's database (`store.outbox`); what brings its rows may die after any step. So the
store remembers the id of each row in the commit that adds its task, for as long as the row may come again.
"""

import os
import re
import threading
from collections.abc import Sequence
from typing import Protocol

import msgspec

from mainspring.store.rows import NewTask

KEY_IN_USE = "key in use"  # why a task from an outbox was cancelled: there was nobody left to be refused


class Parcel(msgspec.Struct, frozen=True, gc=False):
    """A task that comes from an outbox. `id`: of its row there; `refused`: why it must not run, if so."""

    id: str
    task: NewTask
    refused: str | None = None


class Arrival(msgspec.Struct, frozen=True, gc=False):
    """What became of a parcel: its task, or None when it was withdrawn before it came.

    With `holder` it was not taken in: that node must release `task` first, which has the key and is to be replaced.
    """

    task: int | None
    holder: int | None = None


class Arrivals(Protocol):
    """What a store keeps of parcels. Each method may be called from any thread."""

    def take_in(self, parcels: Sequence[Parcel], now: int) -> list[Arrival]:
        """Add the task of each parcel that has not come before, in one durable commit; in the order of `parcels`.

        One that has come is that task; one that was withdrawn becomes a task that is `cancelled`, and so does a refused
        one, with its reason. A key that is in use refuses nobody else: `keep` makes the parcel that task; `error`, and
        `replace` of one that runs, make a task that is `cancelled`, reason `key in use`; `replace` of one that is
        reserved is told with its holder, and nothing is kept of the parcel.
        """

    def find(self, id: str) -> Arrival | None:  # noqa: A002  # as in `Parcel`
        """What became of the parcel; None when nothing was heard of it."""

    def withdraw(self, id: str, now: int) -> bool:  # noqa: A002  # as in `Parcel`
        """See to it, durably, that the parcel's task never starts; False when it has come: it is a task like any other.

        Withdrawing twice is fine.
        """

    def gone(self, ids: Sequence[str]) -> None:
        """These are in no outbox any more: what is remembered of each is forgotten with its task."""

    def announce(self, id: str) -> None:  # noqa: A002  # as in `Parcel`
        """Tell the watchers `outbox <id>`: this row was written, and may be committed any moment."""


# ── ids ────────────────────────────────────────────────────────────────────────────────────────────────────────

_ID = re.compile(r"o[0-9a-f]{32}")


class _Stamps:
    """Numbers that grow with time, no two alike in this process: rows are moved in the order of adding."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._last = 0

    def draw(self, now: int) -> int:
        with self._lock:
            self._last = max(now, self._last + 1)
            return self._last

    def after_fork_in_child(self) -> None:
        self._lock = threading.Lock()


_stamps = _Stamps()
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_stamps.after_fork_in_child)


def new_id(now: int) -> str:
    """An id that nobody else draws, and that comes after those that this process drew before."""
    return f"o{_stamps.draw(now) & (2**56 - 1):014x}{os.urandom(9).hex()}"


def is_outbox_id(text: str) -> bool:
    """Is this the id of a task that was added within a transaction?"""
    return _ID.fullmatch(text) is not None
