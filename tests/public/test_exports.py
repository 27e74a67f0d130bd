"""The public surface: exactly these names, each where it says it is."""

import importlib
import inspect

import pytest

import mainspring
import mainspring.testing

NAMES = {
    "Cron", "Daemon", "Every", "InvalidArguments", "InvalidValue", "KeyInUse", "Listener", "MainspringError", "Misuse",
    "NameInUse", "NewerStore", "NotAStore", "NotAllowed", "NotFound", "OutsideTask", "QueueFull", "ResultLost", "Retry",
    "RetryLater", "Schedule", "Secret", "State", "StoreError", "StoreNotFound", "Task", "TaskCancelled", "TaskFailed",
    "TaskFunction", "TaskMissed", "TaskNotFound", "TooLate", "UnknownFunction", "Unreadable", "WaitTimeout",
    "add_listener",
    "add_task", "context", "get_daemon", "stopping",
}  # fmt: skip


def test_the_names_are_these():
    assert set(mainspring.__all__) == NAMES
    assert len(mainspring.__all__) == len(NAMES)


@pytest.mark.parametrize("name", sorted(NAMES))
def test_each_name_is_there_and_documented(name):
    value = getattr(mainspring, name)
    assert inspect.getdoc(value)
    assert name in dir(mainspring)


def test_what_type_checkers_see_is_what_there_is():
    """The imports under TYPE_CHECKING and the table of homes are two lists of one thing."""
    homes = mainspring._HOME
    assert set(homes) == NAMES
    for name, home in homes.items():
        assert getattr(importlib.import_module(home), name) is getattr(mainspring, name)
    source = inspect.getsource(mainspring).partition("_HOMES = ")[0]
    assert all(f"{name},\n" in source or f"import {name}\n" in source or f" {name}\n" in source
               or f" {name}," in source for name in NAMES)  # fmt: skip


def test_every_error_is_public_and_of_the_one_root():
    from mainspring import errors

    raised = {name for name, value in vars(errors).items() if inspect.isclass(value) and issubclass(value, Exception)}
    # between a store and the client, never seen by users; of `mainspring store` alone
    internal = {"KeyHeld", "StoreConflict"}
    assert raised - internal <= NAMES
    assert all(issubclass(getattr(errors, name), mainspring.MainspringError) for name in raised)


@pytest.mark.parametrize(
    ("error", "built_in"),
    [
        ("InvalidValue", ValueError),
        ("InvalidArguments", TypeError),
        ("UnknownFunction", LookupError),
        ("TaskNotFound", LookupError),
        ("NotFound", LookupError),
        ("WaitTimeout", TimeoutError),
        ("StoreNotFound", FileNotFoundError),
        ("NotAllowed", PermissionError),
        ("Misuse", RuntimeError),
        ("OutsideTask", RuntimeError),
    ],
)
def test_errors_are_of_the_built_in_that_fits(error, built_in):
    assert issubclass(getattr(mainspring, error), built_in)


def test_a_name_that_is_not_there_is_an_attribute_error():
    with pytest.raises(AttributeError, match="nothing_like_this"):
        _ = mainspring.nothing_like_this
    with pytest.raises(AttributeError, match="nothing_like_this"):
        _ = mainspring.testing.nothing_like_this


def test_the_test_kit():
    assert set(mainspring.testing.__all__) == {
        "Firing", "VirtualClock", "assert_not_scheduled", "assert_ran", "assert_scheduled", "virtual",
    }  # fmt: skip
    assert all(inspect.getdoc(getattr(mainspring.testing, name)) for name in mainspring.testing.__all__)
    public = {name for name in vars(mainspring.testing.VirtualClock) if not name.startswith("_")}
    assert public == {
        "advance", "advance_to", "aio", "attach", "boottime", "detach", "monotonic", "now", "on_move", "run_to_next",
        "set", "sleeper", "step", "time",
    }  # fmt: skip


def test_methods_of_a_daemon_that_the_contract_names():
    daemon = {name for name, _ in inspect.getmembers(mainspring.Daemon) if not name.startswith("_")}
    assert daemon >= {
        "add_listener", "add_schedule", "add_task", "add_tasks", "aio", "batch", "cancel", "drain", "every", "find",
        "get", "listener", "listeners", "pause", "resume", "retry", "run", "schedules", "start", "status", "stop",
        "task",
    }  # fmt: skip


def test_errors_that_cross_processes_can_be_pickled():
    import copy
    import pickle

    failed = mainspring.TaskFailed("7", "OSError", "no", "trace", "error")
    in_use = mainspring.KeyInUse("k", "7")
    for error in (failed, in_use):
        for other in (pickle.loads(pickle.dumps(error)), copy.copy(error)):
            assert (str(other), vars(other)) == (str(error), vars(error))
