"""Every statement of the store on PostgreSQL.

Many rows enter as one JSON text (`json_to_recordset`), so a batch is one statement with one parameter however long it
is, and needs no plan of its own for each length. (Measured, 1,000 tasks: 3.5 ms, of which 0.4 in Python; COPY, which
tells no ids, 4.1 and 0.5; arrays 5.7 and 2.8.)
"""

from mainspring.store.postgres_migrate import FIRED
from mainspring.tasks.state import STATES

# ruff: noqa: S608, S105 - nothing enters these texts but constants; values are always bound

_STATE = f"CASE t.state {' '.join(f'WHEN {code} THEN {state.value!r}' for code, state in enumerate(STATES))} END"
_TASK = f"""t.id, l.kind, l.work, l.queue, l.priority, {_STATE}, t.reason, t.run_at, t.created_at, t.started_at,
  t.finished_at, t.attempt, t.failures, t.losses, t.name, t.options, t.payload, t.key, t.expires_at, t.schedule,
  t.result, t.error, t.holder, t.occurrence, t.missed_until, t.missed_count"""
_OPEN = "NOT EXISTS (SELECT 1 FROM mainspring.paused p WHERE p.queue IS NULL OR p.queue = l.queue)"
_LANES = "(SELECT DISTINCT unnest(%(lanes)s::bigint[]) AS id) j JOIN mainspring.lane l ON l.id = j.id"
_CODES = range(2, len(STATES))

# ── the hot path ───────────────────────────────────────────────────────────────────────────────────────────────
LOCK = "SELECT pg_advisory_xact_lock(%s, %s)"
LOCK_SHARED = "SELECT pg_advisory_xact_lock_shared(%s, %s)"
LANES = "SELECT id, queue, priority, kind, work FROM mainspring.lane WHERE id > %s ORDER BY id"
PAUSED = "SELECT queue FROM mainspring.paused"
NEXT_DUE = f"""
SELECT min((SELECT t.run_at FROM mainspring.task t WHERE t.lane = l.id AND t.state = 0 AND t.holder IS NULL
            ORDER BY t.run_at LIMIT 1))
FROM {_LANES} WHERE {_OPEN}"""
ANY_DUE = f"""
SELECT EXISTS (SELECT 1 FROM {_LANES} WHERE {_OPEN} AND EXISTS (
  SELECT 1 FROM mainspring.task t WHERE t.lane = l.id AND t.state = 0 AND t.holder IS NULL
    AND t.run_at > %(after)s AND t.run_at <= %(until)s))"""
TAKES_PART = "SELECT id FROM mainspring.node WHERE id = %s FOR KEY SHARE"
# Of each lane as many as are wanted, in the order of its index; those that another node is taking are passed over.
PICK = f"""
SELECT d.id, d.lane, d.run_at, d.attempt, d.failures, d.losses, d.expires_at, d.schedule, d.name, d.options, d.payload
FROM {_LANES} CROSS JOIN LATERAL (
  SELECT t.* FROM mainspring.task t
  WHERE t.lane = l.id AND t.state = 0 AND t.holder IS NULL AND t.run_at > %(after)s AND t.run_at <= %(until)s
  ORDER BY t.run_at, t.id LIMIT %(limit)s FOR UPDATE SKIP LOCKED) d
WHERE {_OPEN} ORDER BY l.priority DESC, d.run_at, d.id LIMIT %(limit)s"""
NEXT_TOKEN = "SELECT nextval('mainspring.token')"
HOLD = "UPDATE mainspring.task SET holder = %s, token = %s WHERE id = ANY(%s)"
# Whoever reserves for the node holds its row meanwhile: so a reservation that is still under way is waited for.
NODE_ALONE = "SELECT id FROM mainspring.node WHERE id = %s FOR UPDATE"
GIVE_BACK = "UPDATE mainspring.task SET holder = NULL, token = NULL WHERE holder = %s AND token > %s AND state = 0"

