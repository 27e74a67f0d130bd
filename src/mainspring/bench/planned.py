"""Very many stored schedules, of which some fall due each second: how soon a daemon is up, and how late they start."""

import random
import threading
from collections import Counter
from contextlib import closing

from mainspring import context
from mainspring.app import Daemon
from mainspring.bench.figures import Planned, Started
from mainspring.engine.definitions import ScheduleDefinition, Work, encode
from mainspring.store.rows import Standing
from mainspring.when.clock import SystemClock
from mainspring.when.every import Every
from mainspring.when.instants import to_datetime
from mainspring.when.triggers import encode_trigger

_clock = SystemClock()
_NAME = "bench:tick"
_LEAD_US = 3_000_000  # from the daemon's start to the first occurrence
_PATIENCE_S = 60.0


def planned(count: int, a_second: float, seconds: float) -> Planned:
    """`count` schedules of one function, at random instants of an interval in which `a_second` of them fall due a
    second; those of the first `seconds` are measured.
    """
    lead = _LEAD_US + count * 400  # what it takes to store them, before anything of it is due
    first = _clock.now() + lead
    interval = round(count / a_second * 1e6)
    due = sorted(first + random.randrange(interval) for _ in range(count))  # noqa: S311  # instants, not secrets
    _store(due, interval)
    wanted = [at for at in due if at < first + seconds * 1e6]
    began: list[tuple[int, int]] = []
    done = threading.Event()

    def tick() -> None:
        now = _clock.now()
        due_at = context().run_at
        assert due_at is not None, "an occurrence has an instant"
        at = round(due_at.timestamp() * 1e6)
        began.append((at, now))
        if at >= wanted[-1]:
            done.set()

    started_at = _clock.monotonic()
    daemon = Daemon("bench.db", workers=8)
    daemon.task(name=_NAME)(tick)
    with daemon:
        start_ms = (_clock.monotonic() - started_at) / 1000
        done.wait((wanted[-1] - _clock.now()) / 1e6 + _PATIENCE_S)
    return Planned(schedules=count, start_ms=start_ms, started=_started(began, wanted))


def _store(due: list[int], interval: int) -> None:
    """Store them, as if they had been added by hand."""
    with closing(Daemon("bench.db")) as client:
        for number, at in enumerate(due):
            every = Every(interval / 1e6, anchor=to_datetime(at))
            definition = ScheduleDefinition(trigger=encode_trigger(every), work=Work(work=_NAME))
            client.store.put(
                Standing(kind="schedule", name=f"s{number}", definition=encode(definition), next_run_at=at)
            )


def _started(began: list[tuple[int, int]], wanted: list[int]) -> Started:
    """How late those that were wanted began; two that are due at one instant count as two."""
    ran = Counter(at for at, _ in began)
    expected = Counter(wanted)
    return Started(
        late=sorted(now - at for at, now in began if at in expected),
        lost=sum((expected - ran).values()),
        twice=sum((ran - expected)[at] for at in expected),
    )
