"""What a daemon does at the edges of its life: the foreground run, what it may run, who runs the store at all."""

import logging
import os
import signal
import socket
import stat
import threading
from typing import TYPE_CHECKING

import msgspec

from mainspring.errors import Misuse
from mainspring.settings import Settings
from mainspring.status import unknown_to_all
from mainspring.store.rows import Filter
from mainspring.task import Task
from mainspring.tasks.state import State

if TYPE_CHECKING:
    from mainspring.app import Daemon
    from mainspring.engine.child_messages import Setup
    from mainspring.engine.plan import Plan
    from mainspring.engine.service import ManualDriver

log = logging.getLogger("mainspring")

_PAGE = 1_000
_ENDING = (signal.SIGINT, signal.SIGTERM)


def make_plan(daemon: "Daemon", driver: "ManualDriver | None") -> "Plan":
    """What the engine of this daemon goes by."""
    from mainspring.engine.plan import Plan
    from mainspring.transactional import places_of
    from mainspring.version import __version__

    settings = daemon.settings
    pool = settings.pool or ("threads" if daemon.alone is None else "processes")
    return Plan(
        workers=settings.workers,
        listener_workers=settings.listener_workers,
        queues=settings.queues,
        programs=programs_allowed(settings, daemon.store.url),
        retention=settings.retention,
        grace=settings.grace,
        # moved by hand, a clock goes from instant to instant: nobody is silent in between
        lease=settings.lease if driver is None else None,
        app=daemon.name,
        version=__version__,
        setup=_setup(daemon) if pool == "processes" else None,
        executor=None if isinstance(pool, str) else pool,
        outboxes=places_of(settings.outboxes, daemon.store_file),
        outbox_programs=bool(settings.programs),
        eager=daemon.alone is None or daemon.alone.app is not None,
    )


def _setup(daemon: "Daemon") -> "Setup":
    """What its worker processes have to be. What the command line said holds for them, too."""
    from mainspring.engine.child_setup import here

    settings = daemon.settings
    said = settings.origins["store"].startswith("flag") and not daemon.store.url.startswith("memory")
    return here(
        app=None if daemon.alone is None else daemon.alone.app,
        script=daemon.alone is None,
        directory=daemon.registry.directory,
        allow=settings.allow,
        environ={"MAINSPRING_STORE": settings.store} if said else None,
        max_tasks=settings.max_tasks_per_child,
        max_memory=settings.max_memory_per_child,
        log_level=logging.getLogger().getEffectiveLevel(),
    )


def run_until_signal(daemon: "Daemon") -> None:
    """Start, wait for SIGINT or SIGTERM, drain. A second signal hurries; a third ends the process at once."""
    if threading.current_thread() is not threading.main_thread():
        raise Misuse(
            "run() must be called from the main thread, where signals arrive; elsewhere use start() and stop()"
        )
    # the number of each signal arrives here, whatever this thread is at: a handler in Python runs when the interpreter
    # comes to it, and never if the signal came in the moment before this thread began to wait for a lock
    inbox, bell = socket.socketpair()
    bell.setblocking(False)

    def hurry() -> None:
        if _next_ending(inbox) is None:
            return
        log.info("hurrying: what runs is asked to stop; a third signal ends this process at once")
        daemon.hurry()
        if (number := _next_ending(inbox)) is not None:
            os._exit(128 + number)

    before = {one: signal.signal(one, lambda *_: None) for one in _ENDING}
    bell_before = signal.set_wakeup_fd(bell.fileno(), warn_on_full_buffer=False)
    hurrying = threading.Thread(target=hurry, name="mainspring-signals", daemon=True)
    try:
        if not daemon.started:
            daemon.start()
        log.info("ready: %s, %d workers", daemon.store.url, daemon.settings.workers)
        _next_ending(inbox)
        daemon.start_nothing_more()  # before it is said
        hurrying.start()
        log.info("stopping: what runs has %.1f s to end; a second signal hurries", daemon.settings.grace / 1e6)
        daemon.stop()
        log.info("stopped")
    finally:
        daemon.stop(0)
        signal.set_wakeup_fd(bell_before)
        for one, handler in before.items():
            signal.signal(one, handler)
        bell.close()  # ends who waits at the other end
        if hurrying.ident is not None:
            hurrying.join()
        inbox.close()


