"""A row of everything that is done to a store, drawn from a seed, and the books of whoever does it.

The same seed does the same to the last byte of every row, so one run that nothing disturbs tells every state the store
may ever be in (`reference`): each commit leads from one to the next. Whatever a crash leaves must be one of them, not
before what was acknowledged and not after what was begun.
"""

import os
import random
from contextlib import closing, contextmanager

import apsw
import msgspec

from mainspring.store.rows import Again, Cancel, NewNode, NewTask, Release, Reschedule, Settlement, Standing, Verdict
from mainspring.store.sqlite import SqliteStore
from mainspring.store.sqlite_connection import Connections
from mainspring.tasks.options import TaskOptions, encode_options
from mainspring.tasks.state import CODES, State

T = 1_800_000_000_000_000
SECOND = 1_000_000
STEPS = 50
_OFTEN = {"add": 5, "reserve": 5, "record": 6, "change": 3, "advance": 3, "add_once": 2, "start_once": 3}
_ONCE = encode_options(TaskOptions(delivery="at-most-once"))
_BIG = '[["' + "x" * 20_000 + '"],{}]'  # takes pages of its own, which a prune frees


class Work:
    """One who adds, runs and steers. Every verb draws from `chance`, and may be called again when the store failed.

    What a verb promises, its answer included, is asserted where the answer comes.
    """

    VERBS = (
        *("add", "add_once", "add_big", "reserve", "record", "start_once", "late", "change", "ask", "answer", "pause"),
        *("put", "advance", "advance_soft", "remove", "die", "take_over", "leave", "prune", "report", "copy", "reopen"),
    )
    # what may be as if it had not been after a power cut; the other verbs are durable, as the port calls it
    SOFT = frozenset({"reserve", "record", "late", "answer", "advance_soft", "leave", "prune", "report", "reopen"})

    def __init__(self, path):
        self.path = path
        self.store = SqliteStore(path)
        self.now = T
        self.seat = None
        self.dead = {}  # nodes whose process ended, and what they held
        self.held = {}  # task → token, as this holder believes
        self.once = set()  # of those, what runs at most once
        self.lost = []  # (task, token) of those that were taken away
        self.newest = 0  # token
        self.asked = []
        self.rerun = 0  # outcomes that only an ordinary commit keeps

    @classmethod
    def steps(cls, seed, count=STEPS):
        """The verbs in their order: first what leads to a task that was lost, then any."""
        chance = random.Random(seed)
        verbs = ["add", "join", "reserve", "record", "add_once", "reserve", "start_once", "take_over", "late"]
        weights = [_OFTEN.get(verb, 1) for verb in cls.VERBS]
        verbs += chance.choices(cls.VERBS, weights, k=count - len(verbs))
        return list(enumerate(verbs))

    def do(self, seed, number, verb):
        """One of them; how many ordinary outcomes it recorded, and the newest token that was given so far."""
        self.now = T + number * SECOND
        self.rerun = 0
        getattr(self, verb)(random.Random(seed * 1_000 + number))
        return self.rerun, self.newest

    # ── adding ─────────────────────────────────────────────────────────────────────────────────────────────
    def add(self, chance, **fields):
        tasks = [
            NewTask(
                run_at=self.now + chance.randrange(-5, 5) * SECOND,
                work=f"m:f{chance.randrange(3)}",
                queue=chance.choice(["default", "mail"]),
                key=f"k{self.now}.{n}" if chance.random() < 0.3 else None,
                name=chance.choice([None, None, "label"]),
                payload="[[1],{}]",
                **fields,
            )
            for n in range(chance.randint(1, 6))
        ]
        if chance.random() < 0.3:
            tasks.append(NewTask(run_at=self.now, work="m:f0", key="kept", on_conflict="keep"))
        assert len({added.id for added in self.store.add(tasks, self.now)}) == len(tasks)

    def add_once(self, chance):
        self.add(chance, options=_ONCE)

    def add_big(self, chance):
        self.store.add([NewTask(run_at=self.now, work="m:f0", payload=_BIG)] * chance.randint(1, 3), self.now)

    # ── holding ────────────────────────────────────────────────────────────────────────────────────────────
    def join(self, _):
        seat = self.store.join(NewNode(host="h", pid=1, version="1", workers=2, started_at=self.now))
        self.seat = seat

    def reserve(self, chance):
        if self.seat is None:
            return self.join(chance)
        lanes = [lane.id for lane in self.store.lanes()]
        found = self.store.reserve(self.seat.node, lanes, after=0, until=self.now, limit=chance.randint(1, 8))
        assert not found.tasks or found.token > self.newest, "tokens grow"
        self.newest = max(self.newest, found.token)
        self.held |= {task.id: found.token for task in found.tasks}
        self.once |= {task.id for task in found.tasks if task.options == _ONCE}
        return None

    def record(self, chance):
        """What came of most that is held: each kind of outcome."""
        mine = sorted(self.held.keys() - self.once)[:6]
        if not mine:
            return self.reserve(chance)
        settled = [self._outcome(id_, chance) for id_ in mine]
        assert self.store.record(settled) == []
        for one in settled:
            if not one.keep:
                del self.held[one.id]
        self.rerun = len(settled)
        return None

    def _outcome(self, id_, chance):
        row = self.store.get(id_)
        state = chance.choice([State.SUCCEEDED, State.SUCCEEDED, State.FAILED, State.WAITING, State.RUNNING])
        counted = row.state is State.RUNNING
        failed = state in (State.FAILED, State.WAITING)
        return Settlement(
            id_,
            self.held[id_],
            CODES[state],
            state is State.RUNNING,
            row.attempt + (not counted),
            row.failures + failed,
            self.now + SECOND if state is State.WAITING else None,
            "error" if failed else None,
            self.now if not counted else row.started_at,
            None if state is State.RUNNING else self.now,
            "1" if state is State.SUCCEEDED else None,
            '{"type":"E","message":"m","traceback":""}' if state is State.FAILED else None,
            "said" if chance.random() < 0.2 else None,
            state is State.WAITING,
        )

    def start_once(self, _):
        """An at-most-once task is started, or, if it runs, is over: told durably both times."""
        for id_ in sorted(self.once & self.held.keys())[:1]:
            row = self.store.get(id_)
            starts = row.state is State.WAITING
            code = CODES[State.RUNNING if starts else State.SUCCEEDED]
            one = Settlement(id_, self.held[id_], code, starts, 1, 0, None, None, row.started_at or self.now)
            one = msgspec.structs.replace(one, finished_at=None if starts else self.now)
            assert self.store.record([one], durable=True) == []
            if not starts:
                del self.held[id_]

    def late(self, chance):
        """Whoever lost a task settles nothing."""
        if not self.lost:
            self.take_over(chance)
        for id_, token in self.lost[:2]:
            one = Settlement(id_, token, CODES[State.SUCCEEDED], False, 1, 0, started_at=self.now, finished_at=self.now)
            assert self.store.record([one]) == [id_], "who lost it may not settle it"

    def die(self, _):
        """The daemon's process ends."""
        if self.seat is not None:
            self.seat.drop()
            self._leave_behind()

    def _leave_behind(self):
        """What a process held that is no more stays its own until somebody takes over."""
        self.dead[self.seat.node] = self.held
        self.held, self.seat, self.once = {}, None, set()

    def take_over(self, chance):
        if not self.dead:
            self.die(chance)
        for node in list(self.dead)[:1]:
            assert self.store.take_over(node, self.now) is not None
            self.lost = [*self.dead.pop(node).items(), *self.lost]

    def leave(self, _):
        if self.seat is not None:
            self.store.leave(self.seat.node)
            self.lost = [*self.held.items(), *self.lost]
            self.held, self.seat, self.once = {}, None, set()

    def report(self, _):
        if self.seat is not None:
            self.store.report(self.seat.node, [1])

    # ── steering ───────────────────────────────────────────────────────────────────────────────────────────
    def change(self, chance):
        id_ = chance.randint(1, 40)
        change = chance.choice([Cancel(), Reschedule(self.now + SECOND), Again(self.now)])
        before = self.store.get(id_)
        verdict = self.store.change(id_, change, self.now)
        assert (verdict.outcome == "not-found") == (before is None)

    def ask(self, _):
        if self.seat is not None:
            asked = self.store.ask(self.seat.node, None, Release())
            self.asked.append(asked)

    def answer(self, _):
        for request in self.asked[:1]:
            if self.store.answered(request) is None:
                self.store.answer(request, Verdict("done"))
                assert self.store.answered(request) in (Verdict("done"), None)
            self.asked.remove(request)

    def pause(self, chance):
        self.store.pause("mail", paused=chance.random() < 0.4)

    def put(self, _):
        self.store.put(Standing(kind="schedule", name="s", definition="{}", next_run_at=self.now))

    def advance(self, _, *, durable=True):
        """An occurrence of the schedule becomes a task."""
        there = self.store.standing("schedule", "s")
        if there is None:
            self.store.put(Standing(kind="schedule", name="s", definition="{}", next_run_at=self.now))
            return
        next_one = msgspec.structs.replace(there, next_run_at=self.now + SECOND)
        task = NewTask(run_at=self.now, work="m:f0", schedule="s", occurrence=self.now)
        assert self.store.advance(next_one, [task], self.now, durable=durable)

    def advance_soft(self, chance):
        self.advance(chance, durable=False)

    def remove(self, _):
        self.store.remove("schedule", "s")

    # ── care ───────────────────────────────────────────────────────────────────────────────────────────────
    def prune(self, chance):
        self.store.prune(self.now, chance.randint(1, 20))

    def copy(self, _):
        """The log is copied into the file."""
        self.store._db.keep_log_short(0)

    def reopen(self, _):
        self.store.close()
        if self.seat is not None:  # which a store drops when it is closed
            self._leave_behind()
        self.store = SqliteStore(self.path, create=False)


