"""`Cron`: a trigger in cron's words, in the local time of a zone, with a named rule for what daylight saving does."""

from bisect import bisect_left
from collections.abc import Mapping
from datetime import tzinfo
from typing import Final

from mainspring.errors import InvalidValue
from mainspring.when.combining import Value
from mainspring.when.cron_fields import Fields, parse_cron
from mainspring.when.dst import (
    BLOCK_BITS,
    DAY,
    FIRST_SECOND,
    FOLDS,
    GAPS,
    LAST_SECOND,
    ONCE,
    LocalTimes,
    Piece,
    local_times,
    zone_name,
)
from mainspring.when.instants import load_zone
from mainspring.when.shown import shown

# A zone's rules repeat with the calendar, after 400 years; its table of exceptions ends in 2037.
_TABLE_ENDS = 2**31
_HORIZON = 400 * 366 * DAY
# From here on an expression must have an instant to be accepted.
_SINCE = 978_307_200  # 2001-01-01T00:00Z


class Cron(Value):
    """The instants at which the clocks of a zone show what a cron expression says.

    `expression`: five fields (minute, hour, day of month, month, weekday) or six, with seconds first; or `@daily` and
    the like. `tz`: a zone or its name. What clocks skip or show twice: `dst="cron"`, Debian's rules (an entry whose
    minute or hour begins with `*` follows real time; any other runs once), or `gap="skip" | "shift"` and
    `fold="first" | "second" | "both"`; of these the one not given is `"shift"` or `"first"`. A plain frozen value,
    equal when all this is the same.
    """

    __slots__ = ("_expression", "_fields", "_fold", "_gap", "_name", "_times", "_zone")

    _expression: str
    _fields: Fields
    _gap: str | None
    _fold: str | None
    _name: str
    _times: LocalTimes
    _zone: tzinfo

    KIND: Final = "cron"

    def __init__(
        self,
        expression: str,
        *,
        tz: str | tzinfo = "UTC",
        dst: str = "cron",
        gap: str | None = None,
        fold: str | None = None,
    ) -> None:
        came: object = expression
        if not isinstance(came, str):
            raise InvalidValue(f"expected a cron expression such as '0 3 * * *', got {shown(came)}")
        _one_of("dst", dst, ("cron",), "or give gap= and fold=")
        if gap is not None:
            _one_of("gap", gap, GAPS, "what becomes of a local time that clocks skip")
        if fold is not None:
            _one_of("fold", fold, FOLDS, "what becomes of a local time that clocks show twice")
        if gap is not None or fold is not None:
            gap, fold = gap or "shift", fold or "first"
        zone = load_zone(tz)
        name = zone_name(zone)
        if name is None:
            raise InvalidValue(f"expected a zone that has a name, to be found by other processes, got {shown(tz)}")
        text = " ".join(expression.split())
        fields = parse_cron(text)
        by_default = ("skip", "both") if fields.wildcard else (ONCE, "first")
        self._set(_expression=text, _fields=fields, _gap=gap, _fold=fold, _name=name, _zone=zone)
        self._set(_times=local_times(name, zone, gap or by_default[0], fold or by_default[1]))
        # Only what is skipped can be lost, and only where it is always the same days that are.
        if self._times.gap == "skip" and not fields.days.every and self._first(_SINCE) is None:
            raise InvalidValue(
                f"{str(self)!r} never happens: its times are those that clocks skip there; "
                f"give another time, or gap='shift'"
            )

    @property
    def expression(self) -> str:
        """As it was given, with one space between fields."""
        return self._expression

    @property
    def tz(self) -> str:
        """The name of the zone."""
        return self._name

    @property
    def gap(self) -> str | None:
        """`skip` or `shift`; None under `dst="cron"`."""
        return self._gap

    @property
    def fold(self) -> str | None:
        """`first`, `second` or `both`; None under `dst="cron"`."""
        return self._fold

    def next_us(self, after: int) -> int | None:
        """`next` in microseconds UTC."""
        second = self._first(after // 1_000_000 + 1)
        return None if second is None else second * 1_000_000

    def _first(self, start: int) -> int | None:
        """The first second that fits, `start` or later."""
        start = max(start, FIRST_SECOND)
        horizon = min(LAST_SECOND, max(start, _TABLE_ENDS) + _HORIZON)
        while start <= horizon:
            number = start >> BLOCK_BITS
            best: int | None = None
            for piece in self._times.block(number):
                if best is not None and piece.begin >= best:
                    break
                if piece.end > start:
                    found = self._in_piece(piece, start)
                    if found is not None and (best is None or found < best):
                        best = found
            if best is not None:
                return best if best <= LAST_SECOND else None
            start = (number + 1) << BLOCK_BITS
            day = self._fields.days.next(start // DAY - 1)
            if day is None:
                return None
            # Local days begin at most a day before or after those of UTC: nothing can be earlier than this.
            start = max(start, (day - 1) * DAY)
        return None

    def _in_piece(self, piece: Piece, start: int) -> int | None:
        begin = max(start, piece.begin)
        if piece.squeezed is not None:
            low, high = piece.squeezed
            local = self._first_local(low, high)
            return None if local is None else piece.begin
        local = self._first_local(begin + piece.offset, piece.end + piece.offset)
        return None if local is None else local - piece.offset

    def _first_local(self, low: int, high: int) -> int | None:
        """The first local second that fits, from `low` until before `high`."""
        fields = self._fields
        day, second = divmod(low, DAY)
        following = fields.days.next(day if second <= fields.last else day + 1)
        if following is None:
            return None
        local = following * DAY + (_time_of_day(fields, second) if following == day else fields.first)
        return local if local < high else None

    def stored(self) -> dict[str, object]:
        """What is kept of it, as JSON values: `expression`, `tz`, `gap` and `fold` (both None: `dst="cron"`)."""
        return {"expression": self._expression, "tz": self._name, "gap": self._gap, "fold": self._fold}

    @classmethod
    def from_stored(cls, stored: Mapping[str, object]) -> "Cron":
        """The trigger of which `stored` was kept."""
        expression, tz = stored.get("expression"), stored.get("tz")
        gap, fold = stored.get("gap"), stored.get("fold")
        if not (
            isinstance(expression, str)
            and isinstance(tz, str)
            and isinstance(gap, str | None)
            and isinstance(fold, str | None)
        ):
            raise InvalidValue(f"expected the stored form of Cron (expression, tz, gap, fold), got {shown(stored)}")
        return cls(expression, tz=tz, gap=gap, fold=fold)

    def _key(self) -> tuple[object, ...]:
        return self._expression, self._name, self._gap, self._fold

    def _shown_in(self) -> tzinfo:
        return self._zone

    def __str__(self) -> str:
        return f"{self._expression} {self._name}"

    def __repr__(self) -> str:
        zone = "" if self._name == "UTC" else f", tz={self._name!r}"
        rule = "" if self._gap is None else f", gap={self._gap!r}, fold={self._fold!r}"
        return f"Cron({self._expression!r}{zone}{rule})"


def _time_of_day(fields: Fields, second: int) -> int:
    """The first second of the day that fits, `second` or later; there is one."""
    hour, rest = divmod(second, 3600)
    at = bisect_left(fields.hours, hour)
    if fields.hours[at] == hour:
        within = bisect_left(fields.within_hour, rest)
        if within < len(fields.within_hour):
            return hour * 3600 + fields.within_hour[within]
        at += 1
    return fields.hours[at] * 3600 + fields.within_hour[0]


def _one_of(name: str, value: object, known: tuple[str, ...], why: str) -> None:
    if value not in known:
        raise InvalidValue(f"expected {name}={' or '.join(map(repr, known))} ({why}), got {shown(value)}")
