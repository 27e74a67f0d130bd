"""Adding tasks: all or none for each caller, one fsync for all callers that come at once.

A caller puts its unit in a list. Who finds nobody committing does it, with every unit that is in the list by then, and
hands on to the first of those that came meanwhile. So one thread alone waits for nobody, and eight of them share
commits. Units with keys are decided before anything of theirs is written: a refusal has nothing to undo.
"""

from collections.abc import Callable, Sequence
from threading import Lock

import apsw
import msgspec

from mainspring.errors import MainspringError, QueueFull, StoreError
from mainspring.store.rows import Added, Bound, NewTask
from mainspring.store.rules import check_replaceable
from mainspring.store.sqlite_connection import Connections
from mainspring.store.sqlite_room import Room, due_by
from mainspring.store.sqlite_sql import (
    CANCEL,
    INSERT_BARE,
    INSERT_ENDED,
    INSERT_TASKS,
    KEY_OWNERS,
    OCCURRENCES,
    Value,
    write_rows,
)
from mainspring.tasks.state import CODES, Kind, State

_SHARED = 10_000  # tasks of one shared commit: the write lock is not held much longer than 20 ms
_WAITS = (CODES[State.WAITING], None, None)  # state, reason, finished_at
_NO_OCCURRENCE = (None, None, None)

Lane = tuple[str, int, str, str]  # queue, priority, kind, work
LaneIds = Callable[[set[Lane]], dict[Lane, int]]

_owners = msgspec.json.Decoder(list[tuple[str, int, int, int | None]])
_made = msgspec.json.Decoder(list[tuple[str, int, int]])


class Unit:
    """What one call of `add` wants, and later what came of it."""

    def __init__(self, tasks: Sequence[NewTask], now: int, lane_ids: LaneIds, bound: Bound | None = None) -> None:
        """Everything that needs no write lock is done here; `lane_ids` makes those that are missing."""
        # a kind's word is looked up, and a comparison of kinds is not: so by identity
        lanes = [(new.queue, new.priority, new.kind is Kind.PROGRAM, new.work) for new in tasks]
        several = set(lanes)
        names = {
            lane: (lane[0], lane[1], (Kind.PROGRAM if lane[2] else Kind.FUNCTION).value, lane[3]) for lane in several
        }
        known = lane_ids(set(names.values()))
        ids = {lane: known[name] for lane, name in names.items()}
        self.tasks = tasks
        self.now = now
        self.bound = bound
        # a key or an occurrence may be there already; a list: nearly always all are looked at
        self.keyed = any([new.key is not None or new.occurrence is not None for new in tasks])  # noqa: C419
        # most tasks have nothing but their arguments: a shorter row takes half the time
        self.bare = not self.keyed and not any(
            new.name or new.options or new.expires_at or new.schedule for new in tasks
        )
        self.rows: list[tuple[Value, ...]] = [
            (ids[lane], new.run_at, now, new.payload)
            if self.bare
            else (ids[lane], new.run_at, now, new.name, new.options, new.payload, new.key, new.expires_at, new.schedule)
            for lane, new in zip(lanes, tasks, strict=True)
        ]
        self.turn = Lock()  # held until the unit is settled, or its caller is the next to commit
        self.turn.acquire()
        self.settled = False
        self.added: list[Added] = []
        self.replaced = False
        self.error: MainspringError | None = None

    def news(self) -> list[str]:
        """What watchers are told once the commit is made."""
        due = [new.run_at for new, added in zip(self.tasks, self.added, strict=True) if added.created]
        return ([f"due {min(due)}"] if due else []) + ["done"] * self.replaced


