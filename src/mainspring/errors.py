"""Every error a user can meet. Each says what was expected, what came, and what to do.

All are subclasses of `MainspringError` and of the built-in exception that fits, so that code which knows
nothing of Mainspring can still catch them sensibly.
"""

import queue


class MainspringError(Exception):
    """The root of all errors that Mainspring raises on purpose."""


class InvalidValue(MainspringError, ValueError):
    """A value that means nothing here: a bad instant, duration, trigger, name or setting."""


class InvalidArguments(MainspringError, TypeError, ValueError):
    """The call does not fit, or a value in it cannot be kept as JSON: what Python calls a TypeError or a ValueError."""


class UnknownFunction(MainspringError, LookupError):
    """A function that is not registered, not allowed, or cannot be named (a lambda, a local function)."""


class NotAllowed(MainspringError, PermissionError):
    """The settings of this daemon forbid it (a program where `programs` says no)."""


class KeyInUse(MainspringError):
    """Another unfinished task has this `key`; `task_id` names it."""

    def __init__(self, key: str, task_id: str) -> None:
        super().__init__(
            f"the key {key!r} belongs to the unfinished task {task_id}; wait for it, cancel it, or add with "
            f"on_conflict='keep' (returns that task) or on_conflict='replace' (cancels it first)"
        )
        self.key = key
        self.task_id = task_id

    def __reduce__(self) -> tuple[type["KeyInUse"], tuple[str, str]]:
        return KeyInUse, (self.key, self.task_id)


class QueueFull(MainspringError, queue.Full):
    """There is no room for what was to be added: nothing was. `pending`: how many tasks are due and wait, counted no
    further than `max_pending`; `adding`: how many more would be due; `why`: what kept this call from waiting for room.
    """

    def __init__(self, pending: int, max_pending: int, adding: int, why: str = "") -> None:
        many = f"{pending:,} tasks" if pending < max_pending else f"{max_pending:,} tasks or more"
        super().__init__(
            f"{many} are due and wait, {adding:,} more would be due, and max_pending is {max_pending:,}: nothing was "
            f"added{f' ({why})' if why else ''}; add workers or start a daemon (`mainspring status` shows them), raise "
            f"max_pending, or come again later"
        )
        self.pending = pending
        self.max_pending = max_pending
        self.adding = adding
        self.why = why

    def __reduce__(self) -> tuple[type["QueueFull"], tuple[int, int, int, str]]:
        return QueueFull, (self.pending, self.max_pending, self.adding, self.why)


class NameInUse(InvalidValue):
    """There is a schedule or listener of this name already."""


class TooLate(MainspringError):
    """The task started or finished before the change could be made."""


class TaskNotFound(MainspringError, LookupError):
    """No task has this id (it never existed, or its history was pruned)."""


class NotFound(MainspringError, LookupError):
    """No schedule, listener or queue has this name."""


class TaskFailed(MainspringError):
    """The task ended as `failed`. `type`, `message` and `traceback` are strings; nothing is unpickled."""

    def __init__(self, task_id: str, type: str, message: str, traceback: str = "", reason: str = "") -> None:  # noqa: A002
        head = f"task {task_id} failed"
        super().__init__(": ".join(part for part in (head, type, message) if part) or head)
        self.task_id = task_id
        self.type = type
        self.message = message
        self.traceback = traceback
        self.reason = reason

    def __reduce__(self) -> tuple[type["TaskFailed"], tuple[str, str, str, str, str]]:
        return TaskFailed, (self.task_id, self.type, self.message, self.traceback, self.reason)


class TaskCancelled(MainspringError):
    """The task ended as `cancelled`; it has no result."""


class TaskMissed(MainspringError):
    """The task ended as `missed`: its moment passed before it could start."""


class ResultLost(MainspringError):
    """The task succeeded, but what it returned could not be kept as JSON."""


class WaitTimeout(MainspringError, TimeoutError):
    """The task had not finished when the given time was over."""


class StoreError(MainspringError):
    """The store could not do it: a directory that cannot be written, a damaged file, a silent holder."""


class StoreNotFound(StoreError, FileNotFoundError):
    """Looking never creates a store, and there is none at this place."""


class NotAStore(StoreError, ValueError):
    """The file is no database, or a database of something else."""


class NewerStore(StoreError):
    """The store was written by a newer Mainspring."""


class Unreadable(StoreError):
    """What stands in the store is not what Mainspring writes: damaged, or written by something else."""


class StoreConflict(StoreError):
    """A file or a process is in the way: the backup's name is taken, or somebody has the store open."""


class OutsideTask(MainspringError, RuntimeError):
    """`context()` or `stopping()` was called where no task runs."""


class Misuse(MainspringError, RuntimeError):
    """A call that makes no sense in this state: started twice, run inside a running loop, and the like."""


class KeyHeld(StoreError):
    """A store's answer to `on_conflict="replace"`: the task with that key is reserved; ask `holder` to release it."""

    def __init__(self, key: str, task: int, holder: int) -> None:
        super().__init__(
            f"the task {task} with the key {key!r} is reserved by node {holder}; ask it to release the task"
        )
        self.key = key
        self.task = task
        self.holder = holder
