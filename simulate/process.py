"""Processes: daemons and clients, as far as each can tell on a machine of its own; killed, stopped, and woken again."""

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

from mainspring.engine.engine import Engine
from mainspring.engine.events import Events
from mainspring.engine.plan import Plan
from mainspring.engine.pool import Pool, Slot
from mainspring.engine.service import ManualDriver, ManualLoop, Step
from mainspring.engine.timeline import Held
from mainspring.engine.zones import Zones
from mainspring.tasks.registry import Registry
from simulate.clock import NodeClock
from simulate.faults import SECOND
from simulate.fibers import Fiber, Killed, SharedLock
from simulate.store import Ears, Way

if TYPE_CHECKING:
    from simulate.world import World

FUNCTION = "sim:body"
_FIRST_WAIT_US, _LONGEST_WAIT_US = 1_000, SECOND


class Process:
    """Has a way to the store, and can be killed in each call of it."""

    def __init__(self, world: "World", name: str) -> None:
        self.world = world
        self.name = name
        self.pid = world.next_number()
        self.dead = False
        self.stopped_until = 0  # boot-time clock: until then it does nothing, like after SIGSTOP
        self.stood = 0  # how often it was stopped
        self.ears: list[Ears] = []
        self.number = 0  # at the store; 0 until it has joined
        self.clock = NodeClock(world.machine, self, world.clock_off())
        self.way = Way(world.store, self)

    def living(self) -> None:
        """Whatever a dead process does has no effect: it ends here."""
        if self.dead:
            raise Killed

    def looks(self) -> None:
        """At the wall clock, which may be set just now."""
        world = self.world
        if world.faults.jolts and world.rng.random() < world.faults.jolts:
            world.set_clock()

    def kill(self, when: str) -> None:
        """SIGKILL."""
        if self.dead:
            return
        self.world.note(self, f"killed {when}")
        self.end()

    def end(self) -> None:
        """It is gone: its locks fall, and whoever watches it is told."""
        self.dead = True
        for ears in self.ears:
            ears.close()
        self.world.buried(self)

    def stand_still(self, when: str) -> None:
        """SIGSTOP, and SIGCONT some time later, unless it is killed first. Others go on meanwhile."""
        length = self.world.standstill()
        self.world.note(self, f"stands still for {length} µs, {when}")
        self.freeze(length)
        self.take(length)

    def freeze(self, length: int) -> None:
        """Let it do nothing for so long."""
        self.stood += 1
        self.stopped_until = max(self.stopped_until, self.world.machine.boot + length)
        self.world.at(self.stopped_until, lambda: None)  # it has turns to take then

    def take(self, length: int) -> None:
        """Let so much time pass here, in one thread of this process; everything else goes on."""
        world = self.world
        mine = world.fibers.current

        def go_on() -> Fiber | None:
            if self.stopped_until > world.machine.boot and not self.dead:
                world.at(self.stopped_until, go_on)
                return None
            return mine

        world.at(world.machine.boot + length, go_on)
        world.fibers.stand()
        self.living()

    def await_that(self, holds: Callable[[], bool], timeout: int | None = None) -> bool:
        """Let time pass until it holds; False when the time (µs) is over first."""
        machine, wait = self.world.machine, _FIRST_WAIT_US
        end = None if timeout is None else machine.boot + timeout
        while not holds():
            if end is not None and machine.boot >= end:
                return False
            self.take(wait if end is None else min(wait, end - machine.boot))
            wait = min(2 * wait, _LONGEST_WAIT_US)
        return True


class Node(Process):
    """One daemon."""

    def __init__(self, world: "World", name: str) -> None:
        super().__init__(world, name)
        self.loops: list[Turns] = []
        self.started = False  # it is not being made any more
        self.renewed = world.machine.boot  # when its timer's last turn was over, in which it renews its lease

    def start(self) -> None:
        """Take part; it may not survive that, or not be let in."""
        world, registry = self.world, Registry("/")
        registry.add(world.body_of(self), FUNCTION)
        plan = Plan(workers=world.workers, retention=world.retention, lease=world.lease)
        self.engine = Daemon(
            store=self.way, registry=registry, clock=self.clock, events=Events(),  # type: ignore[arg-type]  # it hands on what the port has
            plan=plan, driver=Driver(self),
        )  # fmt: skip
        # who sleeps at a lock must not stop the thread that has the baton; and the kernel tells a process's end
        self.engine.turnstile._lock = self._lock()  # type: ignore[assignment]  # noqa: SLF001
        self.engine.supervisor._lock = self._lock()  # type: ignore[assignment]  # noqa: SLF001
        desk, peers = self.loops[0], self.engine.peers
        for what, stands_in in (("_open", lambda pid, _: desk.watch_process(pid)), ("_ended", desk.has_ended),
                                ("_close", desk.unwatch_process)):  # fmt: skip
            setattr(peers, what, stands_in)
        self.engine.start()
        self.started = True

    def _lock(self) -> SharedLock:
        return SharedLock(self.world.fibers, self.take)

    def stop(self, grace: int) -> None:
        """SIGTERM."""
        self.started = False
        self.world.note(self, f"stops within {grace} µs")
        self.engine.stop(grace)
        self.end()


