"""What kept a task from its instant, as far as rows say: of the tasks around it, of the daemons, of its schedule."""

from collections.abc import Iterator
from datetime import tzinfo

from mainspring.errors import InvalidValue
from mainspring.store.protocol import Store
from mainspring.store.rows import Filter, TaskRow
from mainspring.tasks.state import State
from mainspring.when.readable import exact, span

ON_TIME_US = 5_000  # what a machine needs that does other things as well
MOST = 500  # tasks around it that are looked at
_STEPS_US = [
    10**power for power in range(3, 16)
]  # how far back the occurrence before one is looked for: 1 ms to 30 years
_RAN = (State.RUNNING, State.SUCCEEDED, State.FAILED, State.CANCELLED)


def causes(store: Store, row: TaskRow, zone: tzinfo) -> Iterator[tuple[str, str]]:
    """Code and words of each cause that is recorded for a late start; one that says so where none is."""
    assert row.started_at is not None
    found = [*_added_late(row), *_clocks(store, row, zone), *_nobody(store, row, zone), *_in_the_way(store, row, zone)]
    yield from found or [("not recorded", "what held it up is not recorded, or no longer")]


def _added_late(row: TaskRow) -> Iterator[tuple[str, str]]:
    if row.attempt <= 1 and row.created_at - row.run_at >= ON_TIME_US:
        yield "added late", f"it was added {span(row.created_at - row.run_at)} after that instant"


def _clocks(store: Store, row: TaskRow, zone: tzinfo) -> Iterator[tuple[str, str]]:
    """A clock was set, or a machine slept, between its instant and its start."""
    assert row.started_at is not None
    for node in store.nodes():
        if node.moved is None or not row.run_at <= node.moved[0] <= row.started_at:
            continue
        at, set_by, slept = node.moved
        if slept:
            yield "machine slept", f"{node.host} slept for {span(slept)}, until {exact(at, zone)}"
        if set_by:
            way = "forward" if set_by > 0 else "back"
            yield "clock set", f"the clock of {node.host} was set {way} by {span(abs(set_by))}, to {exact(at, zone)}"


def _nobody(store: Store, row: TaskRow, zone: tzinfo) -> Iterator[tuple[str, str]]:
    """No daemon that runs now had started by then."""
    begun = [node.started_at for node in store.nodes() if node.alive]
    due = max(row.run_at, row.created_at)
    if begun and due < min(begun) <= (row.started_at or due):
        yield "no daemon", f"none of the daemons that run now ran then: the first started at {exact(min(begun), zone)}"


def _in_the_way(store: Store, row: TaskRow, zone: tzinfo) -> Iterator[tuple[str, str]]:
    """What ran at its instant, and what started between that and its start."""
    assert row.started_at is not None
    due, started = max(row.run_at, row.created_at), row.started_at
    around = [
        one
        for one in store.find(Filter(states=_RAN, due_before=started + 1, limit=MOST))
        if one.id != row.id and one.started_at is not None and (one.finished_at or started) > due
    ]
    running = [one for one in around if one.started_at is not None and one.started_at <= due]
    siblings = [one for one in running if row.schedule is not None and one.schedule == row.schedule]
    if siblings:
        ended = siblings[-1].finished_at
        until = "still runs" if ended is None else f"ran until {exact(ended, zone)}"
        yield "overlap", f"task {siblings[-1].id}, an occurrence of the same schedule, {until}"
    workers = sum(node.workers for node in store.nodes() if node.alive)
    if running:
        names = ", ".join(f"task {one.id}" for one in running[:3]) + (", ..." if len(running) > 3 else "")
        all_busy = f"all {workers} workers were busy" if len(running) >= workers > 0 else f"{len(running)} tasks ran"
        ends = [one.finished_at for one in running if one.finished_at is not None]
        freed = f"; the first of them ended at {exact(min(ends), zone)}" if ends else ""
        yield "workers busy", f"{all_busy} at its instant ({names}){freed}"
    between = sum(one.started_at is not None and due < one.started_at < started for one in around)
    if between:
        yield "others first", f"{between:,}{' or more' if between >= MOST // 2 else ''} other tasks started meanwhile"


def occurrence_before(store: Store, row: TaskRow, now: int) -> TaskRow | None:
    """The occurrence of its schedule that runs, or is to start before it."""
    wanted = Filter(schedule=row.schedule, states=(State.RUNNING, State.WAITING), due_before=now + 1, limit=MOST)
    first = [one for one in store.find(wanted) if one.id != row.id]
    return next((one for one in first if one.state is State.RUNNING or one.run_at < row.run_at), None)


def due_before(store: Store, row: TaskRow) -> int:
    """How many tasks of its queue are due and come first, up to `MOST`."""
    wanted = Filter(queue=row.queue, states=(State.WAITING,), due_before=row.run_at + 1, limit=MOST)
    mine = (-row.priority, row.run_at, row.id)
    return sum((-one.priority, one.run_at, one.id) < mine for one in store.find(wanted))


def notes(store: Store, row: TaskRow, zone: tzinfo) -> tuple[str, ...]:
    """What changes of the clocks did to this occurrence, by its schedule's rule as it is now."""
    from mainspring.engine.definitions import trigger_of
    from mainspring.when.preview import preview

    standing = None if row.schedule is None else store.standing("schedule", row.schedule)
    at = row.occurrence
    if standing is None or at is None:
        return ()
    try:
        trigger = trigger_of(standing)
    except InvalidValue:
        return ()
    for back in _STEPS_US:
        before = trigger.next_us(at - back)
        while before is not None and before < at:
            after = trigger.next_us(before)
            if after is not None and after >= at:
                told = preview(trigger, before, 1, zone)
                return told[0].notes if told and told[0].at == at else ()
            before = after
    return ()
