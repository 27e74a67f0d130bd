"""What an engine is told when it is made."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

import msgspec

from mainspring.engine.child_messages import Setup
from mainspring.store.outbox_connections import Place

if TYPE_CHECKING:
    from concurrent.futures import Executor


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """The settings an engine needs, as plain values. Durations in µs."""

    workers: int = 8
    listener_workers: int = 4
    queues: Mapping[str, int | None] | None = None
    programs: bool | tuple[str, ...] = True
    retention: int = 7 * 86_400_000_000
    grace: int = 20_000_000
    lease: int | None = (
        None  # how long others wait when they hear nothing of it; None: nobody takes over from the living
    )
    app: str | None = None
    version: str = ""
    setup: Setup | None = None  # what worker processes have to be; None: tasks run on threads
    executor: "Executor | None" = None  # what tasks run on instead; it is the caller's
    outboxes: tuple[Place, ...] = ()
    outbox_programs: bool = False  # may what comes from them be programs?
    eager: bool = False  # have one ready before `start` returns, or say why there is none
