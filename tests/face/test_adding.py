"""Adding: every form the contract shows, and every slip answered where it is made, with nothing stored."""

import dataclasses
import logging
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from uuid import UUID

import pytest

from daemons import LONG, until
from mainspring import (
    Daemon,
    InvalidArguments,
    InvalidValue,
    KeyInUse,
    MainspringError,
    ResultLost,
    TaskFailed,
    TooLate,
    UnknownFunction,
    WaitTimeout,
    context,
    stopping,
)
from mainspring.errors import OutsideTask


@dataclasses.dataclass
class Order:
    item: int
    when: datetime


def module_level(x):
    return x + 1


@pytest.fixture
def echo(daemon):
    @daemon.task(name="t:echo")
    def echo(value, *, twice=False):
        return [value, value] if twice else value

    return echo


# ── the forms ──────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_decorated_function_is_still_a_plain_function(echo):
    assert echo(3) == 3
    assert echo(3, twice=True) == [3, 3]
    assert echo.__name__ == "echo"


def test_every_way_to_say_when(daemon, clock, echo):
    now = clock.time
    hour = now + timedelta(hours=1)
    tasks = {
        echo.enqueue(0): now,
        echo.at(hour).enqueue(0): hour,
        echo.at(hour.isoformat()).enqueue(0): hour,
        echo.at(hour.timestamp()).enqueue(0): hour,
        echo.after("1h").enqueue(0): hour,
        echo.after(3600).enqueue(0): hour,
        echo.after(timedelta(hours=1)).enqueue(0): hour,
        echo.after(minutes=30, hours=0.5).enqueue(0): hour,
        echo.at("2030-01-01T09:00:00.000+08:00").enqueue(0): hour,
        daemon.add_task(echo, args=(0,), at=hour): hour,
        daemon.add_task(echo, (0,), after="PT1H"): hour,
        daemon.add_task("t:echo", args=(0,), at=hour): hour,
    }
    assert {task.run_at for task in tasks} == {now, hour}
    assert all(task.run_at == at for task, at in tasks.items())


def test_a_call_is_a_reusable_value_in_any_order(daemon, clock, echo):
    mail = echo.options(queue="mail", priority=2)
    later = mail.after("1h")
    first, second = later.enqueue(1), later.options(queue="slow").enqueue(2)
    assert (first.queue, first.priority) == ("mail", 2)
    assert (second.queue, second.priority) == ("slow", 2)
    assert mail.enqueue(3).refresh().state == "succeeded"  # as it was: due now
    assert echo.after("1h").options(queue="mail").enqueue(1).queue == "mail"


def test_several_ways_to_name_the_work(daemon, echo):
    by_object = daemon.add_task(echo, (1,))
    by_name = daemon.add_task("t:echo", (1,))
    undecorated = daemon.add_task(module_level, (1,))
    assert [task.function for task in (by_object, by_name)] == ["t:echo", "t:echo"]
    assert undecorated.function.endswith("test_adding:module_level")
    program = daemon.add_task(["/bin/echo", "hi"], after="1h")
    assert (program.kind, program.function, program.name) == ("program", None, "echo")


def test_labels(daemon, echo):
    assert echo.enqueue(0).name == "echo"
    assert echo.options(name="order 42").enqueue(0).name == "order 42"


@pytest.mark.parametrize(
    "value",
    [
        None,
        [1, "two", 3.5, None, True],
        {"nested": {"list": [1]}},
        datetime(2030, 1, 1, 3, 4, 5, 6, tzinfo=UTC),
        timedelta(days=1, microseconds=1),
        Decimal("1.10"),
        UUID(int=7),
        b"\x00\xff",
        {1, 2, 3},
        (1, (2, 3)),
        2**60,
        "sign: ✓",
    ],
)
def test_what_arrives_and_comes_back_is_what_was_passed(echo, value):
    seen = echo.enqueue(value).result()
    assert seen == value
    assert type(seen) is type(value)


