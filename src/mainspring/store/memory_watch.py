"""News within one process: the `Watch` of the memory store, and the bell that makes it something to `select` on."""

# ruff: noqa: D102 - what a watch promises is said once, in the port

import os
import socket
from collections.abc import Callable, Iterable
from threading import RLock

from mainspring.store.protocol import Watch

_MOST = 1_000  # news kept for a watcher that does not look; beyond that it is told to look at everything


class Bell:
    """A descriptor that is readable from `ring` until `hush`: an eventfd, or a socket pair where there is none."""

    def __init__(self) -> None:
        self._pair: tuple[socket.socket, socket.socket] | None = None
        if hasattr(os, "eventfd"):
            self._fd = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        else:
            self._pair = socket.socketpair()
            for end in self._pair:
                end.setblocking(False)
            self._fd = self._pair[0].fileno()

    def fileno(self) -> int:
        return self._fd

    def ring(self) -> None:
        if self._pair is None:
            os.eventfd_write(self._fd, 1)
        else:
            self._pair[1].send(b"!")

    def hush(self) -> None:
        if self._pair is None:
            os.eventfd_read(self._fd)
        else:
            self._pair[0].recv(16)

    def close(self) -> None:
        if self._pair is None:
            os.close(self._fd)
        else:
            for end in self._pair:
                end.close()


class MemoryWatch(Watch):
    """Fills the port's `Watch`. Equal news are folded; the bell rings once for all that was not drained."""

    def __init__(self, forget: "Callable[[MemoryWatch], None]") -> None:
        self._lock = RLock()
        self._forget = forget
        self._bell: Bell | None = Bell()
        self._news: dict[str, None] = {}  # an ordered set

    def tell(self, news: Iterable[str]) -> None:
        """Hand on some news; the store calls this after each change."""
        with self._lock:
            if self._bell is None:
                return
            silent = not self._news
            self._news.update(dict.fromkeys(news))
            if len(self._news) > _MOST:
                self._news = {"*": None}
            if silent and self._news:
                self._bell.ring()

    def fileno(self) -> int:
        with self._lock:
            return -1 if self._bell is None else self._bell.fileno()

    def drain(self) -> list[str]:
        with self._lock:
            if self._bell is None or not self._news:
                return []
            self._bell.hush()
            news, self._news = list(self._news), {}
            return ["*"] if "*" in news else news

    def close(self) -> None:
        self._forget(self)
        with self._lock:
            bell, self._bell = self._bell, None
            if bell is not None:
                bell.close()

    def after_fork(self) -> None:
        """In a forked child: a lock that another thread held there would be held for ever."""
        self._lock = RLock()
