"""Real daemons on a disk that fails them: the power is cut under load, and the store's file is taken away."""

import logging
import os
import subprocess
import sys
import threading
from collections import Counter
from contextlib import closing
from pathlib import Path

import pytest
from sweep import LONG

from daemons import LONG as PATIENCE
from mainspring import StoreError
from mainspring.store.sqlite import SqliteStore
from mainspring.store.sqlite_check import findings_in

pytestmark = [pytest.mark.process, pytest.mark.timeout(900 if LONG else 120)]

HERE = Path(__file__).parent


def begun(path):
    """What bodies noted at their begin: (task, at, run_at) of each."""
    words = [line.split() for line in path.read_text().splitlines()]
    return [(int(task), int(at), int(run_at)) for what, task, _, _, at, run_at, *_ in words if what == "B"]


@pytest.mark.parametrize("number", range(40, 1_240, 12) if LONG else (90, 700, 2000))
def test_the_power_fails_under_a_daemon_at_work(tmp_path, ledger, number):
    left, noted, accepted = tmp_path / "left", tmp_path / "ledger", tmp_path / "accepted"
    environment = {**os.environ, "LEDGER": str(noted), "ACCEPTED": str(accepted)}

    def run(store, *argv):
        return subprocess.run(  # noqa: PLW1510  # how it ended is judged
            [sys.executable, HERE / "cut_daemon.py", *argv],
            env={**environment, "STORE": str(store)},
            stderr=subprocess.PIPE,
            timeout=PATIENCE,
        )

    assert run(tmp_path / "shop.db", str(number), str(left)).returncode == -9
    after = run(left / "shop.db", "rest")
    assert after.returncode == 0, after.stderr.decode()
    names = dict(line.split() for line in accepted.read_text().splitlines()) if accepted.exists() else {}
    runs = Counter(task for task, _, _ in begun(noted))
    with closing(SqliteStore(str(left / "shop.db"))) as store:
        rows = {int(task): store.get(int(task)) for task in names}
        attempts = {task: len(store.attempts(task)) for task, row in rows.items() if row}
    lost = [task for task, row in rows.items() if row is None]
    once = [int(task) for task, name in names.items() if name == "once"]
    twice = sum(runs[task] > attempts[task] + 1 for task in attempts)  # their outcome was not on the disk yet
    findings = findings_in(str(left / "shop.db"))
    ledger.add("power cut of a daemon", 1, lost=len(lost), twice=twice, integrity=bool(findings))
    assert lost == []
    assert findings == []
    assert {task for task in once if runs[task] > 1} == set()
    assert all(row.state == "succeeded" or (task in once and row.reason == "lost") for task, row in rows.items())
    assert all(at >= run_at for _, at, run_at in begun(noted))


def test_a_daemon_whose_file_is_taken_away_keeps_what_has_run_and_goes_on_when_it_is_back(
    threaded, gate, tmp_path, ledger
):
    path = tmp_path / "threaded.db"
    daemon = threaded()
    kept = threading.Event()

    class Heard(logging.Handler):
        def emit(self, record):
            if "outcomes are kept" in record.getMessage() and "is not the file any more" in record.getMessage():
                kept.set()

    handler = Heard()
    logging.getLogger("mainspring").addHandler(handler)
    try:

        @daemon.task(name="wait")
        def wait():
            gate.wait()

        running = wait.enqueue()
        gate.await_arrivals()
        os.rename(path, tmp_path / "away.db")
        with pytest.raises(StoreError, match="is not the file any more"):
            wait.enqueue()
        gate.open()
        assert kept.wait(PATIENCE)
        os.rename(tmp_path / "away.db", path)
        assert running.wait(PATIENCE)
        assert running.refresh().state == "succeeded"
    finally:
        logging.getLogger("mainspring").removeHandler(handler)
    ledger.add("file moved while open", 1)
