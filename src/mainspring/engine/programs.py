"""Programs as tasks: what a node has to run them, and what they see.

`Programs` launches one keeper process (see `keeper`) and, when that dies, another one for later programs.
Time limits are the caller's: it calls `terminate` on the handle.
"""

import os
import sys
import threading
import weakref
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta

from mainspring.engine.program_link import GRACE_US, Link, OnExit, OnOutput, ProgramHandle, ProgramResult
from mainspring.errors import InvalidValue, NotAllowed

__all__ = ["GRACE_US", "ProgramHandle", "ProgramResult", "Programs", "environment"]

_INHERITED = ("PATH", "HOME", "LANG", "TZ", "USER", "LOGNAME", "SHELL", "TMPDIR")
_KEEPERS = 3  # how many are tried for one program
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def environment(extra: Mapping[str, str] | None, *, task_id: str, attempt: int, run_at: int) -> dict[str, str]:
    """All that a task's program sees: a few variables of the daemon, `extra` over them, and what says which task it is.

    `run_at` in µs UTC; the program gets it as ISO 8601.
    """
    kept = {name: value for name, value in os.environ.items() if name in _INHERITED or name.startswith("LC_")}
    moment = (_EPOCH + timedelta(microseconds=run_at)).isoformat(timespec="microseconds").replace("+00:00", "Z")
    identity = {"MAINSPRING_TASK_ID": task_id, "MAINSPRING_ATTEMPT": str(attempt), "MAINSPRING_RUN_AT": moment}
    return {**kept, **(extra or {}), **identity}


class Programs:
    """Runs programs through a keeper process, which is launched on first use.

    `lock_fds` are held open by the keeper until everything it started is gone. After a fork the child's object is not
    started, has no `lock_fds`, and holds nothing of its parent's keeper. Stop waits; stop twice, or before start, is
    fine; it can be used again.
    """

    def __init__(self, lock_fds: Sequence[int] = ()) -> None:
        self._lock_fds: tuple[int, ...] = tuple(lock_fds)
        self._lock = threading.Lock()
        self._link: Link | None = None
        self._last_id = 0
        _forkable.add(self)

    def warm(self) -> None:
        """Launch the keeper now, so that the first program need not wait for it (20 to 30 ms)."""
        self._current()

    def run(
        self,
        command: Sequence[str],
        *,
        cwd: str,
        env: Mapping[str, str],
        on_output: OnOutput | None = None,
        on_start: Callable[[ProgramHandle], None] | None = None,
    ) -> ProgramResult:
        """Run a program and wait for its end. `on_start` gets the handle, for whoever may have to terminate it."""
        handle = self.spawn(command, cwd=cwd, env=env, on_output=on_output)
        if on_start is not None:
            on_start(handle)
        result = handle.wait()
        assert result is not None
        return result

    def spawn(
        self,
        command: Sequence[str],
        *,
        cwd: str,
        env: Mapping[str, str],
        executable: str | None = None,
        on_output: OnOutput | None = None,
        on_exit: OnExit | None = None,
    ) -> ProgramHandle:
        """Ask for a program; returns at once. `env` is all that it sees (see `environment`).

        `executable` is what is really started (None: the command's first word), so that what was allowed is what runs.

        `on_output(stream, data)` and `on_exit(result)` are called on the thread that reads for all programs: be quick.
        A program that cannot be started has a result with `error`; it may be there before this returns.
        """
        if os.name != "posix":
            raise NotAllowed(
                "programs need a POSIX system in this version; add a function that runs the program instead"
            )
        if not command:
            raise InvalidValue("a program is a list with its name and its arguments; this list is empty")
        with self._lock:
            self._last_id += 1
            handle = ProgramHandle(self._last_id, on_output, on_exit)
        request = {
            "do": "start",
            "id": handle.id,
            "command": list(command),
            "executable": executable or command[0],
            "cwd": os.path.abspath(cwd),
            "env": dict(env),
        }
        try:
            # a keeper that has just died, unasked, has started nothing: a new one is launched
            if not any(self._current().start(handle, request) for _ in range(_KEEPERS)):
                why = f"its keeper ended at once, {_KEEPERS} times; is {sys.executable!r} a Python interpreter?"
                handle.settle(ProgramResult(error=f"the program could not be started: {why}"))
        except OSError as error:
            handle.settle(ProgramResult(error=f"the program could not be started: {error}"))
        return handle

    def stop(self, grace_us: int = GRACE_US) -> None:
        """End every program, and what they left behind: TERM, KILL `grace_us` later. Returns when all are gone."""
        with self._lock:
            link, self._link = self._link, None
        if link is not None:
            link.stop(grace_us)

    def _current(self) -> "Link":
        with self._lock:
            if self._link is None or self._link.ended:
                self._link = Link(self._lock_fds)
                _forkable.add(self._link)
            return self._link

    def forget(self) -> None:
        """In the child of a fork: as if it had never been started."""
        self._lock = threading.Lock()
        self._link = None
        self._lock_fds = ()


_forkable: "weakref.WeakSet[Programs | Link]" = weakref.WeakSet()


def _forget_all() -> None:
    for one in list(_forkable):
        one.forget()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_all)
