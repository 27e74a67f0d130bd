"""Export and import: what comes out goes in, once, with every number in its place; the rest is refused by its place."""

import json
from contextlib import closing

import pytest

from mainspring.errors import InvalidValue, StoreConflict
from mainspring.store.memory import MemoryStore
from mainspring.store.portable import lines_of, written
from mainspring.store.rows import Filter, NewNode, NewTask, Settlement, Standing
from mainspring.store.sqlite import SqliteStore
from mainspring.store.sqlite_check import findings_in
from mainspring.store.sqlite_export import exported
from mainspring.store.sqlite_import import import_lines
from mainspring.tasks.options import TaskOptions, encode_options
from mainspring.tasks.state import STATES, Kind, State

T = 1_700_000_000_000_000
ONCE = encode_options(TaskOptions(delivery="at-most-once"))
ERROR = '{"type":"E","message":"m","traceback":""}'


@pytest.fixture
def target(tmp_path):
    return str(tmp_path / "target.db")


def fill(store):
    """A bit of everything; what runs, by id, in the end."""
    store.add([NewTask(run_at=T + n, work="m:f", payload=f"[[{n}],{{}}]") for n in range(1200)], T)
    program = '{"command":["true"],"cwd":"/"}'
    store.add([NewTask(run_at=T, kind=Kind.PROGRAM, work="true", payload=program, name="p", queue="q", priority=3)], T)
    store.add([NewTask(run_at=T + 10**12, work="m:f", key="k", expires_at=T + 10**13, options=ONCE)], T)
    store.add([NewTask(run_at=T + 10**12, work="m:f", schedule="s", occurrence=T + 10**12)], T)
    seat = store.join(NewNode(host="h", pid=1, version="1", workers=1, started_at=T))
    store.add([NewTask(run_at=T - 9, work="m:g", options=ONCE)], T)
    held = store.reserve(seat.node, [lane.id for lane in store.lanes()], after=0, until=T + 10**6, limit=5)
    one, two, three, four, _ = (task.id for task in held.tasks)
    settlements = [
        Settlement(one, held.token, 2, False, 1, 0, None, None, T + 9, T + 10, "[1]", None, "it said"),
        Settlement(two, held.token, 0, False, 1, 1, T + 50, "error", T + 9, T + 10, None, ERROR, None, True),
        Settlement(three, held.token, 3, False, 1, 1, None, "error", T + 9, T + 10, None, ERROR),
        Settlement(four, held.token, 1, True, 1, 0, started_at=T + 9),
    ]
    assert store.record(settlements) == []
    store.put(Standing(kind="schedule", name="s", app="shop", definition='{"x":1}', paused=True, next_run_at=T))
    store.put(Standing(kind="listener", name="l", definition="{}", status='{"restarts":3}'))
    store.pause("mail", paused=True)
    store.pause(None, paused=True)
    return four


@pytest.fixture
def origin(store):
    store.runs = fill(store)
    return store


def lines(path, now=T):
    return list(written(exported(path, now)))


def contents(store, *, without=()):
    """All that is to be the same on both sides."""
    rows = sorted(store.find(Filter(states=STATES, limit=10**6)), key=lambda row: row.id)
    told = []
    for row in rows:
        if row.id not in without:
            fields = {name: getattr(row, name) for name in row.__struct_fields__ if name != "holder"}
            told.append((fields, store.attempts(row.id), store.output(row.id)))
    standings = [(one.kind, one.name, one.app, one.definition, one.paused, one.status) for one in store.standings()]
    return told, standings, store.paused()


def test_what_comes_out_goes_in_with_its_ids(origin, path, target):
    text = lines(path)
    told = import_lines(target, text)
    assert (told.tasks, told.schedules, told.listeners, told.known, told.kept, told.lost) == (1204, 1, 1, 0, 0, 1)
    with closing(SqliteStore(target)) as copy:
        assert contents(copy, without={origin.runs}) == contents(origin, without={origin.runs})
        lost = copy.get(origin.runs)
        assert (lost.state, lost.losses, lost.attempt) == (State.WAITING, 1, 1)
        assert [attempt.reason for attempt in copy.attempts(origin.runs)] == ["worker lost"]
        assert copy.add([NewTask(run_at=T)], T)[0].id == 1205
    assert findings_in(target) == findings_in(path) == []


def test_again_and_nothing_is_added(origin, path, target):
    text = lines(path)
    import_lines(target, text)
    again = import_lines(target, text)
    assert (again.tasks, again.known, again.kept) == (0, 1204, 2)
    origin.add([NewTask(run_at=T)], T)
    later = import_lines(target, lines(path, T + 5))  # a later export of the same store has what is new
    assert (later.tasks, later.known) == (1, 1204)
    with closing(SqliteStore(target)) as copy:
        assert sum(copy.stats().counts.values()) == 1205


def test_one_that_was_cut_short_goes_on(origin, path, target):
    text = lines(path)
    with pytest.raises(InvalidValue, match=r"line 702, column 1: the export was cut short"):
        import_lines(target, text[:701])
    with closing(SqliteStore(target)) as copy:
        assert sum(copy.stats().counts.values()) == 698
    told = import_lines(target, text)
    assert (told.known, told.tasks) == (698, 1204 - 698)
    with closing(SqliteStore(target)) as copy:
        assert contents(copy, without={origin.runs}) == contents(origin, without={origin.runs})


