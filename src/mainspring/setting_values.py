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

if TYPE_CHECKING:
    from concurrent.futures import Executor

Pool = Literal["threads", "processes"]
WhenFull = Literal["block", "refuse"]

DEFAULT_STORE = "mainspring.db"
STORE_FORMS = "a path ('shop.db'), 'sqlite:///absolute/path.db', 'sqlite:relative.db' or 'memory:'"

_MOST_WORKERS = 10_000
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
        case "queues" | "allow" | "programs":
            return [item.strip() for item in text.split(",") if item.strip()]
    return text


def store_url(url: object, directory: str) -> str:
    """`url` in its one full form, `sqlite:///absolute/path` or `memory:`; relative paths are under `directory`.

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
            raise InvalidValue(f"this version has no store on PostgreSQL; write {STORE_FORMS}")
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


def _file_url(path: str, directory: str) -> str:
    if "?" in path or "#" in path:
        raise InvalidValue(f"a store takes no parameters, and its path has no '?' and no '#', got {path!r}")
    full = os.path.normpath(os.path.join(directory, os.path.expanduser(path)))
    if path.endswith(os.sep) or full == os.sep:
        raise InvalidValue(f"expected the path of a file, got the directory {path!r}")
    return ("sqlite:///" if os.path.dirname(full) == os.sep else "sqlite://") + full


def store_path(url: str) -> str:
    """The file of a full URL that is not `memory:`."""
    return "/" + url.removeprefix("sqlite:").lstrip("/")


def workers(least: int) -> Callable[[object, str], int]:
    """How many slots there are, not fewer than `least`."""

    def read(value: object, _directory: str) -> int:
        if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= _MOST_WORKERS:
            raise InvalidValue(f"expected a whole number from {least} to {_MOST_WORKERS:,}, got {value!r}")
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
        if limit is not None and (isinstance(limit, bool) or not isinstance(limit, int) or limit < 1):
            raise InvalidValue(
                f"expected for the queue {queue!r} how many of its tasks may run at once, from 1 (or None: no own "
                f"limit), got {limit!r}"
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
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise InvalidValue(f"expected a whole number from 1: how many tasks a worker process runs, got {value!r}")
    return value


_BYTES = re.compile(r"\s*([0-9]+(?:\.[0-9]+)?)\s*(B|[kKMGT]i?B)\s*")
_LEAST_MEMORY = 1 << 20


def memory(value: object, _directory: str) -> int:
    """An amount of memory in bytes: a number, or a text such as '512MiB' or '1.5 GB'."""
    amount = value
    if isinstance(value, str) and (parts := _BYTES.fullmatch(value)):
        unit = parts[2].upper()
        base = 1024 if "I" in unit else 1000
        amount = int(float(parts[1]) * base ** "BKMGT".index(unit[0]))
    if isinstance(amount, bool) or not isinstance(amount, int) or amount < _LEAST_MEMORY:
        raise InvalidValue(f"expected an amount of memory from 1 MiB, such as '512MiB', or bytes, got {value!r}")
    return amount


def max_pending(value: object, _directory: str) -> int:
    """How many tasks may be due and wait."""
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise InvalidValue(f"expected a whole number from 1: how many tasks may be due and wait, got {value!r}")
    return value


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


def app(value: object, _directory: str) -> str:
    """Where the Daemon is found: `module:attribute`."""
    if not isinstance(value, str) or not _APP.fullmatch(value):
        raise InvalidValue(f"expected 'module:attribute', such as 'shop:daemon', got {value!r}")
    return value
