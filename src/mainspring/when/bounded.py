"""`Bounded`: a trigger from an instant on, before another, or so many times."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from functools import lru_cache
from typing import Final

from mainspring.errors import InvalidValue
from mainspring.when.combining import Wrapping, check_size, in_brackets, kept, kept_or_none, kept_us, never, taken
from mainspring.when.every import Every
from mainspring.when.instants import MIN_INSTANT, isoformat, parse_instant, to_datetime
from mainspring.when.shown import shown
from mainspring.when.triggers import Trigger, decode_trigger, encode_trigger
from mainspring.when.zones import forget_with_zones

_MOST_COUNTED = 10_000  # they are counted from the start whenever the trigger is read
_MOST = 1_000_000_000


class Bounded(Wrapping):
    """What `.between` and `.at_most` make: the instants of `of` from `start` on, before `end`, `count` at most.

    `count` counts occurrences from `start`, whether they ran or not: nothing has to be remembered. Without `start` it
    needs a trigger that has a first instant. At most 10,000; of a plain `Every` more.
    """

    __slots__ = ("_count", "_end", "_start")

    _start: int | None  # µs UTC
    _end: int | None  # µs UTC, itself excluded
    _count: int | None

    KIND: Final = "bounded"

    def __init__(
        self,
        of: Trigger,
        *,
        start: datetime | str | float | None = None,
        end: datetime | str | float | None = None,
        count: int | None = None,
    ) -> None:
        taken(of)
        first = None if start is None else parse_instant(start)
        last = None if end is None else parse_instant(end)
        if first is None and last is None and count is None:
            raise InvalidValue("expected a start, an end or a count, got none of them")
        if first is not None and last is not None and last <= first:
            raise InvalidValue(f"expected an end after the start {isoformat(first)}, got {isoformat(last)}")
        if count is not None:
            _check_count(of, first, count)
        self._set(_of=of, _start=first, _end=last, _count=count)
        check_size(self)
        if self.next_us(MIN_INSTANT) is None:
            never(shown(self), "it has no instant within these bounds")

    @property
    def begins(self) -> bool:
        """Whether there is a first instant."""
        return self._start is not None or super().begins

    def next_us(self, after: int) -> int | None:
        """`next` in microseconds UTC."""
        if self._start is not None:
            after = max(after, self._start - 1)
        at = self._of.next_us(after)
        if at is None or (self._end is not None and at >= self._end):
            return None
        if self._count is not None:
            last = _nth(self._of, MIN_INSTANT if self._start is None else self._start, self._count)
            if last is not None and at > last:
                return None
        return at

    def stored(self) -> dict[str, object]:
        """What is kept of it, as JSON values."""
        return {"of": encode_trigger(self._of), "start": self._start, "end": self._end, "count": self._count}

    @classmethod
    def from_stored(cls, stored: Mapping[str, object]) -> "Bounded":
        """The trigger of which `stored` was kept."""
        start, end = (None if stored.get(key) is None else kept_us(stored, key) for key in ("start", "end"))
        return cls(
            decode_trigger(kept(stored, "of", dict)),
            start=None if start is None else to_datetime(start),
            end=None if end is None else to_datetime(end),
            count=kept_or_none(stored, "count", int),
        )

    def _key(self) -> tuple[object, ...]:
        return self._of, self._start, self._end, self._count

    def __repr__(self) -> str:
        start, end = (None if at is None else isoformat(at) for at in (self._start, self._end))
        text = in_brackets(self._of)
        if self._count is None:
            return f"{text}.between({start!r}, {end!r})"
        if end is None:
            return f"{text}.at_most({self._count}{'' if start is None else f', start={start!r}'})"
        return f"Bounded({self._of!r}, start={start!r}, end={end!r}, count={self._count})"

    def __str__(self) -> str:
        said = [str(self._of)]
        if self._start is not None:
            said.append(f"from {isoformat(self._start)}")
        if self._end is not None:
            said.append(f"before {isoformat(self._end)}")
        if self._count is not None:
            said.append("once" if self._count == 1 else f"{self._count:,} times")
        return ", ".join(said)


def _check_count(of: Trigger, start: int | None, count: object) -> None:
    most = _MOST if isinstance(of, Every) else _MOST_COUNTED
    if isinstance(count, bool) or not isinstance(count, int) or not 1 <= count <= most:
        raise InvalidValue(f"expected a count from 1 to {most:,}, got {shown(count)}; for longer give an end")
    if start is None and not getattr(of, "begins", False):
        raise InvalidValue(
            f"expected a start to count from, because {shown(of)} has no beginning: .at_most({count}, start=...)"
        )


@lru_cache(maxsize=1_024)
def _nth(of: Trigger, start: int, count: int) -> int | None:
    """The instant of occurrence `count` from `start` on; None: there are fewer."""
    at = of.next_us(start - 1)
    if at is not None and isinstance(of, Every):
        return of.next_us(at + (count - 1) * (of.interval // timedelta(microseconds=1)) - 1)
    for _ in range(count - 1):
        if at is None:
            return None
        at = of.next_us(at)
    return at


forget_with_zones(_nth.cache_clear)