class Daemon(Engine):
    """The engine, with workers whose turns the world takes."""

    def _workers(self, registry: Registry) -> Pool:  # noqa: ARG002
        assert isinstance(self._driver, Driver)
        parts = self._attempt.run, self.timeline.take, self.plan.queues or {}, self._room_again
        return Workers(self._driver.node, self.plan.workers, *parts)


class Driver(ManualDriver):
    """Makes the loops of one daemon. Time goes on by itself: their safety looks are as often as anywhere."""

    def __init__(self, node: Node) -> None:
        super().__init__(node.clock)
        self.by_hand, self.early = node.world.by_hand, node.world.early
        self.node = node

    def loop(self) -> ManualLoop:
        """One more thread of this daemon: the desk, the timer, the recorder, and its workers."""
        loop = Turns(self.node)
        self.node.loops.append(loop)
        return loop


class Turns(ManualLoop):
    """What one thread of a daemon does, a turn at a time."""

    def __init__(self, node: Node) -> None:
        super().__init__()
        self.busy = False  # in the middle of a turn
        self._listens = False
        self._node = node
        self._gone = node.world.gone
        self._ears: list[Ears] = []
        self._processes: set[int] = set()

    def start(self, steps: Sequence[Step]) -> None:
        """See `ManualLoop`. The zones of this machine are not the world's."""
        super().start([step for step in steps if not isinstance(step, Zones)])

    def stop(self) -> None:
        """Take one last turn, as a thread does."""
        self._node.await_that(lambda: not self.busy)
        self.wake()
        self.take_turn()
        super().stop()

    def watch(self, fd: int) -> None:
        """See `Loop`."""
        self._listens = True
        self._ears += [ears for ears in self._node.ears if ears.fileno() == fd]

    def has_reason(self, now: int) -> bool:
        """For a turn, now."""
        if self.busy or not self.steps:
            return False
        wanted = self.wanted
        return self.woken or (wanted is not None and wanted <= now) or (self._listens and self._news())

    def take_turn(self) -> None:
        """As `ThreadLoop` does."""
        self.busy = True
        try:
            self.woken = True
            self.turn(self._node.clock.now())
        finally:
            self.busy = False

    def _news(self) -> bool:
        return not self._processes.isdisjoint(self._gone) or any([ears.pending for ears in self._ears])  # noqa: C419  # asked all the time: a list is faster

    # ── what the kernel does for `Peers` ───────────────────────────────────────────────────────────────────
    def watch_process(self, pid: int) -> int:
        """Have a turn when it ends."""
        self._processes.add(pid)
        return pid

    def has_ended(self, pid: int) -> bool:
        """Has it?"""
        ended = pid in self._gone
        if ended:
            self.unwatch_process(pid)
        return ended

    def unwatch_process(self, pid: int) -> None:
        """Enough of that."""
        self._processes.discard(pid)


class Workers(Pool):
    """Workers whose turns the world takes: each takes what is due, runs it, and takes the next."""

    def __init__(
        self, node: Node, workers: int, work: Callable[[Held, Slot], None], take: Callable[[Held], bool],
        limits: Mapping[str, int | None], freed: Callable[[], None],
    ) -> None:  # fmt: skip
        super().__init__(workers, work, take, limits, freed)
        self._node = node
        self._idle: dict[Turns, None] = {}  # an ordered set

    def start(self) -> None:
        """See `Pool`."""
        for slot in self.slots:
            loop = Turns(self._node)
            self._node.loops.append(loop)
            loop.start([Worker(self, slot, loop)])

    def offer(self, batch: Sequence[Held]) -> None:
        """See `Pool`."""
        self.ready.push(batch)
        self._wake_one()

    def next_for(self, slot: Slot, loop: "Turns") -> Held | None:
        """What this worker runs now."""
        held = slot.held = self._next()
        if held is None:
            if not self._stopping:
                self._idle[loop] = None
                self.ebbed()
        elif self.ready.count:
            self._wake_one()
        return held

    def ran(self, slot: Slot, held: Held) -> None:
        """It is done."""
        slot.clear()
        self.ready.ended(held.queue)

    def run(self, held: Held, slot: Slot) -> None:
        """One attempt."""
        self._work(held, slot)

    def _wake_one(self) -> None:
        if self._idle:
            self._idle.popitem()[0].wake()

    def stop(self) -> None:
        """See `Pool`."""
        self._stopping = True

    def join(self, timeout: float | None) -> bool:
        """See `Pool`."""
        return self._node.await_that(lambda: not self.busy(), None if timeout is None else int(timeout * SECOND))

    def nudge(self) -> bool:
        """Whoever is idle was woken."""
        return False


class Worker:
    """One worker's step."""

    def __init__(self, pool: Workers, slot: Slot, loop: Turns) -> None:
        self._pool = pool
        self._slot = slot
        self._loop = loop

    def step(self, now: int) -> int | None:  # noqa: ARG002  # a step like any other
        """Run one task, if there is one, and look again."""
        held = self._pool.next_for(self._slot, self._loop)
        if held is not None:
            self._pool.run(held, self._slot)
            self._pool.ran(self._slot, held)
            self._loop.wake()
        return None
