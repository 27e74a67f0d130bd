"""Adding: every form the contract shows, many at once, and what nobody knows yet."""

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
    MainspringError,
    context,
)


@dataclasses.dataclass
class Order:
    item: int
    when: datetime


def module_level(x):
    return x + 1


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


def test_adding_while_nobody_runs_the_store_warns_once_with_the_command(tmp_path, clock, caplog):
    client = Daemon(str(tmp_path / "one.db"), clock=clock, name="client")
    with caplog.at_level(logging.WARNING, "mainspring"):
        client.add_task("t:f")
        client.add_task("t:f")
    assert caplog.text.count("mainspring run --store") == 1
    client.close()


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


def test_what_was_due_long_ago_is_due(daemon, echo):
    long_ago = ["0001-01-02T00:00:00Z", "1969-12-31T23:59:59.999999Z", "1970-01-01T00:00:00Z"]
    tasks = [echo.at(at).enqueue(1) for at in long_ago]
    daemon.drain()
    assert [task.refresh().state for task in tasks] == ["succeeded"] * 3
