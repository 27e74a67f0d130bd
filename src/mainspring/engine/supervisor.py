"""Keeps listeners running: takes those that are free, starts them, starts them again when they fail, says how they are.

A listener that is not `everywhere` runs where `Standing.holder` says; becoming the holder is a compare-and-set, so that
one daemon wins, and it is given up only after the body has ended. The holder of a dead daemon's listeners is cleared
by the takeover. `Listener` has the facts of one, `bodies` the three ways of running, `turns` and `rota` who goes next,
`listener_places` where.
"""

import logging
import threading
from collections import deque
from collections.abc import Callable
from heapq import heappop, heappush

import msgspec

from mainspring.engine.bodies import ProgramBody, Spawner
from mainspring.engine.coroutines import CoroutineLoop
from mainspring.engine.definitions import encode, listener_of
from mainspring.engine.events import Event, Events
from mainspring.engine.listener import Body, Listener
from mainspring.engine.listener_places import Places, ThreadPlaces
from mainspring.engine.program_attempts import allowed as program_allowed
from mainspring.engine.service import Loop
from mainspring.errors import InvalidValue, StoreError
from mainspring.store.protocol import Store
from mainspring.store.rows import Standing
from mainspring.tasks.registry import Registry
from mainspring.tasks.state import Kind
from mainspring.when.clock import Clock

log = logging.getLogger("mainspring")

WRITE_EVERY_US = 500_000  # at most one write of a listener's status in this time
_TRIES = 50
_LAST_CHANCE_S = 1.0


