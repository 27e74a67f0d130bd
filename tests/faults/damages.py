"""Damage to the file of a store that nobody has open: every kind of page, every way, and what it is noticed by."""

from contextlib import closing
from pathlib import Path

import apsw
from effects import SECOND, T, contents

from mainspring.errors import MainspringError
from mainspring.store.rows import Filter, NewNode, NewTask, Settlement, Standing
from mainspring.store.sqlite import SqliteStore
from mainspring.store.sqlite_check import findings_in
from mainspring.tasks.state import CODES, State

SIZE = 4096
_TEXT = "what it wrote " * 1_000


def make(path):
    """A store that has every kind of page; of each page its kind, from page 1 on, and every row of every table."""
    with closing(SqliteStore(path)) as store:
        for _ in range(2):
            store.add([_task(n) for n in range(600)], T)
        store.add([NewTask(run_at=T, work="m:big", payload=f'[["{_TEXT}"],{{}}]')] * 20, T)
        seat = store.join(NewNode(host="h", pid=1, version="1", workers=2, started_at=T))
        held = store.reserve(seat.node, [lane.id for lane in store.lanes()], after=0, until=T, limit=2_000)
        store.record([_ended(task, held.token, n) for n, task in enumerate(held.tasks[:900])])
        store.put(Standing(kind="schedule", name="s", definition="{}", next_run_at=T))
    with closing(apsw.Connection(path)) as con:
        con.execute("VACUUM")  # every page full
    with closing(SqliteStore(path)) as store:
        store.prune(T + 300 * SECOND, 100)  # pages that are free
    with closing(apsw.Connection(path)) as con:
        kinds = {page: f"{kind} of {'an index' if name in _names(con, 'index') else 'a table'}" for page, kind, name in
                 con.execute("SELECT pageno, pagetype, name FROM dbstat")}  # fmt: skip
        count = con.pragma("page_count")
    found = ["head", *(kinds.get(page, "free") for page in range(2, count + 1))]
    assert findings_in(path) == []
    return found, contents(path)


def _names(con, kind):
    return {name for (name,) in con.execute("SELECT name FROM sqlite_schema WHERE type = ?", (kind,))}


def _task(n):
    key, name = f"key {n}" if n % 3 == 0 else None, f"label {n % 7}" if n % 2 else None
    return NewTask(run_at=T - n, work=f"m:f{n % 5}", key=key, on_conflict="keep", name=name, payload="[[1],{}]")


def _ended(task, token, n):
    """Succeeded, or tried again: some with an output that takes pages of its own."""
    fails = n % 4 == 0
    return Settlement(
        task.id, token, CODES[State.WAITING if fails else State.SUCCEEDED], False, 1, int(fails), T if fails else None,
        "error" if fails else None, T, T + n * SECOND, None if fails else "1", None, _TEXT if n % 50 == 0 else None,
        fails,
    )  # fmt: skip


# ── ways ───────────────────────────────────────────────────────────────────────────────────────────────────────


def _flip(page, at, bit=0xFF):
    return page[:at] + bytes([page[at] ^ bit]) + page[at + 1 :]


def _head(page, chance, number):
    return _flip(page, (100 if number == 1 else 0) + chance.choice([0, 1, 3, 5]))


def _pointers(page, chance, number):
    return _flip(page, (108 if number == 1 else 8) + chance.randrange(8))


WAYS = {
    "zeroed": lambda page, chance, number: bytes(SIZE),
    "noise": lambda page, chance, number: chance.randbytes(SIZE),
    "torn": lambda page, chance, number: page[: SIZE // 2] + bytes(SIZE // 2),
    "head": _head,
    "pointers": _pointers,
    "bit": lambda page, chance, number: _flip(page, chance.randrange(SIZE), 1 << chance.randrange(8)),
}


def spoil(data, way, number, chance):
    """The file with a page spoilt: `swapped` with another one, `cut`: the file ends within it, or as in `WAYS`."""
    start, end = (number - 1) * SIZE, number * SIZE
    page = data[start:end]
    if way == "cut":
        return data[: start + chance.randrange(SIZE)]
    if way == "swapped":
        other = chance.randrange(len(data) // SIZE) * SIZE
        swapped = bytearray(data)
        swapped[start:end], swapped[other : other + SIZE] = data[other : other + SIZE], page
        return bytes(swapped)
    return data[:start] + WAYS[way](page, chance, number) + data[end:]


def noticed(path, data, truth):
    """`found` by the check; `harmless`: nothing is changed; `changed`: some value is, and nothing tells."""
    Path(path).write_bytes(data)
    if findings_in(path):
        assert Path(path).read_bytes() == data, "the check changed the file"
        return "found"
    return "harmless" if contents(path) == truth else "changed"


def use(path):
    """Whoever works with it hears of nothing but errors of ours; what was said."""
    said = []

    def attempt(verb):
        try:
            return verb()
        except MainspringError as error:
            said.append(f"{type(error).__name__}: {error}")
            return None

    store = attempt(lambda: SqliteStore(path))
    if store is None:
        return said
    with closing(store):
        for id_ in range(1, 1_300, 7):
            attempt(lambda id_=id_: store.get(id_))
            attempt(lambda id_=id_: store.attempts(id_))
            attempt(lambda id_=id_: store.output(id_))
        for look in (lambda: store.find(Filter(limit=2_000)), store.stats, store.standings, lambda: store.lateness(0)):
            attempt(look)
        attempt(lambda: store.add([_task(n) for n in range(1_000, 1_030)], T))
        seat = attempt(lambda: store.join(NewNode(host="h", pid=1, version="1", workers=2, started_at=T)))
        for node in attempt(store.nodes) or []:
            attempt(lambda node=node: store.take_over(node.id, T))
        lanes = [lane.id for lane in attempt(store.lanes) or []]
        held = seat and attempt(lambda: store.reserve(seat.node, lanes, after=0, until=T, limit=500))
        if held:
            attempt(lambda: store.record([_ended(task, held.token, n) for n, task in enumerate(held.tasks)]))
        attempt(lambda: store.prune(T + 10_000 * SECOND, 1_000))
    return said
