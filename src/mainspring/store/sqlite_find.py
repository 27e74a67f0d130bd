"""`find`: the right rows without looking at all of them.

What waits and nobody holds is read lane by lane in the order of `run_at`, what is held by the index of holders, and
what is finished from the newest. A key, a schedule and a label have indexes of their own, of the tasks that have one.
Each source gives at most `limit` ids; only a queue, kind or function that little of the history is of makes that longer
to read.
"""

# ruff: noqa: S608 - nothing enters these texts but constants; values are always bound

import msgspec

from mainspring.store.rows import Filter, Lane
from mainspring.store.sqlite_sql import FIRED, Value
from mainspring.tasks.names import answers_to
from mainspring.tasks.state import CODES, FINISHED, STATES, State

Query = tuple[str, list[Value]]


def unfinished(wanted: Filter, lanes: list[Lane]) -> Query | None:
    """Finds the ids of unfinished tasks that fit, soonest first; None when no state or lane is wanted."""
    chosen = _lanes(wanted, lanes)
    states = [state for state in (wanted.states or STATES) if state not in FINISHED]
    if not chosen or not states:
        return None
    test, values = _test(wanted, "(t.run_at, t.id) > (:after, :after_id)")
    codes = ", ".join(str(CODES[state]) for state in states)
    if (column := _rarest(wanted)) is not None:
        parts = [_soonest(f"t.{column} = :{column} AND t.state < 2 AND t.state IN ({codes}) AND {test}")]
    else:
        parts = [
            f"""SELECT t.id, t.run_at FROM task t JOIN lanes l ON l.id = t.lane
            WHERE t.holder IS NOT NULL AND t.state IN ({codes}) AND {test}"""
        ]
        if State.WAITING in states:
            parts.append(f"""SELECT t.id, t.run_at FROM lanes l CROSS JOIN task t WHERE l.named AND t.id IN (
                SELECT t.id FROM task t WHERE t.lane = l.id AND t.state = 0 AND t.holder IS NULL AND {test}
                ORDER BY t.run_at, t.id LIMIT :limit)""")
        if State.WAITING in states and wanted.name is not None:
            free = "t.state < 2 AND t.state = 0 AND t.holder IS NULL"
            parts.append(_soonest(f"t.name = :name AND {free} AND NOT l.named AND {test}"))
    statement = f"""
      WITH lanes (id, named) AS MATERIALIZED (SELECT value ->> 0, value ->> 1 FROM json_each(:lanes))
      SELECT json_group_array(id ORDER BY run_at, id) FROM (
        SELECT id, run_at FROM ({" UNION ALL ".join(parts)}) ORDER BY run_at, id LIMIT :limit)"""
    return _bound(statement, {"lanes": msgspec.json.encode(chosen).decode(), "limit": wanted.limit, **values})


def finished(wanted: Filter, lanes: list[Lane], limit: int) -> Query | None:
    """Finds the ids of finished tasks that fit, newest first; None when no state or lane is wanted."""
    chosen = _lanes(wanted, lanes)
    states = [state for state in (wanted.states or STATES) if state in FINISHED]
    if not chosen or not states or limit <= 0:
        return None
    test, values = _test(wanted, "(t.finished_at, t.id) < (:after, :after_id)")
    among = "EXISTS (SELECT 1 FROM lanes l WHERE l.id = t.lane AND {})".format
    ended = f"t.state >= 2 AND t.state IN ({', '.join(str(CODES[state]) for state in states)})"
    parts: list[str] = []
    if (column := _rarest(wanted)) is not None:
        parts.append(_newest(f"t.{column} = :{column} AND {ended} AND {among(test)}"))
    elif any(named for _, named in chosen):
        here = among(f"l.named AND {test}") if len(chosen) < len(lanes) or wanted.name is not None else test
        parts += [
            _newest(f"t.state >= 2 AND t.state = {CODES[state]} AND {FIRED} = {fired} AND {here}")
            for state in states
            for fired in (0, 1)
        ]
    if column is None and wanted.name is not None:
        parts.append(_newest(f"t.name = :name AND {ended} AND {among(f'NOT l.named AND {test}')}"))
    statement = f"""
      WITH lanes (id, named) AS MATERIALIZED (SELECT value ->> 0, value ->> 1 FROM json_each(:lanes))
      SELECT json_group_array(id) FROM (
        SELECT id FROM ({" UNION ALL ".join(parts)}) ORDER BY finished_at DESC, id DESC LIMIT :limit)"""
    return _bound(statement, {"lanes": msgspec.json.encode(chosen).decode(), "limit": limit, **values})


def _soonest(condition: str) -> str:
    return f"""SELECT * FROM (SELECT t.id, t.run_at FROM task t CROSS JOIN lanes l ON l.id = t.lane
      WHERE {condition} ORDER BY t.run_at, t.id LIMIT :limit)"""


def _newest(condition: str) -> str:
    return f"""SELECT * FROM (SELECT t.id, t.finished_at FROM task t
      WHERE {condition} ORDER BY t.finished_at DESC, t.id DESC LIMIT :limit)"""


def _rarest(wanted: Filter) -> str | None:
    """The column with an index that leaves the fewest rows, whatever else is asked for."""
    return "key" if wanted.key is not None else "schedule" if wanted.schedule is not None else None


def _lanes(wanted: Filter, lanes: list[Lane]) -> list[tuple[int, int]]:
    """The lanes that fit, each with 1 when its work already answers to the wanted name."""
    return [
        (lane.id, int(wanted.name is None or answers_to(lane.kind, lane.work, wanted.name)))
        for lane in lanes
        if (wanted.queue is None or wanted.queue == lane.queue) and (wanted.kind is None or wanted.kind is lane.kind)
    ]


def _test(wanted: Filter, behind: str) -> tuple[str, dict[str, Value]]:
    """What the lane does not decide, as a condition on `t` and `l`; `behind`: what goes on after a row."""
    tests, values = ["TRUE"], dict[str, Value]()
    for column, value in (("schedule", wanted.schedule), ("key", wanted.key)):
        if value is not None:
            tests.append(f"t.{column} = :{column}")
            values[column] = value
    if wanted.name is not None:
        tests.append("(l.named OR t.name = :name)")
        values["name"] = wanted.name
    if wanted.due_before is not None:
        tests.append("t.run_at < :due_before")
        values["due_before"] = wanted.due_before
    if wanted.after is not None:
        tests.append(behind)
        values["after_id"], values["after"] = wanted.after[1], wanted.after[0]
    return " AND ".join(tests), values


def _bound(statement: str, values: dict[str, Value]) -> Query:
    """The statement with numbered parameters, in the order of `values`."""
    for number, name in enumerate(values, 1):
        statement = statement.replace(f":{name}", f"?{number}")
    return statement, list(values.values())
