"""Did everything run in its window? What was to run, held against what the bodies wrote themselves.

A body notes its begin and its end in a `RunLog`, a file of its own that no scheduler has a hand in. `check` matches
occurrences and runs one to one, name by name, and tells what is left over:

- **early**: a run began before its occurrence was due; no kill excuses that;
- **late**: it began after `until`, where an occurrence has one;
- **lost**: an occurrence without a run;
- **extra**: a run without an occurrence, which no recorded kill explains: it began anew although nobody had cut the
  one before it, or although it was to start once at most;
- **unfinished**: a run without an end, in a process that nobody has killed;
- **overlap**: two runs of an exclusive name at one time.

A name says what is run: a task's id, or a schedule's name and instant. A retry is one more occurrence of its task's
name. Instants are µs, wall clock. Everything is computed from values, so that each verdict can be shown to be given.
"""

import os
import secrets
from bisect import insort
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Literal, NamedTuple

from mainspring.when.clock import SystemClock

_clock = SystemClock()
_EVER = 1 << 62
RECORDED_US = 1_000_000

Kind = Literal["early", "late", "lost", "extra", "unfinished", "overlap"]


class Occurrence(NamedTuple):
    """`name` is to begin once, at `due` or later, and by `until` if that is said.

    Not `needed`: it may be left out (it was cancelled, or set aside). `once`: it must not begin again, whatever was
    killed.
    """

    name: str
    due: int
    until: int | None = None
    needed: bool = True
    once: bool = False


class Run(NamedTuple):
    """What a body has noted. `ended`: None, when it never came to its end; `processes`: its own pid, its parent's."""

    name: str
    began: int
    ended: int | None
    processes: tuple[int, ...] = ()


class Kill(NamedTuple):
    """Somebody was killed, or stopped for longer than the lease: the signal was sent after `at`, it was over by
    `until`. `processes`: who died of it; None: whatever ran then.
    """

    at: int
    until: int
    processes: Collection[int] | None = None

    def cuts(self, run: Run, recorded: int = RECORDED_US) -> bool:
        """Did it hit this run? Also one that had just ended, and whose end may not have been recorded yet."""
        hit = self.processes is None or not set(self.processes).isdisjoint(run.processes)
        return hit and run.began <= self.until and (run.ended is None or run.ended + recorded >= self.at)


class Fault(NamedTuple):
    """One thing that must not be."""

    kind: Kind
    name: str
    words: str

    def __str__(self) -> str:
        return f"{self.name}: {self.words} ({self.kind})"


def check(
    occurrences: Iterable[Occurrence],
    runs: Iterable[Run],
    kills: Sequence[Kill] = (),
    *,
    exclusive: Collection[str] = (),
    recorded: int = RECORDED_US,
) -> list[Fault]:
    """Every fault, by name. `exclusive`: names of which no two runs may overlap; `recorded`: how long (µs) after the
    end of a body its outcome may still be unwritten, so that a kill makes it run again.
    """
    due: dict[str, list[Occurrence]] = defaultdict(list)
    ran: dict[str, list[Run]] = defaultdict(list)
    for occurrence in occurrences:
        due[occurrence.name].append(occurrence)
    for run in runs:
        ran[run.name].append(run)
    faults: list[Fault] = []
    for name in sorted(due.keys() | ran.keys()):
        own = sorted(ran[name], key=lambda run: run.began)
        cut = [any(kill.cuts(run, recorded) for kill in kills) for run in own]
        faults += _Matching(name, due[name]).faults(own, cut)
        faults += [
            Fault("unfinished", name, f"began at {run.began} and never ended, and nobody killed it")
            for run, excused in zip(own, cut, strict=True)
            if run.ended is None and not excused
        ]
        if name in exclusive:
            faults += _overlaps(name, own, kills)
    return faults


