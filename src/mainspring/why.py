"""Why a task has not started, started late, was tried again, missed or cancelled: said from what is recorded.

Each sentence rests on a row: of the task, its attempts, its schedule, the daemons, the pauses, the tasks around it.
What nobody has recorded is not guessed. A sentence has a `code` for programs, and `help` where somebody can change it.
"""

from collections.abc import Iterator
from datetime import UTC, tzinfo
from typing import NamedTuple

import msgspec

from mainspring import why_late
from mainspring.shown import shown_options
from mainspring.store.protocol import Store
from mainspring.store.rows import LEASE_LOST, WORKER_LOST, AttemptRow, NodeRow, TaskRow
from mainspring.tasks.options import TaskOptions
from mainspring.tasks.problems import read_problem
from mainspring.tasks.registry import Registry
from mainspring.tasks.state import State
from mainspring.when.readable import exact, span


class Because(msgspec.Struct, frozen=True):
    """One sentence of an answer. `code` stays as it is, `text` is for people; `help`: what would change it."""

    code: str
    text: str
    help: str | None = None


class Why(msgspec.Struct, frozen=True):
    """The answer for one task: the `question` that its state raises, and why, the most telling sentence first."""

    id: str
    state: str
    question: str
    because: list[Because]

    def __str__(self) -> str:
        return "\n".join(one.text for one in self.because)


class View(NamedTuple):
    """What is looked at: the store as it is `now` (µs UTC), times told in `zone`; `start`: how a daemon is started."""

    store: Store
    now: int
    zone: tzinfo = UTC
    start: str = "mainspring run"
    registry: Registry | None = None

    def at(self, instant: int) -> str:
        """An instant, as it is written in a sentence."""
        return exact(instant, self.zone)

    def options(self, row: TaskRow) -> TaskOptions:
        """The task's, as they hold when it runs, as far as is known here."""
        return shown_options(row, self.registry)

    def living(self) -> list[NodeRow]:
        """The daemons that run."""
        return [node for node in self.store.nodes() if node.alive]


_QUESTIONS = {
    State.WAITING: "why has it not started?",
    State.RUNNING: "why does it run?",
    State.SUCCEEDED: "why did it run when it did?",
    State.FAILED: "why did it fail?",
    State.CANCELLED: "why was it cancelled?",
    State.MISSED: "why did it not run?",
}


def explain(view: View, row: TaskRow) -> Why:
    """The answer for this task."""
    sentences = _SENTENCES[row.state]
    because = [*sentences(view, row), *_tried(view, row), *_moved(view, row)]
    return Why(str(row.id), row.state.value, _QUESTIONS[row.state], because)


# ── waiting ────────────────────────────────────────────────────────────────────────────────────────────────
def hindrances(view: View, row: TaskRow) -> Iterator[Because]:
    """What else than its instant keeps a waiting task from starting, now or when it is due."""
    paused = view.store.paused()
    if None in paused:
        yield Because("paused", "everything is paused", "mainspring resume")
    elif row.queue in paused:
        yield Because("paused", f"the queue {row.queue} is paused", f"mainspring resume {row.queue}")
    nodes = view.living()
    if not nodes:
        yield Because("no daemon", "no daemon runs this store", view.start)
    elif _unresolved(view, row, nodes):
        yield Because(
            "unresolved",
            f"no daemon that runs can run it: {row.work} is not known there, or may not be started",
            "each daemon's log says why; start one whose app has it",
        )


def _waiting(view: View, row: TaskRow) -> Iterator[Because]:
    hindered = list(hindrances(view, row))
    if row.run_at > view.now:
        then = ", and then not either:" if hindered else ""
        yield Because("not due", f"it is due at {view.at(row.run_at)}, in {span(row.run_at - view.now)}{then}")
        yield from hindered
        return
    if hindered:
        yield from hindered
    else:
        yield from _held_up(view, row)
    yield Because("overdue", f"it was due at {view.at(row.run_at)}, {span(view.now - row.run_at)} ago")


