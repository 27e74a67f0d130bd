"""The port: what every store promises. `mainspring.testing.conformance` runs each sentence below on each store.

Durable means: after the call returned, the change survives kill -9 and power loss. A method that is not called
durable is atomic and survives kill -9; after power loss it may be as if it had not happened.
All methods may be called from any thread. A store wakes its watchers after the commit, by itself, in every
process that watches: nobody polls.
"""

from collections.abc import Sequence
from typing import Protocol

from mainspring.store.arrivals import Arrivals
from mainspring.store.journal import Buffer, Journal
from mainspring.store.rows import (
    Added,
    AttemptRow,
    Bound,
    Change,
    Demand,
    Filter,
    Lane,
    LateRow,
    NewNode,
    NewTask,
    NodeRow,
    Request,
    Reserved,
    Settlement,
    Standing,
    Stats,
    TakenOver,
    TaskRow,
    Verdict,
)


class Watch(Protocol):
    """News from a store. Readable (`fileno`) when there is some; bind, then look; drain, then look.

    News are short texts: `due <run_at>` (something may be due then: added, freed, rescheduled, resumed),
    `done` (tasks finished, or changed state), `room` (held tasks started, or wait for a later instant), `ask <node>`
    (a request for that node), `answer` (a request was answered), `standing <kind> <name>` (a schedule or listener
    changed; `standing` alone: any of them), `nodes` (a node joined or left), `output` (a program wrote), `outbox <id>`
    (a row was written into an outbox: see `Arrivals.announce`).
    A hint only: news may come twice, late, or be folded; what counts is what the store then says.
    """

    def fileno(self) -> int:
        """A descriptor that `select` can wait on for reading."""

    def drain(self) -> list[str]:
        """Everything that came since the last call, without waiting; when some may have been lost, `["*"]`."""

    def close(self) -> None:
        """No more news. Closing twice is fine."""


class Seat(Protocol):
    """A node's place at a store: its number, the journal in which it notes each start, and its life.

    `locks` are descriptors that a helper process may inherit: the node counts as alive until they are closed there too.
    """

    node: int
    journal: Journal

    @property
    def locks(self) -> tuple[int, ...]:
        """The descriptors of its life; none where no helper process needs them."""

    def share(self) -> tuple[int, Buffer]:
        """A journal that other processes can write to: its descriptor, to be inherited, and its mapping here."""


