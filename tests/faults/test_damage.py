"""A damaged or truncated file is noticed and told, whichever page it is, and nothing but errors of ours comes of it."""

import random
import shutil
from contextlib import closing
from pathlib import Path

import apsw
import damages
import pytest
from effects import T, contents
from sweep import FIRST, LONG, some

from mainspring.store.rows import NewTask
from mainspring.store.sqlite import SqliteStore
from mainspring.store.sqlite_check import findings_in

pytestmark = pytest.mark.timeout(900 if LONG else 120)

UNSEEN = {"overflow of a table"}  # pages that hold nothing but text, for which SQLite has no checksum


@pytest.fixture(scope="module")
def sound(tmp_path_factory):
    """A store with all kinds of pages: its bytes, the kinds, and its rows."""
    path = tmp_path_factory.mktemp("sound") / "a.db"
    kinds, rows = damages.make(str(path))
    assert len(set(kinds)) == 7
    return path.read_bytes(), kinds, rows


def points(kinds):
    """Pages, at least one of each kind."""
    first = {kinds.index(kind) + 1 for kind in kinds}
    return sorted(first | set(some(range(1, len(kinds) + 1), 15)))


@pytest.mark.parametrize("way", [*damages.WAYS, "swapped", "cut"])
def test_a_spoilt_page_is_found_and_used_without_harm_to_anybody(sound, tmp_path, ledger, way):
    data, kinds, rows = sound
    found = {"found": 0, "harmless": 0, "changed": 0}
    unseen, told = set(), 0
    for number in points(kinds):
        place = tmp_path / str(number)
        place.mkdir()
        spoilt = damages.spoil(data, way, number, random.Random(f"{FIRST}/{way}/{number}"))
        outcome = damages.noticed(str(place / "a.db"), spoilt, rows)
        found[outcome] += 1
        if outcome == "changed":
            unseen.add(kinds[number - 1])
        (place / "b.db").write_bytes(spoilt)
        told += bool(damages.use(str(place / "b.db")))
        shutil.rmtree(place)
    for outcome, count in found.items():
        ledger.add(f"{'a bit' if way == 'bit' else 'a page'} damaged: {outcome}", count)
    assert found["found"] > 0
    assert told > 0
    assert unseen <= (UNSEEN | {"leaf of a table"} if way == "bit" else UNSEEN)


@pytest.mark.parametrize("pages", [1, 2, 50])
def test_a_file_that_is_cut_between_pages(sound, tmp_path, ledger, pages):
    path = tmp_path / "a.db"
    cut = sound[0][: pages * damages.SIZE]
    ledger.add("a page damaged: found", 1)
    assert damages.noticed(str(path), cut, sound[2]) == "found"
    assert any("damaged" in text for text in damages.use(str(path)))


# ── the log ────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.fixture(scope="module")
def logged(tmp_path_factory):
    """A store as kill -9 leaves it, its last commits in the log: file, log, and its rows after each of them."""
    path = str(tmp_path_factory.mktemp("logged") / "a.db")
    with closing(SqliteStore(path)) as store:
        store.add([NewTask(run_at=T, work="m:f")], T)
        store._db._copy_log(apsw.SQLITE_CHECKPOINT_TRUNCATE)
        states = [contents(path)]
        for n in range(40):
            store.add([NewTask(run_at=T + n, work="m:f", key=f"k{n}", payload="[[1],{}]")], T)
            states.append(contents(path))
        return Path(path).read_bytes(), Path(f"{path}-wal").read_bytes(), states


SPOIL = {
    "flip": lambda log, at, chance: log[:at] + bytes([log[at] ^ 0x10]) + log[at + 1 :],
    "noise": lambda log, at, chance: log[:at] + chance.randbytes(200) + log[at + 200 :],
    "zero": lambda log, at, chance: log[:at] + bytes(512) + log[at + 512 :],
    "cut": lambda log, at, chance: log[:at],
}


@pytest.mark.parametrize("way", SPOIL)
def test_a_spoilt_log_is_taken_to_the_end_of_a_commit_and_what_lies_behind_is_told(
    logged, tmp_path, ledger, caplog, way
):
    file, log, states = logged
    chance = random.Random(f"{FIRST}/{way}")
    told = 0
    for number in range(200 if LONG else 12):
        path = tmp_path / f"{number}.db"
        spoilt = SPOIL[way](log, chance.randrange(len(log) - 20_000), chance)
        path.write_bytes(file)
        Path(f"{path}-wal").write_bytes(spoilt)
        findings = findings_in(str(path))
        caplog.clear()
        with closing(SqliteStore(str(path))) as store:
            left = states.index(contents(str(path)))  # one of them it is
            behind = left < len(states) - 1 and way != "cut"
            assert [one.check for one in findings] == ["file"] * behind, findings
            assert ("breaks off" in caplog.text) == behind
            store.add([NewTask(run_at=T, work="m:f")], T)
        assert findings_in(str(path)) == []
        told += behind
    ledger.add(f"the log damaged: {'not told, which nobody can' if way == 'cut' else 'told'}", number + 1)
    assert bool(told) == (way != "cut")


def test_a_log_that_is_whole_is_not_said_to_break_off(tmp_path, caplog):
    """At work, begun afresh in the middle, and after SIGKILL."""
    path = str(tmp_path / "a.db")
    with closing(SqliteStore(path)) as store:
        for n in range(60):
            store.add([NewTask(run_at=T + n, work="m:f")] * (1 + n % 4), T)
            if n in (20, 40):
                store._db._copy_log(apsw.SQLITE_CHECKPOINT_RESTART)
            assert findings_in(path) == []
            SqliteStore(path).close()
    assert "breaks off" not in caplog.text
