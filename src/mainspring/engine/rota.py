"""Whose turn it is: listeners that share a fixed number of workers, fewest turns first.

Pure: `now` (µs, monotonic) is given, nothing waits here. With more listeners than workers:
- Among those that are ready the one with the fewest turns is next.
- One that is ready still lets a peer (the same or a shorter pause) go first that has had fewer turns and is only
  pausing, or has just begun a turn that should be short. So equal listeners' turns stay within one of each other.
- A peer whose turns are long is not waited for while it is in its body: one that blocks, blocks only itself.
- Whoever comes anew, or was away, makes up for SLACK turns of its peers at most: it cannot keep them waiting, and those
  that come shortly after one another are equal soon.

Heaps keep stale entries until they come to the top: an entry is valid while its ticket is the place's.
"""

from heapq import heappop, heappush
from typing import Protocol

PATIENCE_US = 50_000  # a turn that takes longer is a long one: nobody waits for its end
STARVED_US = 10_000_000
SLACK = 10
_SHORT_PAUSE_US = 1_000_000


class Owner(Protocol):
    """Who takes the turns."""

    def left(self) -> None:
        """The turn that went on when the place was removed has ended."""

    def starve(self) -> None:
        """It has been ready for STARVED_US and had no turn."""


class Place:
    """One listener's place."""

    __slots__ = ("began_at", "given", "gone", "owner", "pause", "quick", "ready_at", "ticket")

    def __init__(self, pause: int, owner: Owner) -> None:
        self.pause = pause
        self.owner = owner
        self.given = 0  # its turns, as fairness counts them
        self.ready_at = 0
        self.began_at: int | None = None  # in its body since
        self.quick = True  # its last turn was a short one
        self.gone = False
        self.ticket = 0


class _Group:
    """Those with one and the same pause: the ready ones, and those that others may have to wait for."""

    __slots__ = ("peers", "ready")

    def __init__(self) -> None:
        self.ready: list[tuple[int, int, int, Place]] = []  # given, ready_at, ticket
        self.peers: list[tuple[int, int, Place]] = []  # given, ticket

    def first_ready(self) -> Place | None:
        while self.ready and self.ready[0][-1].ticket != self.ready[0][-2]:
            heappop(self.ready)
        return self.ready[0][-1] if self.ready else None

    def first_peer(self, now: int) -> Place | None:
        while self.peers:
            place = self.peers[0][-1]
            over = place.began_at is not None and place.began_at + PATIENCE_US <= now
            if place.ticket == self.peers[0][-2] and not over:
                return place
            heappop(self.peers)
        return None

    def least(self, now: int) -> int | None:
        """The fewest turns that anybody here had who takes turns just now."""
        found = [place.given for place in (self.first_ready(), self.first_peer(now)) if place is not None]
        return min(found) if found else None


class Rota:
    """The places of all listeners that share `workers`. Not for two threads at once."""

    def __init__(self, workers: int) -> None:
        self._workers = workers
        self._tickets = 0
        self._groups: dict[int, _Group] = {}
        self._away: list[tuple[int, int, Place]] = []  # ready_at, ticket: pausing, or away after a failure
        self.places: set[Place] = set()

    @property
    def crowded(self) -> bool:
        """More listeners than workers: they have to take turns."""
        return len(self.places) > self._workers

    def add(self, place: Place, now: int) -> None:
        """One more, ready at once."""
        self._groups.setdefault(place.pause, _Group())
        place.given = max(0, (self._floor(place, now) or 0) - SLACK)
        self.places.add(place)
        place.ready_at = now
        self._push_ready(place)

    def remove(self, place: Place) -> bool:
        """No more turns for it. False: it is in its body, and gone when that ends."""
        self.places.discard(place)
        place.gone = True
        self._stamp(place)
        if not any(other.pause == place.pause for other in self.places):
            self._groups.pop(place.pause, None)
        return place.began_at is None

    def take(self, now: int) -> tuple[Place | None, int | None]:
        """Begin the next turn. If it is nobody's: the instant at which it may be somebody's, None: not by itself."""
        while self._away and (self._away[0][0] <= now or self._away[0][2].ticket != self._away[0][1]):
            _, ticket, place = heappop(self._away)
            if place.ticket == ticket:
                self._push_ready(place)
        wanted = [self._away[0][0]] if self._away else []
        best: Place | None = None
        for group in self._groups.values():
            head = group.first_ready()
            if head is None or (best is not None and (best.given, best.ready_at) <= (head.given, head.ready_at)):
                continue
            until = self._must_wait(head, now) if self.crowded else None
            if until is None:
                best = head
            else:
                wanted.append(until)
        if best is None:
            return None, min(wanted) if wanted else None
        best.given += 1
        best.began_at = now
        self._stamp(best)
        if best.quick:
            self._push_peer(best)
        return best, None

    def done(self, place: Place, now: int, delay: int, *, resting: bool) -> None:
        """Its turn is over; the next may begin `delay` later. `resting`: the delay is its pause, no failure's."""
        assert place.began_at is not None
        place.quick = now - place.began_at < PATIENCE_US
        place.began_at = None
        if place.gone:
            return
        self._stamp(place)
        place.ready_at = now + delay
        floor = self._floor(place, now)
        if floor is not None:
            place.given = max(place.given, floor - SLACK)
        heappush(self._away, (place.ready_at, place.ticket, place))
        if resting:
            self._push_peer(place)

    def starving(self, now: int) -> tuple[list[Place], int | None]:
        """Those that have been ready for STARVED_US without a turn, and the instant at which to look again."""
        if not self.crowded:
            return [], None
        waiting = [place for place in self.places if place.began_at is None]
        hungry = [place for place in waiting if place.ready_at + STARVED_US <= now]
        rest = [place.ready_at + STARVED_US for place in waiting if place.ready_at + STARVED_US > now]
        return hungry, min(rest) if rest else None

    def _must_wait(self, place: Place, now: int) -> int | None:
        """Until when it lets a peer go first; None: it need not."""
        for pause, group in self._groups.items():
            peer = group.first_peer(now) if pause <= place.pause else None
            if peer is not None and peer.given < place.given:
                return peer.ready_at if peer.began_at is None else peer.began_at + PATIENCE_US
        return None

    def _floor(self, place: Place, now: int) -> int | None:
        """The fewest turns of its equals; without any, of all that take turns often enough to be kept waiting by it."""
        least = self._groups[place.pause].least(now)
        if least is not None:
            return least
        limit = max(place.pause, _SHORT_PAUSE_US)
        found = [
            least for pause, group in self._groups.items() if pause <= limit and (least := group.least(now)) is not None
        ]
        return min(found) if found else None

    def _stamp(self, place: Place) -> None:
        self._tickets += 1
        place.ticket = self._tickets

    def _push_ready(self, place: Place) -> None:
        self._stamp(place)
        heappush(self._groups[place.pause].ready, (place.given, place.ready_at, place.ticket, place))

    def _push_peer(self, place: Place) -> None:
        heappush(self._groups[place.pause].peers, (place.given, place.ticket, place))
