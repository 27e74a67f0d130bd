"""Notices other daemons of the same store that died, and settles what they left, at once.

The operating system says who lives: each node holds a lock for the life of its process. Where it can (Linux), this loop
waits for the end of the other process itself; elsewhere it looks once a second, and only while there are others.
"""

import logging
import os

from mainspring.engine.clockwatch import Moved
from mainspring.engine.events import Event, Events
from mainspring.engine.service import Loop
from mainspring.store.protocol import Store

log = logging.getLogger("mainspring")

_LOOK_US = 1_000_000
_NEVER = 1 << 62
_DYING_US = 10_000  # its process is gone, its programs are being ended: the lock falls in a moment


class Peers:
    """The step that watches the neighbours."""

    def __init__(self, store: Store, node: int, loop: Loop, events: Events) -> None:
        self._store = store
        self._node = node
        self._loop = loop
        self._events = events
        self._watched: dict[int, int | None] = {}  # node -> descriptor of its process, None where there is none
        self._changed = True
        self._look_at = 0
        self.alone = True

    def hear(self, news: list[str]) -> None:
        """Look when a node joined or left."""
        if any(word in {"nodes", "*"} for word in news):
            self._changed = True

    def clock_moved(self, _moved: Moved) -> None:
        """The next look was to be at an instant of the old clock: look now. Who lives, no clock decides."""
        self._changed = True

    def step(self, now: int) -> int | None:
        """Settle the dead, watch the living."""
        if not (self._changed or now >= self._look_at or any(self._ended(fd) for fd in self._watched.values())):
            return self._wanted()
        others = [node for node in self._store.nodes() if node.id != self._node]
        dying = False
        for node in others:
            if not node.alive:
                self._settle(node.id, now)
            elif node.id not in self._watched:
                self._watched[node.id] = self._open(node.pid, node.host)
            elif self._ended(self._watched[node.id]):
                dying = True
        living = {node.id for node in others if node.alive}
        for gone in self._watched.keys() - living:
            self._close(self._watched.pop(gone))
        self.alone = not living
        self._changed = False
        blind = None in self._watched.values()
        self._look_at = now + (_DYING_US if dying else _LOOK_US) if dying or blind else _NEVER
        return self._wanted()

    def _wanted(self) -> int | None:
        return None if self._look_at == _NEVER else self._look_at

    def _settle(self, node: int, now: int) -> None:
        left = self._store.take_over(node, now)
        if left is None:
            return
        log.warning(
            "node %d died: %d of its tasks are free again, %d were lost while they ran%s",
            node, left.freed, len(left.lost), f" ({', '.join(map(str, left.lost[:10]))})" if left.lost else "",
        )  # fmt: skip
        self._events.emit(Event("node", message=f"node {node} died"))

    def _open(self, pid: int, host: str) -> int | None:
        if not hasattr(os, "pidfd_open") or host != os.uname().nodename:
            return None
        try:
            fd = os.pidfd_open(pid)
        except OSError:
            return None  # gone already, or in another namespace: look once a second
        self._loop.watch(fd)
        return fd

    def _ended(self, fd: int | None) -> bool:
        if fd is None:
            return False  # nobody tells: the lock is looked at once a second
        import select

        ended = bool(select.select([fd], (), (), 0)[0])
        if ended:
            self._loop.unwatch(fd)  # it stays readable from now on; `_look_at` takes over until the lock falls
        return ended

    def _close(self, fd: int | None) -> None:
        if fd is not None:
            self._loop.unwatch(fd)
            os.close(fd)

    def close(self) -> None:
        """Stop watching."""
        for fd in self._watched.values():
            self._close(fd)
        self._watched.clear()
