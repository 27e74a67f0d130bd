"""Every statement of the SQLite store, and the making of those whose length follows the batch.

Rows enter as bound parameters of one multi-row `VALUES`, and leave as one JSON text: so a batch costs a handful of
`sqlite3_step`s however long it is. That matters because the interpreter lock is given up at each step, and beside a
busy thread it takes milliseconds to get it back. (Measured: 540,000 inserts/s; through `json_each` 320,000.)
"""

# ruff: noqa: S608, S105 - nothing enters these texts but constants; values are always bound

from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache
from itertools import chain, islice

import apsw

from mainspring.tasks.state import STATES

CHUNK = 500  # rows of one statement
Value = int | str | None

# ── what a row looks like when it leaves ───────────────────────────────────────────────────────────────────────
_STATE = f"CASE t.state {' '.join(f'WHEN {code} THEN {state.value!r}' for code, state in enumerate(STATES))} END"
_TASK = f"""json_array(t.id, l.kind, l.work, l.queue, l.priority, {_STATE}, t.reason, t.run_at, t.created_at,
  t.started_at, t.finished_at, t.attempt, t.failures, t.losses, t.name, t.options, t.payload, t.key, t.expires_at,
  t.schedule, t.result, t.error, t.holder, t.occurrence, t.missed_until, t.missed_count)"""
_OPEN = "NOT EXISTS (SELECT 1 FROM paused WHERE paused.queue IS NULL OR paused.queue = l.queue)"

# ── the hot path ───────────────────────────────────────────────────────────────────────────────────────────────
LANES = "SELECT json_group_array(json_array(id, queue, priority, kind, work) ORDER BY id) FROM lane WHERE id > ?"
PAUSED = "SELECT json_group_array(queue) FROM paused"

NEXT_DUE = f"""
SELECT min((SELECT run_at FROM task WHERE lane = l.id AND state = 0 AND holder IS NULL ORDER BY run_at LIMIT 1))
FROM json_each(?1) j CROSS JOIN lane l ON l.id = j.value WHERE {_OPEN}"""

ANY_DUE = f"""
SELECT EXISTS (SELECT 1 FROM json_each(?1) j CROSS JOIN lane l ON l.id = j.value WHERE {_OPEN} AND EXISTS (
  SELECT 1 FROM task WHERE lane = l.id AND state = 0 AND holder IS NULL AND run_at > ?2 AND run_at <= ?3))"""

NEXT_TOKEN = """
UPDATE meta SET value = value + 1 WHERE key = 'token' AND EXISTS (SELECT 1 FROM node WHERE id = ?) RETURNING value"""

# The ids are sorted without their payloads; one bounded seek for each lane.
_PICKED = f"""(
  SELECT d.id, l.priority
  FROM (SELECT DISTINCT value FROM json_each(?1)) j CROSS JOIN lane l ON l.id = j.value CROSS JOIN task d
  WHERE {_OPEN} AND d.id IN (
    SELECT id FROM task WHERE lane = l.id AND state = 0 AND holder IS NULL AND run_at > ?2 AND run_at <= ?3
    ORDER BY run_at, id LIMIT ?4)
  ORDER BY l.priority DESC, d.run_at, d.id LIMIT ?4
) p CROSS JOIN task t ON t.id = p.id"""
PICK = f"""
SELECT json_group_array(json_array(t.id, t.lane, t.run_at, t.attempt, t.failures, t.losses, t.expires_at, t.schedule,
  t.name, t.options, t.payload) ORDER BY p.priority DESC, t.run_at, t.id), json_group_array(t.id)
FROM {_PICKED}"""
PICK_IDS = f"SELECT json_group_array(t.id) FROM {_PICKED}"

HOLD = "UPDATE task SET holder = ?1, token = ?2 WHERE id IN (SELECT value FROM json_each(?3))"
GIVE_BACK = "UPDATE task SET holder = NULL, token = NULL WHERE holder = ? AND token > ? AND state = 0"

