"""Listeners that are programs: started again, with their last words kept, and ended when the daemon stops."""

import json
import logging
import os

import pytest
from listener_parts import LONG, SECOND

from mainspring.engine.backoff import delay_us
from mainspring.engine.supervisor import WRITE_EVERY_US


def shell(script, tmp_path):
    env = {"PATH": os.environ["PATH"]}
    return json.dumps({"command": ["sh", "-c", script], "cwd": str(tmp_path), "env": env})


@pytest.mark.process
def test_a_program_that_fails_is_started_again_with_its_last_words_kept(site, programs, tmp_path, caplog):
    caplog.set_level(logging.INFO, "mainspring.listener")
    script = "echo hello from $MAINSPRING_LISTENER $MAINSPRING_ATTEMPT; echo oh no >&2; exit 3"
    site.listen("prog", program=shell(script, tmp_path))
    supervisor = site.supervisor(programs=programs)
    site.until(lambda: site.status("prog").restarts == 1)
    status = site.status("prog")
    assert (status.state, status.last_error) == ("backing-off", "ExitCode: the program exited with 3")
    assert "oh no" in status.output
    assert "prog: hello from prog 1" in caplog.messages
    site.until(lambda: site.supervisors[0]._again)
    site.clock.advance(max(delay_us("prog", 1), WRITE_EVERY_US))
    site.until(lambda: supervisor.facts()[0][3] == 2)
    assert "prog: hello from prog 2" in caplog.messages


@pytest.mark.process
def test_a_program_that_exits_with_0_is_called_again_after_its_pause(site, programs, tmp_path):
    site.listen("prog", program=shell("exit 0", tmp_path), pause=SECOND)
    supervisor = site.supervisor(programs=programs)
    wants = []

    def paused():
        wants.append(supervisor.step(site.clock.now()))
        return wants[-1] == site.clock.now() + SECOND

    site.until(paused)
    assert supervisor.facts() == [("prog", "up", 1, 0, None)]
    site.clock.advance(SECOND)
    site.until(lambda: supervisor.facts()[0][2] == 2)


@pytest.mark.process
def test_stop_ends_a_program(site, programs, tmp_path):
    site.listen("prog", program=shell("sleep 100000", tmp_path))
    supervisor = site.supervisor(programs=programs)
    site.until(lambda: site.state("prog") == "up")
    supervisor.ask_stop()
    assert supervisor.join(LONG)
    supervisor.close()
    assert site.status("prog").state == "down"
    assert site.status("prog").restarts == 0


def test_a_program_that_is_not_allowed_is_not_taken(site, tmp_path, caplog):
    site.listen("prog", program=shell("exit 0", tmp_path))
    supervisor = site.supervisor(allowed=False)
    for _ in range(2):
        supervisor.hear(["*"])
        supervisor.step(site.clock.now())
    assert site.row("prog").holder is None
    assert len([message for message in caplog.messages if "may not run" in message]) == 1
