"""Reserving: what is due, in order, for one node and nobody else."""

import threading
from collections.abc import Callable
from functools import partial

from mainspring.store.rows import Reschedule, Reservation, Reserved, Settlement
from mainspring.tasks.state import CODES, Kind, State
from mainspring.testing.conformance.trial import EVER, WORK, T, Trial, new, together


def in_order_of_priority_instant_and_adding(trial: Trial) -> None:
    """Higher priority first, then `run_at`, then order of adding; across lanes."""
    node = trial.join().node
    names = ("low", "late", "tie 1", "tie 2", "early", "high")
    given = (
        new(T, priority=-1, name="low"),
        new(T + 9, name="late"),
        new(T + 2, name="tie 1"),
        new(T + 2, name="tie 2", work="shop:other", queue="mail"),
        new(T + 1, name="early"),
        new(T + 5, priority=10, name="high"),
    )
    trial.store.add(given, T)
    assert {task.name for task in given} == set(names)
    batch = trial.reserve(node)
    assert [task.name for task in batch.tasks] == ["high", "early", "tie 1", "tie 2", "late", "low"]


def only_between_the_bounds(trial: Trial) -> None:
    """`after < run_at <= until`."""
    node = trial.join().node
    trial.store.add([new(T + n) for n in range(5)], T)
    batch = trial.reserve(node, after=T + 1, until=T + 3)
    assert [task.run_at for task in batch.tasks] == [T + 2, T + 3]
    assert [task.run_at for task in trial.reserve(node).tasks] == [T, T + 1, T + 4]


def at_most_limit_and_the_first_of_all(trial: Trial) -> None:
    """The limit counts over all lanes together, and the best of them all are taken."""
    node = trial.join().node
    trial.store.add([new(T + n, work=f"shop:f{n % 3}") for n in range(9)], T)
    taken = [[task.run_at - T for task in trial.reserve(node, limit=4).tasks] for _ in range(4)]
    assert taken == [[0, 1, 2, 3], [4, 5, 6, 7], [8], []]


def priority_counts_before_the_limit(trial: Trial) -> None:
    """With a limit, it is the later task of higher priority that is taken."""
    node = trial.join().node
    trial.store.add([new(T), new(T + 1), new(T + 2, priority=1)], T)
    assert [task.run_at for task in trial.reserve(node, limit=1).tasks] == [T + 2]
    assert [task.run_at for task in trial.reserve(node, limit=1).tasks] == [T]


def what_a_failed_call_held_goes_back(trial: Trial) -> None:
    """`give_back` frees what a node holds under later tokens and has not recorded as running; nobody else's."""
    node, other = trial.join().node, trial.join().node
    trial.add(), trial.add(), trial.add(), trial.add()
    known = trial.reserve(node, limit=1)
    theirs = trial.reserve(other, limit=1)
    lost = trial.reserve(node, limit=2)
    runs = lost.tasks[0]
    trial.store.record([Settlement(runs.id, lost.token, CODES[State.RUNNING], True, 1, 0, started_at=T)])
    assert trial.store.give_back(node, known.token) == 1
    assert trial.store.give_back(node, known.token) == 0
    assert [task.id for task in trial.reserve(other).tasks] == [lost.tasks[1].id]
    for task, holder in ((known.tasks[0], node), (theirs.tasks[0], other), (runs, node)):
        assert trial.task(task.id).holder == holder


def only_from_the_lanes_asked(trial: Trial) -> None:
    """A lane that was not asked for is left alone; asking for none, for one twice or for one unknown is fine."""
    node = trial.join().node
    trial.store.add([new(work="shop:a"), new(work="shop:b")], T)
    by_work = {lane.work: lane.id for lane in trial.store.lanes()}
    assert trial.store.reserve(node, [], after=-1, until=EVER, limit=9).tasks == []
    asked = [by_work["shop:b"], by_work["shop:b"], max(by_work.values()) + 1_000]
    [only] = trial.store.reserve(node, asked, after=-1, until=EVER, limit=9).tasks
    assert only.lane == by_work["shop:b"]


def a_reservation_tells_what_the_run_needs(trial: Trial) -> None:
    """Id, lane, instant, counts and what was added; the state stays `waiting`, with the node as its holder."""
    node = trial.join().node
    id_ = trial.add(
        T + 3, name="label", payload="[[1], null]", options='{"timeout":5}', expires_at=T + 99, schedule="s"
    )
    [lane] = trial.lanes()
    batch = trial.reserve(node)
    assert batch.tasks == [Reservation(id_, lane, T + 3, 0, 0, 0, T + 99, "s", "label", '{"timeout":5}', "[[1], null]")]
    row = trial.task(id_)
    assert (row.state, row.holder, row.attempt, row.started_at) == (State.WAITING, node, 0, None)


