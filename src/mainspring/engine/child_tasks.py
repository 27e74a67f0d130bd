"""In a child: takes one task after the other and runs it, as `attempt` does in the daemon's own process.

The order of the lines in `_run` is the promise: the arguments are decoded before the instant; the clock is read last
before the start, and nothing is early; an at-most-once task is started only when the daemon has recorded it; the start
is noted in the journal before the body begins.
"""

import os
from collections.abc import Callable
from contextvars import copy_context
from types import CoroutineType

from mainspring.engine.child_coroutines import Coroutines
from mainspring.engine.child_link import Link
from mainspring.engine.child_load import Functions
from mainspring.engine.child_messages import (
    LARGEST_FEED,
    Begin,
    Feed,
    MoreTurns,
    No,
    Outcome,
    Setup,
    Stop,
    decode_feed,
)
from mainspring.errors import MainspringError
from mainspring.store.journal import Journal
from mainspring.tasks.callplan import CallPlan, plan_of
from mainspring.tasks.codec import decode_call, encode_result
from mainspring.tasks.context import TaskContext, enter
from mainspring.tasks.names import class_names
from mainspring.tasks.problems import describe
from mainspring.tasks.retry import RetryLater
from mainspring.when.clock import Clock, Sleeper

_FAR_US = 1_000_000  # nobody is fed so far ahead: the clock was set back
_SPIN_US = 1_000  # nearer than this to its instant a task waits awake

Target = tuple[Callable[..., object], CallPlan, bool]  # the function, its plan, whether it is `async def`


