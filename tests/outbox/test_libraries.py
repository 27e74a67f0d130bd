"""The connections of other libraries: SQLAlchemy's, Django's, psycopg's; on SQLite and on PostgreSQL."""

import functools
from contextlib import contextmanager

import pytest

from mainspring import Daemon
from mainspring.errors import InvalidArguments, Misuse, TaskNotFound
from mainspring.store.outbox import TABLE
from mainspring.store.outbox_connections import reach
from postgres_server import shared_server

LATER = "2090-01-01T00:00:00Z"


@functools.cache
def database():
    """A database on PostgreSQL that is somebody's own."""
    return shared_server().new_database()


def came(daemon, task):
    """Wait until the task is in the store; its number."""
    return daemon._waiting.until(lambda: task.refresh().row.id or None, 60_000_000)


def keeps_the_promise(daemon, commit, roll_back, add):
    """`add(order)` adds within the transaction that the other two end."""
    with daemon:
        gone = add(1)
        roll_back()
        kept = add(2)
        commit()
        assert came(daemon, kept)
        with pytest.raises(TaskNotFound):
            daemon.get(gone.id)
        assert [task.name for task in daemon.find()] == ["2"]


# ── SQLAlchemy ─────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.fixture(params=["sqlite", "postgresql"])
def engine(request, orders):
    sqlalchemy = pytest.importorskip("sqlalchemy")
    if request.param == "sqlite":
        url = f"sqlite:///{orders}"
    else:
        url = database().replace("postgresql://", "postgresql+psycopg://")
    engine = sqlalchemy.create_engine(url)
    yield engine
    with engine.begin() as con:
        con.exec_driver_sql(f"DROP TABLE IF EXISTS {TABLE}")
    engine.dispose()


@pytest.fixture
def shop(engine, tmp_path):
    daemon = Daemon(tmp_path / "shop.db", outboxes=[engine])
    with engine.begin() as con:
        daemon.create_outbox(con)
        daemon.create_outbox(con)
    yield daemon
    daemon.stop()
    daemon.close()


def test_a_connection_of_sqlalchemy(shop, engine):
    with engine.connect() as con:

        def add(order):
            return shop.add_task("shop:ship", args=(order,), name=str(order), at=LATER, connection=con)

        keeps_the_promise(shop, con.commit, con.rollback, add)


@pytest.mark.parametrize("scoped", [False, True])
def test_a_session_of_sqlalchemy(shop, engine, scoped):
    from sqlalchemy.orm import Session, scoped_session, sessionmaker

    session = scoped_session(sessionmaker(engine)) if scoped else Session(engine)

    def add(order):
        return shop.add_task("shop:ship", args=(order,), name=str(order), at=LATER, connection=session)

    keeps_the_promise(shop, session.commit, session.rollback, add)
    session.close()


def test_a_session_of_one_s_own(shop, engine):
    from sqlalchemy.orm import Session

    class OurSession(Session):
        """As SQLModel and others have one."""

    with OurSession(engine) as session:
        task = shop.add_task("shop:ship", at=LATER, connection=session)
        session.commit()
    with shop:
        assert came(shop, task)


def heard(watch):
    """How many rows the news were of."""
    return sum(word.startswith("outbox ") for word in watch.drain())


@pytest.mark.parametrize("scoped", [False, True])
def test_a_session_tells_of_its_commit_too(shop, engine, scoped):
    from sqlalchemy.orm import Session, scoped_session, sessionmaker

    session = scoped_session(sessionmaker(engine)) if scoped else Session(engine)
    watch = shop.store.watch()
    for _ in range(2):
        shop.add_tasks([{"work": "shop:ship", "at": LATER}] * 3, connection=session)
        assert heard(watch) == 1
        session.commit()
        assert heard(watch) == 1
        session.commit()
        assert heard(watch) == 0
    session.close()
    watch.close()


def test_a_savepoint_that_is_rolled_back_takes_its_task_along(shop, engine):
    from sqlalchemy.orm import Session

    with shop, Session(engine) as session, session.begin():
        with session.begin_nested() as inner:
            gone = shop.add_task("shop:ship", at=LATER, connection=session)
            inner.rollback()
        kept = shop.add_task("shop:ship", at=LATER, connection=session)
        session.commit()
        assert came(shop, kept)
        with pytest.raises(TaskNotFound):
            shop.get(gone.id)


def test_a_function_that_makes_sessions_can_be_looked_into(engine, tmp_path):
    from sqlalchemy.orm import sessionmaker

    make = sessionmaker(engine)
    with Daemon(tmp_path / "shop.db", outboxes=[make]) as daemon, make() as session:
        daemon.create_outbox(session)
        task = daemon.add_task("shop:ship", at=LATER, connection=session)
        session.commit()
        assert came(daemon, task)
    daemon.close()


def test_what_of_sqlalchemy_is_no_transaction(shop, engine):
    with pytest.raises(InvalidArguments, match="a transaction to join"):
        shop.add_task("shop:ship", connection=engine)
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as con, pytest.raises(Misuse):
        shop.add_task("shop:ship", connection=con)


def test_an_awaited_session_is_told_from_the_other(shop):
    kind = type(
        "AsyncSession", (), {"__module__": "sqlalchemy.ext.asyncio", "run_sync": None}
    )  # made by greenlet alone
    with pytest.raises(InvalidArguments, match="AsyncSession, which must be awaited"):
        shop.add_task("shop:ship", connection=kind())


