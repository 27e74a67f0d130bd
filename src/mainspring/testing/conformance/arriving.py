"""Arriving: a task from an outbox is taken in once, however often it is brought, and whoever died in between."""

from functools import partial

import msgspec

from mainspring.store.arrivals import Arrival, Parcel
from mainspring.store.rows import Filter
from mainspring.tasks.state import STATES, State
from mainspring.testing.conformance.trial import EVER, T, Trial, await_news, new, settlement, together


def parcel(id_: str, **fields: object) -> Parcel:
    """A parcel with a task."""
    return Parcel(id_, new(**fields))  # type: ignore[arg-type]  # run_at may be among them


parcel.__module__ = ""  # no case


def a_parcel_becomes_its_task(trial: Trial) -> None:
    """Its fields are kept, and the answers are in the order of the parcels; none is fine."""
    assert trial.store.arrivals.take_in([], T) == []
    first, second = trial.store.arrivals.take_in(
        [parcel("b", run_at=T + 5, name="label", payload="[[1], {}]"), parcel("a", run_at=T + 1)], T
    )
    assert first.task is not None
    assert second.task is not None
    row = trial.task(first.task)
    assert (row.state, row.run_at, row.name, row.payload) == (State.WAITING, T + 5, "label", "[[1], {}]")
    assert trial.task(second.task).run_at == T + 1
    assert trial.store.arrivals.find("b") == first
    assert trial.store.arrivals.find("c") is None


def a_parcel_is_taken_in_once(trial: Trial) -> None:
    """Brought again, alone, with others, twice at once or through another store object, it is the same task."""
    [first] = trial.store.arrivals.take_in([parcel("a")], T)
    again = trial.another().arrivals.take_in([parcel("b"), parcel("a"), parcel("b")], T + 1)
    assert again[1] == first
    assert again[0] == again[2]
    assert len(trial.store.find(Filter())) == 2


def a_parcel_is_taken_in_once_by_many(trial: Trial) -> None:
    """Also when several bring the same ones at the same moment."""
    other = trial.another()
    parcels = [parcel(f"p{number}") for number in range(20)]
    calls = [partial(store.arrivals.take_in, parcels, T) for store in (trial.store, other) * 2]
    told = together(calls)
    assert all(one == told[0] for one in told), told
    assert len(trial.store.find(Filter())) == 20


def a_parcel_whose_task_has_finished_is_still_known(trial: Trial) -> None:
    """Nothing runs a second time because its row was not deleted yet; also not when the task was pruned meanwhile."""
    [arrival] = trial.store.arrivals.take_in([parcel("a")], T)
    assert arrival.task is not None
    trial.finish(trial.hold_again(arrival.task, trial.join()), finished_at=T)
    assert trial.store.prune(EVER, 10) == 1
    assert trial.store.arrivals.take_in([parcel("a")], T) == [arrival]
    assert trial.store.find(Filter(states=STATES)) == []


def what_is_gone_is_forgotten_with_its_task(trial: Trial) -> None:
    """Remembered as long as the task is there; after that nothing is left, whichever came first."""
    first, second = trial.store.arrivals.take_in([parcel("a"), parcel("b", run_at=T + 1)], T)
    trial.store.arrivals.gone(["a", "never heard of"])
    assert trial.store.arrivals.find("a") == first
    seat = trial.join()
    for arrival in (first, second):
        assert arrival.task is not None
        trial.finish(trial.hold_again(arrival.task, seat), finished_at=T)
    assert trial.store.prune(EVER, 10) == 2
    assert trial.store.arrivals.find("a") is None
    assert trial.store.arrivals.find("b") == second
    trial.store.arrivals.gone(["b"])
    assert trial.store.arrivals.find("b") is None


def one_that_was_withdrawn_never_starts(trial: Trial) -> None:
    """Before it came: it comes as a task that is cancelled. Afterwards it is a task like any other."""
    arrivals = trial.store.arrivals
    assert arrivals.withdraw("a", T)
    assert arrivals.withdraw("a", T)
    assert arrivals.find("a") == Arrival(None)
    [came] = arrivals.take_in([parcel("a", key="k")], T + 1)
    assert came.task is not None
    row = trial.task(came.task)
    assert (row.state, row.reason, row.finished_at, row.key) == (State.CANCELLED, "cancelled", T + 1, "k")
    assert not arrivals.withdraw("a", T)
    trial.add(key="k")
    arrivals.gone(["a"])
    assert arrivals.find("a") == came


