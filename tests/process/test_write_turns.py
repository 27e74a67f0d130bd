"""Processes that write in a stream keep nobody waiting: SQLite's own lock would let them, for seconds."""

import os
import signal
from contextlib import closing

import pytest

from mainspring.errors import StoreError
from mainspring.store.sqlite_connection import Connections

pytestmark = pytest.mark.process

WRITES = 10

# Writes without a pause, and notes after each how many they were.
STREAM = """
import os, time
from mainspring.store.sqlite_connection import Connections
from support import say
db = Connections(os.environ["STORE"], create=True)
counter = os.open(os.environ["COUNTER"], os.O_RDWR)
for count in range(1, 1_000_000):
    with db.write(durable=False):
        time.sleep(0.02)  # a transaction that takes its time
    os.pwrite(counter, count.to_bytes(8, "big"), 0)
    if count == 1:
        say("ready")
"""

# Has waited for long, and stands still just when it is let go first.
STOPS = """
import os, signal
from mainspring.store.sqlite_turns import Turns
from support import say
with Turns(os.environ["STORE"]).insisting():
    say("insists")
    os.kill(os.getpid(), signal.SIGSTOP)
"""


@pytest.fixture
def streams(start, tmp_path):
    """Two of them; how often each has written."""
    counters = [tmp_path / name for name in ("one", "other")]
    for counter in counters:
        counter.write_bytes(bytes(8))
        start("-c", STREAM, COUNTER=str(counter)).until("ready")
    return lambda: sum(int.from_bytes(counter.read_bytes(), "big") for counter in counters)


def test_who_waits_is_soon_let_go_first(streams, place):
    with closing(Connections(place["STORE"], create=True)) as db:
        before = streams()
        for _ in range(WRITES):
            with db.write(durable=False):
                pass
        # without turns it was 20 to 200 of theirs for each of ours
        assert streams() - before < 10 * WRITES


def test_nobody_waits_for_one_that_stands_still_at_it(start, place):
    with closing(Connections(place["STORE"], create=True)) as db:
        stopped = start("-c", STOPS)
        stopped.until("insists")
        os.waitid(os.P_PID, stopped.pid, os.WSTOPPED | os.WNOWAIT)
        for _ in range(WRITES):
            with db.write(durable=False) as con:
                assert con.in_transaction
        stopped.send(signal.SIGCONT)
        assert stopped.end() == 0


# Holds SQLite's own lock until it is told to let go.
HOLD = """
import os, sys
from mainspring.store.sqlite_connection import Connections
from support import say
db = Connections(os.environ["STORE"], create=True)
with db.write(durable=False):
    say("holds")
    sys.stdin.readline()
"""


def test_whoever_keeps_the_lock_for_too_long_is_named_as_the_reason_and_then_all_is_well(start, place):
    holder = start("-c", HOLD)
    holder.until("holds")
    with closing(Connections(place["STORE"], create=False, busy_ms=100)) as db:
        with pytest.raises(StoreError, match="another process has kept the store .* locked"), db.write(durable=True):
            pytest.fail("got the lock")
        holder.say("go")
        assert holder.end() == 0
        with db.write(durable=True) as con:
            assert con.in_transaction
