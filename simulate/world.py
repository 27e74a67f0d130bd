"""The world of one seed: a machine with its clocks, a store, and daemons that come and go.

The daemons are the real ones, but that their loops' turns are taken here, one after the other, in an order that the
seed draws. In each call of the store a process can be killed, or stand still while the others go on.
"""

from collections import deque
from collections.abc import Callable
from heapq import heappop, heappush
from random import Random

from mainspring.engine.engine import Engine
from mainspring.engine.events import Events
from mainspring.engine.plan import Plan
from mainspring.engine.service import ManualDriver, ManualLoop
from mainspring.errors import StoreError
from mainspring.store.memory import MemoryStore
from mainspring.tasks.context import context
from mainspring.tasks.registry import Registry
from simulate.checks import Books, Violation
from simulate.clock import Machine, NodeClock
from simulate.faults import DAY, SECOND, Faults
from simulate.store import Ears, Killed, Way

FUNCTION = "sim:body"
_LAST = 60  # lines of what happened, told of a seed that failed
_MOST_TURNS = 50_000  # without time passing


class Turns(ManualDriver):
    """Loops whose turns the world takes."""

    @property
    def loops(self) -> list[ManualLoop]:
        """In the order in which they were made."""
        return self._loops


class Process:
    """Has a way to the store, and can be killed in each call of it."""

    def __init__(self, world: "World", name: str) -> None:
        self.world = world
        self.name = name
        self.dead = False
        self.still = 0  # in how many calls it stands still, waits, or is at a body
        self.ears: list[Ears] = []
        self.number = 0  # at the store; 0 until it has joined
        self.clock = NodeClock(world.machine, self.living)
        self.way = Way(world.store, self)

    def living(self) -> None:
        """Whatever a dead process does has no effect: it ends here."""
        if self.dead:
            raise Killed

    def kill(self, when: str) -> None:
        """SIGKILL."""
        if self.dead:
            return
        self.world.note(self, f"killed {when}")
        self.dead = True
        for ears in self.ears:
            ears.close()
        self.world.buried(self)

    def stand_still(self, when: str) -> None:
        """Others go on meanwhile; it may not wake up again."""
        world = self.world
        length = int(world.rng.choice((SECOND / 1000, SECOND, 60 * SECOND)) * world.rng.random()) + 1
        world.note(self, f"stands still for {length} µs, {when}")
        self.take(length)

    def take(self, length: int) -> None:
        """Let so much time pass in this process, and the others live."""
        self.still += 1
        self.world.run(length)
        self.still -= 1
        self.living()


class Node(Process):
    """One daemon: a process of its own, as far as it can tell."""

    def __init__(self, world: "World", name: str) -> None:
        super().__init__(world, name)
        self.turns = Turns(self.clock)

    def start(self) -> None:
        """Take part; it may not survive that, or not be let in."""
        world, registry = self.world, Registry("/")
        registry.add(world.body_of(self), FUNCTION)
        self.engine = Engine(
            store=self.way, registry=registry, clock=self.clock, events=Events(),  # type: ignore[arg-type]  # it hands on what the port has
            plan=Plan(workers=1, retention=world.retention), driver=self.turns,
        )  # fmt: skip
        # the kernel tells a process's end; here the world does
        peers = self.engine.peers
        for what, stands_in in (("_open", lambda *_: 0), ("_ended", lambda _: False), ("_close", lambda _: None)):
            setattr(peers, what, stands_in)
        self.engine.start()

    def ready(self, now: int) -> list[ManualLoop]:
        """The loops that have a reason for a turn."""
        return [
            loop for loop in self.turns.loops
            if loop.woken or (loop.wanted is not None and loop.wanted <= now) or loop._news()  # noqa: SLF001
        ]  # fmt: skip

    def stop(self) -> None:
        """SIGTERM."""
        self.world.note(self, "stops")
        self.world.act(self, lambda: self.engine.stop(0))
        if not self.dead:
            self.dead = True
            self.world.nodes.remove(self)


