"""Lines of another store into one in a file, in small commits, each of which notes what it took in.

So an import that was cut short is begun again and goes on; one that is repeated adds nothing. A task keeps its id where
that is above all that were given here; else it gets a new one. Daemons may be at work: a writer waits for one commit.
"""

import os
from collections.abc import Iterable, Iterator
from contextlib import closing
from typing import Literal

import apsw
import msgspec

from mainspring.errors import InvalidValue, StoreConflict
from mainspring.store import sqlite_sql as sql
from mainspring.store.portable import (
    LONGEST,
    ArrivalLine,
    End,
    Head,
    Line,
    Pause,
    StandingLine,
    TaskLine,
    not_understood,
    read_line,
    settled,
)
from mainspring.store.sqlite_connection import Connections
from mainspring.store.sqlite_copy import Progress, nothing
from mainspring.store.sqlite_sql import Value
from mainspring.store.wake import Wake
from mainspring.tasks.state import CODES, UNFINISHED, State

_TASKS, _BYTES = 500, 4 * 1024 * 1024  # of one commit
_STEP_OF_TOKENS = 2**24

_INSERT = """
INSERT INTO task (id, lane, state, run_at, started_at, finished_at, created_at, attempt, failures, losses, key, name,
  options, payload, expires_at, schedule, reason, result, error, occurrence, missed_until, missed_count)
VALUES {rows}"""
_LANES = """
SELECT json_group_array(json_array(l.id, l.queue, l.priority, l.kind, l.work)) FROM lane l
WHERE (queue, priority, kind, work) IN (SELECT value ->> 0, value ->> 1, value ->> 2, value ->> 3 FROM json_each(?))"""
_KNOWN = "SELECT json_group_array(id) FROM imported WHERE origin = ?1 AND id IN (SELECT value FROM json_each(?2))"
_NOTE = "INSERT INTO imported (origin, id, task) VALUES {rows}"
_RAISE = "UPDATE meta SET value = (?1 / ?2 + 1) * ?2 WHERE key = 'token' AND value <= ?1"

_ARRIVED = "SELECT json_group_array(json_array(id, task)) FROM arrival WHERE id IN (SELECT value FROM json_each(?))"
_ARRIVE = "INSERT INTO arrival (id, task, gone) VALUES {rows} ON CONFLICT DO NOTHING"
_FORGOTTEN = 0  # the number of no task: for a row of an outbox whose task is forgotten

_lanes = msgspec.json.Decoder(list[tuple[int, str, int, str, str]])
_owners = msgspec.json.Decoder(list[tuple[str, int, int, int | None]])
_made = msgspec.json.Decoder(list[tuple[str, int, int]])
_ids = msgspec.json.Decoder(list[int])
_arrived = msgspec.json.Decoder(list[tuple[str, int | None]])


class Imported(msgspec.Struct):
    """How many were taken in. `known`: tasks that an earlier import had; `kept`: tasks, schedules and listeners for
    which there was one here already, which stayed; `lost`: of the tasks, those that ran when they were exported.
    """

    tasks: int = 0
    known: int = 0
    kept: int = 0
    lost: int = 0
    schedules: int = 0
    listeners: int = 0


def import_lines(
    path: str,
    texts: Iterable[bytes],
    *,
    on_conflict: Literal["error", "keep"] = "error",
    create: bool = True,
    progress: Progress = nothing,
) -> Imported:
    """Take the lines into the store at `path`. What was committed before an error stays: begin again when it is mended.

    Raises `InvalidValue` for what is not understood, with line and column; and where `on_conflict` is `error`,
    `StoreConflict` for a key of another unfinished task, or another schedule or listener of a name.
    """
    path = os.path.realpath(path)
    lines = _read(texts)
    _, head = next(lines)
    assert isinstance(head, Head)
    with closing(Connections(path, create=create)) as db:
        taking = _Taking(db, Wake(f"{path}-nodes"), head, keep=on_conflict == "keep")
        try:
            for number, line in lines:
                if isinstance(line, TaskLine):
                    taking.task(number, line)
                    progress(min(taking.seen, head.tasks), head.tasks)
                elif isinstance(line, ArrivalLine):
                    taking.arrival(line)
                elif isinstance(line, Pause):
                    taking.pause(line)
                elif isinstance(line, StandingLine):
                    taking.commit()  # first: a daemon would make the occurrences that are among the tasks
                    taking.standing(number, line)
        except InvalidValue:
            taking.commit()  # what stands before it
            raise
        taking.commit()
        return taking.told


