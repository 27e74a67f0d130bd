"""What a task's body can ask about itself: `context()` and `stopping()`."""

import logging
from contextvars import ContextVar
from datetime import datetime

from mainspring.errors import OutsideTask


class TaskContext:
    """The attempt that is running here. Read it with `mainspring.context()`.

    `fence` is an integer that grows with every reservation of the store: store it beside your own writes and refuse
    smaller ones, and a worker that was taken for dead cannot overwrite its successor.
    """

    __slots__ = ("_beats", "_deadline_us", "_run_at_us", "attempt", "fence", "name", "stop", "task_id")

    def __init__(
        self, *, task_id: str, name: str, attempt: int, fence: int, run_at: int | None, deadline: int | None = None
    ) -> None:
        self.task_id = task_id
        self.name = name
        self.attempt = attempt
        self.fence = fence
        self.stop = False  # set by whoever asks this attempt to stop
        self._run_at_us = run_at
        self._deadline_us = deadline
        self._beats = 0

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
