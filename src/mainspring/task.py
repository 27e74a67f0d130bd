"""A task as its adder sees it: a snapshot, and the verbs that steer it."""

from collections.abc import Callable, Generator
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Generic, TypeVar, cast

from mainspring.errors import ResultLost, TaskCancelled, TaskFailed, TaskMissed, TaskNotFound, TooLate, WaitTimeout
from mainspring.store.rows import AttemptRow, TaskRow
from mainspring.tasks import names
from mainspring.tasks.problems import Problem, read_problem
from mainspring.tasks.state import FINISHED, Kind, State
from mainspring.when.durations import parse_duration
from mainspring.when.instants import to_datetime

if TYPE_CHECKING:
    from mainspring.client import Client
    from mainspring.steering import Cancellation
    from mainspring.why import Why

R_co = TypeVar("R_co", covariant=True)

Moment = datetime | str | float
Duration = timedelta | str | float


class Task(Generic[R_co]):
    """One task. What it says was true when it was read; `refresh()` reads again. `await task` gives its result."""

    __slots__ = ("_client", "_known")

    def __init__(self, client: "Client", row: TaskRow | Callable[[], TaskRow]) -> None:
        """`row`, or what makes it when somebody asks: of the many that are added, few are looked at."""
        self._client = client
        self._known = row

    @property
    def _row(self) -> TaskRow:
        known = self._known
        if not isinstance(known, TaskRow):
            known = self._known = known()
        return known

    # ── what it is ─────────────────────────────────────────────────────────────────────────────────────────
    @property
    def id(self) -> str:
        """An opaque text, never used twice in a store."""
        return str(self._row.id)

    @property
    def name(self) -> str:
        """The label, or the function's or program's own name."""
        return self._row.name or bare_name(self._row)

    @property
    def function(self) -> str | None:
        """The registered name, `module:qualname`; None for a program."""
        return self._row.work if self._row.kind is Kind.FUNCTION else None

    @property
    def kind(self) -> str:
        """`function` or `program`."""
        return self._row.kind.value

    @property
    def state(self) -> State:
        """`waiting`, `running`, `succeeded`, `failed`, `cancelled` or `missed`; equal to these words."""
        return self._row.state

    @property
    def reason(self) -> str | None:
        """Why it is `failed`, `cancelled` or `missed`."""
        return self._row.reason

    @property
    def run_at(self) -> datetime:
        """The instant it is due (of a retry: the retry's), aware, UTC."""
        return to_datetime(self._row.run_at)

    @property
    def created_at(self) -> datetime:
        """When it was added."""
        return to_datetime(self._row.created_at)

    @property
    def started_at(self) -> datetime | None:
        """When the last attempt started."""
        return None if self._row.started_at is None else to_datetime(self._row.started_at)

    @property
    def finished_at(self) -> datetime | None:
        """When it came to its final state."""
        return None if self._row.finished_at is None else to_datetime(self._row.finished_at)

    @property
    def lateness(self) -> timedelta | None:
        """`started_at - run_at`, never negative; None while it has not started."""
        row = self._row
        return None if row.started_at is None else timedelta(microseconds=max(0, row.started_at - row.run_at))

    @property
    def attempt(self) -> int:
        """How often it was started."""
        return self._row.attempt

    @property
    def queue(self) -> str:
        """Its queue."""
        return self._row.queue

    @property
    def priority(self) -> int:
        """Higher goes first among what is due."""
        return self._row.priority

    @property
    def key(self) -> str | None:
        """Unique among the unfinished tasks of the store."""
        return self._row.key

    @property
    def schedule(self) -> str | None:
        """The schedule that created it."""
        return self._row.schedule

    @property
    def occurrence(self) -> datetime | None:
        """The instant at which its schedule says it is due, wherever `run_at` moves; None of what is no occurrence."""
        return None if self._row.occurrence is None else to_datetime(self._row.occurrence)

    @property
    def missed_until(self) -> datetime | None:
        """Of a stretch of occurrences that was missed (one task for all; `occurrence` is the first): the last one."""
        return None if self._row.missed_until is None else to_datetime(self._row.missed_until)

    @property
    def missed_count(self) -> int | None:
        """Of such a stretch: how many occurrences it is."""
        return self._row.missed_count

    @property
    def error(self) -> Problem | None:
        """What went wrong: `.type`, `.message`, `.traceback`, all text."""
        return None if self._row.error is None else read_problem(self._row.error)

    @property
    def output(self) -> str | None:
        """What the program wrote so far, standard output and error together, read now."""
        return self._client.store.output(self._row.id)

    @property
    def attempts(self) -> list[AttemptRow]:
        """The attempts that did not end the task, oldest first, read now."""
        return self._client.store.attempts(self._row.id)

    @property
    def row(self) -> TaskRow:
        """The stored row."""
        return self._row

    @property
    def finished(self) -> bool:
        """Is it in a final state?"""
        return self._row.state in FINISHED

    # ── waiting ────────────────────────────────────────────────────────────────────────────────────────────
    def refresh(self) -> "Task[R_co]":
        """Read it again; itself."""
        row = self._client.store.get(self._row.id)
        if row is None:
            raise TaskNotFound(f"there is no task {self.id}: its history was pruned")
        self._known = row
        return self

    def why(self) -> "Why":
        """Why it has not started, started late, was tried again, missed or cancelled, as it is now. Can be printed."""
        from mainspring.when.wall import local_zone
        from mainspring.why import View, explain

        client = self._client
        view = View(client.store, client.clock.now(), local_zone(), registry=client.registry)
        return explain(view, self.refresh().row)

    def wait(self, timeout: Duration | None = None) -> bool:
        """Wait until it finished, woken, not polling; False when `timeout` was over first. Works in any process."""
        if self.finished and self.state is not State.SUCCEEDED:
            self.refresh()  # it may have been retried since
        if not self.finished:
            self._client.wait_for(self, None if timeout is None else parse_duration(timeout))
        return self.finished

    def result(self, timeout: Duration | None = None) -> R_co:
        """What it returned (of a program: the exit code).

        Raises `TaskFailed`, `TaskCancelled`, `TaskMissed`, `TaskNotFound`, `ResultLost`, or `TimeoutError`.
        """
        if not self.wait(timeout):
            raise WaitTimeout(f"task {self.id} ({self.name}) is still {self.state} after {timeout}; its work goes on")
        return self._ended()

    def _ended(self) -> R_co:
        row = self._row
        if row.state is State.SUCCEEDED:
            if row.error is not None:
                raise ResultLost(f"task {self.id} succeeded, but its result was not stored: {_problem(row).message}")
            return cast("R_co", None if row.result is None else self._client.decode_result(row))
        if row.state is State.CANCELLED:
            raise TaskCancelled(f"task {self.id} ({self.name}) was cancelled: {row.reason}")
        if row.state is State.MISSED:
            raise TaskMissed(f"task {self.id} ({self.name}) was missed: {row.reason}")
        problem = _problem(row)
        raise TaskFailed(self.id, problem.type, problem.message, problem.traceback, row.reason or "")

    def __await__(self) -> Generator[Any, None, R_co]:
        return self._client.aio.result(self).__await__()

    # ── steering ───────────────────────────────────────────────────────────────────────────────────────────
    def cancel(self) -> "Cancellation":
        """`"cancelled"` (it will not start), `"stopping"` (it runs and was asked), `"too-late"`: only the last is
        false.
        """
        return self._client.cancel(self.id)

    def reschedule(self, *, at: Moment | None = None, after: Duration | None = None) -> "Task[R_co]":
        """Give it another instant while it waits; `TooLate` afterwards."""
        self._client.reschedule(self.id, at=at, after=after)
        return self.refresh()

    def run_now(self) -> "Task[R_co]":
        """Make it due now, while it waits; `TooLate` afterwards."""
        self._client.run_now(self.id)
        return self.refresh()

    def retry(self) -> "Task[R_co]":
        """Let a finished task that did not succeed wait again."""
        self._client.retry(self.id)
        return self.refresh()

    def __repr__(self) -> str:
        return f"<Task {self.id} {self.name} {self.state} run_at={self.run_at.isoformat()}>"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Task) and other.id == self.id and other._client.store is self._client.store

    def __hash__(self) -> int:
        return hash(self._row.id)


def bare_name(row: TaskRow) -> str:
    """The last part of a function's or program's name."""
    return names.bare_name(row.kind, row.work)


def _problem(row: TaskRow) -> Problem:
    return Problem("Unknown", row.reason or "") if row.error is None else read_problem(row.error)


def too_late(task_id: str, state: State | None, verb: str) -> TooLate:
    """The error for a change that came after the start."""
    return TooLate(f"task {task_id} is {state}: only a waiting task can be {verb}")
