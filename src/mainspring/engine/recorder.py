"""Writes settlements in batches, each fenced by its reservation's token.

Workers put, this loop writes: one transaction takes whatever came while the last one was written. What still runs
after 50 ms is recorded as running; a body shorter than that costs one write, its end. A batch that the store refuses
to take (a full disk) is kept and tried again; the pool starts nothing new meanwhile, once `LIMIT` settlements wait,
so that the journal always covers what is not yet written.
"""

import logging
from collections import deque
from collections.abc import Callable, Sequence

from mainspring.engine import settle
from mainspring.engine.events import Events
from mainspring.engine.pool import Slot
from mainspring.engine.service import Loop
from mainspring.engine.timeline import Held
from mainspring.errors import StoreError
from mainspring.store.protocol import Store
from mainspring.store.rows import Settlement
from mainspring.tasks.state import CODES, State

log = logging.getLogger("mainspring")

_WAITING = CODES[State.WAITING]

MARK_US = 50_000
OUTPUT_US = 250_000
BATCH = 2_000
# After a batch of many, more are on their way: gather them for a moment. A lone outcome is written at once.
_MANY = 8
GATHER_US = 10_000
FLOOD_US = 50_000  # while very many very short bodies are due: the interpreter is theirs first
_RETRY_US = 250_000
# A write takes half a millisecond of the interpreter and the processor: it gives way to a start that is so near.
NEAR_US = 1_000
_AFTER_US = 100
_PATIENCE_US = 5_000  # but no outcome waits longer than that for starts


