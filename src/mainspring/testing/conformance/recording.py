"""Recording: exactly one settlement for each attempt, fenced by its token."""

from mainspring.store.rows import AttemptRow, Cancel, Filter, Settlement
from mainspring.tasks.state import CODES, FINISHED, LEGAL, State
from mainspring.testing.conformance.trial import T, Trial, new, settlement, together


def an_outcome_is_kept(trial: Trial) -> None:
    """State, instants, counts, reason, result, error and output are stored; holder and token are cleared."""
    seat = trial.join()
    for state in sorted(FINISHED):
        held = trial.hold(seat, run_at=T)
        before = trial.task(held.id)
        fields: dict[str, object] = {"started_at": T + 1, "finished_at": T + 2, "attempt": 2, "failures": 1}
        fields |= {"reason": "why", "result": '{"a": "é"}', "error": '{"type": "E"}', "output": "wrote\nthis"}
        trial.finish(held, state, **fields)
        row = trial.task(held.id)
        assert (row.state, row.started_at, row.finished_at) == (state, T + 1, T + 2)
        assert (row.attempt, row.failures, row.losses) == (2, 1, 0)
        assert (row.reason, row.result, row.error) == ("why", '{"a": "é"}', '{"type": "E"}')
        assert (row.holder, row.run_at, row.created_at) == (None, before.run_at, before.created_at)
        assert trial.store.output(held.id) == "wrote\nthis"


def an_old_token_changes_nothing(trial: Trial) -> None:
    """A settlement is refused when its task was given back and is held anew: only the new holder settles."""
    old = trial.hold()
    trial.finish(old, State.WAITING, attempt=0)
    fresh = trial.hold_again(old.id, trial.join())
    before = trial.task(old.id)
    late = settlement(old, State.SUCCEEDED, result="1", output="late", failed_try=True, reason="x", run_at=T + 9)
    assert trial.store.record([late]) == [old.id]
    assert trial.task(old.id) == before
    assert trial.store.output(old.id) is None
    assert trial.store.attempts(old.id) == []
    trial.finish(fresh)


def nobody_settles_twice(trial: Trial) -> None:
    """What is finished, free or unknown has no token: every settlement of it is refused."""
    held = trial.hold()
    trial.finish(held, result="1")
    before = trial.task(held.id)
    assert trial.store.record([settlement(held, State.FAILED, reason="x")]) == [held.id]
    assert trial.task(held.id) == before
    free = trial.add()
    for token in (0, held.token, held.token + 1):
        assert trial.store.record([Settlement(free, token, CODES[State.SUCCEEDED], False, 1, 0)]) == [free]
    unknown = free + 1_000
    assert trial.store.record([Settlement(unknown, held.token, CODES[State.SUCCEEDED], False, 1, 0)]) == [unknown]


def a_batch_settles_what_it_can(trial: Trial) -> None:
    """One refused settlement keeps none of the others from being applied."""
    seat = trial.join()
    trial.store.add([new() for _ in range(5)], T)
    batch = trial.reserve(seat.node)
    done = CODES[State.SUCCEEDED]
    wrong = batch.tasks[2].id
    settlements = [
        Settlement(task.id, batch.token - (task.id == wrong), done, False, 1, 0, finished_at=T, result=str(task.id))
        for task in batch.tasks
    ]
    assert trial.store.record(settlements) == [wrong]
    assert trial.task(wrong).state is State.WAITING
    assert trial.task(wrong).holder == seat.node
    ended = trial.store.find(Filter(states=(State.SUCCEEDED,)))
    assert {row.id: row.result for row in ended} == {task.id: str(task.id) for task in batch.tasks if task.id != wrong}


def an_empty_batch_is_fine(trial: Trial) -> None:
    """Nothing to record, nothing refused; durably or not."""
    assert trial.store.record([]) == []
    assert trial.store.record([], durable=True) == []


def a_durable_batch_says_the_same(trial: Trial) -> None:
    """`durable`, of the call or of one settlement, changes when it is safe, not what it does."""
    seat = trial.join()
    one, two = trial.hold(seat), trial.hold(seat)
    assert trial.store.record([settlement(one, State.RUNNING, started_at=T)], durable=True) == []
    assert trial.store.record([settlement(two, State.SUCCEEDED, durable=True)]) == []
    assert [trial.task(held.id).state for held in (one, two)] == [State.RUNNING, State.SUCCEEDED]


def keep_leaves_the_reservation(trial: Trial) -> None:
    """With `keep` the holder and its token stay: the same token settles again."""
    held = trial.hold()
    trial.start(held, started_at=T + 1)
    row = trial.task(held.id)
    assert (row.state, row.holder, row.attempt, row.started_at) == (State.RUNNING, held.seat.node, 1, T + 1)
    trial.finish(held, State.WAITING, keep=True, failures=1, run_at=T + 5)
    row = trial.task(held.id)
    assert (row.state, row.holder, row.run_at) == (State.WAITING, held.seat.node, T + 5)
    assert trial.store.next_due(trial.lanes()) is None
    assert trial.reserve(held.seat.node).tasks == []
    trial.finish(held)