class Adder:
    """The queue of units, and the turn to commit them."""

    def __init__(self, connections: Connections, tell: Callable[[list[str]], None]) -> None:
        self._connections = connections
        self._tell = tell
        self._pending: list[Unit] = []
        self._leader: Unit | None = None  # whose caller commits, or has been told to
        self._gate = Lock()

    def add(self, unit: Unit) -> list[Added]:
        """Commit the unit, alone or with others; what became of each of its tasks."""
        units: list[Unit] = []
        try:
            with self._gate:
                self._pending.append(unit)
                self._leader = self._leader or unit
            if self._leader is not unit:
                unit.turn.acquire()
            while not unit.settled:
                units = self._next_units()
                self._commit(units)
        finally:
            self._go(unit, units)
        if unit.error is not None:
            raise unit.error
        return unit.added

    def after_fork_in_child(self) -> None:
        """In a forked child nobody is in the queue: those who were are threads of the parent."""
        self._pending, self._leader, self._gate = [], None, Lock()

    def _next_units(self) -> list[Unit]:
        with self._gate:
            room, count = _SHARED, 0
            for unit in self._pending:
                room -= len(unit.rows)
                if room < 0 and count:
                    break
                count += 1
            units, self._pending = self._pending[:count], self._pending[count:]
            return units

    def _go(self, unit: Unit, units: list[Unit]) -> None:
        """Leave nobody waiting behind, also when the caller was interrupted; `units`: what it took upon itself."""
        _settle([one for one in units if not one.settled], StoreError("adding was interrupted: look what was kept"))
        with self._gate:
            if unit in self._pending:
                self._pending.remove(unit)
            if self._leader is unit:
                self._leader = self._pending[0] if self._pending else None
                if self._leader is not None:
                    self._leader.turn.release()

    def _commit(self, units: list[Unit]) -> None:
        try:
            self._write(units)
        except BaseException as error:
            if isinstance(error, StoreError) and isinstance(error.__cause__, apsw.IOError | apsw.BusyError):
                _settle(units, error)
            elif len(units) > 1 and isinstance(error, Exception):
                for unit in units:  # one of them does not fit: each for itself
                    self._commit([unit])
            elif isinstance(error, MainspringError):
                _settle(units, error)
            else:
                raise

    def _write(self, units: list[Unit]) -> None:
        for unit in units:
            unit.error = None
        with self._connections.write(durable=True) as con:
            plain = [unit for unit in units if not unit.keyed and unit.rows]
            free = [unit for unit in plain if unit.bound is None]
            insert_plain(con, free)
            if len(free) < len(plain):
                insert_plain(con, _with_room(con, [unit for unit in plain if unit.bound is not None]))
            for unit in units:
                if unit.keyed:
                    try:
                        insert_keyed(con, unit)
                    except MainspringError as refusal:
                        unit.error = refusal
        _settle(units)
        self._tell([text for unit in units if unit.error is None for text in unit.news()])


def _settle(units: Sequence[Unit], error: MainspringError | None = None) -> None:
    """Let the callers go, each with its own outcome or all with the same error."""
    for unit in units:
        unit.error = error or unit.error
        unit.settled = True
        if unit.turn.locked():
            unit.turn.release()


def insert_plain(con: apsw.Connection, units: Sequence[Unit]) -> None:
    """Insert units without keys: those that have nothing but arguments in one go, and the others in another."""
    for alike, statement in (
        ([unit for unit in units if unit.bare], INSERT_BARE),
        ([unit for unit in units if not unit.bare], INSERT_TASKS),
    ):
        rows = [row for unit in alike for row in unit.rows]
        write_rows(con, statement, rows)
        id_ = con.last_insert_rowid() - len(rows) + 1  # ids are given in order, and nobody else writes now
        for unit in alike:
            unit.added = [Added(id_ + place) for place in range(len(unit.rows))]
            id_ += len(unit.rows)


def _with_room(con: apsw.Connection, units: Sequence[Unit]) -> list[Unit]:
    """Those of the bounded units for which there is room, first come first served; the others get their refusal."""
    room = Room(con, max(due_by(unit.now, unit.bound) for unit in units))
    for unit in units:
        try:
            room.take(unit.bound, sum(new.run_at <= room.due_by for new in unit.tasks))
        except QueueFull as refusal:
            unit.error = refusal
    return [unit for unit in units if unit.error is None]


