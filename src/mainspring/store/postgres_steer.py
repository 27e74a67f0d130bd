"""What a caller may do to one task, by its state and its holder, on PostgreSQL."""

from mainspring.errors import KeyInUse
from mainspring.store import postgres_sql as sql
from mainspring.store.postgres_connection import Cursor
from mainspring.store.rows import Again, Cancel, Change, Reschedule, Verdict
from mainspring.store.rules import allows
from mainspring.tasks.state import STATES, State


def steer(cursor: Cursor, task: int, change: Change, now: int, token: int | None) -> tuple[Verdict, list[str]]:
    """Make the change if it may be made; the verdict, and the news of it."""
    found = cursor.execute(sql.STEERED, (task,)).fetchone()
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
            cursor.execute(sql.CANCEL, (reason, now, [task]))
            return Verdict("done", State.CANCELLED), ["done"]
        case Reschedule(run_at, expires_at):
            cursor.execute(sql.RESCHEDULE, (run_at, expires_at, task))
        case Again(run_at, expires_at):
            for _, owner, _, _ in cursor.execute(sql.KEY_OWNERS, ([key],)) if key is not None else ():
                raise KeyInUse(key, str(owner))
            if cursor.execute(sql.OCCURRENCE_OF, (task,)).fetchall():  # made anew since this one was cancelled
                return Verdict("too-late", state), []
            cursor.execute(sql.AGAIN, {"task": task, "run_at": run_at, "expires_at": expires_at})
    return Verdict("done", State.WAITING), [f"due {change.run_at}"]
