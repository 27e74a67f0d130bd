"""The world of one seed: a machine with its clocks, a store, and processes that come and go.

The daemons are the real ones, but that their threads' turns are taken here, one after the other, in an order that the
seed draws. In each call of the store a process can be killed, or stand still while the others go on.
"""

from collections import Counter, deque
from collections.abc import Callable
from heapq import heappop, heappush
from random import Random

from mainspring.errors import StoreError
from mainspring.store.memory import MemoryStore
from mainspring.tasks.context import TaskContext, context
from simulate.checks import Books, Violation
from simulate.clock import Machine
from simulate.faults import AT_A_CALL, DAY, SECOND, Faults
from simulate.fibers import Fiber, Fibers, Killed
from simulate.process import FUNCTION, Node, Process, Turns
from simulate.witness import Witness

__all__ = ["FUNCTION", "Node", "Process", "World"]

_LAST = 60  # lines of what happened, told of a seed that failed
_MOST_TURNS = 50_000  # without time passing
_STEPS = (0.5, 1, 60, 3600, 86400)  # of the wall clock, in s, at most
_SLICES = 8  # of a long body, which looks after each whether it is to stop


class World:
    """What there is, and what happens next."""

    def __init__(
        self, seed: int, faults: Callable[[Random], Faults], *, lasting: bool = False, trace: int = _LAST
    ) -> None:
        """`lasting`: it goes on for so long that nobody looks for lost wake-ups, and no history is forgotten."""
        self.rng = rng = Random(seed)
        self.faults = faults(rng)
        self.by_hand = lasting
        self.early = 0 if lasting else rng.choice((0, 0, 0, 300))
        self.lease = None if lasting else rng.choice((None, 30 * SECOND, 30 * SECOND, 3 * SECOND))
        self.workers = 1 if lasting else rng.choice((1, 1, 2, 3))
        self.retention = 10_000 * DAY if lasting else rng.choice((10_000 * DAY, 1_800 * SECOND))
        self.skew = 0 if lasting else rng.choice((0, 0, SECOND // 20, 2 * SECOND))
        # who hands over early watches the clock until the instant: it must go on meanwhile
        self.machine = Machine(1_767_225_600 * SECOND + rng.randrange(365 * DAY), reading=1 if self.early else 0)
        self.fibers = Fibers(self._live)
        self.store = MemoryStore()
        self.nodes: list[Node] = []
        self.gone: set[int] = set()  # processes that have ended
        self.books = Books(self)
        self.witness = Witness(self)
        self.broken: Violation | None = None
        self.injected: Counter[tuple[str, str]] = Counter()  # what came between which call of the store and its caller
        self.only: tuple[int, str] | None = None  # the one call that something comes between, counted; and what
        self.calls = 0
        self.told: deque[tuple[int, int, str, str]] = deque(maxlen=trace)
        self._events: list[tuple[int, int, Callable[[], object]]] = []
        self._count = 0
        self._end = 0

    def next_number(self) -> int:
        """One that was not given before."""
        self._count += 1
        return self._count

    # ── time ───────────────────────────────────────────────────────────────────────────────────────────────
    def at(self, boot: int, event: Callable[[], object]) -> None:
        """Have this happen then. Where it answers a fiber, that goes on."""
        heappush(self._events, (boot, self.next_number(), event))

    def soon(self, event: Callable[[], object]) -> None:
        """Have this happen next."""
        self.at(self.machine.boot, event)

    def often(self, rate: str, event: Callable[[], object]) -> None:
        """Have this happen so many times a day, as `faults` says."""

        def again() -> None:
            if getattr(self.faults, rate):
                self.often(rate, event)
                event()

        share = getattr(self.faults, rate)
        if share:
            self.at(self.machine.boot + int(self.rng.expovariate(share) * DAY) + 1, again)

    def run(self, length: int) -> None:
        """Let `length` µs pass."""
        self._end = self.machine.boot + length
        self.fibers.run()

    def _live(self) -> Fiber | None:
        quiet = 0
        while not self.fibers.closing:
            if self.broken is not None:
                raise self.broken
            boot = self.machine.boot
            if self._events and self._events[0][0] <= boot:
                following = heappop(self._events)[2]()
                if isinstance(following, Fiber):
                    return following
                continue
            if boot >= self._end:
                return None
            ready: list[tuple[Node, Turns]] = []
            for node in self.nodes:
                if node.stopped_until <= boot:
                    wall = node.clock.wall
                    ready += [(node, loop) for loop in node.loops if loop.has_reason(wall)]
            if not ready:
                quiet = 0
                self._skip()
                continue
            quiet += 1
            if quiet > _MOST_TURNS:
                raise Violation(f"{quiet} turns were taken, and nothing comes to rest")
            node, loop = self.rng.choice(ready) if len(ready) > 1 else ready[0]
            self._take_turn(node, loop)
            if self.faults.slow and self.rng.random() < self.faults.slow:
                self.machine.go_on(self.rng.randrange(200_000))
        return None

    def _take_turn(self, node: Node, loop: Turns) -> None:
        self.act(node, loop.take_turn)
        if loop is node.loops[1]:
            node.renewed = self.machine.boot

    def _skip(self) -> None:
        """Go to the next moment at which anything happens."""
        boot, end = self.machine.boot, self._end
        if self._events:
            end = min(end, self._events[0][0])
        for node in self.nodes:
            if node.stopped_until <= boot:
                wall = node.clock.wall
                for loop in node.loops:
                    if loop.wanted is not None and not loop.busy:
                        end = min(end, boot + loop.wanted - wall)
        self.machine.go_on(max(end - boot, 0))

    def set_clock(self, *, most: float = _STEPS[-1]) -> None:
        """Set the wall clock: of the machine, or of one daemon that has a machine of its own."""
        by = int(self.rng.choice([step for step in _STEPS if step <= most]) * SECOND * self.rng.uniform(-1, 1))
        self.machine.step(by)
        self.note(None, f"the clock is set by {by} µs")
        self.clocks_were_set()

    def clocks_were_set(self) -> None:
        """The kernel ends the sleep of whoever waits for an instant."""
        for node in self.nodes:
            for loop in node.loops:
                loop.wake()

    def clock_off(self) -> int:
        """How much one more process's wall clock is ahead of the others'."""
        return self.rng.randint(-self.skew, self.skew) if self.skew else 0

    def standstill(self) -> int:
        """How long a process stands still."""
        return int(self.rng.choice((SECOND / 1000, SECOND, 60 * SECOND, 600 * SECOND)) * self.rng.random()) + 1

    # ── faults ─────────────────────────────────────────────────────────────────────────────────────────────
    def fault_at(self, name: str) -> str | None:
        """What comes between this call of the store and its caller, if anything does."""
        self.calls += 1
        if self.only is not None:
            found = self.only[1] if self.calls == self.only[0] else None
        else:
            found = next((kind for kind in AT_A_CALL if self.rng.random() < getattr(self.faults, kind)), None)
        if found is not None:
            self.injected[found, name] += 1
        return found

    # ── processes ──────────────────────────────────────────────────────────────────────────────────────────
    def act(self, process: Process, what: Callable[[], object]) -> None:
        """Have a process do something; it may not survive it."""
        try:
            what()
        except Killed:
            assert process.dead or self.fibers.closing, "killed, and alive"
        if self.broken is not None:
            raise self.broken

    def start_node(self) -> None:
        """One more daemon."""
        node = Node(self, f"n{self.next_number()}")
        self.nodes.append(node)
        self.note(node, "starts")
        try:
            self.act(node, node.start)
        except StoreError:
            node.kill("because it could not start")

    def stop_node(self, node: Node) -> None:
        """SIGTERM: it has a while to come to an end."""
        grace = int(self.rng.choice((0, 1, 20)) * SECOND)
        try:
            self.act(node, lambda: node.stop(grace))
        except StoreError:
            node.kill("because it could not stop")

    def buried(self, process: Process) -> None:
        """A process is gone: its locks fall, and the kernel tells whoever watches it."""
        if isinstance(process, Node) and process in self.nodes:
            self.nodes.remove(process)
        self.books.died(process.number)
        if any(seat.id == process.number for seat in self.store.nodes()):  # not when it has left already
            self.store.lose(process.number)
        self.gone.add(process.pid)

    def close(self) -> None:
        """The world ends."""
        for node in list(self.nodes):
            node.dead = True
        self.fibers.close()

    # ── bodies ─────────────────────────────────────────────────────────────────────────────────────────────
    def body_of(self, node: Node) -> Callable[[], None]:
        """The function that all tasks run, as this process has it."""

        def body() -> None:
            told = context()
            try:
                self.books.begins(node, told)
            except Violation as broken:  # the engine takes what a body raises for its failure
                self.broken = broken
                raise
            try:
                self._work(node, told)
            finally:
                self.books.ends(told)

        return body

    def _work(self, node: Node, told: TaskContext) -> None:
        drawn = self.rng.random()
        if drawn < self.faults.long:
            length = int(self.rng.choice((0.01, 0.2, 5, 300)) * SECOND * self.rng.random()) + _SLICES
            heeds, watch = self.rng.random() < 0.5, self.books.stopwatch(node, told)
            for _ in range(_SLICES):
                node.take(length // _SLICES)
                watch(length // _SLICES)
                if heeds and told.stop:
                    raise InterruptedError("the body was asked to stop")
        elif drawn > 1 - self.faults.failing:
            raise RuntimeError("the body failed")

    # ── telling ────────────────────────────────────────────────────────────────────────────────────────────
    def note(self, process: Process | None, what: str) -> None:
        """Remember it for whoever asks what led to a failure."""
        self.told.append((self.machine.boot, self.machine.wall, getattr(process, "name", "-"), what))

    def breaks(self, what: str) -> None:
        """A promise is broken, whoever catches what is raised here."""
        self.broken = self.broken or Violation(what)
        raise self.broken
