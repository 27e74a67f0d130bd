"""What a store, a body or its error says reaches no log as it is: no escape, no bidi control, no forged line (S10)."""

import json
import logging
from contextlib import closing

import apsw
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mainspring import Daemon
from mainspring.engine.events import log
from mainspring.tasks.plain import clean
from mainspring.testing import VirtualClock

NASTY = "\x1b[2J\r\n2030-01-01 00:00:00 ERROR forged \x9b31m\u202e\u2066\u2028\x07"
RAW = "\x1b\r\x9b\u202e\u2066\u2028\x07"


@pytest.fixture
def lines(caplog):
    """The lines that were logged by now, in the form that most programs use."""
    caplog.handler.setFormatter(logging.Formatter("%(levelname)s:%(name)s:%(message)s:%(task_name)s",
                                                  defaults={"task_name": ""}))  # fmt: skip
    return lambda: caplog.text.split("\n")


def test_names_reasons_and_errors_are_written_out(tmp_path, lines):
    path, clock = str(tmp_path / "a.db"), VirtualClock("2030-01-01T00:00:00Z")
    daemon = Daemon(path, clock=clock, name="tests")

    @daemon.task(name="t:bad", retry=1)
    def bad():
        raise ValueError(NASTY + "\ud800")

    task = bad.after("1h").enqueue()
    with closing(apsw.Connection(path)) as con:
        con.execute("UPDATE task SET name = ?", (NASTY,))
    with closing(daemon), daemon:
        clock.advance("2h")
        assert task.refresh().state == "failed"
    told = [line for line in lines() if line]
    assert any("forged" in line for line in told)
    assert not set(RAW) & set("".join(told))
    assert not [line for line in told if not line.startswith(("WARNING:", "ERROR:", "INFO:", "  "))]
    "\n".join(told).encode()  # no lone surrogate either


def test_also_what_the_engine_itself_says(tmp_path, lines):
    """Of a function that nobody knows, and of a schedule that cannot be read."""
    path, clock = str(tmp_path / "a.db"), VirtualClock("2030-01-01T00:00:00Z")
    with closing(Daemon(path, clock=clock, name="tests")) as daemon:
        daemon.add_task("no:where")
        daemon.add_schedule("no:where", "1h", name="s")
        daemon.close()
        with closing(apsw.Connection(path)) as con:
            con.execute("UPDATE lane SET work = ?", (f"no:{NASTY}",))
            con.execute("UPDATE standing SET definition = ?", (json.dumps({"trigger": NASTY}),))
            con.execute("UPDATE standing SET name = ?", (NASTY,))
        with daemon:
            clock.advance("2h")
    told = [line for line in lines() if line]
    assert sum("forged" in line for line in told) >= 2
    assert not set(RAW) & set("".join(told))
    assert all(line.startswith(("WARNING:", "ERROR:", "INFO:")) for line in told)


@given(st.text())
def test_whatever_a_message_is_filled_with(text):
    class Keep(logging.Handler):
        def emit(self, record):
            kept.append(record.getMessage())

    kept, handler = [], Keep()
    log.addHandler(handler)
    try:
        log.error("%s %d %s", text, 3, ValueError(text))
    finally:
        log.removeHandler(handler)
    assert kept == [f"{clean(text)} 3 {clean(text)}"]
    assert kept[0].isascii() or not set(kept[0]) & {*map(chr, range(32)), *map(chr, range(0x7F, 0xA0)), "\u202e"}
