"""Workers that are processes: what a body does to its interpreter costs nobody else anything.

Due tasks are fed to the children (`process_slot`), a free one first. One that is at short bodies is fed ahead, about
AHEAD_US of measured work, so that it need not wait for the next; what turns out to be behind a long body is taken
back a millisecond later, and what a child had not read when it died was never its. One loop of its own hears what
the children say, starts them and replaces them (`nursery`); a program takes a worker's place and runs beside.
"""

import logging
from collections.abc import Callable, Mapping, Sequence
from itertools import islice

from mainspring.engine import outcomes, settle
from mainspring.engine.child import Child
from mainspring.engine.child_messages import (
    Answer,
    Begin,
    Failed,
    Go,
    NeedPayload,
    No,
    Outcome,
    Output,
    Payload,
    Ready,
)
from mainspring.engine.expectations import Expectations
from mainspring.engine.nursery import Nursery
from mainspring.engine.pool import CROWD, QUICK_US, Pool, Slot, Work
from mainspring.engine.process_host import ProcessHost
from mainspring.engine.process_slot import AHEAD_US, ProcessSlot
from mainspring.engine.service import ThreadLoop
from mainspring.engine.side_threads import SideThreads
from mainspring.engine.timeline import Held
from mainspring.errors import Misuse
from mainspring.tasks.state import Kind

log = logging.getLogger("mainspring")

_PORTION = 32  # answers that are dealt with, or tasks that are fed, while the lock is held: the timer may wait for it
_FEW = 4  # tasks that the timer feeds itself