def test_dataclasses_by_the_annotation(daemon):
    seen = []

    @daemon.task(name="t:sell")
    def sell(order: Order):
        seen.append(order)

    order = Order(7, datetime(2030, 1, 1, tzinfo=UTC))
    sell.enqueue(order)
    assert seen == [order]


# ── many at once ───────────────────────────────────────────────────────────────────────────────────────────────


def test_add_tasks_in_order(daemon, clock, echo):
    tasks = daemon.add_tasks(
        [{"work": echo, "args": (n,), "after": 10 - n, "priority": n, "key": str(n)} for n in range(10)]
    )
    clock.advance("1m")
    assert [task.result() for task in tasks] == list(range(10))
    assert [task.key for task in tasks] == [str(n) for n in range(10)]


@pytest.mark.parametrize(
    "bad",
    [
        {"work": "t:echo", "args": (float("nan"),)},
        {"work": "t:echo", "args": (1, 2, 3)},
        {"work": "t:echo", "args": (1,), "at": "yesterday"},
        {"work": "t:echo", "args": (1,), "key": "taken"},
        {"work": "t:echo", "args": (1,), "prioriti": 3},
        {"args": (1,)},
        "t:echo",
    ],
)
def test_add_tasks_all_or_none(daemon, echo, bad):
    taken = echo.options(key="taken").after("1h").enqueue(0)
    good = {"work": "t:echo", "args": (1,)}
    with pytest.raises(MainspringError):
        daemon.add_tasks([good, bad, good])
    assert daemon.find() == [taken]


def test_add_tasks_names_the_item_and_suggests(daemon, echo):
    with pytest.raises(InvalidArguments, match=r"item 1 .*'prioriti'.*did you mean 'priority'"):
        daemon.add_tasks([{"work": echo, "args": (1,)}, {"work": echo, "args": (1,), "prioriti": 1}])


def test_more_than_a_hundred_thousand_are_refused(daemon, echo):
    with pytest.raises(InvalidArguments, match="100,000"):
        daemon.add_tasks([{"work": "t:echo"}] * 100_001)


# ── slips ──────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("at", "says"),
    [
        (datetime(2031, 1, 1, 10), "zone|offset"),  # noqa: DTZ001
        ("2031-01-01T10:00:00", "zone|offset"),
        ("next tuesday", "ISO 8601"),
        ("2031-02-30T00:00Z", "2031-02-30"),
        (30, "after="),
        (float("nan"), "nan"),
        ("", "ISO 8601|empty"),
        (True, "True"),
        ([], "instant|list"),
    ],
)
def test_bad_instants(daemon, echo, at, says):
    with pytest.raises(InvalidValue, match=f"(?i){says}"):
        echo.at(at).enqueue(1)
    assert daemon.find() == []


def test_with_a_zone_naive_times_are_read_in_it(url, clock):
    daemon = Daemon(url, clock=clock, tz="Asia/Shanghai", name="tests")
    task = daemon.add_task(["true"], at=datetime(2030, 1, 1, 10))  # noqa: DTZ001
    assert task.run_at == datetime(2030, 1, 1, 2, tzinfo=UTC)
    assert daemon.add_task(["true"], at="2030-01-01 10:00").run_at == task.run_at
    daemon.close()


@pytest.mark.parametrize("text", ["2030-03-31T02:30:00", "2030-10-27T02:30:00"])
def test_a_local_time_that_is_none_or_two_shows_the_choices(url, clock, text):
    daemon = Daemon(url, clock=clock, tz="Europe/Berlin", name="tests")
    with pytest.raises(InvalidValue, match=r"\+0[12]:00"):
        daemon.add_task(["true"], at=text)
    daemon.close()


@pytest.mark.parametrize("after", ["soon", "5 parsecs", -1, float("nan"), float("inf"), True, ""])
def test_bad_durations(daemon, echo, after):
    with pytest.raises(InvalidValue):
        echo.after(after).enqueue(1)
    assert daemon.find() == []


