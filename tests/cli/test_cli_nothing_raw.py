"""Whatever stands in a store, no verb that shows it writes a control character, a bidi control or a lone surrogate
(S10): a name cannot move the cursor, colour the terminal, hide itself or forge a line.
"""

import json
import re
from contextlib import closing

import apsw
import pytest
from click.testing import CliRunner
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mainspring import Daemon
from mainspring.cli import main

RAW = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff\ud800-\udfff]")
NASTY = "\x1b[2J\r\n\x1b]0;owned\x07 forged \x9b31m\u202e\u2066\u2028\u2029\ufeff\x7f"
VERBS = [
    ["list"],
    ["list", "--state", "failed"],
    ["show", "1"],
    ["show", "2"],
    ["why", "1"],
    ["why", "2"],
    ["logs", "1"],
    ["logs", "2"],
    ["status"],
    ["next"],
    ["schedules", "list"],
    ["listeners", "list"],
    ["top", "--once"],
    ["store", "check"],
]
nasty = st.text(st.sampled_from([*NASTY, "a", "é", "{", "%", "\\", '"', "[", "\t"]), min_size=1, max_size=20)


@pytest.fixture
def forge(cli):
    """A store with a task that waits, one that failed, a schedule and a listener, into which a text is written."""
    with closing(Daemon(str(cli.store), name="tests")) as daemon:
        daemon.add_task(["true"], after="1h")
        daemon.add_task("no:where", ("x",))
        daemon.add_schedule("no:where", "1h", name="s")
        daemon.add_listener("no:where", name="l")

    def forge(text):
        error = json.dumps({"type": text, "message": f"{text}\ud800", "traceback": f"line\n{text}\udc00"})
        status = json.dumps({"state": text, "restarts": 1, "last_error": text, "output": text})
        with closing(apsw.Connection(str(cli.store))) as con:
            con.execute("UPDATE lane SET queue = ?, work = ? || id", (text, f"no:{text}"))
            con.execute(
                "UPDATE task SET name = ?1, key = ?1 || id, reason = ?1, "
                "payload = CASE id WHEN 2 THEN ?2 ELSE payload END",
                (text, json.dumps([[text + "\ud800"], {}])),
            )
            con.execute(
                "UPDATE task SET state = 3, attempt = 2, started_at = 1, finished_at = 2, error = ?, result = ? "
                "WHERE id = 2",
                (error, json.dumps(text)),
            )
            con.execute("DELETE FROM attempt")
            con.execute("INSERT INTO attempt (task, attempt, reason, error) VALUES (2, 1, ?, ?)", (text, error))
            con.execute("INSERT OR REPLACE INTO output (task, text) VALUES (2, ?)", (text,))
            con.execute("UPDATE standing SET name = ?, app = ?, status = ?", (text, text, status))
            con.execute("DELETE FROM paused")
            con.execute("INSERT INTO paused VALUES (?)", (text,))
            con.execute("DELETE FROM node")
            con.execute(
                "INSERT INTO node (host, pid, version, workers, started_at, app) VALUES (?1, 1, ?1, 1, 1, ?1)", (text,)
            )

    return forge


def shown(words):
    """All that a verb writes, and nothing but errors that are told may come of it."""
    result = CliRunner().invoke(main, words)
    assert result.exception is None or isinstance(result.exception, SystemExit), (words, result.exception)
    return result.stdout + result.stderr


@pytest.mark.parametrize("verb", VERBS, ids=" ".join)
@pytest.mark.parametrize("as_json", [[], ["--json"]], ids=["text", "json"])
def test_nothing_raw_is_shown(forge, verb, as_json):
    forge(NASTY)
    told = shown([*verb, *as_json])
    assert told
    assert not RAW.search(told), RAW.search(told)
    assert not any(line.startswith(" forged") for line in told.splitlines())


def test_it_is_shown_written_out(forge):
    forge(NASTY)
    assert "\\x1b[2J\\r\\n" in shown(["show", "2"])


@settings(max_examples=25, derandomize=True, deadline=None, database=None, suppress_health_check=list(HealthCheck))
@given(text=nasty, verb=st.sampled_from(VERBS), as_json=st.booleans())
def test_whatever_it_is(forge, text, verb, as_json):
    forge(text)
    told = shown([*verb, "--json"] if as_json else verb)
    assert not RAW.search(told), (verb, RAW.search(told))


@settings(max_examples=25, derandomize=True, deadline=None, database=None, suppress_health_check=list(HealthCheck))
@given(
    text=nasty | st.text(max_size=8),
    words=st.sampled_from([["show"], ["at"], ["schedules", "show"], ["list", "--state"], []]),
)
def test_nor_what_is_refused(cli, text, words):
    """An error repeats what was said."""
    told = shown([*words, text])
    assert not RAW.search(told), (words, RAW.search(told))
