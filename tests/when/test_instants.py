"""Instants: aware, exact, never guessed."""

import math
from datetime import UTC, date, datetime, timedelta, timezone
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mainspring.errors import InvalidValue
from mainspring.when.instants import (
    EPOCH,
    MAX_INSTANT,
    MIN_INSTANT,
    from_datetime,
    isoformat,
    load_zone,
    parse_instant,
    to_datetime,
)

TEN = 1_795_744_800_000_000  # 2026-11-27T10:00+08:00
NEW_YORK = ZoneInfo("America/New_York")


class Elsewhere:
    def __init__(self, moment):
        self.moment = moment

    def py_datetime(self):
        return self.moment


class Stamp(Elsewhere):
    py_datetime = None

    def to_pydatetime(self):
        return self.moment


READ = [
    ("2026-11-27T10:00:00.000+08:00", TEN),
    ("2026-11-27 10:00+08:00", TEN),
    ("2026-11-27T02:00:00Z", TEN),
    ("2026-11-27t02:00:00z", TEN),
    ("20261127T020000Z", TEN),
    ("2026-W48-5T02:00Z", TEN),
    ("2026-11-27T02:00:00,250Z", TEN + 250_000),
    ("2026-11-27T02:00:00.000001Z", TEN + 1),
    ("2026-11-27T02:00:00.0000010Z", TEN + 1),
    ("2026-11-27T02:00:00.0000001Z", TEN + 1),  # later rather than early
    ("2026-11-27T02:00:00.999999999Z", TEN + 1_000_000),
    ("1969-12-31T23:59:59.9999995Z", 0),
    (1_795_744_800, TEN),
    (1_795_744_800.25, TEN + 250_000),
    (978_307_200, 978_307_200_000_000),
    (datetime(2026, 11, 27, 2, tzinfo=UTC), TEN),
    (datetime(2026, 11, 27, 10, tzinfo=timezone(timedelta(hours=8))), TEN),
    (datetime(2026, 11, 27, 10, tzinfo=ZoneInfo("Asia/Shanghai")), TEN),
    (Elsewhere(datetime(2026, 11, 27, 2, tzinfo=UTC)), TEN),
    (Stamp(datetime(2026, 11, 27, 2, tzinfo=UTC)), TEN),
    # Another library's type has made its choice: the first of the two.
    (Elsewhere(datetime(2026, 11, 1, 1, 30, tzinfo=NEW_YORK)), 1_793_511_000_000_000),
]


@pytest.mark.parametrize(("value", "instant"), READ)
def test_reads(value, instant):
    assert parse_instant(value) == instant
    assert parse_instant(value, tz="America/New_York") == instant


REFUSED = [
    (True, "True and False"),
    (None, "of type NoneType"),
    (60, r"did you mean after=60\?"),
    (-1.5, r"did you mean after=-1.5\?"),
    (math.nan, "after=nan"),
    (1_795_744_800_000, "looks like milliseconds; divide by 1000: 1795744800.0"),
    (1_795_744_800_000_000, "micro- or nanoseconds"),
    (10**5000, "bits"),
    ("30m", r"did you mean after='30m'\?"),
    ("+30m", r"did you mean after='30m'\?"),
    ("1795744800", "as a number"),
    ("noon", "no ISO 8601"),
    ("2026-02-30T10:00Z", "day is out of range"),
    ("2026-11-27", "add the time of day"),
    (date(2026, 11, 27), "at what time of that day.*'2026-11-27T00:00:00"),
    ("2026-11-27T10:00", r"write '2026-11-27T10:00:00\+00:00'.*Daemon\(tz="),
    (datetime(2026, 11, 27, 10), r"write '2026-11-27T10:00:00\+00:00'.*Daemon\(tz="),  # noqa: DTZ001
    (Elsewhere(datetime(2026, 11, 27, 10)), "Elsewhere"),  # noqa: DTZ001
    ("0001-01-01T00:00Z", "between the years 1 and 9999"),
    (datetime.max.replace(tzinfo=UTC), "between the years"),
]


@pytest.mark.parametrize(
    ("value", "words"), REFUSED, ids=lambda value: str(value)[:20] if type(value) is str else type(value).__name__
)
def test_refuses_with_the_reason(value, words):
    with pytest.raises(InvalidValue, match=words) as caught:
        parse_instant(value)
    assert str(caught.value).startswith("expected an instant")


def test_naive_times_are_read_in_the_zone_that_is_given():
    naive = datetime(2026, 11, 27, 10)  # noqa: DTZ001
    for tz in ("Asia/Shanghai", ZoneInfo("Asia/Shanghai"), timezone(timedelta(hours=8))):
        assert parse_instant(naive, tz=tz) == TEN
        assert parse_instant("2026-11-27 10:00", tz=tz) == TEN
    with pytest.raises(InvalidValue, match="add the time of day"):
        parse_instant("2026-11-27", tz="UTC")