def test_where_ids_are_taken_tasks_get_new_ones(origin, path, target):
    with closing(SqliteStore(target)) as other:
        other.add([NewTask(run_at=T, work="m:other") for _ in range(5000)], T)
        told = import_lines(target, lines(path))
        assert told.tasks == 1204
        assert sum(other.stats().counts.values()) == 6204
        assert {row.work for row in other.find(Filter(limit=10**5)) if row.id <= 5000} == {"m:other"}
        assert import_lines(target, lines(path)).tasks == 0
        seat = other.join(NewNode(host="h", pid=1, version="1", workers=1, started_at=T))
        other.pause(None, paused=False)
        fence = other.reserve(seat.node, [lane.id for lane in other.lanes()], after=0, until=T, limit=1).token
        assert fence > json.loads(lines(path)[0])["token"]
    assert findings_in(target) == []


def test_watchers_hear_of_it(origin, path, target):
    with closing(SqliteStore(target)) as other, closing(other.watch()) as watch:
        import_lines(target, lines(path))
        news = watch.drain()
        assert news == ["*"] or any(text.startswith("due") for text in news)


def test_keys_and_names_that_are_in_use_here(origin, path, target):
    with closing(SqliteStore(target)) as other:
        taken = other.add([NewTask(run_at=T, work="m:other", key="k")], T)[0].id
        with pytest.raises(StoreConflict, match=rf"line \d+: the key 'k' belongs to the unfinished task {taken} here"):
            import_lines(target, lines(path))
        other.put(Standing(kind="schedule", name="s", definition='{"x":2}'))
        with pytest.raises(StoreConflict, match=r"--on-conflict keep"):
            import_lines(target, lines(path))
        import_lines(target, lines(path), on_conflict="keep")
        assert other.standing("schedule", "s").definition == '{"x":2}'
        assert [row.work for row in other.find(Filter(key="k"))] == ["m:other"]
        assert sum(other.stats().counts.values()) == 1204


def test_an_occurrence_that_is_here_is_not_made_again(origin, path, target):
    with closing(SqliteStore(target)) as other:
        other.add([NewTask(run_at=T, work="m:f", schedule="s", occurrence=T + 10**12)], T)
        assert import_lines(target, lines(path)).tasks == 1203


def test_what_may_start_once_is_not_started_again(path, target, store):
    store.add([NewTask(run_at=T, work="m:g", options=ONCE)], T)
    seat = store.join(NewNode(host="h", pid=1, version="1", workers=1, started_at=T))
    held = store.reserve(seat.node, [lane.id for lane in store.lanes()], after=0, until=T, limit=5)
    store.record([Settlement(1, held.token, 1, True, 1, 0, started_at=T)])
    import_lines(target, lines(path))
    with closing(SqliteStore(target)) as copy:
        assert (copy.get(1).state, copy.get(1).reason) == (State.FAILED, "lost")
    assert findings_in(target) == []


def test_from_memory(target):
    memory = MemoryStore()
    runs = fill(memory)
    assert import_lines(target, written(lines_of(memory, "here", T))).tasks == 1204
    with closing(SqliteStore(target)) as copy:
        assert contents(copy, without={runs}) == contents(memory, without={runs})


# ── what is not understood ─────────────────────────────────────────────────────────────────────────────────────

HEAD = b'{"line":"store","format":1,"origin":"o","exported_at":1,"token":0,"tasks":1}\n'
TASK = (
    b'{"line":"task","id":7,"kind":"function","work":"m:f","queue":"q","priority":0,"state":"waiting","run_at":5,'
    b'"created_at":5}\n'
)
END = b'{"line":"end","lines":2}\n'


def changed(old, new):
    assert old in TASK
    return TASK.replace(old, new)


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ([], "line 1, column 1: there is nothing"),
        ([b"hello\n"], "line 1, column 1: JSON is malformed"),
        ([TASK], "line 1, column 1: the first line"),
        ([HEAD.replace(b'"format":1', b'"format":2')], "line 1, column 17: its format is 2"),
        ([HEAD, HEAD], "line 2, column 1: the first line, and no other"),
        ([HEAD, changed(b'"id":7', b'"id":"7"')], r"line 2, column 16: Expected `int`, got `str`"),
        ([HEAD, changed(b'"id":7', b'"id":0')], "line 2, column 1: the task 0 has a number"),
        ([HEAD, changed(b'"run_at":5', b'"run_at":5,"fine":1')], r"line 2, column 108: .*unknown field `fine`"),
        ([HEAD, changed(b'"waiting"', b'"asleep"')], "line 2, column 79: Invalid enum value 'asleep'"),
        ([HEAD, changed(b'"waiting"', b'"failed"')], "line 2, column 1: the task 7 is failed, but never ended"),
        ([HEAD, changed(b'"run_at":5', b'"run_at":5,"payload":"[1"')], "the task 7 has arguments that cannot be read"),
        ([HEAD, TASK[:40]], "line 2, column 41: Input data was truncated"),
        ([HEAD, TASK, TASK, END], "line 3, column 1: the task 7 comes after 7"),
        ([HEAD, b'{"line":"job"}\n'], "line 2, column 2: Invalid value 'job'"),
        ([HEAD, END], "line 2, column 1: 2 lines were written before it"),
        ([HEAD, TASK], "line 3, column 1: the export was cut short"),
    ],
)
def test_the_place_is_said(target, text, place):
    with pytest.raises(InvalidValue, match=place):
        import_lines(target, text)


def test_the_least_that_is_understood(target):
    assert import_lines(target, [HEAD, TASK, END]).tasks == 1
    with closing(SqliteStore(target)) as store:
        assert store.get(7).work == "m:f"
