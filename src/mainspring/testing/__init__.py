"""For tests of code that uses Mainspring: a clock that is moved by hand, and a pytest fixture with a daemon on it.

`VirtualClock` moves time without waiting for it; `plugin` holds the fixture `mainspring_daemon`; `conformance` is the
suite that every store must pass, for authors of stores. Nothing here needs pytest but the plugin.
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mainspring.testing.virtual_clock import VirtualClock as VirtualClock

__all__ = ["VirtualClock"]


def __getattr__(name: str) -> object:
    # on first use: pytest imports this package in every run, also in those that never touch it
    if name == "VirtualClock":
        from mainspring.testing.virtual_clock import VirtualClock

        return VirtualClock
    raise AttributeError(f"module 'mainspring.testing' has no attribute {name!r}")
