"""The mover: when it looks, what it leaves alone, and what it does when the database is away."""

import logging
import os
import sqlite3
import threading
from contextlib import closing

import pytest
from own_database import outbox_rows, stored

from mainspring import Daemon, transactional
from mainspring.engine.mover import Mover
from mainspring.errors import InvalidArguments, InvalidValue
from mainspring.store.memory import MemoryStore
from mainspring.store.outbox import SCHEMA
from mainspring.store.outbox_connections import Place
from mainspring.tasks.state import State
from mainspring.testing import VirtualClock
from mainspring.transactional import places_of

SECOND = 1_000_000
ID = "o066104070f598a09cf89e7a2091951e0"


@pytest.fixture
def clock():
    return VirtualClock("2026-11-27T00:00:00Z")


@pytest.fixture
def store():
    return MemoryStore()


def positive(number: int) -> int:
    return abs(number)


@pytest.fixture
def mover_of(store, orders, clock):
    """Makes a mover by hand; `connect` is what it connects by."""
    made = []

    def make(connect=lambda: sqlite3.connect(orders), programs=False):
        made.append(Mover(store, Place("orders", connect), clock, programs=programs, safety=60 * SECOND))
        return made[-1]

    yield make
    for one in made:
        one.ending = True
        one.step(0)


@pytest.fixture
def mover(mover_of):
    return mover_of()


# ── when it looks ──────────────────────────────────────────────────────────────────────────────────────────────


def test_idle_it_looks_once_a_minute(mover, clock):
    now = clock.now()
    assert mover.step(now) == now + 60 * SECOND


def looks_after(mover, clock, *ages):
    """In how many µs it wants to look again, so long after it was told of a row."""
    start, wanted = clock.monotonic(), []
    for age in ages:
        clock.advance(f"{start + age - clock.monotonic()}us")
        wanted.append(mover.step(clock.now()) - clock.now())
    return wanted


def test_told_of_a_row_it_looks_soon_and_then_less_often_until_it_has_seen_it(mover, clock, con):
    mover.expect([ID])
    ages = (0, 20_000, 400_000, 10 * SECOND)
    assert looks_after(mover, clock, *ages) == [2_000, 5_000, 100_000, 500_000]
    with con:
        con.execute(SCHEMA)
        con.execute("INSERT INTO mainspring_outbox VALUES (?, ?)", (ID, '{"format":1,"work":"shop:ship","run_at":5}'))
    assert mover.step(clock.now()) == clock.now() + 60 * SECOND


def test_a_row_that_never_comes_is_not_waited_for_longer_than_a_minute(mover, clock):
    mover.expect([ID])
    assert looks_after(mover, clock, 59 * SECOND, 61 * SECOND) == [500_000, 60 * SECOND]


def test_a_daemon_hears_of_a_row_of_another_process_before_its_commit(tmp_path, orders):
    """And is there when it is committed: with looks a minute apart it would not be."""
    store = tmp_path / "shop.db"
    with Daemon(store, outboxes=[orders]) as daemon, closing(Daemon(store, name="web")) as web:
        with closing(sqlite3.connect(orders)) as con:
            task = web.add_task("shop:ship", at="2090-01-01T00:00:00Z", connection=con)
            con.commit()
        found = web._waiting.until(lambda: task.refresh().row.id or None, 50 * SECOND)
        assert found
        assert daemon.get(task.id).row.id == found


def test_with_a_clock_moved_by_hand(orders, clock):
    with Daemon("memory:", outboxes=[orders], clock=clock) as daemon, closing(sqlite3.connect(orders)) as con:
        task = daemon.task(name="shop:ship")(positive).within(con).enqueue(-1)
        con.commit()
        clock.advance("1s")
        assert task.result() == 1


def test_inline(orders):
    daemon = Daemon(inline=True, outboxes=[orders])
    with closing(sqlite3.connect(orders)) as con:
        task = daemon.task(name="shop:ship")(positive).within(con).enqueue(-1)
        con.commit()
        assert task.result(timeout=30) == 1
    daemon.stop()