# ── what came of held tasks ────────────────────────────────────────────────────────────────────────────────────
SETTLED = """
SELECT id, token, state, run_at, started_at, lane, schedule FROM mainspring.task WHERE id = ANY(%s) ORDER BY id
FOR UPDATE"""
SETTLE = """
UPDATE mainspring.task t SET state = s.code,
  holder = CASE WHEN s.keep THEN t.holder END, token = CASE WHEN s.keep THEN t.token END,
  attempt = s.attempt, failures = s.failures, losses = t.losses + s.lost::integer,
  run_at = coalesce(s.run_at, t.run_at), started_at = coalesce(s.started_at, t.started_at),
  reason = CASE WHEN s.code > 0 THEN s.reason END, finished_at = CASE WHEN s.code > 0 THEN s.finished_at END,
  result = CASE WHEN s.code > 0 THEN s.result END, error = CASE WHEN s.code > 0 THEN s.error END,
  options = coalesce(s.options, t.options)
FROM json_to_recordset(%s::json) AS s (id bigint, code smallint, keep boolean, attempt integer, failures integer,
  lost boolean, run_at bigint, reason text, started_at bigint, finished_at bigint, result text, error text,
  options text)
WHERE t.id = s.id"""
INSERT_ATTEMPTS = """
INSERT INTO mainspring.attempt (task, attempt, started_at, finished_at, reason, error)
SELECT * FROM json_to_recordset(%s::json) AS s
  (task bigint, attempt integer, started_at bigint, finished_at bigint, reason text, error text)"""
INSERT_OUTPUTS = """
INSERT INTO mainspring.output (task, text)
SELECT * FROM json_to_recordset(%s::json) AS s (task bigint, text text)
ON CONFLICT (task) DO UPDATE SET text = excluded.text"""
HELD = """
SELECT id, state, token, started_at, attempt, losses, options, run_at, lane, schedule FROM mainspring.task
WHERE holder = %s ORDER BY id FOR UPDATE"""
LOSE = """
UPDATE mainspring.task t SET state = s.code, attempt = s.attempt, losses = s.losses, started_at = s.started_at,
  finished_at = s.finished_at, reason = s.reason, error = NULL, result = NULL
FROM json_to_recordset(%s::json) AS s (id bigint, code smallint, attempt integer, losses integer, started_at bigint,
  finished_at bigint, reason text)
WHERE t.id = s.id"""
FREE_HELD = "UPDATE mainspring.task SET holder = NULL, token = NULL WHERE holder = %s"
FREE_STANDINGS = "UPDATE mainspring.standing SET holder = NULL, version = version + 1 WHERE holder = %s"
FORGET_REQUESTS = "DELETE FROM mainspring.request WHERE node = %s AND answer IS NULL"

# ── adding ─────────────────────────────────────────────────────────────────────────────────────────────────────
LOCK_LANES = "LOCK TABLE mainspring.lane IN SHARE ROW EXCLUSIVE MODE"  # so their ids are committed in order
INSERT_LANES = """
INSERT INTO mainspring.lane (queue, priority, kind, work)
SELECT * FROM json_to_recordset(%s::json) AS s (queue text, priority bigint, kind text, work text)
ON CONFLICT DO NOTHING"""
INSERT_TASKS = """
INSERT INTO mainspring.task (lane, run_at, created_at, name, options, payload, key, expires_at, schedule, state, reason,
  finished_at, occurrence, missed_until, missed_count)
SELECT * FROM json_to_recordset(%s::json) AS s (lane bigint, run_at bigint, created_at bigint, name text, options text,
  payload text, key text, expires_at bigint, schedule text, state smallint, reason text, finished_at bigint,
  occurrence bigint, missed_until bigint, missed_count bigint)
RETURNING id"""
KEY_OWNERS = "SELECT key, id, state, holder FROM mainspring.task WHERE key = ANY(%s) AND key IS NOT NULL AND state < 2"
KEY_OWNERS_ALONE = f"{KEY_OWNERS} ORDER BY id FOR UPDATE"
OCCURRENCES = """
SELECT t.schedule, t.occurrence, t.id
FROM json_to_recordset(%s::json) AS s (schedule text, occurrence bigint)
JOIN mainspring.task t ON t.schedule = s.schedule AND t.occurrence = s.occurrence
WHERE t.occurrence IS NOT NULL AND t.missed_count IS NULL AND t.state <> 4"""
PENDING = """
SELECT count(*) FROM (
  (SELECT 1 FROM mainspring.lane l CROSS JOIN LATERAL (
     SELECT 1 FROM mainspring.task t WHERE t.lane = l.id AND t.state = 0 AND t.holder IS NULL AND t.run_at <= %(now)s
     LIMIT %(limit)s) d LIMIT %(limit)s)
  UNION ALL
  (SELECT 1 FROM mainspring.task t WHERE t.holder IS NOT NULL AND t.state = 0 AND t.run_at <= %(now)s LIMIT %(limit)s)
  LIMIT %(limit)s) AS due"""
DUE_AMONG = "SELECT count(*) FROM mainspring.task WHERE id = ANY(%s) AND run_at <= %s"

