"""Where a store may lie, and how its file comes to be: readable by its owner alone from its first moment.

Whoever can plant a link, or a file that SQLite would open beside the store, decides what a daemon reads and writes. So
nothing of another user is followed or used; root's is, for root could do anything anyway.
"""

import os
import secrets
import stat
from contextlib import suppress

from mainspring.errors import StoreError, StoreNotFound

_BESIDE = ("-wal", "-shm", "-journal", "-nodes")
_OTHERS_WRITE = stat.S_IWOTH | stat.S_ISVTX


def resolved(path: str) -> str:
    """The file that `path` means, links followed; a `StoreError` where one of them is another user's.

    A store has one name, for what lies beside it is found by that name.
    """
    absolute = os.path.abspath(path)
    with suppress(OSError):
        if stat.S_ISLNK(os.lstat(absolute).st_mode):
            _refuse_strangers(absolute, "the link")
    return os.path.realpath(absolute)


def check_place(path: str, create: bool) -> None:
    """Whether there is a store, or may be one; raises `StoreError` and `StoreNotFound`."""
    folder = os.path.dirname(path)
    if os.path.isdir(path):
        raise StoreError(f"{path} is a directory; a store is a file: name a file in it")
    if not os.path.exists(path):
        if not create:
            raise StoreNotFound(f"there is no store at {path}; adding a task or `mainspring run` creates one")
        if not os.path.isdir(folder):
            raise StoreError(f"the directory {folder} does not exist; create it, or choose another path for the store")
        if not os.access(folder, os.W_OK | os.X_OK):
            raise StoreError(f"no permission to create a file in {folder}; choose another path for the store")
        if os.path.exists(f"{path}-wal") and os.path.getsize(f"{path}-wal"):
            raise StoreError(
                f"{path} is gone, and its log {path}-wal is there, which may hold what the file does not: put the file "
                f"back, or move the log away too to begin with an empty store"
            )
    elif not stat.S_ISREG(os.stat(path).st_mode):
        raise StoreError(f"{path} is no regular file; choose another path for the store")
    if os.name == "posix":
        _check_neighbours(path, folder)


def files_of(path: str) -> tuple[tuple[int, int] | None, ...]:
    """Which files bear the store's names now: device and inode of its file, log and shared memory; None: there is none.

    Looked at by name alone: a descriptor of them must not be opened and closed beside SQLite's.
    """
    return tuple(_which(path + ending) for ending in ("", "-wal", "-shm"))


def _which(path: str) -> tuple[int, int] | None:
    try:
        found = os.stat(path)
    except OSError:
        return None
    return found.st_dev, found.st_ino


def make_file(path: str) -> None:
    """Make the empty file of a new store, for its owner alone whatever the umask; nothing if it is there by now.

    It is made under another name and linked: this process must never close a descriptor of a file that SQLite has
    locked, and another thread may be opening the store.
    """
    made = f"{path}.{secrets.token_hex(8)}"
    fd = os.open(made, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | getattr(os, "O_NOFOLLOW", 0), 0o600)
    if hasattr(os, "fchmod"):
        os.fchmod(fd, 0o600)  # a umask may have taken away too much
    os.close(fd)
    try:
        os.link(made, path)
    except FileExistsError:
        pass  # somebody was first
    except OSError:  # a file system without links; nobody but us has seen the name
        if not os.path.lexists(path):
            os.rename(made, path)
    finally:
        with suppress(FileNotFoundError):
            os.unlink(made)


def make_folder(folder: str) -> None:
    """The directory of sockets, locks and journals, for its owner alone; a `StoreError` if it is another's."""
    with suppress(FileExistsError):
        os.mkdir(folder, mode=0o700)
    if not stat.S_ISDIR(os.lstat(folder).st_mode):
        raise StoreError(f"{folder} is no directory; remove it: it is where daemons keep what they share")
    _refuse_strangers(folder, "the directory", folder.removesuffix("-nodes"))


def _check_neighbours(path: str, folder: str) -> None:
    with suppress(OSError):
        mode = os.stat(folder).st_mode
        if mode & _OTHERS_WRITE == stat.S_IWOTH:
            raise StoreError(
                f"everybody may write to {folder} and replace the store there; make a directory of its own for the "
                f"store (mkdir -m 700), or take that right away: chmod o-w {folder}"
            )
    for ending in _BESIDE:
        try:
            mode = os.lstat(path + ending).st_mode
        except OSError:
            continue
        if stat.S_ISLNK(mode):
            raise StoreError(f"{path}{ending} is a symbolic link, and no store makes one; remove it")
        _refuse_strangers(path + ending, "the file", path)


def _refuse_strangers(path: str, what: str, beside: str | None = None) -> None:
    """Raise unless `path` is this user's, root's, or of whoever owns `beside`."""
    if not hasattr(os, "getuid"):
        return
    owner = os.lstat(path).st_uid
    known = {0, os.getuid()}
    if beside is not None and os.path.exists(beside):
        known.add(os.stat(beside).st_uid)
    if owner not in known:
        raise StoreError(
            f"{what} {path} belongs to another user (uid {owner}), who could have the store read or written elsewhere; "
            f"remove it, or choose another path for the store"
        )
