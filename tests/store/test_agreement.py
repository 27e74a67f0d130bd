"""The memory store is the model: whatever is done to both in whatever order, SQLite and PostgreSQL answer and hold the
same.

Hypothesis finds the orders (always the same ones) and shortens one that shows a difference.
"""

import itertools
import shutil
import tempfile

import msgspec
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from mainspring.errors import KeyInUse, MainspringError
from mainspring.store.memory import MemoryStore
from mainspring.store.postgres import PostgresStore
from mainspring.store.rows import (
    Again,
    Cancel,
    Filter,
    NewNode,
    NewTask,
    Release,
    Reschedule,
    Settlement,
    Standing,
    Verdict,
)
from mainspring.store.sqlite import SqliteStore
from mainspring.tasks.options import TaskOptions, encode_options
from mainspring.tasks.state import CODES, FINISHED, Kind, State
from postgres_server import shared_server

T = 1_800_000_000_000_000
ONCE = encode_options(TaskOptions(delivery="at-most-once"))
EVERYTHING = Filter(limit=10_000)

instants = st.integers(T, T + 9)
number = st.integers(0, 7)  # picks one of what there is
queues = st.sampled_from(["default", "mail"])
works = st.sampled_from(["shop:a", "shop:Till.b"])
names = st.sampled_from([None, "label", "b"])
keys = st.sampled_from([None, None, "k", "l"])
texts = st.sampled_from([None, "text", "é\"'\\"])

new_tasks = st.builds(
    NewTask,
    kind=st.sampled_from(Kind),
    work=works,
    queue=queues,
    priority=st.integers(-1, 1),
    run_at=instants,
    name=names,
    options=st.sampled_from([None, None, ONCE]),
    payload=texts,
    key=keys,
    on_conflict=st.sampled_from(["error", "keep", "replace"]),
    schedule=st.sampled_from([None, "s"]),
    expires_at=st.none() | instants,
)
changes = st.one_of(
    st.builds(Cancel, st.sampled_from(["why", "cancelled"])),
    st.builds(Reschedule, instants, st.none() | instants),
    st.builds(Again, instants, st.none() | instants),
)
filters = st.builds(
    Filter,
    states=st.lists(st.sampled_from(State), max_size=3, unique=True).map(tuple),
    name=st.sampled_from([None, None, "label", "b", "shop:a", "a", "Till.b", ""]),
    queue=st.none() | queues,
    kind=st.sampled_from([None, None, *Kind]),
    schedule=st.sampled_from([None, None, "s"]),
    key=st.sampled_from([None, None, "k"]),
    due_before=st.none() | instants,
    limit=st.integers(1, 6),
)
outcomes = st.tuples(
    number,  # which reservation
    st.sampled_from(State),
    st.booleans(),  # keep
    st.none() | instants,  # run_at
    st.booleans(),  # failed_try
    texts,
)


class Held(msgspec.Struct, frozen=True):
    """A reservation as each store made it; the tokens need not be equal."""

    id: int
    node: int
    tokens: tuple[int, int]


