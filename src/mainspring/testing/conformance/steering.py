"""Steering: changes tell the truth; what another node holds is asked for."""

from collections.abc import Callable
from functools import partial

from mainspring.errors import KeyInUse
from mainspring.store.rows import (
    Again,
    AttemptRow,
    Cancel,
    Change,
    Demand,
    Filter,
    Release,
    Request,
    Reschedule,
    Reserved,
    Verdict,
)
from mainspring.tasks.state import FINISHED, LEGAL, State
from mainspring.testing.conformance.trial import AT_MOST_ONCE, T, Trial, new, refused, settlement, together

_CHANGES: tuple[Change, ...] = (Cancel("no longer wanted"), Reschedule(T + 50), Again(T + 60))


def _expected(state: State, change: Change, holder: int | None) -> Verdict:
    """What `change` must answer, told from the one table of states."""
    becomes = State.CANCELLED if isinstance(change, Cancel) else State.WAITING
    allowed = becomes in LEGAL[state]
    if isinstance(change, Reschedule):
        allowed = state is State.WAITING
    if isinstance(change, Again):
        allowed = allowed and state in FINISHED
    if not allowed:
        return Verdict("too-late", state)
    if holder is not None:
        return Verdict("held", state, holder)
    return Verdict("done", becomes)


def every_change_in_every_state(trial: Trial) -> None:
    """For each state, held or not, and each change: the verdict of the table; what is not `done` changed nothing."""
    seat = trial.join()
    for change in _CHANGES:
        for state in State:
            _clear_away(trial)
            if state is State.WAITING:
                task = trial.add()
            elif state is State.RUNNING:
                held = trial.hold(seat)
                trial.start(held)
                task = held.id
            else:
                task = trial.ended(state, seat)
            _changes_as_it_should(trial, task, change)
        _clear_away(trial)
        _changes_as_it_should(trial, trial.hold(seat).id, change)


def _clear_away(trial: Trial) -> None:
    for row in trial.store.find(Filter(states=(State.WAITING,))):
        trial.store.change(row.id, Cancel(), T)


def _changes_as_it_should(trial: Trial, task: int, change: Change) -> None:
    before = trial.task(task)
    verdict = trial.store.change(task, change, T + 5)
    assert verdict == _expected(before.state, change, before.holder), (before.state, before.holder, change)
    after = trial.task(task)
    assert (after == before) == (verdict.outcome != "done")
    if verdict.outcome == "done":
        assert (after.state, after.holder) == (verdict.state, None)


def an_unknown_task_is_not_found(trial: Trial) -> None:
    """No such task: `not-found`."""
    for change in _CHANGES:
        assert trial.store.change(99, change, T) == Verdict("not-found")


def cancelled_has_its_reason(trial: Trial) -> None:
    """`Cancel`: finished as `cancelled` with the reason, now; it will not start."""
    task = trial.add()
    trial.store.change(task, Cancel("sold out"), T + 5)
    row = trial.task(task)
    assert (row.state, row.reason, row.finished_at, row.started_at) == (State.CANCELLED, "sold out", T + 5, None)
    assert trial.store.next_due(trial.lanes()) is None
    assert trial.reserve(trial.join().node).tasks == []


def rescheduled_waits_for_the_new_instant(trial: Trial) -> None:
    """`Reschedule`: waits for another instant, everything else is as before."""
    task = trial.add(key="k", name="label", expires_at=T + 99)
    before = trial.task(task)
    trial.store.change(task, Reschedule(T + 50), T + 5)
    after = trial.task(task)
    assert after.run_at == T + 50
    assert (after.key, after.name, after.expires_at, after.created_at) == ("k", "label", T + 99, before.created_at)


def an_expiry_moves_when_it_is_told_to(trial: Trial) -> None:
    """`Reschedule` and `Again` set `expires_at` where they have one; else it stays, but for one past at `Again`."""
    task = trial.add(expires_at=T + 9)
    trial.store.change(task, Reschedule(T + 20, T + 29), T)
    assert trial.task(task).expires_at == T + 29
    for change, expected in ((Again(T + 5), T + 29), (Again(T + 40, T + 49), T + 49), (Again(T + 49), None)):
        trial.store.change(task, Cancel(), T)
        trial.store.change(task, change, T)
        assert trial.task(task).expires_at == expected
        assert trial.task(task).run_at == change.run_at


