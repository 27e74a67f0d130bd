"""Adding within a transaction of one's own: it runs after the commit, once, and never after a rollback."""

import asyncio
import sqlite3
from contextlib import closing

import pytest
from own_database import outbox_rows, stored

from mainspring.errors import InvalidArguments, Misuse, NotAllowed, TaskCancelled, TaskNotFound
from mainspring.tasks.state import State


def test_it_runs_when_the_transaction_is_committed(shop, con):
    with shop:
        with con:
            con.execute("INSERT INTO orders VALUES (42, NULL)")
            task = shop.add_task(shop.open_sale, args=(42,), connection=con)
            assert task.state is State.WAITING
        assert task.result(timeout=30) == 42
    assert shop.opened == [42]
    assert task.state is State.SUCCEEDED
    assert outbox_rows(con) == []


def test_it_is_nowhere_when_the_transaction_is_rolled_back(shop, con):
    with shop:
        con.execute("INSERT INTO orders VALUES (42, NULL)")
        task = shop.add_task(shop.open_sale, args=(42,), connection=con)
        con.rollback()
        with con:
            after = shop.open_sale.within(con).enqueue(43)
        assert after.result(timeout=30) == 43
        with pytest.raises(TaskNotFound, match="rolled back"):
            shop.get(task.id)
    assert shop.opened == [43]
    assert outbox_rows(con) == []


def test_its_id_is_known_at_once_and_stays(shop, con):
    with con:
        task = shop.add_task(shop.open_sale, args=(42,), connection=con)
        con.execute("INSERT INTO orders VALUES (42, ?)", (task.id,))
    with shop:
        assert task.wait(timeout=30)
    kept = con.execute("SELECT task FROM orders").fetchone()[0]
    again = shop.get(kept)
    assert again.id == task.id == kept
    assert again == task
    assert hash(again) == hash(task)
    [row] = stored(shop)
    assert shop.get(str(row.id)).result() == again.result() == 42
    assert again.attempts == []


def test_what_was_committed_before_a_daemon_runs_is_moved_when_one_does(shop, con):
    with con:
        tasks = shop.add_tasks([{"work": shop.open_sale, "args": (n,)} for n in range(1_200)], connection=con)
        assert len({task.id for task in tasks}) == 1_200
    assert stored(shop) == []
    with shop:
        assert [task.result(timeout=60) for task in tasks] == list(range(1_200))
    assert sorted(shop.opened) == list(range(1_200))
    assert outbox_rows(con) == []


def test_many_in_one_block(shop, con):
    with con, shop.batch(connection=con) as batch:
        batch.add_task(shop.open_sale, args=(1,)).add_task(shop.open_sale, args=(2,), after="1h")
    first, second = batch.tasks
    with shop:
        assert first.result(timeout=30) == 1
        assert shop.get(second.id).state is State.WAITING
        assert second.refresh().lateness is None
        assert second.cancel()
    assert shop.opened == [1]


def test_options_and_instants_are_kept(shop, con):
    with con:
        task = (
            shop.open_sale.options(key="k", queue="sales", priority=7, timeout=30, retry=2, expires="1h", name="label")
            .at("2090-01-01T00:00:00Z")
            .within(con)
            .enqueue(42)
        )
    with shop:
        other = shop.open_sale.within(con)
        with con:
            last = other.enqueue(1)
        last.result(timeout=30)
    moved = shop.get(task.id).row
    assert moved == task.refresh().row
    assert (moved.key, moved.queue, moved.priority, moved.name) == ("k", "sales", 7, "label")
    assert moved.expires_at == moved.run_at + 3_600_000_000
    assert '"timeout":30000000' in moved.options


def test_a_wrong_call_is_refused_and_leaves_the_transaction_alone(shop, con):
    with con:
        con.execute("INSERT INTO orders VALUES (1, NULL)")
        with pytest.raises(InvalidArguments):
            shop.add_task(shop.open_sale, args=("too", "many"), connection=con)
    assert con.execute("SELECT count(*) FROM orders").fetchone() == (1,)
    assert outbox_rows(con) == []


# ── keys ───────────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_key_is_decided_when_it_comes(shop, con):
    owner = shop.open_sale.options(key="order-42").after("1h").enqueue(1)
    with con:
        refused = shop.open_sale.options(key="order-42").within(con).enqueue(2)
        kept = shop.open_sale.options(key="order-42", on_conflict="keep").within(con).enqueue(3)
    with shop:
        with pytest.raises(TaskCancelled, match="key in use"):
            refused.result(timeout=30)
        assert kept.refresh().row == owner.refresh().row
        with con:
            new = shop.open_sale.options(key="order-42", on_conflict="replace").within(con).enqueue(4)
        assert new.result(timeout=30) == 4
    assert (owner.refresh().state, owner.reason) == (State.CANCELLED, "replaced")
    assert shop.opened == [4]