def _held_up(view: View, row: TaskRow) -> Iterator[Because]:
    """It is due, a daemon could run it, and yet it waits."""
    overlap = view.options(row).overlap
    if row.schedule is not None and overlap != "allow":
        other = why_late.occurrence_before(view.store, row, view.now)
        if other is not None:
            yield Because(
                "overlap",
                f"task {other.id}, an occurrence of the same schedule ({row.schedule}), is to end first "
                f"(overlap={overlap})",
            )
            return
    nodes = [node for node in view.living() if not _unknown(view, row, node)]
    total, busy = sum(node.workers for node in nodes), sum(node.busy for node in nodes)
    if busy >= total:
        yield Because(
            "workers busy",
            f"all {total} workers that could run it are busy{_ahead(view, row)}",
            "more workers, or a higher priority for it",
        )
    elif row.holder is not None:
        holder = next((node for node in nodes if node.id == row.holder), None)
        where = "a daemon that is gone; another is about to take it" if holder is None else f"daemon {holder.id}"
        yield Because("held", f"it is in the hands of {where}, and about to start")
    else:
        yield Because(
            "limit or backlog",
            f"{busy} of {total} workers are busy; its queue is at its limit, or a daemon is about to take it"
            f"{_ahead(view, row)}",
        )


def _ahead(view: View, row: TaskRow) -> str:
    before = why_late.due_before(view.store, row)
    if not before:
        return ""
    return f", and {before:,}{'' if before < why_late.MOST else ' or more'} due tasks of its queue come first"


def _lane(view: View, row: TaskRow) -> int | None:
    mine = (row.queue, row.priority, row.kind, row.work)
    return next((one.id for one in view.store.lanes() if (one.queue, one.priority, one.kind, one.work) == mine), None)


def _unknown(view: View, row: TaskRow, node: NodeRow) -> bool:
    return bool(node.unknown) and _lane(view, row) in node.unknown


def _unresolved(view: View, row: TaskRow, nodes: list[NodeRow]) -> bool:
    return all(_unknown(view, row, node) for node in nodes)


# ── the other states ───────────────────────────────────────────────────────────────────────────────────────
def _running(view: View, row: TaskRow) -> Iterator[Because]:
    if row.started_at is not None:
        yield Because("running", f"it started at {view.at(row.started_at)} and has run for {_since(view, row)}")
    timeout = view.options(row).timeout
    if timeout is not None and row.started_at is not None:
        yield Because("time limit", f"it is asked to stop at {view.at(row.started_at + timeout)}")
    yield from _lateness(view, row)


def _since(view: View, row: TaskRow) -> str:
    return span(max(0, view.now - (row.started_at or view.now)))


def _succeeded(view: View, row: TaskRow) -> Iterator[Because]:
    yield from _lateness(view, row)
    if row.reason is not None:
        yield Because(row.reason, "what it returned cannot be kept as JSON, so its result is lost")


def _failed(view: View, row: TaskRow) -> Iterator[Because]:
    words = _FAILURES.get(row.reason or "", "it failed")
    if row.error is not None:
        problem = read_problem(row.error)
        words += f": {problem.type}: {problem.message}" if problem.message else f": {problem.type}"
    help_ = None if row.reason == "unreadable" else f"mainspring retry {row.id}"
    yield Because(row.reason or "error", words, help_)
    yield from _attempts_used(view, row)
    if row.started_at is not None:
        yield from _lateness(view, row)


def _attempts_used(view: View, row: TaskRow) -> Iterator[Because]:
    retry = view.options(row).retry
    if row.reason in {"poison", "lost", "unreadable"}:
        return
    if retry is None:
        yield Because("no retries", "it has no retries")
    elif row.failures > retry.times:
        yield Because("retries used", f"its {retry.times} retries are used up")
    else:
        yield Because("not retried", "its error is not one that is tried again")


_FAILURES = {
    "error": "its function raised",
    "exit code": "its program ended with an exit code other than 0",
    "signal": "a signal ended its program",
    "not started": "its program could not be started",
    "time limit": "it ran longer than its time limit",
    "lost": "it runs at most once, had started, and its worker died or its daemon stopped",
    "poison": "three of its attempts ended with the death of their worker, so it is set aside",
    "unreadable": "its row is damaged, or was not written by Mainspring",
}


