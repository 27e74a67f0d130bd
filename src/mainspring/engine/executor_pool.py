"""Workers that are an executor's: any `concurrent.futures.Executor`, which belongs to whoever made it.

One thread hands tasks over, at most so many at a time as there are workers; the executor's own threads bring back what
became of them. On threads of this process a task runs as on a daemon's own (`attempt`); anywhere else its function is
looked for and called by `executor_call`. What an executor does not tell is not guessed: what it had in hand when it
broke counts as lost, and one that takes nothing more is asked again and again, while what is due waits.
"""

import logging
import threading
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from itertools import count
from typing import TYPE_CHECKING

from mainspring.engine import executor_call, executor_kinds, outcomes, settle
from mainspring.engine.child_messages import Feed
from mainspring.engine.executor_health import Health
from mainspring.engine.executor_host import ExecutorHost
from mainspring.engine.executor_kinds import Ill
from mainspring.engine.pool import Pool, Slot, Work
from mainspring.engine.side_threads import SideThreads
from mainspring.engine.timeline import Held
from mainspring.tasks.context import TaskContext
from mainspring.tasks.problems import Problem
from mainspring.tasks.state import Kind

if TYPE_CHECKING:
    from concurrent.futures import Executor, Future

log = logging.getLogger("mainspring")


class ExecutorSlot(Slot):
    """A place among what the executor has in hand."""

    __slots__ = ("future", "recalled")

    def clear(self) -> None:
        """See `Slot`."""
        super().clear()
        self.future: Future[object] | None = None
        self.recalled = False  # somebody takes it back, and settles it


