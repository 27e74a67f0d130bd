"""`RRule`: recurrence rules of RFC 5545, which python-dateutil expands; it is loaded on first use.

The library goes through a rule from its start until it finds an instant, or until the year 9999. Here it begins at the
period of the rule before the instant asked for, so that a rule of seconds that began years ago costs no more than a
new one; and it works in a copy of that time 400 years times so many later, near the end of its calendar, so that
looking for what never comes ends after a few hundred years. The calendar repeats after 400 years, weekdays too.
"""

from collections.abc import Callable, Iterable, Mapping
from datetime import datetime, timedelta, tzinfo
from functools import lru_cache
from typing import Any, Final

from mainspring.errors import InvalidValue
from mainspring.when.combining import kept, never
from mainspring.when.dst import DAY
from mainspring.when.instants import EPOCH
from mainspring.when.local_times import LocalRule, local_second
from mainspring.when.rrule_text import DAYS, FREQUENCIES, Rule, parse_rule
from mainspring.when.shown import shown

_NAIVE_EPOCH = EPOCH.replace(tzinfo=None)
_CYCLE = 146_097 * DAY  # 400 years, in seconds
_LATEST_COPY = 9_799  # copies of a time are in the 400 years up to this one: at least 200 are left to look through
_UNITS: Final = {"HOURLY": 3_600, "MINUTELY": 60, "SECONDLY": 1}


class RRule(LocalRule):
    """The local times of an RFC 5545 rule, `FREQ=MONTHLY;BYDAY=-1FR;BYHOUR=18`, from `start` on.

    `start`: a naive datetime or text, read in `tz`; it gives the parts that the rule does not say, and is an
    occurrence itself only when it fits the rule. Needs the package python-dateutil: `mainspring[rrule]`. The next
    occurrence is looked for in 200 years.
    """

    __slots__ = ("_last", "_rule", "_start", "_text")

    _rule: Rule
    _text: str
    _start: datetime  # naive
    _last: int | None  # the local second of the last occurrence, where there is one

    KIND: Final = "rrule"
    begins: Final = True

    def __init__(
        self,
        rule: str,
        *,
        start: datetime | str,
        tz: str | tzinfo = "UTC",
        gap: str = "shift",
        fold: str = "first",
    ) -> None:
        parsed = parse_rule(rule)
        first = _naive(start)
        self._set_zone(tz, gap, fold)
        self._set(_rule=_complete(parsed, first), _text=" ".join(rule.split()), _start=first, _last=parsed.until_local)
        if self._following(local_second(first)) is None or (parsed.most is None and not self._happens()):
            never(repr(self), "such a date or time does not exist (31 February), or UNTIL is before the first one")
        if parsed.most is not None:
            self._set(_last=self._counted(parsed.most))

    @property
    def rule(self) -> str:
        """The rule as it was given."""
        return self._text

    @property
    def start(self) -> datetime:
        """Where it begins: a naive datetime of its zone."""
        return self._start

    def next_us(self, after: int) -> int | None:
        """`next` in microseconds UTC."""
        at = super().next_us(after)
        until = self._rule.until_us
        return None if at is None or (until is not None and at > until) else at

    def _local(self, second: int) -> int | None:
        found = self._following(second)
        return None if found is None or (self._last is not None and found > self._last) else found

    def _following(self, second: int) -> int | None:
        """The first local second of the rule without its end."""
        wanted = max(second, local_second(self._start))
        begin = _period(self._rule, self._start, wanted)
        shift = (_LATEST_COPY - (_NAIVE_EPOCH + timedelta(seconds=begin)).year) // 400 * _CYCLE
        copy = _NAIVE_EPOCH + timedelta(seconds=wanted + shift)
        expand = _library()
        try:
            for found in expand(self._rule.text, dtstart=_NAIVE_EPOCH + timedelta(seconds=begin + shift)):
                if found >= copy:
                    return local_second(found) - shift
        except (ValueError, OverflowError):
            pass  # the library's words for parts that never meet, and for the end of its calendar
        return None

    def _counted(self, count: int) -> int:
        """The local second of occurrence `count`, or of the last one before."""
        last = at = self._following(local_second(self._start))
        while at is not None and count > 0:
            last, count = at, count - 1
            at = self._following(at + 1)
        assert last is not None
        return last

    def stored(self) -> dict[str, object]:
        """What is kept of it, as JSON values; `start` is local."""
        return {
            "rule": self._text,
            "start": self._start.isoformat(),
            "tz": self._tz,
            "gap": self.gap,
            "fold": self.fold,
        }

    @classmethod
    def from_stored(cls, stored: Mapping[str, object]) -> "RRule":
        """The trigger of which `stored` was kept."""
        start, tz = kept(stored, "start", str), kept(stored, "tz", str)
        gap, fold = kept(stored, "gap", str), kept(stored, "fold", str)
        return cls(kept(stored, "rule", str), start=start, tz=tz, gap=gap, fold=fold)

    def _key(self) -> tuple[object, ...]:
        return self._text, self._start, self._tz, self.gap, self.fold

    def __repr__(self) -> str:
        return f"RRule({self._text!r}, start={self._start.isoformat()!r}{self._settings()})"

    def __str__(self) -> str:
        return f"{self._text} from {self._start.isoformat(' ')} ({self._tz})"


