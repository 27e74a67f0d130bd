"""Leases: who lives but was silent loses what it held, once; what it reserves after that is its own."""

from mainspring.store.protocol import Seat
from mainspring.store.rows import AttemptRow, Cancel, Standing, TakenOver
from mainspring.tasks.state import State
from mainspring.testing.conformance.trial import AT_MOST_ONCE, T, Trial, settlement

ENDED = 1_000_000  # the boot-time instant at which the lease of these cases ended
LATER = ENDED + 1


def _silent(trial: Trial) -> Seat:
    seat = trial.join()
    seat.journal.lease = ENDED
    return seat


def who_is_silent_loses_what_it_holds(trial: Trial) -> None:
    """`silent`, and its lease had ended by then: what had not started is free, what had was lost, as `lease lost`."""
    seat = _silent(trial)
    one, two = trial.hold(seat), trial.hold(seat, run_at=T + 1)
    seat.journal.note(two.id, two.token, T + 4)
    assert trial.another().take_over(seat.node, T + 50, ENDED) == TakenOver(freed=1, lost=[two.id])
    assert [(row.state, row.holder, row.losses) for row in map(trial.task, (one.id, two.id))] == [
        (State.WAITING, None, 0),
        (State.WAITING, None, 1),
    ]
    assert trial.store.attempts(two.id) == [AttemptRow(1, T + 4, T + 50, "lease lost", None)]


def who_was_heard_keeps_it(trial: Trial) -> None:
    """Its lease ends later than `silent`, or there is none, or `silent` is not given: None, and nothing is changed."""
    seat = _silent(trial)
    held = trial.hold(seat)
    before = trial.task(held.id)
    assert trial.another().take_over(seat.node, T, ENDED - 1) is None
    assert trial.another().take_over(seat.node, T) is None
    seat.journal.lease = 0
    assert trial.another().take_over(seat.node, T, LATER) is None
    assert trial.task(held.id) == before
    trial.finish(held)


def it_keeps_its_seat(trial: Trial) -> None:
    """It is still a node, and what it reserves from then on is its own; once is enough."""
    seat = _silent(trial)
    held = trial.hold(seat)
    assert trial.store.take_over(seat.node, T, LATER) == TakenOver(freed=1, lost=[])
    assert trial.store.take_over(seat.node, T, LATER) == TakenOver(freed=0, lost=[])
    assert [(node.id, node.alive, node.lease) for node in trial.store.nodes()] == [(seat.node, True, ENDED)]
    again = trial.hold_again(held.id, seat)
    assert again.token > held.token
    trial.finish(again)


def its_old_tokens_are_worth_nothing(trial: Trial) -> None:
    """Starts, progress, outcomes and changes under them are refused, whoever holds the task now."""
    seat = _silent(trial)
    held, once = trial.hold(seat), trial.hold(seat, run_at=T + 1, options=AT_MOST_ONCE)
    trial.start(held)
    trial.store.take_over(seat.node, T + 50, LATER)
    fresh = trial.hold_again(held.id, trial.join())
    before = trial.task(held.id)
    for late in (held, once):
        for state in (State.RUNNING, State.SUCCEEDED, State.WAITING):
            assert trial.store.record([settlement(late, state, attempt=1, started_at=T)], durable=True) == [late.id]
        assert trial.store.change(late.id, Cancel(), T, late.token).outcome != "too-late"
    assert trial.task(held.id) == before
    trial.finish(fresh, attempt=2)


def an_at_most_once_start_is_lost_for_good(trial: Trial) -> None:
    """Its start was recorded: `failed`, with the reason `lost`, and no second start."""
    seat = _silent(trial)
    held = trial.hold(seat, options=AT_MOST_ONCE)
    trial.start(held)
    assert trial.store.take_over(seat.node, T + 50, LATER) == TakenOver(freed=0, lost=[held.id])
    row = trial.task(held.id)
    assert (row.state, row.reason, row.attempt) == (State.FAILED, "lost", 1)


def its_listeners_go_to_others(trial: Trial) -> None:
    """They are free, and its own word about them is refused until it takes them again."""
    seat = _silent(trial)
    trial.store.put(Standing(kind="listener", name="a", definition="{}", holder=seat.node))
    [before] = trial.store.standings()
    trial.store.take_over(seat.node, T, LATER)
    [free] = trial.store.standings()
    assert free.holder is None
    assert not trial.store.advance(before)
