"""A fixed number of workers. A free one takes the next due task; when all are busy, due tasks wait here, in order.

`ThreadPool` has a thread for each worker. `InlinePool` runs bodies in the thread that drives it: the virtual clock and
inline mode, where a run is deterministic.
"""

import threading
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence

from mainspring.engine.ready import Ready
from mainspring.engine.timeline import Held
from mainspring.tasks.context import TaskContext
from mainspring.when.slices import PROMPT_NS, ask_for_slice


class Slot:
    """One worker's place: what it runs, since when, and how to ask it to stop."""

    __slots__ = (
        "attempt",
        "began",
        "cause",
        "context",
        "gate",
        "halt",
        "held",
        "index",
        "marked",
        "output",
        "settled",
        "started_at",
        "ticket",
    )

    def __init__(self, index: int) -> None:
        self.index = index
        self.gate = threading.Lock()  # an idle worker sleeps on it
        self.gate.acquire()
        self.clear()

    def clear(self) -> None:
        """Nothing runs here."""
        self.ticket = [True]  # one for each turn
        self.held: Held | None = None
        self.context: TaskContext | None = None
        self.attempt = 0
        self.started_at = 0  # wall clock; 0: not started yet
        self.began = 0  # the same by the boot-time clock, if it runs in this process
        self.marked = False  # recorded as running
        self.settled = False  # settled by the time limit while its body goes on
        self.cause: str | None = None  # why it was asked to stop
        self.halt: Callable[[], None] | None = None  # cancels the coroutine, ends the program
        self.output: Callable[[], str | None] | None = None  # a program's output when it changed since the last call

    def seize(self) -> bool:
        """The worker asks, between taking a task and starting its body: has nobody recalled it?"""
        return _draw(self.ticket)

    def hint(self) -> None:
        """Let `stopping()` say so, and nothing more: there is time for a good end."""
        if self.context is not None:
            self.context.stop = True

    def lasts(self) -> None:
        """What runs here is not a short one."""

    def end(self) -> bool:
        """End what runs here by force, if that can be; what comes of it is settled by whoever sees it end."""
        return False

    def works_on(self, held: Held) -> bool:
        """Was this given to whoever works here, and has not ended?"""
        return self.held is held and not self.settled

    def ask(self, cause: str) -> None:
        """Ask what runs here to stop, once; the first cause counts."""
        if self.cause is None and self.context is not None:
            self.cause = cause
            self.context.stop = True
            if self.halt is not None:
                self.halt()


def _draw(ticket: list[bool]) -> bool:
    try:
        return ticket.pop()
    except IndexError:
        return False


Work = Callable[[Held, Slot], None]


_HOLD_US = 50_000  # hold about this much work per worker; more would be kept from other nodes


# Bodies (µs) so short that a second worker would only wait for the interpreter, and how many must be due for that to
# matter.
QUICK_US = 50.0
CROWD = 64


