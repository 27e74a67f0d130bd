"""Notices that the time zone database on disk has changed: a zone is read once, and a machine may run for years.

`load_zone` notes each zone that this process has read, with the file it came from. A look costs a `stat` for each.
"""

import os
import threading
from collections.abc import Callable, Sequence

Signature = tuple[int, int, int]

INTERVAL_US = 60_000_000

_lock = threading.Lock()
_read: dict[str, Signature | None] = {}
_caches: list[Callable[[], None]] = []
_changes: list[str] = []  # names, in the order in which they were found to have changed: each watch reads on


def note(name: str) -> None:
    """This zone is being read. Cheap when it was before."""
    if name not in _read:
        _read[name] = _signature(name, _folders())


def forget_with_zones(clear: Callable[[], None]) -> None:
    """Call this when a zone has changed: it empties a cache of what follows from zones' rules."""
    _caches.append(clear)


class ZoneWatch:
    """Tells one user of zones, at most once in `interval` µs, which of them have changed since its last look."""

    def __init__(self, interval: int = INTERVAL_US) -> None:
        self._interval = interval
        self._look_at: int | None = None
        self._heard = len(_changes)

    def look_at(self) -> int | None:
        """When there may be something to look at; None while no zone was read, or before the first look."""
        return self._look_at if _read else None

    def changed(self, now: int) -> list[str]:
        """Their names, sorted; what is read from now on has the new rules."""
        if self._look_at is not None and 0 < self._look_at - now <= self._interval:  # further off: the clock went back
            return []
        self._look_at = now + self._interval
        _look()
        names, self._heard = _changes[self._heard :], len(_changes)
        return sorted(set(names))


def _look() -> None:
    """Compare what was read with what is there now."""
    with _lock:
        folders = _folders()
        found = [name for name, before in list(_read.items()) if _differs(name, before, folders)]
        if found:
            from zoneinfo import ZoneInfo

            # all of them: a link to a zone that has changed is another name, with a cache entry of its own
            ZoneInfo.clear_cache()
            for clear in _caches:
                clear()
            _changes.extend(found)


def _differs(name: str, before: Signature | None, folders: Sequence[str]) -> bool:
    after = _signature(name, folders)
    if after is None or after == before:
        return False  # while a package is being unpacked a file may be missing: what was read still holds
    _read[name] = after
    return True


def _signature(name: str, folders: Sequence[str]) -> Signature | None:
    """Which file holds this zone, and as of when. Links are followed: the database has many."""
    for folder in folders:
        try:
            found = os.stat(os.path.join(folder, name))
        except (OSError, ValueError):
            continue
        return found.st_ino, found.st_mtime_ns, found.st_size
    return None


def _folders() -> tuple[str, ...]:
    """Where `zoneinfo` looks, in its order: the system's database, then the package `tzdata`."""
    from importlib.util import find_spec
    from zoneinfo import TZPATH

    package = find_spec("tzdata")
    places = () if package is None else tuple(package.submodule_search_locations or ())
    return *TZPATH, *(os.path.join(place, "zoneinfo") for place in places)
