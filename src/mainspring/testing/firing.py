"""What fired while a virtual clock was moved: heard from the daemons on it, as their events."""

import weakref
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import TYPE_CHECKING, Self

from mainspring.engine.events import Event
from mainspring.errors import TaskFailed, TaskNotFound
from mainspring.tasks.problems import Problem, read_problem

if TYPE_CHECKING:
    from mainspring.app import Daemon
    from mainspring.task import Task
    from mainspring.when.clock import Clock

Heard = tuple["Daemon", Event]

_NOT_FIRED = frozenset({"started", "returned"})


class Firing(datetime):
    """The instant to which `VirtualClock.run_to_next` went: a datetime, aware, in UTC.

    `tasks`: what ran there or was missed, in this order, as it was afterwards; one that is to be tried again is
    `waiting`. A task whose history was pruned at once is not among them.
    """

    tasks: "tuple[Task[object], ...]" = ()

    @classmethod
    def of(cls, moment: datetime, events: Iterable[Heard]) -> Self:
        """The firing of these events."""
        made = cls.fromisoformat(moment.isoformat())
        made.tasks = tuple(_tasks(events))
        return made

    def __repr__(self) -> str:
        fired = ", ".join(f"{task.name} {task.state}" for task in self.tasks) or "nothing"
        return f"<Firing {self.isoformat()}: {fired}>"


class Hearing:
    """Listens, when it is asked to, to the daemons on a clock. Until then nobody makes events for it."""

    def __init__(self, clock: "Clock") -> None:
        self._clock = clock
        self._collected: list[Heard] | None = None
        self._failed: list[Heard] | None = None

    def listen(self) -> None:
        """Hear every daemon that is on the clock now."""
        # a clock is told of the driver of a daemon's turns, not of the daemon
        from mainspring.app import _daemons

        for daemon in tuple(_daemons):
            if daemon.clock is self._clock:
                ear = _ears.get(daemon)
                if ear is None:
                    ear = _ears[daemon] = _Ear(daemon)
                    daemon.observe(ear)
                ear.hearing = weakref.ref(self)

    def keep_failures(self) -> None:
        """From now on remember each task that fails, until it is raised."""
        if self._failed is None:
            self._failed = []
        self.listen()

    @contextmanager
    def all(self) -> Iterator[list[Heard]]:
        """Collects what happens to tasks within the block."""
        self.listen()
        collected = self._collected = []
        try:
            yield collected
        finally:
            self._collected = None

    @contextmanager
    def failures(self, *, raising: bool | None, always: bool) -> Iterator[None]:
        """Within the block, have what fails be raised (None: as `always` says)."""
        wanted = always if raising is None else raising
        if wanted == always:
            yield
            return
        before, self._failed = self._failed, None
        if wanted:
            self.keep_failures()
        try:
            yield
        finally:
            self._failed = before

    def raise_failures(self) -> None:
        """Raise the first task that failed, if there is one and it is wanted; the others are named in a note."""
        if not self._failed:
            return
        failed, self._failed = self._failed, []
        raise _error(failed)

    def hear(self, daemon: "Daemon", event: Event) -> None:
        """An event of a daemon."""
        if daemon.clock is not self._clock or event.task_id is None:
            return
        if self._collected is not None and event.kind not in _NOT_FIRED:
            self._collected.append((daemon, event))
        if self._failed is not None and event.kind == "failed":
            self._failed.append((daemon, event))


class _Ear:
    """The one observer of a daemon: observers stay for ever, while a daemon may be on one clock after the other."""

    def __init__(self, daemon: "Daemon") -> None:
        self._daemon = weakref.ref(daemon)
        self.hearing: weakref.ref[Hearing] | None = None

    def __call__(self, event: Event) -> None:
        daemon, hearing = self._daemon(), None if self.hearing is None else self.hearing()
        if daemon is not None and hearing is not None:
            hearing.hear(daemon, event)


_ears: "weakref.WeakKeyDictionary[Daemon, _Ear]" = weakref.WeakKeyDictionary()


def _tasks(events: Iterable[Heard]) -> "Iterator[Task[object]]":
    known: set[tuple[int, str | None]] = set()
    for daemon, event in events:
        which = (id(daemon.store), event.task_id)
        if which in known or event.task_id is None:
            continue
        known.add(which)
        try:
            yield daemon.get(event.task_id)
        except TaskNotFound:
            pass  # not kept: a retention of nothing


def _error(failed: list[Heard]) -> TaskFailed:
    (daemon, first), *others = failed
    problem = Problem("Unknown", first.reason or "") if first.error is None else read_problem(first.error)
    task_id = first.task_id or ""
    error = TaskFailed(task_id, problem.type, problem.message, problem.traceback, first.reason or "")
    error.add_note(f"{_name(daemon, task_id)}, attempt {first.attempt}:\n{problem.traceback or problem.message}")
    if others:
        names = ", ".join(f"{event.task_id} ({_name(there, event.task_id or '')})" for there, event in others)
        error.add_note(f"at the same instant failed, too: {names}")
    return error


def _name(daemon: "Daemon", task_id: str) -> str:
    try:
        return daemon.get(task_id).name
    except TaskNotFound:
        return f"task {task_id}"
