"""Steering: change what is in the store, or ask whoever holds it. The answers are true also when they race with a
start.
"""

import threading
from collections.abc import Callable
from enum import StrEnum

from mainspring.adding import Adder, Duration, Moment
from mainspring.errors import InvalidArguments, StoreError, TaskNotFound, TooLate
from mainspring.store.arrivals import is_outbox_id
from mainspring.store.protocol import Store
from mainspring.store.rows import Again, Cancel, Change, Demand, Release, Reschedule, TaskRow, Verdict
from mainspring.task import too_late
from mainspring.tasks.options import decode_options
from mainspring.tasks.registry import Registry
from mainspring.tasks.state import State
from mainspring.waiting import Waiting
from mainspring.when.clock import Clock
from mainspring.when.durations import parse_duration
from mainspring.when.instants import parse_instant

# How long a holder may take to answer. It answers in milliseconds; one that is stopped (SIGSTOP) never does.
ANSWER_US = 5_000_000
_GIVEN_UP = Verdict("held")  # no holder answers this


class Cancellation(StrEnum):
    """The truth about a cancel; only `TOO_LATE` is false."""

    CANCELLED = "cancelled"
    STOPPING = "stopping"
    TOO_LATE = "too-late"

    def __bool__(self) -> bool:
        return self is not Cancellation.TOO_LATE