class World:
    """What there is, and what happens next."""

    def __init__(self, seed: int, faults: Callable[[Random], Faults], *, retention: int = 10_000 * DAY) -> None:
        self.rng = Random(seed)
        self.faults = faults(self.rng)
        self.retention = retention
        self.machine = Machine(1_767_225_600 * SECOND + self.rng.randrange(365 * DAY))
        self.store = MemoryStore()
        self.nodes: list[Node] = []
        self.books = Books(self)
        self.broken: Violation | None = None
        self.editing: dict[str, int] = {}  # of each schedule, how often clients began to change it
        self.told: deque[tuple[int, int, str, str]] = deque(maxlen=_LAST)
        self._events: list[tuple[int, int, Callable[[], None]]] = []
        self._count = 0

    # ── time ───────────────────────────────────────────────────────────────────────────────────────────────
    def at(self, boot: int, event: Callable[[], None]) -> None:
        """Have this happen then."""
        self._count += 1
        heappush(self._events, (boot, self._count, event))

    def often(self, rate: str, event: Callable[[], None]) -> None:
        """Have this happen so many times a day, as `faults` says."""

        def again() -> None:
            if getattr(self.faults, rate):
                event()
                self.often(rate, event)

        share = getattr(self.faults, rate)
        if share:
            self.at(self.machine.boot + int(self.rng.expovariate(share) * DAY) + 1, again)

    def run(self, length: int) -> None:
        """Let `length` µs pass."""
        end = self.machine.boot + length
        quiet = 0
        while True:
            if self._events and self._events[0][0] <= self.machine.boot:
                heappop(self._events)[2]()
                continue
            if self.machine.boot >= end:
                return
            now = self.machine.wall
            ready = [(node, loop) for node in self.nodes if not node.still for loop in node.ready(now)]
            if not ready:
                quiet = 0
                self._skip(end)
                continue
            quiet += 1
            if quiet > _MOST_TURNS:
                raise Violation(f"{quiet} turns were taken, and nothing comes to rest")
            node, loop = self.rng.choice(ready) if len(ready) > 1 else ready[0]
            self.act(node, lambda: loop.turn(self.machine.wall))  # noqa: B023  # it is called at once
            if self.faults.slow and self.rng.random() < self.faults.slow:
                self.machine.go_on(self.rng.randrange(200_000))

    def _skip(self, end: int) -> None:
        """Go to the next moment at which anything happens."""
        boot, wall = self.machine.boot, self.machine.wall
        wanted = [loop.wanted for node in self.nodes if not node.still for loop in node.turns.loops]
        next_turn = min((boot + at - wall for at in wanted if at is not None), default=end)
        next_event = self._events[0][0] if self._events else end
        self.machine.go_on(max(min(next_turn, next_event, end) - boot, 0))

    # ── daemons ────────────────────────────────────────────────────────────────────────────────────────────
    def act(self, node: Process, what: Callable[[], object]) -> None:
        """Have a process do something; it may not survive it."""
        node.still += 1  # it does one thing at a time, should others go on meanwhile
        try:
            what()
        except Killed:
            assert node.dead, "killed, and alive"
        finally:
            node.still -= 1
        if self.broken is not None:
            raise self.broken

    def start_node(self) -> None:
        """One more daemon."""
        self._count += 1
        node = Node(self, f"n{self._count}")
        self.note(node, "starts")
        try:
            self.act(node, node.start)
        except StoreError:
            node.kill("because it could not start")
        if not node.dead:
            self.nodes.append(node)

    def buried(self, node: Process) -> None:
        """Its process is gone: the locks fall, and the others hear of it."""
        if isinstance(node, Node) and node in self.nodes:
            self.nodes.remove(node)
        self.books.died(node.number)
        if any(seat.id == node.number for seat in self.store.nodes()):  # not when it has left already
            self.store.lose(node.number)
            self.store._tell(["nodes"])  # noqa: SLF001  # what the operating system does elsewhere

    # ── bodies ─────────────────────────────────────────────────────────────────────────────────────────────
    def body_of(self, node: Node) -> Callable[[], None]:
        """The function that all tasks run, as this process has it."""

        def body() -> None:
            try:
                self.books.begins(node.number, int(context().task_id))
            except Violation as broken:  # the engine takes what a body raises for its failure
                self.broken = broken
                raise
            try:
                self._work(node)
            finally:
                self.books.ends(node.number, int(context().task_id))

        return body

    def _work(self, node: Node) -> None:
        drawn = self.rng.random()
        if drawn < self.faults.long:
            node.take(int(self.rng.choice((0.01, 0.2, 5, 300)) * SECOND * self.rng.random()) + 1)
        elif drawn > 1 - self.faults.failing:
            raise RuntimeError("the body failed")

    # ── telling ────────────────────────────────────────────────────────────────────────────────────────────
    def note(self, node: Process | None, what: str) -> None:
        """Remember it for whoever asks what led to a failure."""
        self.told.append((self.machine.boot, self.machine.wall, getattr(node, "name", "-"), what))
