"""What is measured, how often and in which order: alternating runs, never two at once."""

import os
import platform
import sys
from collections.abc import Sequence
from pathlib import Path

from mainspring.bench.child import ChildFailed, measure
from mainspring.bench.figures import Adds, Figures, Flow, Idle, Machine, Programs, Started
from mainspring.bench.report import broken, table, write
from mainspring.version import __version__
from mainspring.when.clock import SystemClock
from mainspring.when.instants import isoformat

PARTS = ("lateness", "burst", "programs", "flow", "adds", "idle")


def run(*, smoke: bool, check: bool, out: str | None, directory: str | None, parts: Sequence[str]) -> int:
    """Measure, print the table on stdout, write files where asked; the exit code."""
    figures = Figures(at=isoformat(SystemClock().now()), smoke=smoke, machine=_machine(directory))
    _progress(f"{figures.machine.system}, {figures.machine.cpus} processors, {figures.machine.filesystem}")
    if figures.machine.filesystem.startswith("tmpfs"):
        _progress("this directory is in memory: what is written costs nothing there; give a real one with --dir")
    try:
        for part in parts:
            _MEASURE[part](figures, directory)
    except ChildFailed as error:
        _progress(str(error))
        return 1
    sys.stdout.write(table(figures))
    if out is not None:
        write(figures, Path(out))
        _progress(f"written: {out}/latest.json, latest.md, lateness.svg")
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


_MEASURE = {
    "lateness": _lateness,
    "burst": _burst,
    "programs": _programs,
    "flow": _flow,
    "adds": _adds,
    "idle": _idle,
}


# ── where it is measured ───────────────────────────────────────────────────────────────────────────────────────


def _machine(directory: str | None) -> Machine:
    import tempfile

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