def again_goes_on_counting(trial: Trial) -> None:
    """`Again`: waits again under the same id, attempts go on, failures from nought, the old end is cleared."""
    seat = trial.join()
    held = trial.hold(seat)
    trial.finish(held, State.WAITING, attempt=1, failures=1, failed_try=True, reason="raised")
    held = trial.hold_again(held.id, seat)
    trial.finish(held, State.FAILED, attempt=2, failures=2, reason="raised", error="e", started_at=T, finished_at=T)
    assert trial.store.change(held.id, Again(T + 60), T + 5) == Verdict("done", State.WAITING)
    row = trial.task(held.id)
    assert (row.state, row.run_at, row.attempt, row.failures) == (State.WAITING, T + 60, 2, 0)
    assert (row.reason, row.error, row.result, row.finished_at) == (None, None, None, None)
    assert trial.store.attempts(held.id) == [AttemptRow(1, None, None, "raised", None)]
    trial.hold_again(held.id, seat)


def again_counts_losses_from_nought(trial: Trial) -> None:
    """`Again` of a poisoned task: it has three losses before it, not one."""
    task = trial.add()
    for state in 2 * (State.WAITING, State.WAITING, State.FAILED):
        held = trial.hold_again(task, trial.join())
        trial.start(held, attempt=trial.task(task).attempt + 1)
        trial.kill(held.seat)
        trial.store.take_over(held.seat.node, T + 1)
        assert trial.task(task).state is state
        if state is State.FAILED:
            assert trial.task(task).reason == "poison"
            trial.store.change(task, Again(T), T + 2)
            assert trial.task(task).losses == 0


def at_most_once_is_not_started_again(trial: Trial) -> None:
    """`Again` of an at-most-once task that had started is `too-late`; one that never started may wait again."""
    seat = trial.join()
    started = trial.ended(State.FAILED, seat, options=AT_MOST_ONCE)
    assert trial.store.change(started, Again(T), T) == Verdict("too-late", State.FAILED)
    held = trial.hold(seat, options=AT_MOST_ONCE)
    trial.finish(held, State.MISSED, attempt=0, reason="expired")
    assert trial.store.change(held.id, Again(T + 1), T) == Verdict("done", State.WAITING)
    cancelled = trial.add(options=AT_MOST_ONCE)
    trial.store.change(cancelled, Cancel(), T)
    assert trial.store.change(cancelled, Again(T + 1), T) == Verdict("done", State.WAITING)


def again_takes_its_key_back(trial: Trial) -> None:
    """A task that waits again has its key again; when another one has it by now, `KeyInUse`, and nothing changed."""
    seat = trial.join()
    first = trial.ended(State.FAILED, seat, key="k")
    trial.store.change(first, Again(T), T)
    [kept] = trial.store.add([new(key="k", on_conflict="keep")], T)
    assert kept.id == first
    trial.store.change(first, Cancel(), T)
    second = trial.add(key="k")
    before = trial.task(first)
    error = refused(KeyInUse, lambda: trial.store.change(first, Again(T), T))
    assert (error.key, error.task_id) == ("k", str(second))
    assert trial.task(first) == before


def the_holder_may_change_what_it_holds(trial: Trial) -> None:
    """With the holder's token a reserved task is changed, and the reservation ends with the change."""
    seat = trial.join()
    one, two = trial.hold(seat), trial.hold(seat, run_at=T + 1)
    assert trial.store.change(one.id, Cancel("asked"), T, one.token) == Verdict("done", State.CANCELLED)
    assert trial.store.change(two.id, Reschedule(T + 50), T, two.token) == Verdict("done", State.WAITING)
    assert [trial.task(held.id).holder for held in (one, two)] == [None, None]
    ended = [settlement(held, State.SUCCEEDED) for held in (one, two)]
    assert trial.store.record(ended) == [one.id, two.id], "their tokens are worth nothing now"
    assert trial.store.next_due(trial.lanes()) == T + 50


