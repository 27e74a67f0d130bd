"""From what a worker process tells, or from its death, to what is written: pure functions, like `settle`."""

from typing import NamedTuple

from mainspring.engine import settle
from mainspring.engine.child_messages import Outcome
from mainspring.engine.timeline import Held
from mainspring.store.rows import Settlement
from mainspring.tasks.problems import Problem


class Ending(NamedTuple):
    """How an attempt ended. `cause`: why it had been asked to stop, if it had."""

    held: Held
    attempt: int
    cause: str | None
    outcome: Outcome


def judge(ending: Ending, now: int) -> Settlement | None:
    """The settlement; None when nothing was run and it is to be tried again, for the clock was set back."""
    settlement = _judged(ending, now)
    return None if settlement is None else settle.timed(settlement, ending.outcome.took or None)


def _judged(ending: Ending, now: int) -> Settlement | None:
    held, attempt, cause, told = ending
    begun, ended, output = told.started_at, told.finished_at, told.output
    if told.kind == "unknown":
        problem = Problem("UnknownFunction", told.why)
        return settle.failed(held, held.task.attempt, None, now, "unknown function", problem, retry=False)
    if told.kind == "not-started":
        return settle.withdrawn(held, now) if cause == settle.CANCELLED else None
    if told.kind in ("error", "later"):
        problem = told.problem or Problem("Exception", "")
        after = told.after if told.kind == "later" else None
        return settle.raised(held, attempt, begun, ended, cause, problem, told.names, after, output)
    if cause == settle.TIME_LIMIT:  # it came back too late
        return settle.failed(
            held, attempt, begun, ended, settle.TIME_LIMIT, settle.time_limit(held), retry=True, output=output
        )  # fmt: skip
    if told.problem is not None:
        return settle.succeeded(
            held, attempt, begun, ended, None, reason="result not stored", error=told.problem.encode(), output=output
        )
    return settle.succeeded(held, attempt, begun, ended, told.result, output=output)


def death(
    held: Held, attempt: int, cause: str | None, started_at: int | None, now: int, words: str, output: str | None
) -> Settlement:
    """What ran it died: because it was ended for its time limit or a cancel, or by itself."""
    return settle.timed(_died(held, attempt, cause, started_at, now, words, output), None)


def _died(
    held: Held, attempt: int, cause: str | None, started_at: int | None, now: int, words: str, output: str | None
) -> Settlement:
    problem = Problem("WorkerLost", f"the worker process {words}")
    if cause == settle.TIME_LIMIT and started_at is not None:
        limit = settle.time_limit(held)
        return settle.failed(held, attempt, started_at, now, settle.TIME_LIMIT, limit, retry=True, output=output)
    if cause == settle.CANCELLED and started_at is not None:
        return settle.cancelled(held, attempt, started_at, now, problem, output)
    if cause == settle.STOPPED and started_at is not None:
        return settle.interrupted(held, attempt, started_at, now)
    if started_at is None and held.options.delivery == "at-most-once":
        return settle.returned(held)  # its start was never recorded: the body did not begin
    return settle.lost(held, attempt, started_at, now, problem, output)
