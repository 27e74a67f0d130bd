"""What a task's body can ask about itself: `context()` and `stopping()`."""

import logging
from contextvars import ContextVar
from datetime import datetime

import msgspec

from mainspring.errors import OutsideTask


class TaskContext(msgspec.Struct):
    """The attempt that is running here. Read it with `mainspring.context()`.

    `fence` is an integer that grows with every reservation of the store: store it beside your own writes and refuse
    smaller ones, and a worker that was taken for dead cannot overwrite its successor.
    """

    # One is made for every attempt, and few bodies ask: the words are made when they are asked for.
    _task: int
    _label: str | None
    _work: str
    attempt: int
    fence: int
    _run_at_us: int | None = None
    _deadline_us: int | None = None
    stop: bool = False  # set by whoever asks this attempt to stop
    _beats: int = 0

    @property
    def task_id(self) -> str:
        """The task's id; empty for a listener."""
        return str(self._task) if self._task else ""

    @property
    def name(self) -> str:
        """The label, or else the function's own bare name."""
        return self._label or self._work.rpartition(":")[2]

    @property
    def run_at(self) -> datetime | None:
        """The instant the task was due; None for a listener."""
        from mainspring.when.instants import to_datetime

        return None if self._run_at_us is None else to_datetime(self._run_at_us)

    @property
    def deadline(self) -> datetime | None:
        """When the time limit of this attempt is over, by the wall clock; None without a limit."""
        from mainspring.when.instants import to_datetime

        return None if self._deadline_us is None else to_datetime(self._deadline_us)

    @property
    def log(self) -> logging.LoggerAdapter[logging.Logger]:
        """A logger whose records carry `task_id`, `attempt` and `task_name`."""
        extra = {"task_id": self.task_id, "attempt": self.attempt, "task_name": self.name}
        return logging.LoggerAdapter(logging.getLogger("mainspring.task"), extra)

    def beat(self) -> None:
        """Say that the body is alive and getting on."""
        self._beats += 1

    @property
    def beats(self) -> int:
        """How often `beat` was called in this attempt."""
        return self._beats


_current: ContextVar[TaskContext | None] = ContextVar("mainspring_context", default=None)
enter = _current.set
leave = _current.reset


def inside() -> bool:
    """Does an attempt run here?"""
    return _current.get() is not None


def context() -> TaskContext:
    """The attempt that runs here; `OutsideTask` where none does."""
    found = _current.get()
    if found is None:
        raise OutsideTask(
            "context() was called where no task runs; call it inside a task or a listener that a daemon started"
        )
    return found


def stopping() -> bool:
    """Has this attempt been asked to stop (time limit, cancel, the daemon's end)? `OutsideTask` where none runs."""
    found = _current.get()
    if found is None:
        raise OutsideTask(
            "stopping() was called where no task runs; call it inside a task or a listener that a daemon started"
        )
    return found.stop
