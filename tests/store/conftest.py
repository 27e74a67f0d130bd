"""A store in a file of its own."""

from contextlib import closing

import pytest

from mainspring.store.sqlite import SqliteStore


@pytest.fixture
def path(tmp_path):
    return str(tmp_path / "a.db")


@pytest.fixture
def store(path):
    with closing(SqliteStore(path)) as store:
        yield store
