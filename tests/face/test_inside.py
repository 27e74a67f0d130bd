"""What bodies see and leave behind: their context, results that can or cannot be kept, failures as texts."""

from datetime import timedelta

import pytest

from daemons import LONG
from mainspring import (
    ResultLost,
    TaskFailed,
    WaitTimeout,
    context,
    stopping,
)
from mainspring.errors import OutsideTask

# ── results ────────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_failure_has_type_text_and_traceback_as_texts(daemon):
    @daemon.task(name="t:bad")
    def bad():
        raise KeyError("no such order")

    task = bad.enqueue()
    with pytest.raises(TaskFailed, match="no such order") as caught:
        task.result()
    assert caught.value.type == "KeyError"
    assert "raise KeyError" in caught.value.traceback
    assert (task.state, task.reason, task.error.type) == ("failed", "error", "KeyError")


@pytest.mark.parametrize("end", [SystemExit(3), KeyboardInterrupt(), GeneratorExit()])
def test_whatever_a_body_raises_ends_its_attempt_never_its_worker(threaded, end):
    daemon = threaded(workers=1)

    @daemon.task(name="t:bad")
    def bad():
        raise end

    @daemon.task(name="t:good")
    def good():
        return "still here"

    task = bad.enqueue()
    assert good.enqueue().result(LONG) == "still here"
    assert task.refresh().error.type == type(end).__name__


@pytest.mark.parametrize("result", [object(), float("nan"), {1: 2}, "x" * 1_100_000])
def test_a_result_that_cannot_be_kept_leaves_the_task_succeeded(daemon, result):
    @daemon.task(name="t:odd")
    def odd():
        return result

    task = odd.enqueue()
    assert (task.refresh().state, task.reason, task.row.result) == ("succeeded", "result not stored", None)
    with pytest.raises(ResultLost, match="not stored"):
        task.result()


def test_waiting_too_short_is_a_timeout_and_the_work_goes_on(threaded, gate):
    daemon = threaded()

    @daemon.task(name="t:hold")
    def hold():
        gate.wait()
        return 1

    task = hold.enqueue()
    gate.await_arrivals()
    with pytest.raises(WaitTimeout):
        task.result(timeout="10ms")
    with pytest.raises(TimeoutError):
        task.result(0)
    assert task.wait(0) is False
    gate.open()
    assert task.result(LONG) == 1


# ── inside a task ──────────────────────────────────────────────────────────────────────────────────────────────


def test_context_inside_and_outside(daemon, clock):
    seen = []

    @daemon.task(name="t:look", timeout="5s")
    def look():
        here = context()
        here.beat()
        seen.append((here.task_id, here.name, here.attempt, here.run_at, here.deadline, here.fence > 0, stopping()))

    task = look.options(name="label").after("1h").enqueue()
    clock.advance("1h")
    at = task.run_at
    assert seen == [(task.id, "label", 1, at, at + timedelta(seconds=5), True, False)]
    for outside in (context, stopping):
        with pytest.raises(OutsideTask):
            outside()


def test_what_a_body_sets_does_not_reach_the_next_one(threaded):
    from contextvars import ContextVar

    daemon = threaded(workers=1)
    variable = ContextVar("variable", default="clean")

    @daemon.task(name="t:look")
    def look():
        before = variable.get()
        variable.set("dirty")
        return before

    assert [look.enqueue().result(LONG) for _ in range(2)] == ["clean", "clean"]
