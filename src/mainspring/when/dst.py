"""Local time to instants and back in one zone, with a rule for what clocks skip and what they show twice.

Where the offset changes, local time and instants are no longer one to one. `LocalTimes` cuts the time line into
*pieces*, each with one offset, such that a rule's instants are exactly the union of what its local times are in each
piece. A piece may be shortened (a fold of which one half counts), added (a gap whose times are moved later, which
overlaps its successor), or squeezed (a gap of which all times are one instant). Seconds since 1970, as everywhere in
this module: `zoneinfo` knows nothing finer.
"""

from collections.abc import Iterator
from datetime import UTC, timedelta, tzinfo
from typing import Final, NamedTuple

from mainspring.when.instants import EPOCH, MAX_INSTANT, MIN_INSTANT

GAPS: Final = ("skip", "shift")
FOLDS: Final = ("first", "second", "both")
ONCE: Final = "once"  # a gap's times run together, at the first instant after it

DAY = 86_400
FIRST_SECOND: Final = MIN_INSTANT // 1_000_000
LAST_SECOND: Final = MAX_INSTANT // 1_000_000

# The time line is looked at in blocks of 2**25 s, about 388 days, because a zone's rules have no end.
BLOCK_BITS: Final = 25
BLOCKS_KEPT = 64  # per zone and rule: a few days' planning needs two, a search through centuries all of them once
# Two changes of offset nearer than this would cancel out unseen; in the time zone database they are four days apart.
_STEP = DAY
# What is further away than the largest possible jump, from -24 h to +24 h, cannot show the same local time.
_REACH = 2 * DAY + 1


class Change(NamedTuple):
    """The offset from UTC, in seconds, is `after` from the second `at` on, and was `before`."""

    at: int
    before: int
    after: int


class Piece(NamedTuple):
    """Seconds from `begin` until before `end` that stand for the local seconds `+ offset`.

    `squeezed`: the piece is its first second alone, and stands for all local seconds from `squeezed[0]` until
    before `squeezed[1]`.
    """

    begin: int
    end: int
    offset: int
    squeezed: tuple[int, int] | None = None


def offset_at(zone: tzinfo, second: int) -> int:
    """The zone's offset from UTC, in seconds, at an instant."""
    moment = EPOCH + timedelta(seconds=min(max(second, FIRST_SECOND), LAST_SECOND))
    offset = moment.astimezone(zone).utcoffset()
    assert offset is not None
    return offset // timedelta(seconds=1)


def changes(zone: tzinfo, begin: int, end: int) -> list[Change]:
    """Where the zone's offset changes after `begin` and no later than `end`."""
    found: list[Change] = []
    low, before = begin, offset_at(zone, begin)
    for high in _offsets_differ(zone, begin, end):
        after = offset_at(zone, high)
        left, right = max(low, high - _STEP), high
        while right - left > 1:
            middle = (left + right) // 2
            if offset_at(zone, middle) == before:
                left = middle
            else:
                right = middle
        found.append(Change(right, before, after))
        low, before = high, after
    return found


def _offsets_differ(zone: tzinfo, begin: int, end: int) -> Iterator[int]:
    """The seconds, at most a step apart, at which another offset holds than a step before."""
    # A year is hundreds of steps: they are compared as what `zoneinfo` answers, without arithmetic of our own.
    low, high = (min(max(second, FIRST_SECOND), LAST_SECOND) for second in (begin, end))
    at, moment, step = low, EPOCH + timedelta(seconds=low), timedelta(seconds=_STEP)
    before = moment.astimezone(zone).utcoffset()
    while at < high:
        at += _STEP
        moment += step
        if at > high:
            at, moment = high, EPOCH + timedelta(seconds=high)
        after = moment.astimezone(zone).utcoffset()
        if after != before:
            yield at
            before = after


class LocalTimes:
    """The pieces of a zone under a rule. `gap`: `skip`, `shift` or `once`; `fold`: `first`, `second` or `both`.

    Made anew for a zone read anew; use `local_times`, which shares them.
    """

    __slots__ = ("_blocks", "fold", "gap", "zone")

    def __init__(self, zone: tzinfo, gap: str, fold: str) -> None:
        self.zone = zone
        self.gap = gap
        self.fold = fold
        self._blocks: dict[int, tuple[Piece, ...]] = {}

    def block(self, number: int) -> tuple[Piece, ...]:
        """The pieces within the seconds from `number << BLOCK_BITS` until the next block's, in order of `begin`."""
        pieces = self._blocks.get(number)
        if pieces is None:
            pieces = self._cut(number << BLOCK_BITS, (number + 1) << BLOCK_BITS)
            if len(self._blocks) >= BLOCKS_KEPT:
                self._blocks = {}  # a new dictionary, because other threads may be reading this one
            self._blocks[number] = pieces
        return pieces

    def _cut(self, begin: int, end: int) -> tuple[Piece, ...]:
        if self.zone is UTC:
            return (Piece(begin, end, 0),)
        first, last = begin - _REACH, end + _REACH
        found = changes(self.zone, first, last)
        starts = [first, *(change.at for change in found)]
        ends = [*starts[1:], last]
        offsets = [offset_at(self.zone, first), *(change.after for change in found)]
        shown_until = starts[0] + offsets[0]  # no local second from here on has been shown before
        pieces: list[Piece] = []
        for at, (start, stop, offset) in enumerate(zip(starts, ends, offsets, strict=True)):
            if at and start + offset > shown_until:
                pieces += self._in_gap(start, offsets[at - 1], shown_until, start + offset)
            pieces.append(
                Piece(
                    max(start, shown_until - offset) if self.fold == "first" else start,
                    # A fold's second half is whatever comes again later.
                    min([stop, *(s + o - offset for s, o in zip(starts[at + 1 :], offsets[at + 1 :], strict=True))])
                    if self.fold == "second"
                    else stop,
                    offset,
                )
            )
            shown_until = max(shown_until, stop + offset)
        clipped = (
            piece._replace(begin=max(piece.begin, begin), end=min(piece.end, end)) if piece.squeezed is None else piece
            for piece in pieces
        )
        return tuple(sorted((p for p in clipped if begin <= p.begin < p.end <= end), key=lambda p: p.begin))

    def _in_gap(self, at: int, before: int, gap_from: int, gap_to: int) -> list[Piece]:
        """The piece for the local seconds that no clock showed at the change `at`."""
        if self.gap == "skip":
            return []
        if self.gap == ONCE:
            return [Piece(at, at + 1, before, (gap_from, gap_to))]
        return [Piece(gap_from - before, gap_to - before, before)]


_SHARED: dict[tuple[str, str, str], LocalTimes] = {}


def local_times(name: str, zone: tzinfo, gap: str, fold: str) -> LocalTimes:
    """The pieces of the zone called `name`, shared by all that ask for the same; new when the zone was read anew."""
    key = (name, gap, fold)
    shared = _SHARED.get(key)
    if shared is None or shared.zone is not zone:
        shared = _SHARED[key] = LocalTimes(zone, gap, fold)
    return shared


def zone_name(zone: tzinfo) -> str | None:
    """The name under which another process finds the zone again; None: it has none."""
    if zone is UTC:
        return "UTC"
    key: object = getattr(zone, "key", None)
    return key if isinstance(key, str) else None
