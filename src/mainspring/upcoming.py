"""What will run: tasks that wait, and occurrences of schedules that are no tasks yet, in order of time."""

import heapq
from collections.abc import Iterator, Sequence
from itertools import islice
from operator import attrgetter

import msgspec

from mainspring.client import Client
from mainspring.shown import ShownWork, shown_task, shown_work
from mainspring.standing import Schedule
from mainspring.store.rows import Filter
from mainspring.tasks.names import bare_name
from mainspring.tasks.state import State
from mainspring.when.instants import from_datetime, isoformat
from mainspring.when.triggers import decode_trigger

Paused = frozenset[str | None]  # queues; None among them: everything


class Upcoming(ShownWork, frozen=True, kw_only=True):
    """What will run: `id` of the task, null for an occurrence that is no task yet; `paused`: its queue is."""

    run_at: str
    name: str
    id: str | None
    schedule: str | None
    queue: str
    priority: int
    paused: bool


def upcoming(
    client: Client, schedules: Sequence[Schedule], end: int, limit: int, *, alone: bool = False
) -> list[Upcoming]:
    """What will run up to `end` (µs), soonest first, at most `limit`; what is overdue stands first.

    `schedules`: those whose occurrences are wanted; `alone`: no tasks but theirs.
    """
    now, paused = client.clock.now(), client.store.paused()
    waiting = _tasks(client, [one.name for one in schedules] if alone else (), end, limit, paused)
    coming = [_occurrences(client, one, now, end, paused) for one in schedules]
    return list(islice(heapq.merge(waiting, *coming, key=attrgetter("run_at")), limit))


def _tasks(client: Client, names: Sequence[str], end: int, limit: int, paused: Paused) -> list[Upcoming]:
    """Waiting tasks that are due before `end` (µs), soonest first; of these schedules, if there are names."""
    rows = [
        row
        for schedule in names or (None,)
        for row in client.store.find(
            Filter(states=(State.WAITING,), schedule=schedule, due_before=end + 1, limit=limit)
        )
    ]
    out: list[Upcoming] = []
    for row in sorted(rows, key=attrgetter("run_at")):
        shown = shown_task(row, client.registry)
        parts = {word: getattr(shown, word) for word in Upcoming.__struct_fields__ if word != "paused"}
        out.append(Upcoming(**parts, paused=None in paused or row.queue in paused))
    return out


def _occurrences(client: Client, schedule: Schedule, now: int, end: int, paused: Paused) -> Iterator[Upcoming]:
    """The occurrences up to `end` (µs) that are no tasks yet. Of those that are overdue the first stands for all: what
    becomes of them is the daemon's to say, when there is one.
    """
    first = schedule.next_run_at
    at = None if first is None else from_datetime(first)
    if at is None or at > end:
        return
    definition = schedule.definition
    trigger, work = decode_trigger(definition.trigger), definition.work
    parts = msgspec.structs.asdict(shown_work(work.kind, work.work, work.payload, client.registry))
    while at is not None and at <= end:
        yield Upcoming(
            **parts, run_at=isoformat(at), name=work.name or bare_name(work.kind, work.work), id=None,
            schedule=schedule.name, queue=work.queue, priority=work.priority,
            paused=None in paused or work.queue in paused,
        )  # fmt: skip
        at = trigger.next_us(max(at, now))
