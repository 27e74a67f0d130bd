"""What a pool of an executor needs of the engine around it."""

from collections.abc import Callable

from mainspring.engine.attempt import Attempt
from mainspring.engine.recorder import Recorder
from mainspring.engine.service import Loop
from mainspring.engine.timeline import Held
from mainspring.engine.watchdog import Watchdog
from mainspring.store.journal import Journal
from mainspring.tasks.registry import Registry
from mainspring.when.clock import Clock


class ExecutorHost:
    """The engine, as `ExecutorPool` sees it. `loop`: the one that takes the pool's step."""

    def __init__(
        self,
        *,
        clock: Clock,
        registry: Registry,
        attempt: Attempt,
        recorder: Recorder,
        watchdog: Watchdog,
        journal: Journal,
        loop: Loop,
        put_back: Callable[[Held], None],
    ) -> None:
        self.now = clock.now
        self.turned_away = attempt.turned_away
        self.put = recorder.put
        self.begin = recorder.begin
        self.watch = watchdog.watch
        self.note = journal.note
        self._covers = journal.covers
        self._boottime = clock.boottime
        self.wake = loop.wake
        self.put_back = put_back
        self._registry = registry

    def covers(self, held: Held) -> bool:
        """Is what was reserved still this daemon's, as far as its lease tells?"""
        return self._covers(held.token, self._boottime())

    def origin(self, work: str) -> str | None:
        """Where this process has the function from, and others may."""
        found = self._registry.resolve(work)
        return None if found is None else found.origin