GAP = ("2026-03-08T01:30:00-05:00", "2026-03-08T03:30:00-04:00")
FOLD = ("2026-11-01T01:30:00-04:00", "2026-11-01T01:30:00-05:00")


@pytest.mark.parametrize(
    ("local", "words", "choices"), [("2026-03-08T02:30", "does not exist", GAP), ("2026-11-01T01:30", "twice", FOLD)]
)
def test_a_local_time_that_does_not_exist_or_exists_twice_shows_the_choices(local, words, choices):
    naive = datetime.fromisoformat(local)
    for value in (local, naive):
        with pytest.raises(InvalidValue, match=words) as caught:
            parse_instant(value, tz=NEW_YORK)
        for choice in choices:
            assert f"'{choice}'" in str(caught.value)
            parse_instant(choice)  # what is shown can be used


def test_an_aware_time_that_exists_twice_means_what_it_says_and_one_that_does_not_exist_is_refused():
    for choice in FOLD:
        instant = parse_instant(choice)
        assert parse_instant(to_datetime(instant, NEW_YORK)) == instant  # as of datetime.now(NEW_YORK) in that hour
    day_before = datetime(2026, 10, 31, 1, 30, tzinfo=NEW_YORK)
    assert parse_instant(day_before + timedelta(days=1)) == parse_instant(FOLD[0])
    with pytest.raises(InvalidValue, match="does not exist"):
        parse_instant(datetime(2026, 3, 8, 2, 30, tzinfo=NEW_YORK))


def test_fold_chooses_the_second_but_not_a_time_that_does_not_exist():
    second = datetime(2026, 11, 1, 1, 30, fold=1)  # noqa: DTZ001
    for value in (second, second.replace(tzinfo=NEW_YORK)):
        assert parse_instant(value, tz=NEW_YORK) == parse_instant(FOLD[1])
    with pytest.raises(InvalidValue, match="does not exist"):
        parse_instant(datetime(2026, 3, 8, 2, 30, fold=1), tz=NEW_YORK)  # noqa: DTZ001


def test_a_change_of_half_an_hour_and_a_skipped_day():
    with pytest.raises(InvalidValue, match=r"'2026-10-04T01:45:00\+10:30' or '2026-10-04T02:45:00\+11:00'"):
        parse_instant("2026-10-04T02:15", tz="Australia/Lord_Howe")
    with pytest.raises(InvalidValue, match=r"'2011-12-29T10:00:00-10:00' or '2011-12-31T10:00:00\+14:00'"):
        parse_instant("2011-12-30T10:00", tz="Pacific/Apia")


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("Shanghai", "did you mean 'Asia/Shanghai'"),
        ("asia/shanghai", "did you mean 'Asia/Shanghai'"),
        ("Amerika/New_York", "did you mean 'America/New_York'"),
        ("New York", "did you mean 'America/New_York'"),
        ("", "name of a time zone"),
        ("../secret", "name of a time zone"),
        ("America", "name of a time zone"),
        (5, "5 of type int"),
    ],
)
def test_an_unknown_zone_is_met_with_a_suggestion(name, words):
    with pytest.raises(InvalidValue, match=words):
        load_zone(name)
    with pytest.raises(InvalidValue, match=words):
        parse_instant("2026-11-27T10:00", tz=name)


def test_zones_are_loaded_by_name():
    assert load_zone("UTC") is UTC
    assert load_zone("Asia/Shanghai") is ZoneInfo("Asia/Shanghai")
    assert load_zone(NEW_YORK) is NEW_YORK


def test_from_datetime_takes_what_programs_make_as_it_is():
    first = datetime(2026, 11, 1, 1, 30, tzinfo=NEW_YORK)
    assert from_datetime(first) == parse_instant(FOLD[0])
    assert from_datetime(first.replace(fold=1)) == parse_instant(FOLD[1])
    with pytest.raises(InvalidValue, match="none"):
        from_datetime(datetime(2026, 1, 1))  # noqa: DTZ001


def test_text_and_datetimes_out():
    assert isoformat(TEN) == "2026-11-27T02:00:00.000000Z"
    assert isoformat(-1) == "1969-12-31T23:59:59.999999Z"
    assert to_datetime(TEN) == datetime(2026, 11, 27, 2, tzinfo=UTC)
    shown = to_datetime(TEN, ZoneInfo("Asia/Shanghai"))
    assert shown.isoformat() == "2026-11-27T10:00:00+08:00"


@settings(deadline=None)
@given(
    st.integers(MIN_INSTANT, MAX_INSTANT), st.sampled_from(["UTC", "America/New_York", "Pacific/Apia", "Asia/Tehran"])
)
def test_round_trips(instant, zone):
    moment = to_datetime(instant, load_zone(zone))
    assert from_datetime(moment) == instant
    assert moment - EPOCH == timedelta(microseconds=instant)
    assert parse_instant(isoformat(instant)) == instant
