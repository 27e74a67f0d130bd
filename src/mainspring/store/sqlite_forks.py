"""At a fork of the process: every SQLite store lets go of its file before it, and goes on after it, on both sides."""

import os
import weakref
from typing import Protocol


class Forking(Protocol):
    """What a store does at a fork."""

    def before_fork(self) -> None:
        """Called in the forking thread: the child must find no connection open."""

    def after_fork(self) -> None:
        """Called in the parent."""

    def after_fork_in_child(self) -> None:
        """Called in the child."""


_stores: "weakref.WeakSet[Forking]" = weakref.WeakSet()
_forking: list[Forking] = []  # strong references from just before a fork until just after it


def attend(store: Forking) -> None:
    """Have the store take part in every fork, as long as it is there."""
    _stores.add(store)


def _before_fork() -> None:
    _forking[:] = sorted(_stores, key=id)
    for store in _forking:
        store.before_fork()


def _after_fork(store_does: str) -> None:
    for store in _forking:
        getattr(store, store_does)()
    _forking.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(
        before=_before_fork,
        after_in_parent=lambda: _after_fork("after_fork"),
        after_in_child=lambda: _after_fork("after_fork_in_child"),
    )
