"""A bounded queue (`max_pending`): who is refused, who waits for room, and in which order.

How many tasks are due and wait is the store's to say, in the transaction that adds (`Store.add`). Here is what comes
of its refusal. Who waits for room stands in a line, one for each daemon object; only the first in it listens to the
store's news. Between processes there is no order: whoever is first to write has the room.
"""

import logging
import sys
import threading
from collections import deque
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from mainspring.errors import QueueFull
from mainspring.store.rows import Bound as StoreBound
from mainspring.store.rows import NewTask
from mainspring.tasks.context import inside
from mainspring.waiting import Waiting, monotonic
from mainspring.when.durations import format_duration

if TYPE_CHECKING:
    from mainspring.client import Client
    from mainspring.settings import Settings
    from mainspring.task import Task

log = logging.getLogger("mainspring")

_SECOND = 1_000_000

IN_A_TASK = "tasks and listeners do not wait for room: their worker may be the one that would make it"
ON_A_LOOP = "an event loop runs here and must not wait: await aenqueue() or daemon.aio.add_task() instead"
BY_HAND = "the turns of this daemon are taken by hand: nobody would make room meanwhile"
NEVER_FITS = "so many at once never fit: add them in parts"


class Line:
    """Who waits for room in this process, first come first served."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._turns: deque[Callable[[], object]] = deque()

    def __bool__(self) -> bool:
        return bool(self._turns)

    def join(self, turn: Callable[[], object]) -> None:
        """Stand at the end; `turn` is called, from any thread, as soon as all before it have left."""
        with self._lock:
            self._turns.append(turn)
            first = self._turns[0] is turn
        if first:
            turn()

    def leave(self, turn: Callable[[], object]) -> None:
        """Let the next one on, if it was this one's turn. Leaving twice is fine."""
        with self._lock:
            if turn not in self._turns:
                return
            was_first = self._turns[0] is turn
            self._turns.remove(turn)
        while was_first and (following := self._first()) is not None:
            try:
                following()
            except RuntimeError:  # its event loop was closed, so it waits no more
                with self._lock:
                    self._turns.remove(following)
            else:
                break

    def come_back(self, turn: Callable[[], object]) -> None:
        """Stand in front again: it was let on, and somebody else was quicker."""
        with self._lock:
            self._turns.appendleft(turn)

    def _first(self) -> Callable[[], object] | None:
        with self._lock:
            return self._turns[0] if self._turns else None


