"""A shop's own database and its daemon, for tests of adding within transactions."""

import sqlite3
from contextlib import closing

import pytest

from mainspring import Daemon


@pytest.fixture
def orders(tmp_path):
    """The path of somebody's own database, with a table of theirs."""
    path = tmp_path / "orders.db"
    with closing(sqlite3.connect(path)) as con:
        con.execute("CREATE TABLE orders (id INTEGER PRIMARY KEY, task TEXT)")
        con.commit()
    return str(path)


@pytest.fixture
def con(orders):
    with closing(sqlite3.connect(orders)) as con:
        yield con


@pytest.fixture(params=["memory", "sqlite"])
def shop(request, orders, tmp_path):
    """A daemon that was not started, and whose functions note what they were called with."""
    daemon = Daemon("memory:" if request.param == "memory" else tmp_path / "shop.db", outboxes=[orders], workers=2)
    daemon.opened = []

    @daemon.task(name="shop:open_sale")
    def open_sale(item: int) -> int:
        daemon.opened.append(item)
        return item

    daemon.open_sale = open_sale
    yield daemon
    daemon.stop()
    daemon.close()
