"""The pytest plugin: the fixture `mainspring_daemon`.

pytest imports this file in every run of every project that has Mainspring installed, so it imports nothing but pytest:
what the fixture needs is imported when it is used.
"""

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from mainspring.app import Daemon

START = "2030-01-01T00:00:00Z"
"""The instant at which the clock of `mainspring_daemon` stands when a test begins."""


@pytest.fixture
def mainspring_daemon() -> "Iterator[Daemon]":
    """A started daemon on a store in memory; its clock stands until the test moves it, with `.clock.advance("1h")`."""
    from mainspring.app import Daemon
    from mainspring.testing.virtual_clock import VirtualClock

    with Daemon("memory:", clock=VirtualClock(START)) as daemon:
        yield daemon