class Bound:
    """How a client adds where at most `max_pending` tasks may be due and wait.

    `waits`: for room, at most `timeout` µs (None: as long as it takes); else the adding is refused.
    """

    def __init__(self, client: "Client", max_pending: int, *, waits: bool, timeout: int | None) -> None:
        self.max_pending = max_pending
        self.waits = waits
        self.timeout = timeout
        self.line = Line()
        self._stored = StoreBound(max_pending, client.clock.now)
        self._client = client
        self._coming = 0  # due tasks of those who were let on and have not written yet
        self._arrival = threading.Condition()
        self._warned = False
        self._looked_at: int | None = None

    def add(self, new: Sequence[NewTask], now: int) -> "list[Task[object]]":
        """Add, now or when there is room; `QueueFull` when it must not wait, or has waited long enough."""
        tasks = self.add_now(new, now)
        return self._add_in_line(new) if tasks is None else tasks

    def add_now(self, new: Sequence[NewTask], now: int) -> "list[Task[object]] | None":
        """Add if there is room; None when it is right to wait for it, `QueueFull` when not."""
        due = _due(new, now)
        # what goes by keys may need no room at all: the store knows
        if self.line and due and not any(one.key for one in new) and self._hindrance(due) is None:
            return None
        try:
            return self._client.put(new, now, self._stored)
        except QueueFull as full:
            hindrance = self._hindrance(due)
            if hindrance is None:
                return None
            raise QueueFull(full.pending, self.max_pending, full.adding, hindrance) from None

    def add_if_room(self, new: Sequence[NewTask], turn: Callable[[], object]) -> "list[Task[object]] | None":
        """Try again, for who is first in the line; None when there is still no room.

        Looks before it asks for the store's lock. Where there is room, the next one may look before this one has
        written: those who fit are written in one commit.
        """
        while True:
            now = self._client.clock.now()
            due = _due(new, now)
            coming = self._coming  # first: who writes after this is counted twice, never left out
            pending = self._client.store.pending(now, self.max_pending)
            if due > self.max_pending:  # some of it has fallen due meanwhile
                raise QueueFull(pending, self.max_pending, due, NEVER_FITS)
            if pending + due > self.max_pending:
                self._warn_if_nobody_runs()
                return None
            if pending + coming + due <= self.max_pending:
                break
            with self._arrival:  # those who were let on are about to write: look again when one of them has
                self._arrival.wait_for(lambda: self._coming != coming)  # noqa: B023  # called here and now
        self._expect(due)
        self.line.leave(turn)
        try:
            return self._client.put(new, now, self._stored)
        except QueueFull:
            self.line.come_back(turn)
            return None
        finally:
            self._expect(-due)

    def _expect(self, more: int) -> None:
        with self._arrival:
            self._coming += more
            self._arrival.notify_all()

    def ends_at(self) -> int | None:
        """When who begins to wait now has waited long enough, in µs of the monotonic clock."""
        return None if self.timeout is None else monotonic() + self.timeout

    def waited_too_long(self, new: Sequence[NewTask]) -> QueueFull:
        """The error of who did."""
        now = self._client.clock.now()
        pending = self._client.store.pending(now, self.max_pending)
        why = f"waited {format_duration(self.timeout or 0)} for room"
        return QueueFull(pending, self.max_pending, _due(new, now), why)

    def after_fork_in_child(self) -> None:
        """In the child of a fork nobody waits: those who did are threads of the parent."""
        self.line = Line()
        self._coming, self._arrival = 0, threading.Condition()

    def _add_in_line(self, new: Sequence[NewTask]) -> "list[Task[object]]":
        end = self.ends_at()
        mine = threading.Event()
        turn = mine.set
        self.line.join(turn)
        try:
            left = None if end is None else max(0, end - monotonic())
            if mine.wait(None if left is None else min(left / _SECOND, threading.TIMEOUT_MAX)):
                tasks = self.add_if_room(new, turn)
                if tasks is None:
                    left = None if end is None else max(0, end - monotonic())
                    tasks = Waiting(self._client).until(lambda: self.add_if_room(new, turn), left)
                if tasks is not None:
                    return tasks
        finally:
            self.line.leave(turn)
        raise self.waited_too_long(new)

    def _hindrance(self, due: int) -> str | None:
        """Why this call must not wait; None: it may. Empty where nothing needs to be said."""
        if not self.waits:
            return ""
        if due > self.max_pending:
            return NEVER_FITS
        if inside():
            return IN_A_TASK
        if _on_a_loop():
            return ON_A_LOOP
        return BY_HAND if self._client.by_hand else None

    def _warn_if_nobody_runs(self) -> None:
        """Once: who waits for room where nobody would make it should know. Looks at most once a second."""
        now = monotonic()
        if self._warned or (self._looked_at is not None and now - self._looked_at < _SECOND):
            return
        self._looked_at = now
        store = self._client.store
        if not any(node.alive for node in store.nodes()):
            self._warned = True
            log.warning(
                "the queue is full (max_pending is %d) and no daemon runs %s: adding waits until one makes room. Start "
                "one with: mainspring run --store %s",
                self.max_pending, store.url, store.url,
            )  # fmt: skip


def bound_of(client: "Client", settings: "Settings") -> Bound | None:
    """How this client adds by its settings; None where the queue has no bound."""
    if settings.max_pending is None:
        return None
    return Bound(client, settings.max_pending, waits=settings.when_full == "block", timeout=settings.full_timeout)


def _due(new: Sequence[NewTask], now: int) -> int:
    return sum(one.run_at <= now for one in new)


def _on_a_loop() -> bool:
    """Does an event loop run in this thread?"""
    asyncio = sys.modules.get("asyncio")  # who has not imported it has no loop
    if asyncio is None:
        return False
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True
