"""Every slip in adding is answered where it is made, with what to write instead, and nothing is stored."""

from datetime import UTC, datetime

import pytest

from daemons import Gate
from mainspring import (
    Daemon,
    InvalidArguments,
    InvalidValue,
    MainspringError,
    UnknownFunction,
)


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

    return [lambda: None, local, len, dict, Gate().open]


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
