"""What `mainspring run` writes to stderr: a line for each event and log record, as text or JSON.

Text is `2026-11-27 10:00:00.000+08:00 INFO ...`; whatever came from outside has its control characters written out,
and lines after the first are indented, so that no text can pass for a line of the log.
"""

import logging
import sys
import traceback
from collections.abc import Callable
from datetime import datetime
from typing import TYPE_CHECKING

import msgspec

from mainspring.cli.terminal import clean
from mainspring.cli.times import exact, span
from mainspring.errors import MainspringError
from mainspring.task import bare_name
from mainspring.tasks.problems import Problem, decode_problem
from mainspring.when.instants import isoformat
from mainspring.when.wall import local_zone

if TYPE_CHECKING:
    from mainspring.app import Daemon
    from mainspring.engine.events import Event

log = logging.getLogger("mainspring")

_CARRIED = (
    "event", "task_id", "task_name", "attempt", "reason", "error", "run_at", "started_at", "finished_at",
)  # fmt: skip

_QUIET_RETRIES = frozenset({"retry later", "daemon stopped", "worker lost"})  # no failure of the attempt itself


class TextFormat(logging.Formatter):
    """`2026-11-27 10:00:00.000+08:00 INFO message`, a traceback indented below."""

    def __init__(self) -> None:
        super().__init__()
        self._zone = local_zone()

    def format(self, record: logging.LogRecord) -> str:
        """A line, and the traceback below it."""
        moment = datetime.fromtimestamp(record.created, self._zone).isoformat(" ", "milliseconds")
        text = f"{moment} {record.levelname} {clean(record.getMessage())}"
        task_id = getattr(record, "task_id", None)
        if record.name == "mainspring.task" and task_id is not None:
            text += f" [task {clean(str(task_id))} {clean(str(getattr(record, 'task_name', '')))}]"
        trace = _trace(record)
        return text if not trace else f"{text}\n" + "\n".join(f"    {clean(line)}" for line in trace.splitlines())


class JsonFormat(logging.Formatter):
    """An object a line: time (UTC), level, logger, message, and what the event carries."""

    def format(self, record: logging.LogRecord) -> str:
        """One line of JSON."""
        line: dict[str, object] = {
            "time": isoformat(round(record.created * 1e6)),
            "level": record.levelname,
            "logger": record.name,
            "message": record.getMessage(),
        }
        for word in _CARRIED:
            value = getattr(record, word, None)
            if value is not None:
                line[word] = value
        if record.exc_info or record.exc_text:
            line["traceback"] = _trace(record)
        return clean(msgspec.json.encode(line).decode())


def _trace(record: logging.LogRecord) -> str:
    problem = getattr(record, "error", None)
    if isinstance(problem, Problem):
        return problem.traceback
    if record.exc_info and record.exc_info[0] is not None:
        return "".join(traceback.format_exception(*record.exc_info))
    return record.exc_text or ""


def set_up_logging(*, as_json: bool, level: str) -> None:
    """Write to stderr what `mainspring` says, and what the app says unless it set up logging itself."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonFormat() if as_json else TextFormat())
    log.handlers[:] = [handler]
    log.setLevel(level)
    log.propagate = False
    root = logging.getLogger()
    if not root.handlers:
        root.addHandler(handler)
        root.setLevel(level)


class EventLog:
    """Writes the events of a daemon to its log; called on the recorder's thread."""

    def __init__(self, daemon: "Daemon") -> None:
        self._daemon = daemon
        self._zone = local_zone()
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
        again = "" if event.run_at is None else f" at {exact(event.run_at, self._zone)}"
        self._write(logging.WARNING, event, f"is tried again{again} ({event.reason})")

    def _succeeded(self, event: "Event") -> None:
        if log.isEnabledFor(logging.DEBUG):
            took = (event.finished_at or 0) - (event.started_at or 0)
            self._write(logging.DEBUG, event, f"succeeded in {span(max(0, took))}")

    def _ended(self, event: "Event") -> None:
        self._write(
            logging.INFO if event.kind == "cancelled" else logging.WARNING, event, f"{event.kind} ({event.reason})"
        )

    def _returned(self, event: "Event") -> None:
        if log.isEnabledFor(logging.DEBUG):
            self._write(logging.DEBUG, event, "was given back")

    def _write(self, level: int, event: "Event", text: str, problem: Problem | None = None) -> None:
        name = self._name(event.task_id or "")
        extra = {
            "event": event.kind,
            "task_id": event.task_id,
            "task_name": name,
            "attempt": event.attempt,
            "reason": event.reason,
            "error": problem,
            "run_at": None if event.run_at is None else isoformat(event.run_at),
            "started_at": None if event.started_at is None else isoformat(event.started_at),
            "finished_at": None if event.finished_at is None else isoformat(event.finished_at),
        }
        log.log(level, "task %s%s %s", event.task_id, f" ({name})" if name else "", text, extra=extra)

    def _name(self, task_id: str) -> str | None:
        try:
            row = self._daemon.find_row(task_id)
        except MainspringError:
            return None  # pruned, or the store cannot be read just now; the id says enough
        return row.name or bare_name(row)


def _problem(event: "Event") -> Problem | None:
    return None if event.error is None else decode_problem(event.error)


def _words(problem: Problem | None) -> str:
    return "" if problem is None else f": {problem.type}: {problem.message}"
