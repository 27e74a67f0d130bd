"""Moves tasks from an outbox into the store: reads what is committed there, has it taken in, deletes it there.

It may die after each of these: the store remembers what has come, so what is brought again is not added again.

Idle, it looks as seldom as anything else that looks for lost news. Who writes a row says so at once, before the
transaction is committed, so the mover looks again and again, at first soon and then less often, until it has seen that
row or has waited long enough. So no hook of any database library is needed, and nothing is done while nobody adds.
"""

import logging
import threading
from collections.abc import Sequence

from mainspring.engine.claimer import SAFETY_BY_HAND_US, SAFETY_US
from mainspring.engine.service import ManualDriver, ManualLoop, ThreadLoop
from mainspring.errors import InvalidArguments, InvalidValue
from mainspring.store import outbox
from mainspring.store.arrivals import Parcel, is_outbox_id
from mainspring.store.outbox_connections import Place, Reached, reach
from mainspring.store.protocol import Store
from mainspring.store.rows import Release
from mainspring.tasks.state import Kind
from mainspring.when.clock import Clock

log = logging.getLogger("mainspring")

NOT_ALLOWED = "not allowed"  # why a program from an outbox was cancelled
_SOON_US, _LATER_US = 2_000, 500_000  # between looks for a row that was announced
_SHARE = 4  # of the time since then: who waited long for it waits that much longer
_LONGEST_US = 60_000_000
_HELD_US = 50_000
_AGAIN_US, _SELDOM_US = 1_000_000, 60_000_000  # after a failure
_MOST_EXPECTED = 10_000
_PATIENCE_S = 5.0  # at a stop, for who waits for a database