class Store(Protocol):
    """Where tasks are kept. 28 methods, exact contracts, no capability flags. `arrivals`: what comes from outboxes."""

    url: str
    arrivals: Arrivals

    # ── adding ─────────────────────────────────────────────────────────────────────────────────────────────
    def add(self, tasks: Sequence[NewTask], now: int, bound: Bound | None = None) -> list[Added]:
        """Add all or none, in one durable commit; the result is in the order of `tasks`. Ids are never used twice.

        A `key` in use by an unfinished task, by `on_conflict`: `error` raises `KeyInUse` and adds nothing; `keep`
        returns that task (`created=False`); `replace` cancels it in this commit when it waits and nobody holds it,
        raises `TooLate` when it is running, and `KeyHeld` (with task and holder) when it is reserved.
        Two tasks with one key in the same call follow the same rules, first come first. Concurrent callers share
        commits;
        one caller's refusal never touches another's tasks.

        An occurrence of a schedule is one task: where there is one with this `schedule` and `occurrence` that was not
        cancelled, that task is returned (`created=False`). A task with `missed` is finished as soon as it is added, and
        stands in nobody's way.

        With a `bound`, `QueueFull` is raised and nothing added when tasks that are due would become more, and more than
        `bound.most` would then be due and wait (see `pending`). Counted in the same transaction, by the time that
        `bound.clock` tells there: so it is exact, however many processes add and however long each waited for its turn.
        """

    def pending(self, now: int, limit: int) -> int:
        """How many tasks wait and are due at `now`, held or not; the counting stops at `limit`."""

    # ── the hot path ───────────────────────────────────────────────────────────────────────────────────────
    def lanes(self) -> list[Lane]:
        """Every lane there is. Cheap to call: unchanged lanes are not read again."""

    def paused(self) -> frozenset[str | None]:
        """The queues that are paused; None among them: all are."""

    def next_due(self, lanes: Sequence[int]) -> int | None:
        """The earliest `run_at` of a waiting task in `lanes` that nobody holds; paused queues are passed over."""

    def reserve(self, node: int, lanes: Sequence[int], *, after: int, until: int, limit: int) -> Reserved:
        """Hold at most `limit` waiting tasks with `after < run_at <= until` that nobody holds, for `node`.

        Higher priority first, then `run_at`, then order of adding. Paused queues are passed over (in the same
        transaction: after a
        pause returned, nothing of that queue is reserved). Two calls never hold the same task. The token is larger
        than every token
        given before by this store, also across power loss. A node that left or was taken over gets nothing.
        """

    def give_back(self, node: int, since: int) -> int:
        """Free what `node` holds under a token later than `since` and has not recorded as running; how many.

        For a node whose `reserve` failed: only the store knows whether it held something.
        """

    def record(self, settlements: Sequence[Settlement], *, durable: bool = False) -> list[int]:
        """Apply each settlement, in order, whose task still has its token; the ids of those refused, which changed
        nothing. A state that `tasks.state.LEGAL` does not allow is refused too.

        A settlement with `keep` leaves the reservation; without it, holder and token are cleared. A final state
        frees the task's key.
        `failed_try` adds a row to the attempts with the settlement's attempt, started_at, finished_at, reason and
        error; `run_at` None keeps the stored one; `started_at`, `output` and `options` None likewise. When the state
        becomes `waiting`, reason, error, finished_at and result are cleared.
        """

    # ── steering ───────────────────────────────────────────────────────────────────────────────────────────
    def change(self, task: int, change: Change, now: int, token: int | None = None) -> Verdict:
        """Make a change, durably, when the task's state allows it and nobody holds it (or its holder's `token` is
        given).

        `Cancel`, `Reschedule`: a waiting task (the reservation ends with the change). `Again`: one that is failed,
        cancelled or missed, but not an at-most-once task that had started, nor an occurrence that was made anew since
        it was cancelled; it raises `KeyInUse` when another unfinished task has its key by now. A waiting task that is
        held by a node, or a running one: `held`; but where the state alone forbids the change, held or not, `too-late`
        (`Reschedule` of a running one).
        """

    def ask(self, node: int, task: int | None, demand: Demand) -> int:
        """Write a request for `node`, durably, and wake it; the request's number."""

    def requests(self, node: int) -> list[Request]:
        """The requests to `node` that it has not answered, oldest first."""

    def answer(self, request: int, verdict: Verdict) -> None:
        """Answer a request and wake whoever waits for it. The first answer counts; an asker may give up with one."""

    def answered(self, request: int) -> Verdict | None:
        """The answer, or None while there is none. The caller's: a request that was read with its answer is
        forgotten."""

    def pause(self, queue: str | None, *, paused: bool) -> None:
        """Pause or resume a queue, or (None) all, durably. Pausing twice is fine. What is held already is the
        caller's to ask for.

        Resuming None resumes the store as a whole; queues that were paused by name stay paused.
        """

    # ── looking ────────────────────────────────────────────────────────────────────────────────────────────
    def get(self, task: int) -> TaskRow | None:
        """One task."""

    def find(self, wanted: Filter) -> list[TaskRow]:
        """The tasks that fit, soonest `run_at` first, ties by id; at most `limit`.

        The soonest unfinished ones are chosen first, then the finished ones that finished last.
        """

    def attempts(self, task: int) -> list[AttemptRow]:
        """The attempts that did not end the task, oldest first."""

    def output(self, task: int) -> str | None:
        """What the task's program wrote, as far as it is kept."""

    def stats(self) -> Stats:
        """Counts and lateness."""

    def lateness(self, since: int, *, apart: bool = False) -> list[LateRow]:
        """How late starts were, in the windows that end after `since`: by lane, schedule and bucket, and with `apart`
        by window too (earlier windows first).

        Each start counts once, for the instant it was due then, from when the store first hears of it: with its
        outcome, when it is recorded as running, or when its node is taken over. One that is told once more, later (of
        an at-most-once task: after its fsync), is moved. Windows are 10 s for the last 10 minutes, 1 min for the last
        hour, 10 min for the last day; older ones are forgotten, earlier than that beyond 100,000 rows.
        """

    def waiting(self, lanes: Sequence[int]) -> int:
        """How many tasks wait in these lanes."""

    # ── nodes ──────────────────────────────────────────────────────────────────────────────────────────────
    def join(self, node: NewNode) -> Seat:
        """Take part, durably, under a number never used before. The seat's life is an OS lock: it ends with the
        process."""

    def report(self, node: int, unknown: Sequence[int]) -> None:
        """Say which lanes this node cannot run."""

    def leave(self, node: int) -> None:
        """Give back all that is still held (not started: free; a listener: free), drop the seat, wake the others.
        Leaving twice is fine."""

    def nodes(self) -> list[NodeRow]:
        """The nodes that joined and neither left nor were taken over."""

    def take_over(self, node: int, now: int, silent: int | None = None) -> TakenOver | None:
        """Settle what a dead node left, once, durably; None while it lives (or when it is already settled).

        What its journal does not show as started, and was not recorded as running, is free again. What had started
        was lost: `losses` and `attempt` count it, a row of the attempts says `worker lost`; it waits again under its
        own `run_at`, unless it is at-most-once (`failed`, reason `lost`) or this was its third loss (`failed`, reason
        `poison`). Its listeners are free, its unanswered requests forgotten.

        With `silent` (boot-time clock, µs) a node that lives is treated alike when its journal shows a lease that ended
        by then, which is looked at in the same transaction; its lost attempts say `lease lost`. It keeps its seat and
        its number, and what it reserves from then on is its own.
        """

    # ── schedules and listeners ────────────────────────────────────────────────────────────────────────────
    def put(self, standing: Standing) -> bool:
        """Store a new one, durably; False (and nothing is changed) when this kind has one of this name."""

    def standings(
        self, kind: str | None = None, after: str = "", limit: int | None = None, before: int | None = None
    ) -> list[Standing]:
        """All of them, by kind and name; or of this kind the first `limit` whose names come after `after`.

        With `before` only those whose `next_run_at` is earlier than that instant.
        """

    def standing(self, kind: str, name: str) -> Standing | None:
        """The one of this kind and name; None when there is none."""

    def advance(self, standing: Standing, tasks: Sequence[NewTask] = (), now: int = 0, *, durable: bool = True) -> bool:
        """Replace the one of this kind and name if its version is still `standing.version`, and add `tasks`, in
        one commit.

        The stored version becomes one more. False: somebody else was first; nothing is changed and nothing is added.
        """

    def remove(self, kind: str, name: str) -> bool:
        """Forget it, durably; False when there is none. Tasks it created stay."""

    # ── life ───────────────────────────────────────────────────────────────────────────────────────────────
    def prune(self, before: int, limit: int) -> int:
        """Forget at most `limit` tasks that finished before `before`, with their attempts and output; how many."""

    def trim(self, schedule: str, keep: int, limit: int) -> int:
        """Forget at most `limit` of a schedule's finished tasks beyond the `keep` that finished last; how many."""

    def watch(self) -> Watch:
        """Be told of news from now on."""

    def close(self) -> None:
        """Let go of everything. Closing twice is fine; so is closing in a forked child, which drops its copies
        untouched."""
