"""An app's own daemon, as its modules import it, on a store in memory and a clock moved by hand for a while."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING

from mainspring.adding import Moment
from mainspring.errors import InvalidArguments, Misuse
from mainspring.store.memory import MemoryStore
from mainspring.testing.virtual_clock import VirtualClock

if TYPE_CHECKING:
    from mainspring.app import Daemon
    from mainspring.store.protocol import Store

START = "2030-01-01T00:00:00Z"
"""The instant at which the clock of a test stands when it begins, unless the test says otherwise."""


@contextmanager
def virtual(
    *daemons: "Daemon",
    start: Moment = START,
    clock: VirtualClock | None = None,
    raising: bool = False,
    run: bool = True,
) -> Iterator[VirtualClock]:
    """Within the block these daemons are on an empty store in memory and on a virtual clock, and run; the clock.

    Everything that refers to them (`f.enqueue()`, schedules, a web app) works as ever, and nothing touches their real
    store. Those of one store share one here, too. Afterwards each is on its own store and clock again, not started.

    `start`: where the clock stands, or `clock`: one of your own. `raising`: see `VirtualClock`. `run=False`: they are
    not started; what is added waits until the app itself starts them. Raises `Misuse` for a daemon that is started.
    """
    daemons = tuple(dict.fromkeys(daemons))
    _check(daemons)
    clock = clock or VirtualClock(start, raising=raising)
    stores: dict[str, MemoryStore] = {}
    with ExitStack() as stack:
        for daemon in daemons:
            url = daemon.settings.store
            store = stores[url] = MemoryStore() if url == "memory:" else stores.get(url) or MemoryStore()
            stack.callback(store.close)
            stack.enter_context(_on(daemon, store, clock))
        if run:
            for daemon in daemons:
                daemon.start()
        yield clock


def _check(daemons: "tuple[Daemon, ...]") -> None:
    if not daemons:
        raise InvalidArguments("virtual() expects the daemons to be put on a virtual clock: virtual(shop.daemon)")
    for daemon in daemons:
        if daemon.started:
            raise Misuse(
                f"the daemon {daemon.name!r} is started: its store and clock cannot be exchanged under its feet; "
                f"stop it first, or start it only where the service itself starts, not on import"
            )


@contextmanager
def _on(daemon: "Daemon", store: "Store", clock: VirtualClock) -> Iterator[None]:
    """One daemon, on this store and clock."""
    # what a client keeps of its store; decorated functions hold the daemon, so that it must stay itself
    exchanged = {
        "clock": clock,
        "_open_store": lambda: store,
        "_opened": store,
        "_warned": True,  # that nobody runs a store in memory needs no warning here
    }
    kept = {name: getattr(daemon, name) for name in exchanged}
    vars(daemon).update(exchanged)
    try:
        yield
    finally:
        daemon.stop()
        vars(daemon).update(kept)
