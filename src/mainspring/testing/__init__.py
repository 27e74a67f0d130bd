"""For tests of code that uses Mainspring: time that a test moves, daemons on it, and assertions on what is scheduled.

`VirtualClock` moves time without waiting for it; `virtual` puts an app's own daemon on one; `assert_scheduled` and its
like say what there is instead; `plugin` holds the pytest fixtures; `conformance` is the suite that every store must
pass, for authors of stores. Nothing here needs pytest but the plugin.
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mainspring.testing.asserting import assert_not_scheduled as assert_not_scheduled
    from mainspring.testing.asserting import assert_ran as assert_ran
    from mainspring.testing.asserting import assert_scheduled as assert_scheduled
    from mainspring.testing.firing import Firing as Firing
    from mainspring.testing.swapping import virtual as virtual
    from mainspring.testing.virtual_clock import VirtualClock as VirtualClock

__all__ = ["Firing", "VirtualClock", "assert_not_scheduled", "assert_ran", "assert_scheduled", "virtual"]

_HOMES = {
    "Firing": "firing",
    "VirtualClock": "virtual_clock",
    "assert_not_scheduled": "asserting",
    "assert_ran": "asserting",
    "assert_scheduled": "asserting",
    "virtual": "swapping",
}


def __getattr__(name: str) -> object:
    # on first use: pytest imports this package in every run, also in those that never touch it
    if name in _HOMES:
        import importlib

        return getattr(importlib.import_module(f"mainspring.testing.{_HOMES[name]}"), name)
    raise AttributeError(f"module 'mainspring.testing' has no attribute {name!r}")
