"""From what happened to what is written: pure functions that make settlements.

One match from an ending to the next state. Nothing here reads a clock, runs a body or touches a store.
"""

from collections.abc import Sequence

import msgspec

from mainspring.engine.clockwatch import STEP_US
from mainspring.engine.timeline import Held
from mainspring.store.rows import UNREADABLE, WORKER_LOST, Settlement
from mainspring.tasks.options import decode_options, encode_options
from mainspring.tasks.problems import Problem
from mainspring.tasks.retry import next_delay, wants
from mainspring.tasks.state import CODES, State

_WAITING = CODES[State.WAITING]
_RUNNING = CODES[State.RUNNING]
_SUCCEEDED = CODES[State.SUCCEEDED]
_FAILED = CODES[State.FAILED]
_CANCELLED = CODES[State.CANCELLED]
_MISSED = CODES[State.MISSED]

TIME_LIMIT = "time limit"
CANCELLED = "cancelled"
STOPPED = "daemon stopped"
LOST = "lost"
POISON = "poison"
EXPIRED = "expired"
OVERLAP = "overlap"
MISFIRE = "misfire"
POISON_LOSSES = 3


def _once(held: Held) -> bool:
    """An at-most-once task: its outcome must last, or a power cut would tell a wrong one."""
    return held.options.delivery == "at-most-once"


def started(held: Held, attempt: int, started_at: int, output: str | None = None) -> Settlement:
    """It runs: said when a body takes longer than 50 ms, and before the body of an at-most-once task.

    An adder that did not know the function did not know that it is at most once; whoever takes over must.
    """
    told = encode_options(held.options) if _once(held) and decode_options(held.task.options).bare else None
    return Settlement(
        held.id, held.token, _RUNNING, True, attempt, held.task.failures, started_at=started_at, output=output,
        options=told,
    )  # fmt: skip


def succeeded(
    held: Held, attempt: int, started_at: int, finished_at: int, result: str | None, *, reason: str | None = None,
    error: str | None = None, output: str | None = None,
) -> Settlement:  # fmt: skip
    """The body returned. `reason` and `error` say why there is no result, if it could not be kept."""
    return Settlement(
        held.id, held.token, _SUCCEEDED, False, attempt, held.task.failures, None, reason, started_at, finished_at,
        result, error, output, False, held.options.delivery == "at-most-once",
    )  # fmt: skip


def failed(
    held: Held, attempt: int, started_at: int | None, finished_at: int, reason: str, problem: Problem, *,
    retry: bool, output: str | None = None, result: str | None = None,
) -> Settlement:  # fmt: skip
    """The body failed: another attempt when `retry` holds and the rule allows one, else the end."""
    rule = held.options.retry
    failures = held.task.failures + 1
    if retry and rule is not None and failures <= rule.times:
        run_at = finished_at + next_delay(rule, failures, held.id)
        return _again(held, attempt, failures, started_at, finished_at, run_at, reason, problem, output)
    return Settlement(
        held.id, held.token, _FAILED, False, attempt, failures, None, reason, started_at, finished_at,
        result, problem.encode(), output, durable=_once(held),
    )  # fmt: skip


def unreadable(held: Held, now: int, error: Exception) -> Settlement:
    """Its options cannot be read: it is set aside, and what stood there is told. It can be looked at, and removed."""
    problem = Problem("Unreadable", f"its options cannot be read ({error}): {held.task.options!r:.1000}")
    return Settlement(
        held.id, held.token, _FAILED, False, held.task.attempt, held.task.failures, None, UNREADABLE, None, now,
        None, problem.encode(), options="{}",
    )  # fmt: skip


def postponed(
    held: Held, attempt: int, started_at: int, finished_at: int, after: int, problem: Problem, output: str | None = None
) -> Settlement:
    """The body raised `RetryLater`: another attempt after `after` µs, which uses no retry."""
    return _again(
        held, attempt, held.task.failures, started_at, finished_at, finished_at + after, "retry later", problem, output
    )


def _again(
    held: Held, attempt: int, failures: int, started_at: int | None, finished_at: int, run_at: int, reason: str,
    problem: Problem, output: str | None, *, lost: bool = False,
) -> Settlement:  # fmt: skip
    return Settlement(
        held.id, held.token, _WAITING, False, attempt, failures, run_at, reason, started_at, finished_at,
        None, problem.encode(), output, True, lost=lost,
    )  # fmt: skip