class Pool(ABC):
    """What all pools share: what is ready, and the sense of how long tasks take."""

    def __init__(
        self,
        workers: int,
        work: Work,
        take: Callable[[Held], bool],
        limits: Mapping[str, int | None],
        freed: Callable[[], None],
    ) -> None:
        self.slots = [Slot(index) for index in range(workers)]
        self.typical_us = 1000.0  # a moving mean of how long a body takes
        self.quickest_us = 1000.0  # the shortest of the last ones: what a body takes when nothing is in its way
        self.hungry = False  # the claimer left due tasks in the store: tell it when there is room again
        self.ready = Ready(take, limits, workers)
        self.look: Callable[[], None] = lambda: None  # asks the timer to `nudge`
        self.ebbed: Callable[[], None] = lambda: None  # told when a worker finds nothing due
        self._work = work
        self._freed = freed
        self._stopping = False
        self._lock = threading.Lock()
        self._quiet = threading.Condition(self._lock)  # told when something that ran has ended
        self._hurried = False

    @abstractmethod
    def offer(self, batch: Sequence[Held]) -> None:
        """These are due now."""

    @abstractmethod
    def nudge(self) -> bool:
        """Look whether what is due gets on; True: look again in a millisecond."""

    @abstractmethod
    def stop(self) -> None:
        """Start nothing more. What runs goes on."""

    def join(self, timeout: float | None) -> bool:
        """Wait until nothing runs; False when the time (seconds) was over first."""
        with self._quiet:
            self._quiet.wait_for(lambda: not self.busy() or self._hurried, timeout)
            self._hurried = False
            return not self.busy()

    def hurry(self) -> None:
        """End a `join` that is going on."""
        with self._quiet:
            self._hurried = True
            self._quiet.notify_all()

    def start(self) -> None:  # noqa: B027  # nothing to do where the workers are threads
        """Begin to run what is offered."""

    def warm(self) -> None:  # noqa: B027
        """Functions may come: what runs them should be there before they are due."""

    def await_ready(self, timeout: float) -> None:  # noqa: B027
        """Wait (seconds) until something can be run; raises when nothing can ever be."""

    def close(self) -> None:  # noqa: B027
        """Let go of what ran here. After `stop` and `join`."""

    def capacity(self) -> int:
        """How many due tasks the workers get through in about 50 ms; at least one each."""
        workers = len(self.slots)
        return max(workers, min(int(workers * _HOLD_US / max(self.typical_us, 10.0)), 8192))

    def room(self) -> int:
        """How many more due tasks are worth holding here; 0 when what waits already fills the workers for a while."""
        return max(0, self.capacity() + self.free() - self.ready.count)

    def took(self, duration: int) -> None:
        """A body took this long (µs)."""
        if duration >= 0:  # else the clock was set back meanwhile
            self.typical_us += (duration - self.typical_us) * 0.02
            quickest = self.quickest_us * 1.05 + 0.1
            self.quickest_us = min(quickest, duration)

    def crowded(self) -> bool:
        """Are many very short bodies due?"""
        return self.ready.count >= CROWD and self.quickest_us <= QUICK_US

    def roomy(self) -> bool:
        """Is it time to look for more?"""
        return self.ready.count <= self.capacity() // 2

    def free(self) -> int:
        """How many workers run nothing."""
        return len(self.slots) - self.busy()

    def busy(self) -> int:
        """How many workers run something."""
        return sum(slot.held is not None for slot in self.slots)

    def lowest(self) -> int | None:
        """The lowest priority among what waits for a worker."""
        with self._lock:
            return self.ready.lowest()

    def recall(self, task: int) -> Held | None:
        """Take a task back that was given to a worker and has not started; None when that cannot be.

        Between taking a task and starting it, the worker and whoever recalls it draw one ticket.
        """
        for slot in self.slots:
            ticket, held = slot.ticket, slot.held
            if held is not None and held.id == task and slot.ticket is ticket:  # else the worker has gone on meanwhile
                return held if _draw(ticket) else None
        return None

    def running(self, task: int) -> Slot | None:
        """Where this task runs."""
        for slot in self.slots:
            held = slot.held
            if held is not None and held.id == task:
                return slot
        return None

    def stuck(self, now: int) -> bool:
        """Have all workers been at the same bodies for 50 ms? Then nobody knows how long what is due would wait here.

        When that ends, whoever asked is told: there is room again.
        """
        self.hungry = True  # first, so that a worker who is done right now tells
        starts = [slot.started_at for slot in self.slots]
        # a start that is yet to come, by this clock, was before the clock was set back
        return all(starts) and min(abs(now - at) for at in starts) >= _HOLD_US

    def surplus(self, before: int) -> list[Held]:
        """What is overdue since `before` beyond one task per worker, last in order first."""
        overdue = self.overdue(before)
        return overdue[: max(0, len(overdue) - len(self.slots))]

    def active(self) -> bool:
        """Is there anything due or running that is not recorded as running?"""
        with self._lock:
            return self.ready.count > 0 or any(slot.held is not None and not slot.marked for slot in self.slots)

    def overdue(self, before: int) -> list[Held]:
        """What has waited for a worker since before that instant, last in order first."""
        with self._lock:
            return self.ready.overdue(before)

    def _next(self) -> Held | None:
        """Take the next task; with the lock held."""
        held = None if self._stopping else self.ready.pop(self.hungry)
        if self.hungry and self.roomy():
            self.hungry = False
            self._freed()
        return held


