"""The suite is worth something: a store that breaks a promise fails the case which tells that promise."""

from contextlib import contextmanager

import msgspec
import pytest
from test_stores import MemoryHarness

from mainspring.store import memory_rules
from mainspring.store.memory import MemoryStore
from mainspring.store.rows import Bound, Reserved, Verdict
from mainspring.testing.conformance import CASES, name_of, run, trial


def broken(method):
    """A store with one method replaced by `method(original, self, ...)`."""

    def replace(wrong):
        def call(self, *args, **kwargs):
            return wrong(getattr(super(Broken, self), method), *args, **kwargs)

        Broken = type("Broken", (MemoryStore,), {method: call})  # noqa: N806 - a class
        return Broken

    return replace


@broken("add")
def forgets_half(original, tasks, now):
    return original(tasks[: len(tasks) // 2 + 1], now)


@broken("add")
def ignores_conflicts(original, tasks, now):
    return original([msgspec.structs.replace(task, key=None) for task in tasks], now)


@broken("add")
def ignores_the_bound(original, tasks, now, bound=None):
    return original(tasks, now)


@broken("add")
def bounds_what_is_for_later(original, tasks, now, bound=None):
    return original(tasks, max([now, *(task.run_at for task in tasks)]), bound)


@broken("add")
def goes_by_the_callers_time(original, tasks, now, bound=None):
    return original(tasks, now, bound and Bound(bound.most, lambda: now))


@broken("pending")
def counts_on(original, now, limit):
    return original(now, 1_000)


@broken("reserve")
def ignores_after(original, node, lanes, *, after, until, limit):
    return original(node, lanes, after=-1, until=until, limit=limit)


@broken("reserve")
def ignores_limit(original, node, lanes, *, after, until, limit):
    return original(node, lanes, after=after, until=until, limit=10_000)


@broken("reserve")
def in_order_of_ids(original, node, lanes, **bounds):
    batch = original(node, lanes, **bounds)
    return Reserved(batch.token, sorted(batch.tasks, key=lambda task: task.id))


@broken("record")
def refuses_nothing(original, settlements, *, durable=False):
    original(settlements, durable=durable)
    return []


@broken("record")
def keeps_always(original, settlements, *, durable=False):
    return original([msgspec.structs.replace(one, keep=True) for one in settlements], durable=durable)


@broken("record")
def forgets_failed_tries(original, settlements, *, durable=False):
    return original([msgspec.structs.replace(one, failed_try=False) for one in settlements], durable=durable)


@broken("change")
def believes_any_token(original, task, change, now, token=None):
    verdict = original(task, change, now, token)
    return Verdict("done", verdict.state) if token is not None else verdict


@broken("answered")
def never_forgets(original, request, answers={}):  # noqa: B006 - kept on purpose
    return answers.setdefault(request, original(request)) or answers.pop(request, None)


@broken("pause")
def resumes_everything(original, queue, *, paused):
    if not paused and queue is None:
        original("mail", paused=False)
    original(queue, paused=paused)


@broken("find")
def finds_in_any_order(original, wanted):
    return original(wanted)[::-1]


@broken("leave")
def leaves_without_giving_back(original, node):
    pass


@broken("take_over")
def takes_over_the_living(original, node, now, silent=None):
    original.__self__.lose(node) if node in original.__self__._seats else None
    return original(node, now)


@broken("take_over")
def takes_over_the_heard(original, node, now, silent=None):
    return original(node, now, silent and silent + 10_000_000)


@broken("advance")
def adds_even_when_late(original, standing, tasks=(), now=0, **how):
    advanced = original(standing, tasks, now, **how)
    if not advanced:
        original.__self__.add(tasks, now)
    return advanced


@broken("prune")
def prunes_without_limit(original, before, limit):
    return original(before, 10_000)


@broken("_tell")
def tells_nobody(original, news):
    pass


BROKEN = [
    (forgets_half, "adding.the_answer_is_in_the_order_given"),
    (ignores_conflicts, "adding.a_key_in_use_is_an_error"),
    (ignores_the_bound, "bounding.a_full_queue_refuses"),
    (ignores_the_bound, "bounding.many_adders_never_pass_the_bound"),
    (bounds_what_is_for_later, "bounding.what_is_for_later_needs_no_room"),
    (goes_by_the_callers_time, "bounding.the_time_is_that_of_the_turn"),
    (counts_on, "bounding.the_count_stops_at_its_limit"),
    (ignores_after, "reserving.only_between_the_bounds"),
    (ignores_limit, "reserving.at_most_limit_and_the_first_of_all"),
    (in_order_of_ids, "reserving.in_order_of_priority_instant_and_adding"),
    (refuses_nothing, "recording.an_old_token_changes_nothing"),
    (keeps_always, "recording.without_keep_it_is_free"),
    (forgets_failed_tries, "recording.a_failed_try_is_kept"),
    (believes_any_token, "steering.a_wrong_token_is_no_holders"),
    (never_forgets, "steering.an_answer_is_read_once"),
    (resumes_everything, "reserving.a_pause_of_all_leaves_those_by_name"),
    (finds_in_any_order, "looking.soonest_first"),
    (leaves_without_giving_back, "nodes.who_leaves_gives_back"),
    (takes_over_the_living, "nodes.a_living_node_is_not_taken_over"),
    (takes_over_the_heard, "leases.who_was_heard_keeps_it"),
    (adds_even_when_late, "standings.who_comes_second_changes_nothing"),
    (prunes_without_limit, "looking.prune_forgets_no_more_than_asked"),
]


class BrokenHarness(MemoryHarness):
    def __init__(self, make):
        self.make = make


@pytest.mark.parametrize(("store", "promise"), BROKEN, ids=[promise for _, promise in BROKEN])
def test_a_broken_promise_is_noticed(store, promise):
    [case] = [case for case in CASES if name_of(case) == promise]
    with pytest.raises(Exception):  # noqa: B017 - mostly AssertionError; a case may also trip over what it gets
        run(case, BrokenHarness(store))


@contextmanager
def rule_replaced(name, wrong):
    original = getattr(memory_rules, name)
    setattr(memory_rules, name, lambda *args: wrong(original, *args))
    try:
        yield
    finally:
        setattr(memory_rules, name, original)


def no_poison(original, task, started_at, now, why):
    task.losses -= 100
    original(task, started_at, now, why)
    task.losses += 100


def started_for_nothing(original, task, started_at, now, why):
    original(task, None, now, why)


def at_most_once_again(original, task, change):
    return original(msgspec.structs.replace(task, attempt=0), change)


@pytest.mark.parametrize(
    ("name", "wrong", "promise"),
    [
        ("lose", no_poison, "takeover.the_third_loss_sets_it_aside"),
        ("lose", started_for_nothing, "takeover.what_the_journal_shows_was_lost"),
        ("allows", at_most_once_again, "steering.at_most_once_is_not_started_again"),
    ],
)
def test_a_broken_rule_is_noticed(name, wrong, promise):
    [case] = [case for case in CASES if name_of(case) == promise]
    with rule_replaced(name, wrong), pytest.raises(AssertionError):
        run(case, BrokenHarness(MemoryStore))


@pytest.mark.parametrize(
    "case", [case for case in CASES if name_of(case).endswith(("is_told", "are_told"))], ids=name_of
)
def test_silence_is_noticed(case, monkeypatch):
    monkeypatch.setattr(trial, "_PATIENCE", 0)
    with pytest.raises(AssertionError, match="no news"):
        run(case, BrokenHarness(tells_nobody))


def test_every_case_says_what_it_promises():
    for case in CASES:
        assert case.__doc__, name_of(case)
    assert len({name_of(case) for case in CASES}) == len(CASES) > 100
