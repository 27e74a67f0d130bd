"""Functions that are listeners take their turns in children: the daemon's side.

The places and whose turn it is stay here (`rota`); a free child and a place that is due make one `Feed`. Nothing is fed
ahead: a pause counts from the end of the turn before it.
"""

import itertools
import threading
from collections.abc import Callable, Sequence
from typing import Protocol, cast

from mainspring.engine.bodies import TurnBody
from mainspring.engine.child_messages import (
    Answer,
    Feed,
    MoreTurns,
    NeedPayload,
    Outcome,
    Payload,
    Stop,
    encode_feed,
)
from mainspring.engine.child_post import Post
from mainspring.engine.listener import Listener
from mainspring.engine.rota import STARVED_US, Owner, Place, Rota
from mainspring.engine.service import Loop
from mainspring.engine.turns import Turns
from mainspring.tasks.problems import Problem
from mainspring.tasks.registry import Registered
from mainspring.when.clock import Clock

WHY = "the listener is to stop"
_REPEAT_US = 5_000  # of turns without a pause, when no other listener waits: the daemon is told once
_numbers = itertools.count(1)


class Fed:
    """A listener's function as a child is told of it."""

    def __init__(self, listener: Listener, registered: Registered, payload: str | None, pause: int | None) -> None:
        self.listener = listener
        self.task = -next(_numbers)  # no task's
        self.payload = payload
        self._work = registered.name
        self._origin = registered.origin
        self._pause = pause

    def begin(self, token: int, repeat: int = 0) -> bytes:
        """A turn begins: what the child is fed. `repeat`: see `Feed`."""
        context = self.listener.begin()
        return encode_feed(
            Feed(
                self.task, token, context.attempt, 0, self._work, self.listener.name, self.payload,
                origin=self._origin, fence=context.fence, pause=self._pause, repeat=repeat,
            )
        )  # fmt: skip

    def answer(self, asked: NeedPayload) -> Payload:
        """The arguments, which were too large to be fed."""
        return Payload(asked.task, asked.token, self.payload or "")


class Eater(Owner, Protocol):
    """Who has turns here."""

    fed: Fed

    def over(self, outcome: Outcome) -> tuple[int, bool]:
        """The turn has ended: the wait (µs) until the next, and whether that is its pause."""

    def lost(self, problem: Problem) -> int:
        """The turn could not be had, or its child died: the wait (µs) until the next."""


class ChildFunctionBody(TurnBody):
    """One call is one turn, in whichever child is free."""

    def __init__(self, listener: Listener, fed: Fed, turns: Turns, workers: int) -> None:
        super().__init__(listener, turns, workers)
        self.fed = fed

    def over(self, outcome: Outcome) -> tuple[int, bool]:
        """See `Eater`."""
        problem = problem_of(outcome)
        if problem is None:
            return self._listener.went_well(), True
        return self._listener.failed(problem), False

    def lost(self, problem: Problem) -> int:
        """See `Eater`."""
        return self._listener.failed(problem)


class _Worker:
    """A post and the turn that its child is in."""

    def __init__(self, post: Post) -> None:
        self.post = post
        self.place: Place | None = None
        self.token = 0
        self.kill_at: int | None = None  # it was asked to stop


