"""Schedules and listeners: stored definitions, changed by compare-and-set, together with the tasks they create."""

import msgspec

from mainspring.errors import KeyInUse
from mainspring.store.rows import Again, Cancel, Filter, Missed, Reschedule, Standing
from mainspring.tasks.state import State
from mainspring.testing.conformance.trial import T, Trial, new, refused, together

_NIGHTLY = Standing(kind="schedule", name="nightly", definition='{"cron": "0 3 * * *"}', next_run_at=T + 5)


def one_is_kept_as_it_was_put(trial: Trial) -> None:
    """Every field comes back."""
    full = Standing(
        kind="listener",
        name="watch 'orders' é",
        app="shop",
        definition='{"work": "shop:watch"}',
        paused=True,
        next_run_at=(1 << 53) + 1,
        holder=7,
        status='{"state": "running"}',
    )
    assert trial.store.put(full)
    assert trial.store.put(_NIGHTLY)
    assert trial.another().standings() == [full, _NIGHTLY]


def names_are_unique_by_kind(trial: Trial) -> None:
    """`put`: False, and nothing is changed, when this kind has one of this name; another kind may."""
    assert trial.store.put(_NIGHTLY)
    assert not trial.store.put(msgspec.structs.replace(_NIGHTLY, definition="{}"))
    assert trial.store.standings() == [_NIGHTLY]
    assert trial.store.put(Standing(kind="listener", name="nightly", definition="{}"))
    assert len(trial.store.standings()) == 2


def one_is_found_by_kind_and_name(trial: Trial) -> None:
    """`standing`: the one of this kind and name, or None."""
    trial.store.put(_NIGHTLY)
    trial.store.put(Standing(kind="listener", name="nightly", definition="{}"))
    assert trial.store.standing("schedule", "nightly") == _NIGHTLY
    assert trial.store.standing("schedule", "daily") is None


def an_occurrence_is_one_task(trial: Trial) -> None:
    """`add` and `advance`: an occurrence that is a task already is that task; of another schedule it is another."""
    first = new(T + 5, schedule="nightly", occurrence=T + 5)
    [added] = trial.store.add([first], T)
    again, other = trial.store.add([first, msgspec.structs.replace(first, schedule="daily")], T)
    assert (again.id, again.created, other.created) == (added.id, False, True)
    trial.store.change(added.id, Reschedule(T + 9), T)
    trial.store.put(_NIGHTLY)
    assert trial.store.advance(_NIGHTLY, [first, new(T + 6, schedule="nightly", occurrence=T + 6), first], T)
    found = trial.store.find(Filter(schedule="nightly"))
    assert [(row.run_at, row.occurrence) for row in found] == [(T + 6, T + 6), (T + 9, T + 5)]


def an_occurrence_within_one_call_is_one_task(trial: Trial) -> None:
    """The same occurrence twice in one call is added once."""
    one = new(T, schedule="s", occurrence=T)
    first, second, third = trial.store.add([one, one, new(T, schedule="s")], T)
    assert (second.id, second.created) == (first.id, False)
    assert third.created


def what_was_cancelled_may_be_made_anew(trial: Trial) -> None:
    """An occurrence that was cancelled is no obstacle; then it is too late to take the cancelled one up again."""
    one = new(T, schedule="s", occurrence=T)
    [first] = trial.store.add([one], T)
    trial.store.change(first.id, Cancel(), T)
    [second] = trial.store.add([one], T)
    assert second.created
    assert trial.store.change(first.id, Again(T), T).outcome == "too-late"
    trial.store.change(second.id, Cancel(), T)
    assert trial.store.change(first.id, Again(T), T).outcome == "done"
    assert not trial.store.add([one], T)[0].created


def a_stretch_that_was_missed_is_one_finished_task(trial: Trial) -> None:
    """`missed`: finished at once, with the first and the last of them, and how many; never reserved."""
    stretch = new(T, schedule="s", occurrence=T, missed=Missed("misfire", T + 90, 10))
    [added] = trial.store.add([stretch], T + 100)
    row = trial.store.get(added.id)
    assert row is not None
    assert (row.state, row.reason, row.finished_at) == (State.MISSED, "misfire", T + 100)
    assert (row.occurrence, row.missed_until, row.missed_count) == (T, T + 90, 10)
    assert trial.store.stats().counts[State.MISSED] == 1
    assert trial.store.add([new(T, schedule="s", occurrence=T)], T)[0].created  # it may be made up for


def trimming_keeps_the_last_ones(trial: Trial) -> None:
    """`trim`: of a schedule's finished tasks those beyond the `keep` last are forgotten, at most `limit` at a time."""
    for n in range(6):
        missed = Missed("misfire", T + n, 1)
        trial.store.add([new(T + n, schedule="s", occurrence=T + n, missed=missed)], T + n)
    trial.store.add([new(T, schedule="s"), new(T)], T)
    assert trial.store.trim("s", 2, 3) == 3
    assert trial.store.trim("s", 2, 3) == 1
    assert trial.store.trim("s", 2, 3) == 0
    assert {row.finished_at for row in trial.store.find(Filter(schedule="s"))} == {None, T + 4, T + 5}


def in_order_of_kind_and_name(trial: Trial) -> None:
    """`standings`: by kind and name."""
    for name in ("b", "a", "C"):
        trial.store.put(Standing(kind="schedule", name=name, definition="{}"))
        trial.store.put(Standing(kind="listener", name=name, definition="{}"))
    assert [(one.kind, one.name) for one in trial.store.standings()] == [
        (kind, name) for kind in ("listener", "schedule") for name in ("C", "a", "b")
    ]
    assert [one.name for one in trial.store.standings("listener")] == ["C", "a", "b"]
    assert [one.name for one in trial.store.standings("listener", "C", 1)] == ["a"]
    assert [one.name for one in trial.store.standings("schedule", "a", 9)] == ["b"]


