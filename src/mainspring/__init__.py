"""Mainspring: any function or program, at any instant, from a durable queue, on a fixed number of workers.

The rooms, lowest first; each knows only those before it:

    when/    times as values: clocks, instants, durations, triggers
    tasks/   what is run: names, arguments, options, states, what came of it
    store/   where tasks are kept: one port, in memory and in SQLite
    engine/  how they run: claimer → timeline → timer → pool → attempt → recorder, one verb per file
    (here)   the face: `Daemon` and its client, task handles, settings
    cli/ testing/   thin edges over the face

Names are loaded on first use, so that `import mainspring` stays quick.
"""

from importlib import import_module
from typing import TYPE_CHECKING

from mainspring.version import __version__ as __version__

if TYPE_CHECKING:
    from mainspring.app import Daemon
    from mainspring.errors import (
        InvalidArguments,
        InvalidValue,
        KeyInUse,
        MainspringError,
        Misuse,
        NameInUse,
        NewerStore,
        NotAllowed,
        NotAStore,
        NotFound,
        OutsideTask,
        QueueFull,
        ResultLost,
        StoreError,
        StoreNotFound,
        TaskCancelled,
        TaskFailed,
        TaskMissed,
        TaskNotFound,
        TooLate,
        UnknownFunction,
        Unreadable,
        WaitTimeout,
    )
    from mainspring.functions import TaskFunction
    from mainspring.singleton import add_listener, add_task, get_daemon
    from mainspring.standing import Listener, Schedule
    from mainspring.task import Task
    from mainspring.tasks.context import context, stopping
    from mainspring.tasks.retry import Retry, RetryLater
    from mainspring.tasks.secrets import Secret
    from mainspring.tasks.state import State
    from mainspring.when.cron import Cron
    from mainspring.when.every import Every


_HOMES = {
    "mainspring.app": ("Daemon",),
    "mainspring.errors": (
        "InvalidArguments", "InvalidValue", "KeyInUse", "MainspringError", "Misuse", "NameInUse", "NewerStore",
        "NotAStore", "NotAllowed", "NotFound", "OutsideTask", "QueueFull", "ResultLost", "StoreError", "StoreNotFound",
        "TaskCancelled", "TaskFailed", "TaskMissed", "TaskNotFound", "TooLate", "UnknownFunction", "Unreadable",
        "WaitTimeout",
    ),
    "mainspring.functions": ("TaskFunction",),
    "mainspring.singleton": ("add_listener", "add_task", "get_daemon"),
    "mainspring.standing": ("Listener", "Schedule"),
    "mainspring.task": ("Task",),
    "mainspring.tasks.context": ("context", "stopping"),
    "mainspring.tasks.retry": ("Retry", "RetryLater"),
    "mainspring.tasks.secrets": ("Secret",),
    "mainspring.tasks.state": ("State",),
    "mainspring.when.cron": ("Cron",),
    "mainspring.when.every": ("Every",),
}  # fmt: skip
_HOME = {name: home for home, names in _HOMES.items() for name in names}

__all__ = [
    "Cron", "Daemon", "Every", "InvalidArguments", "InvalidValue", "KeyInUse", "Listener", "MainspringError", "Misuse",
    "NameInUse", "NewerStore", "NotAStore", "NotAllowed", "NotFound", "OutsideTask", "QueueFull", "ResultLost", "Retry",
    "RetryLater", "Schedule", "Secret", "State", "StoreError", "StoreNotFound", "Task", "TaskCancelled", "TaskFailed",
    "TaskFunction", "TaskMissed", "TaskNotFound", "TooLate", "UnknownFunction", "Unreadable", "WaitTimeout",
    "add_listener", "add_task", "context", "get_daemon", "stopping",
]  # fmt: skip


def __getattr__(name: str) -> object:
    home = _HOME.get(name)
    if home is None:
        raise AttributeError(f"module 'mainspring' has no attribute {name!r}")
    value = getattr(import_module(home), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
