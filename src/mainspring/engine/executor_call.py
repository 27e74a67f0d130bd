"""Runs one task wherever an executor runs it: what is sent there, and what comes back.

Both are bytes: they cross to a thread, a process or another machine alike, and every call differs from all others, so
that no executor takes two for the same. Only the import of the function is left to the place where it runs.
"""

import os
from contextvars import copy_context
from types import CoroutineType

import msgspec

from mainspring.engine.child_coroutines import Coroutines
from mainspring.engine.child_load import Functions
from mainspring.engine.child_messages import Feed, Outcome, Setup
from mainspring.errors import MainspringError
from mainspring.tasks import place
from mainspring.tasks.callplan import plan_of
from mainspring.tasks.codec import decode_call, encode_result
from mainspring.tasks.context import TaskContext, enter
from mainspring.tasks.names import class_names
from mainspring.tasks.problems import describe
from mainspring.tasks.registry import Registered
from mainspring.tasks.retry import RetryLater
from mainspring.when.clock import SystemClock

FAR_US = 10_000_000  # a clock that is behind the daemon's by more than this is wrong
_SPIN_US = 1_000  # nearer than this to its instant a task waits awake


class Call(msgspec.Struct, array_like=True, frozen=True):
    """One attempt of a task. `home`: the pool that sends it, by a name no other has; `number`: how many it has sent.

    `feed.origin` says where the function is from; the daemon has found it there itself.
    """

    home: str
    number: int
    feed: Feed


encode = msgspec.msgpack.Encoder().encode
_decode_call = msgspec.msgpack.Decoder(Call).decode
_decode_outcome = msgspec.msgpack.Decoder(Outcome).decode

_clock = SystemClock()
# Pools of this very process, not those of the process it was forked from. Kept for ever: what a stopped daemon has left
# in an executor may still come.
_homes: set[tuple[str, int]] = set()


def make_home() -> str:
    """A name for a pool of this process."""
    home = os.urandom(8).hex()
    _homes.add((home, os.getpid()))
    return home


def outcome_of(answer: object) -> Outcome:
    """What `run` has answered. Raises `msgspec.DecodeError` or `TypeError` for what is none."""
    if not isinstance(answer, bytes):
        raise TypeError(f"expected the bytes that mainspring's run() gives, got {type(answer).__name__}")
    return _decode_outcome(answer)


def run(packet: bytes) -> bytes:
    """Run the task of an encoded `Call` at its instant, by the clock of this machine; answers an `Outcome`.

    Raises nothing that a body raises: what an executor raises is its own.
    """
    call = _decode_call(packet)
    if (call.home, os.getpid()) not in _homes:
        place.become_child()  # a Daemon of the modules that are imported here is a client
    return encode(_run(call.feed))


def _run(feed: Feed) -> Outcome:
    found = Functions(Setup(path=(), cwd="", argv=(), directory=os.getcwd())).find(feed.work, feed.origin)
    if isinstance(found, str):
        return _nothing(feed, "unknown", found)
    unreadable: BaseException | None = None
    args: tuple[object, ...] = ()
    kwargs: dict[str, object] = {}
    try:
        args, kwargs = decode_call(feed.payload, plan_of(found.function))
    except BaseException as error:  # noqa: BLE001  # a model's own code may raise anything; told when it has started
        unreadable = error
    while (now := _clock.now()) < feed.run_at:
        if feed.run_at - now > FAR_US:
            return _nothing(feed, "not-started", "the clock of the machine that was to run it is behind")
        if feed.run_at - now > _SPIN_US:
            _sleep(feed.run_at - _SPIN_US)
    deadline = None if feed.timeout is None else now + feed.timeout
    context = TaskContext(feed.task, feed.name, feed.work, feed.attempt, feed.token, feed.run_at, deadline)
    return _call(feed, now, found, args, kwargs, context, unreadable)


def _call(
    feed: Feed,
    started_at: int,
    found: Registered,
    args: tuple[object, ...],
    kwargs: dict[str, object],
    context: TaskContext,
    unreadable: BaseException | None,
) -> Outcome:
    """Call the function and say how it ended."""
    plan, began = plan_of(found.function), _clock.boottime()
    try:
        if unreadable is not None:
            raise unreadable
        if found.is_async:
            value = _awaited(found, args, kwargs, context)
        else:
            # a context of its own: what the body sets in context variables does not reach the next task
            inside = copy_context()
            inside.run(enter, context)
            value = inside.run(found.function, *args, **kwargs)
            if isinstance(value, CoroutineType):  # a plain function around an `async def` one
                made = value
                value = _awaited(msgspec.structs.replace(found, function=lambda: made), (), {}, context)
    except BaseException as error:  # noqa: BLE001  # whatever a body raises ends its attempt, never its worker
        later = error.after if isinstance(error, RetryLater) else None
        return Outcome(
            feed.task, feed.token, started_at, _clock.now(), "error" if later is None else "later",
            problem=describe(error), names=class_names(type(error)), after=later or 0,
            took=_clock.boottime() - began,
        )  # fmt: skip
    finished_at, took = _clock.now(), _clock.boottime() - began
    try:
        result = None if value is None else encode_result(value, plan)
    except MainspringError as refused:
        return Outcome(feed.task, feed.token, started_at, finished_at, "unkept", problem=describe(refused), took=took)
    return Outcome(feed.task, feed.token, started_at, finished_at, "ok", result, took=took)


def _awaited(found: Registered, args: tuple[object, ...], kwargs: dict[str, object], context: TaskContext) -> object:
    """Run a coroutine on a loop of its own, which ends with it."""
    coroutines = Coroutines()
    try:
        return coroutines.run(found.function, args, kwargs, context)
    finally:
        coroutines.close()


def _sleep(until: int) -> None:
    sleeper = _clock.sleeper()
    try:
        sleeper.sleep(until)
    finally:
        sleeper.close()


def _nothing(feed: Feed, kind: str, why: str) -> Outcome:
    return Outcome(feed.task, feed.token, 0, 0, kind, why=why)
