"""What is measured, how often and in which order: alternating runs, never two at once."""

import os
import platform
import shutil
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from mainspring.bench.child import ChildFailed, measure, measure_in
from mainspring.bench.figures import (
    Adds,
    Capacity,
    Commands,
    Crowd,
    Figures,
    Filled,
    Flood,
    Flow,
    Idle,
    Load,
    Machine,
    Planned,
    Programs,
    Pruned,
    Resting,
    Started,
)
from mainspring.bench.report import broken, table, write
from mainspring.version import __version__
from mainspring.when.clock import SystemClock
from mainspring.when.instants import isoformat

PARTS = ("lateness", "burst", "programs", "flow", "adds", "idle", "neighbour", "processes", "flood", "commands")
MORE_PARTS = ("capacity", "million", "schedules")  # measured when they are asked for
PENDING = 1_000_000
_BYTES = 400  # of disk for each pending task: the store, its log, and a store that is made beside it
_SPARE = 500_000_000


def run(
    *, smoke: bool, check: bool, out: str | None, directory: str | None, parts: Sequence[str], pending: int = PENDING
) -> int:
    """Measure, print the table on stdout, write files where asked; the exit code."""
    figures = Figures(at=isoformat(SystemClock().now()), smoke=smoke, machine=_machine(directory))
    _progress(f"{figures.machine.system}, {figures.machine.cpus} processors, {figures.machine.filesystem}")
    if figures.machine.filesystem.startswith("tmpfs"):
        _progress("this directory is in memory: what is written costs nothing there; give a real one with --dir")
    try:
        for part in parts:
            if part == "capacity":
                _capacity(figures, directory, 2_000 if smoke else pending)
            else:
                _MEASURE[part](figures, directory)
    except ChildFailed as error:
        _progress(str(error))
        return 1
    sys.stdout.write(table(figures))
    if out is not None:
        name = parts[0] if set(parts) <= set(MORE_PARTS) else "latest"
        write(figures, Path(out), name)
        _progress(f"written: {out}/{name}.json, {name}.md")
    wrong = broken(figures)
    for one in wrong:
        _progress(f"broken: {one}")
    if wrong and figures.machine.load > 0.5:
        _progress(f"the machine was busy before the run (load {figures.machine.load:.1f}): run it again on a quiet one")
    return 1 if check and wrong else 0


# ── the parts; each with fewer and shorter runs for smoke ──────────────────────────────────────────────────────


def _lateness(figures: Figures, directory: str | None) -> None:
    runs, count, over_s = (1, 60, 3) if figures.smoke else (7, 500, 20)
    for number in range(1, runs + 1):
        _progress(f"lateness, run {number} of {runs}: {count} instants, a bare thread that only sleeps")
        figures.bare.append(measure("bare", Started, directory, count=count, over_s=over_s))
        _progress(f"lateness, run {number} of {runs}: {count} instants, Mainspring")
        figures.lateness.append(measure("lateness", Started, directory, count=count, over_s=over_s))


def _burst(figures: Figures, directory: str | None) -> None:
    runs, count = (1, 1_000) if figures.smoke else (5, 10_000)
    for number in range(1, runs + 1):
        _progress(f"burst, run {number} of {runs}: {count:,} tasks at one instant")
        figures.burst.append(measure("burst", Started, directory, count=count))


def _programs(figures: Figures, directory: str | None) -> None:
    count, over_s = (10, 1) if figures.smoke else (100, 10)
    _progress(f"{count} programs at random instants")
    figures.programs.append(measure("programs", Programs, directory, count=count, over_s=over_s))


def _flow(figures: Figures, directory: str | None) -> None:
    runs, count = (1, 5_000) if figures.smoke else (5, 100_000)
    for number in range(1, runs + 1):
        _progress(f"throughput, run {number} of {runs}: add, run and record {count:,} tasks")
        figures.flow.append(measure("flow", Flow, directory, count=count))


