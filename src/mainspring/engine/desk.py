"""Reads the store's news and hands them to whoever they are for."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mainspring.engine.engine import Engine


class Desk:
    """The step that reads the store's news and tells whoever listens at this desk.

    Under load a watch may lose news and says `*`: look at everything. What is due and what was asked is looked at
    then and there; the rest, which seldom changes, at most every FOLD.
    """

    FOLD_US = 200_000

    def __init__(self, engine: "Engine") -> None:
        self._engine = engine
        self._owed = False
        self._pay_at = 0

    def step(self, now: int) -> int | None:
        """Drain, then look."""
        engine = self._engine
        news = engine.watch.drain()
        if news:
            engine.claimer.hear(news, now)
            engine.responder.hear(news)
            self._owed |= "*" in news
            self._tell([word for word in news if word != "*"])
        if self._owed and now >= self._pay_at:
            self._owed = False
            self._pay_at = now + self.FOLD_US
            self._tell(["*"])
        return self._pay_at if self._owed else None

    def _tell(self, news: list[str]) -> None:
        engine = self._engine
        if news:
            engine.peers.hear(news)
            engine.planner.hear(news)
            engine.supervisor.hear(news)
