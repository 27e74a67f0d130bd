"""Bounding: with `max_pending` an add is refused when more tasks would be due and wait; nothing else is."""

from mainspring.errors import QueueFull
from mainspring.store.rows import Added, Bound
from mainspring.tasks.state import State
from mainspring.testing.conformance.trial import T, Trial, new, readable, refused, together


def _at_most(most: int, told: int = 0) -> Bound:
    """A bound, by a clock that tells `told`: earlier than anything, unless a case says otherwise."""
    return Bound(most, lambda: told)


def what_is_due_and_waits_is_counted(trial: Trial) -> None:
    """`pending`: waiting and due, held or free, in any lane; not what is for later, runs or has ended."""
    assert trial.store.pending(T, 100) == 0
    trial.hold(run_at=T)
    trial.start(trial.hold(run_at=T))
    trial.finish(trial.hold(run_at=T))
    trial.add(T - 5, queue="mail", priority=3)
    trial.add(T)
    trial.add(T + 1)
    trial.hold(run_at=T + 9, work="shop:close")
    assert trial.store.pending(T, 100) == 3
    assert trial.store.pending(T + 1, 100) == 4
    assert trial.store.pending(T + 9, 100) == 5
    assert trial.another().pending(T + 9, 100) == 5


def the_count_stops_at_its_limit(trial: Trial) -> None:
    """`pending` counts no further than asked."""
    trial.hold()
    trial.store.add([new() for _ in range(20)], T)
    assert [trial.store.pending(T, limit) for limit in (1, 7, 21, 30)] == [1, 7, 21, 21]


def a_full_queue_refuses(trial: Trial) -> None:
    """One more than `max_pending`: `QueueFull` with the numbers, nothing is added, nobody is told."""
    trial.store.add([new(), new()], T, _at_most(3))
    trial.store.add([new()], T, _at_most(3))
    watch = trial.watch()
    error = refused(QueueFull, lambda: trial.store.add([new()], T, _at_most(3)))
    assert (error.pending, error.max_pending, error.adding) == (3, 3, 1)
    assert trial.store.pending(T, 100) == 3
    assert not readable(watch)
    assert trial.store.add([new()], T)[0].created, "who names no bound has none"


def all_of_a_call_or_none(trial: Trial) -> None:
    """Two more where there is room for one: neither; one alone fits."""
    trial.store.add([new() for _ in range(4)], T, _at_most(5))
    error = refused(QueueFull, lambda: trial.store.add([new(), new(T + 1), new()], T, _at_most(5)))
    assert (error.pending, error.adding) == (4, 2)
    assert trial.store.pending(T + 1, 100) == 4
    trial.store.add([new()], T, _at_most(5))


def what_is_for_later_needs_no_room(trial: Trial) -> None:
    """A task for later is never refused and does not count until it is due."""
    trial.store.add([new(T + 1) for _ in range(5)], T, _at_most(1))
    trial.store.add([new()], T, _at_most(1))
    trial.store.add([new(T + 1)], T, _at_most(1))
    refused(QueueFull, lambda: trial.store.add([new()], T, _at_most(1)))
    error = refused(QueueFull, lambda: trial.store.add([new()], T + 1, _at_most(6)))
    assert (error.pending, error.max_pending) == (6, 6)


def the_time_is_that_of_the_turn(trial: Trial) -> None:
    """What another call added counts, if it is due when it is this call's turn, later than this call's own `now`."""
    trial.store.add([new(T + 5)], T + 5, _at_most(1))
    refused(QueueFull, lambda: trial.store.add([new()], T, _at_most(1, T + 5)))
    refused(QueueFull, lambda: trial.store.add([new(key="k")], T, _at_most(1, T + 5)))
    refused(QueueFull, lambda: trial.store.add([new(T + 5)], T, _at_most(1, T + 5)))


def what_starts_or_ends_makes_room(trial: Trial) -> None:
    """Reserved is not enough: room is made by a start that is recorded, by an end, by another instant."""
    seat = trial.join()
    held = trial.hold(seat)
    refused(QueueFull, lambda: trial.store.add([new()], T, _at_most(1)))
    trial.start(held)
    second = trial.store.add([new()], T, _at_most(1))[0].id
    refused(QueueFull, lambda: trial.store.add([new()], T, _at_most(1)))
    trial.finish(trial.hold_again(second, seat), State.WAITING, run_at=T + 9)
    trial.store.add([new()], T, _at_most(1))


def more_than_the_bound_may_wait_already(trial: Trial) -> None:
    """What was added without a bound counts; the error tells no more than was counted."""
    trial.store.add([new() for _ in range(9)], T)
    error = refused(QueueFull, lambda: trial.store.add([new()], T, _at_most(4)))
    assert (error.pending, error.max_pending) == (4, 4)
    trial.store.add([new(T + 1)], T, _at_most(4))
    trial.store.add([], T, _at_most(4))


def a_key_that_adds_nothing_needs_no_room(trial: Trial) -> None:
    """`keep` of a task that is there, and `replace` of one that is due, do not make more; the rest is counted."""
    first = trial.store.add([new(key="a")], T, _at_most(1))[0].id
    assert trial.store.add([new(key="a", on_conflict="keep")], T, _at_most(1)) == [Added(first, created=False)]
    second = trial.store.add([new(key="a", on_conflict="replace")], T, _at_most(1))[0]
    assert trial.task(first).state is State.CANCELLED
    assert trial.task(second.id).state is State.WAITING
    trial.store.add([new(T + 5, key="later")], T, _at_most(1))
    refused(QueueFull, lambda: trial.store.add([new(key="b")], T, _at_most(1)))
    refused(QueueFull, lambda: trial.store.add([new(key="later", on_conflict="replace")], T, _at_most(1)))
    assert [row.state for row in map(trial.task, (second.id, second.id + 1))] == [State.WAITING] * 2
    trial.store.add([new(key="a", on_conflict="replace") for _ in range(3)], T, _at_most(1))
    assert trial.store.pending(T, 100) == 1


def many_adders_never_pass_the_bound(trial: Trial) -> None:
    """However many add at once, through however many ways in: exactly as many as there is room for are accepted."""
    other = trial.another()

    def some(store: object, key: str | None) -> int:
        added = 0
        for number in range(15):
            try:
                store.add([new(key=key and f"{key}{number}")], T, _at_most(25))  # type: ignore[attr-defined]  # a store
            except QueueFull:
                continue
            added += 1
        return added

    ways = [(trial.store, None), (trial.store, "a"), (other, None), (other, "b")]
    accepted = together([lambda way=way: some(*way) for way in ways])  # type: ignore[misc]  # mypy knows no defaults
    assert sum(one for one in accepted if isinstance(one, int)) == 25, accepted
    assert trial.store.pending(T, 100) == 25