# ── books ──────────────────────────────────────────────────────────────────────────────────────────────────────


class Book:
    """What the one who works writes down himself, before each step and when it was acknowledged.

    Every line is one write: it survives SIGKILL of the writer. (When the power fails in these tests, it fails for the
    store's files alone.)
    """

    def __init__(self, path):
        self._fd = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)

    def write(self, *words):
        os.write(self._fd, (" ".join(map(str, words)) + "\n").encode())


class Read(msgspec.Struct):
    """What a book says. `acknowledged`: of each step that was, how many ordinary outcomes it told; `newest` token."""

    begun: int = 0
    acknowledged: list[int] = []
    newest: int = 0


def read(path):
    found = Read()
    if os.path.exists(path):
        with open(path) as file:
            for what, *numbers in map(str.split, file):
                if what == "begin":
                    found.begun += 1
                else:
                    found.acknowledged.append(int(numbers[0]))
                    found.newest = int(numbers[1])
    return found


# ── what may be ────────────────────────────────────────────────────────────────────────────────────────────────


class Reference(msgspec.Struct):
    """A run that nothing disturbs. `states`: what the file holds after each commit, from nothing on; `ends`: which of
    them each step led to (the first entry: opening it).
    """

    states: list[dict[str, list[str]]]
    ends: list[int]
    verbs: list[str]

    def allowed(self, book, *, power):
        """The first and the last state that there may be, by the book."""
        done = range(len(book.acknowledged))
        if power:
            done = [step for step in done if self.verbs[step] not in Work.SOFT and self.changed(step)]
        return (self.ends[done[-1] + 1] if done else 0), max(self.ends[book.begun], 1)

    def changed(self, step):
        return self.states[self.ends[step]] != self.states[self.ends[step + 1]]

    def place(self, found, first, last):
        """Which of the states it is: one that is allowed, if there is any such; None if it is none at all."""
        order = [*range(last, first - 1, -1), *range(first - 1, -1, -1), *range(last + 1, len(self.states))]
        return next((place for place in order if self.states[place] == found), None)

    def undone(self, book, place):
        """How many ordinary outcomes that were told are not in this state: their tasks run again."""
        return sum(count for step, count in enumerate(book.acknowledged) if self.ends[step + 1] > place)


def contents(path):
    """Every row of every table."""
    with closing(apsw.Connection(path, flags=apsw.SQLITE_OPEN_READWRITE)) as con:
        con.config(apsw.SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1)  # a look changes nothing
        tables = [name for (name,) in con.execute("SELECT name FROM sqlite_schema WHERE type = 'table' ORDER BY name")]
        return {name: sorted(map(repr, con.execute(f'SELECT * FROM "{name}"'))) for name in tables}


def reference(path, seed):
    """Do it all, and look after each commit."""
    states, ends, verbs = [{}], [], []
    usual = Connections.write

    @contextmanager
    def watched(self, *, durable):
        with usual(self, durable=durable) as con:
            yield con
        states.append(contents(path))

    work = Work(path)
    states.append(contents(path))
    ends.append(len(states) - 1)
    Connections.write = watched
    try:
        for number, verb in work.steps(seed):
            work.do(seed, number, verb)
            ends.append(len(states) - 1)
            verbs.append(verb)
    finally:
        Connections.write = usual
    work.store.close()
    return Reference(states, ends, verbs)
