"""What each setting may be, and what it becomes: one reader a key.

A reader takes a value as it was given, and the directory that relative paths are relative to; it answers with the
typed value or raises `InvalidValue`. Texts of the environment pass `from_text` first.
"""

import os
import re
from collections.abc import Callable, Mapping
from datetime import tzinfo
from typing import TYPE_CHECKING, Literal

from mainspring.errors import InvalidValue
from mainspring.tasks.registry import checked_allow
from mainspring.when.durations import parse_duration
from mainspring.when.instants import load_zone
from mainspring.when.shown import shown

if TYPE_CHECKING:
    from concurrent.futures import Executor

Pool = Literal["threads", "processes"]
WhenFull = Literal["block", "refuse"]

DEFAULT_STORE = "mainspring.db"
STORE_FORMS = "a path ('shop.db'), 'sqlite:///absolute/path.db', 'sqlite:relative.db', 'memory:' or "
STORE_FORMS += "'postgresql://user@host/database'"
OUTBOX_FORMS = (
    "the path of a SQLite database ('orders.db'), 'module:attribute', or in code a function that connects to it, or a "
    "SQLAlchemy Engine"
)

_MOST_WORKERS = 10_000
_MOST_TASKS = 1_000_000_000
_LEAST_LEASE_US = 1_000_000
_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*):")
_APP = re.compile(r"\w+(\.\w+)*:\w+(\.\w+)*")
_NUMBER = re.compile(r"\s*[0-9]{1,9}\s*")
_TRUE, _FALSE = frozenset({"true", "yes", "on", "1"}), frozenset({"false", "no", "off", "0"})


def from_text(key: str, text: str) -> object:
    """The value that a variable's text stands for, as a settings file would have it; what is unclear stays text."""
    match key:
        case "workers" | "listener_workers" | "max_pending" | "max_tasks_per_child" | "max_memory_per_child" if (
            _NUMBER.fullmatch(text)
        ):
            return int(text)
        case "programs" if text.strip().lower() in _TRUE | _FALSE:
            return text.strip().lower() in _TRUE
        case "queues" | "allow" | "programs" | "outboxes":
            return [item.strip() for item in text.split(",") if item.strip()]
    return text


def store_url(url: object, directory: str) -> str:
    """`url` in its one full form, `sqlite:///absolute/path`, `memory:` or `postgresql://...`; relative paths are under
    `directory`.

    A file in the root directory itself has a slash more, as said below.
    """
    text = os.fspath(url) if isinstance(url, str | os.PathLike) else None
    if not isinstance(text, str) or not text or "\0" in text:
        raise InvalidValue(f"expected the place of a store: {STORE_FORMS}, got {url!r}")
    scheme = _SCHEME.match(text)
    if scheme is None:
        if text == ":memory:":
            raise InvalidValue("a store in memory is written 'memory:', got ':memory:'")
        return _file_url(text, directory)
    if text == "memory:":
        return text
    rest = text[scheme.end() :]
    match scheme[1].lower():
        case "sqlite":
            return _sqlite_url(text, rest, directory)
        case "postgresql" | "postgres":
            return _postgres_url(rest)
        case "memory":
            raise InvalidValue(f"a store in memory has no name; write 'memory:', got {text!r}")
    raise InvalidValue(
        # Without the rest of it: there may be a password in it.
        f"expected the place of a store: {STORE_FORMS}, got the unknown scheme {scheme[1]!r}; a file with a colon in "
        f"its name is written with './' before it"
    )


def _sqlite_url(url: str, rest: str, directory: str) -> str:
    if not rest.startswith("//"):
        return _file_url(rest, directory) if rest else _file_url(DEFAULT_STORE, directory)
    path = rest[2:]
    if not path.startswith("/"):
        raise InvalidValue(
            f"{url!r} names a host; write 'sqlite:{path}' for a file under the working directory, or "
            f"'sqlite:///{path}' for one that starts at the root"
        )
    path = "/" + path.lstrip("/")
    if os.path.dirname(path) == "/" and not rest.startswith("////"):
        # Elsewhere three slashes mean a relative path; nobody should find a store in the root directory by surprise.
        raise InvalidValue(
            f"{url!r} is a file in the root directory; write 'sqlite:{path[1:]}' for one under the working "
            f"directory, or 'sqlite:///{path}' if the root is meant"
        )
    return _file_url(path, directory)


