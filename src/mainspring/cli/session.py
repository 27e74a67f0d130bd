"""Which store a verb works on, and the client for it. Looking never creates a store."""

import os
import shlex
from datetime import tzinfo
from typing import TYPE_CHECKING

import click

from mainspring.cli.failure import NOT_FOUND, Failure
from mainspring.cli.terminal import say, write_json

if TYPE_CHECKING:
    from mainspring.app import Daemon
    from mainspring.client import Client
    from mainspring.settings import Settings
    from mainspring.store.outbox_connections import Place
    from mainspring.store.protocol import Store


class Session:
    """The common options of a verb, and what follows from them."""

    def __init__(self, *, store: str | None, app: str | None, as_json: bool, debug: bool) -> None:
        self.store_flag = store
        self.app_flag = app
        self.as_json = bool(as_json)
        self.debug = bool(debug)
        self._settings: Settings | None = None
        self._client: Client | None = None
        self._daemon: Daemon | None = None
        self.start_command = "mainspring run"

    # ── the store ──────────────────────────────────────────────────────────────────────────────────────────
    @property
    def client(self) -> "Client":
        """A client of a store that is there; a missing one is not found."""
        return self._connect(create=False)

    @property
    def adding_client(self) -> "Client":
        """A client of a store that is made when it is missing."""
        return self._connect(create=True)

    @property
    def url(self) -> str:
        """The full URL of the store; neither opened nor made."""
        return self._place()[0].store

    @property
    def outboxes(self) -> "tuple[Place, ...]":
        """The databases that tasks come from."""
        from mainspring.setting_values import file_of
        from mainspring.transactional import places_of

        settings = self._place()[0]
        return places_of(settings.outboxes, file_of(settings.store))

    def _connect(self, *, create: bool) -> "Client":
        if self._client is None:
            from mainspring.adding import Adder
            from mainspring.client import Client
            from mainspring.tasks.registry import Registry
            from mainspring.when.clock import SystemClock

            settings, daemon = self._place()
            if settings.store == "memory:":
                raise click.UsageError("a store in memory lives in one process alone; give --store a path")
            registry = Registry(os.getcwd(), settings.allow) if daemon is None else daemon.registry
            self._client = Client(
                open_store=lambda: self._open(settings.store, create=create),
                registry=registry,
                clock=SystemClock(),
                adder=Adder(registry, settings.tz),
            )
        return self._client

    def _open(self, url: str, *, create: bool) -> "Store":
        from mainspring.errors import StoreNotFound
        from mainspring.setting_values import shown_url
        from mainspring.settings import open_store

        try:
            return open_store(url, create=create)
        except StoreNotFound:
            raise Failure(
                f"there is no store at {shown_url(url)}; it is made by `{self.start_command}`, or by the first task "
                f"that is added (`mainspring now -- PROGRAM`); --store names another place",
                NOT_FOUND,
            ) from None

    def _place(self) -> "tuple[Settings, Daemon | None]":
        """The settings that hold, and the Daemon they are from, if one was named."""
        from mainspring.cli.apps import load_app
        from mainspring.setting_values import shown_url
        from mainspring.settings import load_settings, set_flags

        if self._settings is not None:
            return self._settings, self._daemon
        set_flags({"store": self.store_flag})
        settings = load_settings({})
        spec = self.app_flag or self._app_of(settings)
        if spec is not None:
            self._daemon = load_app(spec)
            self.check_store(self._daemon, spec)
            settings = self._daemon.settings
            self.start_command = f"mainspring run {spec}"
        elif settings.origins["store"].startswith("flag"):
            self.start_command = f"mainspring run --store {shlex.quote(shown_url(self.store_flag or ''))}"
        self._settings = settings
        return settings, self._daemon

    def _app_of(self, settings: "Settings") -> str | None:
        """The app that environment or file name, unless a store was named at least as clearly."""
        return settings.app if _rank(settings.origins["app"]) < _rank(settings.origins["store"]) else None

    def check_store(self, daemon: "Daemon", spec: str) -> None:
        """--store and a Daemon whose code names another store: an error, or the wrong store would be touched."""
        from mainspring.setting_values import shown_url, store_url

        if self.store_flag is None or not daemon.settings.origins["store"].startswith("argument"):
            return
        if store_url(self.store_flag, os.getcwd()) != daemon.settings.store:
            raise click.UsageError(
                f"--store {shown_url(self.store_flag)}: the code of {spec} says {shown_url(daemon.settings.store)} "
                f"itself; leave one out"
            )

    def close(self) -> None:
        """Let go of the store."""
        if self._client is not None:
            self._client.close()
            self._client = None

    def bounded_client(self, wait: str | None) -> "Client":
        """`adding_client`, for adding tasks: to a full queue it refuses, or waits for room as long as `wait` says.

        The setting `when_full` is for programs: a command that hangs without having been asked to is a surprise.
        """
        from mainspring.bound import Bound
        from mainspring.when.durations import parse_duration

        timeout = None if wait is None else parse_duration(wait)
        client, most = self.adding_client, self._place()[0].max_pending
        if most is not None:
            client.bound = Bound(client, most, waits=timeout is not None, timeout=timeout)
        return client

    # ── times ──────────────────────────────────────────────────────────────────────────────────────────────
    def now(self) -> int:
        """The instant (µs), also where there is no store."""
        from mainspring.when.clock import SystemClock

        return SystemClock().now()

    def zone(self, tz: str | None = None) -> tzinfo:
        """Where wall times are read and shown: --tz, the setting `tz`, or the zone of this machine."""
        from mainspring.when.instants import load_zone
        from mainspring.when.wall import local_zone

        if tz is not None:
            return load_zone(tz)
        return self._place()[0].tz or local_zone()

    # ── answering ──────────────────────────────────────────────────────────────────────────────────────────
    def answer(self, value: object) -> bool:
        """With --json: write the document, True."""
        if self.as_json:
            write_json(value)
        return self.as_json

    def warn_if_nobody_runs(self) -> None:
        """One line when what was added will wait for somebody."""
        client = self.adding_client
        if not any(node.alive for node in client.store.nodes()):
            say(f"warning: no daemon runs {client.store.url}; it waits there. Start one: {self.start_command}")


def _rank(origin: str) -> int:
    """How near to the person a setting was said: flag, environment, file, default."""
    if origin.startswith(("flag", "argument")):
        return 0
    if origin.startswith("MAINSPRING_"):
        return 1
    return 3 if origin == "default" else 2
