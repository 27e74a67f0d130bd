"""A process whose listeners run in children and never end; it says their pids, and waits to be killed."""
# ruff: noqa: T201  # what a listener prints, its daemon logs

import ctypes
import logging
import os
import signal
import threading

from support import say

from mainspring.engine import child_setup
from mainspring.engine.child_places import ChildPlaces
from mainspring.engine.coroutines import CoroutineLoop
from mainspring.engine.definitions import ListenerDefinition, Work, encode
from mainspring.engine.events import Events
from mainspring.engine.service import ThreadLoop
from mainspring.engine.supervisor import Supervisor
from mainspring.store.memory import MemoryStore
from mainspring.store.rows import NewNode, Standing
from mainspring.tasks.registry import Registry
from mainspring.when.clock import SystemClock


def hold():
    """Never lets go of the interpreter."""
    print("running", os.getpid())
    ctypes.PyDLL(None).sleep(600)  # a sleeping body


def stay():
    print("running", os.getpid())
    threading.Event().wait()


async def block():
    """Never lets go of the loop."""
    print("running", os.getpid())
    threading.Event().wait()


def main():
    lines = logging.getLogger("mainspring.listener")
    lines.setLevel(logging.INFO)
    handler = logging.Handler()
    handler.emit = lambda record: say(record.getMessage().partition(": ")[2])
    lines.addHandler(handler)
    clock, store, registry = SystemClock(), MemoryStore(), Registry()
    for body in (hold, stay, block):
        registry.add(body)
        definition = encode(ListenerDefinition(work=Work(work=f"listener_parent:{body.__name__}")))
        store.put(Standing(kind="listener", name=body.__name__, definition=definition))
    desk, loop = ThreadLoop("desk", clock), ThreadLoop("listeners", clock)
    places = ChildPlaces(setup=child_setup.here(), locks=(), workers=2, clock=clock, loop=loop, grace=1)
    supervisor = Supervisor(
        store=store, node=store.join(NewNode(host="here", pid=1, version="1", workers=1, started_at=0)).node,
        clock=clock, loop=desk, registry=registry, coroutines=CoroutineLoop(), programs=None, events=Events(),
        places=places,
    )  # fmt: skip
    loop.start([places])
    desk.start([supervisor])
    signal.pause()


if __name__ == "__main__":
    main()
