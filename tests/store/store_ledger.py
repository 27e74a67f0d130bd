"""What holders do to a store and to its model alike, and a ledger of what was acknowledged, begun and seen.

`store_machine` decides when they do it. Whatever the store answers, the model must have told.
"""

import shutil
import tempfile
from collections import Counter

import msgspec
from hypothesis.stateful import RuleBasedStateMachine, invariant
from store_model import Model, lane_of

from mainspring.errors import MainspringError
from mainspring.store.rows import Filter, NewNode, Settlement
from mainspring.tasks.options import decode_options
from mainspring.tasks.state import CODES, LEGAL, UNFINISHED, State

T = 1_800_000_000_000_000
EVERYTHING = Filter(limit=100_000)


class Held(msgspec.Struct, frozen=True):
    """What a holder believes to hold: rightly, or no longer."""

    id: int
    token: int
    node: int
    once: bool


class StoreLedger(RuleBasedStateMachine):
    """One store, its model, and what is known besides."""

    def open(self):
        """The store, new or as it was left in `self.folder`."""
        raise NotImplementedError

    def lose(self, node):
        """Have the node's process end."""
        raise NotImplementedError

    def set_up(self):
        self.folder = tempfile.mkdtemp()
        self.model = Model()
        self.store = self.open()
        self.now = T
        self.seats = {}  # of those that live
        self.held: list[Held] = []  # also what was lost long ago
        self.newest = 0  # of all tokens
        self.begun = Counter()  # task → how often its body began
        self.seen: dict[int, State] = {}
        self.touched: set[int] = set()  # whose attempts may have changed

    def teardown(self):
        self.store.close()
        shutil.rmtree(self.folder)

    def same(self, real, told):
        """Both answer alike, also by an error."""
        answers = []
        for call in (real, told):
            try:
                answers.append(call())
            except MainspringError as error:
                answers.append(type(error))
        assert answers[0] == answers[1]
        return answers[0]

    def at(self, value):
        """A drawn value with its spans made instants."""
        names = [name for name in ("run_at", "expires_at") if getattr(value, name, None) is not None]
        return msgspec.structs.replace(value, **{name: self.now + getattr(value, name) for name in names})

    def pick(self, among, which):
        """One of them, the newest first."""
        return among[-1 - which % len(among)]

    def holds(self, held):
        return self.model.holds(held.id, held.token)

    def has_begun(self, held):
        return self.holds(held) and self.model.tasks[held.id].begun is not None

    def pick_held(self, which, stale):
        """A reservation that counts; or, `stale`, one that may not."""
        return self.pick([held for held in self.held if stale or self.holds(held)] or self.held, which)

    def lanes(self):
        return {lane.id: (lane.queue, lane.priority, lane.kind.value, lane.work) for lane in self.store.lanes()}

    # ── what is done ───────────────────────────────────────────────────────────────────────────────────────
    def do_add(self, tasks):
        tasks, before = [self.at(new) for new in tasks], self.model.last_id
        answer = self.same(lambda: self.store.add(tasks, self.now), lambda: self.model.add(tasks, self.now))
        if isinstance(answer, list):
            assert all(added.id > before for added in answer if added.created), "an id is never used twice"

    def do_claim(self, node, wanted, until, span, limit):
        lanes = self.lanes()
        wanted = [id_ for id_ in lanes if wanted(id_)]
        batch = self.store.reserve(node, wanted, after=until - span, until=until, limit=limit)
        tasks = self.model.reserve(node, [lanes[id_] for id_ in wanted], until - span, until, limit)
        assert [one.id for one in batch.tasks] == [task.row.id for task in tasks]
        for one, task in zip(batch.tasks, tasks, strict=True):
            assert lanes[one.lane] == lane_of(task.row)
            for name in ("run_at", "attempt", "failures", "losses", "expires_at", "schedule", "options"):
                assert getattr(one, name) == getattr(task.row, name)
        if tasks:
            assert batch.token > self.newest, "tokens grow"
            self.newest = batch.token
            self.model.hold(tasks, node, batch.token)
            self.held += [Held(one.id, batch.token, node, _once(one.options)) for one in batch.tasks]

    def do_start(self, held, *, told):
        """A body begins, unless the store says no. `told`: it runs for long, and the store hears of it."""
        if held.node not in self.seats or self.has_begun(held):
            return
        if self.holds(held):
            self.now = max(self.now, self.model.tasks[held.id].row.run_at)  # a holder waits for the instant
        if held.once and not self.do_record([self.outcome(held, State.RUNNING)], durable=True):
            return
        self.seats[held.node].journal.note(held.id, held.token, self.now)
        self.begun[held.id] += 1
        assert not held.once or self.begun[held.id] == 1, "an at-most-once task began twice"
        if self.holds(held):  # else nobody has told this holder yet; its outcome will be refused
            self.model.tasks[held.id].begun = self.now
            if told and not held.once:
                self.do_record([self.outcome(held, State.RUNNING)])

    def outcome(self, held, state, span=0, *, ran=True):
        """What this holder has to say, by what it knows; of one that lost the task it is anything."""
        task = self.model.tasks[held.id] if self.holds(held) else None
        attempt, failures, counted, began = 0, 0, False, self.now
        if task is not None:
            attempt, failures, counted = task.row.attempt, task.row.failures, task.row.state is State.RUNNING
            began = self.now if task.begun is None else task.begun
        again = ran and state is State.WAITING
        return Settlement(
            held.id,
            held.token,
            CODES[state],
            keep=state is State.RUNNING,
            attempt=attempt + (ran and not counted),
            failures=failures + (ran and state in {State.FAILED, State.WAITING}),
            run_at=self.now + span if again else None,
            reason=None if state in {State.SUCCEEDED, State.RUNNING} else "why",
            started_at=began if ran else None,
            finished_at=None if state is State.RUNNING else self.now,
            result="1" if state is State.SUCCEEDED else None,
            error='{"type":"E"}' if state is State.FAILED else None,
            failed_try=again,
        )

    def do_record(self, settlements, *, durable=False):
        """Whether all were written; those of whom holds it no longer are refused, and change nothing."""
        held = {one.id for one in settlements if self.model.holds(one.id, one.token)}
        stale = [one.id for one in settlements if not self.model.holds(one.id, one.token)]
        before = {id_: self.store.get(id_) for id_ in stale}
        refused = self.store.record(settlements, durable=durable)
        assert sorted(refused) == sorted(self.model.record(settlements))
        assert not Counter(stale) - Counter(refused), "who does not hold it settles nothing"
        assert all(self.store.get(id_) == row for id_, row in before.items() if id_ not in held)
        self.touched |= {one.id for one in settlements}
        return not refused

    def do_change(self, id_, change, token=None):
        change, before = self.at(change), self.store.get(id_)
        verdict = self.same(
            lambda: self.store.change(id_, change, self.now, token),
            lambda: self.model.change(id_, change, self.now, token),
        )
        if isinstance(verdict, type) or verdict.outcome != "done":
            assert self.store.get(id_) == before, "what was not done changed nothing"

    def do_join(self):
        seat = self.store.join(NewNode(host="h", pid=1, version="1", workers=2, started_at=self.now))
        assert seat.node > max(self.model.nodes, default=0), "a number is never used twice"
        self.seats[seat.node] = seat
        self.model.nodes[seat.node] = True

    def do_take_over(self, node, until=None, *, silent=False):
        self.touched |= {row.id for row in self.model.rows() if row.holder == node}
        taken = self.store.take_over(node, self.now, until)
        told = self.model.take_over(node, self.now, silent=silent)
        assert (taken is None) == (told is None)
        assert taken is None or (taken.freed, sorted(taken.lost)) == (told.freed, sorted(told.lost))

    # ── what always holds ──────────────────────────────────────────────────────────────────────────────────
    @invariant()
    def everything_is_there_once(self):
        rows = self.store.find(EVERYTHING)
        assert rows == self.model.rows()
        keys = Counter(row.key for row in rows if row.key is not None and row.state in UNFINISHED)
        assert max(keys.values(), default=1) == 1, "a key is unique among unfinished tasks"
        made = Counter(
            (row.schedule, row.occurrence)
            for row in rows
            if row.occurrence is not None and row.missed_count is None and row.state is not State.CANCELLED
        )
        assert max(made.values(), default=1) == 1, "an occurrence is one task"
        for row in rows:
            before = self.seen.get(row.id, row.state)
            assert row.state is before or row.state in LEGAL[before], f"{before} to {row.state}"
        self.seen = {row.id: row.state for row in rows}

    @invariant()
    def it_counts_right(self):
        assert self.store.stats().counts == self.model.counts()
        assert self.store.pending(self.now, 1_000) == self.model.pending(self.now)
        assert self.store.paused() == self.model.paused
        assert {node.id: node.alive for node in self.store.nodes()} == self.model.nodes
        assert {(one.kind, one.name): one for one in self.store.standings()} == self.model.standings
        lanes = self.lanes()
        assert self.store.waiting(list(lanes)) == self.model.waiting(lanes.values())
        assert self.store.next_due(list(lanes)) == self.model.next_due(lanes.values())
        for id_ in self.touched & self.model.tasks.keys():
            assert self.store.attempts(id_) == self.model.tasks[id_].tries
        self.touched = set()


def _once(options):
    return decode_options(options).delivery == "at-most-once"
