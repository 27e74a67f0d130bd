"""The pytest plugin: the fixtures `mainspring_daemon` and `mainspring_clock`.

pytest imports this file in every run of every project that has Mainspring installed, so it imports nothing but pytest:
what the fixtures need is imported when they are used.
"""

import importlib
from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from mainspring.app import Daemon
    from mainspring.testing.virtual_clock import VirtualClock

_APP = "mainspring_app"


def pytest_addoption(parser: pytest.Parser) -> None:
    """`mainspring_app = shop:daemon` in the configuration."""
    parser.addini(_APP, "the Daemon that the fixture mainspring_daemon is, as module:attribute", default="")


def pytest_configure(config: pytest.Config) -> None:
    """`@pytest.mark.mainspring(...)` is known."""
    config.addinivalue_line(
        "markers",
        "mainspring(start=..., raising=..., app=...): where mainspring_clock stands when the test begins, whether a "
        "move of it raises what failed, and which Daemon mainspring_daemon is (module:attribute)",
    )


@pytest.fixture
def mainspring_clock(request: pytest.FixtureRequest) -> "VirtualClock":
    """A clock that stands until the test moves it, with `.advance("1h")`; `mainspring_daemon` is on it."""
    from mainspring.testing.swapping import START
    from mainspring.testing.virtual_clock import VirtualClock

    said = _said(request)
    return VirtualClock(said.get("start", START), raising=bool(said.get("raising", False)))  # type: ignore[arg-type]  # checked there


@pytest.fixture
def mainspring_daemon(request: pytest.FixtureRequest, mainspring_clock: "VirtualClock") -> "Iterator[Daemon]":
    """A started daemon on a store in memory, on `mainspring_clock`: a new one, or, where the configuration says
    `mainspring_app = shop:daemon`, that one, put back on its own store afterwards.
    """
    from mainspring.app import Daemon
    from mainspring.testing.swapping import virtual

    app = str(_said(request).get("app", request.config.getini(_APP)))
    if app:
        daemon = _daemon_of(app)
        with virtual(daemon, clock=mainspring_clock):
            yield daemon
    else:
        with Daemon("memory:", clock=mainspring_clock) as daemon:
            yield daemon


def _said(request: pytest.FixtureRequest) -> dict[str, object]:
    """What the nearest mark says, and where it is silent those around it."""
    said: dict[str, object] = {}
    for mark in request.node.iter_markers("mainspring"):
        unknown = sorted(set(mark.kwargs) - {"start", "raising", "app"})
        if mark.args or unknown:
            raise pytest.UsageError(
                f"@pytest.mark.mainspring expects start=, raising= and app=, got {[*mark.args, *unknown]}"
            )
        said = {**mark.kwargs, **said}
    return said


def _daemon_of(spec: str) -> "Daemon":
    from mainspring.app import Daemon

    module, _, attribute = spec.partition(":")
    found: object = importlib.import_module(module)
    for name in (attribute or "daemon").split("."):
        found = getattr(found, name, None)
    if not isinstance(found, Daemon):
        raise pytest.UsageError(
            f"mainspring_app expects a Daemon as module:attribute, such as shop:daemon; {spec!r} is {found!r:.100}"
        )
    return found
