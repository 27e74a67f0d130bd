"""The shop's own book: what its tasks really did, line by line, independent of the store.

A line is written by one append, so that a kill leaves it whole or not at all.
"""

import os
from typing import NamedTuple

from mainspring.when.clock import SystemClock

_clock = SystemClock()


class Entry(NamedTuple):
    """`event` happened to `number` (an order, a shelf, a letter) at `at` (µs, wall clock), in process `pid`."""

    event: str
    number: int
    at: int
    pid: int


class Book:
    """An append-only file of entries. Any process may write, at any time."""

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self._path = os.path.abspath(path)

    def write(self, event: str, number: int = 0) -> None:
        """Note that it happened, now."""
        line = f"{event} {number} {_clock.now()} {os.getpid()}\n"
        file = os.open(self._path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            os.write(file, line.encode())
        finally:
            os.close(file)

    def read(self) -> list[Entry]:
        """All entries, in the order of writing."""
        try:
            with open(self._path, encoding="utf-8") as file:
                lines = file.read().splitlines()
        except FileNotFoundError:
            return []
        fields = (line.split() for line in lines)
        return [Entry(event, int(number), int(at), int(pid)) for event, number, at, pid in fields]

    def has(self, event: str, number: int = 0) -> bool:
        """Did this happen?"""
        return any(entry.event == event and entry.number == number for entry in self.read())

    def count(self, event: str) -> int:
        """How often did this happen?"""
        return sum(entry.event == event for entry in self.read())