def _read(texts: Iterable[bytes]) -> Iterator[tuple[int, Line]]:
    """The lines with their numbers, in the order that is promised; an end that is missing is an error."""
    number, last = 0, 0
    for text in texts:
        number += 1
        if len(text) > LONGEST:
            raise not_understood(number, LONGEST, f"it is longer than {LONGEST:,} bytes")
        line = read_line(number, text)
        if (number == 1) is not isinstance(line, Head):
            raise not_understood(number, 1, "the first line, and no other, says what is exported")
        if isinstance(line, End):
            if line.lines != number - 1:
                raise not_understood(number, 1, f"{line.lines} lines were written before it; some are missing")
            return
        if isinstance(line, TaskLine):
            if line.id <= last:
                raise not_understood(number, 1, f"the task {line.id} comes after {last}: tasks are in the order of ids")
            last = line.id
        yield number, line
    if not number:
        raise not_understood(1, 1, "there is nothing; `mainspring store export` writes what is wanted")
    raise not_understood(number + 1, 1, "the export was cut short here; what was whole is taken in")


class _Taking:
    """The commit that is being gathered."""

    def __init__(self, db: Connections, wake: Wake, head: Head, *, keep: bool) -> None:
        self.told = Imported()
        self.seen = 0
        self._db = db
        self._wake = wake
        self._head = head
        self._keep = keep
        self._tasks: list[tuple[int, TaskLine]] = []
        self._bytes = 0
        with db.write(durable=True) as con:  # no fence that was given there is given here
            con.execute(_RAISE, (head.token, _STEP_OF_TOKENS))

    def task(self, number: int, line: TaskLine) -> None:
        self.seen += 1
        self._tasks.append((number, line))
        self._bytes += sum(len(text) for text in (line.payload, line.result, line.error, line.output) if text)
        if len(self._tasks) >= _TASKS or self._bytes >= _BYTES:
            self.commit()

    def commit(self) -> None:
        """Store the tasks that were gathered, and note that they are here."""
        tasks, self._tasks, self._bytes = self._tasks, [], 0
        if not tasks:
            return
        with self._db.write(durable=True) as con:
            new, kept = self._new(con, tasks)
            ids = self._insert(con, new)
            notes = [(line.id, id_) for line, id_ in zip(new, ids, strict=True)] + kept
            lines = {line.id: line for _, line in tasks}
            there = [(row.id, task, int(row.gone)) for id_, task in kept for row in lines[id_].outbox]
            sql.write_rows(con, _ARRIVE, there)
            sql.write_rows(con, _NOTE, [(self._head.origin, *note) for note in sorted(notes)])
        self.told.tasks += len(new)
        self.told.kept += len(kept)
        self.told.known += len(tasks) - len(notes)
        self.told.lost += sum(line.state is State.RUNNING for line in new)
        waiting = [line.run_at for line in new if line.state in UNFINISHED]
        self._wake.send([f"due {min(waiting, default=0)}"] * bool(waiting) + ["done"])
        self._db.keep_log_short()

    def _new(
        self, con: apsw.Connection, tasks: list[tuple[int, TaskLine]]
    ) -> tuple[list[TaskLine], list[tuple[int, int]]]:
        """Those that are not here yet, and those for which another one here stays, with its id."""
        seen = set(_ids.decode(con.execute(_KNOWN, (self._head.origin, _json([line.id for _, line in tasks]))).get))
        keys = [line.key for _, line in tasks if line.key is not None and settled(line).state in UNFINISHED]
        owners = {key: id_ for key, id_, _, _ in _owners.decode(con.execute(sql.KEY_OWNERS, (_json(keys),)).get)}
        names = [name for _, line in tasks if (name := _occurrence(line)) is not None]
        rows = _json([row.id for _, line in tasks for row in line.outbox])
        arrived = dict(_arrived.decode(con.execute(_ARRIVED, (rows,)).get))
        made = {(one, at): id_ for one, at, id_ in _made.decode(con.execute(sql.OCCURRENCES, (_json(names),)).get)}
        new: list[TaskLine] = []
        kept: list[tuple[int, int]] = []
        for number, line in tasks:
            if line.id in seen:
                continue
            came = next((task for row in line.outbox if (task := arrived.get(row.id)) is not None), None)
            if came is not None:  # a daemon here has brought it, too
                kept.append((line.id, came))
                continue
            name = _occurrence(line)
            if name is not None and name in made:  # the schedule is here too, and has made it
                kept.append((line.id, made[name]))
                continue
            if line.key is not None and settled(line).state in UNFINISHED:
                owner = owners.setdefault(line.key, 0)
                if owner and not self._keep:
                    raise StoreConflict(
                        f"line {number}: the key {line.key!r} belongs to the unfinished task {owner} here; cancel "
                        f"that, or keep it and leave this one out with --on-conflict keep"
                    )
                if owner:
                    kept.append((line.id, owner))
                    continue
                del owners[line.key]
            new.append(line)
        return new, kept

    def _insert(self, con: apsw.Connection, tasks: list[TaskLine]) -> list[int]:
        """Their ids, in order."""
        names = sorted({(one.queue, one.priority, one.kind.value, one.work) for one in tasks})
        sql.write_rows(con, sql.INSERT_LANES, names)
        lanes = {tuple(name): id_ for id_, *name in _lanes.decode(con.execute(_LANES, (_json(names),)).get)}
        given = int(con.execute("SELECT seq FROM sqlite_sequence WHERE name = 'task'").get or 0)
        ids: list[int] = []
        rows: list[tuple[Value, ...]] = []
        tries: list[tuple[Value, ...]] = []
        outputs: list[tuple[Value, ...]] = []
        arrivals: list[tuple[Value, ...]] = []
        for line in tasks:
            given = max(given + 1, line.id)
            ids.append(given)
            one = settled(line)
            lane = lanes[one.queue, one.priority, one.kind.value, one.work]
            rows.append(_row(given, lane, one))
            tries += ((given, *msgspec.structs.astuple(attempt)) for attempt in one.attempts)
            arrivals += ((row.id, given, int(row.gone)) for row in one.outbox)
            outputs += [(given, one.output)] if one.output is not None else []
        sql.write_rows(con, _INSERT, rows)
        sql.write_rows(con, sql.INSERT_ATTEMPTS, tries)
        sql.write_rows(con, sql.INSERT_OUTPUTS, outputs)
        sql.write_rows(con, _ARRIVE, arrivals)
        return ids

    def arrival(self, line: ArrivalLine) -> None:
        with self._db.write(durable=True) as con:
            sql.write_rows(con, _ARRIVE, [(line.id, None if line.withdrawn else _FORGOTTEN, 0)])

    def pause(self, line: Pause) -> None:
        with self._db.write(durable=True) as con:
            con.execute(sql.PAUSE, (line.queue,))

    def standing(self, number: int, line: StandingLine) -> None:
        with self._db.write(durable=True) as con:
            values = (line.app, line.definition, int(line.paused), line.next_run_at, None, line.status, 0)
            con.execute(sql.PUT, (line.kind, line.name, *values))
            if not con.changes():
                there = con.execute(
                    "SELECT definition FROM standing WHERE kind = ? AND name = ?", (line.kind, line.name)
                ).get
                if there != line.definition and not self._keep:
                    raise StoreConflict(
                        f"line {number}: there is another {line.kind} {line.name!r} here already; remove it, or keep "
                        f"what is here with --on-conflict keep"
                    )
                self.told.kept += 1
                return
        if line.kind == "schedule":
            self.told.schedules += 1
        else:
            self.told.listeners += 1
        self._wake.send([f"standing {line.kind} {line.name}"])


def _occurrence(line: TaskLine) -> tuple[str, int] | None:
    """What makes it the same as one that is here."""
    if line.schedule is None or line.occurrence is None or line.missed_count or line.state is State.CANCELLED:
        return None
    return line.schedule, line.occurrence


def _row(id_: int, lane: int, one: TaskLine) -> tuple[Value, ...]:
    return (
        *(id_, lane, CODES[one.state], one.run_at, one.started_at, one.finished_at, one.created_at, one.attempt),
        *(one.failures, one.losses, one.key, one.name, one.options, one.payload, one.expires_at, one.schedule),
        *(one.reason, one.result, one.error, one.occurrence, one.missed_until, one.missed_count),
    )


def _json(value: object) -> str:
    return msgspec.json.encode(value).decode()
