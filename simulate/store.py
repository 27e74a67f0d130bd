"""One process's way to the store. Each call is a moment in which it may be killed, stand still, or hear of an error."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, cast

import msgspec

from mainspring.errors import StoreError
from mainspring.store.memory import MemoryStore
from mainspring.store.protocol import Seat, Watch
from mainspring.store.rows import NewNode
from simulate.fibers import Killed

if TYPE_CHECKING:
    from simulate.process import Process

CALLS = (
    "add", "advance", "answer", "answered", "ask", "attempts", "change", "find", "get", "give_back", "join", "lanes",
    "lateness", "leave", "next_due", "nodes", "output", "pause", "paused", "pending", "prune", "put", "record",
    "remove", "report", "requests", "reserve", "standing", "standings", "stats", "take_over", "trim", "waiting",
)  # fmt: skip


class Way:
    """Fills the port `Store` by handing each call on, if nothing comes in between."""

    def __init__(self, store: MemoryStore, process: "Process") -> None:
        self.url = store.url
        self._store = store
        self._process = process

    def __getattr__(self, name: str) -> object:
        if name not in CALLS:
            raise AttributeError(name)
        call = getattr(self._store, name)

        def effect(*given: object, **named: object) -> object:
            return self._effect(name, call, given, named)

        self.__dict__[name] = effect
        return effect

    def _effect(
        self, name: str, call: Callable[..., object], given: tuple[Any, ...], named: dict[str, object]
    ) -> object:
        process, world = self._process, self._process.world
        process.living()
        if name == "join":  # the processes of this world have numbers of their own
            given = (msgspec.structs.replace(cast("NewNode", given[0]), pid=process.pid),)
        fault = world.fault_at(name)
        self._come_between("before", name, fault)
        if world.rng.random() < world.faults.slow_store:  # it has a lock, and all wait
            world.machine.go_on(world.rng.randrange(2_000_000))
        if fault == "crash_within":
            with self._unheard():
                self._do(name, call, given, named)
            process.kill(f"between the commit of {name} and the news of it")
            raise Killed
        answer = self._do(name, call, given, named)
        self._come_between("after", name, fault)
        return answer

    def _do(self, name: str, call: Callable[..., object], given: tuple[Any, ...], named: dict[str, object]) -> object:
        """It is done, whether anybody hears of that or not, and looked at."""
        witness = self._process.world.witness
        witness.turn_to(self._process, name)
        answer = call(*given, **named)
        self._process.world.machine.go_on(1)  # two commits are never at the same moment
        if name == "join":
            self._process.number = cast("Seat", answer).node
        witness.judge(given, named, answer)
        return answer

    @contextmanager
    def _unheard(self) -> Iterator[None]:
        """Nobody hears of what is done."""
        self._store._tell = lambda news: None  # type: ignore[method-assign]  # noqa: ARG005, SLF001
        try:
            yield
        finally:
            del self._store._tell  # noqa: SLF001

    def _come_between(self, when: str, name: str, fault: str | None) -> None:
        """Be killed, stand still, or hear of an error, as the seed draws it."""
        process, world = self._process, self._process.world
        faults, rng = world.faults, world.rng
        if fault == f"crash_{when}":
            process.kill(f"{when} {name}")
            raise Killed
        if rng.random() < faults.pause:
            process.stand_still(f"{when} {name}")
        elif rng.random() < faults.wait:  # for its turn at a lock, the disk, the processor
            process.take(int(rng.choice((10, 1_000, 100_000)) * rng.random()) + 1)
        if fault == f"error_{when}":
            world.note(process, f"{name} fails, and {'nothing is done' if when == 'before' else 'is done'}")
            raise StoreError(f"{name} failed: disk I/O error")

    def watch(self) -> Watch:
        """See `Store`; not all news arrive."""
        self._process.living()
        ears = Ears(self._store.watch(), self._process)
        self._process.ears.append(ears)
        return ears

    def close(self) -> None:
        """It is the world's."""


class Ears(Watch):
    """A watch that misses some of the news."""

    def __init__(self, watch: Watch, process: "Process") -> None:
        self._watch = watch
        self._process = process
        self._fd = watch.fileno()

    @property
    def pending(self) -> bool:
        """Is there any?"""
        return bool(self._watch._news)  # type: ignore[attr-defined]  # noqa: SLF001  # to poll would cost a system call

    def fileno(self) -> int:
        """See `Watch`."""
        return self._fd

    def drain(self) -> list[str]:
        """See `Watch`."""
        self._process.living()
        world = self._process.world
        heard = self._watch.drain()
        return [word for word in heard if world.rng.random() >= world.faults.deaf] if world.faults.deaf else heard

    def close(self) -> None:
        """See `Watch`."""
        self._watch.close()
