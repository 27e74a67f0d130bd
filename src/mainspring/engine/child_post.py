"""A post that is filled by one child after the other: who starts it when it is needed, and another when it is gone.

One that dies before it was ready, or while it had nothing to do, is followed after a wait that grows with each such
death; one that dies in a body is followed at once, for the listener waits by itself. A script that does all again in
each child that imports it (`Failed.unguarded`) gets no second one.
"""

import logging
from collections.abc import Callable, Collection

from mainspring.engine.backoff import delay_us
from mainspring.engine.child import Child
from mainspring.engine.child_messages import Answer, End, Failed, Ready, decode_feed
from mainspring.engine.service import Loop
from mainspring.tasks.problems import Problem
from mainspring.when.clock import Clock

log = logging.getLogger("mainspring")

START_US = 60_000_000  # in this time a child is ready, or given up
LEAVE_US = 2_000_000  # and so long one may take to end that has done its part: threads of a body may keep it
_REAP_S = 0.5


class Post:
    """Not for two threads at once. `make` starts a process, and may raise OSError; it is called on the loop's thread.

    `child` is the one that fills it.
    """

    def __init__(self, name: str, make: Callable[[], Child], clock: Clock, loop: Loop) -> None:
        self.child: Child | None = None
        self._problem: Problem | None = None
        self._name = name
        self._make = make
        self._clock = clock
        self._loop = loop
        self._born = 0  # monotonic, as all instants here
        self._again_at = 0
        self._failures = 0
        self._failed: Failed | None = None
        self._retiring = False
        self._leave_by = 0
        self._hopeless = False

    @property
    def failing(self) -> Problem | None:
        """Why there is no child, and none on its way that may change that."""
        return self._problem if self.child is None else None

    @property
    def ready(self) -> bool:
        """Can it be fed?"""
        return self.child is not None and self.child.ready and not self._retiring

    def fill(self, now: int) -> int | None:
        """Start a child if there is none and one may be started; the instant at which to look again, if there is one.

        When it cannot be started, `failing` says so.
        """
        if self.child is not None:
            if self._retiring and not self.child.killed:
                if self._leave_by > now:
                    return self._leave_by
                self.child.kill()
            if self.child.ready or self.child.killed:
                return None
            if self._born + START_US > now:
                return self._born + START_US
            log.error("a worker process for listeners did not get ready within %d s", START_US // 1_000_000)
            self.child.kill()
            return None
        if self._hopeless:
            return None
        if self._again_at > now:
            return self._again_at
        try:
            self.child = self._make()
        except OSError as error:
            return self._wait(now, Problem(type(error).__name__, f"no worker process could be started: {error}"))
        self._born, self._failed, self._retiring = now, None, False
        self._loop.watch(self.child.fileno())
        return self._born + START_US

    def hear(self) -> list[Answer] | None:
        """What it has said; None when it is gone, and is to be buried."""
        if self.child is None:
            return []
        answers = self.child.receive()
        for answer in answers or ():
            if isinstance(answer, Ready):
                self._problem = None
            elif isinstance(answer, Failed):
                self._failed = answer
        return answers

    def bury(self, fed: Collection[int]) -> tuple[Problem, set[int]]:
        """Let go of the child that is gone: how it ended, and which of what it was `fed` and has not answered (tokens)
        it had not even read.
        """
        child, self.child = self.child, None
        assert child is not None
        self._loop.unwatch(child.fileno())
        unread = {decode_feed(packet).token for packet in child.take_back()}
        words = child.ended(_REAP_S)
        if words is None:  # it closed its channels and lives
            child.kill()
            words = child.ended(_REAP_S) or "closed its channels"
        child.close()
        problem = Problem("WorkerLost", f"the worker process {words}")
        if not unread.issuperset(fed):  # it was in a body
            if not child.killed:
                log.warning("the worker process of a listener %s; another one is started", words)
        elif not self._retiring:
            self._died_by_itself(child, words)
        return problem, unread

    def retire(self) -> None:
        """It has done its part: it ends when it has done what it does, and another one follows."""
        if self.child is not None and not self._retiring:
            self._retiring = True
            self._leave_by = self._clock.monotonic() + LEAVE_US
            self.child.control(End())

    def did_well(self) -> None:
        """It has done something: deaths count from one again."""
        self._failures = 0

    def end(self) -> None:
        """Tell it to end; `close` waits for that."""
        if self.child is not None:
            self.child.control(End())

    def close(self) -> None:
        """No child any more; one that is in a body is killed."""
        child, self.child = self.child, None
        if child is not None:
            self._loop.unwatch(child.fileno())
            if child.ready:
                child.ended(_REAP_S)
            child.close()

    def _died_by_itself(self, child: Child, words: str) -> None:
        failed, problem = self._failed, Problem("WorkerLost", f"the worker process {words}")
        if failed is not None:
            self._hopeless = failed.unguarded
            why = f"{failed.problem.type}: {failed.problem.message}"
            problem = Problem("WorkerLost", f"no worker process can start: {why}", failed.problem.traceback)
        elif not child.ready:
            problem = Problem("WorkerLost", f"the worker process {words} before it was ready")
        self._wait(self._clock.monotonic(), problem)

    def _wait(self, now: int, problem: Problem) -> int:
        self._problem = problem
        self._failures += 1
        self._again_at = now + delay_us(self._name, self._failures)
        text = f"{problem.message}\n{problem.traceback}".rstrip()
        if self._hopeless:
            log.error("listeners: %s", text)
        else:
            log.error("listeners: %s; the next try is in %d ms", text, (self._again_at - now) // 1000)
        return self._again_at
