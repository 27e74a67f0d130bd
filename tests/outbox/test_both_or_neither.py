"""Both or neither: whatever is rolled back, and wherever the mover dies, each committed order has one task.

Orders and tasks are added in transactions that are committed, rolled back or cut short; movers move them, each of which
dies before or after one of its effects on either database. In the end one that lives moves the rest.
"""

import sqlite3
import tempfile
from collections import Counter
from contextlib import ExitStack, closing, suppress
from pathlib import Path
from typing import NamedTuple

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from own_database import outbox_rows

from mainspring import Daemon
from mainspring.engine.mover import Mover
from mainspring.store.outbox_connections import Place
from mainspring.store.rows import Filter
from mainspring.tasks.state import STATES, State
from mainspring.testing import VirtualClock

NEVER = 10_000


class Died(BaseException):
    """The process is no more."""


class Fate:
    """Counts effects, and ends the mover at one of them."""

    def __init__(self, at, *, before):
        self._left = at
        self._before = before

    def effect(self, make):
        self._left -= 1
        if self._left == 0 and self._before:
            raise Died
        value = make()
        if self._left == 0:
            raise Died
        return value


class Mortal(sqlite3.Connection):
    """A mover's connection: each statement and each commit is an effect."""

    fate = Fate(NEVER, before=True)

    def cursor(self):
        return super().cursor(MortalCursor)

    def commit(self):
        self.fate.effect(super().commit)


class MortalCursor(sqlite3.Cursor):
    def execute(self, *arguments):
        return self.connection.fate.effect(lambda: super(MortalCursor, self).execute(*arguments))


class MortalStore:
    """A mover's store: taking in and forgetting are effects."""

    def __init__(self, store, fate):
        self.arrivals = self
        self._store = store
        self._fate = fate

    def take_in(self, *arguments):
        return self._fate.effect(lambda: self._store.arrivals.take_in(*arguments))

    def gone(self, *arguments):
        return self._fate.effect(lambda: self._store.arrivals.gone(*arguments))


def mover(store, path, clock, fate):
    """A mover on a connection of its own; it is closed, as the system does it, when the mover has died."""

    def connect():
        con = sqlite3.connect(path, factory=Mortal)
        con.fate = fate
        return con

    return Mover(MortalStore(store, fate), Place("orders", connect), clock, programs=False, safety=60_000_000)


def move(store, path, clock, fate):
    one = mover(store, path, clock, fate)
    with suppress(Died):
        one.step(clock.now())
    if one._reached is not None:
        one._reached._connection.rollback()
        one._reached.close()


class Transaction(NamedTuple):
    orders: int
    ending: str


class Moving(NamedTuple):
    dies_at: int
    before: bool


TRANSACTIONS = st.builds(Transaction, st.integers(0, 3), st.sampled_from(["commit", "commit", "rollback", "cut short"]))
MOVINGS = st.builds(Moving, st.integers(1, 12) | st.just(NEVER), st.booleans())


def live(plan, daemon, path, clock):
    """The orders that were committed."""
    committed, number = [], 0
    for step in plan:
        if isinstance(step, Moving):
            move(daemon.store, path, clock, Fate(step.dies_at, before=step.before))
            continue
        with closing(sqlite3.connect(path)) as con:
            orders = range(number, number + step.orders)
            number += step.orders
            for order in orders:
                con.execute("INSERT INTO orders VALUES (?)", (order,))
                daemon.add_task("shop:ship", args=(order,), name=str(order), connection=con)
            if step.ending == "commit":
                con.commit()
                committed += orders
            elif step.ending == "rollback":
                con.rollback()
    return committed


@pytest.mark.parametrize("kind", ["memory", "sqlite"])
@settings(max_examples=150, deadline=None)
@given(plan=st.lists(TRANSACTIONS | MOVINGS, max_size=12))
def test_each_committed_order_has_one_task_and_no_other_has_any(kind, plan):
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        clock = VirtualClock("2026-11-27T00:00:00Z")
        daemon = Daemon("memory:" if kind == "memory" else folder / "shop.db", clock=clock)
        stack.callback(daemon.close)
        path = folder / "orders.db"
        con = stack.enter_context(closing(sqlite3.connect(path)))
        con.execute("CREATE TABLE orders (id INTEGER PRIMARY KEY)")
        committed = live(plan, daemon, path, clock)
        assert con.execute("SELECT id FROM orders ORDER BY id").fetchall() == [(order,) for order in committed]
        move(daemon.store, path, clock, Fate(NEVER, before=True))
        tasks = daemon.store.find(Filter(states=STATES))
        assert Counter(task.name for task in tasks) == Counter(map(str, committed))
        assert all(task.state is State.WAITING for task in tasks)
        assert outbox_rows(con) == []


def effects_of_a_move():
    """How many effects one page has: so that each is died at."""
    with tempfile.TemporaryDirectory() as folder, closing(sqlite3.connect(f"{folder}/orders.db")) as con:
        clock = VirtualClock("2026-11-27T00:00:00Z")
        daemon = Daemon("memory:", clock=clock)
        daemon.add_task("shop:ship", connection=con)
        con.commit()
        fate = Fate(NEVER, before=True)
        move(daemon.store, f"{folder}/orders.db", clock, fate)
        return NEVER - fate._left


def test_every_effect_of_a_move_is_among_those_that_are_died_at():
    assert 7 <= effects_of_a_move() <= 12