def insert_unit(con: apsw.Connection, unit: Unit) -> None:
    """Insert a unit within a transaction of the caller's; raises when a key refuses it."""
    if unit.keyed:
        insert_keyed(con, unit)
    elif unit.rows:
        insert_plain(con, [unit])


def insert_keyed(con: apsw.Connection, unit: Unit) -> None:
    """Insert tasks of which some have keys, or are occurrences. Raises `KeyInUse`, `TooLate`, `KeyHeld` or `QueueFull`
    before anything is written.
    """
    taken = _key_owners(con, unit)
    made = _occurrences(con, unit)
    next_id = 1 + (con.execute("SELECT seq FROM sqlite_sequence WHERE name = 'task'").get or 0)
    first = next_id
    rows: list[Sequence[Value]] = []
    added: list[Added] = []
    replaced: list[int] = []
    cancelled = (CODES[State.CANCELLED], "replaced", unit.now)
    for new, row in zip(unit.tasks, unit.rows, strict=True):
        if (name := new.occurrence_name) is not None:
            there_already = made.setdefault(name, next_id)
            if there_already != next_id:
                added.append(Added(there_already, created=False))
                continue
        if new.key is not None:
            owner = taken.get(new.key)
            if owner is not None and new.on_conflict == "keep":
                added.append(Added(owner[0], created=False))
                continue
            if owner is not None:
                check_replaceable(new, new.key, *owner)
                replaced.append(owner[0])
                if owner[0] >= first:  # of this very call: it enters as what it is by then, so that the key is free
                    before = rows[owner[0] - first]
                    rows[owner[0] - first] = (*before[: len(row)], *cancelled, *before[-len(_NO_OCCURRENCE) :])
            taken[new.key] = (next_id, 0, None)
        rows.append((*row, *_end_of(new, unit.now)))
        added.append(Added(next_id))
        next_id += 1
    there = [id_ for id_ in replaced if id_ < first]
    gone = msgspec.json.encode(there).decode()
    if unit.bound is not None:
        room = Room(con, due_by(unit.now, unit.bound))
        told = zip(unit.tasks, added, strict=True)
        due = {one.id for new, one in told if one.created and new.run_at <= room.due_by}
        room.take(unit.bound, len(due.difference(replaced)) - room.due_among(gone))
    if there:
        con.execute(CANCEL, (gone, *cancelled[1:]))
    write_rows(con, INSERT_ENDED, rows)
    unit.added, unit.replaced = added, bool(replaced)


def _end_of(new: NewTask, now: int) -> tuple[Value, ...]:
    """The columns from `state` on: of what waits, or of what was missed before it became a task."""
    missed = new.missed
    if missed is None:
        return (*_WAITS, new.occurrence, None, None)
    return (CODES[State.MISSED], missed.reason, now, new.occurrence, missed.last, missed.count)


def _occurrences(con: apsw.Connection, unit: Unit) -> dict[tuple[str, int], int]:
    """Those of the unit's occurrences that are tasks already, by schedule and instant."""
    wanted = [name for new in unit.tasks if (name := new.occurrence_name) is not None]
    if not wanted:
        return {}
    found = _made.decode(con.execute(OCCURRENCES, (msgspec.json.encode(wanted).decode(),)).get)
    return {(schedule, occurrence): id_ for schedule, occurrence, id_ in found}


def _key_owners(con: apsw.Connection, unit: Unit) -> dict[str, tuple[int, int, int | None]]:
    """The unfinished tasks that have the unit's keys: id, state, holder."""
    keys = msgspec.json.encode(sorted({new.key for new in unit.tasks if new.key is not None})).decode()
    return {
        key: (id_, state, holder) for key, id_, state, holder in _owners.decode(con.execute(KEY_OWNERS, (keys,)).get)
    }
