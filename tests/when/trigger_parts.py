"""What the tests of triggers share: walking one, small random ones, and the slow, obvious way from local time."""

import copy
import json
import pickle
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from hypothesis import strategies as st

from mainspring.triggers import BusinessDays, Calendar, Cron, Dates, Days, Every, Jitter
from mainspring.when.instants import from_datetime, to_datetime
from mainspring.when.triggers import decode_trigger, encode_trigger

NEW_YEAR = datetime(2026, 1, 1, tzinfo=UTC)
FROM = from_datetime(NEW_YEAR)
HOUR = 3_600_000_000
DAY = 24 * HOUR
ODD_ZONES = ("UTC", "Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Antarctica/Troll", "Asia/Shanghai")


def walk(trigger, after, until, most=10_000):
    """The instants after `after` and up to `until`."""
    found = []
    while len(found) < most and (at := trigger.next_us(after)) is not None and at <= until:
        assert at > after
        found.append(at)
        after = at
    return found


def first(trigger, count, after=NEW_YEAR):
    """The first instants, as text in the trigger's zone."""
    found = []
    while len(found) < count and (after := trigger.next(after)) is not None:
        found.append(after.isoformat())
    return found


def same_after_storing(trigger):
    stored = json.loads(json.dumps(encode_trigger(trigger)))
    names = {kind.__name__: kind for kind in (Every, Cron, Calendar, Dates, Days, BusinessDays, Jitter)}
    from mainspring.triggers import Bounded, RRule

    names |= {"Bounded": Bounded, "RRule": RRule}
    again = [
        decode_trigger(stored), eval(repr(trigger), names), copy.copy(trigger), pickle.loads(pickle.dumps(trigger))
    ]  # fmt: skip
    for other in again:
        assert other == trigger
        assert hash(other) == hash(trigger)
        assert encode_trigger(other) == stored


def local_instants(local, zone, gap, fold):
    """What a naive local time means, by trying both folds and looking at what the clock then shows."""
    tz = ZoneInfo(zone)
    one, two = (local.replace(tzinfo=tz, fold=number).astimezone(UTC) for number in (0, 1))
    shows = [moment for moment in sorted({one, two}) if moment.astimezone(tz).replace(tzinfo=None) == local]
    if not shows:
        return [from_datetime(one)] if gap == "shift" else []  # PEP 495: fold=0 is read with the offset before the gap
    chosen = {"first": shows[:1], "second": shows[-1:], "both": shows}[fold]
    return [from_datetime(moment) for moment in chosen]


zones = st.sampled_from(ODD_ZONES)
gaps = st.sampled_from(["shift", "skip"])
folds = st.sampled_from(["first", "second", "both"])
clocks = st.builds("{:02}:{:02}".format, st.integers(0, 23), st.sampled_from([0, 15, 30, 45]))
dates = st.dates(datetime(2026, 1, 1).date(), datetime(2027, 12, 31).date())  # noqa: DTZ001
instants = st.integers(FROM - 40 * DAY, FROM + 700 * DAY)
weekdays = st.sets(st.sampled_from(["mon", "tue", "wed", "thu", "fri", "sat", "sun"]), min_size=1, max_size=6)

calendars = st.builds(
    Calendar,
    start=dates,
    months=st.integers(0, 3),
    days=st.integers(1, 9),
    at=st.lists(clocks, min_size=1, max_size=3),
    tz=zones,
    end_of_month=st.sampled_from(["last", "skip"]),
    gap=gaps,
    fold=folds,
)
some_days = st.builds(lambda names, more, tz: Days(*names, *more, tz=tz), weekdays, st.sets(dates, max_size=4), zones)
business = st.builds(
    lambda holidays, tz: BusinessDays(holidays=holidays, tz=tz), st.sets(dates, max_size=9), st.sampled_from(ODD_ZONES)
)
day_times = st.builds(
    lambda days, at, nth, gap, fold: days.at(at, nth=nth, gap=gap, fold=fold),
    business | some_days,
    st.lists(clocks, min_size=1, max_size=2),
    st.sampled_from([None, 1, -1]),
    gaps,
    folds,
)
intervals = st.integers(1, 200).map(lambda hours: timedelta(minutes=30 * hours))
simple = st.one_of(
    st.builds(Every, intervals, anchor=instants.map(to_datetime)),
    st.builds(Cron, st.sampled_from(["0 * * * *", "30 2 * * *", "0 9 * * mon-fri", "15 1 1 * *"]), tz=zones),
    st.builds(Dates, st.lists(instants.map(to_datetime), min_size=1, max_size=8)),
    calendars,
    day_times,
)
