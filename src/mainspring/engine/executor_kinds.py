"""What can be known of an executor: where it runs things, whether it is exact about it, and why it fails."""

import enum
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from concurrent.futures import Executor


class Ill(enum.Enum):
    """Why an executor runs nothing for now, with what to do about it."""

    BROKEN = (
        "Its workers have died. The standard library's pools never come back from that: make a new executor and a "
        "new Daemon with it, and see in the tasks that were lost what killed them."
    )
    REFUSES = "If it was shut down, that is for ever: stop the daemon first, then its executor."
    UNREADABLE = (
        "Where it runs its tasks there is no Mainspring to run them, or another version: install the same one there."
    )
    FAILED = "What it had in hand counts as lost. See what the executor itself has logged."
    CLOCK = "Let the machines agree on the time (NTP, chrony)."


def runs_here(executor: "Executor") -> bool:
    """Does it run things on threads of this very process, on which they share its memory?"""
    from concurrent.futures import ThreadPoolExecutor

    return isinstance(executor, ThreadPoolExecutor) and not _of_interpreters(executor)


def is_exact(executor: "Executor") -> bool:
    """Does it run a call once at most, and is a future of it `running()` from then on, and cancelled only before?

    `concurrent.futures` asks for the latter. Dask's futures are never running, let themselves be cancelled while a
    worker is at them, and are run again when a worker dies. So only those that are known are believed.
    """
    from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor

    known: tuple[type, ...] = (ThreadPoolExecutor, ProcessPoolExecutor)
    loky = sys.modules.get("loky.process_executor")
    if loky is not None:
        known += (loky.ProcessPoolExecutor,)
    return isinstance(executor, known)


def forks(executor: "Executor") -> bool:
    """Does it make its processes by a fork, as the standard library's does by itself on Linux before Python 3.14?"""
    from concurrent.futures import ProcessPoolExecutor

    if not isinstance(executor, ProcessPoolExecutor):
        return False
    made_by = getattr(executor, "_mp_context", None)
    return getattr(made_by, "get_start_method", lambda: None)() == "fork"


def illness(error: BaseException) -> Ill | None:
    """What an exception of an executor's own says of it; None: it lost this task and is well."""
    from concurrent.futures import BrokenExecutor
    from pickle import PickleError

    if type(error).__name__ == "KilledWorker":  # Dask: the workers that had this one died, and were replaced
        return None
    if isinstance(error, BrokenExecutor):
        return Ill.BROKEN
    chain: BaseException | None = error
    while chain is not None:
        if isinstance(chain, ImportError | AttributeError | PickleError):
            return Ill.UNREADABLE
        chain = chain.__cause__
    return Ill.FAILED


def _of_interpreters(executor: "Executor") -> bool:
    """Python 3.14's InterpreterPoolExecutor is a ThreadPoolExecutor whose threads share nothing."""
    return any(kind.__name__ == "InterpreterPoolExecutor" for kind in type(executor).__mro__)