def _adds(figures: Figures, directory: str | None) -> None:
    runs, seconds = (1, 0.3) if figures.smoke else (3, 2)
    for number in range(1, runs + 1):
        _progress(f"adding one by one, run {number} of {runs}: the disk, one thread, eight threads")
        figures.adds.append(measure("adds", Adds, directory, seconds=seconds))


def _idle(figures: Figures, directory: str | None) -> None:
    seconds = 2 if figures.smoke else 10
    for pending in (0, 1_000 if figures.smoke else 100_000):
        _progress(f"idle for {seconds} s, with {pending:,} tasks a month ahead")
        figures.idle.append(measure("idle", Idle, directory, pending=pending, seconds=seconds))
    _progress(f"idle for {seconds} s, with two more daemons on the file, their worker processes and listeners")
    figures.idle.append(measure("idle", Idle, directory, pending=1_000, seconds=seconds, others=2))


def _neighbour(figures: Figures, directory: str | None) -> None:
    runs, count, over_s, many = (1, 20, 1, 2_000) if figures.smoke else (3, 300, 8, 50_000)
    for number in range(1, runs + 1):
        _progress(
            f"beside a thread that computes, run {number} of {runs}: {count} instants, a bare thread; {many:,} tasks"
        )
        wanted = {"count": count, "over_s": over_s}
        figures.bare_beside.append(measure("bare_beside", Started, directory, **wanted))
        figures.lateness_beside.append(measure("lateness_beside", Started, directory, **wanted))
        figures.flow_beside.append(measure("flow_beside", Flow, directory, count=many))


def _processes(figures: Figures, directory: str | None) -> None:
    runs, count, over_s, at_once, many = (1, 20, 1, 500, 1_000) if figures.smoke else (3, 300, 8, 10_000, 50_000)
    for workers, busy in ((4, 3),) if figures.smoke else ((4, 3), (8, 7)):
        for number in range(1, runs + 1):
            _progress(f"processes, run {number} of {runs}: {count} instants, {busy} of {workers} computing; bare ones")
            wanted = {"count": count, "over_s": over_s}
            alone = measure("crowd", Started, directory, **wanted, workers=workers, busy=0)
            crowded = measure("crowd", Started, directory, **wanted, workers=workers, busy=busy)
            bare = measure("pair", Started, directory, **wanted, busy=busy)
            figures.crowds.append(Crowd(workers=workers, alone=alone, crowded=crowded, bare=bare))
    for number in range(1, runs + 1):
        _progress(f"processes, run {number} of {runs}: {at_once:,} tasks at one instant; {many:,} in bulk")
        figures.process_burst.append(measure("process_burst", Started, directory, count=at_once))
        figures.process_flow.append(measure("process_flow", Flow, directory, count=many))


def _flood(figures: Figures, directory: str | None) -> None:
    runs, count, over_s, body_ms = (1, 10, 1, 20) if figures.smoke else (3, 100, 10, 20)
    for number in range(1, runs + 1):
        _progress(f"flood, run {number} of {runs}: {count} instants among twice what the workers can do")
        figures.floods.append(measure("flood", Flood, directory, count=count, over_s=over_s, body_ms=body_ms))


def _commands(figures: Figures, directory: str | None) -> None:
    runs = 2 if figures.smoke else 15
    _progress(f"the command line, {runs} times")
    figures.commands.append(measure("commands", Commands, directory, runs=runs))


def _million(figures: Figures, directory: str | None) -> None:
    count, over_s, lead_s = (2_000, 1, 1) if figures.smoke else (1_000_000, 60, 40)
    _progress(f"{count:,} tasks at random instants within {over_s} s")
    figures.million.append(measure("lateness", Started, directory, count=count, over_s=over_s, lead_s=lead_s))


def _schedules(figures: Figures, directory: str | None) -> None:
    count, a_second, seconds = (200, 100, 1) if figures.smoke else (100_000, 100, 30)
    _progress(f"{count:,} schedules, {a_second} of them due a second, for {seconds} s")
    wanted = {"count": count, "a_second": a_second, "seconds": seconds}
    figures.planned.append(measure("planned", Planned, directory, **wanted))