def what_was_withdrawn_and_is_gone_is_still_withdrawn(trial: Trial) -> None:
    """A row that nobody has brought yet is not forgotten, whatever is said of it."""
    trial.store.arrivals.withdraw("a", T)
    trial.store.arrivals.gone(["a"])
    assert trial.store.arrivals.find("a") == Arrival(None)


def a_refused_parcel_is_told_in_the_history(trial: Trial) -> None:
    """It is a cancelled task with the reason."""
    [arrival] = trial.store.arrivals.take_in([msgspec.structs.replace(parcel("a"), refused="not allowed")], T)
    assert arrival.task is not None
    row = trial.task(arrival.task)
    assert (row.state, row.reason, row.finished_at) == (State.CANCELLED, "not allowed", T)


def a_key_in_use_refuses_nobody_else(trial: Trial) -> None:
    """`error`: the task is cancelled, reason `key in use`, and its key is in the history; the others come."""
    owner = trial.add(key="k")
    mine, other = trial.store.arrivals.take_in([parcel("a", key="k"), parcel("b")], T)
    assert mine.task is not None
    assert other.task is not None
    row = trial.task(mine.task)
    assert (row.state, row.reason, row.key) == (State.CANCELLED, "key in use", "k")
    assert trial.task(owner).state is State.WAITING
    assert trial.task(other.task).state is State.WAITING
    assert [one.id for one in trial.store.find(Filter(key="k"))] == [owner, mine.task]


def keep_makes_the_parcel_the_task_that_has_the_key(trial: Trial) -> None:
    """Also one of the same call; and it stays that task when that has finished."""
    owner = trial.add(key="k")
    kept = parcel("a", key="k", on_conflict="keep")
    assert trial.store.arrivals.take_in([kept], T) == [Arrival(owner)]
    new_ones = [parcel(name, key="new", on_conflict="keep", run_at=T + 1) for name in ("b", "c")]
    first, second = trial.store.arrivals.take_in(new_ones, T)
    assert first == second
    trial.finish(trial.hold_again(owner, trial.join()))
    assert trial.store.arrivals.take_in([kept], T) == [Arrival(owner)]


def replace_cancels_a_waiting_one(trial: Trial) -> None:
    """And one that runs is too late to replace: the parcel's own task is cancelled."""
    owner = trial.add(key="k")
    [arrival] = trial.store.arrivals.take_in([parcel("a", key="k", on_conflict="replace")], T)
    assert arrival.task is not None
    assert (trial.task(owner).state, trial.task(owner).reason) == (State.CANCELLED, "replaced")
    trial.start(trial.hold_again(arrival.task, trial.join()))
    [late] = trial.store.arrivals.take_in([parcel("b", key="k", on_conflict="replace")], T)
    assert late.task is not None
    assert (trial.task(late.task).state, trial.task(late.task).reason) == (State.CANCELLED, "key in use")


def replace_of_a_reserved_one_names_its_holder(trial: Trial) -> None:
    """Nothing is kept of that parcel, the others come; when the holder has released the task, it is replaced."""
    held = trial.hold(key="k")
    wanted = parcel("a", key="k", on_conflict="replace")
    told, other = trial.store.arrivals.take_in([wanted, parcel("b")], T)
    assert told == Arrival(held.id, held.seat.node)
    assert other.holder is None
    assert trial.store.arrivals.find("a") is None
    assert trial.store.record([settlement(held, State.WAITING, keep=False, attempt=0)]) == []
    [arrival] = trial.store.arrivals.take_in([wanted], T)
    assert arrival.holder is None
    assert trial.task(held.id).state is State.CANCELLED


def parcels_wake_the_watchers(trial: Trial) -> None:
    """`due` for what is new, `done` for what was cancelled or withdrawn, `outbox <id>` for what is announced."""
    watch = trial.watch(trial.another())
    trial.store.arrivals.take_in([parcel("a", run_at=T + 3)], T)
    await_news(watch, f"due {T + 3}")
    trial.store.arrivals.withdraw("b", T)
    await_news(watch, "done")
    trial.store.arrivals.announce("c")
    await_news(watch, "outbox c")
