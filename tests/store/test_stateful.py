"""The stores keep what the port promises, through crashes, restarts and upgrades."""

from contextlib import closing

import apsw
import pytest
from hypothesis import strategies as st
from hypothesis.stateful import rule, run_state_machine_as_test
from store_ages import UNDO, make_older
from store_machine import StoreMachine

from mainspring.store.memory import MemoryStore
from mainspring.store.migrate import STEPS, bring_up
from mainspring.store.postgres import PostgresStore
from mainspring.store.sqlite import SqliteStore
from postgres_server import shared_server
from stateful_profile import profile


class MemoryMachine(StoreMachine):
    def open(self):
        return MemoryStore()

    def lose(self, node):
        self.store.lose(node)


class SqliteMachine(StoreMachine):
    def open(self):
        return SqliteStore(f"{self.folder}/s.db")

    def lose(self, node):
        self.seats[node].drop()

    @rule(version=st.integers(1, len(STEPS)))
    def reopen(self, version):
        """All processes end, and the file may have been of an older program: what is in it is as it was."""
        self.store.close()
        with closing(apsw.Connection(f"{self.folder}/s.db")) as con:
            make_older(con, version)
        self.store = self.open()
        self.seats.clear()
        self.model.nodes = dict.fromkeys(self.model.nodes, False)


class PostgresMachine(StoreMachine):
    url = ""

    def open(self):
        self.url = self.url or shared_server().new_database()
        return PostgresStore(self.url)

    def lose(self, node):
        self.seats[node].drop()

    @rule()
    def reopen(self):
        """All processes end."""
        self.store.close()
        self.store = self.open()
        self.seats.clear()
        self.model.nodes = dict.fromkeys(self.model.nodes, False)


@pytest.mark.parametrize(("machine", "examples"), [(MemoryMachine, 40), (SqliteMachine, 40), (PostgresMachine, 15)])
def test_the_port_is_kept(machine, examples):
    run_state_machine_as_test(machine, settings=profile(examples, 30))


def test_an_older_file_is_what_the_older_program_made(tmp_path):
    """Else the upgrades above would start from what never was."""

    def schema(con):
        return sorted(con.execute("SELECT type, name FROM sqlite_schema WHERE name NOT LIKE 'sqlite%'").get)

    assert len(UNDO) == len(STEPS) - 1
    for version in range(1, len(STEPS) + 1):
        with (
            closing(apsw.Connection(str(tmp_path / f"{version}.db"))) as old,
            closing(apsw.Connection(str(tmp_path / f"{version}-new.db"))) as new,
        ):
            bring_up(old, "old", create=True, steps=STEPS[:version])
            bring_up(new, "new", create=True)
            assert make_older(new, version) == version
            assert schema(new) == schema(old)
