"""What is due and waits for a worker, in order, under the limits of the queues.

Not locked: the pool that owns it holds its own lock around every call.
"""

import heapq
from collections import Counter
from collections.abc import Callable, Iterable, Mapping

from mainspring.engine.timeline import Held

_Order = tuple[int, int, int]


class Ready:
    """A heap by (priority, instant, order of adding). A queue at its limit is set aside until one of its tasks ends."""

    def __init__(self, take: Callable[[Held], bool], limits: Mapping[str, int | None]) -> None:
        self._take = take
        self._limits = {queue: limit for queue, limit in limits.items() if limit is not None}
        self._heap: list[tuple[_Order, Held]] = []
        self._aside: dict[str, list[tuple[_Order, Held]]] = {}
        self._running: Counter[str] = Counter()

    def push(self, batch: Iterable[Held]) -> None:
        """These are due."""
        heap = self._heap
        for held in batch:
            heapq.heappush(heap, (held.order, held))

    def pop(self) -> Held | None:
        """Take the first that may start now; None when there is none. What was withdrawn is passed over."""
        heap = self._heap
        while heap:
            entry = heapq.heappop(heap)
            held = entry[1]
            queue = held.queue
            limit = self._limits.get(queue)
            if limit is not None and self._running[queue] >= limit:
                heapq.heappush(self._aside.setdefault(queue, []), entry)
                continue
            if self._take(held):
                if limit is not None:
                    self._running[queue] += 1
                return held
        return None

    def ended(self, queue: str) -> None:
        """A task of this queue ended: the next one set aside may compete again."""
        if queue in self._limits:
            self._running[queue] -= 1
            aside = self._aside.get(queue)
            if aside:
                heapq.heappush(self._heap, heapq.heappop(aside))

    def lowest(self) -> int | None:
        """The lowest priority among what waits, None when nothing does. Linear; for a full house only."""
        return min((-order[0] for order, _ in self._heap), default=None)

    def overdue(self, before: int) -> list[Held]:
        """What has waited here since before that instant, last in order first: candidates for giving back."""
        return [held for _, held in sorted(self._heap, reverse=True) if held.run_at < before and not held.gone]

    def __len__(self) -> int:
        return len(self._heap)
