"""The daemon: declares tasks, schedules and listeners, and runs them when it is started."""

import atexit
import logging
import os
import sys
import threading
import weakref
from collections.abc import Iterable, Mapping, Sequence
from datetime import tzinfo
from types import TracebackType
from typing import TYPE_CHECKING, Never, ParamSpec, Self, TypeVar

import msgspec

from mainspring.adding import Adder, Duration
from mainspring.bound import bound_of
from mainspring.declaring import Declaring
from mainspring.engine.events import Events, Observer
from mainspring.errors import InvalidArguments, Misuse
from mainspring.setting_values import file_of
from mainspring.settings import Settings, load_settings, open_store, unknown_setting
from mainspring.task import Task
from mainspring.tasks.names import real_module
from mainspring.tasks.place import found, in_child, refuse_adding, refuse_start
from mainspring.tasks.registry import Registry
from mainspring.when.clock import Clock, SystemClock
from mainspring.when.durations import parse_duration

if TYPE_CHECKING:
    from concurrent.futures import Executor

    from mainspring.aio import DaemonAio
    from mainspring.engine.engine import Engine
    from mainspring.engine.service import ManualDriver

P = ParamSpec("P")
R = TypeVar("R")

log = logging.getLogger("mainspring")

_UNTOLD_US = 250_000


class Alone(msgspec.Struct, frozen=True):
    """This process is there for the daemon alone (`mainspring run`). `app`: "module:attribute", if it has one."""

    app: str | None = None


