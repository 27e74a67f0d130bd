"""Adding: all or none, in order, under ids that are never used twice; and what a key means."""

from mainspring.errors import KeyHeld, KeyInUse, TooLate
from mainspring.store.rows import Added, Cancel, Filter, TaskRow
from mainspring.tasks.state import FINISHED, Kind, State
from mainspring.testing.conformance.trial import AT_MOST_ONCE, EVER, WORK, T, Trial, new, refused, settlement, together


def a_task_is_kept_as_it_was_added(trial: Trial) -> None:
    """Every field comes back, whatever characters and numbers it holds."""
    given = new(
        run_at=(1 << 53) + 1,
        kind=Kind.PROGRAM,
        work="",
        queue="Größe '\"\\",
        priority=-3,
        name="\N{SNOWMAN} label",
        options=AT_MOST_ONCE,
        payload='{"command": ["echo", "\\u0000 %s ; drop"], "n": 12345678901234567890}',
        key="k:1, 'two'",
        expires_at=(1 << 53) + 3,
        schedule="nightly",
    )
    [added] = trial.store.add([given], T)
    assert added == Added(added.id, created=True)
    assert trial.task(added.id) == TaskRow(
        id=added.id,
        kind=Kind.PROGRAM,
        work="",
        queue=given.queue,
        priority=-3,
        state=State.WAITING,
        reason=None,
        run_at=given.run_at,
        created_at=T,
        started_at=None,
        finished_at=None,
        attempt=0,
        failures=0,
        losses=0,
        name=given.name,
        options=given.options,
        payload=given.payload,
        key=given.key,
        expires_at=given.expires_at,
        schedule="nightly",
        result=None,
        error=None,
        holder=None,
    )


def nothing_added_is_nothing(trial: Trial) -> None:
    """An empty call is fine."""
    assert trial.store.add([], T) == []
    assert trial.store.find(Filter()) == []


def the_answer_is_in_the_order_given(trial: Trial) -> None:
    """Whatever the instants, the result is in the order of `tasks`, and later ones have larger ids."""
    added = trial.store.add([new(run_at, name=str(run_at)) for run_at in (T + 5, T + 1, T + 3)], T)
    assert [trial.task(one.id).name for one in added] == [str(T + 5), str(T + 1), str(T + 3)]
    ids = [one.id for one in added]
    assert ids == sorted(set(ids))


def ids_are_never_used_twice(trial: Trial) -> None:
    """Not even the highest id, when its task was pruned and the store is empty."""
    last = trial.ended(State.SUCCEEDED, finished_at=T)
    assert trial.store.prune(EVER, 10) == 1
    assert trial.store.get(last) is None
    assert trial.add() > last


def a_key_in_use_is_an_error(trial: Trial) -> None:
    """`error` raises `KeyInUse`, which names key and task, and adds nothing of the whole call."""
    first = trial.add(key="order-42")
    error = refused(KeyInUse, lambda: trial.store.add([new(), new(key="order-42"), new()], T))
    assert (error.key, error.task_id) == ("order-42", str(first))
    assert [row.id for row in trial.store.find(Filter())] == [first]


def keep_returns_the_one_there(trial: Trial) -> None:
    """`keep` returns the task that has the key, unchanged; whether it waits, is held or runs."""
    held = trial.hold(key="k", payload="[[1], null]")
    again = new(T + 9, key="k", on_conflict="keep", payload="[[2], null]")
    before = trial.task(held.id)
    assert trial.store.add([again, new()], T)[0] == Added(held.id, created=False)
    assert trial.task(held.id) == before
    trial.start(held)
    assert trial.store.add([again], T) == [Added(held.id, created=False)]
    assert trial.store.stats().counts[State.WAITING] == 1, "only the task without the key was added"


def replace_cancels_a_waiting_one(trial: Trial) -> None:
    """`replace` cancels the one that waits and adds the new one, in one commit."""
    old = trial.add(key="k")
    [added] = trial.store.add([new(T + 9, key="k", on_conflict="replace")], T + 1)
    assert added.created
    assert added.id > old
    row = trial.task(old)
    assert (row.state, row.finished_at, row.holder) == (State.CANCELLED, T + 1, None)
    assert row.reason, "a cancelled task has a reason"
    assert [row.id for row in trial.store.find(Filter(key="k", states=(State.WAITING,)))] == [added.id]
    assert trial.store.next_due(trial.lanes()) == T + 9


def replace_of_a_running_one_is_too_late(trial: Trial) -> None:
    """`replace` raises `TooLate` when the task runs, and adds nothing."""
    held = trial.hold(key="k")
    trial.start(held)
    before = trial.task(held.id)
    refused(TooLate, lambda: trial.store.add([new(), new(key="k", on_conflict="replace")], T))
    assert trial.store.find(Filter()) == [before]


def replace_of_a_held_one_names_the_holder(trial: Trial) -> None:
    """`replace` raises `KeyHeld`, with key, task and holder, when the task is reserved; and adds nothing."""
    held = trial.hold(key="k")
    before = trial.task(held.id)
    error = refused(KeyHeld, lambda: trial.store.add([new(), new(key="k", on_conflict="replace")], T))
    assert (error.key, error.task, error.holder) == ("k", held.id, held.seat.node)
    assert trial.store.find(Filter()) == [before]
    trial.finish(held)  # the reservation is whole


