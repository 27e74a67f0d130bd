"""Answers what other processes ask of this node. Only the holder changes what it reserved.

A request is in the store; this loop answers it. Taking the task from the timeline decides: then it has not started
and the change is made in the store under this node's token; otherwise it runs, and the answer says so.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from mainspring.engine import settle
from mainspring.engine.claimer import Claimer
from mainspring.engine.pool import Pool
from mainspring.engine.recorder import Recorder
from mainspring.engine.timeline import Held, Timeline
from mainspring.errors import StoreError
from mainspring.store.protocol import Store
from mainspring.store.rows import Cancel, Release, Request, Verdict
from mainspring.tasks.state import State

_SOON_US = 2_000


class Responder:
    """The step that answers requests."""

    def __init__(
        self,
        store: Store,
        node: int,
        timeline: Timeline,
        pool: Pool,
        recorder: Recorder,
        claimer: Claimer,
    ) -> None:
        self._store = store
        self._node = node
        self._timeline = timeline
        self._pool = pool
        self._recorder = recorder
        self._claimer = claimer
        self._asked = True
        self._flush: Callable[[], None] = lambda: None

    def hear(self, news: list[str]) -> None:
        """Look when somebody asked."""
        mine = f"ask {self._node}"
        if any(word in {mine, "*"} for word in news):
            self._asked = True

    def step(self, now: int) -> int | None:
        """Answer everything; soon again while an answer depends on an outcome that is being written."""
        if not self._asked:
            return None
        open_still = False
        for request in self._store.requests(self._node):
            verdict = self._decide(request, now)
            if verdict is None:
                open_still = True
            else:
                self._store.answer(request.id, verdict)
        self._asked = open_still
        return now + _SOON_US if open_still else None

    def _decide(self, request: Request, now: int) -> Verdict | None:
        demand, task = request.demand, request.task
        if isinstance(demand, Release):
            return self._release(task, demand.queue, now)
        assert task is not None
        held = self._timeline.withdraw(task) or self._pool.recall(task)
        if held is not None:
            with self._given_back([held]):
                return self._store.change(task, demand, now, token=held.token)
        slot = self._pool.running(task)
        if slot is not None:
            if slot.settled or not isinstance(demand, Cancel):
                return Verdict("too-late", State.RUNNING)
            slot.ask(settle.CANCELLED)
            return Verdict("stopping", State.RUNNING)
        # not held, not running: its outcome is being written, or it never was this node's
        verdict = self._store.change(task, demand, now)
        return None if verdict.outcome == "held" and verdict.holder == self._node else verdict

    @contextmanager
    def _given_back(self, taken: list[Held]) -> Iterator[None]:
        """Should the store fail, it knows whether these are held here still: in that case they are not any more."""
        try:
            yield
        except StoreError:
            for held in taken:
                self._recorder.put(settle.returned(held))
            raise

    def _release(self, task: int | None, queue: str | None, now: int) -> Verdict | None:
        """Give back, in this node's own order: the answer follows the write."""
        wanted = [
            held
            for held in self._timeline.every()
            if (held.id == task if task is not None else queue is None or held.queue == queue)
        ]
        given = [held for held in wanted if self._timeline.withdraw(held.id) is held]
        if given:
            with self._given_back(given):
                self._store.record([settle.returned(held) for held in given])
        if task is None:
            return Verdict("done")
        self._claimer.hold_off(task, now)
        if given:
            return Verdict("done")
        if self._pool.running(task) is not None:
            return Verdict("too-late", State.RUNNING)
        row = self._store.get(task)
        if row is None:
            return Verdict("not-found")
        return None if row.holder == self._node else Verdict("done", row.state)
