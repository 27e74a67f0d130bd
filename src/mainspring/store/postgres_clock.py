"""How far this machine's clock is from the server's. Tasks start by this machine's: where it is off, that is said."""

import logging

import psycopg
from psycopg.rows import TupleRow

from mainspring.when.clock import Clock

log = logging.getLogger("mainspring")

_NOW = "SELECT (extract(epoch FROM clock_timestamp()) * 1000000)::bigint"
_ASKED = 5  # times: the answer that took least counts
_MUCH_US = 100_000


def offset(con: psycopg.Connection[TupleRow], clock: Clock) -> tuple[int, int]:
    """By how much (µs) the server's clock is ahead of this one, and how far off that can be at most."""
    found: list[tuple[int, int]] = []
    for _ in range(_ASKED):
        before = clock.now()
        [(there,)] = con.execute(_NOW).fetchall()
        after = clock.now()
        found.append(((after - before + 1) // 2, there - (before + after) // 2))
    error, ahead = min(found)
    return ahead, error


def warn_where_off(con: psycopg.Connection[TupleRow], clock: Clock, place: str) -> None:
    """Say so where this clock and the server's are surely more than 0.1 s apart."""
    ahead, error = offset(con, clock)
    if abs(ahead) - error > _MUCH_US:
        log.warning(
            "the clock of this machine is %.3f s %s that of %s (± %.3f s): what it starts is so much %s by "
            "the clocks of others; set it, and keep it in step (NTP)",
            abs(ahead) / 1e6, "behind" if ahead > 0 else "ahead of", place, error / 1e6,
            "late" if ahead > 0 else "early",
        )  # fmt: skip