def a_wrong_token_is_no_holders(trial: Trial) -> None:
    """With a token that is not the holder's it is `held`, as with none."""
    seat = trial.join()
    old = trial.hold(seat)
    trial.finish(old, State.WAITING, attempt=0)
    held = trial.hold_again(old.id, seat)
    for token in (old.token, held.token + 1, 0):
        assert trial.store.change(held.id, Cancel(), T, token) == Verdict("held", State.WAITING, seat.node)
    assert trial.task(held.id).state is State.WAITING


def one_of_many_cancels(trial: Trial) -> None:
    """Changes from many threads at once: one is `done`, the others are told that it is too late."""
    task = trial.add()
    other = trial.another()
    stores = [trial.store, other] * 3
    results = together([partial(store.change, task, Cancel(), T) for store in stores])
    done, late = Verdict("done", State.CANCELLED), Verdict("too-late", State.CANCELLED)
    assert sorted(results, key=repr) == sorted([done] + [late] * 5, key=repr)


def reserved_or_cancelled_but_not_both(trial: Trial) -> None:
    """A reservation and a cancel at the same moment: the task is held, or it is cancelled."""
    node = trial.join().node
    for n in range(10):
        task = trial.add(T + n)
        calls: list[Callable[[], object]] = [
            partial(trial.reserve, node),
            partial(trial.store.change, task, Cancel(), T),
        ]
        batch, verdict = together(calls)
        assert isinstance(batch, Reserved), repr(batch)
        assert isinstance(verdict, Verdict), repr(verdict)
        expected = Verdict("held", State.WAITING, node) if batch.tasks else Verdict("done", State.CANCELLED)
        assert verdict == expected


def a_request_goes_to_its_node(trial: Trial) -> None:
    """`ask` writes a request that only its node sees, oldest first, with the demand as it was."""
    one, two = trial.join().node, trial.join().node
    task = trial.add()
    demands: tuple[Demand, ...] = (Cancel("why"), Reschedule(T + 9), Release("mail"))
    numbers = [trial.store.ask(one, task, demand) for demand in demands]
    everything = trial.store.ask(one, None, Release(None))
    assert len({*numbers, everything}) == 4
    expected = [Request(number, task, demand) for number, demand in zip(numbers, demands, strict=True)]
    assert trial.another().requests(one) == [*expected, Request(everything, None, Release(None))]
    assert trial.store.requests(two) == []


def an_answer_is_read_once(trial: Trial) -> None:
    """`answered`: None until there is an answer, then the answer, then forgotten. The node no longer sees it."""
    node = trial.join().node
    verdicts = (
        Verdict("stopping", State.RUNNING),
        Verdict("done", State.CANCELLED),
        Verdict("too-late", State.SUCCEEDED, node),
        Verdict("not-found"),
    )
    numbers = [trial.store.ask(node, 1, Cancel()) for _ in verdicts]
    other = trial.another()
    for number, verdict in zip(numbers, verdicts, strict=True):
        assert trial.store.answered(number) is None
        other.answer(number, verdict)
        assert number not in [request.id for request in trial.store.requests(node)]
        assert trial.store.answered(number) == verdict
        assert trial.store.answered(number) is None
    assert trial.store.requests(node) == []


def the_first_answer_counts(trial: Trial) -> None:
    """A request that was answered stays answered so: who asked may give up, and says that with an answer."""
    node = trial.join().node
    number = trial.store.ask(node, 1, Cancel())
    trial.store.answer(number, Verdict("held"))
    assert trial.store.requests(node) == []
    trial.store.answer(number, Verdict("done", State.CANCELLED))
    assert trial.store.answered(number) == Verdict("held")


def an_answer_nobody_waits_for_is_fine(trial: Trial) -> None:
    """Answering a request that was forgotten does nothing; asking about one that never was is None."""
    trial.store.answer(99, Verdict("not-found"))
    assert trial.store.answered(99) is None
