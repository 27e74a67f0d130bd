"""The process that runs tasks for a daemon: started by `child.Child`, ended by it, or by the daemon's death.

    python -c '... main()' INDEX COUNT PARENT FEED ANSWERS CONTROL JOURNAL [LOCK ...]

It reads its setup, becomes like the daemon's process (`child_load`), says that it is ready, and runs what it is fed
(`child_tasks`; `async def` listeners: `child_listeners`). SIGTERM ends it, as it ends any process; SIGINT does nothing
here: it is the daemon's to handle.
"""

import contextlib
import faulthandler
import gc
import mmap
import os
import signal
import sys

from mainspring.engine.child_lines import Lines
from mainspring.engine.child_link import Link, die
from mainspring.engine.child_listeners import Listeners
from mainspring.engine.child_load import Functions, failure
from mainspring.engine.child_messages import Ready
from mainspring.engine.child_tasks import Tasks
from mainspring.store import journal as ring
from mainspring.tasks import place
from mainspring.when.clock import SystemClock
from mainspring.when.slices import PROMPT_NS, ask_for_slice

_PR_SET_PDEATHSIG = 1
_SOONER = 200  # of 1000: as if it had a fifth of all memory more


def main() -> None:
    """Run this child to its end."""
    index, count, parent, *descriptors = map(int, sys.argv[1:])
    for fd in descriptors:
        os.set_inheritable(fd, False)  # a task's subprocesses have no part in this node's life
    feed, answers, control, journal_fd = descriptors[:4]
    _mind_signals(parent)
    _offer_to_the_oom_killer()
    place.become_child()
    link = Link(feed, answers, control)
    link.output.install()
    setup = link.setup()
    if setup.role != "tasks":
        link.output = Lines(link.send)
        link.output.install()
    link.listen()
    journal = ring.Journal(mmap.mmap(journal_fd, ring.SIZE), part=(index, count))
    journal.resume()
    functions = Functions(setup)
    own_main = sys.modules["__main__"]  # this code's globals live as long as it does
    try:
        functions.load(setup)
    except BaseException as error:  # noqa: BLE001  # whatever the user's code raises, the daemon says it
        link.send(failure(error))
        sys.stderr.flush()
        os._exit(1)  # threads that it has left would keep the process
    link.output.catch_logs(setup.log_level)
    gc.collect()
    gc.freeze()  # what was imported stays: the collector need not look at it again
    runs: Tasks | Listeners
    if setup.role == "coroutines":
        runs = Listeners(link, functions)
    else:
        runs = Tasks(link, functions, journal, SystemClock(), setup)
    ask_for_slice(PROMPT_NS)
    link.send(Ready(os.getpid()))  # from here on it can be asked to stop something
    runs.serve()
    del own_main


def _mind_signals(parent: int) -> None:
    """Signals as a fresh process has them, and a last one for when the daemon is gone."""
    if sys.__stderr__ is not None:
        faulthandler.enable(sys.__stderr__)
    signal.pthread_sigmask(signal.SIG_SETMASK, ())
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    signal.signal(signal.SIGINT, _nothing)  # not SIG_IGN, which programs of a task would inherit
    if sys.platform == "linux":
        import ctypes

        zero = ctypes.c_ulong(0)
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, ctypes.c_ulong(signal.SIGKILL), zero, zero, zero)
    if os.getppid() != parent:
        die()  # the daemon died before we asked to be told


def _offer_to_the_oom_killer() -> None:
    """When memory runs out (Linux), a child is to go before the daemon does: it costs one task."""
    with contextlib.suppress(OSError), open("/proc/self/oom_score_adj", "r+") as file:
        score = int(file.read())
        file.seek(0)
        file.write(str(min(score + _SOONER, 1000)))


def _nothing(_number: int, _frame: object) -> None:
    """The handler of a signal that is not for this process."""