class ChildTurns:
    """`Turns` in at most `workers` children. Driven by `step`, on the loop that is woken here; else from any thread.

    `post` makes the post of a number below `workers`; a body that was asked to stop has `grace` (µs).
    """

    def __init__(
        self,
        workers: int,
        post: Callable[[int], Post],
        clock: Clock,
        loop: Loop,
        *,
        grace: int,
        heard: Callable[[Answer], None],
        hungry: Callable[[], None],
    ) -> None:
        self._most = workers
        self._post = post
        self._clock = clock
        self._loop = loop
        self._grace = grace
        self._heard = heard
        self._hungry = hungry
        self._rota = Rota(workers)
        self._workers: list[_Worker] = []
        self._lock = threading.RLock()
        self._tokens = itertools.count(1)
        self._look_at: int | None = None
        self._closed = False

    # ── Turns ──────────────────────────────────────────────────────────────────────────────────────────────
    def add(self, places: Sequence[Place]) -> None:
        """See `Turns`."""
        with self._lock:
            for place in places:
                self._rota.add(place, self._clock.monotonic())
        if places:
            self._loop.wake()

    def remove(self, place: Place) -> bool:
        """See `Turns`. A turn that goes on is asked to end, and has the grace for it."""
        with self._lock:
            idle = self._rota.remove(place)
            for worker in self._workers:
                if worker.place is place and worker.post.child is not None:
                    worker.post.child.control(Stop(_eater(place).fed.task, worker.token, WHY))
                    worker.kill_at = self._clock.monotonic() + self._grace
        self._loop.wake()
        return idle

    def run_due(self, now: int) -> int | None:  # noqa: ARG002  # `step` does it
        """See `Turns`."""
        return None

    def starving(self, now: int) -> tuple[list[Place], int | None]:
        """See `Turns`."""
        with self._lock:
            hungry, self._look_at = self._rota.starving(now)
            return hungry, self._look_at

    def busy(self) -> int:
        """See `Turns`."""
        return sum(worker.place is not None for worker in self._workers)

    def kill(self) -> bool:
        """End the children that are in a body that was asked to stop; whether there were any."""
        with self._lock:
            asked = [worker for worker in self._workers if worker.place is not None and worker.place.gone]
            for worker in asked:
                if worker.post.child is not None:
                    worker.post.child.kill()
            return bool(asked)

    def close(self) -> None:
        """See `Turns`: no child is left."""
        with self._lock:
            self._closed = True
            for worker in self._workers:
                worker.post.end()
            for worker in self._workers:
                worker.post.close()

    # ── the step ───────────────────────────────────────────────────────────────────────────────────────────
    def step(self) -> int | None:
        """Hear the children, feed the free ones; the instant (monotonic) of the next look."""
        with self._lock:
            if self._closed:
                return None
            now = self._clock.monotonic()
            for worker in self._workers:
                self._hear(worker, now)
            needed = min(self._most, len(self._rota.places))
            while len(self._workers) < needed:
                self._workers.append(_Worker(self._post(len(self._workers))))
            for worker in self._workers[needed:]:
                if worker.place is None:
                    worker.post.retire()
            wants = [worker.post.fill(now) for worker in self._workers[:needed]]
            wants += [self._feed(now), *(self._overdue(worker, now) for worker in self._workers)]
            return min((want for want in wants if want is not None), default=None)

    def _hear(self, worker: _Worker, now: int) -> None:
        answers = worker.post.hear()
        if answers is None:
            self._bury(worker, now)
            return
        for answer in answers:
            place = worker.place
            if isinstance(answer, Outcome):
                if place is not None and answer.token == worker.token:
                    worker.post.did_well()
                    delay, resting = _eater(place).over(answer)
                    self._over(worker, now, delay, resting=resting)
                if answer.retire:
                    worker.post.retire()
            elif isinstance(answer, MoreTurns):
                if place is not None:
                    _eater(place).fed.listener.more(answer.count)
            elif isinstance(answer, NeedPayload):
                if place is not None and worker.post.child is not None:
                    worker.post.child.control(_eater(place).fed.answer(answer))
            else:
                self._heard(answer)

    def _bury(self, worker: _Worker, now: int) -> None:
        problem, unread = worker.post.bury(() if worker.place is None else (worker.token,))
        if worker.place is not None:
            # what was not even read was no turn
            delay = 0 if unread else _eater(worker.place).lost(problem)
            self._over(worker, now, delay, resting=False)

    def _over(self, worker: _Worker, now: int, delay: int, *, resting: bool) -> None:
        place, worker.place, worker.kill_at = worker.place, None, None
        assert place is not None
        self._rota.done(place, now, delay, resting=resting)
        if place.gone:
            _eater(place).left()
        elif self._rota.crowded and (self._look_at is None or place.ready_at + STARVED_US < self._look_at):
            self._hungry()

    def _feed(self, now: int) -> int | None:
        """Give turns to whom they are due; the instant of the next that can be given."""
        free = [worker for worker in self._workers if worker.place is None and worker.post.ready]
        for worker in free:
            place, wanted = self._rota.take(now)
            if place is None:
                return wanted
            worker.place, worker.token = place, next(self._tokens)
            assert worker.post.child is not None
            repeat = _REPEAT_US if place.pause == 0 and not self._rota.crowded else 0
            worker.post.child.feed(_eater(place).fed.begin(worker.token, repeat))  # a dead one's end will be seen
        return None if self._workers and any(self._hopeful(worker) for worker in self._workers) else self._fail(now)

    @staticmethod
    def _hopeful(worker: _Worker) -> bool:
        """Does it do something, or will it?"""
        return worker.place is not None or worker.post.failing is None

    def _fail(self, now: int) -> int | None:
        """No child can be had: whoever is due has failed, and shows why."""
        problem = next((worker.post.failing for worker in self._workers if worker.post.failing is not None), None)
        while problem is not None:
            place, wanted = self._rota.take(now)
            if place is None:
                return wanted
            owner = _eater(place)
            owner.fed.listener.begin()
            self._rota.done(place, now, owner.lost(problem), resting=False)
        return None

    def _overdue(self, worker: _Worker, now: int) -> int | None:
        """Kill a child whose body was asked to stop and has had its grace; the instant at which that is over."""
        if worker.kill_at is None or worker.kill_at > now:
            return worker.kill_at
        worker.kill_at = None
        if worker.post.child is not None:
            worker.post.child.kill()
        return None


def problem_of(outcome: Outcome) -> Problem | None:
    """What went wrong; None for a good end. What it returns is nobody's, as that of a listener on a thread."""
    if outcome.kind in {"error", "later"}:
        return outcome.problem
    # what was not started was asked to stop before
    return Problem("UnknownFunction", outcome.why) if outcome.kind == "unknown" else None


def _eater(place: Place) -> Eater:
    return cast("Eater", place.owner)
