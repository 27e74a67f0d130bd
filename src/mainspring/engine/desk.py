"""Reads the store's news and hands them to whoever they are for; and names all steps that are taken at the desk."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from mainspring.engine.claimer import SAFETY_BY_HAND_US, SAFETY_US
from mainspring.engine.clockwatch import ClockWatch, Moved
from mainspring.engine.pruner import Pruner
from mainspring.engine.service import Loop, Step
from mainspring.engine.zones import Zones
from mainspring.when.zones import INTERVAL_US

if TYPE_CHECKING:
    from mainspring.engine.engine import Engine


def steps(engine: "Engine", loops: Sequence[Loop]) -> list[Step]:
    """What is done in each turn of the desk, in this order; `loops`: the desk's own, and the others."""
    by_hand = engine.by_hand  # the clock would have to stop for every look
    desk = Desk(engine, SAFETY_BY_HAND_US if by_hand else SAFETY_US)
    pruner = Pruner(engine.store, engine.plan.retention)
    engine.planner.made = pruner.trim
    keeps = (desk, engine.claimer, engine.peers, engine.watchdog, pruner)  # instants, or elapsed time
    zones = Zones(engine.store, engine.planner, SAFETY_BY_HAND_US if by_hand else INTERVAL_US)
    clocks = ClockWatch(engine.clock, keeps, engine.seat.journal, [loop.wake for loop in loops])
    return [
        clocks, desk, engine.peers, engine.responder, engine.claimer, zones, engine.planner, engine.supervisor,
        engine.watchdog, pruner,
    ]  # fmt: skip


class Desk:
    """The step that reads the store's news and tells whoever listens at this desk.

    Under load a watch may lose news and says `*`: look at everything. What is due and what was asked is looked at
    then and there; the rest, which seldom changes, at most every FOLD.

    News may also never come: who changed a schedule was killed between its commit and the news of it. Every `safety` µs
    the schedules that are next until the look after that one are read, the listeners, the other daemons, and what was
    asked of this node; tasks have the claimer's own look.
    """

    FOLD_US = 200_000

    def __init__(self, engine: "Engine", safety: int) -> None:
        self._engine = engine
        self._safety = safety
        self._safety_at: int | None = None  # None: at the start everything is looked at anyway
        self._owed = False
        self._pay_at = 0

    def clock_moved(self, moved: Moved) -> None:
        """What was to be told at an instant of the old clock is told now; and schedules are planned anew."""
        self._pay_at = moved.at
        self._safety_at = None
        self._engine.planner.hear(["*"])

    def step(self, now: int) -> int | None:
        """Drain, then look."""
        engine = self._engine
        news = engine.watch.drain()
        if news:
            engine.movers.hear(news)
            engine.claimer.hear(news, now)
            engine.responder.hear(news)
            self._owed |= "*" in news
            self._tell([word for word in news if word != "*"])
        if self._owed and now >= self._pay_at:
            self._owed = False
            self._pay_at = now + self.FOLD_US
            self._tell(["*"])
        if self._safety_at is None:
            self._safety_at = now + self._safety
        elif now >= self._safety_at:
            self._safety_at = now + self._safety
            engine.planner.look_for_lost(now + 2 * self._safety)
            engine.supervisor.hear(["standing"])
            engine.peers.hear(["nodes"])
            engine.responder.hear([f"ask {engine.node}"])
        return min(self._pay_at, self._safety_at) if self._owed else self._safety_at

    def _tell(self, news: list[str]) -> None:
        engine = self._engine
        if news:
            engine.peers.hear(news)
            engine.planner.hear(news)
            engine.supervisor.hear(news)
