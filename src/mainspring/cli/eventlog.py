"""What `mainspring run` writes to stderr: a line for each event and log record, as text or JSON.

Text is `2026-11-27 10:00:00.000+08:00 INFO ...`; whatever came from outside has its control characters written out,
and lines after the first are indented, so that no text can pass for a line of the log.
"""

import logging
import sys
import traceback
from datetime import datetime

import msgspec

from mainspring.cli.terminal import clean
from mainspring.tasks.problems import Problem
from mainspring.when.instants import isoformat
from mainspring.when.wall import local_zone

log = logging.getLogger("mainspring")

_CARRIED = (
    "event", "task_id", "task_name", "attempt", "reason", "error", "run_at", "started_at", "finished_at",
)  # fmt: skip


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
        if "error" not in line and (record.exc_info or record.exc_text):
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
