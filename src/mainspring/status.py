"""What `status` shows, read from the store and the nodes' journals."""

import msgspec

from mainspring.engine.definitions import listener_of, status_of
from mainspring.engine.planner import planned
from mainspring.lateness import LateWindow, read_lateness
from mainspring.store.protocol import Store
from mainspring.store.rows import NodeRow, Standing
from mainspring.tasks.state import State
from mainspring.when.instants import isoformat


class PartLate(msgspec.Struct, frozen=True):
    """What one part of the way added to the lateness, in milliseconds; None: not known."""

    p50: float | None
    p99: float | None
    max: float | None


class NodeLateness(msgspec.Struct, frozen=True):
    """Of the last 10 to 20 minutes of one daemon: `timer` (instant to handed over), `worker` (the wait for a free
    one), `start` (taken to the body).
    """

    timer: PartLate
    worker: PartLate
    start: PartLate


class ClockLine(msgspec.Struct, frozen=True):
    """The last time that a daemon noticed that its clock was set, or that its machine slept. `at`: by the clock as it
    was set. `set_by`: seconds, negative for back. `slept`: seconds. One of the two may be 0.
    """

    at: str
    set_by: float
    slept: float


class NodeStatus(msgspec.Struct, frozen=True):
    """A daemon that takes part."""

    id: int
    host: str
    pid: int
    version: str
    workers: int
    busy: int
    started_at: str
    lateness: NodeLateness
    clock: ClockLine | None = None


class Workers(msgspec.Struct, frozen=True):
    """Over all nodes."""

    total: int
    busy: int


class ListenerLine(msgspec.Struct, frozen=True):
    """A listener as `status` shows it."""

    name: str
    state: str
    restarts: int
    last_error: str | None


class ScheduleLine(msgspec.Struct, frozen=True):
    """A schedule as `status` shows it."""

    name: str
    next_run_at: str | None
    paused: bool


class Lateness(msgspec.Struct, frozen=True):
    """Of the last 1,000 tasks, in milliseconds; None when nothing ran yet."""

    p50: float | None
    p90: float | None
    p99: float | None
    max: float | None


class Status(msgspec.Struct, frozen=True):
    """Everything that `mainspring status --json` prints."""

    store: str
    nodes: list[NodeStatus]
    workers: Workers
    listeners: list[ListenerLine]
    schedules: list[ScheduleLine]
    counts: dict[str, int]
    unresolved: int
    paused: list[str]
    lateness_ms: Lateness
    lateness: list[LateWindow]


def read_status(store: Store, now: int) -> Status:
    """The status as it is `now`."""
    nodes = [node for node in store.nodes() if node.alive]
    stats = store.stats()
    listeners, schedules = read_standings(store.standings(), {node.id for node in nodes})
    paused = store.paused()
    return Status(
        store=store.url,
        nodes=read_nodes(nodes),
        workers=Workers(sum(node.workers for node in nodes), sum(node.busy for node in nodes)),
        listeners=listeners,
        schedules=schedules,
        counts={state.value: stats.counts.get(state, 0) for state in State},
        unresolved=unresolved(store, nodes),
        paused=sorted("*" if queue is None else queue for queue in paused),
        lateness_ms=percentiles(stats.lateness),
        lateness=read_lateness(store, now),
    )


def read_nodes(nodes: list[NodeRow]) -> list[NodeStatus]:
    """These daemons, as they are shown."""
    return [
        NodeStatus(
            *(node.id, node.host, node.pid, node.version, node.workers, node.busy, isoformat(node.started_at)),
            _parts([None if value is None else value / 1000 for value in node.lateness]),
            None if (moved := node.moved) is None else ClockLine(isoformat(moved[0]), moved[1] / 1e6, moved[2] / 1e6),
        )
        for node in nodes
    ]


def _parts(ms: list[float | None]) -> NodeLateness:
    return NodeLateness(PartLate(*ms[:3]), PartLate(*ms[3:6]), PartLate(*ms[6:9]))


def read_standings(standings: list[Standing], living: set[int]) -> tuple[list[ListenerLine], list[ScheduleLine]]:
    """The listeners and the schedules among them; `living`: the ids of the daemons that run."""
    listeners = [
        ListenerLine(one.name, _listener_state(one, living), status.restarts, status.last_error)
        for one in standings
        if one.kind == "listener"
        for status in (status_of(one),)
    ]
    schedules = [
        ScheduleLine(one.name, None if (at := planned(one)) is None else isoformat(at), one.paused)
        for one in standings
        if one.kind == "schedule"
    ]
    return listeners, schedules


def _listener_state(standing: Standing, living: set[int]) -> str:
    """The stored word, unless nobody is there who could have said it."""
    if standing.paused:
        return "paused"
    here = bool(living) if listener_of(standing).everywhere else standing.holder in living
    return status_of(standing).state if here else "down"


def unresolved(store: Store, nodes: list[NodeRow]) -> int:
    """How many tasks wait that no running daemon knows how to run."""
    unknown = unknown_to_all(nodes)
    return store.waiting(sorted(unknown)) if unknown else 0


def unknown_to_all(nodes: list[NodeRow]) -> set[int]:
    """The lanes that none of these daemons can run; none where there is no daemon."""
    return set.intersection(*(set(node.unknown) for node in nodes)) if nodes else set()


def percentiles(lateness: list[int]) -> Lateness:
    """p50, p90, p99 (nearest rank) and the maximum, in milliseconds."""
    if not lateness:
        return Lateness(None, None, None, None)
    ordered = sorted(lateness)
    last = len(ordered) - 1

    def rank(share: float) -> float:
        return round(ordered[min(last, int(share * len(ordered)))] / 1000, 3)

    return Lateness(rank(0.5), rank(0.9), rank(0.99), round(ordered[-1] / 1000, 3))
