"""How late starts were of late: over the last minute, 10 minutes, hour and day; also by name, queue and schedule.

Read from the counts that every recorded start leaves in the store (`store.histogram`): percentiles are within 5 %, the
maximum is exact, the same from any process, and still there after a restart. A window begins on a mark of its grain,
so it covers up to a grain more: 10 s for the first two, a minute for the hour, 10 minutes for the day.
"""

from collections.abc import Callable, Iterable

import msgspec

from mainspring.store.histogram import SECOND, Spread
from mainspring.store.protocol import Store
from mainspring.store.rows import Lane, LateRow

WINDOWS = {"1m": 60 * SECOND, "10m": 600 * SECOND, "1h": 3_600 * SECOND, "24h": 86_400 * SECOND}
BY = ("name", "queue", "schedule")


class Late(msgspec.Struct, frozen=True):
    """How late `count` starts were, in milliseconds; None when there were none."""

    count: int
    p50: float | None
    p90: float | None
    p99: float | None
    max: float | None


class NamedLate(Late, frozen=True):
    """Those of one registered name (or program), queue or schedule."""

    name: str


class LateWindow(Late, frozen=True, kw_only=True):
    """All starts of the last `window` (`1m`, `10m`, `1h`, `24h`), and the same apart, the latest first."""

    window: str
    names: list[NamedLate]
    queues: list[NamedLate]
    schedules: list[NamedLate]


def read_lateness(store: Store, now: int, windows: Iterable[str] = WINDOWS) -> list[LateWindow]:
    """The lateness of what started within each of `windows` before `now`."""
    lanes = {lane.id: lane for lane in store.lanes()}
    return [_window(window, store.lateness(now - WINDOWS[window]), lanes) for window in windows]


def _window(window: str, rows: list[LateRow], lanes: dict[int, Lane]) -> LateWindow:
    rows = [row for row in rows if row.lane in lanes]  # else of a lane that was made a moment ago: next time
    whole = figures(spread_of(rows))
    return LateWindow(
        *(whole.count, whole.p50, whole.p90, whole.p99, whole.max),
        window=window,
        names=_apart(rows, lambda row: lanes[row.lane].work),
        queues=_apart(rows, lambda row: lanes[row.lane].queue),
        schedules=_apart(rows, lambda row: row.schedule),
    )


def _apart(rows: list[LateRow], name_of: Callable[[LateRow], str | None]) -> list[NamedLate]:
    groups: dict[str, list[LateRow]] = {}
    for row in rows:
        name = name_of(row)
        if name is not None:
            groups.setdefault(name, []).append(row)
    found = []
    for name, group in groups.items():
        late = figures(spread_of(group))
        found.append(NamedLate(late.count, late.p50, late.p90, late.p99, late.max, name))
    return sorted(found, key=lambda one: (-(one.p99 or 0), one.name))


def spread_of(rows: Iterable[LateRow]) -> Spread:
    """All these rows in one histogram."""
    spread = Spread()
    for row in rows:
        spread.add(row.bucket, row.count, row.most)
    return spread


def figures(spread: Spread) -> Late:
    """What is shown of a histogram."""
    return Late(spread.count, *(_ms(value) for value in (*map(spread.at, (0.5, 0.9, 0.99)), spread.max)))


def _ms(value: float | None) -> float | None:
    return None if value is None else round(value / 1000, 3)