def test_at_and_after_together(daemon, echo):
    with pytest.raises(MainspringError, match="one instant"):
        daemon.add_task(echo, (1,), at="2031-01-01T00:00Z", after=5)
    with pytest.raises(InvalidValue):
        echo.after()
    with pytest.raises(InvalidValue):
        echo.after("5s", minutes=1)
    with pytest.raises(InvalidValue, match="fortnights"):
        echo.after(fortnights=1)


@pytest.mark.parametrize(
    ("args", "kwargs"),
    [
        ((), {}),
        ((1, 2), {}),
        ((1,), {"thrice": True}),
        ((1,), {"value": 1}),
        ((object(),), {}),
        ((float("nan"),), {}),
        (({1: "integer key"},), {}),
        ((open,), {}),
        (("x" * 1_100_000,), {}),
    ],
)
def test_arguments_that_do_not_fit_or_cannot_be_kept(daemon, echo, args, kwargs):
    with pytest.raises(InvalidArguments):
        echo.enqueue(*args, **kwargs)
    assert daemon.find() == []


def local_functions():
    def local():
        pass

    return [lambda: None, local, len, dict, Order(1, None).__init__]


@pytest.mark.parametrize("work", local_functions())
def test_functions_that_no_daemon_could_find(daemon, work):
    with pytest.raises(UnknownFunction):
        daemon.add_task(work)
    assert daemon.find() == []


@pytest.mark.parametrize("work", [[], [""], ["ls", 5], [b"ls"], 5, None, ["a\0b"]])
def test_what_is_no_work_at_all(daemon, work):
    with pytest.raises(InvalidArguments, match="function|program"):
        daemon.add_task(work)


@pytest.mark.parametrize("name", ["no blanks", "a b:c", "", "x" * 501, "new\nline:f"])
def test_bad_registered_names(daemon, name):
    with pytest.raises(MainspringError, match="expected a name"):
        daemon.add_task(name)
    assert daemon.find() == []


def test_an_unknown_option_is_answered_with_the_one_that_was_meant(daemon, echo):
    with pytest.raises(InvalidArguments, match=r"did you mean timeout=\?"):
        daemon.add_task(echo, (1,), timeot=3)
    with pytest.raises(InvalidArguments, match="did you mean on_conflict"):
        echo.options(on_conflicts="keep")


@pytest.mark.parametrize(
    "said",
    [
        {"key": 5},
        {"key": "x" * 501},
        {"key": "new\nline"},
        {"name": 3},
        {"on_conflict": "merge"},
        {"delivery": "maybe"},
        {"cwd": "/tmp"},
        {"env": {"A": "1"}},
    ],
)
def test_bad_options(daemon, echo, said):
    with pytest.raises(MainspringError):
        echo.options(**said).enqueue(1)
    assert daemon.find() == []


@pytest.mark.parametrize("said", [{"env": {"A": 1}}, {"env": {"A=B": "1"}}, {"env": "A=1"}, {"args": (1,)}])
def test_bad_options_of_programs(daemon, said):
    with pytest.raises(InvalidArguments):
        daemon.add_task(["true"], **said)
    assert daemon.find() == []


def test_two_functions_under_one_name(daemon, echo):
    with pytest.raises(InvalidValue, match="t:echo"):

        @daemon.task(name="t:echo")
        def other(): ...


# ── keys ───────────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_key_in_use_is_an_error_that_names_the_task(daemon, clock, echo):
    first = echo.options(key="order-42").after("1h").enqueue(1)
    with pytest.raises(KeyInUse) as caught:
        echo.options(key="order-42").enqueue(2)
    assert caught.value.task_id == first.id
    assert first.id in str(caught.value)
    clock.advance("1h")  # a finished task frees its key
    assert echo.options(key="order-42").enqueue(2).result() == 2


def test_keep_returns_the_one_there(daemon, echo):
    first = echo.options(key="k").after("1h").enqueue(1)
    kept = echo.options(key="k", on_conflict="keep").enqueue(2)
    assert kept == first
    assert kept.run_at == first.run_at
    assert len(daemon.find()) == 1


