"""The check of a store: nothing is said of a sound one, every kind of damage is, and nothing is ever changed."""

import hashlib
from contextlib import closing
from pathlib import Path

import apsw
import pytest

from mainspring.errors import StoreNotFound
from mainspring.store.rows import Cancel, NewNode, NewTask, Settlement, Standing
from mainspring.store.sqlite import SqliteStore
from mainspring.store.sqlite_check import findings_in
from mainspring.tasks.state import Kind

T = 1_700_000_000_000_000


@pytest.fixture
def full(path):
    """A store with a bit of everything, closed."""
    with closing(SqliteStore(path)) as store:
        program = '{"command":["true"],"cwd":"/"}'
        store.add([NewTask(run_at=T + n, work="m:f", payload="[[1],{}]", key=f"k{n}") for n in range(3000)], T)
        store.add([NewTask(run_at=T, kind=Kind.PROGRAM, work="true", payload=program, name="p") for _ in range(9)], T)
        seat = store.join(NewNode(host="h", pid=1, version="1", workers=1, started_at=T))
        lanes = [lane.id for lane in store.lanes()]
        held = store.reserve(seat.node, lanes, after=0, until=T + 10**9, limit=9)
        one, two, three, *_ = (task.id for task in held.tasks)
        error = '{"type":"E","message":"m","traceback":""}'
        store.record(
            [
                Settlement(one, held.token, 2, False, 1, 0, started_at=T + 9, finished_at=T + 10, result="1"),
                Settlement(two, held.token, 3, False, 1, 1, None, "error", T + 9, T + 10, None, error, "said"),
                Settlement(three, held.token, 1, True, 1, 0, started_at=T + 9),
            ]
        )
        assert store.change(2000, Cancel(), T).outcome == "done"
        store.put(Standing(kind="schedule", name="s", definition="{}"))
        store.pause("mail", paused=True)
        yield path


def says(path):
    return [finding.says for finding in findings_in(path)]


def test_a_sound_store_at_work_and_at_rest(full):
    assert findings_in(full) == []


BROKEN = {
    "UPDATE task SET state = 9 WHERE id = 50": "task 50 cannot be read",
    "UPDATE task SET state = 2 WHERE id = 50": "task 50 is succeeded, but never ended",
    "UPDATE task SET finished_at = 5 WHERE id = 50": "task 50 is waiting, but has ended",
    "UPDATE task SET state = 1 WHERE id = 50": "task 50 is running, but no daemon has it",
    "UPDATE task SET reason = NULL WHERE state = 4": "task 2000 is cancelled without a reason",
    'UPDATE task SET options = \'{"timeout":"x"}\' WHERE id = 50': "task 50 has options that cannot be read",
    "UPDATE task SET payload = '[1' WHERE id = 50": "task 50 has arguments that cannot be read",
    'UPDATE task SET payload = \'{"command":[],"cwd":"/"}\' WHERE id = 3009': "is a program without a command",
    "UPDATE task SET error = '[' WHERE state = 3": "has an error that cannot be read",
    "UPDATE task SET result = 'nope' WHERE state = 2": "has a result that cannot be read",
    "UPDATE task SET attempt = -1 WHERE id = 50": "task 50 has counts below nought",
    "UPDATE task SET missed_count = 2 WHERE id = 50": "task 50 is half a stretch",
    "UPDATE task SET lane = 99 WHERE id = 50": "task 50 is of a lane that is not there",
    "UPDATE task SET holder = 77, token = 1 WHERE id = 50": "task 50 is held by the daemon 77, which is not there",
    "UPDATE task SET token = NULL WHERE state = 1": "is held without a token",
    "UPDATE meta SET value = 1": "was never given",
    "DELETE FROM meta": "the counter of tokens is missing",
    "UPDATE sqlite_sequence SET seq = 7 WHERE name = 'task'": "the task 3009 has a number above the last",
    "INSERT INTO attempt VALUES (1, 99999, 1, 1, 1, 'x', NULL)": "an attempt is of the task 99999, which is gone",
    "INSERT INTO attempt VALUES (1, 50, 7, 1, 1, 'x', NULL)": "task 50 has an attempt 7, but only 0 were begun",
    "DELETE FROM task WHERE state = 3": "an output is of the task",
    "INSERT INTO paused VALUES ('mail')": "the queue 'mail' is paused twice",
    "UPDATE standing SET definition = 'x'": "schedule 's' cannot be read",
    "UPDATE standing SET holder = 55": "schedule 's' is held by the daemon 55",
    "UPDATE node SET unknown = '[\"x\"]'": "daemon 1 cannot be read",
    "INSERT INTO request VALUES (1, 1, NULL, '{}', NULL)": "request 1 cannot be read",
    "UPDATE task SET name = CAST(x'ff' AS TEXT) WHERE id = 50": "task 50 cannot be read: there are bytes",
    "UPDATE output SET text = CAST(x'ff' AS TEXT)": "cannot be read: 'utf-8'",
    "UPDATE paused SET queue = CAST(x'ff' AS TEXT); INSERT INTO paused SELECT * FROM paused": "text that is no text",
    "DROP INDEX task_key": "task_key is missing",
    "CREATE TABLE more (x)": "more is not of a store",
}


