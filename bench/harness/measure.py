"""The measurements themselves, the same for every peer. Instants in µs since 1970; `late` is started − due, in µs."""

import random
import time
from collections import Counter
from collections.abc import Callable, Sequence

from bench.harness.notes import Notes
from bench.harness.protocol import Session, Timed
from bench.harness.usage import family, usage

_PATIENCE_S = 90.0
_WARM_UP = -1  # the number of the first task, which is not measured
_PROBES = 50
_FAR_US = 86_400_000_000  # a day
_SETTLE_S = 3.0
_LEAD_S = 5.0

Figures = dict[str, float]


class Failed(Exception):
    """What was asked for did not happen; the message says what."""


def warm_up(session: Session, notes: Notes) -> None:
    """Run one task, so that connections, files and workers are there."""
    session.add_one(_WARM_UP)
    if not notes.wait(1, 30):
        raise Failed("the first task did not start within 30 s")
    _settle(session, 1)


def lateness(session: Session, notes: Notes, *, count: int, over_s: float) -> Figures:
    """Tasks at random instants within some seconds."""
    return _play(session, notes, count, lambda: int(random.random() * over_s * 1e6))  # noqa: S311  # no secret


def burst(session: Session, notes: Notes, *, count: int) -> Figures:
    """All tasks at one instant."""
    return _play(session, notes, count, lambda: 0)


def bulk(session: Session, notes: Notes, *, count: int) -> Figures:
    """Tasks added together, run and recorded: from the first add to the last outcome."""
    return _flow(session, notes, count, session.add_now)


def single(session: Session, notes: Notes, *, count: int) -> Figures:
    """The same, each task added by itself, from one thread."""

    def add(numbers: Sequence[int]) -> None:
        for number in numbers:
            session.add_one(number)

    return _flow(session, notes, count, add)


def idle(session: Session, notes: Notes, *, seconds: float) -> Figures:  # noqa: ARG001  # measurements are called alike
    """One task waits, a day ahead."""
    session.add_at([(0, _now() + _FAR_US)])
    time.sleep(_SETTLE_S)
    worker, server = (family(roots) for roots in session.processes())
    before = [usage(worker), usage(server)]
    time.sleep(seconds)
    after = [usage(worker), usage(server)]
    (switches, cpu), (server_switches, server_cpu) = (
        (now[0] - then[0], now[1] - then[1]) for now, then in zip(after, before, strict=True)
    )
    return {
        "seconds": seconds,
        "wakes": switches + server_switches,
        "cpu_s": round(cpu + server_cpu, 6),
        "server_wakes": server_switches,
        "server_cpu_s": round(server_cpu, 6),
    }


KINDS: dict[str, Callable[..., Figures]] = {
    "lateness": lateness,
    "burst": burst,
    "bulk": bulk,
    "single": single,
    "idle": idle,
}


# ── parts ──────────────────────────────────────────────────────────────────────────────────────────────────────


def _play(session: Session, notes: Notes, count: int, offset: Callable[[], int]) -> Figures:
    """Add tasks ahead of their instants and see how late they start. The lead fits how fast the peer adds."""
    began = time.monotonic()
    session.add_at([(-2 - probe, _now() + _FAR_US) for probe in range(_PROBES)])
    lead_s = _LEAD_S + 2 * count * (time.monotonic() - began) / _PROBES
    first = _now() + int(lead_s * 1e6)
    due = sorted(first + offset() for _ in range(count))
    began = time.monotonic()
    session.add_at(list(enumerate(due)))
    if _now() >= first:
        raise Failed(f"adding {count} tasks took {time.monotonic() - began:.1f} s, longer than the lead it was given")
    notes.wait(1 + count, lead_s + (due[-1] - first) / 1e6 + _PATIENCE_S)
    time.sleep(0.2)  # one that starts twice would do so by now
    return starts(due, notes.read())


def starts(due: Sequence[int], noted: Sequence[Timed]) -> Figures:
    """How late the tasks 0, 1, … of `due` started (nearest rank); lost and doubled ones are counted."""
    measured = [(number, at) for number, at in noted if number >= 0]
    times = Counter(number for number, _ in measured)
    late = sorted(at - due[number] for number, at in measured)
    if not late:
        raise Failed(f"none of {len(due)} tasks started")
    ranks = {f"p{share}_us": late[min(len(late) - 1, len(late) * share // 100)] for share in (50, 90, 99)}
    return {
        "count": len(due),
        "first_us": late[0],
        **ranks,
        "last_us": late[-1],
        "early": sum(one < 0 for one in late),
        "lost": len(due) - len(times),
        "twice": sum(several > 1 for several in times.values()),
    }


def _flow(session: Session, notes: Notes, count: int, add: Callable[[Sequence[int]], None]) -> Figures:
    numbers = range(count)
    began = time.monotonic()
    add(numbers)
    added = time.monotonic() - began
    if not notes.wait(1 + count, _PATIENCE_S):
        raise Failed(f"{notes.count() - 1} of {count} tasks started within {_PATIENCE_S:g} s")
    _settle(session, 1 + count)
    took = time.monotonic() - began
    ran = [number for number, _ in notes.read() if number >= 0]
    return {
        "count": count,
        "seconds": round(took, 4),
        "added_s": round(added, 4),
        "rate": round(count / took, 1),
        "lost": count - len(set(ran)),
        "twice": len(ran) - len(set(ran)),
    }


def _settle(session: Session, total: int) -> None:
    end = time.monotonic() + _PATIENCE_S
    while not session.settled(total):
        if time.monotonic() > end:
            raise Failed(f"the outcomes of {total} tasks were not recorded within {_PATIENCE_S:g} s")
        time.sleep(0.01)


def _now() -> int:
    return time.time_ns() // 1000
