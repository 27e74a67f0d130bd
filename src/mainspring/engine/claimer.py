"""Reserves what falls due within the horizon, a batch at a time.

A reservation is soft: the task's state stays `waiting` and it can be given back. What is due goes first, as much as the
workers get through in about 50 ms; then what comes due within HORIZON, so that at its instant it is in memory already.
The next look is LEAD before the next instant, or when news say that something earlier came.
"""

import logging
from collections.abc import Callable, Iterable, Mapping

import msgspec

from mainspring.engine import settle
from mainspring.engine.clockwatch import Moved
from mainspring.engine.lease import Lease
from mainspring.engine.pool import Pool
from mainspring.engine.program_attempts import allowed
from mainspring.engine.recorder import Recorder
from mainspring.engine.service import Loop
from mainspring.engine.timeline import Held, Timeline
from mainspring.store.journal import LIMIT
from mainspring.store.protocol import Store
from mainspring.store.rows import Lane, Reservation
from mainspring.tasks.options import DEFAULT, complete_options, decode_options
from mainspring.tasks.registry import Registry
from mainspring.tasks.state import Kind

log = logging.getLogger("mainspring")

HORIZON_US = 5_000_000
LEAD_US = 2_000_000
SAFETY_US = 60_000_000
SAFETY_BY_HAND_US = 86_400_000_000
HELD_MAX = 20_000  # reservations in memory, whatever the horizon holds
MOST_UNWRITTEN = LIMIT - HELD_MAX  # outcomes; what is held already may still start, and the journal must cover it all
OVERDUE_US = 50_000
HOLD_OFF_US = 1_000_000
_EVER = -(1 << 62)  # before every instant: what was due before 1970 is due, too
CALM_US = 20_000


