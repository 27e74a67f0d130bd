"""`find` on PostgreSQL: the right rows without looking at all of them, from the same indexes as on SQLite.

Each source gives at most `limit` ids, in the order that is wanted; a lane, or a kind of end, is a source of its own.
"""

# ruff: noqa: S608 - nothing enters these texts but constants; values are always bound

from typing import LiteralString

from mainspring.store.postgres_migrate import FIRED
from mainspring.store.rows import Filter, Lane
from mainspring.tasks.names import answers_to
from mainspring.tasks.state import CODES, FINISHED, STATES, State

Query = tuple[LiteralString, dict[str, object]]

_LANES = "WITH lanes AS (SELECT * FROM unnest(%(lanes)s::bigint[], %(named)s::boolean[]) AS l (id, named))"
_TASKS = "FROM mainspring.task t JOIN lanes l ON l.id = t.lane"


def unfinished(wanted: Filter, lanes: list[Lane]) -> Query | None:
    """Finds the ids of unfinished tasks that fit, soonest first; None when no state or lane is wanted."""
    states = [state for state in (wanted.states or STATES) if state not in FINISHED]
    values = _values(wanted, lanes, wanted.limit)
    if not values["lanes"] or not states:
        return None
    test, codes = _test(wanted, "(t.run_at, t.id) > (%(after)s, %(after_id)s)"), _codes(states)
    if (column := _rarest(wanted)) is not None:
        parts = [
            f"SELECT t.id, t.run_at {_TASKS} WHERE t.{column} = %({column})s AND t.state < 2 AND {codes} AND {test}"
        ]
    else:
        parts = [f"SELECT t.id, t.run_at {_TASKS} WHERE t.holder IS NOT NULL AND {codes} AND {test}"]
        if State.WAITING in states:
            parts.append(
                f"""SELECT d.id, d.run_at FROM lanes l CROSS JOIN LATERAL (
                  SELECT t.id, t.run_at FROM mainspring.task t
                  WHERE t.lane = l.id AND t.state = 0 AND t.holder IS NULL AND {test}
                  ORDER BY t.run_at, t.id LIMIT %(limit)s) d WHERE l.named"""
            )
        if State.WAITING in states and wanted.name is not None:
            free = "t.state < 2 AND t.state = 0 AND t.holder IS NULL"
            parts.append(
                f"SELECT t.id, t.run_at {_TASKS} WHERE t.name = %(name)s AND {free} AND NOT l.named AND {test}"
            )
    return _first(parts, "run_at, id"), values


def finished(wanted: Filter, lanes: list[Lane], limit: int) -> Query | None:
    """Finds the ids of finished tasks that fit, newest first; None when no state or lane is wanted."""
    states = [state for state in (wanted.states or STATES) if state in FINISHED]
    values = _values(wanted, lanes, limit)
    if not values["lanes"] or not states or limit <= 0:
        return None
    test = _test(wanted, "(t.finished_at, t.id) < (%(after)s, %(after_id)s)")
    ended = f"t.state >= 2 AND {_codes(states)}"
    column = _rarest(wanted)
    parts: list[str] = []
    if column is not None:
        parts.append(_newest(f"t.{column} = %({column})s AND {ended} AND {test}"))
    else:
        parts += [
            _newest(f"t.state >= 2 AND t.state = {CODES[state]} AND {FIRED} = {fired} AND l.named AND {test}")
            for state in states
            for fired in ("false", "true")
        ]
        if wanted.name is not None:
            parts.append(_newest(f"t.name = %(name)s AND {ended} AND NOT l.named AND {test}"))
    return _first(parts, "finished_at DESC, id DESC"), values


def _newest(condition: str) -> str:
    return f"""SELECT t.id, t.finished_at {_TASKS} WHERE {condition} ORDER BY t.finished_at DESC, t.id DESC
      LIMIT %(limit)s"""


def _first(parts: list[str], order: str) -> LiteralString:
    every = " UNION ALL ".join(f"({part})" for part in parts)
    return f"{_LANES} SELECT id FROM ({every}) AS found ORDER BY {order} LIMIT %(limit)s"


def _codes(states: list[State]) -> str:
    return f"t.state IN ({', '.join(str(CODES[state]) for state in states)})"


def _rarest(wanted: Filter) -> str | None:
    """The column with an index that leaves the fewest rows, whatever else is asked for."""
    return "key" if wanted.key is not None else "schedule" if wanted.schedule is not None else None


def _values(wanted: Filter, lanes: list[Lane], limit: int) -> dict[str, object]:
    """Everything that the texts name; `named`: the lane's work already answers to the wanted name."""
    fit = [
        lane
        for lane in lanes
        if (wanted.queue is None or wanted.queue == lane.queue) and (wanted.kind is None or wanted.kind is lane.kind)
    ]
    return {
        "lanes": [lane.id for lane in fit],
        "named": [wanted.name is None or answers_to(lane.kind, lane.work, wanted.name) for lane in fit],
        "limit": limit,
        "schedule": wanted.schedule,
        "key": wanted.key,
        "name": wanted.name,
        "due_before": wanted.due_before,
        "after": wanted.after and wanted.after[0],
        "after_id": wanted.after and wanted.after[1],
    }


def _test(wanted: Filter, behind: str) -> str:
    """What the lane does not decide, as a condition on `t` and `l`; `behind`: what goes on after a row."""
    tests = [
        f"t.{column} = %({column})s"
        for column, value in (("schedule", wanted.schedule), ("key", wanted.key))
        if value is not None
    ]
    if wanted.name is not None:
        tests.append("(l.named OR t.name = %(name)s)")
    if wanted.due_before is not None:
        tests.append("t.run_at < %(due_before)s")
    if wanted.after is not None:
        tests.append(behind)
    return " AND ".join(tests or ["TRUE"])