class BothStores(RuleBasedStateMachine):
    """One memory store and one of another kind (`make`, in an empty folder), to which the same is done."""

    @initialize()
    def open(self):
        self.folder = tempfile.mkdtemp()
        self.stores = (MemoryStore(), self.make())
        self.clock = itertools.count(T)
        self.held: list[Held] = []  # also those long settled: their tokens must be worth nothing
        self.seats = {}
        self.tasks = 0
        self.requests = 0

    def teardown(self):
        for store in self.stores:
            store.close()
        shutil.rmtree(self.folder)

    def both(self, call):
        """What both stores answer to the call; they must agree, also about an error."""
        answers = []
        for index, store in enumerate(self.stores):
            try:
                answers.append(call(store, index))
            except KeyInUse as error:  # by a task of the same call: it never gets the id that some stores name
                answers.append((KeyInUse, error.key))
            except MainspringError as error:
                answers.append((type(error), str(error)))
        assert answers[0] == answers[1]
        return answers[0]

    def lanes(self, store, wanted):
        """Both may number their lanes differently."""
        return [lane.id for lane in store.lanes() if (lane.queue, lane.work) in wanted]

    def pick_node(self, which):
        return sorted(self.seats)[which % len(self.seats)] if self.seats else which

    def pick_task(self, which):
        return self.tasks - which  # mostly one of the newest; sometimes one that never was

    # ── adding and running ─────────────────────────────────────────────────────────────────────────────────
    @rule(tasks=st.lists(new_tasks, min_size=1, max_size=4))
    def add(self, tasks):
        now = next(self.clock)
        answer = self.both(lambda store, _: store.add(tasks, now))
        if isinstance(answer, list):
            self.tasks = max(self.tasks, *(added.id for added in answer))

    @rule(
        which=number,
        wanted=st.sets(st.tuples(queues, works), min_size=2),
        until=instants,
        span=st.integers(1, 12),
        limit=st.integers(1, 4),
    )
    def reserve(self, which, wanted, until, span, limit):
        node = self.pick_node(which)
        tokens = {}

        def call(store, index):
            names = {lane.id: lane for lane in store.lanes()}
            lanes = self.lanes(store, wanted)
            batch = store.reserve(node, lanes, after=until - span, until=until, limit=limit)
            tokens[index] = batch.token
            fields = [msgspec.structs.astuple(task) for task in batch.tasks]
            return [(id_, msgspec.structs.astuple(names[lane])[1:], *rest) for id_, lane, *rest in fields]

        rows = self.both(call)
        self.held += [Held(row[0], node, (tokens[0], tokens[1])) for row in rows]

    @precondition(lambda self: self.held)
    @rule(chosen=st.lists(outcomes, min_size=1, max_size=4), attempt=st.integers(0, 3))
    def record(self, chosen, attempt):
        now = next(self.clock)

        def settlement(index, which, state, keep, run_at, failed_try, output):
            held = self.held[-1 - which % len(self.held)]
            return Settlement(
                held.id,
                held.tokens[index],
                CODES[state],
                keep=state is State.RUNNING or (keep and state is State.WAITING),
                attempt=attempt,
                failures=attempt // 2,
                run_at=run_at,
                reason="because",
                started_at=now if failed_try or state is State.RUNNING else None,
                finished_at=None if state is State.RUNNING else now,
                result=output,
                error=output,
                output=output,
                failed_try=failed_try,
            )

        self.both(lambda store, index: store.record([settlement(index, *outcome) for outcome in chosen]))

    # ── steering ───────────────────────────────────────────────────────────────────────────────────────────
    @rule(which=number, change=changes)
    def change(self, which, change):
        now = next(self.clock)
        self.both(lambda store, _: store.change(self.pick_task(which), change, now))

    @precondition(lambda self: self.held)
    @rule(which=number, change=changes)
    def change_with_token(self, which, change):
        now = next(self.clock)
        held = self.held[-1 - which % len(self.held)]
        self.both(lambda store, index: store.change(held.id, change, now, held.tokens[index]))

    @rule(queue=st.none() | queues, paused=st.booleans())
    def pause(self, queue, paused):
        self.both(lambda store, _: store.pause(queue, paused=paused))

    @rule(which=number, demand=st.sampled_from([Cancel("x"), Reschedule(T), Release(), Release("mail")]))
    def ask(self, which, demand):
        node = self.pick_node(which)
        self.requests = self.both(lambda store, _: store.ask(node, which, demand))

    @rule(which=number, verdict=st.sampled_from([Verdict("done", State.CANCELLED), Verdict("not-found")]))
    def answer(self, which, verdict):
        self.both(lambda store, _: store.answer(self.requests - which, verdict))

    @rule(which=number)
    def answered(self, which):
        self.both(lambda store, _: store.answered(self.requests - which))

    # ── nodes ──────────────────────────────────────────────────────────────────────────────────────────────
    @precondition(lambda self: len(self.seats) < 3)
    @rule()
    def join(self):
        seats = {}

        def call(store, index):
            seats[index] = store.join(NewNode(host="h", pid=1, version="1", workers=2, started_at=T))
            return seats[index].node

        node = self.both(call)
        self.seats[node] = (seats[0], seats[1])

    @rule(which=number, lanes=st.lists(st.integers(1, 9), max_size=3))
    def report(self, which, lanes):
        node = self.pick_node(which)
        self.both(lambda store, _: store.report(node, lanes))

    @precondition(lambda self: self.held)
    @rule(which=number)
    def note(self, which):
        held = self.held[-1 - which % len(self.held)]
        now = next(self.clock)
        for token, seat in zip(held.tokens, self.seats.get(held.node, ()), strict=False):
            seat.journal.note(held.id, token, now)

    @precondition(lambda self: self.seats)
    @rule(which=number)
    def leave(self, which):
        node = self.pick_node(which)
        self.both(lambda store, _: store.leave(node))
        self.seats.pop(node, None)

    @precondition(lambda self: self.seats)
    @rule(which=number, killed=st.booleans())
    def take_over(self, which, killed):
        node = self.pick_node(which)
        now = next(self.clock)
        if killed:
            self.stores[0].lose(node)
            self.seats.pop(node)[1].drop()
            self.same_contents()  # it is shown as dead
        self.both(lambda store, _: store.take_over(node, now))

    # ── schedules and listeners ────────────────────────────────────────────────────────────────────────────
    @rule(kind=st.sampled_from(["schedule", "listener"]), name=st.sampled_from("ab"), which=number)
    def put(self, kind, name, which):
        holder = self.pick_node(which)
        self.both(lambda store, _: store.put(Standing(kind=kind, name=name, definition="{}", holder=holder)))

    @rule(which=number, behind=st.integers(0, 1), tasks=st.lists(new_tasks, max_size=2), paused=st.booleans())
    def advance(self, which, behind, tasks, paused):
        now = next(self.clock)
        stored = self.both(lambda store, _: store.standings())
        if stored:
            standing = stored[which % len(stored)]
            version = standing.version - behind
            changed = msgspec.structs.replace(standing, version=version, paused=paused, next_run_at=now)
            self.both(lambda store, _: store.advance(changed, tasks, now))
            self.tasks = max([self.tasks, *(row.id for row in self.stores[0].find(EVERYTHING))])

    @rule(kind=st.sampled_from(["schedule", "listener"]), name=st.sampled_from("ab"))
    def remove(self, kind, name):
        self.both(lambda store, _: store.remove(kind, name))

    # ── looking ────────────────────────────────────────────────────────────────────────────────────────────
    @rule(wanted=filters)
    def find(self, wanted):
        self.both(lambda store, _: store.find(wanted))

    @rule(ago=st.integers(0, 20), limit=st.integers(1, 5))
    def prune(self, ago, limit):
        before = next(self.clock) - ago
        self.both(lambda store, _: store.prune(before, limit))

    @rule(wanted=st.sets(st.tuples(queues, works)))
    def look_at_lanes(self, wanted):
        self.both(lambda store, _: store.next_due(self.lanes(store, wanted)))
        self.both(lambda store, _: store.waiting(self.lanes(store, wanted)))

    @invariant()
    def same_contents(self):
        rows = self.both(lambda store, _: store.find(EVERYTHING))
        for read in ("stats", "standings", "paused", "nodes"):
            self.both(lambda store, _, read=read: getattr(store, read)())
        for row in rows:
            self.both(lambda store, _, id_=row.id: (store.attempts(id_), store.output(id_)))
        for node in self.seats:
            self.both(lambda store, _, node=node: store.requests(node))
        unfinished = [row.key for row in rows if row.key and row.state not in FINISHED]
        assert len(unfinished) == len(set(unfinished)), "a key is unique among unfinished tasks"


class SqliteToo(BothStores):
    def make(self):
        return SqliteStore(f"{self.folder}/s.db")


class PostgresToo(BothStores):
    def make(self):
        return PostgresStore(shared_server().new_database())


def profile(examples):
    return settings(
        max_examples=examples, stateful_step_count=40, derandomize=True, database=None, deadline=None,
        suppress_health_check=[HealthCheck.too_slow],
    )  # fmt: skip


SqliteToo.TestCase.settings = profile(50)
test_sqlite_agrees_with_memory = SqliteToo.TestCase
PostgresToo.TestCase.settings = profile(20)
test_postgres_agrees_with_memory = PostgresToo.TestCase
