"""The lines of `run`: one for each event, whose level says how bad it is, and which nothing from outside can forge."""

import json
import logging
from datetime import UTC

import pytest

from mainspring import Daemon
from mainspring.cli import eventlog
from mainspring.engine.events import Event
from mainspring.eventlog import EventLog
from mainspring.tasks.problems import Problem

ODD = Problem("Odd", "a\nb\x1b[31m", "Traceback\n  line\r2026-01-01 INFO forged\n").encode()


@pytest.fixture
def log(tmp_path):
    daemon = Daemon(tmp_path / "x.db", name="tests")
    daemon.add_task(["true"], name="label")
    yield EventLog(daemon, UTC)
    daemon.close()


@pytest.fixture
def records(log):
    """What is logged while the test runs, with DEBUG on."""
    kept = []
    handler = logging.Handler()
    handler.emit = kept.append
    logger = logging.getLogger("mainspring")
    before = logger.level
    logger.addHandler(handler)
    logger.setLevel("DEBUG")
    yield kept
    logger.removeHandler(handler)
    logger.setLevel(before)


@pytest.mark.parametrize(
    ("event", "levels", "words"),
    [
        (Event("failed", "1", 2, reason="error", error=ODD), ["ERROR"], "task 1 (label) failed (error): Odd: a"),
        (Event("retry", "1", 1, reason="error", error=ODD, run_at=0), ["ERROR", "WARNING"], "attempt 1 failed: Odd"),
        (Event("retry", "1", 1, reason="retry later", error=ODD, run_at=0), ["WARNING"], "is tried again at 1970-"),
        (Event("retry", "1", 1, reason="daemon stopped", run_at=0), ["WARNING"], "(daemon stopped)"),
        (Event("succeeded", "1", 1, started_at=0, finished_at=1500), ["DEBUG"], "succeeded in 1.5ms"),
        (Event("missed", "1", 0, reason="expired"), ["WARNING"], "missed (expired)"),
        (Event("cancelled", "1", 0, reason="cancelled"), ["INFO"], "cancelled (cancelled)"),
        (Event("returned", "1", 0), ["DEBUG"], "given back"),
        (Event("failed", "99", 1, reason="error"), ["ERROR"], "task 99 failed"),
        (Event("started", "1", 1), [], ""),
        (Event("listener", message="up"), [], ""),
    ],
    ids=lambda value: value.kind if isinstance(value, Event) else "",
)
def test_an_event_is_a_line_of_its_level(records, log, event, levels, words):
    log.event(event)
    assert [record.levelname for record in records] == levels
    assert words in " ".join(record.getMessage() for record in records)


def test_text_cannot_be_forged(records, log):
    log.event(Event("failed", "1", 2, reason="error", error=ODD))
    lines = eventlog.TextFormat().format(records[0]).split("\n")
    assert lines[0].endswith("ERROR task 1 (label) failed (error): Odd: a\\nb\\x1b[31m")
    assert lines[1:] == ["    Traceback", "      line", "    2026-01-01 INFO forged"]


def test_json_is_one_line(records, log):
    log.event(Event("failed", "1", 2, reason="error", error=ODD, finished_at=0))
    line = eventlog.JsonFormat().format(records[0])
    assert line.isprintable()
    said = json.loads(line)
    assert said["error"] == {"type": "Odd", "message": "a\nb\x1b[31m", "traceback": json.loads(ODD)["traceback"]}
    assert (said["event"], said["attempt"], said["finished_at"]) == ("failed", 2, "1970-01-01T00:00:00.000000Z")


def test_other_records_have_their_traceback():
    error = ValueError("x")
    record = logging.LogRecord("shop", logging.ERROR, "", 0, "it %s", ("broke",), (ValueError, error, None))
    text = eventlog.TextFormat().format(record)
    assert text.endswith("ERROR it broke\n    ValueError: x")
    assert "ValueError: x" in json.loads(eventlog.JsonFormat().format(record))["traceback"]


def test_a_task_s_own_log_names_the_task():
    record = logging.LogRecord("mainspring.task", logging.INFO, "", 0, "hello", (), None)
    record.task_id, record.task_name, record.attempt = "7", "open", 1
    assert eventlog.TextFormat().format(record).endswith("INFO hello [task 7 open]")
    assert json.loads(eventlog.JsonFormat().format(record))["task_id"] == "7"


@pytest.mark.parametrize("own", [False, True])
def test_an_app_that_set_up_logging_keeps_it(monkeypatch, own):
    root, ours = logging.Logger("root"), logging.Logger("mainspring")  # noqa: LOG001  # not those of all other tests
    monkeypatch.setattr(eventlog, "log", ours)
    monkeypatch.setattr(eventlog.logging, "getLogger", lambda *_: root)
    if own:
        root.addHandler(logging.NullHandler())
    eventlog.set_up_logging(as_json=True, level="DEBUG")
    assert isinstance(ours.handlers[0].formatter, eventlog.JsonFormat)
    assert (ours.level, ours.propagate) == (logging.DEBUG, False)
    assert (root.handlers == ours.handlers) is not own
