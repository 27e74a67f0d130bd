"""How late things start: tasks at random instants, a bare thread at such instants, many at one instant, programs."""

import random
import threading
import time
from collections import Counter
from collections.abc import Sequence

from mainspring.app import Daemon
from mainspring.bench.figures import Programs, Started
from mainspring.when.clock import SystemClock
from mainspring.when.instants import to_datetime

_clock = SystemClock()
LEAD_US = 3_000_000  # from adding to the first instant
PATIENCE_S = 60.0
_BATCH = 1_000


class Bell:
    """A task's body that notes when it began; `rung` once `count` of them did."""

    def __init__(self, count: int) -> None:
        self.began: list[tuple[int, int]] = []  # (number, µs)
        self.rung = threading.Event()
        self._count = count

    def ring(self, number: int) -> None:
        """The body."""
        self.began.append((number, _clock.now()))
        if len(self.began) >= self._count:
            self.rung.set()

    def started(self, due: Sequence[int]) -> Started:
        """How late each of `due` began."""
        return started(self.began, due)


def started(began: Sequence[tuple[int, int]], due: Sequence[int]) -> Started:
    """How late those were which began as (number, µs), each due at its number's instant."""
    times = Counter(number for number, _ in began)
    return Started(
        late=sorted(at - due[number] for number, at in began),
        lost=len(due) - len(times),
        twice=sum(count > 1 for count in times.values()),
    )


_bell = Bell(0)


def ring(number: int) -> None:
    """What the tasks of these measurements do."""
    _bell.ring(number)


def ringing(count: int) -> Bell:
    """The bell that `ring` rings from now on."""
    global _bell  # noqa: PLW0603  # a task's body is a plain function; this is a process for one measurement
    _bell = Bell(count)
    return _bell


def _play(due: Sequence[int], store: str = "bench.db", retention: str = "7d") -> Started:
    """Add a task for each instant, let them run, see how late they began."""
    bell = ringing(len(due))
    daemon = Daemon(store, workers=8, retention=retention)
    task = daemon.task(ring, name="bench:ring")  # type: ignore[call-overload]
    with daemon:
        for first in range(0, len(due), _BATCH):
            daemon.add_tasks(
                {"work": task, "args": (number,), "at": to_datetime(due[number])}
                for number in range(first, min(first + _BATCH, len(due)))
            )
        bell.rung.wait((max(due) - _clock.now()) / 1e6 + PATIENCE_S)
        daemon.drain(1)  # one that runs twice would do so by now
    return bell.started(due)


def instants(count: int, over_s: float, lead_us: int | None = None) -> list[int]:
    """Instants at random within so many seconds, the first of them in a moment; µs."""
    first = _clock.now() + (LEAD_US if lead_us is None else lead_us)
    return [first + random.randrange(int(over_s * 1e6)) for _ in range(count)]  # noqa: S311  # instants, not secrets


def lateness(
    count: int, over_s: float, store: str = "bench.db", retention: str = "7d", lead_s: float | None = None
) -> Started:
    """Tasks at random instants: a daemon on a SQLite file, threads, nothing else in the process."""
    return _play(instants(count, over_s, None if lead_s is None else int(lead_s * 1e6)), store, retention)


def burst(count: int) -> Started:
    """All tasks at one instant."""
    return _play([_clock.now() + LEAD_US + count * 50] * count)


def bare(count: int, over_s: float) -> Started:
    """What the system gives at best: a thread that only sleeps until each instant."""
    late: list[int] = []

    def sleep_and_look() -> None:
        for due in sorted(instants(count, over_s)):
            while (left := due - _clock.now()) > 0:
                time.sleep(left / 1e6)
            late.append(_clock.now() - due)

    thread = threading.Thread(target=sleep_and_look)
    thread.start()
    thread.join()
    return Started(late=sorted(late))


def programs(count: int, over_s: float) -> Programs:
    """Programs at random instants, two seconds ahead at the earliest; each prints when it looked at the clock."""
    due = instants(count, over_s)
    daemon = Daemon("bench.db", workers=8)
    with daemon:
        added = daemon.add_tasks({"work": ["date", "+%s%N"], "at": to_datetime(at)} for at in due)
        tasks = [task for task in added if task.wait(PATIENCE_S)]
        ends = [(task.refresh().lateness, (task.output or "").strip(), at) for task, at in zip(added, due, strict=True)]
    started = [round(late.total_seconds() * 1e6) for late, _, _ in ends if late is not None]
    own = [int(text) // 1000 - at for _, text, at in ends if text.isdigit() and len(text) == 19]
    return Programs(started=Started(late=sorted(started), lost=len(due) - len(tasks)), own=sorted(own))
