"""`doctor` finds what is wrong, says what to do, and fails when it must."""

import sqlite3
from contextlib import closing

import pytest

from mainspring import Daemon
from mainspring.cli import checks
from mainspring.store.rows import NewNode


def levels(cli, *words, code=0):
    answer = cli.json("doctor", *words, code=code)
    assert answer["ok"] is (code == 0)
    return {check["name"]: check["level"] for check in answer["checks"]}


def test_a_healthy_machine_without_a_store(cli):
    found = levels(cli)
    assert {"python", "sqlite", "clock", "timer", "zones", "directory", "store"} <= set(found)
    assert "fail" not in found.values()
    assert list(cli.directory.iterdir()) == []
    text = cli("doctor").stdout
    assert "none yet at" in text
    assert "mainspring run" in text


def test_a_store_without_a_daemon(cli):
    cli("now", "--", "true")
    cli("pause", "mail")
    found = levels(cli)
    assert (found["store"], found["file"], found["daemons"], found["pause"]) == ("ok", "ok", "warn", "warn")
    assert "start one: mainspring run" in cli("doctor").stdout


def test_a_file_that_is_no_store_fails(cli):
    cli.store.write_text("not a database, however long it is " * 100)
    assert levels(cli, code=1)["store"] == "fail"


def test_a_file_that_others_may_write(cli):
    cli("now", "--", "true")
    cli.store.chmod(0o666)
    assert levels(cli)["file"] == "warn"
    assert f"chmod go-w {cli.store}" in cli("doctor").stdout
    cli.store.chmod(0o644)
    assert "others may read" in cli("doctor").stdout


def test_no_directory_and_bad_settings_fail(cli, write):
    assert levels(cli, "--store", "no/such/x.db", code=1)["directory"] == "fail"
    write("pyproject.toml", "[tool.mainspring]\nworkerz = 3")
    assert levels(cli, code=1)["settings"] == "fail"


def test_a_node_that_was_not_settled(cli):
    from mainspring.settings import open_store

    cli("now", "--", "true")
    store = open_store(str(cli.store), create=False)
    store.join(NewNode(host="here", pid=1, version="0.0.1", workers=1, started_at=0))
    assert "of version 0.0.1" in cli("doctor").stdout
    store.close()
    text = cli("doctor").stdout
    assert "ended without settling: 1 (pid 1)" in text


def test_outboxes_are_reached_and_counted(cli, write):
    write("pyproject.toml", "[tool.mainspring]\noutboxes = ['orders.db', 'later.db', 'sqlite:broken.db']")
    write("broken.db", "not a database, however long it is " * 100)
    with closing(sqlite3.connect("orders.db")) as con, con:
        assert "0 tasks wait" in cli("doctor", code=1).stdout
        with closing(Daemon("mainspring.db")) as daemon:
            daemon.add_tasks([{"work": "shop:ship"}] * 3, connection=con)
    text = cli("doctor", code=1).stdout
    assert f"ok    outbox    {cli.directory}/orders.db: 3 tasks wait to be moved" in text
    assert f"ok    outbox    {cli.directory}/later.db is not there yet" in text
    assert "fail  outbox" in text
    write("pyproject.toml", "[tool.mainspring]\noutboxes = ['mainspring.db']")
    assert "is the store itself" in cli("doctor", code=1).stdout


@pytest.mark.parametrize(
    ("kind", "level"), [("ext4", "ok"), ("nfs4", "fail"), ("fuse.sshfs", "fail"), ("9p", "fail"), ("tmpfs", "warn")]
)
def test_file_systems(tmp_path, kind, level):
    mounts = tmp_path / "mountinfo"
    mounts.write_text(
        "21 1 8:1 / / rw - ext4 /dev/sda1 rw\n"
        f"36 21 0:32 / {tmp_path} rw,relatime shared:1 - {kind} source rw\n"
        "37 21 0:33 / /elsewhere rw - nfs source rw\n"
    )
    found = checks.file_system(str(tmp_path), str(mounts))
    assert found.level == level
    assert kind in found.found
    assert (found.advice is None) == (level == "ok")
    assert checks.file_system(str(tmp_path), "/no/such/list").level == "ok"


def test_a_clock_that_was_never_set():
    assert checks._clock(0).level == "fail"
