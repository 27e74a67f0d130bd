"""Changes from outside: cancel, reschedule, again. Whether the state allows them, and the making."""

import apsw
import msgspec

from mainspring.errors import KeyInUse
from mainspring.store import sqlite_sql as sql
from mainspring.store.rows import Again, Cancel, Change, Reschedule, Verdict
from mainspring.store.rules import allows
from mainspring.tasks.state import STATES, State


def steer(con: apsw.Connection, task: int, change: Change, now: int, token: int | None) -> tuple[Verdict, list[str]]:
    """Make the change if it may be made; the verdict, and the news of it."""
    found = con.execute(sql.STEERED, (task,)).get
    if found is None:
        return Verdict("not-found"), []
    code, holder, held_under, attempt, options, key = found
    state = STATES[code]
    if not allows(change, state, attempt, options):
        return Verdict("too-late", state), []
    if state is State.RUNNING or (holder is not None and held_under != token):
        return Verdict("held", state, holder), []
    match change:
        case Cancel(reason):
            con.execute(sql.CANCEL, (msgspec.json.encode([task]).decode(), reason, now))
            return Verdict("done", State.CANCELLED), ["done"]
        case Reschedule(run_at, expires_at):
            con.execute(sql.RESCHEDULE, (task, run_at, expires_at))
        case Again(run_at, expires_at):
            owner = con.execute(sql.KEY_OWNER, (key,)).get
            if owner is not None:
                raise KeyInUse(str(key), str(owner))
            if con.execute(sql.OCCURRENCE_OF, (task,)).get is not None:  # made anew since this one was cancelled
                return Verdict("too-late", state), []
            con.execute(sql.AGAIN, (task, run_at, expires_at))
    return Verdict("done", State.WAITING), [f"due {change.run_at}"]