# ── Django ─────────────────────────────────────────────────────────────────────────────────────────────────────


@contextmanager
def django_on(settings):
    """Django's connection, set up anew for this database."""
    django = pytest.importorskip("django")
    from django.conf import settings as all_settings
    from django.db import connections

    if not all_settings.configured:
        all_settings.configure(DATABASES={"default": settings}, USE_TZ=True)
        django.setup()
    connections.settings = connections.configure_settings({"default": settings})
    if hasattr(connections._connections, "default"):
        del connections["default"]
    try:
        yield connections["default"]
    finally:
        connections["default"].close()
        del connections["default"]


@pytest.fixture(params=["sqlite", "postgresql"])
def django_connection(request, orders):
    settings = {"ENGINE": "django.db.backends.sqlite3", "NAME": orders}
    if request.param == "postgresql":
        name, _, host = database().removeprefix("postgresql://tests@/").partition("?host=")
        settings = {"ENGINE": "django.db.backends.postgresql", "NAME": name, "HOST": host, "USER": "tests"}
    with django_on(settings) as connection:
        yield connection
        with connection.cursor() as cursor:
            cursor.execute(f"DROP TABLE IF EXISTS {TABLE}")


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_djangos_connection(django_connection, tmp_path):
    from django.db import connection, transaction

    daemon = Daemon(tmp_path / "shop.db", outboxes=[connection])
    with transaction.atomic():
        daemon.create_outbox(connection)

    def add(order):
        return daemon.add_task("shop:ship", args=(order,), name=str(order), at=LATER, connection=connection)

    watch = daemon.store.watch()
    with transaction.atomic():
        add(0)
        assert heard(watch) == 1
    assert heard(watch) == 1
    watch.close()
    with connection.cursor() as cursor:
        cursor.execute(f"DELETE FROM {TABLE}")
    with daemon:
        with pytest.raises(Misuse, match=r"transaction\.atomic"):
            add(0)
        with pytest.raises(ZeroDivisionError), transaction.atomic():
            add(1 // 0)
        with transaction.atomic():
            try:
                with transaction.atomic():
                    gone = add(1)
                    transaction.set_rollback(True)
            finally:
                kept = add(2)
        assert came(daemon, kept)
        with pytest.raises(TaskNotFound):
            daemon.get(gone.id)
        assert [task.name for task in daemon.find()] == ["2"]
    daemon.close()


# ── psycopg ────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.fixture
def pg():
    psycopg = pytest.importorskip("psycopg")
    with psycopg.connect(database()) as con:
        yield con
        con.rollback()
        con.execute(f"DROP TABLE IF EXISTS {TABLE}")


def test_psycopgs_connection(pg, tmp_path):
    import psycopg

    daemon = Daemon(tmp_path / "shop.db", outboxes=[lambda: psycopg.connect(database())])

    def add(order):
        return daemon.add_task("shop:ship", args=(order,), name=str(order), at=LATER, connection=pg)

    with pytest.raises(psycopg.errors.UndefinedTable) as refused:
        add(0)  # the library's own error: whoever repeats transactions by it still can
    assert "daemon.create_outbox(connection)" in "".join(refused.value.__notes__)
    pg.rollback()
    daemon.create_outbox(pg)
    pg.commit()
    keeps_the_promise(daemon, pg.commit, pg.rollback, add)
    daemon.close()


def test_an_awaited_connection_of_psycopg_is_refused(tmp_path):
    psycopg = pytest.importorskip("psycopg")
    connection = psycopg.AsyncConnection.__new__(psycopg.AsyncConnection)
    with pytest.raises(InvalidArguments, match="AsyncConnection, which must be awaited"):
        reach(connection)


def test_psycopg_in_autocommit_mode(pg, tmp_path):
    daemon = Daemon(tmp_path / "shop.db")
    pg.autocommit = True
    daemon.create_outbox(pg)
    with pytest.raises(Misuse):
        daemon.add_task("shop:ship", connection=pg)
    with pg.transaction():
        daemon.add_task("shop:ship", connection=pg)
    assert len(pg.execute(f"SELECT id FROM {TABLE}").fetchall()) == 1
    daemon.close()


def test_a_store_and_an_outbox_in_one_database_of_postgresql(pg):
    import psycopg

    daemon = Daemon(database(), outboxes=[lambda: psycopg.connect(database())])
    daemon.create_outbox(pg)
    pg.commit()

    def add(order):
        return daemon.add_task("shop:ship", args=(order,), name=str(order), at=LATER, connection=pg)

    keeps_the_promise(daemon, pg.commit, pg.rollback, add)
    daemon.close()


# ── ways to mark values ────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("style", "statement", "values"),
    [
        ("qmark", "a ? b ?", ("x", "y")),
        ("format", "a %s b %s", ("x", "y")),
        ("pyformat", "a %s b %s", ("x", "y")),
        ("numeric", "a :1 b :2", ("x", "y")),
        ("named", "a :v0 b :v1", {"v0": "x", "v1": "y"}),
    ],
)
def test_each_way_to_mark_values(monkeypatch, style, statement, values):
    monkeypatch.setitem(globals(), "paramstyle", style)
    ran = []

    class Connection:
        description = None

        def cursor(self):
            return self

        def execute(self, *said):
            ran.append(said)

        def commit(self):
            pass

        def close(self):
            pass

    assert reach(Connection()).run("a ? b ?", ("x", "y")) == []
    assert ran == [(statement, values)]