# ── steering ───────────────────────────────────────────────────────────────────────────────────────────────────
STEERED = "SELECT state, holder, token, attempt, options, key FROM task WHERE id = ?"
CANCEL = """
UPDATE task SET state = 4, reason = ?2, finished_at = ?3, holder = NULL, token = NULL
WHERE id IN (SELECT value FROM json_each(?1))"""
RESCHEDULE = """
UPDATE task SET run_at = ?2, expires_at = coalesce(?3, expires_at), holder = NULL, token = NULL WHERE id = ?1"""
AGAIN = """
UPDATE task SET state = 0, run_at = ?2, failures = 0, losses = 0, reason = NULL, error = NULL, result = NULL,
  finished_at = NULL, expires_at = coalesce(?3, iif(expires_at > ?2, expires_at, NULL))
WHERE id = ?1"""
KEY_OWNER = "SELECT id FROM task WHERE key = ? AND key IS NOT NULL AND state < 2"
KEY_OWNERS = """
SELECT json_group_array(json_array(t.key, t.id, t.state, t.holder))
FROM json_each(?1) j CROSS JOIN task t ON t.key = j.value AND t.key IS NOT NULL AND t.state < 2"""

DUE_AMONG = "SELECT count(*) FROM task WHERE id IN (SELECT value FROM json_each(?1)) AND run_at <= ?2"

ASK = "INSERT INTO request (node, task, demand) VALUES (?, ?, ?)"
REQUESTS = """
SELECT json_group_array(json_array(id, task, demand) ORDER BY id) FROM request WHERE node = ? AND answer IS NULL"""
ANSWER = "UPDATE request SET answer = ?2 WHERE id = ?1 AND answer IS NULL"
ANSWERED = "SELECT answer FROM request WHERE id = ?"
FORGET_REQUEST = "DELETE FROM request WHERE id = ?"
FORGET_OLD_ANSWERS = "DELETE FROM request WHERE answer IS NOT NULL AND id < (SELECT max(id) FROM request) - 1000"

PAUSE = "INSERT INTO paused SELECT ?1 WHERE NOT EXISTS (SELECT 1 FROM paused WHERE queue IS ?1)"
RESUME = "DELETE FROM paused WHERE queue IS ?1"

# ── looking ────────────────────────────────────────────────────────────────────────────────────────────────────
GET = f"SELECT {_TASK} FROM task t JOIN lane l ON l.id = t.lane WHERE t.id = ?"
ATTEMPTS = """
SELECT json_group_array(json_array(attempt, started_at, finished_at, reason, error) ORDER BY id)
FROM attempt WHERE task = ?"""
OUTPUT = "SELECT text FROM output WHERE task = ?"
WAITING = """
SELECT (SELECT coalesce(sum((SELECT count(*) FROM task WHERE lane = j.value AND state = 0 AND holder IS NULL)), 0)
        FROM (SELECT DISTINCT value FROM json_each(?1)) j)
     + (SELECT count(*) FROM task WHERE holder IS NOT NULL AND state = 0
        AND lane IN (SELECT value FROM json_each(?1)))"""

PENDING = """
SELECT count(*) FROM (
  SELECT 1 FROM lane l CROSS JOIN task WHERE lane = l.id AND state = 0 AND holder IS NULL AND run_at <= ?1
  UNION ALL
  SELECT 1 FROM task WHERE holder IS NOT NULL AND state = 0 AND run_at <= ?1
  LIMIT ?2)"""

COUNTS = f"""
SELECT json_array(
  (SELECT count(*) FROM task WHERE state = 0 AND holder IS NULL)
    + (SELECT count(*) FROM task WHERE holder IS NOT NULL AND state = 0),
  (SELECT count(*) FROM task WHERE holder IS NOT NULL AND state = 1),
  {", ".join(f"(SELECT count(*) FROM task WHERE state >= 2 AND state = {code})" for code in range(2, len(STATES)))})"""

# `fired` is the indexed expression: it had started, and not before the `run_at` that is stored.
FIRED = "coalesce(started_at >= run_at, 0)"
LATENESS = f"""
SELECT json_group_array(started_at - run_at ORDER BY finished_at DESC, id DESC) FROM (
  SELECT id, started_at, run_at, finished_at FROM ({
    " UNION ALL ".join(
        f'''SELECT * FROM (SELECT id, started_at, run_at, finished_at FROM task
        WHERE state >= 2 AND state = {code} AND {FIRED} = 1 ORDER BY finished_at DESC, id DESC LIMIT 1000)'''
        for code in range(2, len(STATES))
    )
}) ORDER BY finished_at DESC, id DESC LIMIT 1000)"""