def _naive(start: object) -> datetime:
    moment = start
    if isinstance(start, str):
        try:
            moment = datetime.fromisoformat(start.strip())
        except ValueError:
            moment = None
    if isinstance(moment, datetime) and moment.tzinfo is None and not moment.microsecond and 1970 <= moment.year < 9000:
        return moment.replace(fold=0)
    raise InvalidValue(
        f"expected start as a local time without offset, to the second, such as '2026-01-30 18:00' (tz= says where), "
        f"got {shown(start)}"
    )


def _complete(rule: Rule, start: datetime) -> Rule:
    """The rule with all that it takes from its start, so that it can be expanded from elsewhere."""
    by = dict(rule.by)
    level = FREQUENCIES.index(rule.frequency)
    days = {"BYDAY", "BYMONTHDAY", "BYYEARDAY", "BYWEEKNO"} & set(by)
    if not days:
        if rule.frequency == "YEARLY" and "BYMONTH" not in by:
            by["BYMONTH"] = str(start.month)
        if rule.frequency in {"YEARLY", "MONTHLY"}:
            by["BYMONTHDAY"] = str(start.day)
        elif rule.frequency == "WEEKLY":
            by["BYDAY"] = DAYS[start.weekday()]
    elif days == {"BYWEEKNO"}:
        by["BYDAY"] = DAYS[start.weekday()]  # RFC 5545: a week alone means the weekday of the start
    for part, value, finest in (
        ("BYHOUR", start.hour, 4),
        ("BYMINUTE", start.minute, 5),
        ("BYSECOND", start.second, 6),
    ):
        if level < finest:
            by.setdefault(part, str(value))
    head = f"FREQ={rule.frequency};INTERVAL={rule.interval};WKST={DAYS[rule.week_start]}"
    return rule._replace(text=";".join([head, *(f"{name}={value}" for name, value in by.items())]), by=by)


def _period(rule: Rule, start: datetime, wanted: int) -> int:
    """The local second at which the rule's period begins that `wanted` is in, or that is before it; or its start."""
    first, interval = local_second(start), rule.interval
    unit = _UNITS.get(rule.frequency)
    if unit is not None or rule.frequency in {"DAILY", "WEEKLY"}:
        unit = unit or (DAY if rule.frequency == "DAILY" else 7 * DAY)
        base = first // unit * unit
        if rule.frequency == "WEEKLY":
            base = first // DAY * DAY - (start.weekday() - rule.week_start) % 7 * DAY
        number = (wanted - base) // (unit * interval)
        return base + number * unit * interval if number > 0 else first
    moment = _NAIVE_EPOCH + timedelta(seconds=wanted)
    months = interval * (12 if rule.frequency == "YEARLY" else 1)
    base = start.year * 12 + (0 if rule.frequency == "YEARLY" else start.month - 1)
    number = (moment.year * 12 + moment.month - 1 - base) // months
    if number <= 0:
        return first
    year, month = divmod(base + number * months, 12)
    return local_second(datetime(year, month + 1, 1))  # noqa: DTZ001  # local


@lru_cache(maxsize=1)
def _library() -> Callable[..., Iterable[datetime]]:
    try:
        from dateutil.rrule import rrulestr  # type: ignore[import-untyped]  # it has no types of its own
    except ImportError:
        raise InvalidValue(
            "RRule needs the package python-dateutil, which is not installed: pip install 'mainspring[rrule]'"
        ) from None
    made: Any = rrulestr
    return made  # type: ignore[no-any-return]