class ExecutorPool(Pool):
    """Hands due tasks to an executor; never shuts it down."""

    def __init__(
        self,
        workers: int,
        work: Work,
        take: Callable[[Held], bool],
        limits: Mapping[str, int | None],
        freed: Callable[[], None],
        *,
        executor: "Executor",
        host: ExecutorHost,
        most_early: int,
    ) -> None:
        super().__init__(workers, work, take, limits, freed)
        self._places = [ExecutorSlot(index) for index in range(workers)]
        self.slots = list(self._places)
        self._submit: Callable[..., Future[object]] = executor.submit
        self._host = host
        self._most_early = most_early
        self._near = executor_kinds.runs_here(executor)
        self._exact = executor_kinds.is_exact(executor)
        self._forks = executor_kinds.forks(executor)
        self._home = executor_call.make_home()
        self._numbers = count()
        self._side = SideThreads(self._beside)
        self._idle = list(reversed(self._places))
        self._health = Health(host.now, host.wake)
        self._news = threading.Condition(self._lock)

    def start(self) -> None:
        """See `Pool`."""
        if self._forks:
            log.warning(
                "this ProcessPoolExecutor forks a process that has threads, and its children may hang on their locks; "
                "make it with mp_context=multiprocessing.get_context('spawn')"
            )
        threading.Thread(target=self._serve, name="mainspring-submitter", daemon=True).start()

    # ── handing over ───────────────────────────────────────────────────────────────────────────────────────
    def offer(self, batch: Sequence[Held]) -> None:
        """See `Pool`."""
        with self._lock:
            self.ready.push(batch)
            self._news.notify()

    def _serve(self) -> None:
        while (taken := self._take_next()) is not None:
            held, slot = taken
            try:
                if self._own(held) or (not self._near and _once(held)):  # the latter, as a durable start takes its time
                    self._side.run(held, slot, lambda _: None)
                elif self._near:
                    self._given(held, slot, self._submit(self._work, held, slot))
                else:
                    self._send(held, slot)
            except Exception as error:  # noqa: BLE001  # an executor may raise anything; so does a machine without threads
                self._refused(held, slot, error)

    def _take_next(self) -> tuple[Held, ExecutorSlot] | None:
        """Wait for a task and for a place; None at the end."""
        while True:
            with self._lock:
                self._news.wait_for(lambda: self._stopping or self._may_take())
                if self._stopping:
                    return None
                held = self._next()
                if held is not None:
                    slot = self._idle.pop()
                    slot.held = held
                    return held, slot
            self.ebbed()

    def _may_take(self) -> bool:
        """One that has failed gets one task, until that has shown that it is well again."""
        if not self.ready.count or not self._idle or self._health.rests_until:
            return False
        return not self._health.failures or all(place.held is None or self._own(place.held) for place in self._places)

    def _own(self, held: Held) -> bool:
        """Does this process run it? Programs; and what must not run twice, when the executor might do that."""
        return held.lane.kind is Kind.PROGRAM or (_once(held) and not self._exact)

    def _beside(self, held: Held, slot: Slot) -> None:
        """On a thread of its own."""
        place = self._places[slot.index]
        if self._own(held):
            self._work(held, place)
            self._free(place, held)
            return
        try:
            self._send(held, place)
        except Exception as error:  # noqa: BLE001  # an executor may raise anything
            self._refused(held, place, error)

    def _send(self, held: Held, slot: ExecutorSlot) -> None:
        """To where this process is not. Raises what the executor raises instead of taking it."""
        host, task, once = self._host, held.task, _once(held)
        now = host.now()
        if (task.expires_at or task.schedule) and host.turned_away(held, now):
            self._free(slot, held)
            return
        slot.attempt = attempt = task.attempt + 1
        timeout = held.options.timeout
        slot.context = TaskContext(held.id, task.name, held.lane.work, attempt, held.token, held.run_at)
        feed = Feed(
            held.id, held.token, attempt, held.run_at, held.lane.work, task.name, task.payload, timeout, once,
            origin=host.origin(held.lane.work),
        )  # fmt: skip
        packet = executor_call.encode(executor_call.Call(self._home, next(self._numbers), feed))
        while held.run_at - now > (0 if once else self._most_early):  # a start is not recorded before its instant
            if held.run_at - now > self._most_early:  # the clock was set back since the timer handed it over
                self._free(slot, held)
                host.put_back(held)
                return
            now = host.now()
        if not host.covers(held):
            self._free(slot, held)
            host.put_back(held)
            return
        if not slot.seize():  # it was cancelled or moved meanwhile
            self._free(slot, held)
            return
        if once:
            if not host.begin(held, attempt, now):
                self._free(slot, held)
                return
            slot.marked = True
        host.note(held.id, held.token, max(now, held.run_at))
        future = self._submit(executor_call.run, packet)
        if once or not self._exact:
            self._began(slot, held, max(now, held.run_at))
        else:
            slot.halt = partial(_cancel, future)
            if slot.cause is not None:  # asked before there was anything to cancel
                future.cancel()
        self._given(held, slot, future)

    def _given(self, held: Held, slot: ExecutorSlot, future: "Future[object]") -> None:
        slot.future = future
        future.add_done_callback(partial(self._done, held, slot))

    def _began(self, slot: ExecutorSlot, held: Held, now: int) -> None:
        """As far as is known here, it runs from now on."""
        with self._lock:
            if slot.held is not held or slot.started_at:
                return
            slot.started_at = now
        if held.options.timeout is not None:
            self._host.watch(slot, held, held.options.timeout)

    def active(self) -> bool:
        """See `Pool`; asked every 50 ms while something waits in the executor: has that begun by now?"""
        if self._exact and not self._near:
            for slot in self._places:
                held, future = slot.held, slot.future
                if held is not None and future is not None and not slot.started_at and future.running():
                    self._began(slot, held, self._host.now())
        return super().active()

    # ── what becomes of it ─────────────────────────────────────────────────────────────────────────────────
    def _done(self, held: Held, slot: ExecutorSlot, future: "Future[object]") -> None:
        """The executor is done with it; on one of the executor's threads."""
        try:
            if future.cancelled():
                self._ended_unstarted(held, slot)
            elif (error := future.exception()) is not None:
                self._broke(held, slot, error)
            elif not self._near:
                self._answered(held, slot, future.result())
            else:
                self._well()
        except Exception as unexpected:  # the executor would swallow it, and the task stay held
            log.exception("what became of task %s cannot be told", held.id)
            self._lost(held, slot, unexpected)
        self._free(slot, held)

    def _answered(self, held: Held, slot: ExecutorSlot, answer: object) -> None:
        told = executor_call.outcome_of(answer)
        if told.kind == "not-started":
            self._health.failed(f"it has not run task {held.id}: {told.why}", Ill.CLOCK)
        else:
            self._well()
            self.took(told.took or told.finished_at - told.started_at)
        if slot.settled:  # by its time limit, or at the daemon's end
            return
        settlement = outcomes.judge(outcomes.Ending(held, slot.attempt, slot.cause, told), self._host.now())
        slot.settled = True  # before it is put: what has ended is not marked as running any more
        if settlement is None:
            self._put_back(held)
        else:
            self._host.put(settlement)

    def _ended_unstarted(self, held: Held, slot: ExecutorSlot) -> None:
        """It was cancelled: by whoever recalled it, by us, or by whoever shut the executor down."""
        if slot.recalled or slot.settled:
            return
        if not self._near and not self._exact:
            self._lost(held, slot, None)
        elif slot.cause == settle.CANCELLED:
            self._host.put(settle.withdrawn(held, self._host.now()))
        else:
            self._put_back(held)

    def _broke(self, held: Held, slot: ExecutorSlot, error: BaseException) -> None:
        """The executor's own failure, for `run` raises nothing."""
        ill = executor_kinds.illness(error)
        if ill is not None:
            self._health.failed(f"{type(error).__name__}: {error}", ill)
        if self._near or ill is Ill.UNREADABLE:
            if not slot.settled:
                self._put_back(held)  # the call itself was never made
        else:
            self._lost(held, slot, error)

    def _lost(self, held: Held, slot: ExecutorSlot, error: BaseException | None) -> None:
        if slot.settled:
            return
        slot.settled = True
        said = "cancelled it" if error is None else f"lost it: {type(error).__name__}: {error}"
        problem = Problem("WorkerLost", f"the executor {said}")
        log.warning("the executor %s; it was task %s", said, held.id)
        attempt = held.task.attempt + 1
        self._host.put(settle.lost(held, attempt, slot.started_at or None, self._host.now(), problem))

    def _refused(self, held: Held, slot: ExecutorSlot, error: BaseException) -> None:
        """It was not taken, so nothing has started."""
        broken = executor_kinds.illness(error) is Ill.BROKEN
        self._health.failed(f"{type(error).__name__}: {error}", Ill.BROKEN if broken else Ill.REFUSES)
        self._put_back(held)
        self._free(slot, held)

    def _put_back(self, held: Held) -> None:
        """It did not run, and costs nothing; it is due still."""
        if self._stopping or _once(held):
            self._host.put(settle.returned(held))  # also when its start was recorded, which did not come
        else:
            self._host.put_back(held)

    def _free(self, slot: ExecutorSlot, held: Held) -> None:
        with self._lock:
            if slot.held is not held:
                return
            slot.clear()
            self.ready.ended(held.queue)
            self._idle.append(slot)
            self._news.notify()
            if self.hungry and self.roomy():
                self.hungry = False
                self._freed()
            if not self.busy():
                self._quiet.notify_all()

    # ── an executor that fails ─────────────────────────────────────────────────────────────────────────────
    def _well(self) -> None:
        if self._health.well():
            with self._lock:
                self._news.notify()

    def step(self, now: int) -> int | None:
        """Try it again when it is time; that instant."""
        if not self._health.rested(now):
            return self._health.rests_until or None
        with self._lock:
            self._news.notify()
            hungry, self.hungry = self.hungry, False
        if hungry:
            self._freed()  # meanwhile what is due may have been left to others
        return None

    def stuck(self, now: int) -> bool:
        """See `Pool`; nor does anybody know when an executor is well again."""
        return super().stuck(now) or bool(self._health.rests_until)

    # ── what others ask ────────────────────────────────────────────────────────────────────────────────────
    def nudge(self) -> bool:
        """See `Pool`: nobody stands by."""
        return False

    def recall(self, task: int) -> Held | None:
        """See `Pool`; what the executor has not begun can be taken back, if it is one that says so truthfully."""
        held = super().recall(task)
        for slot in self._places:
            mine, future = slot.held, slot.future
            if mine is None or mine.id != task or future is None or slot.held is not mine or slot.marked:
                continue
            if self._near:
                if held is not None:
                    slot.recalled = True
                    future.cancel()  # else its turn comes, finds that it was recalled, and ends
            elif self._exact and not _once(mine):
                slot.recalled = True
                if future.cancel():
                    return mine
                slot.recalled = False
        return held

    # ── life ───────────────────────────────────────────────────────────────────────────────────────────────
    def stop(self) -> None:
        """See `Pool`; what the executor has not begun is nobody's again."""
        with self._lock:
            self._stopping = True
            self._news.notify_all()
            waiting = [slot.future for slot in self._places if slot.future is not None]
        if self._near or self._exact:
            for future in waiting:
                future.cancel()
        with self._lock:
            self._quiet.notify_all()

    def close(self) -> None:
        """See `Pool`; the executor goes on as it is."""
        self._side.close()


def _cancel(future: "Future[object]") -> None:
    future.cancel()


def _once(held: Held) -> bool:
    return held.options.delivery == "at-most-once"