ROWS_BY_ID = f"""
SELECT json_group_array({_TASK} ORDER BY t.run_at, t.id)
FROM json_each(?1) j CROSS JOIN task t ON t.id = j.value CROSS JOIN lane l ON l.id = t.lane"""

OCCURRENCES = """
SELECT json_group_array(json_array(schedule, occurrence, id)) FROM task
WHERE (schedule, occurrence) IN (SELECT value ->> 0, value ->> 1 FROM json_each(?1))
  AND occurrence IS NOT NULL AND missed_count IS NULL AND state <> 4"""
OCCURRENCE_OF = """
SELECT other.id FROM task JOIN task AS other
  ON other.schedule = task.schedule AND other.occurrence = task.occurrence
WHERE task.id = ? AND task.state = 4 AND other.occurrence IS NOT NULL AND other.missed_count IS NULL
  AND other.state <> 4"""

# ── nodes ──────────────────────────────────────────────────────────────────────────────────────────────────────
JOIN = "INSERT INTO node (host, pid, version, workers, started_at, app) VALUES (?, ?, ?, ?, ?, ?)"
# Numbers that were handed out after the last sync to the disk may be lost with the power; they are left out for ever.
RAISE_TOKEN = "UPDATE meta SET value = (value / 16777216 + 1) * 16777216 WHERE key = 'token'"
NODES = """
SELECT json_group_array(json_array(id, host, pid, version, workers, started_at, app, json(unknown)) ORDER BY id)
FROM node"""
NODE_IDS = "SELECT json_group_array(id) FROM node"
REPORT = "UPDATE node SET unknown = ?2 WHERE id = ?1"
NODE = "SELECT id FROM node WHERE id = ?"
DROP_NODE = "DELETE FROM node WHERE id = ? RETURNING id"
HELD = """
SELECT json_group_array(json_array(id, state, token, started_at, attempt, losses, options) ORDER BY id)
FROM task WHERE holder = ?"""
FREE_HELD = "UPDATE task SET holder = NULL, token = NULL WHERE holder = ?"
FREE_STANDINGS = "UPDATE standing SET holder = NULL, version = version + 1 WHERE holder = ?"
FORGET_REQUESTS = "DELETE FROM request WHERE node = ? AND answer IS NULL"

# ── schedules and listeners ────────────────────────────────────────────────────────────────────────────────────
PUT = """
INSERT INTO standing (kind, name, app, definition, paused, next_run_at, holder, status, version)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING"""
_STANDING = """json_object('kind', kind, 'name', name, 'app', app, 'definition', definition,
  'paused', json(iif(paused, 'true', 'false')), 'next_run_at', next_run_at, 'holder', holder, 'status', status,
  'version', version)"""
STANDINGS = f"""
SELECT json_group_array({_STANDING} ORDER BY kind, name)
FROM (SELECT * FROM standing WHERE kind IN (?1, ?2) AND name > ?3 AND (?5 IS NULL OR next_run_at < ?5)
ORDER BY kind, name LIMIT ?4)"""
STANDING = f"SELECT json_array({_STANDING}) FROM standing WHERE kind = ? AND name = ?"
ADVANCE = """
UPDATE standing SET app = ?3, definition = ?4, paused = ?5, next_run_at = ?6, holder = ?7, status = ?8,
  version = version + 1
WHERE kind = ?1 AND name = ?2 AND version = ?9"""
REMOVE = "DELETE FROM standing WHERE kind = ? AND name = ?"

# ── history ────────────────────────────────────────────────────────────────────────────────────────────────────
OLD = f"""
SELECT json_group_array(id ORDER BY finished_at, id) FROM (
  SELECT id, finished_at FROM ({
    " UNION ALL ".join(
        f'''SELECT * FROM (SELECT id, finished_at FROM task
        WHERE state >= 2 AND state = {code} AND {FIRED} = {fired} AND finished_at < ?1 ORDER BY finished_at LIMIT ?2)'''
        for code in range(2, len(STATES))
        for fired in (0, 1)
    )
}) ORDER BY finished_at, id LIMIT ?2)"""
BEYOND = """
SELECT json_group_array(id) FROM (
  SELECT id FROM task WHERE schedule = ?1 AND schedule IS NOT NULL AND state >= 2 ORDER BY finished_at DESC, id DESC
  LIMIT ?3 OFFSET ?2)"""
