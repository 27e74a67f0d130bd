"""Each number that somebody gives has a cap, and beyond it a clear error (S6)."""

from contextlib import closing

import apsw
import pytest
from click.testing import CliRunner

from mainspring import Cron, Daemon, Every, InvalidValue, MainspringError, Retry, RetryLater
from mainspring.cli import main
from mainspring.settings import set_flags

HUGE = [2**63, 10**30, 10**5000]
SETTINGS = [
    "workers", "listener_workers", "max_pending", "max_tasks_per_child", "max_memory_per_child", "retention", "grace",
    "lease", "full_timeout",
]  # fmt: skip
GIVEN = {
    "priority": lambda daemon, n: daemon.add_task("no:where", priority=n),
    "timeout": lambda daemon, n: daemon.add_task("no:where", timeout=n),
    "expires": lambda daemon, n: daemon.add_task("no:where", expires=n),
    "after": lambda daemon, n: daemon.add_task("no:where", after=n),
    "at": lambda daemon, n: daemon.add_task("no:where", at=n),
    "retry": lambda daemon, n: daemon.add_task("no:where", retry=n),
    "Retry times": lambda _, n: Retry(n),
    "Retry delay": lambda _, n: Retry(1, delay=n),
    "Retry factor": lambda _, n: Retry(1, factor=n),
    "Retry max_delay": lambda _, n: Retry(1, max_delay=n),
    "RetryLater": lambda _, n: RetryLater(n),
    "Every": lambda _, n: Every(n),
    "Cron": lambda _, n: Cron(f"{n % 10**40 + 61} * * * *"),
    "catch_up": lambda daemon, n: daemon.add_schedule("no:where", "1h", catch_up=n),
    "keep": lambda daemon, n: daemon.add_schedule("no:where", "1h", keep=n),
    "schedule grace": lambda daemon, n: daemon.add_schedule("no:where", "1h", grace=n),
    "listener pause": lambda daemon, n: daemon.add_listener("no:where", pause=n),
    "find limit": lambda daemon, n: daemon.find(limit=n),
    "next": lambda daemon, n: daemon.schedules()[0].next(n),
    "reschedule": lambda daemon, n: daemon.reschedule("1", after=n),
    "wait": lambda daemon, n: daemon.get("1").wait(n),
    "queue limit": lambda _, n: Daemon("memory:", queues={"mail": n}),
}
FLAGS = [
    ["list", "--limit"],
    ["next", "--limit"],
    ["next", "--for"],
    ["now", "--priority"],
    ["now", "--retries"],
    ["now", "--timeout"],
    ["now", "--expires"],
    ["every", "1h", "--keep"],
    ["every", "1h", "--catch-up"],
    ["run", "--workers"],
]


@pytest.fixture(autouse=True)
def no_flags():
    """What a command line said holds for its process."""
    yield
    set_flags({})


@pytest.fixture
def filled(daemon):
    daemon.add_task("no:where", after="1h")
    daemon.add_schedule("no:where", "1h", name="s")
    return daemon


@pytest.mark.parametrize("huge", HUGE, ids=["2**63", "10**30", "10**5000"])
@pytest.mark.parametrize("what", GIVEN)
def test_a_number_that_is_given(filled, what, huge):
    before = [task.row for task in filled.find()], len(filled.schedules()), len(filled.listeners())
    with pytest.raises(MainspringError) as caught:
        GIVEN[what](filled, huge)
    assert 0 < len(str(caught.value)) < 600
    assert ([task.row for task in filled.find()], len(filled.schedules()), len(filled.listeners())) == before


@pytest.mark.parametrize("huge", HUGE[:2])
@pytest.mark.parametrize("setting", SETTINGS)
def test_a_setting(setting, huge):
    with pytest.raises(InvalidValue, match=setting):
        Daemon("memory:", **{setting: huge})


@pytest.mark.parametrize("huge", [str(2**63), str(10**30), "9" * 5000], ids=["2**63", "10**30", "9..."])
@pytest.mark.parametrize("flag", FLAGS, ids=" ".join)
def test_a_flag(tmp_path, flag, huge):
    path = str(tmp_path / "a.db")
    with closing(Daemon(path, name="tests")) as daemon:
        assert daemon.find() == []
    program = [] if flag[0] in {"list", "next", "run"} else ["--", "true"]
    result = CliRunner().invoke(main, [*flag, huge, "--store", path, *program])
    assert result.exit_code == 2, (result.exit_code, result.stdout, result.stderr, result.exception)
    assert len(result.stderr) < 12_000


LOOKS = ["list", "show 1", "why 1", "next", "status", "list --json", "show 1 --json", "why 1 --json"]


@pytest.mark.parametrize("column", ["run_at", "attempt", "failures", "losses", "expires_at", "priority", "created_at"])
@pytest.mark.parametrize("value", [2**63 - 1, -(2**63), 2**53])
def test_a_number_in_a_row(tmp_path, column, value):
    """Of somebody who writes to the store: whoever looks is answered."""
    path = str(tmp_path / "a.db")
    with closing(Daemon(path, name="tests")) as daemon:
        daemon.add_task("no:where", after="1h")
    with closing(apsw.Connection(path)) as con:
        con.execute(f"UPDATE {'lane' if column == 'priority' else 'task'} SET {column} = ?", (value,))
    for verb in LOOKS:
        result = CliRunner().invoke(main, [*verb.split(), "--store", path])
        assert result.exception is None or isinstance(result.exception, SystemExit), (verb, result.exception)
        assert result.stdout or result.stderr