class Supervisor:
    """The step that looks after this daemon's listeners. Any thread may call its methods; stopping twice is fine.

    `places`: where their bodies run; threads of this process unless it says otherwise.
    """

    def __init__(
        self,
        *,
        store: Store,
        node: int,
        clock: Clock,
        loop: Loop,
        registry: Registry,
        coroutines: CoroutineLoop,
        programs: Spawner,
        events: Events,
        allowed: bool | tuple[str, ...] = True,
        workers: int = 4,
        manual: bool = False,
        places: Places | None = None,
    ) -> None:
        self._store = store
        self._node = node
        self._clock = clock
        self._loop = loop
        self._registry = registry
        self._programs = programs
        self._events = events
        self._allowed = allowed
        self.workers = workers
        self._places: Places = places or ThreadPlaces(workers, clock, coroutines, manual=manual)
        self._places.hungry = self._may_starve
        self._turns = self._places.turns
        self._lock = threading.RLock()  # whoever steps, asks or closes
        self._quiet = threading.Condition()  # a body has ended
        self._hurried = False
        self._held: dict[str, Listener] = {}
        self._told: deque[tuple[Listener, int | None]] = deque()  # changed, or to be started again at an instant
        self._again: list[tuple[int, int, Listener]] = []  # at (monotonic), tie
        self._unwritten: dict[str, Listener] = {}
        self._said: set[str] = set()  # what was logged once
        self._changed = True  # look at the store
        self._look_hungry = False
        self._hungry_at: int | None = None
        self._ties = 0
        self._stopping = False
        self._closed = False
        self.taking: Callable[[], object] = lambda: None  # told before one is taken

    # ── the step ───────────────────────────────────────────────────────────────────────────────────────────
    def hear(self, news: list[str]) -> None:
        """Look when a listener changed, or a daemon joined or left."""
        if any(word in {"standing", "nodes", "*"} or word.startswith("standing listener ") for word in news):
            self._changed = True

    def step(self, now: int) -> int | None:
        """Do what there is to do; the instant of the next turn."""
        with self._lock:
            if self._closed:
                return None
            monotonic = self._clock.monotonic()
            self._take_in()
            if self._changed:
                self._changed = False
                try:
                    self._look(now)
                except StoreError:
                    self._changed = True
                    raise
            wants = [
                self._start_again(monotonic),
                self._turns.run_due(monotonic),
                self._feed(monotonic),
                self._write(now, monotonic),
            ]
            if self._changed or self._told:
                return now
            wanted = [want for want in wants if want is not None]
            return now + min(wanted) - monotonic if wanted else None

    def _take_in(self) -> None:
        """What bodies have said since the last turn."""
        while self._told:
            listener, at = self._told.popleft()
            if self._held.get(listener.name) is not listener:
                continue
            if listener.ended:
                self._drop(listener)
            elif at is not None:
                self._ties += 1
                heappush(self._again, (at, self._ties, listener))
            else:
                self._unwritten[listener.name] = listener

    def _look(self, now: int) -> None:
        """Make what runs here agree with what the store says."""
        stored = {one.name: one for one in self._store.standings("listener")}
        for listener in list(self._held.values()):
            standing = stored.pop(listener.name, None)
            if standing is not None:
                listener.standing = standing
            if standing is None or standing.paused or standing.definition != listener.text or not self._mine(listener):
                self._ask(listener)
        if self._stopping:
            return
        taken: list[Listener] = []
        try:
            considered = (self._consider(one, now) for one in stored.values() if not one.paused)
            taken.extend(new for new in considered if new is not None)
        finally:  # the store may fail in between
            self._begin(taken)

    def _begin(self, taken: list[Listener]) -> None:
        self._turns.add([new.body.place for new in taken if new.body is not None and new.body.place is not None])
        for new in taken:
            log.info("listener %s started", new.name)
            if new.body is not None and new.body.place is None:
                new.body.start()
        self._look_hungry |= bool(taken)

    def _mine(self, listener: Listener) -> bool:
        return listener.standing.holder == self._node or listener.definition.everywhere

    def _start_again(self, monotonic: int) -> int | None:
        """Coroutines and programs whose pause is over."""
        while self._again:
            at, _, listener = self._again[0]
            if at > monotonic:
                return at
            heappop(self._again)
            if listener.body is not None and not listener.asked:
                listener.body.start()
        return None

    def _feed(self, monotonic: int) -> int | None:
        """Say who gets no turn."""
        if self._look_hungry or (self._hungry_at is not None and self._hungry_at <= monotonic):
            self._look_hungry = False
            hungry, self._hungry_at = self._turns.starving(monotonic)
            for place in hungry:
                place.owner.starve()
            self._take_in()
        return self._hungry_at

    # ── taking and letting go ──────────────────────────────────────────────────────────────────────────────
    def _consider(self, standing: Standing, now: int) -> Listener | None:
        """Take it if it is free and can run here; it is still to be started."""
        try:
            definition = listener_of(standing)
        except InvalidValue as error:
            self._say_once(standing.name, str(error))
            return None
        if not definition.everywhere and standing.holder not in {None, self._node}:
            return None
        listener = Listener(standing, definition, self._clock, self._tell, self._ended)
        listener.body = self._body(listener)
        if listener.body is None:
            return None
        if definition.everywhere:
            self._tell(listener)
        else:
            self.taking()
            taken = msgspec.structs.replace(standing, holder=self._node, status=encode(listener.status()))
            if not self._advance(listener, taken, now):
                self._changed = True  # somebody was first: look again at what is left
                return None
            listener.written = listener.shown
        self._held[listener.name] = listener
        return listener

    def _body(self, listener: Listener) -> Body | None:
        """What runs it here; None when this daemon cannot."""
        work = listener.definition.work
        if work.kind is Kind.PROGRAM:
            if not program_allowed(work.work, self._allowed):
                self._say_once(listener.name, f"this daemon may not run the program {work.work}; see programs=")
                return None
            return ProgramBody(listener, self._programs, self._clock, self._later, self._allowed)
        registered = self._registry.resolve(work.work)
        if registered is None:
            self._say_once(listener.name, self._registry.why_not(work.work) or f"{work.work} is not known")
            return None
        if registered.is_async:
            return self._places.coroutine(listener, registered, work.payload, self._later)
        return self._places.function(listener, registered, work.payload)

    def _say_once(self, name: str, why: str) -> None:
        if name not in self._said:
            self._said.add(name)
            log.warning("listener %s does not run in this daemon: %s", name, why)

    def _ask(self, listener: Listener) -> None:
        if not listener.asked:
            listener.write_at = self._clock.monotonic() + WRITE_EVERY_US  # most have ended by then
            listener.ask()

    def _drop(self, listener: Listener) -> None:
        """It has ended: let others have it, and look whether it is to run here again."""
        del self._held[listener.name]
        self._unwritten.pop(listener.name, None)
        self._changed = True
        for _ in range(_TRIES):
            if not self._mine(listener):
                return
            everywhere = listener.definition.everywhere
            if everywhere and not listener.standing.paused and self._others():
                return  # it still runs there
            if self._advance(listener, msgspec.structs.replace(_with_status(listener), holder=None), 0):
                return
            found = [one for one in [self._store.standing("listener", listener.name)] if one is not None]
            if not found:
                return
            listener.standing = found[0]
        log.error("listener %s could not be let go of: its row was changed by others each time", listener.name)

    def _others(self) -> bool:
        return any(node.alive and node.id != self._node for node in self._store.nodes())

    # ── what is shown ──────────────────────────────────────────────────────────────────────────────────────
    def _write(self, now: int, monotonic: int) -> int | None:
        """Store what visibly changed, each listener at most every WRITE_EVERY; the instant of the next write."""
        wanted: int | None = None
        for name, listener in list(self._unwritten.items()):
            shown = listener.shown
            if shown == listener.written:
                del self._unwritten[name]
            elif monotonic < listener.write_at:
                wanted = listener.write_at if wanted is None else min(wanted, listener.write_at)
            elif self._advance(listener, _with_status(listener), now):
                del self._unwritten[name]
                listener.written = shown
                listener.write_at = monotonic + WRITE_EVERY_US
                if self._events.wanted:
                    self._events.emit(Event("listener", message=_message(listener)))
                if listener.shown != shown:  # it changed meanwhile
                    self._unwritten[name] = listener
            else:
                self._changed = True  # the row was changed by somebody else: look, then write
        return wanted

    def _advance(self, listener: Listener, standing: Standing, now: int) -> bool:
        """A compare-and-set of its row; afterwards `listener.standing` is what the store has."""
        if not self._store.advance(standing, (), now, durable=False):
            return False
        listener.standing = msgspec.structs.replace(standing, version=standing.version + 1)
        return True

    def facts(self) -> list[tuple[str, str, int, int, str | None]]:
        """Of each listener that runs here: name, state, turns, restarts, last error."""
        with self._lock:
            return [(one.name, one.state, one.turns, one.restarts, one.last_error) for one in self._held.values()]

    def holding(self) -> bool:
        """Does any listener run here?"""
        return bool(self._held)

    def busy(self) -> int:
        """How many of the listeners' workers are in a body."""
        return self._turns.busy()

    # ── what bodies say, on their threads ──────────────────────────────────────────────────────────────────
    def _tell(self, listener: Listener) -> None:
        self._told.append((listener, None))
        self._loop.wake()

    def _later(self, listener: Listener, delay: int) -> None:
        self._told.append((listener, self._clock.monotonic() + delay))
        self._loop.wake()

    def _ended(self, listener: Listener) -> None:
        with self._quiet:
            self._quiet.notify_all()
        self._tell(listener)

    def _may_starve(self) -> None:
        self._look_hungry = True
        self._loop.wake()

    # ── the end ────────────────────────────────────────────────────────────────────────────────────────────
    def ask_stop(self) -> None:
        """Take no more, and ask all bodies to stop."""
        with self._lock:
            self._stopping = True
            for listener in list(self._held.values()):
                self._ask(listener)

    def join(self, timeout_s: float | None) -> bool:
        """Wait until all bodies that were asked have ended; False when the time was over first, which is logged."""
        with self._lock:
            asked = [listener for listener in self._held.values() if listener.asked]
        with self._quiet:
            self._quiet.wait_for(lambda: self._hurried or all(listener.ended for listener in asked), timeout_s)
            if self._hurried:
                self._quiet.wait_for(lambda: all(listener.ended for listener in asked), _LAST_CHANCE_S)
        if not all(listener.ended for listener in asked) and self._places.kill():
            with self._quiet:
                self._quiet.wait_for(lambda: all(listener.ended for listener in asked), _LAST_CHANCE_S)
        if all(listener.ended for listener in asked):
            return True
        left = ", ".join(listener.name for listener in asked if not listener.ended)
        log.warning("listeners that did not stop when they were asked are left behind: %s", left)
        return False

    def hurry(self) -> None:
        """Cut a `join` that is going on, or will come, to a last chance."""
        with self._quiet:
            self._hurried = True
            self._quiet.notify_all()

    def close(self) -> None:
        """Let go of what has ended. What has not is freed when this daemon leaves the store."""
        self.ask_stop()
        with self._lock:
            if not self._closed:
                self._take_in()
                self._closed = True
        self._places.close()


def _with_status(listener: Listener) -> Standing:
    return msgspec.structs.replace(listener.standing, status=encode(listener.status()))


def _message(listener: Listener) -> str:
    error = f" ({listener.last_error})" if listener.state == "backing-off" and listener.last_error else ""
    return f"{listener.name}: {listener.state}{error}"
