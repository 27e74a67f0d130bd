"""Notices other daemons of the same store that died, and settles what they left, at once.

The operating system says who lives: each node holds a lock for the life of its process. Where it can (Linux), this loop
waits for the end of the other process itself; elsewhere it looks once a second, and only while there are others.

One that lives, but stands still, loses what it holds when its lease has ended (`lease`).
"""

import logging
import os

from mainspring.engine.clockwatch import Moved
from mainspring.engine.events import Event, Events
from mainspring.engine.service import Loop
from mainspring.store.protocol import Store
from mainspring.store.rows import NodeRow, TakenOver
from mainspring.when.clock import Clock

log = logging.getLogger("mainspring")

_LOOK_US = 1_000_000
_IDLE_LOOK_US = 60_000_000  # at neighbours that hold nothing, as far as their journals tell
_NEVER = 1 << 62
_DYING_US = 10_000  # its process is gone, its programs are being ended: the lock falls in a moment


class Peers:
    """The step that watches the neighbours."""

    def __init__(
        self, store: Store, node: int, loop: Loop, events: Events, clock: Clock, lease: int | None = None
    ) -> None:
        """`lease` (µs): who lives, but has been silent for longer, loses what it holds; None: nobody does."""
        self._store = store
        self._node = node
        self._loop = loop
        self._events = events
        self._clock = clock
        self._lease = lease
        self._silent: dict[int, int] = {}  # node -> when it was first seen (boot-time clock) that its lease had ended
        self._taken: dict[int, int] = {}  # node -> the lease that had ended when its work was taken
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
        wait = _DYING_US if dying else _LOOK_US if blind else _NEVER
        self._look_at = now + min(wait, self._hear_out([node for node in others if node.alive], now))
        return self._wanted()

    def _wanted(self) -> int | None:
        return None if self._look_at >= _NEVER else self._look_at

    def _settle(self, node: int, now: int) -> None:
        left = self._store.take_over(node, now)
        if left is not None:
            self._tell(node, "died", left)

    def _hear_out(self, living: list[NodeRow], now: int) -> int:
        """Take from whom nothing is heard; in how many µs to look again.

        A lease that has ended is looked at once more, a third of a lease later: after the machine has slept, all of
        them have ended, and everybody is about to renew. One that was taken from and has not renewed since holds at
        most what it was about to reserve when it fell silent: that is looked for now and then.
        """
        if self._lease is None or not living:
            return _NEVER
        boot = self._clock.boottime()
        waits = [_IDLE_LOOK_US]
        leases = {node.id: node.lease for node in living}
        self._taken = {node: lease for node, lease in self._taken.items() if leases.get(node) == lease}
        silent = {node: self._silent.get(node, boot) for node, lease in leases.items() if 0 < lease <= boot}
        for node, since in list(silent.items()):
            known = node in self._taken
            wait = since + (_IDLE_LOOK_US if known else self._lease // 3) - boot
            if wait <= 0:
                del silent[node]  # should it renew in this very moment: begin anew
                left = self._store.take_over(node, now, boot)
                if left is not None:
                    self._taken[node] = leases[node]
                    if not known or left.freed or left.lost:
                        self._tell(node, "has been silent for longer than its lease", left)
                continue
            waits.append(wait)
        self._silent = silent
        waits += [node.lease - boot for node in living if node.lease > boot]
        return max(min(waits), _DYING_US)

    def _tell(self, node: int, what: str, left: TakenOver) -> None:
        log.warning(
            "node %d %s: %d of its tasks are free again, %d were lost while they ran%s",
            node, what, left.freed, len(left.lost), f" ({', '.join(map(str, left.lost[:10]))})" if left.lost else "",
        )  # fmt: skip
        self._events.emit(Event("node", message=f"node {node} {what}"))

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
