"""What a file in `bench/peers` has to offer: its variants, and a running session of one of them."""

from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Protocol

Timed = tuple[int, int]  # number of the task, its instant in µs since 1970


@dataclass(frozen=True)
class Variant:
    """One way to drive a peer. `key` is unique over all files and used to name it in results."""

    key: str
    title: str
    durable: str  # what is on the disk, and when
    how: str  # how it is driven
    outcomes: str  # what it keeps of a task that ended


class Session(Protocol):
    """A peer that runs, with nothing to do yet. Every task calls `bench.harness.notes.note(number)` and returns it."""

    def add_now(self, numbers: Sequence[int]) -> None:
        """Add tasks that are due at once, by the fastest documented way that keeps the variant's durability."""

    def add_one(self, number: int) -> None:
        """Add one task that is due at once; returns when the peer holds it."""

    def add_at(self, tasks: Sequence[Timed]) -> None:
        """Add tasks for their instants, as `add_now` does."""

    def settled(self, total: int) -> bool:
        """The outcomes of all `total` tasks so far are recorded; all have started when this is asked. Where a peer
        keeps no outcomes: nothing of them is left in the queue. May wait for it, up to a few seconds.
        """

    def processes(self) -> tuple[list[int], list[int]]:
        """The processes that run the tasks, with their children, and those of a server that the peer needs."""


class PeerFile(Protocol):
    """The module."""

    PACKAGES: tuple[str, ...]  # whose versions are told

    def variants(self) -> tuple[list[Variant], list[str]]:
        """What can be measured here, and what has to be said loudly about it."""

    def session(self, key: str, workers: int) -> AbstractContextManager[Session]:
        """Start it in the current directory, which is fresh; at the end stop it and everything that it started."""