@pytest.mark.parametrize("kind", ["memory", "sqlite"])
def test_what_is_reserved_is_released_to_be_replaced(kind, tmp_path, orders, clock):
    store = "memory:" if kind == "memory" else tmp_path / "shop.db"
    with Daemon(store, outboxes=[orders], clock=clock) as daemon, closing(sqlite3.connect(orders)) as con:
        work = daemon.task(name="shop:ship")(positive)
        owner = work.options(key="k").after("2s").enqueue(1)
        assert owner.refresh().row.holder is not None
        task = work.options(key="k", on_conflict="replace").within(con).enqueue(2)
        con.commit()
        clock.advance("1s")
        assert task.result() == 2
        assert (owner.refresh().state, owner.reason) == (State.CANCELLED, "replaced")
    daemon.close()


# ── what it leaves alone, and what it refuses ──────────────────────────────────────────────────────────────────

GOOD = '{"format":1,"work":"shop:ship","run_at":5}'


@pytest.mark.parametrize(
    "text",
    [
        "", "[]", "{}", "null", '{"format":2,"work":"shop:ship","run_at":5}', '{"format":1,"run_at":5}',
        GOOD.replace("}", ',"schedule":"nightly"}'), GOOD.replace("}", ',"missed":["expired",1,1]}'),
        GOOD.replace("}", ',"queue":""}'), GOOD.replace("}", ',"priority":40000}'),
        GOOD.replace("}", ',"key":"a\\u0000"}'),
        GOOD.replace("}", ',"payload":"nonsense"}'), GOOD.replace("}", ',"options":"{"}'), GOOD.replace("5", "1e30"),
        GOOD.replace("}", ',"kind":"program","payload":"{}"}'), GOOD.replace("}", ',"on_conflict":"what"}'),
    ],
)  # fmt: skip
def test_a_row_that_is_none_of_ours_is_left_and_said_once(mover, store, con, clock, caplog, text):
    others = [ID[:-1] + last for last in "12"]
    with con:
        con.execute(SCHEMA)
        con.executemany(
            "INSERT INTO mainspring_outbox VALUES (?, ?)", [(ID, text), *((other, GOOD) for other in others)]
        )
        con.execute("INSERT INTO mainspring_outbox VALUES ('strange', ?)", (GOOD,))
    for _ in range(2):
        mover.step(clock.now())
    assert [arrival is None for arrival in map(store.arrivals.find, [ID, *others, "strange"])] == [
        True,
        False,
        False,
        True,
    ]
    assert [id_ for id_, _ in outbox_rows(con)] == [ID, "strange"]
    assert sum("is left there" in record.message for record in caplog.records) == 2