def raised(
    held: Held, attempt: int, started_at: int, finished_at: int, cause: str | None, problem: Problem,
    names: Sequence[str], after: int | None = None, output: str | None = None,
) -> Settlement:  # fmt: skip
    """The body raised `problem`; `names`: those of the exception's class and bases; `after`: it was `RetryLater`.

    `cause`: why it had been asked to stop, if it had.
    """
    if cause == TIME_LIMIT:  # it heeded the request
        return failed(
            held, attempt, started_at, finished_at, TIME_LIMIT, time_limit(held), retry=True, output=output
        )  # fmt: skip
    if cause == CANCELLED:
        return cancelled(held, attempt, started_at, finished_at, problem, output)
    if cause is not None:
        return interrupted(held, attempt, started_at, finished_at)
    if after is not None and not _once(held):
        return postponed(held, attempt, started_at, finished_at, after, problem, output)
    rule = held.options.retry
    retry = rule is not None and not _once(held) and wants(rule, names)
    return failed(held, attempt, started_at, finished_at, "error", problem, retry=retry, output=output)


def time_limit(held: Held) -> Problem:
    """The words for a time limit that is over."""
    from mainspring.when.durations import format_duration

    limit = format_duration(held.options.timeout or 0)
    return Problem("TimeLimit", f"the attempt ran longer than its time limit of {limit}")


def cancelled(
    held: Held, attempt: int, started_at: int, finished_at: int, problem: Problem | None, output: str | None = None
) -> Settlement:
    """The body was asked to stop by a cancel, and did."""
    return Settlement(
        held.id, held.token, _CANCELLED, False, attempt, held.task.failures, None, "cancelled while running",
        started_at, finished_at, None, problem.encode() if problem else None, output, durable=_once(held),
    )  # fmt: skip


def withdrawn(held: Held, now: int) -> Settlement:
    """It was cancelled when a worker had it and had not started it: nothing ran, no attempt is counted."""
    task = held.task
    return Settlement(
        held.id, held.token, _CANCELLED, False, task.attempt, task.failures, None, CANCELLED, finished_at=now
    )  # fmt: skip


def missed(held: Held, now: int, reason: str) -> Settlement:
    """Its moment passed before it could start: nothing ran, no attempt is counted."""
    task = held.task
    return Settlement(held.id, held.token, _MISSED, False, task.attempt, task.failures, None, reason, finished_at=now)


def returned(held: Held, attempt: int | None = None) -> Settlement:
    """Given back: free again, as it was. `attempt` counts a start that was interrupted by the daemon's stop."""
    task = held.task
    return Settlement(held.id, held.token, _WAITING, False, task.attempt if attempt is None else attempt, task.failures)


def timed(settlement: Settlement, elapsed: int | None) -> Settlement:
    """The same, if its attempt took `elapsed` µs (None: not known) by the clock too.

    Should the clock have been set meanwhile, the end is told by the clock as it was at the start: an attempt does not
    end before it began, and lasts as long as it did. What follows, such as a retry, goes by the clock as it is.
    """
    began, ended = settlement.started_at, settlement.finished_at
    if began is None or ended is None:
        return settlement
    shown = ended - began
    if shown >= 0 and (elapsed is None or abs(shown - elapsed) < STEP_US):
        return settlement
    return msgspec.structs.replace(settlement, finished_at=began + (elapsed or 0))


def lost(
    held: Held, attempt: int, started_at: int | None, finished_at: int, problem: Problem, output: str | None = None
) -> Settlement:
    """Whatever ran it died, and this daemon lives: it waits again and uses no retry, but not for ever.

    `started_at` None: it died of what comes before the body, such as the unpacking of the arguments.
    """
    failures = held.task.failures
    if _once(held) or held.task.losses + 1 >= POISON_LOSSES:
        reason = LOST if _once(held) else POISON
        return Settlement(
            held.id, held.token, _FAILED, False, attempt, failures, None, reason, started_at, finished_at,
            None, problem.encode(), output, durable=_once(held), lost=True,
        )  # fmt: skip
    return _again(
        held, attempt, failures, started_at, finished_at, held.run_at, WORKER_LOST, problem, output, lost=True
    )  # fmt: skip


def interrupted(held: Held, attempt: int, started_at: int, now: int) -> Settlement:
    """Still running when the daemon's grace was over: given back, or the end of an at-most-once task."""
    problem = Problem("DaemonStopped", "the daemon stopped while this attempt ran; it did not end within the grace")
    if _once(held):
        return failed(held, attempt, started_at, now, LOST, problem, retry=False)
    return _again(held, attempt, held.task.failures, started_at, now, held.run_at, STOPPED, problem, None)
