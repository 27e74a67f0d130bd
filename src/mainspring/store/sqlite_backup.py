"""A backup of a store while daemons run: its pages at one moment, checked before the copy has its name."""

import os

from mainspring.errors import StoreConflict
from mainspring.store.sqlite_copy import Partial, Progress, check_copy, copy_pages, nothing, opened_to_read, taken


def backup(path: str, target: str, *, force: bool = False, progress: Progress = nothing) -> int:
    """Copy the store at `path` to `target` (0600, synced, whole or not there at all); its size in bytes.

    Raises `StoreConflict` when `target` is there and `force` is not set, or is a database in use.
    """
    target = os.path.realpath(target)
    if target == os.path.realpath(path):
        raise StoreConflict(f"{target} is the store itself: choose another name for its backup")
    if os.path.lexists(target) and not force:
        raise taken(target)
    if os.path.isdir(target):
        raise StoreConflict(f"{target} is a directory: name a file in it")
    for suffix in ("-wal", "-journal"):  # would be taken for what was written to the backup since
        if os.path.lexists(target + suffix):
            raise StoreConflict(f"{target} is a database in use, for there is {target + suffix}: choose another name")
    with opened_to_read(path) as source, Partial(target) as partial:
        copy_pages(source, partial.path, progress)
        check_copy(partial.path)
        size = os.stat(partial.path).st_size
        partial.name(force=force)
    return size
