"""`status` says when the clock of a daemon was set; elsewhere than where it runs, too."""

from datetime import UTC, datetime

import pytest

from mainspring import Daemon
from mainspring.testing import VirtualClock


@pytest.mark.parametrize(
    ("by", "text"), [(-3_603, "the clock was set back by 1 h 0 min 3 s"), (5, "the clock was set forward by 5 s")]
)
def test_status_says_that_the_clock_was_set(cli, by, text):
    clock = VirtualClock(datetime.now(UTC))
    with Daemon(cli.store, clock=clock, name="tests") as daemon:
        assert cli.json("status")["nodes"][0]["clock"] is None
        clock.step(by)
        assert cli.json("status")["nodes"][0]["clock"] == {
            "at": clock.time.isoformat(timespec="microseconds").replace("+00:00", "Z"), "set_by": by, "slept": 0,
        }  # fmt: skip
        assert text in " ".join(cli("status").stdout.split())
    daemon.close()
