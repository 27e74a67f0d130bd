"""Looks into somebody's own database, and into a store, for tests of adding within transactions."""

from mainspring.store.rows import Filter
from mainspring.tasks.state import STATES


def outbox_rows(con):
    """What is in the outbox now."""
    if not con.execute("SELECT 1 FROM sqlite_master WHERE name = 'mainspring_outbox'").fetchall():
        return []
    return con.execute("SELECT id, task FROM mainspring_outbox ORDER BY id").fetchall()


def stored(daemon):
    """All tasks of the daemon's store."""
    return daemon.store.find(Filter(states=STATES, limit=100_000))