# ── outboxes ───────────────────────────────────────────────────────────────────────────────────────────────────
ARRIVED = "SELECT id, task FROM mainspring.arrival WHERE id = ANY(%s)"
ARRIVE = """
INSERT INTO mainspring.arrival (id, task) SELECT * FROM json_to_recordset(%s::json) AS s (id text, task bigint)
ON CONFLICT (id) DO UPDATE SET task = excluded.task"""
END_ARRIVED = "UPDATE mainspring.task SET state = 4, reason = %s, finished_at = %s, key = %s WHERE id = %s"
WITHDRAW = "INSERT INTO mainspring.arrival (id) VALUES (%s) ON CONFLICT DO NOTHING"
ARRIVALS_GONE = "UPDATE mainspring.arrival SET gone = true WHERE id = ANY(%s)"
FORGET_GONE = """
DELETE FROM mainspring.arrival a WHERE id = ANY(%s) AND task IS NOT NULL
  AND NOT EXISTS (SELECT 1 FROM mainspring.task t WHERE t.id = a.task)"""

# ── steering ───────────────────────────────────────────────────────────────────────────────────────────────────
STEERED = "SELECT state, holder, token, attempt, options, key FROM mainspring.task WHERE id = %s FOR UPDATE"
CANCEL = """
UPDATE mainspring.task SET state = 4, reason = %s, finished_at = %s, holder = NULL, token = NULL WHERE id = ANY(%s)"""
RESCHEDULE = """
UPDATE mainspring.task SET run_at = %s, expires_at = coalesce(%s, expires_at), holder = NULL, token = NULL
WHERE id = %s"""
AGAIN = """
UPDATE mainspring.task SET state = 0, run_at = %(run_at)s, failures = 0, losses = 0, reason = NULL, error = NULL,
  result = NULL, finished_at = NULL,
  expires_at = coalesce(%(expires_at)s, CASE WHEN expires_at > %(run_at)s THEN expires_at END)
WHERE id = %(task)s"""
OCCURRENCE_OF = """
SELECT o.id FROM mainspring.task t JOIN mainspring.task o ON o.schedule = t.schedule AND o.occurrence = t.occurrence
WHERE t.id = %s AND t.state = 4 AND o.occurrence IS NOT NULL AND o.missed_count IS NULL AND o.state <> 4"""
ASK = "INSERT INTO mainspring.request (node, task, demand) VALUES (%s, %s, %s) RETURNING id"
REQUESTS = "SELECT id, task, demand FROM mainspring.request WHERE node = %s AND answer IS NULL ORDER BY id"
ANSWER = "UPDATE mainspring.request SET answer = %s WHERE id = %s AND answer IS NULL"
ANSWERED = "DELETE FROM mainspring.request WHERE id = %s AND answer IS NOT NULL RETURNING answer"
HAS_ANSWER = "SELECT 1 FROM mainspring.request WHERE id = %s AND answer IS NOT NULL"
PAUSE = """
INSERT INTO mainspring.paused
SELECT %(queue)s::text WHERE NOT EXISTS (SELECT 1 FROM mainspring.paused WHERE queue IS NOT DISTINCT FROM %(queue)s)"""
RESUME = "DELETE FROM mainspring.paused WHERE queue IS NOT DISTINCT FROM %(queue)s::text"

# ── looking ────────────────────────────────────────────────────────────────────────────────────────────────────
GET = f"SELECT {_TASK} FROM mainspring.task t JOIN mainspring.lane l ON l.id = t.lane WHERE t.id = %s"
ROWS_BY_ID = f"""
SELECT {_TASK} FROM mainspring.task t JOIN mainspring.lane l ON l.id = t.lane WHERE t.id = ANY(%s)
ORDER BY t.run_at, t.id"""
ATTEMPTS = """
SELECT attempt, started_at, finished_at, reason, error FROM mainspring.attempt WHERE task = %s ORDER BY id"""
OUTPUT = "SELECT text FROM mainspring.output WHERE task = %s"
WAITING = "SELECT count(*) FROM mainspring.task WHERE lane = ANY(%s) AND state = 0"
COUNTS = "SELECT state, count(*) FROM mainspring.task GROUP BY state"
LATENESS = f"""
SELECT started_at - run_at FROM ({
    " UNION ALL ".join(
        f'''(SELECT id, started_at, run_at, finished_at FROM mainspring.task
        WHERE state >= 2 AND state = {code} AND {FIRED} ORDER BY finished_at DESC, id DESC LIMIT 1000)'''
        for code in _CODES
    )
}) AS fired ORDER BY finished_at DESC, id DESC LIMIT 1000"""