class Tasks:
    """Runs what the daemon feeds, until it says `End` or the limits of this child are reached."""

    def __init__(self, link: Link, functions: Functions, journal: Journal, clock: Clock, setup: Setup) -> None:
        self._link = link
        self._functions = functions
        self._note = journal.note
        self._covers = journal.covers
        self._now = clock.now
        self._clock = clock
        self._sleeper: Sleeper | None = None
        self._coroutines = Coroutines()
        self._targets: dict[str, Target] = {}
        self._running: tuple[int, int, TaskContext] | None = None
        self._stops: set[tuple[int, int]] = set()  # asked for before their task was running
        self._tasks_left = setup.max_tasks
        self._memory = None if setup.max_memory is None else Memory(setup.max_memory)
        link.on_stop = self.stop

    def serve(self) -> None:
        """Until there is nothing more to do; every task that was read is answered."""
        link, buffer = self._link, bytearray(LARGEST_FEED)
        view, receive = memoryview(buffer), link.feed.recv_into
        while size := receive(buffer):
            feed = decode_feed(view[:size])
            outcome = _not_started(feed, "this worker process is ending") if link.ended.is_set() else self._run(feed)
            if feed.repeat and outcome is not None:
                outcome = self._repeat(feed, outcome)
            self._running = None
            if self._stops:
                self._stops.clear()
            if outcome is not None:
                link.send(outcome)
                if outcome.retire:
                    link.ended.wait()
                    break
        self._coroutines.close()

    def _repeat(self, feed: Feed, outcome: Outcome) -> Outcome:
        """More turns of a listener without a pause, while they go well and nobody asks it to stop."""
        until, turns = self._clock.monotonic() + feed.repeat, 0
        while outcome.kind == "ok" and not outcome.retire and not self._stops and self._clock.monotonic() < until:
            following = self._run(feed)
            if following is None or following.kind == "not-started":
                break
            outcome, turns = following, turns + 1
        if turns:
            self._link.send(MoreTurns(feed.task, feed.token, turns))
        return outcome

    def stop(self, asked: Stop) -> None:
        """Ask the task to stop; on the thread that listens."""
        self._stops.add((asked.task, asked.token))  # first: the task may be about to begin
        running = self._running
        if running is not None and running[:2] == (asked.task, asked.token):
            running[2].stop = True
            if asked.why:  # else it is only told, and has time for a good end
                self._coroutines.cancel()
            if self._sleeper is not None:
                self._sleeper.wake()

    def _run(self, feed: Feed) -> Outcome | None:
        """One task, from read to answered; None when there is nothing to answer."""
        task, token, run_at = feed.task, feed.token, feed.run_at
        target = self._targets.get(feed.work) or self._find(feed)
        if isinstance(target, str):
            return Outcome(feed.task, feed.token, 0, 0, "unknown", why=target)
        unreadable: BaseException | None = None
        args: tuple[object, ...] = ()
        kwargs: dict[str, object] = {}
        payload = self._link.payload(task, token) if feed.asks else feed.payload
        if payload is not None:
            try:
                args, kwargs = decode_call(payload, target[1])
            except BaseException as error:  # noqa: BLE001  # a model's own code may raise anything; told when it has started
                unreadable = error
        elif feed.asks:
            return None  # it was withdrawn
        deadline = None if feed.timeout is None else max(self._now(), run_at) + feed.timeout
        context = TaskContext(task, feed.name, feed.work, feed.attempt, token, run_at, deadline)
        if feed.fence is not None:
            context = TaskContext(0, feed.name, "", feed.attempt, feed.fence)
        self._running = task, token, context
        if self._stops and (task, token) in self._stops:
            context.stop = True
        while (now := self._now()) < run_at:
            if run_at - now > _FAR_US:
                return _not_started(feed, "the clock was set back: its instant is more than a second away")
            if context.stop:
                break
            if run_at - now > _SPIN_US:
                self._sleep(run_at - _SPIN_US)
        if context.stop:
            return _not_started(feed, "it was asked to stop before it started")
        if feed.fence is None and not self._covers(token, self._clock.boottime()):
            return _not_started(feed, "its daemon stood still for longer than its lease")
        if feed.once:
            self._link.send(Begin(task, token, now))
            if isinstance(self._link.replies.get(), No):
                return None
        self._note(task, token, now)  # the same instant as in the store: it is the same start
        if feed.once:
            now = max(now, self._now())  # its lateness has the recording in it, in which the clock may be set back
        return self._call(feed, now, target, args, kwargs, context, unreadable)

    def _call(
        self,
        feed: Feed,
        started_at: int,
        target: Target,
        args: tuple[object, ...],
        kwargs: dict[str, object],
        context: TaskContext,
        unreadable: BaseException | None,
    ) -> Outcome:
        """Call the function and say how it ended."""
        function, plan, is_async = target
        output = self._link.output
        output.owner = feed.task, feed.token
        value: object = None
        error = unreadable
        began = self._clock.boottime()
        if error is None:
            try:
                if is_async:
                    value = self._coroutines.run(function, args, kwargs, context)
                else:
                    # a context of its own: what the body sets in context variables does not reach the next task
                    inside = copy_context()
                    inside.run(enter, context)
                    value = inside.run(function, *args, **kwargs)
                    if isinstance(value, CoroutineType):  # a plain function around an `async def` one
                        value = self._coroutines.run(lambda: value, (), {}, context)
            except BaseException as raised:  # noqa: BLE001  # whatever a body raises ends its attempt, never its worker
                error = raised
        finished_at, took = self._now(), self._clock.boottime() - began
        if self._link.forked:
            os._exit(0)  # the body has forked and both copies returned: this one is not the daemon's
        if error is not None:
            return self._ended_badly(feed, started_at, finished_at, error, took)
        if value is None or feed.fence is not None:  # nobody asks what a listener returns
            return Outcome(
                feed.task, feed.token, started_at, finished_at, "ok", None, output.end(), self._done(), took=took
            )
        try:
            result = encode_result(value, plan)
        except MainspringError as refused:
            return Outcome(
                feed.task, feed.token, started_at, finished_at, "unkept", None, output.end(), self._done(),
                describe(refused), took=took,
            )  # fmt: skip
        return Outcome(
            feed.task, feed.token, started_at, finished_at, "ok", result, output.end(), self._done(), took=took
        )

    def _ended_badly(self, feed: Feed, started_at: int, finished_at: int, error: BaseException, took: int) -> Outcome:
        later = isinstance(error, RetryLater)
        problem = describe(error)
        return Outcome(
            feed.task, feed.token, started_at, finished_at, "later" if later else "error", None,
            self._link.output.end(), self._done(), problem, class_names(type(error)),
            error.after if isinstance(error, RetryLater) else 0, took=took,
        )  # fmt: skip

    def _find(self, feed: Feed) -> Target | str:
        found = self._functions.find(feed.work, feed.origin)
        if isinstance(found, str):
            return found
        target = found.function, plan_of(found.function), found.is_async
        self._targets[feed.work] = target
        return target

    def _sleep(self, until: int) -> None:
        if self._sleeper is None:
            self._sleeper = self._clock.sleeper()
        self._sleeper.sleep(until)

    def _done(self) -> bool:
        """One task more is done: is this child to be replaced?"""
        if self._tasks_left is not None:
            self._tasks_left -= 1
            if self._tasks_left <= 0:
                return True
        return self._memory is not None and self._memory.over()


class Memory:
    """Watches this process's resident memory."""

    def __init__(self, most: int) -> None:
        self._most = most
        try:
            self._statm: int | None = os.open("/proc/self/statm", os.O_RDONLY | os.O_CLOEXEC)
        except OSError:
            self._statm = None  # not Linux

    def over(self) -> bool:
        """Is it more than the given bytes? Outside Linux: has it ever been?"""
        if self._statm is not None:
            return int(os.pread(self._statm, 256, 0).split()[1]) * os.sysconf("SC_PAGESIZE") > self._most
        import resource
        import sys

        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return peak * (1 if sys.platform == "darwin" else 1024) > self._most


def _not_started(feed: Feed, why: str) -> Outcome:
    return Outcome(feed.task, feed.token, 0, 0, "not-started", why=why)
