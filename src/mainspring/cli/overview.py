"""What `top` shows, read from the store in a few cheap looks: the same from any process."""

import msgspec

from mainspring.client import Client
from mainspring.lateness import Late, figures, spread_of
from mainspring.shown import ShownTask, shown_task
from mainspring.status import ListenerLine, NodeStatus, Workers, read_nodes, read_standings, unresolved
from mainspring.store.histogram import FINEST, SECOND
from mainspring.store.rows import Filter, LateRow, TaskRow
from mainspring.tasks.state import State
from mainspring.when.instants import isoformat, parse_instant

_MINUTE = 60 * SECOND
_SPAN = 10 * _MINUTE  # how far back `recent` goes
_GRAIN = FINEST * SECOND


class RunningTask(ShownTask, frozen=True, kw_only=True):
    """A task that runs; `node` is the id of its daemon."""

    node: int | None


class Due(msgspec.Struct, frozen=True):
    """What is due next: a task, or (`id` null) the next occurrence of a schedule that is no task yet."""

    id: str | None
    name: str
    run_at: str
    queue: str
    attempt: int
    schedule: str | None


class Moment(msgspec.Struct, frozen=True):
    """Ten seconds: how many tasks started in them, and the p99 of their lateness in ms (null: nothing started)."""

    start: str
    count: int
    p99: float | None


class Overview(msgspec.Struct, frozen=True, kw_only=True):
    """The one document of `top --json`; what `top` draws.

    `late` is of the last minute, `starts_per_second` too; `recent` has the last 10 minutes, oldest first. `running` are
    the tasks known to run (for 50 ms or more), longest first; `failed` those that failed last, newest first.
    """

    now: str
    store: str
    nodes: list[NodeStatus]
    workers: Workers
    counts: dict[str, int]
    unresolved: int
    paused: list[str]
    late: Late
    starts_per_second: float
    recent: list[Moment]
    running: list[RunningTask]
    due: list[Due]
    failed: list[ShownTask]
    listeners: list[ListenerLine]


def read_overview(client: Client, now: int, limit: int) -> Overview:
    """As it is `now`, with at most `limit` of each kind of task."""
    store = client.store
    alive = [node for node in store.nodes() if node.alive]
    nodes = read_nodes(alive)
    standings = store.standings()
    listeners, schedules = read_standings(standings, {node.id for node in alive})
    rows = store.lateness(now - _SPAN, apart=True)
    lately = [row for row in rows if row.start + row.length > now - _MINUTE]
    covered = now - (now - _MINUTE) // _GRAIN * _GRAIN
    late = figures(spread_of(lately))
    running = sorted(_find(client, State.RUNNING, limit), key=lambda row: row.started_at or 0)
    failed = sorted(_find(client, State.FAILED, limit), key=lambda row: -(row.finished_at or 0))
    due = [_due(client, row) for row in _find(client, State.WAITING, limit)]
    due += [
        Due(None, one.name, one.next_run_at, "", 0, one.name)
        for one in schedules
        if one.next_run_at is not None and not one.paused
    ]
    return Overview(
        now=isoformat(now),
        store=store.url,
        nodes=nodes,
        workers=Workers(sum(node.workers for node in nodes), sum(node.busy for node in nodes)),
        counts={state.value: count for state, count in store.stats().counts.items()},
        unresolved=unresolved(store, alive),
        paused=sorted("*" if queue is None else queue for queue in store.paused()),
        late=late,
        starts_per_second=round(late.count / covered * SECOND, 3),
        recent=_recent(rows, now),
        running=[
            RunningTask(**msgspec.structs.asdict(shown_task(row, client.registry)), node=row.holder) for row in running
        ],
        due=sorted(due, key=lambda one: one.run_at)[:limit],
        failed=[shown_task(row, client.registry) for row in failed],
        listeners=listeners,
    )


def _find(client: Client, state: State, limit: int) -> list[TaskRow]:
    return client.store.find(Filter(states=(state,), limit=limit))


def _due(client: Client, row: TaskRow) -> Due:
    shown = shown_task(row, client.registry)
    return Due(shown.id, shown.name, shown.run_at, shown.queue, shown.attempt, shown.schedule)


def _recent(rows: list[LateRow], now: int) -> list[Moment]:
    """One for each ten seconds, empty ones too; what was folded already counts where its window begins."""
    apart: dict[int, list[LateRow]] = {}
    for row in rows:
        apart.setdefault(row.start // _GRAIN, []).append(row)
    last = now // _GRAIN
    moments = []
    for mark in range(last - _SPAN // _GRAIN + 1, last + 1):
        late = figures(spread_of(apart.get(mark, ())))
        moments.append(Moment(isoformat(mark * _GRAIN), late.count, late.p99))
    return moments


def looks_again_in(overview: Overview, now: int) -> int:
    """For how long (µs) nothing that is shown changes by itself: a second while something runs or is due soon."""
    soon = any(parse_instant(one.run_at) < now + _MINUTE * 60 for one in overview.due)
    if overview.running or overview.workers.busy or soon:
        return SECOND
    return _GRAIN if any(moment.count for moment in overview.recent) else _MINUTE