FORGET = (
    "DELETE FROM arrival WHERE task IN (SELECT value FROM json_each(?)) AND gone",
    *(
        f"DELETE FROM {table} WHERE {column} IN (SELECT value FROM json_each(?))"
        for table, column in (("attempt", "task"), ("output", "task"), ("task", "id"))
    ),
)

# ── rows in ────────────────────────────────────────────────────────────────────────────────────────────────────
INSERT_LANES = "INSERT INTO lane (queue, priority, kind, work) VALUES {rows} ON CONFLICT DO NOTHING"
INSERT_TASKS = """
INSERT INTO task (lane, run_at, created_at, name, options, payload, key, expires_at, schedule) VALUES {rows}"""
INSERT_BARE = "INSERT INTO task (lane, run_at, created_at, payload) VALUES {rows}"
INSERT_ENDED = """
INSERT INTO task (lane, run_at, created_at, name, options, payload, key, expires_at, schedule, state, reason,
  finished_at, occurrence, missed_until, missed_count) VALUES {rows}"""

_APPLIES = """task.id = s.id AND task.token = s.token
  AND NOT (task.state = 1 AND s.code = 5)"""  # LEGAL's only gap among the states that can be held
SETTLE = f"""
WITH s (id, token, code, keep, attempt, failures, lost, run_at, reason, started_at, finished_at, result, error)
  AS (VALUES {{rows}})
UPDATE task SET state = s.code, holder = iif(s.keep, task.holder, NULL), token = iif(s.keep, task.token, NULL),
  attempt = s.attempt, failures = s.failures, losses = task.losses + s.lost,
  run_at = coalesce(s.run_at, task.run_at),
  started_at = coalesce(s.started_at, task.started_at), reason = iif(s.code, s.reason, NULL),
  finished_at = iif(s.code, s.finished_at, NULL), result = iif(s.code, s.result, NULL),
  error = iif(s.code, s.error, NULL)
FROM s WHERE {_APPLIES}"""
# Nearly all that ends: it ran and came to a good end. Three times as fast, for what is not named is not looked at.
SETTLE_PLAIN = """
WITH s (id, token, attempt, started_at, finished_at, result) AS (VALUES {rows})
UPDATE task SET state = 2, holder = NULL, token = NULL, attempt = s.attempt, started_at = s.started_at,
  finished_at = s.finished_at, result = s.result, reason = NULL, error = NULL
FROM s WHERE task.id = s.id AND task.token = s.token"""
APPLICABLE = f"""
WITH s (id, token, code) AS (VALUES {{rows}})
SELECT json_group_array(s.id) FROM s CROSS JOIN task ON {_APPLIES}"""
INSERT_ATTEMPTS = "INSERT INTO attempt (task, attempt, started_at, finished_at, reason, error) VALUES {rows}"
INSERT_OUTPUTS = "INSERT OR REPLACE INTO output (task, text) VALUES {rows}"
COMPLETE_OPTIONS = """
WITH s (id, options) AS (VALUES {rows})
UPDATE task SET options = s.options FROM s WHERE task.id = s.id"""
LOSE = """
WITH s (id, code, attempt, losses, started_at, finished_at, reason) AS (VALUES {rows})
UPDATE task SET state = s.code, attempt = s.attempt, losses = s.losses, started_at = s.started_at,
  finished_at = s.finished_at, reason = s.reason, error = NULL, result = NULL
FROM s WHERE task.id = s.id"""


@lru_cache(maxsize=512)
def _with_rows(statement: str, width: int, count: int) -> str:
    row = f"({', '.join('?' * width)})"
    return statement.format(rows=", ".join([row] * count))


def run_rows(con: apsw.Connection, statement: str, rows: Iterable[Sequence[Value]]) -> Iterator[apsw.Cursor]:
    """Execute `statement` with `{rows}` replaced by the rows, CHUNK at a time; a cursor for each time."""
    several = iter(rows)
    while chunk := list(islice(several, CHUNK)):
        yield con.execute(_with_rows(statement, len(chunk[0]), len(chunk)), list(chain.from_iterable(chunk)))


def write_rows(con: apsw.Connection, statement: str, rows: Iterable[Sequence[Value]]) -> int:
    """Execute a changing `statement` over the rows; how many rows of the database it changed."""
    return sum(con.changes() for _ in run_rows(con, statement, rows))