def a_task_is_held_once(trial: Trial) -> None:
    """What one call holds, no other call gets; not even for the same node."""
    one, two = trial.join().node, trial.join().node
    trial.add()
    assert len(trial.reserve(one).tasks) == 1
    assert trial.reserve(one).tasks == []
    assert trial.reserve(two).tasks == []


def tokens_grow(trial: Trial) -> None:
    """Each batch's token is larger than every one before, whoever asks, and wherever."""
    nodes = [trial.join().node, trial.join().node]
    other = trial.another()
    tokens = []
    for n in range(6):
        trial.add()
        batch = (other if n % 3 == 2 else trial.store).reserve(
            nodes[n % 2], trial.lanes(), after=-1, until=EVER, limit=1
        )
        assert len(batch.tasks) == 1
        tokens.append(batch.token)
    tokens.append(trial.hold().token)  # of a node that joined after them
    assert tokens == sorted(set(tokens))
    assert tokens[0] > 0


def a_freed_task_is_reserved_again(trial: Trial) -> None:
    """What was given back is reserved like any other, under a new token and at its new instant."""
    held = trial.hold()
    trial.finish(held, State.WAITING, attempt=0, run_at=T + 7)
    batch = trial.reserve(held.seat.node, until=T + 6)
    assert batch.tasks == []
    again = trial.reserve(held.seat.node, until=T + 7)
    assert [task.id for task in again.tasks] == [held.id]
    assert again.token > held.token


def a_paused_queue_is_passed_over(trial: Trial) -> None:
    """After `pause` returned, nothing of that queue is reserved; until it is resumed. Pausing twice is fine."""
    node = trial.join().node
    trial.store.add([new(T, queue="mail"), new(T + 1, queue="other")], T)
    lanes = trial.lanes()
    trial.store.pause("mail", paused=True)
    trial.store.pause("mail", paused=True)
    assert trial.store.paused() == frozenset({"mail"})
    assert trial.store.next_due(lanes) == T + 1
    assert [task.run_at for task in trial.another().reserve(node, lanes, after=-1, until=EVER, limit=9).tasks] == [
        T + 1
    ]
    trial.store.pause("mail", paused=False)
    assert trial.store.paused() == frozenset()
    assert trial.store.next_due(lanes) == T
    assert [task.run_at for task in trial.reserve(node).tasks] == [T]


def a_queue_may_be_paused_before_it_has_tasks(trial: Trial) -> None:
    """A pause is of the name: what is added later waits too; resuming what is not paused is fine."""
    node = trial.join().node
    trial.store.pause("later", paused=True)
    trial.store.pause("never paused", paused=False)
    trial.add(queue="later")
    assert trial.reserve(node).tasks == []
    assert trial.store.next_due(trial.lanes()) is None


def a_pause_of_all_leaves_those_by_name(trial: Trial) -> None:
    """None pauses all; resuming None resumes the store as a whole, queues paused by name stay paused."""
    node = trial.join().node
    trial.store.add([new(T, queue="mail"), new(T + 1, queue="other")], T)
    trial.store.pause("mail", paused=True)
    trial.store.pause(None, paused=True)
    assert trial.store.paused() == frozenset({"mail", None})
    assert trial.reserve(node).tasks == []
    assert trial.store.next_due(trial.lanes()) is None
    trial.store.pause(None, paused=False)
    assert trial.store.paused() == frozenset({"mail"})
    assert [task.run_at for task in trial.reserve(node).tasks] == [T + 1]


def what_is_held_survives_a_pause(trial: Trial) -> None:
    """A pause takes nothing from its holder."""
    held = trial.hold(queue="mail")
    trial.store.pause("mail", paused=True)
    assert trial.task(held.id).holder == held.seat.node
    trial.start(held)
    trial.finish(held)


def next_due_is_the_earliest_that_is_free(trial: Trial) -> None:
    """`next_due`: the earliest `run_at` in these lanes that nobody holds; None when there is none."""
    assert trial.store.next_due([]) is None
    seat = trial.join()
    held = trial.hold(seat, run_at=T)
    assert trial.store.next_due(trial.lanes()) is None
    trial.store.add([new(T + 9), new(T + 4), new(T + 2, work="shop:other")], T)
    of_work = {lane.work: lane.id for lane in trial.store.lanes()}
    assert trial.store.next_due([of_work[WORK]]) == T + 4
    assert trial.store.next_due(list(of_work.values())) == T + 2
    trial.finish(held, State.WAITING, attempt=0)
    assert trial.store.next_due([of_work[WORK]]) == T


def next_due_follows_a_change(trial: Trial) -> None:
    """A rescheduled task is due at its new instant and no longer at its old one."""
    id_ = trial.add(T + 5)
    trial.store.change(id_, Reschedule(T + 8), T)
    assert trial.store.next_due(trial.lanes()) == T + 8
    trial.store.change(id_, Reschedule(T + 1), T)
    assert trial.store.next_due(trial.lanes()) == T + 1


