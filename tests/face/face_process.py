"""A daemon's process, as far as its store can tell: it may end in any call, as by kill -9."""

from contextlib import suppress

from simulate.store import CALLS

from mainspring import Daemon
from mainspring.store.memory import MemoryStore
from mainspring.store.sqlite import SqliteStore


class Killed(BaseException):
    """The process is no more; whatever it would have done has no effect."""


class Mortal:
    """A process's way to its store."""

    def __init__(self, store, *, shared):
        self._store = store
        self._shared = shared
        self.dead = False
        self.left: int | None = None  # calls until it dies
        self.only: str | None = None  # calls of this name; None: any
        self.after = False  # that last call is carried out

    def __getattr__(self, name):
        found = getattr(self._store, name)
        return found if name not in CALLS else lambda *given, **named: self._call(name, found, given, named)

    def _call(self, name, call, given, named):
        if self.left is not None and not self.dead and self.only in {None, name}:
            self.left -= 1
            if self.left < 0:
                self.dead = True
                if self.after:
                    call(*given, **named)
        if self.dead:
            raise Killed
        return call(*given, **named)

    def close(self):
        """What is in memory stays there for the next process."""
        if not self._shared:
            self._store.close()


class Process:
    """One daemon, started or not, on `url`; `memory`: the store that is there when `url` is None."""

    def __init__(self, url, memory: MemoryStore, clock, declare):
        self.way: Mortal | None = None
        self.daemon = Daemon(url or "memory:", clock=clock, name="tests", retention="1000d")
        self._memory = None if url else memory
        self._clock = clock

        def way():
            self.way = Mortal(self._memory or SqliteStore(url), shared=url is None)
            return self.way

        self.daemon._open_store = way
        self.daemon._warned = True
        declare(self.daemon)

    def start(self):
        self.daemon.start()

    def stop(self):
        self.daemon.stop()
        self.daemon.close()

    def die(self):
        """SIGKILL: its locks fall, and nothing is put in order."""
        engine, driver = self.daemon._engine, self.daemon._driver
        self.way.dead = True
        self._clock.detach(driver)
        self.daemon.forget_engine()
        if self._memory is not None:
            self._memory.lose(engine.node)
        else:
            engine.seat.drop()
        # what the kernel would close
        engine.watch.close()
        engine.peers.close()
        engine._attempt.coroutines.stop()
        with suppress(Killed):
            self.daemon.close()
