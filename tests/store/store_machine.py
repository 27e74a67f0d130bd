"""Holders that come, work, crash and come late, and clients beside them, in orders that Hypothesis finds.

Few rules, each with several ways to go: Hypothesis chooses a rule evenly, and what holders do should come often.
"""

import itertools

import msgspec
from hypothesis import strategies as st
from hypothesis.stateful import initialize, precondition, rule
from store_ledger import StoreLedger, T

from mainspring.store.rows import Again, Cancel, Missed, NewTask, Reschedule, Standing
from mainspring.tasks.options import TaskOptions, encode_options
from mainspring.tasks.state import FINISHED, Kind, State

ONCE = encode_options(TaskOptions(delivery="at-most-once"))
LEASE = 1_000  # ends at this boot-time instant

which = st.integers(0, 4)  # picks one of what there is, the newest first
spans = st.integers(-3, 12)  # from now
sometimes = st.sampled_from([False, False, True])
queues = st.sampled_from(["default", "mail"])
plain = {
    "kind": st.sampled_from(Kind),
    "work": st.sampled_from(["shop:a", "shop:b"]),
    "queue": queues,
    "priority": st.integers(-1, 1),
    "options": st.sampled_from([None, None, ONCE]),
}
tasks_to_come = st.builds(
    NewTask,
    run_at=spans,
    key=st.sampled_from([None, None, "k", "l"]),
    on_conflict=st.sampled_from(["error", "keep", "replace"]),
    expires_at=st.none() | spans,
    **plain,
)
occurrences = st.builds(
    NewTask,
    run_at=spans,
    schedule=st.just("s"),
    occurrence=st.integers(T, T + 5),
    missed=st.sampled_from([None, None, None, Missed("misfire", T + 9, 3)]),
    **plain,
)
changes = st.one_of(
    st.builds(Cancel, st.sampled_from(["why", "cancelled"])),
    st.builds(Reschedule, spans, st.none() | spans),
    st.builds(Again, spans, st.none() | spans),
)
# WAITING: another attempt
ends = st.sampled_from([State.SUCCEEDED, State.FAILED, State.CANCELLED, State.WAITING, State.WAITING])
fates = st.sampled_from(["waits", "begins", "begins", "runs", State.SUCCEEDED, State.FAILED, State.WAITING])
unstarted = st.sampled_from([State.WAITING, State.MISSED, State.CANCELLED, State.FAILED])