class _Matching:
    """The occurrences of one name, taken by its runs in the order in which they began."""

    def __init__(self, name: str, occurrences: list[Occurrence]) -> None:
        self._name = name
        self._left = sorted(occurrences, key=lambda one: one.due)  # which no run has taken
        self._cut: list[int] = []  # when runs began that were cut short, and that nobody has repeated yet

    def faults(self, runs: Sequence[Run], cut: Sequence[bool]) -> Iterator[Fault]:
        """What is wrong, in order of time; at the end what no run has taken."""
        for run, was_cut in zip(runs, cut, strict=True):
            taken = self._in_window(run)
            if taken is not None:
                self._left.remove(taken)
            elif self._cut:
                self._cut.pop(0)
            else:
                yield self._left_over(run)
            if was_cut and not (taken is not None and taken.once):
                insort(self._cut, run.began)
        for occurrence in self._left:
            if occurrence.needed:
                yield Fault("lost", self._name, f"was due at {occurrence.due} and never began")

    def _in_window(self, run: Run) -> Occurrence | None:
        """The occurrence that this run is for: of those that are open, the one that closes first."""
        opened = [one for one in self._left if one.due <= run.began <= _end(one)]
        # what may be left out is not taken by what a kill explains
        opened = [one for one in opened if one.needed] or ([] if self._cut else opened)
        return min(opened, key=_end, default=None)

    def _left_over(self, run: Run) -> Fault:
        if not self._left:
            return Fault("extra", self._name, f"began at {run.began}, once more than it was to")
        overdue = [one for one in self._left if one.due <= run.began]
        taken = min(overdue or self._left, key=_end)
        self._left.remove(taken)
        if overdue:
            return Fault("late", self._name, f"began at {run.began}, {run.began - _end(taken)} µs after its window")
        return Fault("early", self._name, f"began at {run.began}, {taken.due - run.began} µs before it was due")


def _end(occurrence: Occurrence) -> int:
    return _EVER if occurrence.until is None else occurrence.until


def _overlaps(name: str, runs: Sequence[Run], kills: Sequence[Kill]) -> Iterator[Fault]:
    last: Run | None = None
    over = -_EVER
    for run in runs:
        if last is not None and run.began < over:
            yield Fault("overlap", name, f"began at {run.began} beside a run that had begun at {last.began}")
        ended = run.ended
        if ended is None:  # the body may have gone on until it was killed, and no longer
            ended = min((kill.at for kill in kills if kill.cuts(run, 0)), default=_EVER)
        if last is None or ended > over:
            last, over = run, ended


class RunLog:
    """A file in which bodies note what they do; any process may write, at any time.

    Each note is one append, which a kill leaves whole or not at all. A line is `B` or `E`, the run's own id, the
    instant, the pid, the parent's pid, and the name, which is one line; a program may write it, too.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self._path = os.path.abspath(path)  # a body may change the directory

    @contextmanager
    def run(self, name: str) -> Iterator[None]:
        """The body is within this block; `name` says of which occurrences."""
        one = secrets.token_hex(8)
        self._write("B", one, name)
        try:
            yield
        finally:
            self._write("E", one, name)

    def read(self) -> list[Run]:
        """All runs, in the order in which they began."""
        began: dict[str, Run] = {}
        try:
            with open(self._path, encoding="utf-8") as file:
                lines = file.read().splitlines()
        except FileNotFoundError:
            return []
        for line in lines:
            what, one, at, pid, parent, name = line.split(" ", 5)
            if what == "B":
                began[one] = Run(name, int(at), None, (int(pid), int(parent)))
            else:
                began[one] = began[one]._replace(ended=int(at))
        return sorted(began.values(), key=lambda run: run.began)

    def _write(self, what: str, one: str, name: str) -> None:
        line = f"{what} {one} {_clock.now()} {os.getpid()} {os.getppid()} {name}\n"
        # opened each time: a body may have closed every descriptor there is
        file = os.open(self._path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            os.write(file, line.encode())
        finally:
            os.close(file)