def who_left_gets_nothing(trial: Trial) -> None:
    """A node that left, was taken over, or never was, gets an empty batch."""
    gone, dead = trial.join(), trial.join()
    trial.add()
    trial.store.leave(gone.node)
    trial.kill(dead)
    assert trial.store.take_over(dead.node, T) is not None
    for node in (gone.node, dead.node, dead.node + 1_000):
        assert trial.reserve(node).tasks == []
    assert trial.store.next_due(trial.lanes()) == T


def a_lane_for_each_kind_of_work(trial: Trial) -> None:
    """One lane for each (queue, priority, kind, work); never changed, and seen however it was added."""
    assert trial.store.lanes() == []
    trial.store.add([new(), new(T + 1), new(queue="mail"), new(priority=5), new(kind=Kind.PROGRAM, work="")], T)
    lanes = trial.store.lanes()
    expected = {
        ("default", 0, Kind.FUNCTION, WORK),
        ("mail", 0, Kind.FUNCTION, WORK),
        ("default", 5, Kind.FUNCTION, WORK),
        ("default", 0, Kind.PROGRAM, ""),
    }
    assert {(lane.queue, lane.priority, lane.kind, lane.work) for lane in lanes} == expected
    assert len(lanes) == len(expected)
    other = trial.another()
    assert sorted(other.lanes(), key=lambda lane: lane.id) == sorted(lanes, key=lambda lane: lane.id)
    other.add([new(work="shop:new")], T)
    grown = trial.store.lanes()
    assert [lane for lane in grown if lane not in lanes] == [lane for lane in grown if lane.work == "shop:new"]
    assert len(grown) == len(lanes) + 1


def waiting_counts_by_lane(trial: Trial) -> None:
    """How many tasks wait in the lanes asked for: held ones too, for their state is `waiting`."""
    trial.hold(work="shop:a")
    trial.store.add([new(work="shop:a"), new(work="shop:a"), new(work="shop:b")], T)
    trial.ended(State.FAILED, work="shop:c")
    of_work = {lane.work: lane.id for lane in trial.store.lanes()}
    counts = {work: trial.store.waiting([lane]) for work, lane in of_work.items()}
    assert counts == {"shop:a": 3, "shop:b": 1, "shop:c": 0}
    assert trial.store.waiting(list(of_work.values())) == 4
    assert trial.store.waiting([]) == 0


def no_task_twice_on_many_threads(trial: Trial) -> None:
    """Nodes that reserve at the same moment, on several connections: each task once, each batch a token of its own."""
    trial.store.add([new(T + n % 7, priority=n % 3) for n in range(300)], T)
    lanes = trial.lanes()
    other = trial.another()

    def all_that_comes(store_index: int, node: int) -> list[Reserved]:
        store = (trial.store, other)[store_index]
        batches = []
        while (batch := store.reserve(node, lanes, after=-1, until=EVER, limit=7)).tasks:
            batches.append(batch)
        return batches

    nodes = [trial.join().node for _ in range(4)]
    results = together([partial(all_that_comes, n % 2, node) for n, node in enumerate(nodes)])
    ids: list[int] = []
    tokens: list[int] = []
    for node, batches in zip(nodes, results, strict=True):
        assert not isinstance(batches, Exception), repr(batches)
        for batch in batches:
            tokens.append(batch.token)
            assert {trial.task(task.id).holder for task in batch.tasks} == {node}
            ids += [task.id for task in batch.tasks]
    assert len(ids) == len(set(ids)) == 300
    assert len(tokens) == len(set(tokens))


def what_is_added_meanwhile_is_found(trial: Trial) -> None:
    """Adding and reserving at the same time: at the end every task was held exactly once."""
    other = trial.another()
    node = trial.join().node
    trial.add()
    over = [threading.Event(), threading.Event()]

    def add_some(end: threading.Event) -> list[int]:
        try:
            return [other.add([new()], T)[0].id for _ in range(50)]
        finally:
            end.set()

    def take() -> list[int]:
        ids: list[int] = []
        while True:
            was_over = all(end.is_set() for end in over)
            batch = trial.reserve(node, limit=10)
            ids += [task.id for task in batch.tasks]
            if was_over and not batch.tasks:
                return ids

    calls: list[Callable[[], list[int]]] = [take, *(partial(add_some, end) for end in over)]
    taken, *added = together(calls)
    assert not isinstance(taken, Exception), repr(taken)
    for ids in added:
        assert not isinstance(ids, Exception), repr(ids)
        assert set(ids) < set(taken)
    assert len(taken) == len(set(taken)) == 101
