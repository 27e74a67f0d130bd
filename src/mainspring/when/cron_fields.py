"""Cron expressions as text: what each field allows, and errors that point at the place."""

from functools import lru_cache
from typing import Final, NamedTuple, NoReturn

from mainspring.errors import InvalidValue
from mainspring.when.cron_days import DayFields, Days, days_of
from mainspring.when.shown import shown

NICKNAMES: Final = {
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
    "@monthly": "0 0 1 * *",
    "@weekly": "0 0 * * 0",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@hourly": "0 * * * *",
}

# All seconds, minutes, hours and days one by one, with their commas, are half as much.
_LONGEST: Final = 1_000

_MONTHS: Final = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_WEEKDAYS: Final = ("sun", "mon", "tue", "wed", "thu", "fri", "sat")


class Kind(NamedTuple):
    """What a field allows; `names` are those of its values, from `low` on."""

    name: str
    low: int
    high: int
    names: tuple[str, ...]
    allowed: str


SECOND: Final = Kind("second", 0, 59, (), "0-59")
MINUTE: Final = Kind("minute", 0, 59, (), "0-59")
HOUR: Final = Kind("hour", 0, 23, (), "0-23")
DAY: Final = Kind(
    "day of month", 1, 31, (), "1-31, L (the last day), L-3, 15W (the weekday nearest to the 15th), LW, ?"
)
MONTH: Final = Kind("month", 1, 12, _MONTHS, "1-12, jan-dec")
WEEKDAY: Final = Kind(
    "weekday",
    0,
    7,
    _WEEKDAYS,
    "0-7 (0 and 7 are Sunday), sun-sat, friL (the last Friday), mon#2 (the second Monday), ?",
)


class Fields(NamedTuple):
    """An expression as read: `within_hour` are the seconds of an hour that fit, `hours` the hours, both ascending;
    `first` and `last` the first and the last second of a day that fit.
    """

    within_hour: tuple[int, ...]
    hours: tuple[int, ...]
    first: int
    last: int
    days: Days
    # Debian's cron follows real time with an entry whose minute or hour begins with a star.
    wildcard: bool


@lru_cache(maxsize=4096)
def parse_cron(expression: str) -> Fields:
    """What the expression means; shared, since many schedules say the same. Errors are `InvalidValue`."""
    text = NICKNAMES.get(expression.lower(), expression)
    if text.startswith("@"):
        _refuse_nickname(expression)
    if len(text) > _LONGEST:
        raise InvalidValue(f"expected a cron expression, got {shown(expression)}: no rule needs so much text")
    words = text.split()
    if len(words) not in {5, 6}:
        _refuse_number(expression, words)
    reader = _Reader(text)
    kinds = (SECOND, MINUTE, HOUR, DAY, MONTH, WEEKDAY)[6 - len(words) :]
    read = dict(zip(kinds, reader.fields(kinds), strict=True))
    seconds = read[SECOND].values if SECOND in read else 1
    minutes, hours = read[MINUTE], read[HOUR]
    day, weekday = read[DAY], read[WEEKDAY]
    days = days_of(
        DayFields(
            months=read[MONTH].values,
            days=day.values,
            last=frozenset(day.last),
            nearest=frozenset(day.nearest),
            weekdays=weekday.values,
            numbered=frozenset(weekday.numbered),
            last_weekdays=frozenset(weekday.last),
            days_restricted=not day.star,
            weekdays_restricted=not weekday.star,
        )
    )
    if not days.ever:
        raise InvalidValue(
            f"{shown(expression)} never happens: {_why_never(words[-3], words[-2])}; "
            f"give a day that one of the months has"
        )
    within_hour = tuple(minute * 60 + second for minute in _bits(minutes.values) for second in _bits(seconds))
    in_day = tuple(_bits(hours.values))
    return Fields(
        within_hour,
        in_day,
        in_day[0] * 3600 + within_hour[0],
        in_day[-1] * 3600 + within_hour[-1],
        days,
        minutes.star or hours.star or (SECOND in read and read[SECOND].star),
    )


class _Field:
    """One field as read: a mask of plain values, and what the day fields have beyond them."""

    def __init__(self) -> None:
        self.star = False
        self.values = 0
        self.last: set[int] = set()
        self.nearest: set[int] = set()
        self.numbered: set[tuple[int, int]] = set()