# ── nodes ──────────────────────────────────────────────────────────────────────────────────────────────────────
STORE_ID = "SELECT value FROM mainspring.meta WHERE key = 'store'"
JOIN = """
INSERT INTO mainspring.node (host, pid, version, workers, started_at, app, place)
VALUES (%s, %s, %s, %s, %s, %s, %s) RETURNING id"""
FORGET_OLD = """
DELETE FROM mainspring.request WHERE answer IS NOT NULL AND id < (SELECT max(id) FROM mainspring.request) - 1000;
DELETE FROM mainspring.receipt WHERE at < now() - interval '1 day'"""
REJOIN = """
INSERT INTO mainspring.node (id, host, pid, version, workers, started_at, app, place) OVERRIDING SYSTEM VALUE
VALUES (%s, %s, %s, %s, %s, %s, %s, %s)
ON CONFLICT (id) DO UPDATE SET lease_until = NULL, seen_at = clock_timestamp()"""
NODE_IDS = "SELECT id FROM mainspring.node"
# `session`: whether its own session is there, which holds a lock under its number; `lease`: µs until its lease ends.
NODES = """
SELECT id, host, pid, version, workers, started_at, app, unknown, place, busy,
  (extract(epoch FROM lease_until - clock_timestamp()) * 1000000)::bigint AS lease,
  EXISTS (SELECT 1 FROM pg_locks k WHERE k.locktype = 'advisory' AND k.classid = %s AND k.objid = n.id AND k.granted
          AND k.database = (SELECT oid FROM pg_database WHERE datname = current_database())) AS session
FROM mainspring.node n ORDER BY id"""
HEARD = """
UPDATE mainspring.node SET seen_at = clock_timestamp(), busy = %s,
  lease_until = clock_timestamp() + %s * interval '1 microsecond' WHERE id = %s"""
REPORT = "UPDATE mainspring.node SET unknown = %s WHERE id = %s"
DROP_NODE = "DELETE FROM mainspring.node WHERE id = %s RETURNING id"
SESSION_IS_GONE = "SELECT pg_try_advisory_xact_lock(%s, %s)"
LEASE_OF = """
SELECT place, (extract(epoch FROM lease_until - clock_timestamp()) * 1000000)::bigint FROM mainspring.node
WHERE id = %s FOR UPDATE"""

# ── schedules and listeners ────────────────────────────────────────────────────────────────────────────────────
_STANDING = "kind, name, app, definition, paused, next_run_at, holder, status, version"
PUT = f"""
INSERT INTO mainspring.standing ({_STANDING}) VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s) ON CONFLICT DO NOTHING"""
STANDINGS = f"""
SELECT {_STANDING} FROM mainspring.standing
WHERE (%(kind)s::text IS NULL OR kind = %(kind)s) AND name > %(after)s
  AND (%(before)s::bigint IS NULL OR next_run_at < %(before)s)
ORDER BY kind, name LIMIT %(limit)s"""
STANDING = f"SELECT {_STANDING} FROM mainspring.standing WHERE kind = %s AND name = %s"
ADVANCE = """
UPDATE mainspring.standing SET app = %s, definition = %s, paused = %s, next_run_at = %s, holder = %s, status = %s,
  version = version + 1
WHERE kind = %s AND name = %s AND version = %s"""
REMOVE = "DELETE FROM mainspring.standing WHERE kind = %s AND name = %s"

# ── history ────────────────────────────────────────────────────────────────────────────────────────────────────
OLD = f"""
SELECT id FROM ({
    " UNION ALL ".join(
        f'''(SELECT id, finished_at FROM mainspring.task WHERE state >= 2 AND state = {code} AND {FIRED} = {fired}
        AND finished_at < %(before)s ORDER BY finished_at, id LIMIT %(limit)s)'''
        for code in _CODES
        for fired in ("false", "true")
    )
}) AS old ORDER BY finished_at, id LIMIT %(limit)s"""
BEYOND = """
SELECT id FROM mainspring.task WHERE schedule = %(schedule)s AND schedule IS NOT NULL AND state >= 2
ORDER BY finished_at DESC, id DESC LIMIT %(limit)s OFFSET %(keep)s"""
FORGET_ATTEMPTS = "DELETE FROM mainspring.attempt WHERE task = ANY(%s)"
FORGET_OUTPUTS = "DELETE FROM mainspring.output WHERE task = ANY(%s)"
FORGET_ARRIVALS = "DELETE FROM mainspring.arrival WHERE task = ANY(%s) AND gone"
FORGET_TASKS = "DELETE FROM mainspring.task WHERE id = ANY(%s)"