class Mover:
    """The step for one outbox. `programs`: may tasks from it be programs?"""

    def __init__(self, store: Store, place: Place, clock: Clock, *, programs: bool, safety: int) -> None:
        self.ending = False
        self._store = store
        self._place = place
        self._clock = clock
        self._programs = programs
        self._safety = safety
        self._reached: Reached | None = None
        self._lock = threading.Lock()
        self._expected: dict[str, int] = {}  # announced, and not seen yet: since when
        self._asked: dict[tuple[int, int], int] = {}  # holder and task → the request to release it
        self._unreadable: set[str] = set()
        self._failures = 0
        self._refused = False  # for good: what the setting leads to is no outbox
        self._again_at = 0  # after a failure, nothing is tried before

    def expect(self, ids: Sequence[str]) -> None:
        """These rows were written and may be committed any moment. From any thread."""
        now = self._clock.monotonic()
        with self._lock:
            for id_ in ids[: _MOST_EXPECTED - len(self._expected)]:
                self._expected[id_] = now

    def step(self, now: int) -> int | None:
        """Move what is there."""
        if self.ending:
            self._let_go()
            return None
        if self._refused:
            return None
        if now < self._again_at <= now + _SELDOM_US:
            return self._again_at
        try:
            held = self._move()
        except Exception as error:  # noqa: BLE001  # any library's; the outbox must not end the daemon
            return self._failed(error, now)
        if self._failures:
            log.info("the outbox %s can be read again", self._place.label)
        self._failures = self._again_at = 0
        return min(self._next_look(now), now + _HELD_US if held else now + self._safety)

    # ── moving ─────────────────────────────────────────────────────────────────────────────────────────────
    def _move(self) -> bool:
        """Page by page; are there tasks that wait until another one with their key is released?"""
        reached = self._connected()
        held, seen = set[tuple[int, int]](), {""}
        last = ""
        while reached is not None and not self.ending:
            rows = outbox.read(reached, last)
            if seen.issuperset(id_ for id_, _ in rows):  # none, or such as no page ends with: bytes for an id
                break
            held |= self._bring(reached, rows)
            seen.update(id_ for id_, _ in rows)
            last = rows[-1][0]
        self._ask(held)
        return bool(held)

    def _bring(self, reached: Reached, rows: list[tuple[str, str]]) -> set[tuple[int, int]]:
        """Each step is safe to die after."""
        with self._lock:
            for id_, _ in rows:
                self._expected.pop(id_, None)
        parcels = [parcel for id_, text in rows if (parcel := self._parcel(id_, text)) is not None]
        arrivals = self._store.arrivals.take_in(parcels, self._clock.now())
        told = list(zip(parcels, arrivals, strict=True))
        moved = [parcel.id for parcel, arrival in told if arrival.holder is None]
        outbox.delete(reached, moved)
        if moved:
            self._store.arrivals.gone(moved)
        return {(one.holder, one.task) for one in arrivals if one.holder is not None and one.task is not None}

    def _parcel(self, id_: str, text: str) -> Parcel | None:
        """None, said once and left where it is: what cannot be read, by this Mainspring at least."""
        try:
            if not is_outbox_id(id_):
                raise InvalidValue("its id is none of ours")
            task = outbox.understood(text)
        except InvalidValue as error:
            if id_ not in self._unreadable:
                self._unreadable.add(id_)
                log.warning("the outbox %s has a row that is left there, %.60r: %s", self._place.label, id_, error)
            return None
        return Parcel(id_, task, NOT_ALLOWED if task.kind is Kind.PROGRAM and not self._programs else None)

    def _ask(self, held: set[tuple[int, int]]) -> None:
        """Have the tasks released that are to be replaced, and are reserved; once for each time they are."""
        for pair, request in list(self._asked.items()):
            if pair not in held or self._store.answered(request) is not None:
                del self._asked[pair]
        for holder, task in held - self._asked.keys():
            self._asked[holder, task] = self._store.ask(holder, task, Release())

    # ── when ───────────────────────────────────────────────────────────────────────────────────────────────
    def _next_look(self, now: int) -> int:
        since = self._clock.monotonic()
        with self._lock:
            for id_ in [id_ for id_, at in self._expected.items() if since - at > _LONGEST_US]:
                del self._expected[id_]  # rolled back, or the transaction takes that long
            youngest = max(self._expected.values(), default=None)
        if youngest is None:
            return now + self._safety
        return now + min(max((since - youngest) // _SHARE, _SOON_US), _LATER_US)

    def _failed(self, error: Exception, now: int) -> int | None:
        if isinstance(error, InvalidArguments):
            self._refused = True
            log.error("the outbox %s is left alone: %s", self._place.label, error)
            return None
        self._failures += 1
        if self._failures == 1:
            log.warning(
                "the outbox %s cannot be moved (%s: %s): its tasks wait there, and it is tried again; if the table is "
                "missing, daemon.create_outbox(connection) makes it",
                self._place.label, type(error).__name__, error,
            )  # fmt: skip
        self._let_go()
        self._again_at = now + min(_AGAIN_US * 2 ** min(self._failures - 1, 10), _SELDOM_US)
        return self._again_at

    # ── connecting ─────────────────────────────────────────────────────────────────────────────────────────
    def _connected(self) -> Reached | None:
        if self._reached is None:
            connection = self._place.connect()
            self._reached = None if connection is None else reach(connection)
        return self._reached

    def _let_go(self) -> None:
        reached, self._reached = self._reached, None
        if reached is not None:
            try:
                reached.close()
            except Exception:  # it may be what is broken
                log.debug("the connection to %s could not be closed", self._place.label, exc_info=True)


class Movers:
    """All outboxes of a daemon, each with a thread of its own: a database that hangs holds up no other."""

    def __init__(
        self, store: Store, places: Sequence[Place], clock: Clock, driver: ManualDriver | None, *, programs: bool
    ) -> None:
        safety = SAFETY_US if driver is None or not driver.by_hand else SAFETY_BY_HAND_US
        self._movers = [Mover(store, place, clock, programs=programs, safety=safety) for place in places]
        self._loops: list[ThreadLoop | ManualLoop] = [
            ThreadLoop(f"outbox-{number}", clock) if driver is None else driver.loop()
            for number, _ in enumerate(places, 1)
        ]

    def start(self) -> None:
        """Begin to look."""
        for loop, mover in zip(self._loops, self._movers, strict=True):
            loop.start([mover])

    def hear(self, news: Sequence[str]) -> None:
        """Look again where the news are of outboxes, or where some may have been lost."""
        ids = [word.removeprefix("outbox ") for word in news if word.startswith("outbox ")]
        if ids or "*" in news:
            for loop, mover in zip(self._loops, self._movers, strict=True):
                mover.expect(ids)
                loop.wake()

    def stop(self) -> None:
        """Move nothing more. One that waits for its database is left alone: what it brings is brought once anyway."""
        for mover in self._movers:
            mover.ending = True
        for loop, mover in zip(self._loops, self._movers, strict=True):
            if isinstance(loop, ThreadLoop):
                loop.stop(_PATIENCE_S)
            else:
                loop.stop()
                mover.step(0)