class ProcessPool(Pool):
    """A child for each worker."""

    def __init__(
        self,
        workers: int,
        work: Work,
        take: Callable[[Held], bool],
        limits: Mapping[str, int | None],
        freed: Callable[[], None],
        *,
        host: ProcessHost,
        most_early: int,
    ) -> None:
        super().__init__(workers, work, take, limits, freed)
        self.places = [ProcessSlot(index, self._lock) for index in range(workers)]
        self.slots = list(self.places)
        self._host = host
        self._loop = ThreadLoop("pool", host.clock, prompt=True)
        self._most_early = most_early
        self._nursery = Nursery(host.make)
        self._last = self.places[0]  # who was fed last, behind others
        self._side = SideThreads(work)
        self._warm = False
        self._idle: list[ProcessSlot] = []  # ready, and nothing to do
        self._expectations = Expectations()
        self._nudging = False

    # ── feeding, with the lock held ────────────────────────────────────────────────────────────────────────
    def _fill(self, most: int = _PORTION) -> bool:
        """Feed what is due; True when `most` were fed, and more may be."""
        for _ in range(most):
            if not self.ready.count or self._stopping or self._host.backed_up():
                return False
            first = self.ready.first(self.hungry)
            place = None if first is None else self._place(first)
            held = None if place is None else self._next()
            if held is not None and held is not first:  # that one was withdrawn, or its queue is at its limit
                place = self._place(held)
                if place is None:
                    self._back([held])
            if place is None or held is None:
                return False
            self._give(place, held)
        return True

    def _place(self, held: Held) -> ProcessSlot | None:
        """Where it can go: to a free child, or behind what is as short as itself. A program needs no child."""
        if held.lane.kind is Kind.PROGRAM:
            return next((place for place in self.places if place.held is None), None)
        expected = self._expectations.of(held)
        # very many very short bodies: to wake one child more costs more than it would do
        few = self.ready.count < CROWD or expected > QUICK_US
        if self._idle and few:
            return self._idle[-1]
        if expected < AHEAD_US:
            if self._last.takes(expected):
                return self._last
            for place in self.places:
                if place.takes(expected):
                    self._last = place
                    return place
        return self._idle[-1] if self._idle else None

    def _give(self, place: ProcessSlot, held: Held) -> None:
        now = self._host.clock.now()
        if held.run_at - now > self._most_early:  # the clock was set back since the timer handed it over
            self.ready.ended(held.queue)
            self._host.put_back(held)
            return
        if (held.task.expires_at or held.task.schedule) and self._host.turned_away(held, now):
            self.ready.ended(held.queue)
            return
        if held.lane.kind is Kind.PROGRAM:
            if place in self._idle:
                self._idle.remove(place)
            place.held = held
            self._side.run(held, place, self._beside_ended)
            return
        expected = self._expectations.of(held)
        if not place.feed(held, self._host.message(held), expected):
            self._back([held])
            if place in self._idle:
                self._idle.remove(place)  # it is dead, and its end not yet seen
            return
        if len(place.fed) == 1:
            self._idle.remove(place)
        elif not self._nudging:
            self._nudging = True
            self.look()
        timeout = held.options.timeout
        if timeout is not None:
            self._host.watch(place, held, timeout, begun=False)

    def _back(self, helds: Sequence[Held]) -> None:
        """These are nobody's again, and due."""
        for held in helds:
            self._host.restore(held)
            self.ready.ended(held.queue)
        self.ready.push(helds)

    def _free(self, place: ProcessSlot) -> None:
        """It may have nothing to do now."""
        if place.child is not None and place.child.ready and place.held is None and place not in self._idle:
            self._idle.append(place)

    def _beside_ended(self, slot: Slot) -> None:
        """A program has ended, on its thread."""
        with self._lock:
            if slot.held is not None:
                self.ready.ended(slot.held.queue)
            slot.clear()
            self._free(self.places[slot.index])
            self._fill()
            self._quiet.notify_all()

    # ── what others ask ────────────────────────────────────────────────────────────────────────────────────
    def offer(self, batch: Sequence[Held]) -> None:
        """See `Pool`."""
        with self._lock:
            self.ready.push(batch)
            more = self._fill(_FEW)
        if more:
            self._loop.wake()  # the timer has other things to do

    def nudge(self) -> bool:
        """See `Pool`: what is behind a body that takes longer than expected is taken back, for whoever is free."""
        with self._lock:
            again = False
            for place in self.places:
                if len(place.fed) > 1:
                    first = place.fed[0][0]
                    if place.seen is first:
                        place.stalled = True
                        self._back(place.take_back())
                        self._free(place)
                    place.seen = first
                    again = again or len(place.fed) > 1
            if self._fill(_FEW):
                self._loop.wake()
            self._nudging = again or (self.ready.count > 0 and self._host.backed_up())
            return self._nudging

    def recall(self, task: int) -> Held | None:
        """See `Pool`: what a child has not read can be taken back."""
        with self._lock:
            place = next((one for one in self.places for held, _ in one.fed if held.id == task), None)
            if place is None:
                return super().recall(task)  # a program that is about to start
            back = place.take_back()
            found = next((held for held in back if held.id == task), None)
            if found is not None:
                back.remove(found)
                self.ready.ended(found.queue)
            self._back(back)
            self._free(place)
            self._fill()
            return found

    def running(self, task: int) -> ProcessSlot | None:
        """See `Pool`."""
        with self._lock:
            return next((place for place in self.places if place.held is not None and place.held.id == task), None)

    # ── hearing, on the pool's loop ────────────────────────────────────────────────────────────────────────
    def step(self, now: int) -> int | None:
        """Hear the children, replace those that are gone; when to look again."""
        monotonic = self._host.clock.monotonic()
        for place in self.places:
            if place.child is not None:
                self._hear(place, monotonic)
                self._nursery.stalled(place, monotonic)
            if place.child is None and self._warm and not self._stopping:
                child = self._nursery.birth(place, monotonic)
                if child is not None:
                    with self._lock:
                        place.child = child
                    self._loop.watch(child.fileno())
        more = True
        while more:
            with self._lock:
                more = self._fill()
        self._nursery.reap()
        wanted = self._nursery.wanted(monotonic)
        return None if wanted is None else now + wanted

    def _hear(self, place: ProcessSlot, monotonic: int) -> None:
        with self._lock:
            child = place.child
            answers = [] if child is None else child.receive()
        if child is None:
            return
        if answers is None:
            self._died(place, child, monotonic)
            return
        several = iter(answers)
        while portion := list(islice(several, _PORTION)):
            with self._lock:
                endings = [ending for answer in portion if (ending := self._heard(place, child, answer)) is not None]
                self._quiet.notify_all()
            if not self.ready.count:
                self.ebbed()
            now = self._host.clock.now()
            for ending in endings:
                settlement = outcomes.judge(ending, now)
                if settlement is not None:
                    self._host.put(settlement)
                elif self._stopping:
                    self._host.put(settle.returned(ending.held))
                else:
                    self._host.put_back(ending.held)

    def _heard(self, place: ProcessSlot, child: Child, answer: Answer) -> outcomes.Ending | None:
        """One answer; what ended by it, if it has to be settled. With the lock held."""
        match answer:
            case Outcome():
                return self._ended(place, child, answer)
            case Output():
                if place.held is not None and (place.held.id, place.held.token) == (answer.task, answer.token):
                    place.tell(answer.text)
            case Begin():
                self._begin(place, child, answer)
            case NeedPayload():
                held = place.held
                ours = held is not None and (held.id, held.token) == (answer.task, answer.token)
                text = held.task.payload if held is not None and ours else None
                child.control(
                    No(answer.task, answer.token) if text is None else Payload(answer.task, answer.token, text)
                )
            case Ready():
                self._nursery.ready(place)
                self._free(place)
            case Failed():
                self._nursery.refused(answer)
        return None

    def _ended(self, place: ProcessSlot, child: Child, outcome: Outcome) -> outcomes.Ending | None:
        attempt, cause, settled = place.attempt, place.cause, place.settled
        held = place.answered(outcome.task, outcome.token)
        if held is None:
            return None
        self.ready.ended(held.queue)
        if outcome.retire:
            self._back(place.take_back())
            place.child = None
            self._loop.unwatch(child.fileno())
            self._nursery.retire(child)
        self._free(place)
        duration = outcome.took or outcome.finished_at - outcome.started_at
        if outcome.finished_at and duration >= 0:  # else nothing was run, or the clock was set back meanwhile
            self._expectations.learn(held.lane.work, duration)
            self.took(duration)
        return None if settled else outcomes.Ending(held, attempt, cause, outcome)

    def _begin(self, place: ProcessSlot, child: Child, asked: Begin) -> None:
        held = place.held
        if held is not None and (held.id, held.token) == (asked.task, asked.token) and not place.settled:
            if self._host.begin(held, place.attempt, asked.now):
                place.marked = True
                child.control(Go(asked.task, asked.token))
                return
            place.answered(asked.task, asked.token)
            self.ready.ended(held.queue)
            self._free(place)
        child.control(No(asked.task, asked.token))

    def _died(self, place: ProcessSlot, child: Child, monotonic: int) -> None:
        """Only what it had taken is charged; what it had not read goes to others."""
        with self._lock:
            attempt, cause, settled = place.attempt, place.cause, place.settled
            # marked and not noted: its start was recorded, and it died before it could note it
            started_at = place.started_at or (self._host.clock.now() if place.marked else None)
            told = place.output() if place.output is not None else None
            if place in self._idle:
                self._idle.remove(place)
            taken, back = place.lose()
            self._back(back)
            for held in taken:
                self.ready.ended(held.queue)
            if taken:  # else a program may run here, beside the child
                place.clear()
            self._fill()
            self._quiet.notify_all()
        self._loop.unwatch(child.fileno())
        words = self._nursery.gone(place, child, monotonic)
        now = self._host.clock.now()
        for held in taken:
            if not settled:
                log.warning("a worker process (%d) %s; it ran task %s", child.pid, words, held.id)
                self._host.put(outcomes.death(held, attempt, cause, started_at, now, words, told))

    def warm(self) -> None:
        """Functions may come: have the children there before they are due."""
        if not self._warm:
            self._warm = True
            self._loop.wake()

    # ── life ───────────────────────────────────────────────────────────────────────────────────────────────
    def start(self) -> None:
        """See `Pool`."""
        self._loop.start([self])

    def await_ready(self, timeout: float) -> None:
        """See `Pool`; `Misuse` when no child can be ready, with what it said."""
        with self._quiet:
            self._quiet.wait_for(lambda: self._nursery.failure is not None or self._any_ready(), timeout)
            failure = None if self._any_ready() else self._nursery.failure
        if failure is not None:
            problem = failure.problem
            raise Misuse(
                f"the worker processes cannot start: {problem.type}: {problem.message}"
                + (f"\n{problem.traceback}" if problem.traceback and not failure.unguarded else "")
            )

    def _any_ready(self) -> bool:
        return any(place.child is not None and place.child.ready for place in self.places)

    def stop(self) -> None:
        """See `Pool`: what no child has read is nobody's again."""
        with self._lock:
            self._stopping = True
            for place in self.places:
                if place.child is not None:
                    self._back(place.take_back())
            self._quiet.notify_all()

    def close(self) -> None:
        """See `Pool`: the children are ended, those that are idle by themselves."""
        self._loop.stop()
        self._side.close()
        self._nursery.close(self.places)
