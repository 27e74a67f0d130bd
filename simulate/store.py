"""One process's way to the store. Each call is a moment in which it may be killed, stand still, or hear of an error."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, cast

from mainspring.errors import StoreError
from mainspring.store.memory import MemoryStore
from mainspring.store.protocol import Seat, Watch

if TYPE_CHECKING:
    from simulate.world import Process

CALLS = (
    "add", "advance", "answer", "answered", "ask", "attempts", "change", "find", "get", "give_back", "join", "lanes",
    "lateness", "leave", "next_due", "nodes", "output", "pause", "paused", "pending", "prune", "put", "record",
    "remove", "report", "requests", "reserve", "standing", "standings", "stats", "take_over", "trim", "waiting",
)  # fmt: skip


class Killed(BaseException):
    """The process is no more: nothing that it was about to do is done."""


class Way:
    """Fills the port `Store` by handing each call on, if nothing comes in between."""

    def __init__(self, store: MemoryStore, node: "Process") -> None:
        self.url = store.url
        self._store = store
        self._node = node

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
        node, world = self._node, self._node.world
        node.living()
        self._come_between("before", name)
        if world.rng.random() < world.faults.slow_store:  # it has a lock, and all wait
            world.machine.go_on(world.rng.randrange(2_000_000))
        if world.rng.random() < world.faults.mute:
            with self._unheard():
                call(*given, **named)
            node.kill(f"between the commit of {name} and the news of it")
            raise Killed
        answer = call(*given, **named)
        if name == "join":
            node.number = cast("Seat", answer).node
        if name == "record":
            node.world.books.recorded(given[0], cast("list[int]", answer))
        self._come_between("after", name)
        return answer

    @contextmanager
    def _unheard(self) -> Iterator[None]:
        """Nobody hears of what is done."""
        self._store._tell = lambda news: None  # type: ignore[method-assign]  # noqa: ARG005, SLF001
        try:
            yield
        finally:
            del self._store._tell  # noqa: SLF001

    def _come_between(self, when: str, name: str) -> None:
        """Be killed, stand still, or hear of an error, as the seed draws it."""
        node, world = self._node, self._node.world
        faults, chance = world.faults, world.rng.random
        if chance() < getattr(faults, f"crash_{when}"):
            node.kill(f"{when} {name}")
            raise Killed
        if chance() < faults.pause:
            node.stand_still(f"{when} {name}")
        if chance() < getattr(faults, f"error_{when}"):
            world.note(node, f"{name} fails, and {'nothing is done' if when == 'before' else 'is done'}")
            raise StoreError(f"{name} failed: disk I/O error")

    def watch(self) -> Watch:
        """See `Store`; not all news arrive."""
        self._node.living()
        ears = Ears(self._store.watch(), self._node)
        self._node.ears.append(ears)
        return ears

    def close(self) -> None:
        """It is the world's."""


class Ears(Watch):
    """A watch that misses some of the news."""

    def __init__(self, watch: Watch, node: "Process") -> None:
        self._watch = watch
        self._node = node

    def fileno(self) -> int:
        """See `Watch`."""
        return self._watch.fileno()

    def drain(self) -> list[str]:
        """See `Watch`."""
        self._node.living()
        world = self._node.world
        return [word for word in self._watch.drain() if world.rng.random() >= world.faults.deaf]

    def close(self) -> None:
        """See `Watch`."""
        self._watch.close()