def _cancelled(view: View, row: TaskRow) -> Iterator[Because]:
    when = "" if row.finished_at is None else f" at {view.at(row.finished_at)}"
    words = {
        "cancelled": f"somebody cancelled it{when}, before it started",
        "cancelled while running": f"somebody cancelled it while it ran; it had ended{when}",
        "replaced": f"another task with its key took its place{when}",
        "schedule paused": f"its schedule was paused{when}, before it started",
        "schedule changed": f"its schedule was changed{when}, before it started",
        "schedule removed": f"its schedule was removed{when}, before it started",
    }.get(row.reason or "", f"it was cancelled{when}: {row.reason}")
    yield Because(row.reason or "cancelled", words, f"mainspring retry {row.id}")


def _missed(view: View, row: TaskRow) -> Iterator[Because]:
    count = 1 if row.missed_count is None else row.missed_count
    until = "" if row.missed_until is None or count == 1 else f", up to {view.at(row.missed_until)}"
    one = "it was" if count == 1 else f"{count:,} occurrences were"
    due = f"{one} due at {view.at(row.run_at)}{until}"
    reason = row.reason or "missed"
    if reason == "expired" and row.expires_at is not None:
        due += f" and expired at {view.at(row.expires_at)}, before a worker could start it"
    else:
        due += _MISSES.get(reason, f"; {reason}")
    yield Because(reason, due, None if count > 1 else f"mainspring retry {row.id}")


_MISSES = {
    "overlap": "; another occurrence of its schedule ran then, and this one was left out (overlap=skip)",
    "misfire": "; nothing could run it within its schedule's grace, and the rule does not make up for it",
    "schedule paused": "; its schedule was paused",
    "schedule changed": "; no daemon ran then, and its schedule was changed before one did",
}


# What ended an attempt and uses no retry.
_FREE = frozenset({"retry later", WORKER_LOST, LEASE_LOST, "daemon stopped"})


# ── of every state ─────────────────────────────────────────────────────────────────────────────────────────
def _lateness(view: View, row: TaskRow) -> Iterator[Because]:
    """How late the last attempt started, and why."""
    if row.started_at is None:
        return
    late = max(0, row.started_at - row.run_at)
    if late < why_late.ON_TIME_US:
        yield Because("on time", f"it started on time, {span(late)} after {view.at(row.run_at)}")
        return
    yield Because("late", f"it started {span(late)} late: due {view.at(row.run_at)}, started {view.at(row.started_at)}")
    for code, words in why_late.causes(view.store, row, view.zone):
        yield Because(code, words)


def _tried(view: View, row: TaskRow) -> Iterator[Because]:
    """The attempts that came before the one that counts."""
    attempts = view.store.attempts(row.id)
    last = attempts[-1] if attempts else None
    if last is not None and row.state is State.WAITING:
        retry = view.options(row).retry
        if retry is None or last.reason in _FREE:
            which = "which uses no retry"
        else:
            which = f"what follows is retry {row.failures} of {retry.times}"
        yield Because("tried again", f"attempt {last.attempt} {_ended(view, last)}; {which}")
    elif attempts:
        for one in attempts:
            yield Because("tried again", f"attempt {one.attempt} {_ended(view, one)}, and it was tried again")


def _ended(view: View, attempt: AttemptRow) -> str:
    when = "" if attempt.finished_at is None else f" at {view.at(attempt.finished_at)}"
    words = f"ended{when}: {attempt.reason}"
    if attempt.error is None:
        return words
    problem = read_problem(attempt.error)
    return f"{words} ({problem.type}: {problem.message})" if problem.message else f"{words} ({problem.type})"


def _moved(view: View, row: TaskRow) -> Iterator[Because]:
    """Its instant is not that of the rule, or the rule's is not the one on the clock."""
    if row.schedule is None or row.occurrence is None or row.missed_count is not None:
        return
    if row.occurrence != row.run_at and row.attempt == 0:
        yield Because("moved", f"its schedule said {view.at(row.occurrence)}; it was moved to {view.at(row.run_at)}")
    yield from (Because("clocks changed", note) for note in why_late.notes(view.store, row, view.zone))


_SENTENCES = {
    State.WAITING: _waiting,
    State.RUNNING: _running,
    State.SUCCEEDED: _succeeded,
    State.FAILED: _failed,
    State.CANCELLED: _cancelled,
    State.MISSED: _missed,
}