def _next_ending(inbox: socket.socket) -> int | None:
    """Wait for the next signal that asks for an end; None when no more can come."""
    while data := inbox.recv(1):
        if data[0] in _ENDING:
            return data[0]
    return None


def take_turns_until(daemon: "Daemon", driver: "ManualDriver", task: Task[object], timeout: int | None) -> None:
    """Inline, or with a clock that is moved by hand: run what falls due until the task finished or `timeout` µs are
    over.
    """
    looked_at = daemon.clock.now()  # before the turns: what falls due after them is still to be run
    driver.settle()
    if task.refresh().finished:
        return
    if hasattr(daemon.clock, "attach") or driver.inside():  # here time stands still
        if timeout is None:
            raise Misuse(
                f"task {task.id} is {task.state} until {task.run_at.isoformat()} and the clock is moved by hand: "
                f"advance it, or give wait() a timeout"
            )
        return
    end = None if timeout is None else daemon.clock.now() + timeout
    sleeper, watch = daemon.clock.sleeper(), daemon.store.watch()
    sleeper.watch(watch.fileno())
    try:
        while not task.refresh().finished:
            now = daemon.clock.now()
            if end is None and task.state is State.WAITING and task.row.run_at <= looked_at:
                raise Misuse(
                    f"task {task.id} is due and nothing runs it (paused, or its function is not known); give wait() "
                    f"a timeout"
                )
            if end is not None and now >= end:
                return
            sleeper.sleep(min((at for at in (driver.wanted, end) if at is not None), default=None))
            watch.drain()
            looked_at = daemon.clock.now()
            driver.settle()
    finally:
        watch.close()
        sleeper.close()


def programs_allowed(settings: Settings, url: str) -> bool | tuple[str, ...]:
    """Which programs this daemon may start: as set; else all for a store that only this user (or root) can write."""
    if settings.programs is not None:
        return settings.programs
    if not url.startswith("sqlite:///"):
        return url.startswith("memory:")
    try:
        found = os.stat(url.removeprefix("sqlite://"))
    except OSError:
        return False
    ours = not hasattr(os, "getuid") or found.st_uid in {0, os.getuid()}
    return ours and not found.st_mode & (stat.S_IWGRP | stat.S_IWOTH)


def warn_if_nobody_runs(daemon: "Daemon") -> None:
    """Say once that nobody runs what is added, with the command that would."""
    if any(node.alive for node in daemon.store.nodes()):
        return
    url = daemon.store.url
    log.warning(
        "no daemon runs %s: what is added waits there. Start one with: mainspring run --store %s   (or %s:NAME, the "
        "module and the variable of your Daemon)",
        url, url, daemon.name,
    )  # fmt: skip


def drained(daemon: "Daemon") -> bool:
    """Nothing due and nothing running, but for what is paused or unresolved."""
    store = daemon.store
    if store.find(Filter(states=(State.RUNNING,), limit=1)):
        return False
    now, paused = daemon.clock.now(), store.paused()
    unknown = unknown_to_all([node for node in store.nodes() if node.alive])
    free = store.next_due([lane.id for lane in store.lanes() if lane.id not in unknown])
    if free is not None and free <= now:
        return False
    if None in paused:
        return True
    # what a daemon holds and has not started: of what nobody can run there may be any number before it
    due = Filter(states=(State.WAITING,), due_before=now, limit=_PAGE)
    while rows := store.find(due):
        if any(row.holder is not None and row.queue not in paused for row in rows):
            return False
        due = msgspec.structs.replace(due, after=(rows[-1].run_at, rows[-1].id))
    return True