def without_keep_it_is_free(trial: Trial) -> None:
    """Given back: it waits, nobody holds it, and the counts are those of the settlement."""
    held = trial.hold()
    trial.finish(held, State.WAITING, attempt=3, failures=2, run_at=T + 5)
    row = trial.task(held.id)
    assert (row.state, row.holder, row.attempt, row.failures) == (State.WAITING, None, 3, 2)
    [again] = trial.reserve(held.seat.node).tasks
    assert (again.attempt, again.failures, again.losses, again.run_at) == (3, 2, 0, T + 5)


def what_is_not_said_stays(trial: Trial) -> None:
    """`run_at`, `started_at` and `output` None leave what is stored."""
    held = trial.hold(run_at=T + 3)
    trial.start(held, started_at=T + 4)
    trial.store.record([settlement(held, State.RUNNING, output="so far")])
    trial.finish(held, finished_at=T + 6)
    row = trial.task(held.id)
    assert (row.run_at, row.started_at, row.finished_at) == (T + 3, T + 4, T + 6)
    assert trial.store.output(held.id) == "so far"


def output_is_replaced(trial: Trial) -> None:
    """`output` is all that is kept of what was written so far, not a piece to be appended."""
    held = trial.hold()
    assert trial.store.output(held.id) is None
    trial.store.record([settlement(held, State.RUNNING, output="one")])
    trial.store.record([settlement(held, State.RUNNING, output="one two")])
    assert trial.store.output(held.id) == "one two"


def a_failed_try_is_kept(trial: Trial) -> None:
    """`failed_try` adds a row to the attempts, with the settlement's own values; oldest first."""
    seat = trial.join()
    held = trial.hold(seat)
    assert trial.store.attempts(held.id) == []
    for n in (1, 2):
        tried = {"attempt": n, "failures": n, "started_at": T + n, "finished_at": T + n + 1, "failed_try": True}
        trial.finish(held, State.WAITING, reason=f"reason {n}", error=f"error {n}", **tried)
        held = trial.hold_again(held.id, seat)
    trial.finish(held, State.FAILED, attempt=3, failures=3, reason="raised")
    assert trial.store.attempts(held.id) == [
        AttemptRow(1, T + 1, T + 2, "reason 1", "error 1"),
        AttemptRow(2, T + 2, T + 3, "reason 2", "error 2"),
    ]


def waiting_clears_how_it_ended(trial: Trial) -> None:
    """When the state becomes `waiting`: reason, error, finished_at and result are cleared."""
    held = trial.hold()
    ended = {"finished_at": T + 2, "reason": "raised", "error": "e", "result": "1"}
    trial.finish(held, State.WAITING, started_at=T + 1, failed_try=True, **ended)
    row = trial.task(held.id)
    assert (row.reason, row.error, row.finished_at, row.result) == (None, None, None, None)
    assert row.started_at == T + 1


def a_running_task_follows_the_table(trial: Trial) -> None:
    """From `running`, each state that `tasks.state.LEGAL` allows is reached, and no other one: that is refused."""
    seat = trial.join()
    for state in State:
        held = trial.hold(seat)
        trial.start(held)
        legal = state in LEGAL[State.RUNNING]
        assert trial.store.record([settlement(held, state)]) == ([] if legal else [held.id]), state
        assert trial.task(held.id).state is (state if legal else State.RUNNING)
        trial.store.record([settlement(held, State.CANCELLED)])
        trial.store.change(held.id, Cancel(), T)


def a_waiting_task_follows_the_table(trial: Trial) -> None:
    """From `waiting`, each state that `tasks.state.LEGAL` allows is reached: all of them."""
    seat = trial.join()
    for state in LEGAL[State.WAITING]:
        held = trial.hold(seat)
        assert trial.store.record([settlement(held, state)]) == [], state
        assert trial.task(held.id).state is state
        trial.store.change(held.id, Cancel(), T)


def start_and_end_in_one_batch(trial: Trial) -> None:
    """Two settlements of one task in a batch apply in order; after one that ended it the next is refused."""
    held = trial.hold()
    start = settlement(held, State.RUNNING, started_at=T + 1)
    end = settlement(held, State.SUCCEEDED, finished_at=T + 2)
    late = settlement(held, State.FAILED, reason="late")
    assert trial.store.record([start, end, late]) == [held.id]
    row = trial.task(held.id)
    assert (row.state, row.started_at, row.finished_at, row.reason) == (State.SUCCEEDED, T + 1, T + 2, None)


def many_at_once(trial: Trial) -> None:
    """A thousand outcomes in one call."""
    seat = trial.join()
    trial.store.add([new(T + n) for n in range(1_000)], T)
    batch = trial.reserve(seat.node)
    assert len(batch.tasks) == 1_000
    done = CODES[State.SUCCEEDED]
    ended = [Settlement(task.id, batch.token, done, False, 1, 0, None, None, T, T) for task in batch.tasks]
    assert trial.store.record(ended) == []
    assert trial.store.stats().counts[State.SUCCEEDED] == 1_000


def one_of_many_settles(trial: Trial) -> None:
    """Settlements of one attempt from many threads at once: exactly one is applied."""
    held = trial.hold()
    other = trial.another()
    stores = [trial.store, other] * 3
    calls = [
        lambda store=store, n=n: store.record([settlement(held, State.SUCCEEDED, result=str(n))])
        for n, store in enumerate(stores)
    ]
    results = together(calls)
    assert sorted(results, key=repr) == [[held.id]] * 5 + [[]]
    assert trial.task(held.id).result == str(results.index([]))