# ── steering what has not come ─────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("committed", [True, False])
def test_cancelled_before_it_came_it_never_starts(shop, con, committed):
    task = shop.add_task(shop.open_sale, args=(42,), connection=con)
    if committed:
        con.commit()
    assert task.cancel() == "cancelled"
    assert task.refresh().state is State.CANCELLED
    with pytest.raises(TaskCancelled):
        task.result()
    con.commit()
    with shop, con:
        after = shop.open_sale.within(con).enqueue(1)
        con.commit()
        after.result(timeout=30)
        assert shop.get(task.id).state is State.CANCELLED
    assert shop.opened == [1]


def test_what_has_not_come_can_only_be_cancelled(shop, con):
    with con:
        task = shop.open_sale.within(con).enqueue(42)
    for verb in (task.run_now, task.retry, lambda: task.reschedule(after="1h"), task.why):
        with pytest.raises(TaskNotFound):
            verb()
    assert not task.wait(timeout=0)
    assert task.cancel()
    with pytest.raises(TaskNotFound, match="cancelled before it came"):
        shop.get(task.id)


def test_once_it_came_it_is_steered_like_any_other(shop, con):
    with con:
        task = shop.open_sale.after("1h").within(con).enqueue(42)
        last = shop.open_sale.within(con).enqueue(1)
    with shop:
        last.result(timeout=30)
        assert task.run_now().result(timeout=30) == 42
        assert not task.cancel()


# ── what is refused ────────────────────────────────────────────────────────────────────────────────────────────


def test_the_store_itself_is_no_outbox(tmp_path, orders):
    from mainspring import Daemon

    daemon = Daemon(tmp_path / "shop.db")
    daemon.add_task("shop:open_sale", args=(1,))
    daemon.close()  # nobody has it open: the test itself must not do what it is about
    for attach in (False, True):
        with closing(sqlite3.connect(orders if attach else tmp_path / "shop.db")) as con:
            if attach:
                con.execute("ATTACH ? AS shop", (str(tmp_path / "shop.db"),))
            with pytest.raises(InvalidArguments, match="the store itself.*another database"):
                daemon.add_task("shop:open_sale", args=(1,), connection=con)
            with pytest.raises(InvalidArguments, match="the store itself"):
                daemon.create_outbox(con)
    (tmp_path / "linked.db").hardlink_to(tmp_path / "shop.db")
    for path in ("shop.db", "linked.db"):
        with pytest.raises(ValueError, match="the store itself"):
            Daemon(tmp_path / "shop.db", outboxes=[tmp_path / path]).start()


def test_autocommit_is_no_transaction(shop, orders):
    with closing(sqlite3.connect(orders, isolation_level=None)) as con:
        with pytest.raises(Misuse, match="begin a transaction"):
            shop.open_sale.within(con).enqueue(1)
        con.execute("BEGIN")
        shop.open_sale.within(con).enqueue(1)
        con.execute("ROLLBACK")
        assert outbox_rows(con) == []


@pytest.mark.parametrize("wrong", [42, "orders.db", object(), []])
def test_what_is_no_connection_is_refused(shop, wrong):
    with pytest.raises(InvalidArguments, match="connection= expects a connection to your own database"):
        shop.open_sale.within(wrong).enqueue(1)


def test_another_sqlite_library_is_refused(shop, orders):
    import apsw

    with (
        closing(apsw.Connection(orders)) as con,
        pytest.raises(InvalidArguments, match="open the database with sqlite3"),
    ):
        shop.open_sale.within(con).enqueue(1)


def test_a_program_needs_leave(shop, con):
    with pytest.raises(NotAllowed, match="programs="):
        shop.add_task(["true"], connection=con)


# ── in coroutines ──────────────────────────────────────────────────────────────────────────────────────────────


class Awaited:
    """What SQLAlchemy's AsyncSession is to us."""

    def __init__(self, con):
        self.con = con

    async def run_sync(self, function):
        return function(self.con)


async def add_in_each_way(shop, con):
    session = Awaited(con)
    async with shop.aio.batch(connection=session) as batch:
        batch.add_task(shop.open_sale, args=(1,))
    await shop.open_sale.within(session).aenqueue(2)
    await shop.aio.add_tasks([{"work": shop.open_sale, "args": (3,)}], connection=session)
    return [*batch.tasks, await shop.aio.add_task(shop.open_sale, args=(4,), connection=session)]


def test_in_coroutines_with_a_session_that_is_awaited(shop, con):
    tasks = asyncio.run(add_in_each_way(shop, con))
    assert len(outbox_rows(con)) == 4
    con.commit()
    with shop:
        assert [task.result(timeout=30) for task in tasks] == [1, 4]
        shop.drain()
    assert sorted(shop.opened) == [1, 2, 3, 4]


def test_a_connection_is_not_taken_to_another_thread(shop, con):
    with pytest.raises(InvalidArguments, match="AsyncSession"):
        asyncio.run(shop.aio.add_task(shop.open_sale, args=(1,), connection=con))
    assert outbox_rows(con) == []
