"""The plain values that cross the store's port.

Instants are integer microseconds since 1970-01-01T00:00Z. `array_like` structs travel as JSON arrays, so that a
whole batch enters or leaves SQLite as one bound text.
"""

from collections.abc import Callable
from typing import Literal

import msgspec

from mainspring.tasks.state import Kind, State

OnConflict = Literal["error", "keep", "replace"]


class Missed(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """A stretch of occurrences that never become tasks, as one finished task: `count` of them up to `last` (µs)."""

    reason: str
    last: int
    count: int


class NewTask(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """A task to be added. `work` is the registered name of a function, or a program's absolute path or bare name.

    `occurrence`: the instant (µs) at which its schedule says it is due, wherever `run_at` moves; `missed`: it and those
    after it do not run.
    """

    kind: Kind = Kind.FUNCTION
    work: str = ""
    queue: str = "default"
    priority: int = 0
    run_at: int
    name: str | None = None  # the label; None: the function's own bare name
    options: str | None = None  # tasks.options.encode_options
    payload: str | None = None  # JSON: [args, kwargs] of a function (None: none), {command, cwd, env} of a program
    key: str | None = None
    on_conflict: OnConflict = "error"
    expires_at: int | None = None
    schedule: str | None = None
    occurrence: int | None = None
    missed: Missed | None = None

    @property
    def occurrence_name(self) -> tuple[str, int] | None:
        """What makes an occurrence the same as another; None of other tasks, and of a stretch."""
        if self.schedule is None or self.occurrence is None or self.missed is not None:
            return None
        return self.schedule, self.occurrence


class Added(msgspec.Struct, frozen=True, gc=False):
    """What `add` did: a new task, or the one that has the key (`on_conflict="keep"`) or is that occurrence already."""

    id: int
    created: bool = True


class Bound(msgspec.Struct, frozen=True):
    """For `add`: at most `most` tasks may be due and wait, by what `clock` (µs) tells when it is this call's turn."""

    most: int
    clock: Callable[[], int]


class Lane(msgspec.Struct, frozen=True, array_like=True):
    """One (queue, priority, kind, work): the unit in which due tasks are found. A row of its own, never changed."""

    id: int
    queue: str
    priority: int
    kind: Kind
    work: str


class Reservation(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """A task that this node holds: soft, returnable; its state is still `waiting`."""

    id: int
    lane: int
    run_at: int
    attempt: int
    failures: int
    losses: int
    expires_at: int | None
    schedule: str | None
    name: str | None
    options: str | None
    payload: str | None


class Reserved(msgspec.Struct, frozen=True):
    """One batch of reservations under one `token`: a number that grows with every batch of the whole store."""

    token: int
    tasks: list[Reservation]


class Settlement(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """A fenced change to a held task; made by the constructors below, so that no illegal mix can be written.

    Applied only where the task still has `token`. `code` is the new state (`tasks.state.CODES`); `keep` keeps the
    reservation; `run_at`, `started_at`, `options`: None leaves what is stored. `failed_try` is kept in the history of
    attempts.
    """

    id: int
    token: int
    code: int
    keep: bool
    attempt: int
    failures: int
    run_at: int | None = None
    reason: str | None = None
    started_at: int | None = None
    finished_at: int | None = None
    result: str | None = None
    error: str | None = None
    output: str | None = None
    failed_try: bool = False
    durable: bool = False  # an outcome of an at-most-once task: the batch that has one is committed durably
    options: str | None = None  # completed from the registration, for a task whose adder did not know it
    lost: bool = False  # whatever ran it died: counted as a loss


class Cancel(msgspec.Struct, frozen=True, tag="cancel"):
    """The task will not start; finished as `cancelled` with `reason`."""

    reason: str = "cancelled"


class Reschedule(msgspec.Struct, frozen=True, tag="reschedule"):
    """The task waits for another instant (`run_now` is a reschedule to now). `expires_at` None: as it was."""

    run_at: int
    expires_at: int | None = None


class Again(msgspec.Struct, frozen=True, tag="again"):
    """A finished task that did not succeed waits again, same id, attempts go on, failures and losses from nought.

    `expires_at` None: as it was, or none where that is past: who asks for another try does not want it missed again.
    """

    run_at: int
    expires_at: int | None = None


class Release(msgspec.Struct, frozen=True, tag="release"):
    """The holder gives back what it holds and has not started, and holds off from it for a second.

    One task, or (no task in the request) everything of `queue`, or of all queues when that is None.
    """

    queue: str | None = None


Change = Cancel | Reschedule | Again
Demand = Cancel | Reschedule | Release


class Verdict(msgspec.Struct, frozen=True):
    """What became of a change.

    `done`: made. `held`: nothing was changed, `holder` must be asked. `stopping`: it runs, its holder asked it to
    stop. `too-late`: its `state` no longer allows the change. `not-found`: no such task.
    """

    outcome: Literal["done", "held", "stopping", "too-late", "not-found"]
    state: State | None = None
    holder: int | None = None


class Request(msgspec.Struct, frozen=True):
    """A demand written for the node that holds a task; `task` is None when it concerns a whole queue."""

    id: int
    task: int | None
    demand: Demand


class TaskRow(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """Everything kept about a task but its output and its former attempts."""

    id: int
    kind: Kind
    work: str
    queue: str
    priority: int
    state: State
    reason: str | None
    run_at: int
    created_at: int
    started_at: int | None
    finished_at: int | None
    attempt: int
    failures: int
    losses: int
    name: str | None
    options: str | None
    payload: str | None
    key: str | None
    expires_at: int | None
    schedule: str | None
    result: str | None
    error: str | None
    holder: int | None
    occurrence: int | None = None
    missed_until: int | None = None  # of a stretch: the last occurrence that was missed
    missed_count: int | None = None


class AttemptRow(msgspec.Struct, frozen=True, array_like=True):
    """An attempt that did not end its task: it failed and was retried, or its worker was lost."""

    attempt: int
    started_at: int | None
    finished_at: int | None
    reason: str
    error: str | None


class Filter(msgspec.Struct, frozen=True, kw_only=True):
    """Which tasks `find` returns. `name`: the label, or see `tasks.names.answers_to`.

    `after` (an instant, an id) goes on behind a row that was found: of unfinished tasks those whose `run_at` and id are
    later, of finished ones those that finished earlier.
    """

    states: tuple[State, ...] = ()
    name: str | None = None
    queue: str | None = None
    kind: Kind | None = None
    schedule: str | None = None
    key: str | None = None
    due_before: int | None = None
    after: tuple[int, int] | None = None
    limit: int = 100


class Stats(msgspec.Struct, frozen=True):
    """`counts` has every state; `lateness` is that of the last 1,000 finished tasks that had started, in µs."""

    counts: dict[State, int]
    lateness: list[int]


class LateRow(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """Starts of one lane and schedule that were about equally late, counted (`store.histogram`). Instants in µs.

    `start`, `length`: of the window in which they started; 0 where windows are told altogether. `most`: the largest
    lateness among them.
    """

    start: int
    length: int
    lane: int
    schedule: str | None
    bucket: int
    count: int
    most: int


class NewNode(msgspec.Struct, frozen=True, kw_only=True):
    """A daemon that is about to take part in the work of a store."""

    host: str
    pid: int
    version: str
    workers: int
    started_at: int
    app: str | None = None


class NodeRow(msgspec.Struct, frozen=True, kw_only=True):
    """A daemon that takes part. `alive` is what the operating system says of its lock, not what a row says."""

    id: int
    host: str
    pid: int
    version: str
    workers: int
    started_at: int
    app: str | None
    alive: bool
    lease: int  # `Journal.lease`: a boot-time instant, 0 while it holds nothing
    busy: int
    lateness: list[int | None]  # `Journal.lateness`: where it came from on this node
    moved: tuple[int, int, int] | None  # `Journal.moved`: when its clock was set last, or its machine slept
    unknown: list[int]  # the lanes it cannot run: functions it does not know, programs it may not start


# Why an attempt was lost: its process is no more; or its daemon lives, but was silent beyond its lease.
WORKER_LOST = "worker lost"
LEASE_LOST = "lease lost"


# Why a task failed whose row is not what Mainspring writes.
UNREADABLE = "unreadable"


class TakenOver(msgspec.Struct, frozen=True):
    """What a dead or silent node left: `freed` had not started, `lost` had (the next attempt or the end says so)."""

    freed: int
    lost: list[int]


class Standing(msgspec.Struct, frozen=True, kw_only=True):
    """A schedule or a listener: a stored definition that stands until it is removed.

    `definition` is JSON that the engine understands (trigger, work, options). `app` is who declared it in code
    (None: added by hand; never reconciled away). Every change passes `advance`, a compare-and-set on `version`.
    """

    kind: Literal["schedule", "listener"]
    name: str
    app: str | None = None
    definition: str
    paused: bool = False
    next_run_at: int | None = None
    holder: int | None = None
    status: str | None = None  # JSON: what `status` and `listeners` show
    version: int = 0


def news_of(standing: Standing) -> str:
    """What watchers are told when it changes."""
    return f"standing {standing.kind} {standing.name}"
