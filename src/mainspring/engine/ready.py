"""What is due and waits for a worker, in order, under the limits of the queues.

By priority, then instant, then the order of adding; with one exception, or a flood would make timed tasks late. When
more is due than the workers get to at once, a task that was reserved ahead of its instant goes before those of its
priority that were due already when they were reserved: it waits for one body to end, however long the backlog is.

Not locked: the pool that owns it holds its own lock around every call.
"""

import heapq
from collections import Counter, deque
from collections.abc import Callable, Iterator, Mapping, Sequence

from mainspring.engine.timeline import Held

_Order = tuple[int, int, int]


class _Line:
    """A priority queue of `Held` by `order`. What comes in order, as nearly all does, costs no search."""

    __slots__ = ("_heap", "_tail")

    def __init__(self) -> None:
        self._tail: deque[Held] = deque()
        self._heap: list[tuple[_Order, Held]] = []

    def push(self, held: Held) -> None:
        tail = self._tail
        if not tail or tail[-1].order <= held.order:
            tail.append(held)
        else:
            heapq.heappush(self._heap, (held.order, held))

    def first(self) -> Held | None:
        tail, heap = self._tail, self._heap
        if heap and (not tail or heap[0][0] < tail[0].order):
            return heap[0][1]
        return tail[0] if tail else None

    def pop(self) -> Held | None:
        tail, heap = self._tail, self._heap
        if heap and (not tail or heap[0][0] < tail[0].order):
            return heapq.heappop(heap)[1]
        return tail.popleft() if tail else None

    def __iter__(self) -> Iterator[Held]:
        yield from self._tail
        for _, held in self._heap:
            yield held

    def __len__(self) -> int:
        return len(self._tail) + len(self._heap)


class Ready:
    """What is due. A queue at its limit is set aside until one of its tasks ends."""

    def __init__(self, take: Callable[[Held], bool], limits: Mapping[str, int | None], workers: int = 1) -> None:
        self._take = take
        self._limits = {queue: limit for queue, limit in limits.items() if limit is not None}
        self._workers = workers
        self._timed = _Line()
        self._rest = _Line()
        self.count = 0  # how many wait, those that were withdrawn meanwhile among them
        self._aside: dict[str, list[tuple[_Order, Held]]] = {}
        self._running: Counter[str] = Counter()

    def push(self, batch: Sequence[Held]) -> None:
        """These are due."""
        timed, rest = self._timed, self._rest
        for held in batch:
            (timed if held.ahead else rest).push(held)
        self.count += len(batch)

    def pop(self, more: bool = False) -> Held | None:  # on the hot path
        """Take the first that may start now; None when there is none. What was withdrawn is passed over.

        `more`: the store has more that is due than there was room for here.
        """
        while (held := self._draw(more)) is not None:
            limit = self._limits.get(held.queue) if self._limits else None
            if limit is not None and self._running[held.queue] >= limit:
                heapq.heappush(self._aside.setdefault(held.queue, []), (held.order, held))
                continue
            if self._take(held):
                if limit is not None:
                    self._running[held.queue] += 1
                return held
        return None

    def first(self, more: bool = False) -> Held | None:
        """What `pop` looks at first; it may have been withdrawn, or its queue be at its limit."""
        return self._front(more).first() if self.count else None

    def _draw(self, more: bool) -> Held | None:
        if not self.count:
            return None
        self.count -= 1
        return self._front(more).pop()

    def _front(self, more: bool) -> _Line:
        """The line whose first is the first of all."""
        other = self._rest.first()
        if other is None:
            return self._timed
        first = self._timed.first()
        if first is None:
            return self._rest
        if more or len(self._rest) > self._workers:
            return self._timed if first.order[0] <= other.order[0] else self._rest
        return self._timed if first.order < other.order else self._rest

    def ended(self, queue: str) -> None:
        """A task of this queue ended: the next one set aside may compete again."""
        if queue in self._limits:
            self._running[queue] -= 1
            aside = self._aside.get(queue)
            if aside:
                self.push([heapq.heappop(aside)[1]])

    def lowest(self) -> int | None:
        """The lowest priority among what waits, None when nothing does. Linear; for a full house only."""
        return min((-held.order[0] for held in self), default=None)

    def overdue(self, before: int) -> list[Held]:
        """What has waited here since before that instant, last in order first: candidates for giving back."""
        late = [held for held in self if held.run_at < before and not held.gone]
        return sorted(late, key=lambda held: held.order, reverse=True)

    def __iter__(self) -> Iterator[Held]:
        yield from self._timed
        yield from self._rest
