"""Only the URL changes: daemons, clients and the command line on a store on PostgreSQL."""

import json
import os
import re
import subprocess
import sys
from contextlib import closing

import psycopg
import pytest

from daemons import until
from mainspring import Daemon, InvalidValue, StoreError, StoreNotFound
from mainspring.errors import NewerStore, NotAStore
from mainspring.settings import open_store
from mainspring.store.postgres_ear import Ear
from mainspring.testing.conformance.trial import together
from mainspring.when.clock import SystemClock
from postgres_server import shared_server


@pytest.fixture
def url():
    return shared_server().new_database()


def mainspring(url, *arguments, code=0):
    done = subprocess.run(
        [sys.executable, "-m", "mainspring", *arguments],
        capture_output=True, text=True, check=False, timeout=60, env={**os.environ, "MAINSPRING_STORE": url},
    )  # fmt: skip
    assert done.returncode == code, done.stderr
    return done


def test_tasks_run(url):
    daemon = Daemon(url, workers=2)

    @daemon.task(name="double")
    def double(number):
        return 2 * number

    with daemon:
        assert double.enqueue(21).result(timeout=30) == 42
        soon = double.after("50ms").enqueue(1)
        assert soon.result(timeout=30) == 2
        assert soon.refresh().lateness.total_seconds() >= 0
        many = daemon.add_tasks([{"work": double, "args": (n,)} for n in range(500)])
        assert [task.result(timeout=30) for task in many] == [2 * n for n in range(500)]


def test_a_client_adds_what_a_daemon_in_another_program_runs(url):
    client = Daemon(url)
    daemon = Daemon(url, workers=1, name="shop")
    daemon.task(name="greet")(lambda whom: f"hello {whom}")
    with daemon:
        assert client.add_task("greet", args=("you",)).result(timeout=30) == "hello you"


def test_the_command_line(url):
    mainspring(url, "list", code=3)  # looking makes no store
    added = json.loads(mainspring(url, "after", "1h", "--json", "--", "/bin/true").stdout)
    [listed] = json.loads(mainspring(url, "list", "--json").stdout)
    assert listed["id"] == added["id"]
    assert json.loads(mainspring(url, "status", "--json").stdout)["counts"]["waiting"] == 1
    mainspring(url, "doctor", code=0)
    said = mainspring(url, "store", "check", "--store", url, code=2).stderr
    assert "pg_dump" in said


def test_programs_are_not_started_for_whoever_may_write_to_the_database(url):
    """Unless `programs` says so."""
    daemon = Daemon(url, workers=1)
    with daemon:
        task = daemon.add_task(["/bin/true"])
        assert until(daemon, lambda: daemon.status().unresolved) == 1
        task.cancel()


def test_looking_makes_nothing(url):
    with pytest.raises(StoreNotFound):
        open_store(url, create=False)
    with pytest.raises(StoreNotFound):
        open_store(url, create=False)


def test_a_password_is_in_no_message(url):
    url = url.replace("tests@", "tests:geheim@") + "&password=geheim"
    with Daemon(url) as daemon:
        assert "geheim" not in daemon.store.url + repr(daemon) + str(daemon.status())
    nowhere = url.replace("/test_", "/none_")
    with pytest.raises((StoreNotFound, StoreError), match="does not exist") as caught:
        open_store(nowhere, create=True)
    assert "geheim" not in str(caught.value)


def test_a_url_of_something_else_is_refused_with_the_form_that_is_meant():
    with pytest.raises(InvalidValue, match="postgresql://user@host"):
        Daemon("postgresql:shop")


def test_behind_a_pooler_that_lets_nobody_listen_it_looks_once_a_second_and_says_so(url, monkeypatch, caplog):
    monkeypatch.setattr(Ear, "_try", lambda self, con: False)
    daemon = Daemon(url, workers=1)
    daemon.task(name="double")(lambda number: 2 * number)
    client = Daemon(url)
    with daemon:
        assert client.add_task("double", args=(21,)).result(timeout=30) == 42
        assert [node.alive for node in client.store.nodes()] == [True]
    assert "pooler" in caplog.text


@pytest.mark.parametrize(("by", "words"), [(-2_000_000, "s behind that of"), (2_000_000, "s ahead of that of")])
def test_a_clock_that_is_far_from_the_servers_is_told(url, monkeypatch, caplog, by, words):
    right = SystemClock.now
    monkeypatch.setattr(SystemClock, "now", lambda self: right(self) + by)
    with closing(open_store(url, create=True)) as store, closing(store.watch()):
        [seconds] = re.findall(r"the clock of this machine is (\S+) s", caplog.text)
        assert round(float(seconds)) == 2
        assert words in caplog.text


def test_a_clock_that_is_right_is_no_matter(url, caplog):
    with closing(open_store(url, create=True)) as store, closing(store.watch()):
        assert "clock of this machine" not in caplog.text


def test_a_database_of_something_else_is_refused(url):
    with psycopg.connect(url, autocommit=True) as con:
        con.execute("CREATE SCHEMA mainspring; CREATE TABLE mainspring.orders (id int)")
    with pytest.raises(NotAStore, match="1 tables of something else"):
        open_store(url, create=True)


def test_a_store_of_a_newer_version_is_refused(url):
    open_store(url, create=True).close()
    with psycopg.connect(url, autocommit=True) as con:
        con.execute("UPDATE mainspring.meta SET value = value + 1 WHERE key = 'schema'")
    with pytest.raises(NewerStore, match="upgrade"):
        open_store(url, create=True)


def test_many_who_open_it_at_once_make_one_store(url):
    stores = together([lambda: open_store(url, create=True) for _ in range(6)])
    for store in stores:
        store.close()
    assert len({store.url for store in stores}) == 1
