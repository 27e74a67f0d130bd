"""Making a store's file older: what each step of the schema did is undone, as far as nothing is lost by it."""

from mainspring.store.migrate import STEPS

# From the second step on, each as the statements that undo it; a further step of the schema needs one more.
UNDO: tuple[str, ...] = (
    "DROP TRIGGER task_started; DROP TRIGGER task_start_moved; DROP TABLE lateness",
    "DROP INDEX task_label; DROP INDEX task_schedule; DROP INDEX task_label_ended; DROP INDEX task_schedule_ended; "
    "DROP INDEX task_key_ended",
    "DROP INDEX task_occurrence; ALTER TABLE task DROP COLUMN occurrence; ALTER TABLE task DROP COLUMN missed_until; "
    "ALTER TABLE task DROP COLUMN missed_count",
    "DROP TABLE imported",
    "DROP TABLE arrival",
)
_OCCURRENCES = 4  # the version from which on there are any


def make_older(con, version):
    """Bring the store back to `version`, or to the oldest that can hold what is in it; the version that it has then."""
    if con.execute("SELECT count(*) FROM task WHERE occurrence IS NOT NULL").get:
        version = max(version, _OCCURRENCES)
    for statements in UNDO[version - 1 :][::-1]:
        con.execute(statements)
    con.execute(f"PRAGMA user_version = {version}")
    assert version <= len(STEPS)
    return version
