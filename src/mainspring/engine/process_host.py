"""What a pool of processes needs of the engine around it, and how its children are made."""

from collections.abc import Callable

from mainspring.engine.attempt import Attempt
from mainspring.engine.child import Child
from mainspring.engine.child_messages import Feed, Setup, encode_feed
from mainspring.engine.recorder import Recorder
from mainspring.engine.timeline import Held, Timeline
from mainspring.engine.watchdog import Watchdog
from mainspring.store.journal import COUNT, Buffer
from mainspring.store.protocol import Seat
from mainspring.tasks.registry import Registry
from mainspring.when.clock import Clock


class ProcessHost:
    """The engine, as `ProcessPool` sees it. `parts`: in how many parts the node's journal is divided."""

    def __init__(
        self,
        *,
        clock: Clock,
        registry: Registry,
        attempt: Attempt,
        recorder: Recorder,
        watchdog: Watchdog,
        timeline: Timeline,
        put_back: Callable[[Held], None],
        seat: Seat,
        parts: int,
        setup: Setup,
    ) -> None:
        self.clock = clock
        self.turned_away = attempt.turned_away
        self.put = recorder.put
        self.begin = recorder.begin
        self.watch = watchdog.watch
        self.restore = timeline.restore
        self.put_back = put_back
        self._registry = registry
        self._seat = seat
        self._parts = parts
        self._recorder = recorder
        self._most_waiting = COUNT // parts // 2
        self._setup = setup
        self._shared: tuple[int, Buffer] | None = None

    def message(self, held: Held) -> bytes:
        """What a child is fed to run this."""
        task, options, work = held.task, held.options, held.lane.work
        return encode_feed(
            Feed(
                held.id, held.token, task.attempt + 1, held.run_at, work, task.name, task.payload, options.timeout,
                options.delivery == "at-most-once", False, self._origin(work),
            )
        )  # fmt: skip

    def _origin(self, work: str) -> str | None:
        """Where the daemon has the function from: a child need not judge its name again."""
        found = self._registry.get(work)
        return None if found is None else found.origin

    def backed_up(self) -> bool:
        """Do so many outcomes wait to be written that a child's part of the journal might not cover its starts?"""
        return self._recorder.waiting > self._most_waiting

    def make(self, index: int) -> Child:
        """Start a child: the one of this index."""
        if self._shared is None:
            self._shared = self._seat.share()
        fd, buffer = self._shared
        return Child(index, self._parts, self._setup, fd, buffer, self._seat.locks)