def _postgres_url(rest: str) -> str:
    """As libpq takes it; messages tell nothing of it, there may be a password in it."""
    if not rest.startswith("//") or "#" in rest:
        raise InvalidValue("expected a database as 'postgresql://user@host:5432/database', with '%23' for '#'")
    return f"postgresql:{rest}"


def shown_url(url: str) -> str:
    """A URL of a store, as messages may show it: without a password."""
    if not url.startswith(("postgresql:", "postgres:")):
        return url
    from mainspring.store.postgres_url import shown

    return shown(url)


def _file_url(path: str, directory: str) -> str:
    if "?" in path or "#" in path:
        raise InvalidValue(f"a store takes no parameters, and its path has no '?' and no '#', got {path!r}")
    full = os.path.normpath(os.path.join(directory, os.path.expanduser(path)))
    if path.endswith(os.sep) or full == os.sep:
        raise InvalidValue(f"expected the path of a file, got the directory {path!r}")
    return ("sqlite:///" if os.path.dirname(full) == os.sep else "sqlite://") + full


def store_path(url: str) -> str:
    """The file of a full URL that names one."""
    return "/" + url.removeprefix("sqlite:").lstrip("/")


def file_of(url: str) -> str | None:
    """The file of a full URL; None of a store that is in no file."""
    return store_path(url) if url.startswith("sqlite:") else None


def workers(least: int) -> Callable[[object, str], int]:
    """How many slots there are, not fewer than `least`."""

    def read(value: object, _directory: str) -> int:
        if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= _MOST_WORKERS:
            raise InvalidValue(f"expected a whole number from {least} to {_MOST_WORKERS:,}, got {shown(value)}")
        return value

    return read


def pool(value: object, _directory: str) -> "Pool | Executor":
    """What tasks run on."""
    if value == "threads":
        return "threads"
    if value == "processes":
        return "processes"
    words = "'threads' or 'processes'"
    if not isinstance(value, str):  # only code can give one
        from concurrent.futures import Executor

        if isinstance(value, Executor):
            return value
        words += ", or a concurrent.futures.Executor"
    raise InvalidValue(f"expected what tasks run on: {words}, got {value!r}")


def queues(value: object, _directory: str) -> dict[str, int | None]:
    """The queues to serve, each with its limit or None: from a table, or from a list of `name` and `name=limit`."""
    entries: list[tuple[object, object]]
    if isinstance(value, Mapping):
        entries = list(value.items())
    elif isinstance(value, list | tuple | set | frozenset):
        entries = [_queue_entry(item) for item in value]
    else:
        raise InvalidValue(f"expected the queues to serve, {{'mail': 2}} or ['mail'], got {value!r}")
    queues: dict[str, int | None] = {}
    for queue, limit in entries:
        if not isinstance(queue, str) or not queue.strip():
            raise InvalidValue(f"expected the name of a queue, got {queue!r}")
        if limit is not None and (
            isinstance(limit, bool) or not isinstance(limit, int) or not 1 <= limit <= _MOST_WORKERS
        ):
            raise InvalidValue(
                f"expected for the queue {queue!r} how many of its tasks may run at once, from 1 to {_MOST_WORKERS:,} "
                f"(or None: no own limit), got {shown(limit)}"
            )
        queues[queue] = limit
    if not queues:
        raise InvalidValue("expected at least one queue to serve; leave the setting out to serve all")
    return queues


def _queue_entry(item: object) -> tuple[object, object]:
    if not isinstance(item, str) or "=" not in item:
        return item, None
    queue, _, limit = item.partition("=")
    return queue.strip(), int(limit) if _NUMBER.fullmatch(limit) else limit


def max_tasks(value: object, _directory: str) -> int:
    """After how many tasks a worker process is replaced."""
    return _count(value, "how many tasks a worker process runs")


def _count(value: object, what: str) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= _MOST_TASKS:
        raise InvalidValue(f"expected a whole number from 1 to {_MOST_TASKS:,}: {what}, got {shown(value)}")
    return value


_BYTES = re.compile(r"\s*([0-9]+(?:\.[0-9]+)?)\s*(B|[kKMGT]i?B)\s*")
_LEAST_MEMORY, _MOST_MEMORY = 1 << 20, 1 << 50


