"""Whether what is due may start, when there is more to it than its instant: it expires, or is an occurrence.

Looked at by whoever is about to start it, at the last moment. An occurrence that comes too late, or while another one
of its schedule runs, is missed, waits for the other's end, or ends the other: as its schedule says. Those that wait try
again when something here has ended, and now and then, for the other may run elsewhere.
"""

import logging
import threading
from collections.abc import Callable, Collection, Sequence

from mainspring.engine import settle
from mainspring.engine.pool import Slot
from mainspring.engine.timeline import Held, Timeline
from mainspring.errors import StoreError
from mainspring.store.protocol import Store
from mainspring.store.rows import Cancel, Filter, Settlement, TaskRow
from mainspring.tasks.state import State

log = logging.getLogger("mainspring")

_LOOK_US = 250_000  # how often one that waits for another node's looks whether it has ended
_LOOK_BEHIND_US = 1_000_000  # ... and one behind others that wait here, for each of them, whether they are gone
_MANY = 200  # tasks of one schedule that are looked at


class Turnstile:
    """Turns away, or lets through. `put` takes what became of those turned away; `again` wakes the timer; `given_back`
    says which tasks this daemon gives back at this moment.
    """

    def __init__(
        self,
        store: Store,
        node: int,
        timeline: Timeline,
        put: Callable[[Settlement], None],
        again: Callable[[], None],
        given_back: Callable[[], Collection[int]],
    ) -> None:
        self._store = store
        self._node = node
        self._timeline = timeline
        self._put = put
        self._again = again
        self._given_back = given_back
        self._lock = threading.Lock()
        self._through: dict[str, Held] = {}  # the last one of each schedule that was let through
        self._waiting: dict[int, Held] = {}
        self.slots: Sequence[Slot] = ()

    def turned_away(self, held: Held, now: int) -> bool:
        """True: it does not start now, and whoever asked lets go of it."""
        try:
            return self._turned_away(held, now)
        except StoreError as error:
            log.error("task %s waits, because it could not be looked up whether it may start: %s", held.id, error)  # noqa: TRY400
            self._timeline.put_off(held, now + _LOOK_US)
            self._again()
            return True

    def _turned_away(self, held: Held, now: int) -> bool:
        task = held.task
        if task.expires_at is not None and now >= task.expires_at:
            return self._missed(held, now, settle.EXPIRED)
        if task.schedule is None:
            return False
        if task.attempt == 0 and now - held.run_at > held.options.grace and self._misfires(held, now):
            return self._missed(held, now, settle.MISFIRE)
        return held.options.overlap != "allow" and self._overlaps(held, task.schedule, now)

    def _missed(self, held: Held, now: int, reason: str) -> bool:
        with self._lock:
            self._waiting.pop(held.id, None)  # nobody waits behind it any more
        self._put(settle.missed(held, now, reason))
        return True

    def ended(self) -> None:
        """Something has ended here: who waits tries again."""
        if not self._waiting:
            return
        first: dict[str | None, Held] = {}
        with self._lock:
            self._waiting = {id_: held for id_, held in self._waiting.items() if not held.gone}
            for held in sorted(self._waiting.values(), key=lambda held: held.order):
                first.setdefault(held.task.schedule, held)
        if self._timeline.hasten(first.values()):
            self._again()

    def _misfires(self, held: Held, now: int) -> bool:
        """It is later than the grace: is it not to run any more?"""
        if held.options.misfire != "latest":
            return held.options.misfire == "skip"
        later = self._siblings(held, now, State.WAITING, State.RUNNING, State.SUCCEEDED, State.FAILED)
        return any(row.run_at > held.run_at for row in later)

    def _overlaps(self, held: Held, schedule: str, now: int) -> bool:
        with self._lock:
            here = [slot for slot in self.slots if self._is_at(slot, schedule, held)]
            behind = self._before(held, schedule)
            # asked each time, ahead of the instant: that there is another daemon is heard of late, or not at all
            elsewhere = [] if here or behind else self._elsewhere(held, now)
            if not here and not elsewhere and not behind:
                self._through[schedule] = held
                self._waiting.pop(held.id, None)
                return False
            if held.options.overlap == "skip":
                self._put(settle.missed(held, now, settle.OVERLAP))
                return True
            self._waiting[held.id] = held
            self._timeline.put_off(held, now + (behind * _LOOK_BEHIND_US or _LOOK_US))
        self._again()
        if held.options.overlap == "replace":
            self._end(here, elsewhere)
        return True

    def _before(self, held: Held, schedule: str) -> int:
        """How many wait here that are to go first."""
        waiting = [one for one in self._waiting.values() if one.task.schedule == schedule and not one.gone]
        return sum(one.order < held.order for one in waiting)

    def _is_at(self, slot: Slot, schedule: str, held: Held) -> bool:
        """Is it at another one of this schedule: has that started, or been let through to start?"""
        other = slot.held
        if other is not None and other is not held and other.task.schedule == schedule and slot.started_at:
            return not slot.settled
        through = self._through.get(schedule)
        return through is not None and through is not held and slot.works_on(through)

    def _elsewhere(self, held: Held, now: int) -> list[TaskRow]:
        """Those that another node runs, and those that are to start first there, or wherever there is room.

        That another one has started is in the store only some time later: so an earlier one goes first also before
        anybody has it, unless it is not for the same workers, and may wait for ever.
        """
        given_back = self._given_back()  # by the store it may still be ours
        unfinished = self._siblings(held, now, State.RUNNING, State.WAITING)
        first = [row for row in unfinished if row.state is State.RUNNING or row.run_at < held.run_at]
        lane = held.lane
        mine = lane.queue, lane.priority, lane.kind, lane.work
        return [
            row for row in first
            if (row.holder != self._node or row.id in given_back)
            and (row.holder is not None or (row.queue, row.priority, row.kind, row.work) == mine)
        ]  # fmt: skip

    def _siblings(self, held: Held, now: int, *states: State) -> list[TaskRow]:
        wanted = Filter(schedule=held.task.schedule, states=states, due_before=now + 1, limit=_MANY)
        return [row for row in self._store.find(wanted) if row.id != held.id]

    def _end(self, here: list[Slot], elsewhere: list[TaskRow]) -> None:
        for slot in here:
            slot.ask(settle.CANCELLED)
        for row in elsewhere:
            if row.holder is not None:
                self._store.ask(row.holder, row.id, Cancel("replaced"))
