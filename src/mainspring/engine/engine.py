"""The running daemon: makes the loops, starts them, and stops them in order.

Three threads beside the workers: `timer` (nothing but the instants), `desk` (claims, requests, schedules, listeners,
limits, neighbours, history) and `recorder` (outcomes). With a virtual clock, or inline, the same steps run in the
caller's thread.
"""

import logging
import os
import socket
import threading
from typing import TYPE_CHECKING

from mainspring.engine import settle
from mainspring.engine.attempt import Attempt
from mainspring.engine.claimer import SAFETY_BY_HAND_US, SAFETY_US, Claimer
from mainspring.engine.desk import steps as desk_steps
from mainspring.engine.events import Events
from mainspring.engine.lease import Lease
from mainspring.engine.mover import Movers
from mainspring.engine.parts import Parts
from mainspring.engine.peers import Peers
from mainspring.engine.plan import Plan
from mainspring.engine.planner import Planner
from mainspring.engine.pool import InlinePool, Pool, ThreadPool
from mainspring.engine.program_attempts import ProgramAttempts
from mainspring.engine.recorder import Recorder
from mainspring.engine.responder import Responder
from mainspring.engine.service import ManualDriver, ManualLoop, Step, ThreadLoop
from mainspring.engine.supervisor import Supervisor
from mainspring.engine.timeline import Held, Timeline
from mainspring.engine.timer import EARLY_US, Timer
from mainspring.engine.turnstile import Turnstile
from mainspring.engine.watchdog import Watchdog
from mainspring.errors import StoreError
from mainspring.store.protocol import Store
from mainspring.store.rows import NewNode
from mainspring.tasks.registry import Registry
from mainspring.when.clock import Clock

if TYPE_CHECKING:
    from mainspring.engine.child_places import ChildPlaces
    from mainspring.engine.listener_places import Places

log = logging.getLogger("mainspring")

# After the grace, how long a body that was asked to stop may take to come back.
_LAST_CHANCE_S = 1.0
_READY_S = 30.0


