"""Triggers of local times: a rule gives the local seconds, the zone and `gap=`/`fold=` say which instants they are."""

from abc import abstractmethod
from collections.abc import Iterable
from datetime import datetime, time, tzinfo
from typing import Final

from mainspring.errors import InvalidValue
from mainspring.when.combining import Value
from mainspring.when.dst import (
    BLOCK_BITS,
    DAY,
    FIRST_SECOND,
    FOLDS,
    GAPS,
    LAST_SECOND,
    LocalTimes,
    local_times,
    zone_name,
)
from mainspring.when.instants import EPOCH, load_zone
from mainspring.when.shown import shown

# Stretches of 388 days in which a rule had local times, but none of them an instant, before the search is given up.
_TRIES = 200
PROBE_US: Final = 1_577_836_800_000_000  # 2020-01-01T00:00Z: whatever is to be used has an instant after it, or before


class LocalRule(Value):
    """A trigger whose occurrences are local times of a zone, to the second.

    `gap`: a local time that clocks skip is `shift`ed later by as much, or `skip`ped; `fold`: of one that they show
    twice the `first`, the `second` or `both` count.
    """

    __slots__ = ("_times", "_tz")

    _times: LocalTimes
    _tz: str

    def _set_zone(self, tz: str | tzinfo, gap: str, fold: str) -> None:
        for name, value, known in (("gap", gap, GAPS), ("fold", fold, FOLDS)):
            if value not in known:
                raise InvalidValue(f"expected {name}={' or '.join(map(repr, known))}, got {shown(value)}")
        name, zone = named_zone(tz)
        self._set(_tz=name, _times=local_times(name, zone, gap, fold))

    @property
    def tz(self) -> str:
        """The name of the zone."""
        return self._tz

    @property
    def gap(self) -> str:
        """`shift` or `skip`."""
        return self._times.gap

    @property
    def fold(self) -> str:
        """`first`, `second` or `both`."""
        return self._times.fold

    @abstractmethod
    def _local(self, second: int) -> int | None:
        """The first local second of the rule, `second` or later, in seconds since 1970-01-01T00:00 of that clock."""

    def next_us(self, after: int) -> int | None:
        """`next` in microseconds UTC."""
        start = max(after // 1_000_000 + 1, FIRST_SECOND)
        for _ in range(_TRIES):
            local = self._local(start - DAY)
            if local is None or local > LAST_SECOND:
                return None
            # Local clocks are at most a day before or after UTC: nothing of this rule can be earlier than this.
            start = max(start, local - DAY)
            number = start >> BLOCK_BITS
            found = self._in_block(number, start)
            if found is not None:
                return found * 1_000_000 if found <= LAST_SECOND else None
            start = (number + 1) << BLOCK_BITS
        return None

    def _in_block(self, number: int, start: int) -> int | None:
        best: int | None = None
        for piece in self._times.block(number):
            if best is not None and piece.begin >= best:
                break
            if piece.end > start:
                local = self._local(max(start, piece.begin) + piece.offset)
                if local is not None and local < piece.end + piece.offset:
                    found = local - piece.offset
                    best = found if best is None else min(best, found)
        return best

    def _settings(self) -> str:
        """The end of the repr: what is not the default."""
        return zone_settings(self._tz, self.gap, self.fold)

    def _happens(self) -> bool:
        return self.next_us(PROBE_US) is not None or self.next_us(FIRST_SECOND * 1_000_000) is not None


def zone_settings(tz: str, gap: str = "shift", fold: str = "first") -> str:
    """`, tz='...', gap='skip'`: the arguments of a repr that are not the default."""
    pairs = (("tz", tz, "UTC"), ("gap", gap, "shift"), ("fold", fold, "first"))
    return "".join(f", {name}={value!r}" for name, value, default in pairs if value != default)


def named_zone(tz: str | tzinfo) -> tuple[str, tzinfo]:
    """A zone and the name under which another process finds it; one without a name is an `InvalidValue`."""
    zone = load_zone(tz)
    name = zone_name(zone)
    if name is None:
        raise InvalidValue(
            f"expected the name of a time zone such as 'Asia/Shanghai', which other processes find, got {shown(tz)}"
        )
    return name, zone


def parse_times(value: object) -> tuple[int, ...]:
    """Seconds of the day, ascending, of a time of day or several: `"09:00"`, `time(9)`, `["09:00", "17:30:15"]`."""
    several: Iterable[object] = (
        (value,) if isinstance(value, str | time) else value if isinstance(value, Iterable) else ()
    )
    found = sorted({_time_of_day(one) for one in several})
    if not found:
        raise InvalidValue(f"expected a time of day such as '09:00', or a list of them, got {shown(value)}")
    return tuple(found)


def _time_of_day(value: object) -> int:
    why = "hours and minutes, to the second at most"
    moment = value
    if isinstance(value, str):
        text = value.strip()
        try:
            moment = time.fromisoformat("0" + text if text[1:2] == ":" else text)
        except ValueError as error:
            why = str(error)
    if isinstance(moment, time):
        if moment.tzinfo is not None:
            why = "the zone is said once, with tz="
        elif not moment.microsecond:
            return moment.hour * 3600 + moment.minute * 60 + moment.second
    raise InvalidValue(f"expected a time of day such as '09:00' or '17:30:15', got {shown(value)}: {why}")


def shown_time(second: int) -> str:
    """`09:00`, or `09:00:15`."""
    text = f"{second // 3600:02}:{second // 60 % 60:02}"
    return text if second % 60 == 0 else f"{text}:{second % 60:02}"


def shown_times(times: Iterable[int]) -> str:
    """The times as they are typed: one as text, several as a list."""
    texts = [shown_time(second) for second in times]
    return repr(texts[0] if len(texts) == 1 else texts)


def local_second(moment: datetime) -> int:
    """The seconds since 1970-01-01T00:00 on the clock that shows the naive `moment`."""
    days = moment.toordinal() - EPOCH.toordinal()
    return days * DAY + moment.hour * 3600 + moment.minute * 60 + moment.second
