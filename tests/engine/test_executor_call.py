"""What runs where an executor runs it: found, called at its instant, and told without raising."""

import os

import executor_fakes
import pytest

from mainspring.engine import executor_call
from mainspring.engine.child_messages import Feed
from mainspring.tasks import place
from mainspring.tasks.codec import encode_call
from mainspring.when.clock import SystemClock

HERE = "executor_fakes"
NOW = SystemClock().now


@pytest.fixture
def home():
    return executor_call.make_home()


@pytest.fixture
def run(home):
    def run(function, *args, work=None, run_at=0, payload=None, attempt=1, **options):
        origin = function if ":" in function else f"{HERE}:{function}"
        feed = Feed(7, 9, attempt, run_at, work or origin, "label", payload or encode_call(args, {}), origin=origin)
        return executor_call.outcome_of(executor_call.run(executor_call.encode(executor_call.Call(home, 1, feed))))

    return run


def test_a_result(run):
    before = NOW()
    told = run("note", {"a": [1]})
    assert (told.task, told.token, told.kind, told.result) == (7, 9, "ok", '{"a":[1]}')
    assert before <= told.started_at <= told.finished_at <= NOW()


def test_no_result(run):
    told = run("note")
    assert (told.kind, told.result) == ("ok", None)


def test_never_early(run):
    for ahead in (300, 3_000):
        at = NOW() + ahead
        assert run("note", run_at=at).started_at >= at


def test_a_clock_that_is_far_behind_runs_nothing(run):
    executor_fakes.ran.clear()
    told = run("note", run_at=NOW() + 2 * executor_call.FAR_US)
    assert told.kind == "not-started"
    assert "clock" in told.why
    assert not executor_fakes.ran


def test_an_error_is_told_with_its_classes(run):
    told = run("fail")
    assert (told.kind, told.problem.type, told.problem.message) == ("error", "LookupError", "not here")
    assert "executor_fakes.py" in told.problem.traceback
    assert "builtins:Exception" in told.names


def test_retry_later(run):
    told = run("later")
    assert (told.kind, told.after) == ("later", 0)
    assert run("later", attempt=2).result == "2"


def test_coroutines_and_what_returns_one(run):
    for name in ("coroutine", "around"):
        assert run(name, 5).result == '{"$tuple":[5,"label",false]}'


def test_what_cannot_be_kept(run):
    told = run("unkept")
    assert told.kind == "unkept"
    assert told.problem.type == "InvalidArguments"


def test_arguments_that_cannot_be_read_fail_the_task(run):
    assert run("note", payload="[1]").kind == "error"


@pytest.mark.parametrize("name", ["nowhere:f", f"{HERE}:gone"])
def test_what_is_not_found_is_unknown(run, name):
    told = run(name)
    assert told.kind == "unknown"
    assert name.split(":")[0] in told.why


def test_a_name_of_its_own_is_found_by_its_origin(run):
    assert run("note", 3, work="shop.note").result == "3"


def test_elsewhere_a_daemon_is_a_client_and_at_home_it_is_not(run, monkeypatch):
    became = []
    monkeypatch.setattr(place, "become_child", lambda: became.append(True))
    run("note")
    assert not became
    monkeypatch.setattr(os, "getpid", lambda: -1)  # as in a fork
    run("note")
    assert became


def test_what_did_not_come_from_run_is_no_outcome():
    with pytest.raises(TypeError, match="NoneType"):
        executor_call.outcome_of(None)