def _capacity(figures: Figures, directory: str | None, pending: int) -> None:
    """One store for all of it, and an empty one beside it."""
    runs, count, over_s = (1, 20, 1) if figures.smoke else (3, 300, 5)
    at_once, finished, seconds = (1_000, 3_000, 1) if figures.smoke else (20_000, 500_000, 10)
    free, needed = shutil.disk_usage(directory or tempfile.gettempdir()).free, pending * _BYTES + _SPARE
    if free < needed:
        raise ChildFailed(f"{pending:,} pending tasks need {needed / 1e9:.1f} GB of disk; {free / 1e9:.1f} GB are free")
    stores = ("empty.db", "full.db")
    with tempfile.TemporaryDirectory(prefix="mainspring-bench-", dir=directory) as place:
        _progress(f"capacity: filling a store with {pending:,} tasks")
        keyed = measure_in(place, "fill", Filled, store="full.db", pending=pending, keyed=True)
        plain = measure_in(place, "fill", Filled, store="plain.db", pending=pending // 10, keyed=False)
        measure_in(place, "fill", Filled, store="empty.db", pending=0, keyed=False)
        _progress(f"capacity: started and idle for {seconds} s, empty and full")
        empty, full = (measure_in(place, "resting", Resting, store=store, seconds=seconds) for store in stores)
        late: tuple[list[Started], list[Started]] = ([], [])
        for number in range(1, runs + 1):
            _progress(f"capacity: lateness, run {number} of {runs}: {count} instants, empty and full")
            for started, store in zip(late, stores, strict=True):
                started.append(measure_in(place, "lateness", Started, store=store, count=count, over_s=over_s))
        _progress(f"capacity: {at_once:,} tasks at once, empty and full; then {finished:,}")
        calm, crowded = (measure_in(place, "load", Load, store=store, count=at_once) for store in stores)
        history = measure_in(place, "load", Load, store="full.db", count=finished)
        looks = [measure_in(place, "looks", dict[str, float], store=store, pending=pending) for store in stores]
        _progress(f"capacity: {finished:,} finished tasks are forgotten, {count} instants beside it")
        pruned = measure_in(place, "prune", Pruned, store="full.db", count=count, over_s=over_s * 4)
    figures.capacity.append(
        Capacity(
            keyed=keyed,
            plain=plain,
            resting=(empty, full),
            late=late,
            load=(calm, crowded),
            history=history,
            looks=(looks[0], looks[1]),
            pruned=pruned,
        )
    )


_MEASURE = {
    "lateness": _lateness,
    "burst": _burst,
    "programs": _programs,
    "flow": _flow,
    "adds": _adds,
    "idle": _idle,
    "neighbour": _neighbour,
    "processes": _processes,
    "flood": _flood,
    "commands": _commands,
    "million": _million,
    "schedules": _schedules,
}


# ── where it is measured ───────────────────────────────────────────────────────────────────────────────────────


def _machine(directory: str | None) -> Machine:
    return Machine(
        python=f"{platform.python_implementation()} {platform.python_version()}",
        system=f"{platform.system()} {platform.release()} {platform.machine()}",
        cpus=os.cpu_count() or 0,
        load=round(os.getloadavg()[0], 2),
        filesystem=_filesystem(os.path.realpath(directory or tempfile.gettempdir())),
        version=__version__,
    )


def _filesystem(place: str) -> str:
    """The type of the file system of a directory; the longest mount point above it is the one."""
    best, kind = "", "unknown"
    try:
        mounts = Path("/proc/mounts").read_text()
    except OSError:
        return kind
    for line in mounts.splitlines():
        _, point, found, *_ = line.split()
        if os.path.commonpath([point, place]) == point and len(point) >= len(best):
            best, kind = point, found
    return kind


def _progress(text: str) -> None:
    sys.stderr.write(f"{text}\n")
    sys.stderr.flush()