def test_what_is_no_text_holds_nobody_up(tmp_path, orders, con):
    with Daemon(tmp_path / "shop.db", outboxes=[orders]) as daemon:
        with con:
            task = daemon.add_task("shop:ship", at="2090-01-01T00:00:00Z", connection=con)
            con.executemany(
                "INSERT INTO mainspring_outbox VALUES (?, ?)",
                [
                    (b"o1", GOOD),
                    (b"\xff", b"\xff"),
                    (ID, b"\xff"),
                    *((bytes([0, n % 256, n // 256]), "") for n in range(600)),
                ],
            )
            con.execute("INSERT INTO mainspring_outbox VALUES (CAST(x'ff' AS TEXT), CAST(x'ff' AS TEXT))")
            con.execute("INSERT INTO mainspring_outbox VALUES (CAST(x'00ff' AS TEXT), CAST(x'ff' AS TEXT))")
        assert daemon._waiting.until(lambda: task.refresh().row.id or None, 50 * SECOND)
        assert len(stored(daemon)) == 1


PROGRAM = (
    '{"format":1,"kind":"program","work":"/bin/true","run_at":5,"payload":"{\\"command\\":[\\"/bin/true\\"],'
    '\\"cwd\\":\\"/\\",\\"env\\":null}"}'
)


@pytest.mark.parametrize("programs", [False, True])
def test_a_program_comes_only_where_programs_were_said(mover_of, store, con, clock, programs):
    with con:
        con.execute(SCHEMA)
        con.execute("INSERT INTO mainspring_outbox VALUES (?, ?)", (ID, PROGRAM))
    mover_of(programs=programs).step(clock.now())
    row = store.get(store.arrivals.find(ID).task)
    assert (row.state, row.reason) == ((State.WAITING, None) if programs else (State.CANCELLED, "not allowed"))


@pytest.mark.parametrize(("said", "state"), [(None, "cancelled"), (["/bin/true"], "succeeded")])
def test_a_daemon_says_so_by_its_setting(tmp_path, orders, con, said, state):
    client = Daemon(tmp_path / "shop.db", programs=["/bin/true"], name="client")
    with con:
        task = client.add_task(["/bin/true"], connection=con)
    with Daemon(tmp_path / "shop.db", programs=said, outboxes=[orders]):
        assert task.wait(timeout=30)
    assert task.state == state
    client.close()


# ── when the database is away ──────────────────────────────────────────────────────────────────────────────────


def test_a_database_that_is_away_is_said_once_and_tried_again_less_and_less_often(mover_of, orders, clock, caplog):
    caplog.set_level(logging.INFO, logger="mainspring")
    away = True

    def connect():
        if away:
            raise sqlite3.OperationalError("no route to host")
        return sqlite3.connect(orders)

    mover = mover_of(connect)
    waits = []
    for _ in range(9):
        wanted = mover.step(clock.now())
        waits.append((wanted - clock.now()) // SECOND)
        assert mover.step(clock.now()) == wanted  # woken meanwhile, it does not try
        clock.advance(f"{wanted - clock.now()}us")
    assert waits == [1, 2, 4, 8, 16, 32, 60, 60, 60]
    away = False
    mover.step(clock.now())
    said = [record.message for record in caplog.records if "outbox" in record.message]
    assert len(said) == 2
    assert "no route to host" in said[0]
    assert "can be read again" in said[1]


def test_a_database_that_hangs_holds_up_no_other_and_no_stop(tmp_path, orders, con, monkeypatch):
    monkeypatch.setattr("mainspring.engine.mover._PATIENCE_S", 0.01)
    hangs, let_go = threading.Event(), threading.Event()

    def connect():
        hangs.set()
        let_go.wait()
        raise sqlite3.OperationalError("no route to host")

    daemon = Daemon(tmp_path / "shop.db", outboxes=[connect, orders])
    work = daemon.task(name="shop:ship")(positive)
    daemon.start()
    try:
        assert hangs.wait(60)
        task = work.within(con).enqueue(-1)
        con.commit()
        assert task.result(timeout=30) == 1
        [thread] = [one for one in threading.enumerate() if one.name == "mainspring-outbox-1"]
        daemon.stop()
        assert thread.is_alive()
    finally:
        let_go.set()
    thread.join(60)
    assert not thread.is_alive()
    daemon.close()


def test_a_file_that_is_not_there_yet_is_made_by_its_owner_alone(tmp_path):
    orders = str(tmp_path / "orders.db")
    with Daemon(tmp_path / "shop.db", outboxes=[orders]) as daemon:
        assert stored(daemon) == []
        assert not os.path.exists(orders)
        with closing(sqlite3.connect(orders)) as con, con:
            task = daemon.add_task("shop:ship", at="2090-01-01T00:00:00Z", connection=con)
        assert daemon._waiting.until(lambda: task.refresh().row.id or None, 50 * SECOND)


def test_what_connects_may_not_lead_to_the_store(tmp_path, mover_of, clock, caplog):
    daemon = Daemon(tmp_path / "shop.db", outboxes=[lambda: sqlite3.connect(tmp_path / "shop.db")])
    daemon.add_task("shop:ship")
    daemon.close()  # nobody has it open: the test itself must not do what it is about
    [place] = places_of(daemon.settings.outboxes, daemon.store_file)
    with pytest.raises(InvalidArguments, match="the store itself"):
        place.connect()
    mover = mover_of(place.connect)
    assert mover.step(clock.now()) is None
    assert mover.step(clock.now() + 100 * SECOND) is None
    assert sum("is left alone" in record.message for record in caplog.records) == 1
    assert len(transactional._refused) == 2  # never closed where a daemon has the store open; here none has
    while transactional._refused:
        transactional._refused.pop().close()


def test_a_name_that_leads_nowhere_is_said_at_the_start(tmp_path):
    with pytest.raises(InvalidValue, match="no_such_module"):
        Daemon(tmp_path / "shop.db", outboxes=["no_such_module:engine"]).start()
    with pytest.raises(InvalidValue, match="what connects to a database"):
        Daemon(tmp_path / "shop.db", outboxes=["os:sep"]).start()