def those_that_are_next(trial: Trial) -> None:
    """`standings` with `before`: those whose next instant is earlier, in the same order, and no more than `limit`."""
    for name, at in (("a", None), ("b", T + 2), ("c", T), ("d", T + 1), ("e", T + 1)):
        trial.store.put(Standing(kind="schedule", name=name, definition="{}", next_run_at=at))
    assert [one.name for one in trial.store.standings("schedule", before=T + 2)] == ["c", "d", "e"]
    assert [one.name for one in trial.store.standings("schedule", "c", 1, before=T + 2)] == ["d"]
    assert trial.store.standings("schedule", before=T) == []
    assert trial.store.standings("listener", before=T + 9) == []


def advance_replaces_and_adds(trial: Trial) -> None:
    """With the right version: replaced, the version is one more, and the tasks are there."""
    trial.store.put(_NIGHTLY)
    [stored] = trial.store.standings()
    changed = msgspec.structs.replace(stored, next_run_at=T + 9, paused=True, status="s", app="a", definition="[]")
    assert trial.store.advance(changed, [new(T + 5, schedule="nightly"), new(T + 6, schedule="nightly")], T + 1)
    assert trial.store.standings() == [msgspec.structs.replace(changed, version=stored.version + 1)]
    found = trial.store.find(Filter(schedule="nightly"))
    assert [(row.run_at, row.created_at) for row in found] == [(T + 5, T + 1), (T + 6, T + 1)]


def advance_without_tasks(trial: Trial) -> None:
    """Tasks are no must; durable or not, the answer is the same."""
    trial.store.put(_NIGHTLY)
    for n, durable in enumerate((True, False)):
        [stored] = trial.store.standings()
        assert trial.store.advance(msgspec.structs.replace(stored, next_run_at=T + n), durable=durable)
        assert [(one.version, one.next_run_at) for one in trial.store.standings()] == [(stored.version + 1, T + n)]


def a_holder_takes_and_gives_back(trial: Trial) -> None:
    """Taking a listener is an `advance`: of two that saw it free one gets it; giving it back is one more."""
    trial.store.put(Standing(kind="listener", name="l", definition="{}"))
    [free] = trial.store.standings()
    assert trial.store.advance(msgspec.structs.replace(free, holder=1))
    assert not trial.store.advance(msgspec.structs.replace(free, holder=2))
    [taken] = trial.store.standings()
    assert taken.holder == 1
    assert trial.store.advance(msgspec.structs.replace(taken, holder=None))
    assert [one.holder for one in trial.store.standings()] == [None]


def who_comes_second_changes_nothing(trial: Trial) -> None:
    """With an old version: False; nothing is changed and nothing is added."""
    trial.store.put(_NIGHTLY)
    [stored] = trial.store.standings()
    assert trial.store.advance(stored)
    after = trial.store.standings()
    late = msgspec.structs.replace(stored, next_run_at=T + 99)
    assert not trial.store.advance(late, [new()], T)
    assert not trial.store.advance(msgspec.structs.replace(stored, version=stored.version + 7), [new()], T)
    assert trial.store.standings() == after
    assert trial.store.find(Filter()) == []


def what_is_not_there_does_not_advance(trial: Trial) -> None:
    """Never put, or removed: False, and nothing is added."""
    assert not trial.store.advance(_NIGHTLY, [new()], T)
    trial.store.put(_NIGHTLY)
    [stored] = trial.store.standings()
    trial.store.remove("schedule", "nightly")
    assert not trial.store.advance(stored, [new()], T)
    assert trial.store.standings() == []
    assert trial.store.find(Filter()) == []


def a_refused_task_refuses_the_advance(trial: Trial) -> None:
    """One commit: when a task's key is in use, `KeyInUse` is raised and the standing is as it was."""
    trial.store.put(_NIGHTLY)
    before = trial.store.standings()
    there = trial.add(key="k")
    refused(
        KeyInUse,
        lambda: trial.store.advance(msgspec.structs.replace(before[0], next_run_at=T + 9), [new(), new(key="k")], T),
    )
    assert trial.store.standings() == before
    assert [row.id for row in trial.store.find(Filter())] == [there]


def removed_is_gone_but_its_tasks_stay(trial: Trial) -> None:
    """`remove`: True once, then False; tasks that it created stay; the name may be put again."""
    trial.store.put(_NIGHTLY)
    trial.store.advance(trial.store.standings()[0], [new(schedule="nightly")], T)
    assert not trial.store.remove("listener", "nightly")
    assert trial.store.remove("schedule", "nightly")
    assert not trial.store.remove("schedule", "nightly")
    assert trial.store.standings() == []
    assert len(trial.store.find(Filter(schedule="nightly"))) == 1
    assert trial.store.put(_NIGHTLY)


def one_of_many_advances(trial: Trial) -> None:
    """Uniqueness instead of election: of many that create the same occurrence one does, and adds its task."""
    trial.store.put(_NIGHTLY)
    [stored] = trial.store.standings()
    other = trial.another()
    stores = [trial.store, other] * 3
    calls = [
        lambda store=store, n=n: store.advance(msgspec.structs.replace(stored, status=str(n)), [new(name=str(n))], T)
        for n, store in enumerate(stores)
    ]
    results = together(calls)
    assert sorted(results, key=repr) == [False] * 5 + [True]
    winner = str(results.index(True))
    assert [one.status for one in trial.store.standings()] == [winner]
    assert [row.name for row in trial.store.find(Filter())] == [winner]
