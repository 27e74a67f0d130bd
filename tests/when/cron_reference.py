"""What a cron expression means, slowly and obviously: real time is walked step by step, and every clock is read.

Nothing is shared with the engine: the fields are read anew at every question, local times come from `zoneinfo` alone,
and what a clock skips or shows twice is found by having looked at it at every step.
"""

from datetime import UTC, datetime, timedelta
from functools import partial
from itertools import pairwise

MONTHS = ["", "jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"]
WEEKDAYS = ["sun", "mon", "tue", "wed", "thu", "fri", "sat"]
DAY = timedelta(days=1)
# How much more is walked, for what a clock shows again: none was ever moved by more than a day.
MARGIN = 26 * 3600

SETTINGS = [
    {},
    *({"gap": gap, "fold": fold} for gap in ("skip", "shift") for fold in ("first", "second", "both")),
]


def fits(expression: str, local: datetime) -> bool:
    """Whether a clock that shows `local` shows what the expression says."""
    return time_fits(expression, local) and day_fits(expression, local)


def six(expression: str) -> list[str]:
    words = expression.lower().split()
    return words if len(words) == 6 else ["0", *words]


def time_fits(expression: str, local: datetime) -> bool:
    second, minute, hour, *_ = six(expression)
    return (
        number_fits(second, local.second, 0, 59)
        and number_fits(minute, local.minute, 0, 59)
        and number_fits(hour, local.hour, 0, 23)
    )


def day_fits(expression: str, local: datetime) -> bool:
    *_, day, month, weekday = six(expression)
    if not number_fits(month, local.month, 1, 12, MONTHS):
        return False
    by_day = any(day_of_month_fits(part, local) for part in day.split(","))
    by_weekday = any(weekday_fits(part, local) for part in weekday.split(","))
    if day[0] in "*?" or weekday[0] in "*?":
        return by_day and by_weekday
    return by_day or by_weekday


def number_fits(text: str, value: int, low: int, high: int, names: list[str] | None = None) -> bool:
    return any(part_fits(part, value, low, high, names) for part in text.split(","))


def part_fits(part: str, value: int, low: int, high: int, names: list[str] | None = None) -> bool:
    base, slash, step = part.partition("/")
    first, dash, last = base.partition("-")
    if base in "*?":
        begin, end = low, high
    elif dash:
        begin, end = number(first, names), number(last, names)
    else:
        begin = number(first, names)
        end = high if slash else begin
    return value in range(begin, end + 1, int(step) if slash else 1)


def number(word: str, names: list[str] | None) -> int:
    return names.index(word) if names and word in names else int(word)


def day_of_month_fits(part: str, local: datetime) -> bool:
    last = next(day for day in (31, 30, 29, 28) if is_day(local, day))
    if part == "l":
        return local.day == last
    if part.startswith("l-"):
        return local.day == last - int(part[2:])
    if part.endswith("w"):
        wanted = last if part == "lw" else int(part[:-1])
        working = [day for day in range(1, last + 1) if local.replace(day=day).isoweekday() <= 5]
        return wanted <= last and local.day == min(working, key=lambda day: abs(day - wanted))
    return part_fits(part, local.day, 1, 31)


def is_day(local: datetime, day: int) -> bool:
    try:
        local.replace(day=day)
    except ValueError:
        return False
    return True


def weekday_fits(part: str, local: datetime) -> bool:
    name, which, count = part.partition("#")
    if which:
        return weekday_fits(name, local) and (local.day - 1) // 7 + 1 == int(count)
    if part.endswith("l"):
        return weekday_fits(part[:-1], local) and (local + 7 * DAY).month != local.month
    today = local.isoweekday() % 7
    if part in ("sun", "7"):
        return today == 0
    if "/" not in part and part.endswith(("-7", "-sun")):
        return today == 0 or weekday_fits(part.rpartition("-")[0] + "-6", local)
    return part_fits(part, today, 0, 6, WEEKDAYS)


def rule(expression: str, gap: str | None = None, fold: str | None = None) -> tuple[str, str]:
    """What becomes of times that are skipped, and of those that are shown twice."""
    if gap is not None or fold is not None:
        return gap or "shift", fold or "first"
    wildcard = any(word.startswith("*") for word in six(expression)[:3])
    return ("skip", "both") if wildcard else ("once", "first")


class Walk:
    """Real time from `begin` until before `end` (seconds since 1970), read off a clock of the zone at every step."""

    def __init__(self, zone, begin: int, end: int, *, step: int = 60, margin: int = MARGIN) -> None:
        assert begin % step == end % step == 0
        self.begin, self.end = begin, end
        self.shown: dict[datetime, list[int]] = {}
        self.skipped: list[tuple[datetime, int, int]] = []  # what no clock showed, the instant after it, moved later
        steps = []
        for instant in range(begin - margin, end + margin, step):
            local = datetime.fromtimestamp(instant, zone).replace(tzinfo=None, fold=0)
            steps.append((instant, local))
            self.shown.setdefault(local, []).append(instant)
        for (_, before), (after, local) in pairwise(steps):
            skipped = before + timedelta(seconds=step)
            while skipped < local:
                if skipped not in self.shown:
                    # Python reads a time that does not exist with the offset before the gap: later by its length.
                    moved = int(skipped.replace(tzinfo=zone, fold=0).astimezone(UTC).timestamp())
                    self.skipped.append((skipped, after, moved))
                skipped += timedelta(seconds=step)

    def instants(self, matches, gap: str, fold: str) -> list[int]:
        """The instants that fit, ascending. `matches`: whether a local time fits; `gap`, `fold`: as `rule` answers."""
        found = set()
        for local, instants in self.shown.items():
            if matches(local):
                found.update({"first": instants[:1], "second": instants[-1:], "both": instants}[fold])
        if gap != "skip":
            found.update(after if gap == "once" else moved for local, after, moved in self.skipped if matches(local))
        return sorted(instant for instant in found if self.begin <= instant < self.end)


def occurrences(expression: str, zone, begin: int, end: int, *, step: int = 60, **setting) -> list[int]:
    """The instants of `Cron(expression, tz=zone, **setting)` from `begin` until before `end`."""
    return Walk(zone, begin, end, step=step).instants(partial(fits, expression), *rule(expression, **setting))
