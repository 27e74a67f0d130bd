"""`async def` listeners in a child: the daemon's side of the one process that has them all on its event loop.

When it dies, all of them have failed, for nobody can say whose doing it was; each is started again after its own wait.
"""

import itertools
import threading
from collections import deque
from collections.abc import Callable

from mainspring.engine.bodies import Later
from mainspring.engine.child_messages import Answer, MoreTurns, NeedPayload, Outcome, Stop
from mainspring.engine.child_post import Post
from mainspring.engine.child_turns import WHY, Fed, problem_of
from mainspring.engine.listener import Listener
from mainspring.engine.rota import Place
from mainspring.engine.service import Loop
from mainspring.engine.turns import LEAST_PAUSE_US
from mainspring.tasks.problems import Problem
from mainspring.when.clock import Clock

_FULL_US = 5_000  # the child's socket takes no more: the next try


class ChildCoroutineBody:
    """Awaited again and again in the child."""

    place: Place | None = None

    def __init__(self, listener: Listener, fed: Fed, loop: "ChildLoop", later: Later) -> None:
        self.fed = fed
        self.token = 0
        self.packet: bytes | None = None  # it has begun, and the child is not told yet
        self.kill_at: int | None = None  # it was asked to stop
        self.listener = listener
        self._loop = loop
        self._later = later

    def start(self) -> None:
        """See `Body`."""
        self._loop.start(self)

    def ask(self) -> None:
        """See `Body`."""
        if not self._loop.ask(self):
            self.listener.end()

    def over(self, problem: Problem | None) -> None:
        """It has ended."""
        self.kill_at = None
        delay = self.listener.failed(problem) if problem else max(self.listener.went_well(), LEAST_PAUSE_US)
        if self.listener.asked:
            self.listener.end()
        else:
            self._later(self.listener, delay)


class ChildLoop:
    """Driven by `step`, on the loop that is woken here; the rest from any thread."""

    def __init__(self, post: Post, clock: Clock, loop: Loop, *, grace: int, heard: Callable[[Answer], None]) -> None:
        self._post = post
        self._clock = clock
        self._loop = loop
        self._grace = grace
        self._heard = heard
        self._lock = threading.RLock()
        self._waiting: deque[ChildCoroutineBody] = deque()
        self._live: dict[int, ChildCoroutineBody] = {}  # by token
        self._tokens = itertools.count(1)
        self._closed = False

    def start(self, body: ChildCoroutineBody) -> None:
        """Let it run, as soon as there is a child."""
        with self._lock:
            self._waiting.append(body)
        self._loop.wake()

    def ask(self, body: ChildCoroutineBody) -> bool:
        """Ask it to stop; False: it does not run."""
        with self._lock:
            if body in self._waiting:
                self._waiting.remove(body)
                return False
            if self._live.get(body.token) is not body or self._post.child is None:
                return False
            self._post.child.control(Stop(body.fed.task, body.token, WHY))
            body.kill_at = self._clock.monotonic() + self._grace
        self._loop.wake()
        return True

    def kill(self) -> bool:
        """End the child if all that it runs was asked to stop; whether it was."""
        with self._lock:
            if not self._live or self._post.child is None:
                return False
            if any(body.kill_at is None for body in self._live.values()):
                return False
            self._post.child.kill()
            return True

    def close(self) -> None:
        """No child is left."""
        with self._lock:
            self._closed = True
            self._post.end()
            self._post.close()

    # ── the step ───────────────────────────────────────────────────────────────────────────────────────────
    def step(self) -> int | None:
        """Hear the child, feed it; the instant (monotonic) of the next look."""
        with self._lock:
            if self._closed:
                return None
            now = self._clock.monotonic()
            self._hear()
            wants = [self._post.fill(now) if self._waiting or self._live else None, self._feed(now), self._overdue(now)]
            return min((want for want in wants if want is not None), default=None)

    def _hear(self) -> None:
        answers = self._post.hear()
        if answers is None:
            self._bury()
            return
        for answer in answers:
            if isinstance(answer, Outcome | MoreTurns | NeedPayload):
                body = self._live.get(answer.token)
                if body is not None:
                    self._told(body, answer)
            else:
                self._heard(answer)

    def _told(self, body: ChildCoroutineBody, answer: Outcome | MoreTurns | NeedPayload) -> None:
        if isinstance(answer, Outcome):
            self._post.did_well()
            del self._live[body.token]
            body.over(problem_of(answer))
        elif isinstance(answer, MoreTurns):
            self._post.did_well()
            body.listener.more(answer.count)
        elif self._post.child is not None:
            self._post.child.control(body.fed.answer(answer))

    def _bury(self) -> None:
        problem, spared = self._post.bury(self._live)
        lost, self._live = self._live, {}
        for token, body in lost.items():
            if token in spared and not body.listener.asked:
                self._waiting.append(body)
            else:
                body.over(problem)

    def _feed(self, now: int) -> int | None:
        post = self._post
        if not post.ready:
            failing = post.failing
            if failing is not None:  # no child can be had: whoever waits has failed, and shows why
                waiting, self._waiting = self._waiting, deque()
                for body in waiting:
                    body.listener.begin()
                    body.over(failing)
            return None
        assert post.child is not None
        while self._waiting:
            body = self._waiting[0]
            if body.packet is None:
                body.token = next(self._tokens)
                body.packet = body.fed.begin(body.token)
            if not post.child.feed(body.packet):
                return now + _FULL_US
            self._waiting.popleft()
            body.packet = None
            self._live[body.token] = body
        return None

    def _overdue(self, now: int) -> int | None:
        """Kill the child when the grace of all that runs there is over; the instant at which it is."""
        times = [body.kill_at for body in self._live.values()]
        ends = [at for at in times if at is not None]
        if not ends or len(ends) < len(times):
            return None  # one that does not heed must not take others with it: it is shown as stopping
        if max(ends) > now:
            return max(ends)
        if self._post.child is not None and not self._post.child.killed:
            self._post.child.kill()
        return None