def a_call_refused_late_has_replaced_nothing(trial: Trial) -> None:
    """All or none: what would have been replaced still waits when a later task of the call is refused."""
    waits = trial.add(key="a")
    trial.add(key="b")
    refused(KeyInUse, lambda: trial.store.add([new(key="a", on_conflict="replace"), new(key="b")], T))
    assert trial.task(waits).state is State.WAITING
    assert len(trial.store.find(Filter())) == 2


def one_key_twice_in_a_call_is_an_error(trial: Trial) -> None:
    """Two tasks with one key in the same call: the second is refused, and so neither is added."""
    error = refused(KeyInUse, lambda: trial.store.add([new(key="k"), new(key="k")], T))
    assert error.key == "k"
    assert trial.store.find(Filter()) == []


def one_key_twice_in_a_call_is_kept(trial: Trial) -> None:
    """Two tasks with one key in the same call, `keep`: the first one is returned for both."""
    first, second, third = trial.store.add([new(T + n, key="k", on_conflict="keep") for n in range(3)], T)
    assert first.created
    assert second == third == Added(first.id, created=False)
    assert [row.run_at for row in trial.store.find(Filter())] == [T]


def one_key_twice_in_a_call_is_replaced(trial: Trial) -> None:
    """Two tasks with one key in the same call, `replace`: the last one waits, those before are cancelled."""
    added = trial.store.add([new(T + n, key="k", on_conflict="replace") for n in range(3)], T)
    assert all(one.created for one in added)
    states = [trial.task(one.id).state for one in added]
    assert states == [State.CANCELLED, State.CANCELLED, State.WAITING]
    assert trial.store.next_due(trial.lanes()) == T + 2


def a_final_state_frees_the_key(trial: Trial) -> None:
    """A key is unique among unfinished tasks only: every final state frees it."""
    seat = trial.join()
    for state in sorted(FINISHED):
        trial.ended(state, seat, key="k")
    cancelled = trial.add(key="k")
    assert trial.store.change(cancelled, Cancel(), T).outcome == "done"
    assert trial.store.add([new(key="k")], T)[0].created


def a_retry_keeps_the_key(trial: Trial) -> None:
    """A task that waits again after a failed try is unfinished: its key is in use."""
    held = trial.hold(key="k")
    trial.finish(held, State.WAITING, failures=1, run_at=T + 5, failed_try=True, reason="raised")
    assert trial.store.add([new(key="k", on_conflict="keep")], T) == [Added(held.id, created=False)]


def many_at_once(trial: Trial) -> None:
    """A thousand tasks in one call, some of them with keys."""
    added = trial.store.add([new(T + n, key=f"k{n}" if n % 3 else None) for n in range(1_000)], T)
    assert len({one.id for one in added}) == 1_000
    assert trial.store.waiting(trial.lanes()) == 1_000
    assert trial.store.next_due(trial.lanes()) == T


def concurrent_callers_lose_nothing(trial: Trial) -> None:
    """Callers on many threads: each gets its own ids, and every task is there."""
    other = trial.another()
    calls = [
        lambda store=store, n=n: [store.add([new(work=f"{WORK}{n}"), new()], T + n) for _ in range(10)]
        for n, store in enumerate([trial.store, other] * 3)
    ]
    ids: list[int] = []
    for n, result in enumerate(together(calls)):
        assert not isinstance(result, Exception), repr(result)
        for pair in result:
            assert [trial.task(one.id).created_at for one in pair] == [T + n, T + n]
            ids += [one.id for one in pair]
    assert len(set(ids)) == len(ids) == 120
    assert trial.store.stats().counts[State.WAITING] == 120


def one_callers_refusal_touches_no_other(trial: Trial) -> None:
    """Of callers that share a commit, only the refused ones fail: each loser of a key adds nothing at all."""
    other = trial.another()
    calls = [
        lambda store=store, n=n: store.add([new(name=f"own {n}"), new(key="one"), new(name=f"own {n}")], T)
        for n, store in enumerate([trial.store, other] * 4)
    ] + [lambda: trial.store.add([new(name="bystander")], T)] * 4
    results = together(calls)
    winners = [n for n, result in enumerate(results[:8]) if not isinstance(result, Exception)]
    assert len(winners) == 1
    assert all(isinstance(result, KeyInUse) for n, result in enumerate(results[:8]) if n not in winners)
    assert not any(isinstance(result, Exception) for result in results[8:])
    names = sorted(row.name for row in trial.store.find(Filter()) if row.name)
    assert names == ["bystander"] * 4 + [f"own {winners[0]}"] * 2


def a_refused_settlement_frees_no_key(trial: Trial) -> None:
    """The key stays in use when the outcome came under an old token."""
    held = trial.hold(key="k")
    trial.finish(held, State.WAITING)
    assert trial.store.record([settlement(held, State.SUCCEEDED)]) == [held.id]
    assert trial.store.add([new(key="k", on_conflict="keep")], T) == [Added(held.id, created=False)]
