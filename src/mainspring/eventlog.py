"""What a daemon logs of its events: a failed attempt ERROR with its traceback, a retry WARNING, success DEBUG.

The logger is `mainspring`, also embedded, where no handler is set: what fails is not silent there either.
"""

import logging
from collections.abc import Callable
from datetime import tzinfo
from typing import TYPE_CHECKING

from mainspring.engine.events import log
from mainspring.errors import MainspringError
from mainspring.task import bare_name
from mainspring.tasks.plain import clean
from mainspring.tasks.problems import Problem, read_problem
from mainspring.when.durations import format_duration
from mainspring.when.instants import isoformat, to_datetime

if TYPE_CHECKING:
    from mainspring.app import Daemon
    from mainspring.engine.events import Event

_QUIET_RETRIES = frozenset(
    {"retry later", "daemon stopped", "worker lost", "lease lost"}
)  # no failure of the attempt itself


class EventLog:
    """Writes the events of a daemon to its log; called on the recorder's thread. Instants are shown in `zone`."""

    def __init__(self, daemon: "Daemon", zone: tzinfo) -> None:
        self._daemon = daemon
        self._zone = zone
        self._written: dict[str, Callable[[Event], None]] = {
            "failed": self._failed,
            "retry": self._retry,
            "succeeded": self._succeeded,
            "cancelled": self._ended,
            "missed": self._ended,
            "returned": self._returned,
        }

    def event(self, event: "Event") -> None:
        """Write one; what the engine itself logs (nodes, listeners) and mere starts are passed over."""
        write = self._written.get(event.kind)
        if write is not None:
            write(event)

    def _failed(self, event: "Event") -> None:
        self._write(logging.ERROR, event, f"failed ({event.reason}){_words(_problem(event))}", _problem(event))

    def _retry(self, event: "Event") -> None:
        problem = _problem(event)
        if event.reason not in _QUIET_RETRIES:
            self._write(logging.ERROR, event, f"attempt {event.attempt} failed{_words(problem)}", problem)
        again = "" if event.run_at is None else f" at {to_datetime(event.run_at, self._zone).isoformat()}"
        self._write(logging.WARNING, event, f"is tried again{again} ({event.reason})")

    def _succeeded(self, event: "Event") -> None:
        if log.isEnabledFor(logging.DEBUG):
            took = (event.finished_at or 0) - (event.started_at or 0)
            self._write(logging.DEBUG, event, f"succeeded in {format_duration(max(0, took))}")

    def _ended(self, event: "Event") -> None:
        self._write(
            logging.INFO if event.kind == "cancelled" else logging.WARNING, event, f"{event.kind} ({event.reason})"
        )

    def _returned(self, event: "Event") -> None:
        if log.isEnabledFor(logging.DEBUG):
            self._write(logging.DEBUG, event, "was given back")

    def _write(self, level: int, event: "Event", text: str, problem: Problem | None = None) -> None:
        if not log.isEnabledFor(level):
            return
        name = self._name(event.task_id or "")
        extra = {
            "event": event.kind,
            "task_id": event.task_id,
            "task_name": name and clean(name),
            "attempt": event.attempt,
            "reason": event.reason and clean(event.reason),
            "error": problem,
            "run_at": None if event.run_at is None else isoformat(event.run_at),
            "started_at": None if event.started_at is None else isoformat(event.started_at),
            "finished_at": None if event.finished_at is None else isoformat(event.finished_at),
        }
        args = (event.task_id, f" ({name})" if name else "", text)
        record = log.makeRecord(log.name, level, __file__, 0, "task %s%s %s", args, None, "event", extra)
        # The exception is text, of a body that may have run elsewhere; formatters show it where they show an exception.
        if problem is not None and problem.traceback:
            # indented, so that no line of it can pass for a line of the log
            lines = clean(problem.traceback.rstrip(), keep="\n").split("\n")
            record.exc_text = "\n".join(f"  {line}" for line in lines)
        log.handle(record)

    def _name(self, task_id: str) -> str | None:
        try:
            row = self._daemon.find_row(task_id)
        except MainspringError:
            return None  # pruned, or the store cannot be read just now; the id says enough
        return row.name or bare_name(row)


def _problem(event: "Event") -> Problem | None:
    return None if event.error is None else read_problem(event.error)


def _words(problem: Problem | None) -> str:
    return "" if problem is None else f": {problem.type}: {problem.message}"
