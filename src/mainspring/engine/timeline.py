"""Holds what is reserved until it starts. Never asks what time it is: `now` is given to it.

Two structures: `held`, every reservation this node has and has not started, by id; and a heap of those whose instant
has not come. Popping an id from `held` is the one atomic act that decides between starting a task and changing it:
the worker that is about to start it and the responder that was asked to cancel it both pop, and one of them gets it.
What was popped leaves a stale entry in the heap, which is passed over when it surfaces.
"""

import heapq
import threading
from collections.abc import Iterable

from mainspring.store.rows import Lane, Reservation
from mainspring.tasks.options import TaskOptions


class Held:
    """A reservation in memory, with what is needed to start it without looking anything up."""

    __slots__ = ("ahead", "gone", "handed", "id", "lane", "options", "order", "queue", "run_at", "task", "token")

    def __init__(self, task: Reservation, token: int, lane: Lane, options: TaskOptions, *, ahead: bool = True) -> None:
        self.id = task.id
        self.run_at = task.run_at
        self.token = token
        self.task = task
        self.lane = lane
        self.queue = lane.queue
        self.options = options
        self.ahead = ahead  # reserved before its instant
        self.gone = False  # withdrawn: a stale entry must not be taken for a later reservation of the same task
        self.handed = False  # on its way to a worker: another entry for it must not send it a second time
        # the order among what is due: higher priority first, then the earlier instant, then the order of adding
        self.order = (-lane.priority, task.run_at, task.id)

    def __lt__(self, other: "Held") -> bool:
        """For heaps, where an earlier reservation of the same task and instant may still lie about."""
        return self.token < other.token


class Timeline:
    """The reservations of one node."""

    def __init__(self) -> None:
        self.held: dict[int, Held] = {}
        self.handed = 0  # the latest instant that was taken out by `due`: it may be a moment ahead
        self._heap: list[tuple[int, int, Held]] = []
        self._lock = threading.Lock()

    def add(self, batch: Iterable[Held]) -> bool:
        """Hold these; True when the earliest instant is now an earlier one, so that the timer must be woken."""
        with self._lock:
            before = self._heap[0][0] if self._heap else None
            for held in batch:
                self._due_at(held, held.run_at)
            return bool(self._heap) and (before is None or self._heap[0][0] < before)

    def put_off(self, held: Held, at: int) -> None:
        """It was taken and does not start yet: it is due anew at `at` (µs), and may be withdrawn meanwhile."""
        with self._lock:
            self._due_at(held, at)

    def _due_at(self, held: Held, at: int) -> None:
        """With the lock held."""
        held.handed = False
        self.held[held.id] = held
        heapq.heappush(self._heap, (at, held.id, held))

    def hasten(self, batch: Iterable[Held]) -> bool:
        """Of what was put off: it is due at once. True when there is some."""
        some = False
        with self._lock:
            for held in batch:
                if self.held.get(held.id) is held and not held.handed:
                    heapq.heappush(self._heap, (held.run_at, held.id, held))
                    some = True
        return some

    def due(self, now: int, limit: int) -> list[Held]:
        """Take at most `limit` that have come due out of the heap, in order. They stay in `held` until a worker takes
        them.
        """
        out: list[Held] = []
        with self._lock:
            heap = self._heap
            while heap and heap[0][0] <= now and len(out) < limit:
                _, task, held = heapq.heappop(heap)
                if self.held.get(task) is held and not held.handed:
                    held.handed = True
                    out.append(held)
            if out:
                self.handed = out[-1].run_at
        return out

    def next(self) -> int | None:
        """The earliest instant, None when there is none."""
        with self._lock:
            heap = self._heap
            while heap and (heap[0][2].handed or self.held.get(heap[0][1]) is not heap[0][2]):
                heapq.heappop(heap)
            return heap[0][0] if heap else None

    def near(self, now: int, within: int) -> int | None:
        """The next instant at which something starts, if it is so near (µs)."""
        at = self.handed
        if at <= now or at > now + within:  # long since started; or it is of a clock that was set back
            following = self.next()
            if following is None:
                return None
            at = following
        return at if now <= at <= now + within else None

    def every(self) -> list[Held]:
        """All that is held at this moment; workers take from it meanwhile."""
        while True:
            try:
                return list(self.held.values())
            except RuntimeError:  # it changed under the iteration: the interpreter passed to a worker
                continue

    def take(self, held: Held) -> bool:
        """Whoever gets True may start it, change it or give it back; everyone else has lost it."""
        return not held.gone and self.held.get(held.id) is held and self.held.pop(held.id, None) is held

    def restore(self, held: Held) -> None:
        """What was taken, and not started after all, may be taken and withdrawn again."""
        self.held[held.id] = held

    def withdraw(self, task: int) -> Held | None:
        """Take by id, for a change. On the claimer's loop alone, as are reservations: so `gone` is set in time."""
        held = self.held.pop(task, None)
        if held is not None:
            held.gone = True
        return held

    def __len__(self) -> int:
        return len(self.held)