class _Reader:
    """Reads the fields of one expression and knows the place of each part, for the errors."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._kind = SECOND
        self._at = 0  # of the part being read
        self._part = ""

    def fields(self, kinds: tuple[Kind, ...]) -> list[_Field]:
        """The fields in the order of `kinds`."""
        found: list[_Field] = []
        at = 0
        for kind, word in zip(kinds, self._text.split(), strict=True):
            self._kind = kind
            at = self._text.index(word, at)
            field = _Field()
            field.star = word[0] in "*?"
            if "?" in word and (word != "?" or self._kind not in (DAY, WEEKDAY)):
                self._at, self._part = at, word
                self._refuse("'?' stands alone in a day field and means '*'")
            for part in word.split(","):
                self._at, self._part = at, part
                self._read(part, field)
                at += len(part) + 1
            at -= 1
            found.append(field)
        return found

    def _read(self, part: str, field: _Field) -> None:
        if not part:
            self._refuse("a list has something between its commas")
        if self._kind is DAY and self._special_day(part.upper(), field):
            return
        if self._kind is WEEKDAY and self._special_weekday(part, field):
            return
        base, slash, step_text = part.partition("/")
        step = self._number(step_text, "a step is a whole number of at least 1: '*/5'") if slash else 1
        if step < 1:
            self._refuse("a step is at least 1")
        first, dash, last = base.partition("-")
        top = 6 if self._kind is WEEKDAY else self._kind.high
        if base in ("*", "?"):
            low, high = self._kind.low, top
        elif dash:
            low, high = self._value(first), self._value(last)
            if self._kind is WEEKDAY and high == 0 and low:
                high = 7  # sat-sun
            if low > high:
                self._refuse(
                    f"the range runs backwards; write '{first}-{top},{self._kind.low}-{last}' if it should go "
                    f"round the end"
                )
        else:
            low = self._value(first)
            if self._kind is WEEKDAY and low == 7:
                low = 0
            high = top if slash else low
        if slash and step > high - low:
            self._refuse(f"the step {step} leads from {low} beyond {high}: only {low} would be left; write {low} alone")
        for value in range(low, high + 1, step):
            field.values |= 1 << (value % 7 if self._kind is WEEKDAY else value)

    def _special_day(self, part: str, field: _Field) -> bool:
        if part == "L":
            field.last.add(0)
        elif part == "LW":
            field.nearest.add(0)
        elif part.startswith("L-"):
            back = self._number(part[2:], "'L-3' is the third day before the month's last")
            if not 1 <= back <= 30:
                self._refuse("no month is that long; L-1 to L-30 are days")
            field.last.add(back)
        elif part.endswith("W"):
            day = self._number(part[:-1], "'15W' is the weekday nearest to the 15th")
            if not 1 <= day <= 31:
                self._refuse("there is no such day")
            field.nearest.add(day)
        else:
            return False
        return True

    def _special_weekday(self, part: str, field: _Field) -> bool:
        name, hash_sign, number = part.partition("#")
        if hash_sign:
            which = self._number(number, "'mon#2' is the second Monday of the month")
            if not 1 <= which <= 5:
                self._refuse("a month has a weekday at most five times: #1 to #5")
            field.numbered.add((self._value(name) % 7, which))
        elif part in ("L", "l"):
            self._refuse("say which weekday's last is meant: 'friL' or '5L'")
        elif part[-1] in "Ll" and len(part) > 1:
            field.last.add(self._value(part[:-1]) % 7)
        else:
            return False
        return True

    def _value(self, word: str) -> int:
        kind = self._kind
        if word.lower() in kind.names:
            return kind.low + kind.names.index(word.lower())
        value = self._number(word, f"{shown(word)} is no value")
        if not kind.low <= value <= kind.high:
            self._refuse(f"{value} is outside {kind.low}-{kind.high}")
        return value

    def _number(self, word: str, hint: str) -> int:
        if not (word.isascii() and word.isdigit() and len(word) <= 4):
            self._refuse(hint)
        return int(word)

    def _refuse(self, why: str) -> NoReturn:
        mark = " " * self._at + "^" * max(len(self._part), 1)
        raise InvalidValue(
            f"cannot read {shown(self._part)} in the {self._kind.name} field of the cron expression "
            f"{shown(self._text)}: {why}. A {self._kind.name} is {self._kind.allowed}, *, a range (a-b), "
            f"a step (*/n, a-b/n, a/n) or a list of these.\n  {self._text}\n  {mark}"
        )


def _refuse_nickname(expression: str) -> NoReturn:
    if expression.lower() == "@reboot":
        raise InvalidValue(
            "'@reboot' is no time: `mainspring import crontab` reads such lines, and what should happen when a daemon "
            "starts is a listener's work or is added before daemon.run()"
        )
    if expression.lower().startswith("@every"):
        interval = expression[len("@every") :].strip() or "5m"
        raise InvalidValue(f"{shown(expression)} is an interval, not a cron expression: use Every({interval!r})")
    from difflib import get_close_matches

    close = get_close_matches(expression.lower(), NICKNAMES, n=1)
    hint = f"; did you mean {close[0]!r}?" if close else ""
    raise InvalidValue(f"expected one of {', '.join(NICKNAMES)} or five or six fields, got {shown(expression)}{hint}")


def _refuse_number(expression: str, words: list[str]) -> NoReturn:
    many = "1 field" if len(words) == 1 else f"{len(words)} fields"
    hint = "; there is no field for years" if len(words) == 7 else ""
    raise InvalidValue(
        f"expected a cron expression of 5 fields (minute hour day-of-month month weekday) or 6 (second first), "
        f"or one of {', '.join(NICKNAMES)}; got {many} in {shown(expression)}{hint}"
    )


def _why_never(day: str, month: str) -> str:
    months = ", ".join(_MONTH_NAMES[int(part)] if part.isdigit() else part for part in month.split(","))
    return f"there is no {day} {months}"


_MONTH_NAMES: Final = (
    "", "January", "February", "March", "April", "May", "June", "July", "August", "September", "October", "November",
    "December",
)  # fmt: skip


def _bits(mask: int) -> list[int]:
    return [at for at in range(mask.bit_length()) if mask >> at & 1]