class StoreMachine(StoreLedger):
    """The rules; a subclass says which store."""

    @initialize(tasks=st.lists(tasks_to_come, min_size=3, max_size=6))
    def begin(self, tasks):
        self.set_up()
        self.do_join()
        self.do_add(tasks)

    # ── holders ────────────────────────────────────────────────────────────────────────────────────────────
    @precondition(lambda self: self.seats)
    @rule(which=which, skip=sometimes, ahead=spans, span=st.sampled_from([5, 10_000]), limit=st.integers(1, 5))
    def claim(self, which, skip, ahead, span, limit):
        node = self.pick(list(self.seats), which)
        self.do_claim(node, lambda lane: not skip or lane % 3, self.now + ahead, span, limit)

    @rule(which=which, limit=st.integers(1, 6), fates=st.lists(fates, min_size=1, max_size=6))
    def work(self, which, limit, fates):
        """A daemon's turn: of what it gets some waits, some begins, and of some it is over."""
        if not self.seats:
            self.do_join()
        node, before = self.pick(list(self.seats), which), len(self.held)
        self.do_claim(node, lambda _: True, self.now + 100, 10_000, limit)
        for held, fate in zip(self.held[before:], itertools.cycle(fates), strict=False):
            if fate != "waits":
                self.do_start(held, told=fate == "runs")
            if isinstance(fate, State):
                self.do_settle({held: (fate, 5)})

    @precondition(lambda self: self.held)
    @rule(which=which, told=st.booleans(), stale=sometimes)
    def start(self, which, told, stale):
        self.do_start(self.pick_held(which, stale), told=told)

    @precondition(lambda self: self.held)
    @rule(chosen=st.lists(st.tuples(which, sometimes, ends, spans), min_size=1, max_size=3), durable=st.booleans())
    def settle(self, chosen, durable):
        """Bodies end, some of whose holders have lost them."""
        ends = {self.pick_held(number, stale): (state, span) for number, stale, state, span in chosen}
        for held in filter(self.holds, ends):
            self.do_start(held, told=False)
        self.do_settle(
            {held: end for held, end in ends.items() if self.has_begun(held) or not self.holds(held)}, durable
        )

    def do_settle(self, ends, durable=False):
        told = []
        for held, (state, span) in ends.items():
            end = State.FAILED if held.once and state is State.WAITING else state  # it is never tried again
            told.append(self.outcome(held, end, span))
        self.do_record(told, durable=durable)

    @precondition(lambda self: self.held)
    @rule(which=which, stale=sometimes, state=unstarted)
    def settle_without_a_start(self, which, stale, state):
        held = self.pick_held(which, stale)
        if not self.has_begun(held):
            self.do_record([self.outcome(held, state, ran=False)])

    @precondition(lambda self: self.held and self.seats)
    @rule(which=which, since=which)
    def give_back(self, which, since):
        """A reserve has failed, and whoever asked does not know what it held: nothing of it has begun."""
        node, token = self.pick(list(self.seats), which), self.pick_held(since, stale=False).token - 1
        begun = [task.token for task in self.model.tasks.values() if task.row.holder == node and task.begun is not None]
        since = max([token, *begun])
        self.same(lambda: self.store.give_back(node, since), lambda: self.model.give_back(node, since))

    # ── clients ────────────────────────────────────────────────────────────────────────────────────────────
    @rule(tasks=st.lists(tasks_to_come | occurrences, min_size=1, max_size=4))
    def add(self, tasks):
        self.do_add(tasks)

    @rule(which=st.integers(-1, 9), change=changes)
    def change(self, which, change):
        ids = [row.id for row in self.model.rows()]
        if isinstance(change, Again):
            ids = [row.id for row in self.model.rows() if row.state in FINISHED]
        self.do_change(self.pick(ids, which) if ids and which >= 0 else self.model.last_id + 1, change)

    @precondition(lambda self: self.held)
    @rule(which=which, stale=sometimes, change=changes)
    def change_by_holder(self, which, stale, change):
        """By whoever holds it and has not started it, or believes so."""
        held = self.pick_held(which, stale)
        if not self.has_begun(held):
            self.do_change(held.id, change, held.token)

    @rule(queue=st.sampled_from(["default", "mail", None]), paused=st.booleans())
    def pause(self, queue, paused):
        if paused and self.model.paused:  # else nothing would be reserved for most of the time
            queue, paused = next(iter(self.model.paused)), False
        self.store.pause(queue, paused=paused)
        (self.model.paused.add if paused else self.model.paused.discard)(queue)

    # ── nodes ──────────────────────────────────────────────────────────────────────────────────────────────
    @precondition(lambda self: len(self.seats) < 3)
    @rule()
    def join(self):
        self.do_join()

    @precondition(lambda self: self.seats)
    @rule(which=which, found=st.booleans())
    def crash(self, which, found):
        """`found`: and is taken over at once."""
        node = self.pick(list(self.seats), which)
        self.lose(node)
        self.seats.pop(node)
        self.model.nodes[node] = False
        if found:
            self.do_take_over(node)

    @precondition(lambda self: self.model.nodes)
    @rule(which=which)
    def take_over(self, which):
        node = self.pick(sorted(self.model.nodes, key=self.model.nodes.__getitem__, reverse=True), which)
        self.do_take_over(node)
        assert self.store.take_over(node, self.now) is None, "once, and not of one that lives"

    @precondition(lambda self: self.seats)
    @rule(which=which, ended=st.booleans())
    def lapse(self, which, ended):
        """A node lives and is silent; unless its lease has ended nothing is taken from it."""
        node = self.pick(list(self.seats), which)
        self.seats[node].journal.lease = LEASE
        self.do_take_over(node, LEASE if ended else LEASE - 1, silent=ended)
        self.seats[node].journal.lease = 0

    @precondition(lambda self: self.seats)
    @rule(which=which)
    def leave(self, which):
        node = self.pick(list(self.seats), which)
        if all(task.begun is None for task in self.model.tasks.values() if task.row.holder == node):
            self.store.leave(node)
            self.model.leave(node)
            self.seats.pop(node)

    # ── schedules and listeners, time, and what is forgotten ───────────────────────────────────────────────
    @rule(kind=st.sampled_from(["schedule", "listener"]), which=which, gone=sometimes)
    def put(self, kind, which, gone):
        name = (kind, "s")
        if gone:
            assert self.store.remove(*name) == (self.model.standings.pop(name, None) is not None)
            return
        holder = self.pick([*self.seats, None], which) if kind == "listener" else None
        standing = Standing(kind=kind, name="s", definition="{}", holder=holder)
        assert self.store.put(standing) == (name not in self.model.standings)
        self.model.standings.setdefault(name, standing)

    @precondition(lambda self: self.model.standings)
    @rule(which=which, behind=sometimes, tasks=st.lists(occurrences, max_size=3))
    def advance(self, which, behind, tasks):
        known = self.pick(list(self.model.standings.values()), which)
        standing = msgspec.structs.replace(known, version=known.version - behind, next_run_at=self.now + 1)
        tasks = [self.at(new) for new in tasks]
        made = self.same(
            lambda: self.store.advance(standing, tasks, self.now), lambda: self.model.advance(standing, tasks, self.now)
        )
        assert made == (not behind)

    @rule(by=st.integers(-40, 40))
    def step_the_clock(self, by):
        """Or let time pass, which is the same to a store."""
        self.now += by

    @rule(ago=st.integers(-5, 30), limit=st.integers(1, 5), keep=st.none() | st.integers(0, 2))
    def forget(self, ago, limit, keep):
        """By age, or (`keep`) of a schedule what is beyond the last few."""
        before = self.now - ago
        if keep is None:
            self.same(lambda: self.store.prune(before, limit), lambda: self.model.prune(before, limit))
        else:
            self.same(lambda: self.store.trim("s", keep, limit), lambda: self.model.trim("s", keep, limit))
