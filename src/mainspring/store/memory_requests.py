"""Requests to nodes and their answers, in memory; for whoever has the store's lock."""

from mainspring.store.rows import Demand, Request, Verdict


class Requests:
    """Each until who asked has seen the answer, or the node is gone."""

    def __init__(self) -> None:
        self._all: dict[int, tuple[int, Request, Verdict | None]] = {}
        self._last = 0

    def ask(self, node: int, task: int | None, demand: Demand) -> int:
        """The number under which the answer will be found."""
        self._last += 1
        self._all[self._last] = (node, Request(self._last, task, demand), None)
        return self._last

    def to(self, node: int) -> list[Request]:
        """What the node has not answered."""
        return [request for asked, request, verdict in self._all.values() if asked == node and verdict is None]

    def answer(self, request: int, verdict: Verdict) -> bool:
        """Whether anybody waits for it. The first answer counts."""
        if request not in self._all:
            return False
        node, demand, first = self._all[request]
        self._all[request] = (node, demand, first or verdict)
        return True

    def answered(self, request: int) -> Verdict | None:
        """The answer, once."""
        verdict = self._all[request][2] if request in self._all else None
        if verdict is not None:
            del self._all[request]
        return verdict

    def forget(self, node: int) -> None:
        """What it has not answered it never will."""
        for request in self.to(node):
            del self._all[request.id]
