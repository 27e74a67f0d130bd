"""Recurrence rules: the same instants as the library gives from the start, found without going there."""

import builtins
from datetime import UTC, datetime, timedelta
from itertools import islice

import pytest
from dateutil.rrule import rrulestr
from hypothesis import given, settings
from hypothesis import strategies as st
from trigger_parts import NEW_YEAR, first, same_after_storing, walk

from mainspring.errors import InvalidValue
from mainspring.triggers import RRule
from mainspring.when import rrule
from mainspring.when.instants import from_datetime

START = datetime(2026, 1, 14, 9, 41, 5)  # noqa: DTZ001  # a Wednesday, local

SIXTY = ",".join(map(str, range(60)))

RULES = [
    "FREQ=DAILY", "FREQ=DAILY;INTERVAL=3;BYHOUR=4,16", "FREQ=DAILY;BYMONTHDAY=-1", "FREQ=DAILY;BYDAY=MO,FR;BYSETPOS=1",
    "FREQ=WEEKLY", "FREQ=WEEKLY;INTERVAL=2;WKST=SU;BYDAY=SU,TU", "FREQ=WEEKLY;INTERVAL=2;WKST=MO;BYDAY=SU,TU",
    "FREQ=WEEKLY;INTERVAL=5;BYDAY=MO;BYMONTH=3,4,9",
    "FREQ=MONTHLY", "FREQ=MONTHLY;BYDAY=-1FR;BYHOUR=18", "FREQ=MONTHLY;INTERVAL=5;BYMONTHDAY=31",
    "FREQ=MONTHLY;BYDAY=MO,TU,WE,TH,FR;BYSETPOS=-1", "FREQ=MONTHLY;BYDAY=FR;BYMONTHDAY=13",
    "FREQ=YEARLY", "FREQ=YEARLY;BYMONTH=2;BYMONTHDAY=29", "FREQ=YEARLY;INTERVAL=3;BYYEARDAY=1,-1,100",
    "FREQ=YEARLY;BYWEEKNO=1,20,53;BYDAY=MO", "FREQ=YEARLY;BYDAY=20MO,-1SU", "FREQ=YEARLY;BYMONTH=3;BYDAY=TH",
    "FREQ=YEARLY;BYMONTH=11;BYMONTHDAY=2,3,4,5,6,7,8;BYDAY=TU;INTERVAL=4",
    "FREQ=HOURLY", "FREQ=HOURLY;INTERVAL=7", "FREQ=HOURLY;BYMONTH=3;BYDAY=SU;BYMINUTE=0,30",
    "FREQ=HOURLY;INTERVAL=5;BYHOUR=3",
    "FREQ=MINUTELY;INTERVAL=17", "FREQ=MINUTELY;INTERVAL=90;BYHOUR=9,10,11", "FREQ=MINUTELY;BYMINUTE=7;BYDAY=WE",
    "FREQ=SECONDLY;INTERVAL=4001", "FREQ=SECONDLY;BYHOUR=9;BYMINUTE=41;BYSECOND=5,6;BYMONTHDAY=14",
]  # fmt: skip


def from_the_start(text, after, count):
    """What the library gives when it begins where the rule does."""
    later = (at for at in rrulestr(text, dtstart=START) if at > after)
    return [from_datetime(at.replace(tzinfo=UTC)) for at in islice(later, count)]


@settings(deadline=None, max_examples=150)
@given(st.sampled_from(RULES), st.integers(-400 * 86_400, 700 * 86_400))
def test_instants_are_those_of_the_library_from_the_start(text, seconds):
    after = START + timedelta(seconds=seconds)
    instant = from_datetime(after.replace(tzinfo=UTC))
    trigger = RRule(text, start=START)
    found = walk(trigger, instant, from_datetime(datetime(2300, 1, 1, tzinfo=UTC)), 5)
    assert found == from_the_start(text, after, 5)
    assert all(trigger.next_us(at - 1) == at for at in found)


@pytest.mark.parametrize("text", RULES)
def test_rules_are_values(text):
    same_after_storing(RRule(text, start=START, tz="Asia/Shanghai", fold="both"))


def test_a_rule_without_end_is_quick_far_from_its_start():
    seconds = RRule("FREQ=SECONDLY", start="1970-01-01 00:00")
    assert first(seconds, 1, datetime(9000, 1, 1, tzinfo=UTC)) == ["9000-01-01T00:00:01+00:00"]


def test_the_end_of_a_rule():
    three = RRule("FREQ=DAILY;COUNT=3", start=START)
    assert [text[:10] for text in first(three, 9)] == ["2026-01-14", "2026-01-15", "2026-01-16"]
    for until, days in (("20260115", 2), ("20260115T094104", 1), ("20260115T094105", 2), ("20260115T014105Z", 2)):
        trigger = RRule(f"FREQ=DAILY;UNTIL={until}", start=START, tz="Asia/Shanghai")
        assert len(first(trigger, 9)) == days, until