class Daemon(Declaring):
    """Runs any function or program at any instant, from a durable queue, on a fixed number of workers.

    Not started, it is a client of its store: it adds, looks and steers. See the reference for each setting; what is
    not given here is taken from `MAINSPRING_*`, then from `[tool.mainspring]`, then from the defaults (shown there).
    """

    _aio: "DaemonAio | None" = None

    def __init__(
        self,
        store: str | os.PathLike[str] | None = None,
        *,
        workers: int | None = None,
        pool: "str | Executor | None" = None,
        max_tasks_per_child: int | None = None,
        max_memory_per_child: int | str | None = None,
        listener_workers: int | None = None,
        queues: Mapping[str, int | None] | Iterable[str] | None = None,
        max_pending: int | None = None,
        when_full: str | None = None,
        full_timeout: Duration | None = None,
        retention: Duration | None = None,
        grace: Duration | None = None,
        lease: Duration | None = None,
        tz: str | tzinfo | None = None,
        name: str | None = None,
        allow: Sequence[str] | None = None,
        programs: bool | Sequence[str] | None = None,
        outboxes: Sequence[object] | None = None,
        clock: Clock | None = None,
        inline: bool = False,
        **unknown: Never,
    ) -> None:
        if unknown:
            raise InvalidArguments(unknown_setting(next(iter(unknown))))
        self.settings: Settings = load_settings(
            {
                "store": "memory:" if store is None and inline else store,
                "workers": workers, "pool": pool, "listener_workers": listener_workers,
                "max_tasks_per_child": max_tasks_per_child, "max_memory_per_child": max_memory_per_child,
                "queues": queues, "max_pending": max_pending, "when_full": when_full, "full_timeout": full_timeout,
                "retention": retention, "grace": grace, "lease": lease, "tz": tz, "name": name, "allow": allow,
                "programs": programs, "outboxes": outboxes, "clock": clock,
            }
        )  # fmt: skip
        settings = self.settings
        registry = Registry(os.getcwd(), settings.allow)
        super().__init__(
            name=settings.name or real_module(sys._getframe(1).f_globals.get("__name__", "__main__")),  # noqa: SLF001
            open_store=lambda: open_store(settings.store, create=True),
            registry=registry,
            clock=clock or SystemClock(),
            adder=Adder(registry, settings.tz),
        )
        self.bound = bound_of(self, settings)
        self.events = Events()
        self._life = threading.RLock()
        self._engine: Engine | None = None
        self._ending: Engine | None = None
        self._driver: ManualDriver | None = None
        self._inline = inline
        self._warned = False
        self.alone: Alone | None = None
        _daemons.add(self)
        found(registry)
        if inline:
            self.start()

    # ── life ───────────────────────────────────────────────────────────────────────────────────────────────
    @property
    def started(self) -> bool:
        """Does this object run tasks, in this process?"""
        return self._engine is not None

    def observe(self, observer: Observer) -> None:
        """Call `observer` with each event of this daemon; it can break nothing."""
        self.events.subscribe(observer)

    def start(self) -> None:
        """Take part in the work of the store, in the background. Starting twice is an error."""
        refuse_start()
        from mainspring.engine.engine import Engine
        from mainspring.eventlog import EventLog
        from mainspring.lifecycle import make_plan
        from mainspring.when.wall import local_zone

        with self._life:
            if self._engine is not None:
                raise Misuse("this daemon is started already; one start, one stop")
            driver = self._make_driver()
            plan = make_plan(self, driver)
            self.reconcile()
            self.events.journalist = EventLog(self, self.settings.tz or local_zone()).event
            engine = Engine(
                store=self.store, registry=self.registry, clock=self.clock, events=self.events, plan=plan, driver=driver
            )
            try:
                engine.start()
            except BaseException:
                engine.stop(0)
                raise
            self._engine, self._driver = engine, driver
            if driver is not None and (attach := getattr(self.clock, "attach", None)) is not None:
                attach(driver)
            _at_exit()
        self.after_adding()

    def _make_driver(self) -> "ManualDriver | None":
        """Who takes the turns: threads, or (inline, or with a clock that is moved by hand) whoever calls."""
        if not self._inline and not hasattr(self.clock, "attach"):
            return None
        from mainspring.engine.service import ManualDriver

        return ManualDriver(self.clock)

    def declared(self) -> None:
        """See `Declaring`; a daemon that runs takes up at once what is declared later."""
        if self._engine is not None:
            self.reconcile()
            self._engine.wake()

    def stop(self, grace: Duration | None = None) -> None:
        """Start nothing more, let what runs end within `grace`, give back the rest. Stopping twice, or before start,
        is fine.
        """
        with self._life:
            engine, self._engine = self._engine, None
            driver, self._driver = self._driver, None
            self._ending = engine or self._ending  # `hurry` must still reach it
        if engine is not None:
            engine.stop(None if grace is None else parse_duration(grace))
            self._ending = None
            if driver is not None and (detach := getattr(self.clock, "detach", None)) is not None:
                detach(driver)

    def start_nothing_more(self) -> None:
        """The first part of a stop: what runs goes on, and nothing else begins."""
        with self._life:
            if self._engine is not None:
                self._engine.start_nothing_more()

    def hurry(self) -> None:
        """Cut short the grace of a stop that is going on."""
        with self._life:
            engine = self._engine or self._ending
        if engine is not None:
            engine.hurry()

    def run(self) -> None:
        """In the foreground until SIGINT or SIGTERM, then drain; a second signal hurries."""
        from mainspring.lifecycle import run_until_signal

        run_until_signal(self)

    def drain(self, timeout: Duration | None = None) -> bool:
        """Wait until nothing is due and nothing runs; False when `timeout` was over first. Future tasks are not
        waited for.

        Tasks that are paused, or that no running daemon knows, do not count.
        """
        from mainspring.lifecycle import drained

        if self._driver is not None:
            self._driver.settle()
            return drained(self)
        wait = None if timeout is None else parse_duration(timeout)

        def look() -> bool | None:
            engine = self._engine
            if engine is not None:
                engine.await_quiet(wait)  # what this process knows is told at once; the store is asked only then
            return drained(self) or None

        # what a daemon cannot run is no news: it is looked for
        return self._waiting.until(look, wait, every=_UNTOLD_US) is not None

    def __enter__(self) -> Self:
        if self._engine is None:
            self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    @property
    def aio(self) -> "DaemonAio":
        """See `Client`; also start, stop and drain."""
        if self._aio is None:
            from mainspring.aio import DaemonAio

            self._aio = DaemonAio(self)
        return self._aio

    async def __aenter__(self) -> Self:
        if not self.started:
            await self.aio.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aio.stop()

    # ── what a client asks of a daemon ─────────────────────────────────────────────────────────────────────
    def before_adding(self) -> None:
        """Warn once when nobody would run what is added."""
        refuse_adding()
        if self._warned or self._engine is not None or in_child():
            return
        self._warned = True
        from mainspring.lifecycle import warn_if_nobody_runs

        warn_if_nobody_runs(self)

    @property
    def carries_programs(self) -> bool:
        """See `Client`; only where it was said which may run."""
        return bool(self.settings.programs)

    @property
    def store_file(self) -> str | None:
        """See `Client`; the store is not opened for it."""
        return file_of(self.settings.store)

    @property
    def by_hand(self) -> bool:
        """See `Client`: with a clock that is moved by hand, and inline."""
        return self._driver is not None

    def after_adding(self) -> None:
        """Driven by hand: take the turns now."""
        driver = self._driver
        if driver is not None:
            driver.settle()

    def own_answer(self, node: int) -> bool:
        """See `Steering`; nobody but this thread would answer for a daemon that is driven by hand."""
        return self._driven(node) is not None

    def answer_own(self, node: int) -> None:
        """See `Steering`; also inside a body, where no turn can be taken."""
        engine = self._driven(node)
        if engine is not None:
            engine.answer()

    def _driven(self, node: int) -> "Engine | None":
        """The engine of this node, if whoever moves this daemon's clock takes its turns: it may be another daemon's."""
        for daemon in (self, *_daemons):
            engine = daemon._engine  # noqa: SLF001  # of its own kind
            if daemon._driver is not None and engine is not None and engine.node == node:  # noqa: SLF001
                own = daemon is self or (daemon.clock is self.clock and hasattr(self.clock, "attach"))
                if own and (engine.store is self.store or engine.store.url == self.store.url != "memory:"):
                    return engine
        return None

    def wait_for(self, task: Task[object], timeout: int | None) -> None:
        """See `Client`; driven by hand, what falls due meanwhile is run by this very thread."""
        if self._driver is None:
            super().wait_for(task, timeout)
            return
        from mainspring.lifecycle import take_turns_until

        take_turns_until(self, self._driver, task, timeout)

    def forget_engine(self) -> None:
        """In the child of a fork: not started. The threads of the parent's engine do not exist here."""
        self._life = threading.RLock()
        self._opening = threading.Lock()
        self._engine = None
        self._ending = None
        self._driver = None
        if self.bound is not None:
            self.bound.after_fork_in_child()


_daemons: "weakref.WeakSet[Daemon]" = weakref.WeakSet()
_registered_at_exit = False


def _at_exit() -> None:
    """At the end of the interpreter: no new starts, running tasks get their grace, the rest waits in the store."""
    global _registered_at_exit  # noqa: PLW0603  # once a process
    if not _registered_at_exit:
        _registered_at_exit = True
        atexit.register(_stop_all)


def _stop_all() -> None:
    for daemon in tuple(_daemons):
        daemon.stop()


def _after_fork() -> None:
    for daemon in tuple(_daemons):
        daemon.forget_engine()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
