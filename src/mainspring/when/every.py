"""`Every`: a trigger of evenly spaced instants, found by arithmetic and therefore never drifting."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta, tzinfo
from typing import Final

from mainspring.errors import InvalidValue
from mainspring.when.combining import Value
from mainspring.when.durations import format_duration, parse_duration
from mainspring.when.instants import MAX_INSTANT, isoformat, parse_instant, to_datetime
from mainspring.when.shown import shown

MIN_INTERVAL = 1_000  # 1 ms, in µs: more often than that is a listener's work


class Every(Value):
    """The whole multiples of `interval` since 1970-01-01T00:00Z or, when given, since `anchor`.

    `interval`: seconds, a timedelta, or text such as `5s`; at least 1 ms. `anchor`: an instant that the grid goes
    through; it sets the phase, not a beginning. Occurrences are in the anchor's zone, else in UTC. A plain frozen
    value: equal when interval and phase-giving anchor are the same instant.
    """

    __slots__ = ("_anchor_us", "_interval_us", "_zone")

    _interval_us: int
    _anchor_us: int | None
    _zone: tzinfo

    KIND: Final = "every"

    def __init__(self, interval: float | str | timedelta, *, anchor: datetime | str | float | None = None) -> None:
        microseconds = parse_duration(interval)
        if microseconds < MIN_INTERVAL:
            raise InvalidValue(
                f"expected an interval of at least 1ms, got {interval!r}; "
                f"what should go on without a pause is a listener's work: @daemon.listener"
            )
        self._set(
            _interval_us=microseconds,
            _anchor_us=None if anchor is None else parse_instant(anchor),
            _zone=anchor.tzinfo if isinstance(anchor, datetime) and anchor.tzinfo else UTC,
        )

    @property
    def interval(self) -> timedelta:
        """The time between two occurrences."""
        return timedelta(microseconds=self._interval_us)

    @property
    def anchor(self) -> datetime | None:
        """An instant of the grid, or None: 1970-01-01T00:00Z."""
        return None if self._anchor_us is None else to_datetime(self._anchor_us, self._zone)

    def next_us(self, after: int) -> int | None:
        """`next` in microseconds UTC."""
        anchor = self._anchor_us or 0
        instant = anchor + ((after - anchor) // self._interval_us + 1) * self._interval_us
        return instant if instant <= MAX_INSTANT else None

    def count_us(self, after: int, until: int) -> int:
        """How many instants there are after `after` and up to `until`, in microseconds UTC."""
        anchor, interval = self._anchor_us or 0, self._interval_us
        return max(0, (until - anchor) // interval - (after - anchor) // interval)

    def stored(self) -> dict[str, object]:
        """What is kept of it, as JSON values: `{"interval": µs, "anchor": µs or None}`."""
        return {"interval": self._interval_us, "anchor": self._anchor_us}

    @classmethod
    def from_stored(cls, stored: Mapping[str, object]) -> "Every":
        """The trigger of which `stored` was kept; its anchor's zone is UTC, the instants are the same."""
        interval, anchor = stored.get("interval"), stored.get("anchor")
        if not isinstance(interval, int) or not isinstance(anchor, int | None):
            raise InvalidValue(f"expected the stored form of Every (interval and anchor in µs), got {shown(stored)}")
        return cls(timedelta(microseconds=interval), anchor=None if anchor is None else to_datetime(anchor))

    def _key(self) -> tuple[object, ...]:
        return self._interval_us, self._anchor_us

    def _shown_in(self) -> tzinfo:
        return self._zone

    def __repr__(self) -> str:
        anchor = "" if self._anchor_us is None else f", anchor={isoformat(self._anchor_us)!r}"
        return f"Every({format_duration(self._interval_us)!r}{anchor})"

    def __str__(self) -> str:
        anchor = "" if self._anchor_us is None else f" through {isoformat(self._anchor_us)}"
        return f"every {format_duration(self._interval_us)}{anchor}"

    def __reduce__(self) -> tuple[object, ...]:
        return _rebuild, (self._interval_us, self.anchor)  # not of what is stored: that is without the anchor's zone


def _rebuild(interval_us: int, anchor: datetime | None) -> Every:
    return Every(timedelta(microseconds=interval_us), anchor=anchor)