class ThreadPool(Pool):
    """A thread for each worker. The last one to fall idle is the first to be woken: it is the warmest."""

    def __init__(
        self,
        workers: int,
        work: Work,
        take: Callable[[Held], bool],
        limits: Mapping[str, int | None],
        freed: Callable[[], None],
    ) -> None:
        super().__init__(workers, work, take, limits, freed)
        self._idle: list[Slot] = []
        self._takes = 0
        self._seen_takes = 0
        self._quick: Slot | None = None  # who took last: it may be at short bodies
        self._threads = [
            threading.Thread(target=self._run, args=(slot,), name=f"mainspring-worker-{slot.index}", daemon=True)
            for slot in self.slots
        ]
        for thread in self._threads:
            thread.start()

    def offer(self, batch: Sequence[Held]) -> None:
        """See `Pool`."""
        with self._lock:
            self.ready.push(batch)
            woken = self._idle.pop() if self._idle else None
        if woken is not None:
            woken.gate.release()

    def stop(self) -> None:
        """See `Pool`."""
        with self._lock:
            self._stopping = True
            woken, self._idle = self._idle, []
            self._quiet.notify_all()
        for slot in woken:
            slot.gate.release()

    def _run(self, slot: Slot) -> None:
        """Take, run, take the next.

        Many very short bodies are due and another worker is at them: then one worker more would only be in the way.
        One interpreter runs one of them at a time; more workers would hand the lock and the interpreter to each other
        for every task.
        """
        ask_for_slice(PROMPT_NS)
        held: Held | None = None
        while True:
            woken = None
            with self._lock:  # once a turn: end the last task, take the next
                if held is not None:
                    slot.clear()
                    self.ready.ended(held.queue)
                if self._stopping:
                    self._quiet.notify_all()
                    return
                crowd = self.crowded()
                quick = self._quick
                crowded = crowd and quick is not None and quick is not slot and quick.held is not None
                held = slot.held = None if crowded else self._next()
                if held is None:
                    self._idle.append(slot)
                else:
                    self._takes += 1
                    self._quick = slot
                    if self._idle and not crowd and self.ready.count:
                        woken = self._idle.pop()  # each wakes the next while there is work: no crowd at the lock
            if woken is not None:
                woken.gate.release()
            if crowded:
                self.look()  # nobody else would nudge, should the one that is left meet a long body
            if held is None:
                if not crowded:
                    self.ebbed()
                slot.gate.acquire()
            else:
                self._work(held, slot)

    def nudge(self) -> bool:
        """Look whether what waits gets on; if not, wake a worker. True while that has to be looked at again.

        Called by the timer every millisecond while due tasks wait and workers stand by: the one that was at the short
        bodies may have met a long one.
        """
        with self._lock:
            if not self._idle or not self.ready.count:
                return False
            woken = None
            if self._takes == self._seen_takes:
                self._quick = None
                woken = self._idle.pop()
            self._seen_takes = self._takes
        if woken is not None:
            woken.gate.release()
        return True


class InlinePool(Pool):
    """Runs what is due in the driver's thread, as a step of its loop."""

    def offer(self, batch: Sequence[Held]) -> None:
        """See `Pool`."""
        self.ready.push(batch)

    def step(self, now: int) -> int | None:  # noqa: ARG002  # a step like any other
        """Run everything that is due, one after the other."""
        slot = self.slots[0]
        while (held := self._next()) is not None:
            slot.held = held
            self._work(held, slot)
            slot.clear()
            self.ready.ended(held.queue)
        return None

    def stop(self) -> None:
        """See `Pool`."""
        self._stopping = True

    def nudge(self) -> bool:
        """Nobody stands by."""
        return False