@pytest.mark.parametrize("after", ["2s", "1h"])  # held by the daemon, or free in the store
def test_replace_cancels_a_waiting_one_in_the_same_commit(daemon, clock, echo, after):
    first = echo.options(key="k").after(after).enqueue(1)
    clock.advance("1ms")
    second = echo.options(key="k", on_conflict="replace").after("3s").enqueue(2)
    clock.advance("2h")
    assert (first.refresh().state, first.attempt) == ("cancelled", 0)
    assert second.result() == 2
    assert len(daemon.find()) == 2


def test_a_client_replaces_what_a_running_daemon_holds(threaded, gate, monkeypatch):
    monkeypatch.setattr("mainspring.engine.claimer.LEAD_US", 2 * LONG * 1_000_000)  # held at once, due much later
    monkeypatch.setattr("mainspring.engine.claimer.HORIZON_US", 3 * LONG * 1_000_000)
    daemon, client = threaded(workers=1), threaded(start=False)

    @daemon.task(name="t:hold")
    def hold(number):
        gate.wait()
        return number

    first = client.add_task("t:hold", (1,), key="k", after=LONG)
    until(daemon, lambda: first.refresh().row.holder)
    second = client.add_task("t:hold", (2,), key="k", on_conflict="replace")
    gate.await_arrivals()
    assert first.refresh().state == "cancelled"
    with pytest.raises(TooLate):
        client.add_task("t:hold", (3,), key="k", on_conflict="replace")
    gate.open()
    assert second.result(LONG) == 2
    assert client.find(key="k", state="waiting") == []


def test_a_key_is_free_again_after_cancel(daemon, echo):
    echo.options(key="k").after("1h").enqueue(1).cancel()
    assert echo.options(key="k").enqueue(2).result() == 2


# ── what nobody knows ──────────────────────────────────────────────────────────────────────────────────────────


def test_an_unknown_function_stays_waiting_counted_and_is_taken_once_registered(daemon, clock, caplog):
    with caplog.at_level(logging.WARNING, "mainspring"):
        task = daemon.add_task("elsewhere.module:open_sale", (1,))
        clock.advance("1d")
    assert task.refresh().state == "waiting"
    assert task.row.holder is None
    assert daemon.status().unresolved == 1
    assert caplog.text.count("nobody here knows") == 1
    assert daemon.drain()

    @daemon.task(name="elsewhere.module:open_sale")
    def open_sale(x):
        return x

    assert daemon.drain()
    assert task.result() == 1
    assert daemon.status().unresolved == 0


def test_registered_while_threads_run_it_is_taken_at_once(threaded):
    daemon = threaded()
    task = daemon.add_task("elsewhere.module:later", (1,))
    until(daemon, lambda: daemon.status().unresolved == 1)

    @daemon.task(name="elsewhere.module:later")
    def later(x):
        return x

    assert task.result(LONG) == 1


@pytest.mark.parametrize("name", ["os:system", "subprocess:run", "builtins:exec", "mainspring.app:Daemon"])
def test_the_standard_library_is_never_run(daemon, name):
    task = daemon.add_task(name, ("true",))
    assert task.refresh().state == "waiting"
    assert daemon.status().unresolved == 1


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


def test_adding_while_nobody_runs_the_store_warns_once_with_the_command(tmp_path, clock, caplog):
    client = Daemon(str(tmp_path / "one.db"), clock=clock, name="client")
    with caplog.at_level(logging.WARNING, "mainspring"):
        client.add_task("t:f")
        client.add_task("t:f")
    assert caplog.text.count("mainspring run --store") == 1
    client.close()


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


def test_what_another_daemon_declared_brings_its_name_and_options_along(daemon, clock):
    other = Daemon("memory:", clock=clock, name="other")

    @other.task(name="t:theirs", retry=1, queue="mail", label="label")
    def theirs(x):
        if context().attempt == 1:
            raise OSError
        return x

    task = daemon.add_task(theirs, (5,), after="1h")
    assert (task.function, task.queue, task.name) == ("t:theirs", "mail", "label")
    clock.advance("2h")
    assert task.result() == 5
    assert other.find() == []
