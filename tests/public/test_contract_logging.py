"""Logging: "Logger `mainspring`; embedded, no handlers are set"; a failed attempt is an ERROR, a retry a WARNING."""

import logging

import pytest

from mainspring import Daemon, Retry, context


@pytest.fixture
def flaky(mainspring_daemon):
    @mainspring_daemon.task(name="flaky", retry=Retry(1, delay="1s", jitter=False))
    def flaky(attempts):
        context().log.info("attempt %d", context().attempt)
        if context().attempt <= attempts:
            raise OSError("the bank is away")

    return flaky


def said(caplog):
    return [(one.levelname, one.task_id, one.attempt) for one in caplog.records if one.name == "mainspring"]


def test_embedded_no_handlers_are_set(monkeypatch):
    logger = logging.getLogger("mainspring")
    monkeypatch.setattr(logger, "handlers", [])  # whatever a command line in this process, or pytest, has set
    monkeypatch.setattr(logger, "level", logging.NOTSET)
    monkeypatch.setattr(logger, "propagate", True)
    with Daemon("memory:", workers=1):
        assert logger.handlers == []
        assert logger.propagate
        assert logger.level == logging.NOTSET


def test_embedded_a_failure_is_not_silent(mainspring_daemon, flaky, caplog):
    task = flaky.enqueue(2)
    mainspring_daemon.clock.advance("1s")
    assert said(caplog) == [("ERROR", task.id, 1), ("WARNING", task.id, 1), ("ERROR", task.id, 2)]
    assert caplog.text.count("OSError: the bank is away\n") >= 2
    assert 'raise OSError("the bank is away")' in caplog.text  # the traceback


def test_success_is_debug(mainspring_daemon, flaky, caplog):
    flaky.enqueue(0)
    assert said(caplog) == []
    with caplog.at_level("DEBUG", "mainspring"):
        task = flaky.enqueue(0)
    assert ("DEBUG", task.id, 1) in said(caplog)


def test_what_a_body_logs_names_its_task(mainspring_daemon, flaky, caplog):
    """`context().log`"""
    with caplog.at_level("INFO", "mainspring"):
        task = flaky.enqueue(0)
    [record] = [one for one in caplog.records if one.name == "mainspring.task"]
    assert (record.task_id, record.attempt, record.getMessage()) == (task.id, 1, "attempt 1")


def test_what_nobody_knows_is_said_once(mainspring_daemon, caplog):
    for name in ("nowhere:one", "nowhere:two", "nowhere:three"):
        mainspring_daemon.add_task(name)
        mainspring_daemon.drain()
    for name in ("nowhere:one", "nowhere:two", "nowhere:three"):
        assert caplog.text.count(f"nobody here knows {name}:") == 1
    assert mainspring_daemon.status().unresolved == 3