def memory(value: object, _directory: str) -> int:
    """An amount of memory in bytes: a number, or a text such as '512MiB' or '1.5 GB'."""
    amount = value
    if isinstance(value, str) and (parts := _BYTES.fullmatch(value)):
        unit = parts[2].upper()
        base = 1024 if "I" in unit else 1000
        amount = int(float(parts[1]) * base ** "BKMGT".index(unit[0]))
    if isinstance(amount, bool) or not isinstance(amount, int) or not _LEAST_MEMORY <= amount <= _MOST_MEMORY:
        raise InvalidValue(
            f"expected an amount of memory from 1 MiB to 1024 TiB, such as '512MiB', or bytes, got {shown(value)}"
        )
    return amount


def max_pending(value: object, _directory: str) -> int:
    """How many tasks may be due and wait."""
    return _count(value, "how many tasks may be due and wait")


def when_full(value: object, _directory: str) -> WhenFull:
    """What becomes of adding to a full queue."""
    match value:
        case "block" | "refuse":
            return value
    raise InvalidValue(f"expected 'block' (wait for room) or 'refuse' (QueueFull), got {value!r}")


def duration(value: object, _directory: str) -> int:
    """Microseconds."""
    # parse_duration itself refuses what is neither number, text nor timedelta.
    return parse_duration(value)  # type: ignore[arg-type]


def lease(value: object, _directory: str) -> int:
    """Microseconds: shorter ones would end while a busy machine gives the daemon no turn."""
    length = parse_duration(value)  # type: ignore[arg-type]  # it refuses the rest itself
    if length < _LEAST_LEASE_US:
        raise InvalidValue(f"expects a duration of at least {_LEAST_LEASE_US // 1_000_000} s, got {value!r}")
    return length


def zone(value: object, _directory: str) -> tzinfo:
    """A time zone by name."""
    return load_zone(value)  # type: ignore[arg-type]  # it refuses the rest itself


def name(value: object, _directory: str) -> str:
    """What this app is called."""
    if not isinstance(value, str) or not value.strip() or not value.isprintable() or len(value) > 200:
        raise InvalidValue(f"expected a name of 1 to 200 printable characters, got {value!r}")
    return value


def allow(value: object, _directory: str) -> tuple[str, ...]:
    """The modules whose functions may run without being registered."""
    return checked_allow(value)


def programs(value: object, directory: str) -> bool | tuple[str, ...]:
    """Whether programs may run, or which: absolute paths, and names to be looked for on the PATH."""
    if isinstance(value, bool):
        return value
    if not isinstance(value, list | tuple) or not all(isinstance(path, str | os.PathLike) for path in value):
        raise InvalidValue(f"expected True, False, or a list of the programs that may run, got {value!r}")
    # A name without a slash is looked for on the PATH when it runs, as in a shell.
    paths = [os.path.expanduser(os.fspath(path)) for path in value]
    return tuple(os.path.normpath(os.path.join(directory, path)) if os.sep in path else path for path in paths)


def outboxes(value: object, directory: str) -> tuple[object, ...]:
    """The databases with an outbox: paths of SQLite files, `module:attribute`, or (in code) functions and engines that
    connect.
    """
    if not isinstance(value, list | tuple):
        raise InvalidValue(f"expected a list of the databases that have an outbox, {OUTBOX_FORMS}; got {value!r:.200}")
    return tuple(_outbox(item, directory) for item in value)


def _outbox(item: object, directory: str) -> object:
    text = os.fspath(item) if isinstance(item, str | os.PathLike) else None
    if isinstance(text, str) and text:
        scheme = _SCHEME.match(text)
        is_sqlite = scheme is not None and scheme[1].lower() == "sqlite"
        if _APP.fullmatch(text) and not is_sqlite:
            return text
        if scheme is None or is_sqlite:
            return store_path(store_url(text, directory))
    elif text is None and (callable(item) or callable(getattr(item, "connect", None))):
        return item
    raise InvalidValue(f"expected a database that has an outbox: {OUTBOX_FORMS}; got {item!r:.200}")


def app(value: object, _directory: str) -> str:
    """Where the Daemon is found: `module:attribute`."""
    if not isinstance(value, str) or not _APP.fullmatch(value):
        raise InvalidValue(f"expected 'module:attribute', such as 'shop:daemon', got {value!r}")
    return value
