"""Is this one of the processes that run a daemon's tasks? Such a child is a client: it runs what it is fed, no daemon.

Set once, by `engine.child_main`, before any of the user's code is imported.
"""

from typing import TYPE_CHECKING

from mainspring.errors import Misuse, StoreError

if TYPE_CHECKING:
    from mainspring.tasks.registry import Registry


class _Place:
    child = False
    loading = False  # the main script is being imported
    started = False  # it tried to start a daemon meanwhile
    registries: "tuple[Registry, ...]" = ()


def become_child() -> None:
    """From now on this process is a child."""
    _Place.child = True


def loading_script(now: bool) -> None:
    """The main script is being imported (True), or no longer is."""
    _Place.loading = now


def in_child() -> bool:
    """Does this process run the tasks of a daemon that is in another one?"""
    return _Place.child


def is_client() -> bool:
    """Is a Daemon that would start itself a client here? In a child it is, but not where a script has to be told."""
    return _Place.child and not _Place.loading


def unguarded() -> bool:
    """Has the main script, while it was imported here, tried what it does when it is run?"""
    return _Place.started


def found(registry: "Registry") -> None:
    """A Daemon was made here: in a child, the functions that it knows are those that may be run."""
    if _Place.child:
        _Place.registries += (registry,)


def registries() -> "tuple[Registry, ...]":
    """Those of the Daemons that this child's imports made, in the order of making."""
    return _Place.registries


GUARD = """\
put what the script does when it is run under

    if __name__ == "__main__":
        ...

so that a worker process can import the script for its functions without doing it all again"""


def refuse_start() -> None:
    """In a child no daemon starts: `Misuse`, or there would be a chain of processes."""
    if not _Place.child:
        return
    if _Place.loading:
        _Place.started = True
        raise Misuse(f"this script starts a daemon while a worker process imports it; {GUARD}")
    raise Misuse(
        "this is a worker process of a daemon: a Daemon is a client here, which adds, looks and steers, and is not "
        "started; start it where the service itself starts, not in a task's body nor where its module is imported"
    )


def refuse_adding() -> None:
    """While a child imports the main script nothing is added: each child would add it once more."""
    if _Place.loading:
        _Place.started = True
        raise Misuse(f"this script adds a task while a worker process imports it; {GUARD}")


def refuse_memory() -> None:
    """In a child a store in memory would be another one than the daemon's: `StoreError`."""
    if _Place.child:
        raise StoreError(
            "a store in memory belongs to the daemon's own process, and this is one of its worker processes: what is "
            "added here would be lost; give the Daemon a file as its store, or use pool='threads'"
        )