class Engine:
    """A started daemon. Made, started and stopped once."""

    def __init__(
        self,
        *,
        store: Store,
        registry: Registry,
        clock: Clock,
        events: Events,
        plan: Plan,
        driver: ManualDriver | None = None,
    ) -> None:
        self.store = store
        self.plan = plan
        self.clock = clock
        self._driver = driver
        self._stopped = False
        self._hurry = threading.Event()
        self._quiet = threading.Condition()
        self.seat = store.join(
            NewNode(
                host=socket.gethostname(),
                pid=os.getpid(),
                version=plan.version,
                workers=plan.workers,
                started_at=clock.now(),
                app=plan.app,
            )
        )
        self.node = self.seat.node
        self.watch = store.watch()
        self.by_hand = driver is not None and driver.by_hand
        self._early = EARLY_US if driver is None else driver.early
        self._timer_loop, self._desk_loop, self._recorder_loop = self._loops()
        self.events = events
        self._listeners: tuple[ThreadLoop, ChildPlaces] | None = None
        self._caretakers: list[Step] = []  # further steps of the desk
        self._make_path(registry)
        self._make_desk(registry)

    # ── making ─────────────────────────────────────────────────────────────────────────────────────────────
    def _make_path(self, registry: Registry) -> None:
        """What a task passes: timeline, timer, pool, attempt, recorder."""
        self.timeline = Timeline()
        self.recorder = Recorder(self.store, self._recorder_loop, self.events, self.clock.now)
        self.lease = Lease(
            self.seat.journal, self.clock, self.plan.lease,
            wake=self._timer_loop.wake, holding=self._holding, lapsed=self._lapsed,
        )  # fmt: skip
        self.watchdog = Watchdog(self.clock, self._desk_loop, self.recorder.put)
        self.program_attempts = ProgramAttempts(self.clock, self.seat.locks, self.plan.programs)
        # with worker processes each of them has a part of the journal, and the last part is for what runs here
        self._processes = 0 if self.plan.setup is None or self._driver is not None else self.plan.workers
        whole, count = self.seat.journal, self._processes
        journal = whole.part(count, count + 1) if count else whole
        parts = Parts(self.seat.journal)
        self.turnstile = Turnstile(
            self.store, self.node, self.timeline, self.recorder.put, self._timer_loop.wake, self.recorder.given_back
        )
        self._attempt = Attempt(
            clock=self.clock,
            registry=registry,
            journal=journal,
            recorder=self.recorder,
            limits=self.watchdog,
            programs=self.program_attempts,
            put_back=self._put_back,
            turned_away=self.turnstile.turned_away,
            followed=parts.followed,
            early=self._early,
        )
        self.pool = self._workers(registry)
        self._attempt.tune = self.pool.took
        self.recorder.slots = self.turnstile.slots = self.pool.slots
        self.recorder.active = self.pool.active
        self.recorder.flooded = self.pool.crowded
        self.recorder.near = self.timeline.near
        self.pool.ebbed = self.recorder.ebbed
        self.pool.look = self._timer_loop.wake
        self.recorder.told, self.recorder.summed = parts.recorded, parts.tell
        self.timer = Timer(self.timeline, self.pool, parts, early=self._early, handed=self.recorder.arm)

    def _make_desk(self, registry: Registry) -> None:
        """What looks after it: claims, requests, neighbours, schedules, listeners."""
        self.claimer = Claimer(
            store=self.store,
            node=self.node,
            timeline=self.timeline,
            pool=self.pool,
            recorder=self.recorder,
            registry=registry,
            timer=self._timer_loop,
            wall=self.clock.now,
            queues=self.plan.queues,
            programs=self.plan.programs,
            warm=self.program_attempts.warm,
            lease=self.lease,
            # moved by hand, the clock would have to stop for every safety look, and no wake is lost within one thread
            safety=SAFETY_BY_HAND_US if self.by_hand else SAFETY_US,
        )
        self.responder = Responder(self.store, self.node, self.timeline, self.pool, self.recorder, self.claimer)
        self.peers = Peers(self.store, self.node, self._desk_loop, self.events, self.clock, self.plan.lease)
        self.claimer.alone = lambda: self.peers.alone
        self.planner = Planner(self.store)
        plan = self.plan
        self.movers = Movers(self.store, plan.outboxes, self.clock, self._driver, programs=plan.outbox_programs)
        self.supervisor = Supervisor(
            store=self.store,
            node=self.node,
            clock=self.clock,
            loop=self._desk_loop,
            registry=registry,
            coroutines=self._attempt.coroutines,
            programs=self.program_attempts.programs,
            allowed=self.plan.programs,
            events=self.events,
            workers=self.plan.listener_workers,
            manual=self._driver is not None,
            places=self._listener_places(),
        )
        self.supervisor.taking = self.lease.begin
        self.recorder.settled, self.recorder.ended = self._settled, self.turnstile.ended
        if self._driver is not None:
            self._driver.next_start = self.next_start
        self.recorder.gathers = not self.by_hand

    def _listener_places(self) -> "Places | None":
        """Where listeners run: None is here. With worker processes they have some of their own."""
        if not self._processes or self.plan.setup is None:
            return None
        from mainspring.engine.child_places import ChildPlaces

        loop = ThreadLoop("listeners", self.clock)
        places = ChildPlaces(
            setup=self.plan.setup,
            locks=self.seat.locks,
            workers=self.plan.listener_workers,
            clock=self.clock,
            loop=loop,
            grace=self.plan.grace,
        )
        self._listeners = loop, places
        return places

    def _loops(self) -> tuple[ThreadLoop | ManualLoop, ThreadLoop | ManualLoop, ThreadLoop | ManualLoop]:
        if self._driver is None:
            return (
                ThreadLoop("timer", self.clock, prompt=True),
                ThreadLoop("desk", self.clock),
                ThreadLoop("recorder", self.clock),
            )
        # in the order in which a turn runs them: look and reserve, fire and run, record
        desk, timer, recorder = self._driver.loop(), self._driver.loop(), self._driver.loop()
        return timer, desk, recorder

    def _workers(self, registry: Registry) -> Pool:
        plan, parts = self.plan, (self._attempt.run, self.timeline.take, self.plan.queues or {}, self._room_again)
        if self._driver is not None:
            return InlinePool(plan.workers, *parts)
        if plan.executor is not None:
            from mainspring.engine.executor_host import ExecutorHost
            from mainspring.engine.executor_pool import ExecutorPool

            around = ExecutorHost(
                clock=self.clock, registry=registry, attempt=self._attempt, recorder=self.recorder,
                watchdog=self.watchdog, journal=self.seat.journal, loop=self._desk_loop, put_back=self._put_back,
            )  # fmt: skip
            pool = ExecutorPool(plan.workers, *parts, executor=plan.executor, host=around, most_early=2 * self._early)
            self._caretakers.append(pool)
            return pool
        if plan.setup is None:
            return ThreadPool(plan.workers, *parts)
        from mainspring.engine.process_host import ProcessHost
        from mainspring.engine.process_pool import ProcessPool

        host = ProcessHost(
            clock=self.clock,
            registry=registry,
            attempt=self._attempt,
            recorder=self.recorder,
            watchdog=self.watchdog,
            timeline=self.timeline,
            put_back=self._put_back,
            seat=self.seat,
            parts=self._processes + 1,
            setup=plan.setup,
        )
        return ProcessPool(plan.workers, *parts, host=host, most_early=2 * self._early)

    # ── small hands that join the parts ────────────────────────────────────────────────────────────────────
    def _room_again(self) -> None:
        self.claimer.room_again()
        self._desk_loop.wake()

    def _put_back(self, held: Held) -> None:
        """It does not start now: the clock went back between the timer and the start, or this daemon stood still."""
        if not self.seat.journal.covers(held.token, self.clock.boottime()):
            self.recorder.put(settle.returned(held))
        elif self.timeline.add([held]):
            self._timer_loop.wake()

    def _holding(self) -> bool:
        """Does it hold anything that somebody else could take?"""
        held = len(self.timeline) or self.pool.busy() or self.recorder.waiting
        return bool(held) or self.supervisor.holding()

    def _lapsed(self) -> None:
        """It was silent for so long that what it holds may be another's."""
        self._give_back()
        self.recorder.doubt()
        self.supervisor.hear(["standing"])
        self._room_again()

    def _settled(self) -> None:
        """The recorder has written what there was."""
        self.seat.journal.busy = self.pool.busy()
        if self.claimer.written():
            self._desk_loop.wake()
        with self._quiet:
            self._quiet.notify_all()

    # ── life ───────────────────────────────────────────────────────────────────────────────────────────────
    def start(self) -> None:
        """Take part."""
        desk = desk_steps(self, (self._desk_loop, self._timer_loop, self._recorder_loop)) + self._caretakers
        fire: list[Step] = [self.lease, self.timer]
        if isinstance(self.pool, InlinePool):
            fire.append(self.pool)
        self.pool.start()
        if self._listeners is not None:
            self._listeners[0].start([self._listeners[1]])
        self._recorder_loop.start([self.recorder])
        self._timer_loop.start(fire)
        self._desk_loop.watch(self.watch.fileno())
        self._desk_loop.start(desk)
        self.movers.start()
        if self.plan.eager:
            self.pool.warm()
            self.pool.await_ready(_READY_S)

    def next_start(self) -> int | None:
        """The earliest instant at which a task is to start, or an occurrence of a schedule is due."""
        known = (self.claimer.next_start(), self.planner.next_start())
        return min((at for at in known if at is not None), default=None)

    def answer(self) -> None:
        """Driven by hand, inside a body: answer what it asks of this daemon, as another thread would."""
        now = self.clock.now()
        self.recorder.step(now)
        self.responder.hear([f"ask {self.node}"])
        self.responder.step(now)

    def wake(self) -> None:
        """Something changed that the store's news do not tell: functions were registered."""
        self.claimer.forget()
        self.supervisor.hear(["standing"])
        self._desk_loop.wake()

    def hurry(self) -> None:
        """Cut the grace of a stop that is going on."""
        self._hurry.set()
        self.pool.hurry()
        self.supervisor.hurry()

    def start_nothing_more(self) -> None:
        """The first part of a stop: what runs goes on."""
        self.claimer.paused = True
        self.pool.stop()

    def stop(self, grace_us: int | None = None) -> None:
        """Start nothing more, let what runs end within the grace, give back the rest, leave. Stopping twice is fine."""
        if self._stopped:
            return
        self._stopped = True
        grace = (self.plan.grace if grace_us is None else grace_us) / 1e6
        end = self.clock.monotonic() / 1e6 + grace
        self.start_nothing_more()
        self.supervisor.ask_stop()
        for slot in self.pool.slots:
            slot.hint()  # whoever asks `stopping()` may use the grace to come to a good end
        self._give_back()
        ended = self.pool.join(0 if self._hurry.is_set() else grace)
        if not ended:
            self._interrupt()
        self.supervisor.join(max(end - self.clock.monotonic() / 1e6, _LAST_CHANCE_S))
        self.supervisor.close()
        if self._listeners is not None:
            self._listeners[0].stop()
        self.program_attempts.close()
        self.pool.close()
        self.movers.stop()
        for loop in (self._timer_loop, self._desk_loop, self._recorder_loop):
            loop.stop()
        self._leave()

    def _give_back(self) -> None:
        """What has not started goes back at once: another daemon need not wait for this one's grace."""
        for held in self.timeline.every():
            if self.timeline.withdraw(held.id) is held:
                self.recorder.put(settle.returned(held))

    def _interrupt(self) -> None:
        """The grace is over: ask what runs to stop, and settle what does not."""
        for slot in self.pool.slots:
            slot.ask(settle.STOPPED)
        self.pool.join(_LAST_CHANCE_S)
        now = self.clock.now()
        for slot in self.pool.slots:
            held = slot.held
            if held is not None and slot.started_at and not slot.settled:
                slot.settled = True
                given_back = settle.interrupted(held, slot.attempt, slot.started_at, now)
                self.recorder.put(settle.timed(given_back, None))
                log.warning("task %s did not end within the grace and was given back", held.id)

    def _leave(self) -> None:
        try:
            self.recorder.gathers = False
            self.recorder.step(self.clock.now())
            self.store.leave(self.node)
        except StoreError:
            # the next daemon on this store finds the lock free and settles what is left
            log.exception("the daemon could not leave the store in order")
        self.peers.close()
        self.watch.close()
        self._attempt.coroutines.stop()

    @property
    def quiet(self) -> bool:
        """Nothing is due, runs, or waits to be written, as far as this node knows."""
        if self.recorder.waiting or self.pool.ready.count:
            return False
        if any(slot.held is not None and not slot.settled for slot in self.pool.slots):
            return False
        following = self.timeline.next()
        return following is None or following > self.clock.now()

    def await_quiet(self, timeout_us: int | None) -> bool:
        """Wait until this node is quiet; False when the time was over first."""
        with self._quiet:
            return self._quiet.wait_for(lambda: self.quiet, None if timeout_us is None else timeout_us / 1e6)