class Claimer:
    """The step that fills the timeline."""

    def __init__(
        self,
        *,
        store: Store,
        node: int,
        timeline: Timeline,
        pool: Pool,
        recorder: Recorder,
        registry: Registry,
        timer: Loop,
        wall: Callable[[], int],
        queues: Mapping[str, int | None] | None,
        programs: bool | tuple[str, ...],
        warm: Callable[[], None],
        lease: Lease,
        safety: int = SAFETY_US,
    ) -> None:
        self._store = store
        self._node = node
        self._timeline = timeline
        self._pool = pool
        self._recorder = recorder
        self._registry = registry
        self._timer = timer
        self._wall = wall
        self._queues = queues
        self._limits = {queue: limit for queue, limit in (queues or {}).items() if limit is not None}
        self._programs = programs
        self._warm = warm  # programs may come: what starts them should be there before they are due
        self._safety = safety
        self._lease = lease
        self._lanes: dict[int, Lane] = {}
        self._able: list[int] = []
        self._unknown: list[int] = []
        self._hold_off: dict[int, int] = {}
        self._calm_until = 0
        self._look_at: int | None = 0
        self._room = False
        self._stale = False
        self._safety_at = 0
        self._until = 0
        self._token = 0  # the newest that this node has got
        self._doubt = False  # a call failed, and may have held something all the same
        self.alone: Callable[[], bool] = lambda: True  # is there no other daemon on this store?
        self.backed_up = False  # so many outcomes wait to be written that nothing more is reserved
        self.paused = False  # the daemon is stopping: reserve nothing more
        self.found_by_safety = 0  # what only the safety look found: a wake was lost; treated as a bug

    def hear(self, news: Iterable[str], now: int) -> None:
        """What the store's watch brought: an instant within what was already looked at means to look at once."""
        for word in news:
            if word == "*":
                self._look_at = now
            elif word.startswith("due "):
                run_at = int(word[4:])
                at = now if run_at <= self._until else run_at - LEAD_US
                if self._look_at is None or at < self._look_at:
                    self._look_at = at

    def clock_moved(self, moved: Moved) -> None:
        """Look at everything by the new clock. What is reserved and far off now goes back: it would take up room."""
        now = moved.at
        self._look_at = now
        self._safety_at = now + self._safety
        self._calm_until = 0
        self._hold_off = {task: until + moved.by for task, until in self._hold_off.items()}
        for held in self._timeline.every():
            if held.run_at > now + HORIZON_US and self._timeline.withdraw(held.id) is held:
                self._recorder.put(settle.returned(held))

    def room_again(self) -> None:
        """The pool has room: look at once. Called on a worker's thread; the step takes the flag."""
        self._room = True

    def written(self) -> bool:
        """Outcomes were written: did it wait for that? Then it looks again. Called on the recorder's thread."""
        if not self.backed_up or self._recorder.waiting > MOST_UNWRITTEN:
            return False
        self._room = True
        return True

    def hold_off(self, task: int, now: int) -> None:
        """Leave this task to whoever asked for it, for a second."""
        self._hold_off[task] = now + HOLD_OFF_US

    def forget(self) -> None:
        """Functions were registered: look again at what was not known. From any thread; the step takes the flag."""
        self._stale = True

    def next_start(self) -> int | None:
        """The earliest instant at which a task that this daemon can run is due, reserved or not."""
        self._learn()
        known = (self._timeline.next(), self._store.next_due(self._able) if self._able else None)
        return min((at for at in known if at is not None), default=None)

    def step(self, now: int) -> int | None:
        """Reserve if it is time; the instant of the next look."""
        if self.paused:
            return None
        if self._room:
            self._room = False
            self._look_at = now
        if self._stale:
            self._stale = False
            self._registry.forget()
            self._lanes.clear()
            self._look_at = now
        leave_at = None if self.alone() else self._leave_to_others(now)
        if now < self._calm_until and self._look_at is not None:
            self._look_at = max(self._look_at, self._calm_until)
        safety = now >= self._safety_at
        if safety or (self._look_at is not None and now >= self._look_at):
            expected = self._look_at is not None and now >= self._look_at
            got = self._look(now)
            if got and safety and not expected:
                self.found_by_safety += got
                log.warning("the safety look found %d due tasks: a wake was lost", got)
            self._safety_at = now + self._safety
        if not self._able and self._look_at is None:
            return None
        return min(at for at in (self._look_at, leave_at, self._safety_at) if at is not None)

    def _look(self, now: int) -> int:
        self._learn()
        if not self._able:
            self._look_at = None
            return 0
        if not self.alone():
            if self._pool.stuck(now):
                self._look_at = None  # until a worker is free
                return 0
            self._share(now)
        self.backed_up = True  # first, so that the recorder tells when it is done with them right now
        if self._recorder.waiting > MOST_UNWRITTEN:
            self._look_at = now + LEAD_US  # start nothing whose outcome might not be kept
            return 0
        self.backed_up = False
        got = self._reserve_due(now)
        self._until = now + HORIZON_US
        ahead = HELD_MAX - len(self._timeline)
        got += self._reserve(self._able, now, self._until, ahead) if ahead > 0 else 0
        self._look_at = self._next_look(now)
        return got

    def _next_look(self, now: int) -> int | None:
        """When to look again; None: when there are news, or room."""
        full = self._full(now)
        if full:
            self._pool.hungry = True
            if self._full(now) != full:
                return now  # a worker made room before it could know that it should tell
        following = self._store.next_due([lane for lane in self._able if self._lanes[lane].queue not in full])
        if following is None:
            return None
        if following > self._until:
            return following - LEAD_US
        # more than there was room for: look when there is some, or for what is ahead
        self._pool.hungry = True
        # the workers may have made room before they could know that they should tell
        return now if self._pool.roomy() else self._until - LEAD_US

    def _reserve_due(self, now: int) -> int:
        """What is due already: as much as there is room for, and whatever outranks what waits for a worker."""
        room = self._pool.room()
        free = [lane for lane in self._able if self._lanes[lane].queue not in self._limits]
        got = 0
        if room > 0:
            got += self._reserve(free, _EVER, now, room)
        elif (lowest := self._pool.lowest()) is not None:
            higher = [lane for lane in free if self._lanes[lane].priority > lowest]
            got += self._reserve(higher, _EVER, now, len(self._pool.slots))
        for queue in self._limits:
            lanes = [lane for lane in self._able if self._lanes[lane].queue == queue]
            got += self._reserve(lanes, _EVER, now, self._room_of(queue, now))
        return got

    def _room_of(self, queue: str, now: int) -> int:
        """Of a queue with a limit: how many more due tasks are worth holding. What is due later takes no room."""
        held = sum(one.queue == queue and one.run_at <= now for one in self._timeline.every())
        return max(0, 2 * self._limits[queue] - held)

    def _full(self, now: int) -> set[str]:
        """The queues with a limit of which enough is held."""
        return {queue for queue in self._limits if self._room_of(queue, now) == 0}

    def _reserve(self, lanes: list[int], after: int, until: int, limit: int) -> int:
        if not lanes or limit <= 0:
            return 0
        if self._doubt:
            self._store.give_back(self._node, self._token)
        self._doubt = True
        lapses = self._lease.begin()
        batch = self._store.reserve(self._node, lanes, after=after, until=until, limit=limit)
        if not self._lease.accept(batch.token, lapses):
            return 0  # and doubt stays: what is still this node's is given back before the next
        self._doubt = False
        if not batch.tasks:
            return 0
        self._token = batch.token
        now = self._wall()  # later than any of them was added: what was added "for now" is not ahead of its instant
        found = (self._hold(task, batch.token, now) for task in batch.tasks)
        held = [one for one in found if one is not None]
        if self._hold_off:
            held = self._obey_hold_off(held)
        if self._timeline.add(held):
            self._timer.wake()
        return len(held)

    def _hold(self, task: Reservation, token: int, now: int) -> Held | None:
        """The task in memory; None when it cannot be read, and was set aside."""
        lane = self._lanes[task.lane]
        try:
            options = DEFAULT if task.options is None else decode_options(task.options)
        except (msgspec.MsgspecError, ValueError) as error:
            self._recorder.put(settle.unreadable(Held(task, token, lane, DEFAULT), now, error))
            log.error("task %d cannot be read: it was set aside as failed", task.id)  # noqa: TRY400  # its trace says nothing
            return None
        if options.bare:
            registered = self._registry.resolve(lane.work)
            options = complete_options(options, DEFAULT if registered is None else registered.options)
        return Held(task, token, lane, options, ahead=task.run_at > now)

    def _obey_hold_off(self, held: list[Held]) -> list[Held]:
        now = self._until - HORIZON_US
        self._hold_off = {task: until for task, until in self._hold_off.items() if until > now}
        for one in held:
            if one.id in self._hold_off:
                self._recorder.put(settle.returned(one))
                self._calm_until = now + CALM_US  # giving it back is news: to look at once would go round in a circle
        return [one for one in held if one.id not in self._hold_off]

    def _learn(self) -> None:
        """Sort the lanes into those this daemon can run and those it cannot; say so when it changed."""
        lanes = self._store.lanes()
        if len(lanes) == len(self._lanes) and all(lane.id in self._lanes for lane in lanes):
            return
        self._lanes = {lane.id: lane for lane in lanes}
        served = [lane for lane in lanes if self._queues is None or lane.queue in self._queues]
        self._able = [lane.id for lane in served if self._can(lane)]
        able = set(self._able)
        if any(lane.kind is Kind.PROGRAM and lane.id in able for lane in served):
            self._warm()
        if any(lane.kind is Kind.FUNCTION and lane.id in able for lane in served):
            self._pool.warm()
        unknown = [lane.id for lane in served if lane.id not in able]
        if unknown != self._unknown:
            new = set(unknown).difference(self._unknown)
            self._unknown = unknown
            self._store.report(self._node, unknown)
            for lane in served:
                if lane.id in new:
                    log.warning("nobody here knows %s: its tasks stay waiting (unresolved)%s", lane.work or "programs",
                                self._why(lane))  # fmt: skip

    def _can(self, lane: Lane) -> bool:
        if lane.kind is Kind.PROGRAM:
            return allowed(lane.work, self._programs)
        return self._registry.resolve(lane.work) is not None

    def _why(self, lane: Lane) -> str:
        why = None if lane.kind is Kind.PROGRAM else self._registry.why_not(lane.work)
        return f": {why}" if why else ""

    def _share(self, now: int) -> None:
        """Give back what is overdue here beyond one task per worker: another node may have free ones."""
        if self._pool.ready.count <= self._pool.capacity():
            return
        for held in self._pool.surplus(now - OVERDUE_US):
            if self._timeline.withdraw(held.id) is held:
                self._recorder.put(settle.returned(held))

    def _leave_to_others(self, now: int) -> int | None:
        """While all workers are at long bodies, hold nothing that is due: other daemons may have free ones.

        When to see to it again. What was given back is in the store, in the order of all that is due there; the first
        worker that is free anywhere gets the first of it.
        """
        if self._pool.ready.count:
            if not self._pool.stuck(now):
                return now + OVERDUE_US
            for held in self._pool.overdue(now):
                if self._timeline.withdraw(held.id) is held:
                    self._recorder.put(settle.returned(held))
        following = self._timeline.next()
        return None if following is None else max(following, now) + OVERDUE_US
