"""Every store keeps every promise of the port: the public suite, run on each of ours."""

import itertools

import pytest

pytest.register_assert_rewrite("mainspring.testing.conformance")

from mainspring.store.memory import MemoryStore  # noqa: E402 - after the line above: it makes failures tell values
from mainspring.testing.conformance import CASES, name_of, run  # noqa: E402
from postgres_server import shared_server  # noqa: E402


class MemoryHarness:
    """One object is the whole store: there is no second way to it."""

    def __init__(self, tmp_path):
        pass

    def make(self):
        return MemoryStore()

    def another(self, store):
        return store

    def kill(self, store, seat):
        store.lose(seat.node)

    def close(self):
        pass


class SqliteHarness:
    """A file in a directory of its own; another connection is another way in."""

    def __init__(self, tmp_path):
        self._files = (str(tmp_path / f"{n}.db") for n in itertools.count())
        self._path = ""

    def make(self):
        self._path = next(self._files)
        return self._open()

    def another(self, store):
        return self._open()

    def _open(self):
        from mainspring.store.sqlite import SqliteStore

        return SqliteStore(self._path)

    def kill(self, store, seat):
        seat.drop()  # the lock goes, as it does with its process; nothing is said to anybody

    def close(self):
        pass


class PostgresHarness:
    """A database of its own in the one server of these tests."""

    def __init__(self, tmp_path):
        self._url = ""

    def make(self):
        self._url = shared_server().new_database()
        return self._open()

    def another(self, store):
        return self._open()

    def _open(self):
        from mainspring.store.postgres import PostgresStore

        return PostgresStore(self._url)

    def kill(self, store, seat):
        seat.drop()

    def close(self):
        pass


HARNESSES = [MemoryHarness, SqliteHarness, PostgresHarness]


@pytest.mark.parametrize("harness", HARNESSES, ids=["memory", "sqlite", "postgres"])
@pytest.mark.parametrize("case", CASES, ids=name_of)
def test_promise(case, harness, tmp_path):
    run(case, harness(tmp_path))