def test_local_time_where_clocks_change():
    at = {"start": "2026-03-28 02:30", "tz": "Europe/Berlin"}
    assert [text[11:] for text in first(RRule("FREQ=DAILY", **at), 3)] == [
        "02:30:00+01:00",
        "03:30:00+02:00",
        "02:30:00+02:00",
    ]
    assert [text[:10] for text in first(RRule("FREQ=DAILY", **at, gap="skip"), 2)] == ["2026-03-28", "2026-03-30"]
    autumn = RRule("FREQ=DAILY;COUNT=1", start="2026-10-25 02:30", tz="Europe/Berlin", fold="both")
    assert [text[11:] for text in first(autumn, 3)] == ["02:30:00+02:00", "02:30:00+01:00"]


def test_a_week_alone_means_the_weekday_of_the_start():
    assert first(RRule("FREQ=YEARLY;BYWEEKNO=20", start=START), 2) == [
        "2026-05-13T09:41:05+00:00", "2027-05-19T09:41:05+00:00",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "parts look like"), (5, "expected a recurrence rule"), ("FREQ=MONTHLY;" * 400, "expected a recurrence"),
        ("FREQ=FORTNIGHTLY", "it needs FREQ"), ("BYDAY=MO", "it needs FREQ"),
        ("FREQ=DAILY;BYEASTER=1", "no part 'BYEASTER'"),
        ("FREQ=DAILY;FREQ=DAILY", "twice"), ("FREQ=DAILY;INTERVAL=0", "INTERVAL is a number from 1"),
        ("FREQ=YEARLY;INTERVAL=101", "from 1 to 100"), ("FREQ=DAILY;COUNT=10001", "from 1 to 10,000"),
        ("FREQ=DAILY;COUNT=3;UNTIL=20270101", "exclude each other"), ("FREQ=DAILY;WKST=MONDAY", "WKST is one of"),
        ("FREQ=DAILY;UNTIL=tomorrow", "UNTIL is"), ("FREQ=DAILY;UNTIL=20260230", "UNTIL=20260230"),
        ("FREQ=DAILY;BYHOUR=24", "from 0 to 23"), ("FREQ=DAILY;BYMINUTE=60", "from 0 to 59"),
        ("FREQ=DAILY;BYSECOND=60", "from 0 to 59"), ("FREQ=YEARLY;BYMONTH=13", "from 1 to 12"),
        ("FREQ=MONTHLY;BYMONTHDAY=0", "from 1 to 31, or negative"), ("FREQ=MONTHLY;BYDAY=FRI", "BYDAY holds days"),
        ("FREQ=WEEKLY;BYDAY=2MO", "MONTHLY or YEARLY"), ("FREQ=WEEKLY;BYMONTHDAY=1", "no meaning with FREQ=WEEKLY"),
        ("FREQ=MONTHLY;BYWEEKNO=1", "no meaning"), ("FREQ=MONTHLY;BYSETPOS=1", "there is none"),
        ("DTSTART:20260101T000000\nRRULE:FREQ=DAILY", "DTSTART is start="),
        (f"FREQ=DAILY;BYMINUTE={SIXTY};BYSECOND={SIXTY}", "3,600 times"),
        ("FREQ=YEARLY;BYMONTH=2;BYMONTHDAY=30", "never does"), ("FREQ=DAILY;BYMONTH=2;BYMONTHDAY=30", "never does"),
        ("FREQ=SECONDLY;BYMONTH=2;BYMONTHDAY=30", "never does"), ("FREQ=HOURLY;INTERVAL=4;BYHOUR=3", "never does"),
        ("FREQ=DAILY;UNTIL=20250101", "never does"), ("FREQ=YEARLY;INTERVAL=4;BYMONTH=2;BYMONTHDAY=29", "never does"),
    ],
)  # fmt: skip
def test_what_means_nothing_is_refused(text, words):
    with pytest.raises(InvalidValue, match=words):
        RRule(text, start=START)


@pytest.mark.parametrize("start", [NEW_YEAR, "2026-01-01T00:00Z", "soon", None, START.replace(microsecond=5)])
def test_the_start_is_a_local_time(start):
    with pytest.raises(InvalidValue, match="start as a local time"):
        RRule("FREQ=DAILY", start=start)


def test_without_the_library_it_says_what_to_install(monkeypatch):
    plain = builtins.__import__

    def missing(name, *more, **others):
        if name.startswith("dateutil"):
            raise ImportError(name)
        return plain(name, *more, **others)

    monkeypatch.setattr(builtins, "__import__", missing)
    rrule._library.cache_clear()
    with pytest.raises(InvalidValue, match=r"pip install 'mainspring\[rrule\]'"):
        RRule("FREQ=DAILY", start=START)
