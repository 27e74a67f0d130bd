"""The settings of a daemon: typed, closed, and read once; and the one place where a URL becomes a store.

Each value is taken from the first that has it: argument, flag, environment (`MAINSPRING_WORKERS`), settings file
(`[tool.mainspring]` in the nearest pyproject.toml that has it, or mainspring.toml), default.
"""

import os
from collections.abc import Callable, Mapping
from datetime import tzinfo
from typing import TYPE_CHECKING, TypeVar

import msgspec
from msgspec import UNSET, UnsetType

from mainspring import setting_values as values
from mainspring.errors import InvalidValue, StoreError
from mainspring.when.durations import parse_duration

if TYPE_CHECKING:
    from concurrent.futures import Executor

    from mainspring.store.protocol import Store

T = TypeVar("T")

_PREFIX = "MAINSPRING_"
_FOR_PROGRAMS = frozenset({"TASK_ID", "ATTEMPT", "RUN_AT"})  # what a program is told by these is no setting


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """What a daemon goes by. Durations are microseconds; paths are absolute; `origins` says where each value is from.

    `outboxes`: absolute paths of SQLite databases, `module:attribute`, or (in code) what `transactional` knows to open.
    `queues`: those served, each with its limit (None: no own limit); None: all. `programs`: None leaves it to the
    store (a file that only its owner can write: yes). `name`: None is the module that made the daemon. `max_pending`
    None: no bound; `full_timeout` None: adding waits as long as it takes. `pool` None: threads where the daemon is part
    of a program, processes under `mainspring run`. `max_memory_per_child` is in bytes.
    """

    store: str
    workers: int
    pool: "values.Pool | Executor | None"
    max_tasks_per_child: int | None
    max_memory_per_child: int | None
    listener_workers: int
    queues: dict[str, int | None] | None
    max_pending: int | None
    when_full: values.WhenFull
    full_timeout: int | None
    retention: int
    grace: int
    lease: int
    tz: tzinfo | None
    name: str | None
    allow: tuple[str, ...]
    programs: bool | tuple[str, ...] | None
    outboxes: tuple[object, ...]
    app: str | None
    clock: object | None
    origins: dict[str, str]


_flags: dict[str, object] = {}  # what the command line of this process said

KEYS = tuple(field for field in Settings.__struct_fields__ if field != "origins")


class _Source(msgspec.Struct, frozen=True):
    """One place that may have values."""

    label: Callable[[str], str]  # of a key, for messages and `origins`
    values: Mapping[str, object]
    directory: str  # that relative paths are relative to


def set_flags(flags: Mapping[str, object]) -> None:
    """What the command line said, for every Daemon that this process makes from now on: below what its code says."""
    _flags.clear()
    _flags.update(flags)


def load_settings(
    arguments: Mapping[str, object],
    *,
    flags: Mapping[str, object] | None = None,
    environ: Mapping[str, str] | None = None,
    start: str | os.PathLike[str] | None = None,
) -> Settings:
    """Read all settings, once. `start` is the working directory: where the search for a settings file begins.

    In `arguments` and `flags` (None: those of `set_flags`), UNSET and None mean "not given". Raises `InvalidValue`
    for a bad value or an unknown key, naming the place it came from.
    """
    directory = os.path.abspath(os.getcwd() if start is None else start)
    environment = _from_environment(os.environ if environ is None else environ)
    file = find_settings_file(directory)
    sources = [
        _Source(lambda key: f"argument {key}=", _given(arguments), directory),
        _Source(lambda key: f"flag --{key.replace('_', '-')}", _given(_flags if flags is None else flags), directory),
        _Source(lambda key: _PREFIX + key.upper(), environment, directory),
    ]
    if file is not None:
        path, table = file
        sources.append(_Source(lambda key: f"{key} in {path}", table, os.path.dirname(path)))
    for source in sources:
        _refuse_unknown(source, may_have_clock=source is sources[0])
    return _chosen(_Chooser(sources), directory)


def _chosen(chooser: "_Chooser", directory: str) -> Settings:
    take = chooser.take
    return Settings(
        store=take("store", values.store_url, values.store_url(values.DEFAULT_STORE, directory)),
        workers=take("workers", values.workers(1), 8),
        pool=take("pool", values.pool, None),
        max_tasks_per_child=take("max_tasks_per_child", values.max_tasks, None),
        max_memory_per_child=take("max_memory_per_child", values.memory, None),
        listener_workers=take("listener_workers", values.workers(0), 4),
        queues=take("queues", values.queues, None),
        max_pending=take("max_pending", values.max_pending, None),
        when_full=take("when_full", values.when_full, "block"),
        full_timeout=take("full_timeout", values.duration, None),
        retention=take("retention", values.duration, parse_duration("7d")),
        grace=take("grace", values.duration, parse_duration("20s")),
        lease=take("lease", values.lease, parse_duration("30s")),
        tz=take("tz", values.zone, None),
        name=take("name", values.name, None),
        allow=take("allow", values.allow, ()),
        programs=take("programs", values.programs, None),
        outboxes=take("outboxes", values.outboxes, ()),
        app=take("app", values.app, None),
        clock=take("clock", lambda value, _: value, None),
        origins=chooser.origins,
    )


