"""From what happened to what is written: pure functions, one table of legal moves."""

import pytest

from mainspring.engine import settle
from mainspring.engine.timeline import Held
from mainspring.store.rows import Lane, Reservation
from mainspring.tasks.options import build_options
from mainspring.tasks.problems import Problem
from mainspring.tasks.retry import Retry
from mainspring.tasks.state import LEGAL, STATES, Kind, State

PROBLEM = Problem("OSError", "no")


def held(*, failures=0, attempt=0, **options):
    task = Reservation(7, 1, 100, attempt, failures, 0, None, None, None, None, None)
    return Held(task, 5, Lane(1, "default", 0, Kind.FUNCTION, "t:f"), build_options(**options))


def state(settlement):
    return STATES[settlement.code]


def test_each_ending_has_its_state():
    one = held()
    assert state(settle.started(one, 1, 110)) is State.RUNNING
    assert state(settle.succeeded(one, 1, 110, 120, "1")) is State.SUCCEEDED
    assert state(settle.failed(one, 1, 110, 120, "error", PROBLEM, retry=True)) is State.FAILED
    assert state(settle.cancelled(one, 1, 110, 120, PROBLEM)) is State.CANCELLED
    assert state(settle.missed(one, 120, "expired")) is State.MISSED
    assert state(settle.returned(one)) is State.WAITING
    assert state(settle.interrupted(one, 1, 110, 120)) is State.WAITING
    assert state(settle.postponed(one, 1, 110, 120, 50, PROBLEM)) is State.WAITING


def test_only_a_start_keeps_the_reservation():
    one = held(retry=1)
    kept = [
        settle.started(one, 1, 110),
        settle.succeeded(one, 1, 110, 120, None),
        settle.failed(one, 1, 110, 120, "error", PROBLEM, retry=True),
        settle.returned(one),
        settle.missed(one, 120, "expired"),
    ]
    assert [settlement.keep for settlement in kept] == [True, False, False, False, False]
    assert {(settlement.id, settlement.token) for settlement in kept} == {(7, 5)}


@pytest.mark.parametrize(("failures", "again"), [(0, True), (1, True), (2, False), (9, False)])
def test_a_rule_of_two_allows_two_further_attempts(failures, again):
    one = held(failures=failures, attempt=failures, retry=Retry(2, delay="1s", jitter=False))
    settlement = settle.failed(one, failures + 1, 110, 120, "error", PROBLEM, retry=True)
    assert (state(settlement) is State.WAITING) == again
    assert settlement.failures == failures + 1
    assert settlement.failed_try == again
    assert settlement.run_at == (120 + 1_000_000 * 2**failures if again else None)


def test_no_retry_when_the_error_is_not_one_for_it():
    settlement = settle.failed(held(retry=5), 1, 110, 120, "error", PROBLEM, retry=False)
    assert state(settlement) is State.FAILED


def test_later_counts_no_failure():
    settlement = settle.postponed(held(failures=1, retry=1), 3, 110, 120, 50, PROBLEM)
    assert (settlement.failures, settlement.run_at, settlement.reason) == (1, 170, "retry later")


def test_given_back_is_as_it_was():
    settlement = settle.returned(held(failures=1, attempt=2))
    assert (settlement.attempt, settlement.failures, settlement.run_at, settlement.failed_try) == (2, 1, None, False)


def test_interrupted_by_the_daemon_s_end():
    usual = settle.interrupted(held(), 1, 110, 120)
    assert (state(usual), usual.run_at, usual.reason) == (State.WAITING, 100, "daemon stopped")
    once = settle.interrupted(held(delivery="at-most-once"), 1, 110, 120)
    assert (state(once), once.reason) == (State.FAILED, "lost")


@pytest.mark.parametrize("delivery", ["at-least-once", "at-most-once"])
def test_outcomes_of_at_most_once_tasks_last(delivery):
    one = held(delivery=delivery)
    ends = [
        settle.succeeded(one, 1, 110, 120, None),
        settle.failed(one, 1, 110, 120, "error", PROBLEM, retry=False),
        settle.cancelled(one, 1, 110, 120, None),
    ]
    assert [end.durable for end in ends] == [delivery == "at-most-once"] * 3


def test_every_ending_of_a_running_task_is_a_legal_move():
    one = held(retry=1)
    ends = [
        settle.succeeded(one, 1, 110, 120, None),
        settle.failed(one, 1, 110, 120, "error", PROBLEM, retry=True),
        settle.failed(one, 1, 110, 120, "error", PROBLEM, retry=False),
        settle.cancelled(one, 1, 110, 120, None),
        settle.interrupted(one, 1, 110, 120),
    ]
    assert all(state(end) in LEGAL[State.RUNNING] for end in ends)