class Recorder:
    """The step that turns settlements into rows."""

    def __init__(self, store: Store, loop: Loop, events: Events, wall: Callable[[], int]) -> None:
        self._store = store
        self._loop = loop
        self._events = events
        self._wall = wall
        self._pending: deque[Settlement] = deque()
        self._looking = False
        self._doubted = False
        self._gathering = False
        self._gather_until = 0
        self._output_at = 0
        self.slots: Sequence[Slot] = ()
        self.gathers = True  # not when turns are taken by hand, nor at the end
        self._flooded = False
        self._waits_since = 0
        self.near: Callable[[int, int], int | None] = lambda *_: None  # the next start, if it is so near
        self.refused = 0  # settlements of reservations that were lost meanwhile; counted, shown in the status
        self.active: Callable[[], bool] = lambda: False  # is anything due or running that is not marked?
        self.flooded: Callable[[], bool] = lambda: False  # are very many very short bodies due?
        self.told: Callable[[Sequence[Settlement]], None] = lambda _: None  # told what was written
        self.summed: Callable[[int], int | None] = lambda _: None  # sums up what was told; when to ask again
        self.ended: Callable[[], None] = lambda: None  # told when tasks have ended: others may wait for that
        self.settled: Callable[[], None] = lambda: None  # told after each turn: somebody may wait for quiet

    def put(self, settlement: Settlement) -> None:
        """Write it soon. From any worker; no lock."""
        self._pending.append(settlement)
        if not self._gathering:
            self._loop.wake()

    def begin(self, held: Held, attempt: int, started_at: int) -> bool:
        """Write the start of an at-most-once task, durably, before its body; on the worker's thread.

        False: the reservation was lost, or the store cannot say; the body must not run.
        """
        try:
            if not self._store.record([settle.started(held, attempt, started_at)], durable=True):
                return True
        except StoreError:
            log.exception("task %s was not started: its start could not be written", held.id)
            # whether that start was written is not known; that the body did not run is: it goes back as it was
            self.put(settle.returned(held))
            return False
        self.refused += 1
        return False

    def arm(self) -> None:
        """Something starts: look in 50 ms what still runs. Wakes the loop only when it sleeps without an instant."""
        if not self._looking:
            self._looking = True
            self._loop.wake()

    def doubt(self) -> None:
        """What runs may be another's by now: record it as running once more, which the store refuses if it is."""
        self._doubted = True
        self._loop.wake()

    def ebbed(self) -> None:
        """Nothing more is due: what was put off for the flood is written now. From any worker, often; cheap."""
        if self._flooded:
            self._flooded = False
            self._gather_until = 0
            self._loop.wake()

    def given_back(self) -> set[int]:
        """The tasks that are free again as soon as that is written."""
        pending = self._pending
        # by index, as in `step`; what is written meanwhile is taken from the front
        last = [pending[place - 1] for place in range(0, -len(pending), -1)]
        return {one.id for one in last if one.code == _WAITING and not one.keep}

    @property
    def waiting(self) -> int:
        """How many settlements are not written yet."""
        return len(self._pending)

    def step(self, now: int) -> int | None:
        """Write what there is; the instant to look at what runs, None when nothing does."""
        pending = self._pending
        # longer than the longest it gathers: the clock was set back meanwhile
        gathers_on = now < self._gather_until <= now + FLOOD_US
        if self.gathers and gathers_on and len(pending) < BATCH:
            self._gathering = True  # nobody rings meanwhile
            return self._gather_until
        if self.gathers and pending and (start := self._gives_way(now)) is not None:
            self._gathering = True
            return start
        self._gathering = False
        self._waits_since = 0
        self._mark(now)
        while pending:
            # by index: workers append meanwhile, which an iteration does not bear when the interpreter passes to one
            taken = [pending[place] for place in range(min(len(pending), BATCH))]
            batch = _without_marks_of_ended(taken)
            try:
                refused = self._store.record(batch, durable=any([one.durable for one in batch]))  # noqa: C419
            except StoreError as error:
                log.error("%d outcomes are kept and written again: %s", len(pending), error)  # noqa: TRY400
                return now + _RETRY_US
            forget = pending.popleft
            for _ in taken:
                forget()
            self._tell(batch, refused)
            if self.gathers and len(taken) >= _MANY and len(pending) < BATCH:
                self._flooded = self.flooded()
                self._gather_until = self._wall() + (FLOOD_US if self._flooded else GATHER_US)
                break
        self.settled()
        if pending:
            self._gathering = True
            return self._gather_until
        return self._next_look(now)

    def _gives_way(self, now: int) -> int | None:
        """When to look again, if something is about to start."""
        if len(self._pending) >= _MANY or (self._waits_since and abs(now - self._waits_since) > _PATIENCE_US):
            return None
        start = self.near(now, NEAR_US)
        if start is None:
            return None
        self._waits_since = self._waits_since or now
        return start + _AFTER_US

    def _next_look(self, now: int) -> int | None:
        """While something is due or runs that is not marked: in 50 ms. While a program may write: in 250 ms."""
        self._looking = False  # first: a start from here on arms, and wakes this loop
        if self.active():
            self._looking = True
            return now + MARK_US
        if any(slot.output is not None for slot in self.slots):
            return now + OUTPUT_US
        return self.summed(now)

    def _mark(self, now: int) -> None:
        """Record as running what runs for 50 ms, and what programs wrote since the last look."""
        look_at_output = not 0 < self._output_at - now <= OUTPUT_US  # further off: the clock was set back
        doubted, self._doubted = self._doubted, False
        if look_at_output:
            self._output_at = now + OUTPUT_US
        for slot in self.slots:
            held, started_at, attempt = slot.held, slot.started_at, slot.attempt
            if held is None or not started_at or slot.settled:
                continue
            output = slot.output() if look_at_output and slot.output is not None else None
            news = doubted or output is not None or (not slot.marked and abs(now - started_at) >= MARK_US)
            if news and slot.held is held and slot.started_at == started_at:  # the worker did not go on meanwhile
                self._pending.append(settle.started(held, attempt, started_at, output))
                slot.marked = True
                slot.lasts()

    def _tell(self, batch: Sequence[Settlement], refused: Sequence[int]) -> None:
        if refused:
            unwritten = set(refused)
            self._lost([one for one in batch if one.id in unwritten])
            batch = [one for one in batch if one.id not in unwritten]
        self.told(batch)
        if not all(one.keep for one in batch):
            self.ended()
        self._events.settled(batch)

    def _lost(self, refused: Sequence[Settlement]) -> None:
        """Their reservations are another's: an outcome counts for nothing, and what still runs had better stop."""
        late = sorted({one.id for one in refused if not one.keep})
        if late:
            self.refused += len(late)
            some = ", ".join(map(str, late[:10]))
            log.warning("%d outcomes came too late, their reservations were lost: tasks %s", len(late), some)
        # a mark that crossed the end of its task is refused as well: then the worker has gone on
        still = {(one.id, one.token) for one in refused if one.keep}
        for slot in self.slots if still else ():
            held = slot.held
            if held is not None and (held.id, held.token) in still and not slot.settled:
                log.warning("the reservation of task %s was lost: its body here is asked to stop", held.id)
                slot.ask(settle.LOST)


def _without_marks_of_ended(taken: list[Settlement]) -> list[Settlement]:
    """Drop "it runs" where the end of the same attempt is in the batch: the end says all of it, and comes last."""
    if not any([one.keep for one in taken]):  # noqa: C419  # a list: nearly always all of them are looked at
        return taken
    ended = {(one.id, one.token) for one in taken if not one.keep}
    return [one for one in taken if not one.keep or (one.id, one.token) not in ended]