@pytest.mark.parametrize(("statement", "words"), BROKEN.items(), ids=BROKEN.values())
def test_each_thing_that_does_not_fit_is_said(full, statement, words):
    with closing(apsw.Connection(full)) as con:
        con.execute(statement)
    assert any(words in text for text in says(full)), says(full)


def test_two_unfinished_tasks_with_one_key(full):
    def redefine(old, new):
        with closing(apsw.Connection(full)) as con:
            con.config(apsw.SQLITE_DBCONFIG_WRITABLE_SCHEMA, 1)
            con.execute("UPDATE sqlite_schema SET sql = replace(sql, ?, ?) WHERE name = 'task_key'", (old, new))

    redefine("CREATE UNIQUE INDEX", "CREATE INDEX")
    with closing(apsw.Connection(full)) as con:
        con.execute("UPDATE task SET key = 'k51' WHERE id = 50")
    redefine("CREATE INDEX", "CREATE UNIQUE INDEX")
    assert any("non-unique" in text for text in says(full))


def test_many_of_a_kind_are_counted(full):
    with closing(apsw.Connection(full)) as con:
        con.execute("UPDATE task SET finished_at = 5 WHERE state = 0")
    found = says(full)
    assert len(found) == 101
    assert "more of this kind" in found[-1]


# ── the file itself ────────────────────────────────────────────────────────────────────────────────────────────


@pytest.fixture
def file(full, tmp_path):
    """A copy of the store in one file, without a log."""
    copy = tmp_path / "one.db"
    with closing(apsw.Connection(full)) as con:
        con.execute("VACUUM INTO ?", (str(copy),))
    return copy


def digest(path):
    return hashlib.sha256(Path(path).read_bytes()).hexdigest()


def flip(path, at):
    data = bytearray(path.read_bytes())
    data[at] ^= 0xFF
    path.write_bytes(data)


def test_flipped_bits_in_any_page_head_are_found_and_nothing_is_changed(file):
    sound = file.read_bytes()
    assert says(file) == []
    for page in range(0, len(sound), 4096):
        # the head of a page of a tree; page 1 begins with the head of the file
        file.write_bytes(sound)
        flip(file, page + (100 if page == 0 else 0))
        before = digest(file)
        assert findings_in(file), f"page {page // 4096 + 1}"
        assert digest(file) == before
    assert sorted(path.name for path in file.parent.glob("one.db*")) == ["one.db"]


@pytest.mark.parametrize("left", [2, 50, 4096, 100_000])
def test_a_file_that_is_cut_short(file, left):
    file.write_bytes(file.read_bytes()[:left])
    before = digest(file)
    assert len(says(file)) == 1
    assert digest(file) == before


def test_what_is_no_store(tmp_path):
    text, other = tmp_path / "text", tmp_path / "other.db"
    text.write_text("To whom it may concern. " * 100)
    with closing(apsw.Connection(str(other))) as con:
        con.execute("CREATE TABLE x (y)")
    before = digest(text), digest(other)
    assert "not a database" in says(text)[0]
    assert "something else" in says(other)[0]
    assert (digest(text), digest(other)) == before
    with pytest.raises(StoreNotFound):
        findings_in(tmp_path / "none.db")


def test_a_log_that_somebody_left_stays_where_it_is(full, tmp_path):
    """As after kill -9: a file with a log beside it, which the check reads too."""
    left = tmp_path / "left.db"
    for suffix in ("", "-wal"):
        Path(f"{left}{suffix}").write_bytes(Path(f"{full}{suffix}").read_bytes())
    before = digest(left), digest(f"{left}-wal")
    assert Path(f"{left}-wal").stat().st_size > 0
    assert findings_in(left) == []
    assert (digest(left), digest(f"{left}-wal")) == before
