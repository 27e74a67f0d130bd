"""A node's place at the memory store."""

import mmap
import os
import weakref

import msgspec

from mainspring.store.journal import SIZE, Buffer, Journal, anonymous
from mainspring.store.rows import NewNode, NodeRow


class MemorySeat:
    """Fills the port's `Seat`. The store reads the journal through one of its own: the node may have closed its."""

    def __init__(self, node: int, new: NewNode) -> None:
        self.node = node
        self.alive = True
        self.unknown: list[int] = []
        self.locks: tuple[int, ...] = ()  # its life is a flag, which no other process could hold
        self._new = new
        self._buffer = bytearray(SIZE)
        self.journal = Journal(self._buffer)
        self._shared: tuple[int, Buffer] | None = None

    def share(self) -> tuple[int, Buffer]:
        """See `Seat`: one that nobody reads, for what is in memory ends with its process, and so do its children."""
        if self._shared is None:
            fd = anonymous()
            self._shared = fd, mmap.mmap(fd, SIZE)
            weakref.finalize(self, os.close, fd)
        return self._shared

    def row(self) -> NodeRow:
        """What `nodes` shows."""
        told = Journal(self._buffer)
        fields = msgspec.structs.asdict(self._new)
        return NodeRow(
            id=self.node, alive=self.alive, lease=told.lease, busy=told.busy, lateness=told.lateness, moved=told.moved,
            unknown=self.unknown, **fields,
        )  # fmt: skip

    def starts(self) -> dict[tuple[int, int], int]:
        """The newest start that the journal shows, by task and token."""
        newest: dict[tuple[int, int], int] = {}
        for task, token, started_at in Journal(self._buffer).started():
            newest[task, token] = max(started_at, newest.get((task, token), started_at))
        return newest
