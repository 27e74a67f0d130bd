"""The one daemon of a process, made from the settings and started on first use."""

import os
import threading
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Unpack

from mainspring.tasks.place import is_client

if TYPE_CHECKING:
    from mainspring.adding import Duration, Moment, Said, Work
    from mainspring.app import Daemon
    from mainspring.standing import Listener
    from mainspring.task import Task

_lock = threading.Lock()
_daemon: "Daemon | None" = None


def get_daemon(*, start: bool = True) -> "Daemon":
    """The one daemon of this process: the same object ever after, from any thread. `start=False`: its client form.

    In the child of a fork it is the same object, not started; the next call starts it there. In a process that runs a
    daemon's tasks it is always the client form.
    """
    global _daemon  # noqa: PLW0603  # this is the singleton
    from mainspring.app import Daemon

    with _lock:
        if _daemon is None:
            _daemon = Daemon(name=_name())
        if start and not _daemon.started and not is_client():
            _daemon.start()
        return _daemon


def _name() -> str | None:
    """The settings' name, else the program's own module: it is the program that declares, not this file."""
    from mainspring.settings import load_settings
    from mainspring.tasks.names import real_module

    return load_settings({}).name or real_module("__main__")


def add_task(
    work: "Work",
    args: Sequence[object] = (),
    kwargs: Mapping[str, object] | None = None,
    *,
    at: "Moment | None" = None,
    after: "Duration | None" = None,
    **said: "Unpack[Said]",
) -> "Task[object]":
    """Short for `get_daemon().add_task(...)`."""
    return get_daemon().add_task(work, args, kwargs, at=at, after=after, **said)


def add_listener(
    work: "Work",
    *,
    args: Sequence[object] = (),
    kwargs: Mapping[str, object] | None = None,
    pause: "Duration" = "10ms",
    everywhere: bool = False,
    **said: "Unpack[Said]",
) -> "Listener":
    """Short for `get_daemon().add_listener(...)`."""
    return get_daemon().add_listener(work, args=args, kwargs=kwargs, pause=pause, everywhere=everywhere, **said)


def _after_fork() -> None:
    global _lock  # noqa: PLW0603  # the parent may have held it at the fork
    _lock = threading.Lock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