class Steering:
    """A store, opened on first use, and the verbs that change what is in it. Safe from any thread."""

    def __init__(self, *, open_store: Callable[[], Store], registry: Registry, clock: Clock, adder: Adder) -> None:
        self._open_store = open_store
        self._opened: Store | None = None
        self._opening = threading.Lock()
        self.registry = registry
        self.clock = clock
        self._adder = adder
        self._waiting = Waiting(self)

    @property
    def store(self) -> Store:
        """The store, opened on first use."""
        if self._opened is None:
            with self._opening:
                if self._opened is None:
                    self._opened = self._open_store()
        return self._opened

    def after_adding(self) -> None:
        """A daemon that is driven by hand takes its turns here."""

    def moment(self, moment: Moment) -> int:
        """An instant as people say it, in µs; a naive time is read in the zone of the settings, if there is one."""
        return parse_instant(moment, tz=self._adder.tz)

    def find_row(self, id: str) -> TaskRow:  # noqa: A002  # the contract's word
        """The stored row; `TaskNotFound` when there is none."""
        number = self._came(id) if is_outbox_id(str(id)) else _number(id)
        row = None if number is None else self.store.get(number)
        if row is None:
            raise TaskNotFound(f"there is no task {id!r} in {self.store.url}; `mainspring list` shows what there is")
        return row

    def _came(self, id: str) -> int:  # noqa: A002
        """The number of a task that was added within a transaction."""
        arrival = self.store.arrivals.find(id)
        if arrival is None:
            raise TaskNotFound(
                f"the task {id} has not come from its outbox: its transaction is open or was rolled back, or no daemon "
                f"that was told of the database (outboxes=) has run since"
            )
        if arrival.task is None:
            raise TaskNotFound(f"the task {id} was cancelled before it came from its outbox")
        return arrival.task

    def cancel(self, id: str) -> Cancellation:  # noqa: A002
        """Cancel a task; the answer is the truth also when it races with the start."""
        if is_outbox_id(str(id)) and self.store.arrivals.withdraw(id, self.clock.now()):
            return Cancellation.CANCELLED
        verdict = self.change_task(id, Cancel())
        if verdict.outcome == "done":
            return Cancellation.CANCELLED
        return Cancellation.STOPPING if verdict.outcome == "stopping" else Cancellation.TOO_LATE

    def reschedule(self, id: str, *, at: Moment | None = None, after: Duration | None = None) -> None:  # noqa: A002
        """Another instant for a waiting task; `TooLate` when it is not waiting."""
        if (at is None) == (after is None):
            raise InvalidArguments("reschedule expects either at= or after=")
        now = self.clock.now()
        run_at = self.moment(at) if at is not None else now + parse_duration(after or 0)
        self._must(id, Reschedule(run_at, self._expiry(id, run_at)), "rescheduled")

    def run_now(self, id: str) -> None:  # noqa: A002
        """Make a waiting task due now; `TooLate` when it is not waiting."""
        now = self.clock.now()
        self._must(id, Reschedule(now, self._expiry(id, now)), "run now")

    def retry(self, id: str) -> None:  # noqa: A002
        """Let a finished task that did not succeed wait again: same id, due now, attempts go on."""
        now = self.clock.now()
        verdict = self.change_task(id, Again(now, self._expiry(id, now)))
        if verdict.outcome != "done":
            state = verdict.state
            raise TooLate(
                f"task {id} is {state}: only a task that is failed, cancelled or missed can be retried, and an at-most-"
                f"once task only if it never started"
            )
        self.after_adding()

    def _expiry(self, task_id: str, run_at: int) -> int | None:
        """When it expires if it is due then; None where no duration was said for that."""
        lasts = decode_options(self.find_row(task_id).options).expires
        return None if lasts is None else run_at + lasts

    def _must(self, task_id: str, change: Change, verb: str) -> None:
        verdict = self.change_task(task_id, change)
        if verdict.outcome != "done":
            raise too_late(task_id, verdict.state, verb)
        self.after_adding()

    def change_task(self, task_id: str, change: Change) -> Verdict:
        """Change a task that nobody holds, or ask its holder; a dead holder is settled first."""
        number = self.find_row(task_id).id
        asked = False
        while True:
            verdict = self.store.change(number, change, self.clock.now())
            if verdict.outcome == "held":
                assert verdict.holder is not None
                if isinstance(change, Again):
                    return verdict
                answer = self.ask(verdict.holder, number, change)
                if answer is None:
                    asked = True
                    continue  # the holder died and was settled
                verdict = answer
            elif asked and isinstance(change, Cancel) and verdict.state is State.CANCELLED:
                # the holder did what it was asked, and died before it could say so
                ran = self.find_row(task_id).reason != change.reason
                verdict = Verdict("stopping" if ran else "done", State.CANCELLED)
            if verdict.outcome == "not-found":
                raise TaskNotFound(f"there is no task {task_id!r}: its history was pruned")
            return verdict

    def ask(self, node: int, task: int | None, demand: Demand) -> Verdict | None:
        """Ask a node and wait for its answer; None when it is dead (and what it left is settled now).

        A node that lives and does not answer is a `StoreError`, never a guess.
        """
        if self.own_answer(node):
            return self._answer_inline(node, task, demand)
        request = self.store.ask(node, task, demand)
        answer = self._waiting.answer(request, node, ANSWER_US)
        if answer is not None:
            return answer
        if self.settle_dead(node):
            return None
        # what nobody waits for any more is not to be done later: the first answer counts, and this may be it
        self.store.answer(request, _GIVEN_UP)
        answer = self.store.answered(request)
        if answer is not None and answer != _GIVEN_UP:
            return answer
        raise StoreError(
            f"node {node} holds the task and did not answer within 5 s: nothing is known to have changed; see whether "
            f"its process is stopped (`mainspring status` shows its pid)"
        )

    def own_answer(self, node: int) -> bool:  # noqa: ARG002  # a started daemon overrides it
        """Is this the node of a daemon that is driven by hand, so that nobody but this thread would answer?"""
        return False

    def answer_own(self, node: int) -> None:
        """A daemon that is driven by hand answers what was asked of it."""

    def _answer_inline(self, node: int, task: int | None, demand: Demand) -> Verdict:
        request = self.store.ask(node, task, demand)
        self.answer_own(node)
        answer = self.store.answered(request)
        if answer is None:
            raise StoreError(
                f"node {node} did not answer, although it is driven by this very thread: please report this"
            )
        return answer

    def settle_dead(self, node: int) -> bool:
        """Settle what a node left if it is dead; True when it no longer takes part."""
        self.store.take_over(node, self.clock.now())
        return all(one.id != node for one in self.store.nodes())

    def pause(self, queue: str | None = None) -> None:
        """Start nothing more of this queue (None: of any), in all daemons; what runs goes on. Stored."""
        self.store.pause(queue, paused=True)
        for node in self.store.nodes():
            if node.alive:
                self.ask(node.id, None, Release(queue))

    def resume(self, queue: str | None = None) -> None:
        """End a pause. What fell due meanwhile starts now."""
        self.store.pause(queue, paused=False)
        self.after_adding()

    def close(self) -> None:
        """Let go of the store. It is opened again on the next use."""
        with self._opening:
            store, self._opened = self._opened, None
        if store is not None:
            store.close()


def _number(task_id: str) -> int | None:
    text = str(task_id)
    return int(text) if text.isascii() and text.isdigit() and len(text) < 19 else None