class _Chooser:
    """Takes each value from the first source that has it, and notes which that was."""

    def __init__(self, sources: list[_Source]) -> None:
        self._sources = sources
        self.origins: dict[str, str] = {}

    def take(self, key: str, read: Callable[[object, str], T], default: T) -> T:
        for source in self._sources:
            value = source.values.get(key, UNSET)
            if isinstance(value, UnsetType):
                continue
            self.origins[key] = source.label(key)
            try:
                return read(value, source.directory)
            except InvalidValue as error:
                raise InvalidValue(f"{source.label(key)}: {error}") from None
        self.origins[key] = "default"
        return default


def find_settings_file(start: str) -> tuple[str, Mapping[str, object]] | None:
    """Path and keys of the nearest settings file, in `start` or above it; None when there is none.

    A pyproject.toml without `[tool.mainspring]` is passed over.
    """
    directory = os.path.abspath(start)
    while True:
        own, project = (os.path.join(directory, name) for name in ("mainspring.toml", "pyproject.toml"))
        table = _tool_table(project) if os.path.isfile(project) else None
        if os.path.isfile(own):
            if table is not None:
                raise InvalidValue(
                    f"settings stand in {own} and in [tool.mainspring] of {project}; keep one of the two"
                )
            return own, _read_toml(own)
        if table is not None:
            return project, table
        above = os.path.dirname(directory)
        if above == directory:
            return None
        directory = above


def open_store(url: str | os.PathLike[str], *, create: bool) -> "Store":
    """The store at `url`; a missing file is made if `create` says so, else it is a `StoreNotFound`."""
    full = values.store_url(url, os.getcwd())
    if full == "memory:":
        from mainspring.store.memory import MemoryStore
        from mainspring.tasks.place import refuse_memory

        refuse_memory()
        return MemoryStore()
    if full.startswith("postgresql:"):
        return _postgres(full, create=create)
    from mainspring.store.sqlite import SqliteStore

    return SqliteStore(values.store_path(full), create=create)


def _postgres(url: str, *, create: bool) -> "Store":
    try:
        from mainspring.store.postgres import PostgresStore
    except ImportError as error:
        raise StoreError(
            f"a store on PostgreSQL needs psycopg ({error}): pip install 'mainspring[postgres]'"
        ) from error
    return PostgresStore(url, create=create)


# ── where values are ───────────────────────────────────────────────────────────────────────────────────────────


def _given(values: Mapping[str, object]) -> dict[str, object]:
    return {key: value for key, value in values.items() if value is not None and value is not UNSET}


def _from_environment(environ: Mapping[str, str]) -> dict[str, object]:
    found: dict[str, object] = {}
    for variable, value in environ.items():
        key = variable.removeprefix(_PREFIX)
        if not variable.startswith(_PREFIX) or key in _FOR_PROGRAMS:
            continue
        if key != key.upper():
            raise InvalidValue(f"unknown environment variable {variable}; write {variable.upper()}")
        if value or key.lower() not in KEYS:  # an empty variable is one that is not set, as in a shell
            found[key.lower()] = values.from_text(key.lower(), value)
    return found


def _read_toml(path: str) -> dict[str, object]:
    import tomllib

    try:
        with open(path, "rb") as file:
            return tomllib.load(file)
    except OSError as error:
        raise StoreError(f"the settings file {path} cannot be read: {error.strerror}") from error
    except ValueError as error:
        raise InvalidValue(f"the settings file {path} is not valid TOML: {error}") from None


def _tool_table(path: str) -> Mapping[str, object] | None:
    tool = _read_toml(path).get("tool")
    table = tool.get("mainspring") if isinstance(tool, dict) else None
    if table is not None and not isinstance(table, dict):
        raise InvalidValue(f"tool.mainspring in {path} must be a table, [tool.mainspring], got {table!r}")
    return table


def _refuse_unknown(source: _Source, *, may_have_clock: bool) -> None:
    for key in source.values:
        if key == "clock" and not may_have_clock:
            raise InvalidValue(f"{source.label(key)}: a clock can only be passed as an argument, Daemon(clock=...)")
        if key not in KEYS:
            raise InvalidValue(f"{source.label(key)}: {unknown_setting(key)}")


def unknown_setting(key: str) -> str:
    """What is said of a key that does not exist."""
    import difflib

    close = difflib.get_close_matches(key.lower().replace("-", "_"), KEYS, n=1, cutoff=0.6)
    return f"there is no setting {key!r}; " + (
        f"did you mean {close[0]!r}?" if close else f"the keys are {', '.join(KEYS)}"
    )
