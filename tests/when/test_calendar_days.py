"""Triggers of local times: calendar intervals, and times on certain days."""

from datetime import UTC, date, datetime, time, timedelta

import pytest
from hypothesis import given, settings
from trigger_parts import (
    DAY,
    FROM,
    NEW_YEAR,
    business,
    calendars,
    clocks,
    day_times,
    first,
    folds,
    gaps,
    instants,
    local_instants,
    same_after_storing,
    some_days,
    walk,
    zones,
)

from mainspring.errors import InvalidValue
from mainspring.triggers import BusinessDays, Calendar, Cron, Days
from mainspring.when.instants import MAX_INSTANT, from_datetime, to_datetime

QUICK = settings(deadline=None, max_examples=60)


def test_a_month_is_counted_from_the_start_and_does_not_drift():
    found = first(Calendar(months=1, start="2026-01-31"), 4)
    assert [text[:10] for text in found] == ["2026-01-31", "2026-02-28", "2026-03-31", "2026-04-30"]
    assert [text[11:] for text in found] == ["09:00:00+00:00"] * 4
    skipping = first(Calendar(months=1, start=date(2026, 1, 31), end_of_month="skip"), 4)
    assert [text[:10] for text in skipping] == ["2026-01-31", "2026-03-31", "2026-05-31", "2026-07-31"]


def test_leap_days_also_across_a_century():
    birthday = Calendar(years=1, start="2092-02-29", end_of_month="skip")
    assert [text[:10] for text in first(birthday, 3)] == ["2092-02-29", "2096-02-29", "2104-02-29"]
    assert first(Calendar(years=1, start="2024-02-29"), 1)[0][:10] == "2026-02-28"


def test_weeks_days_and_several_times():
    twice = Calendar(weeks=2, days=1, start="2026-01-05", at=[time(17, 30, 15), "9:00", "09:00"], tz="Asia/Shanghai")
    assert first(twice, 3) == ["2026-01-05T09:00:00+08:00", "2026-01-05T17:30:15+08:00", "2026-01-20T09:00:00+08:00"]


def reference_calendar(months, days, start, end_of_month, until):
    found, number = [], 0
    while True:
        year, month = divmod(start.year * 12 + start.month - 1 + months * number, 12)
        day, last = start.day, (date(year + month // 11, (month + 1) % 12 + 1, 1) - timedelta(days=1)).day
        at = date(year, month + 1, min(day, last)) + timedelta(days=days * number)
        if at > until:
            return found
        if day <= last or end_of_month == "last":
            found.append(at)
        number += 1


@QUICK
@given(calendars, instants)
def test_calendars_are_all_their_local_times(calendar, after):
    kept = calendar.stored()
    start = date.fromisoformat(kept["start"])
    days = reference_calendar(kept["months"], kept["days"], start, kept["end_of_month"], date(2028, 6, 1))
    assert_agrees(calendar, days, kept["at"], after)


@QUICK
@given(business | some_days, clocks, gaps, folds, instants)
def test_times_on_days_are_all_their_local_times(days, clock, gap, fold, after):
    every_day = [date(2025, 11, 1) + timedelta(days=number) for number in range(950)]
    for chosen in (days, ~days):
        assert_agrees(chosen.at(clock, gap=gap, fold=fold), [day for day in every_day if day in chosen], [clock], after)


def assert_agrees(trigger, days, clock_times, after):
    until = after + 120 * DAY
    local = [datetime.combine(day, time.fromisoformat(clock)) for day in days for clock in clock_times]
    wanted = {at for one in local for at in local_instants(one, trigger.tz, trigger.gap, trigger.fold)}
    assert walk(trigger, after, until) == sorted(at for at in wanted if after < at <= until)


@QUICK
@given(day_times | calendars)
def test_they_are_values(trigger):
    same_after_storing(trigger)


@QUICK
@given(business | some_days)
def test_the_nth_of_a_month(days):
    for nth in (1, -1, 3, -2):
        trigger = days.at("12:00", nth=nth, gap="skip")
        wanted = []
        for number in range(18):
            month = date(2026 + number // 12, number % 12 + 1, 1)
            later = [month + timedelta(days=more) for more in range(31)]
            fits = [day for day in later if day.month == month.month and day in days]
            wanted += [fits[nth - 1 if nth > 0 else nth]] if len(fits) >= abs(nth) else []
        assert_agrees(trigger, wanted, ["12:00"], FROM + 2 * DAY)


def test_business_days():
    berlin = BusinessDays(tz="Europe/Berlin", holidays={date(2026, 1, 1): "New Year", date(2026, 1, 30): "made up"})
    assert first(berlin.at("9:00"), 2) == ["2026-01-02T09:00:00+01:00", "2026-01-05T09:00:00+01:00"]
    assert first(berlin.at("17:00", nth=-1), 2) == ["2026-01-29T17:00:00+01:00", "2026-02-27T17:00:00+01:00"]
    worked = BusinessDays(workdays=["2026-01-03"])
    assert date(2026, 1, 3) in worked
    assert date(2026, 1, 4) not in worked
    assert date(2026, 1, 4) in ~worked
    gulf = BusinessDays(weekend=["fri", "sat"])
    assert [date(2026, 1, day) in gulf for day in (1, 2, 3, 4)] == [True, False, False, True]
    assert repr(gulf) == "BusinessDays(weekend=['fri', 'sat'])"
    assert worked != Days("mon", "tue", "wed", "thu", "fri", "2026-01-03")


def test_days_take_the_zone_of_what_they_are_combined_with():
    nine = Cron("0 9 * * *", tz="Pacific/Auckland")
    sundays = nine & Days("sunday")
    assert first(sundays, 1) == ["2026-01-04T09:00:00+13:00"]
    assert sundays == (nine & Days("sun", tz="Pacific/Auckland"))
    assert sundays != (nine & Days("sun", tz="UTC"))


def test_there_is_an_end_of_time():
    assert Calendar(days=1, start="9999-12-01").next_us(MAX_INSTANT) is None
    assert Calendar(years=1, start="9998-05-01").next(datetime(9999, 6, 1, tzinfo=UTC)) is None
    assert Days("mon").at().next_us(MAX_INSTANT) is None
    assert Days("2026-05-01").at().next(datetime(2026, 6, 1, tzinfo=UTC)) is None


def test_a_day_that_a_zone_skipped():
    apia = Calendar(days=1, start="2011-12-28", at="12:00", tz="Pacific/Apia", gap="skip")
    after = from_datetime(datetime(2011, 12, 29, tzinfo=UTC))
    assert [to_datetime(at).day for at in walk(apia, after, after + 3 * DAY)] == [29, 30, 31]
    fridays = Cron("0 * * * *", tz="Pacific/Apia") & Days("2011-12-29", "2011-12-31")
    assert len(walk(fridays, after - 5 * DAY, after + 9 * DAY)) == 48


def test_in_words():
    assert str(Calendar(months=1, weeks=2, start="2026-01-31", tz="Asia/Shanghai")) == (
        "every month and 2 weeks at 09:00, from 2026-01-31 (Asia/Shanghai)"
    )
    assert str(BusinessDays().at("17:00", nth=-1)) == "at 17:00 on the last of each month of business days (UTC)"
    assert str(~Days("sat", date(2026, 1, 5))) == "all days but sat, 2026-01-05"


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: Calendar(start="2026-01-01"), "expected an interval"),
        (lambda: Calendar(months=-1, start="2026-01-01"), "months as a whole number"),
        (lambda: Calendar(days=True, start="2026-01-01"), "days as a whole number"),
        (lambda: Calendar(years=1_001, start="2026-01-01"), "at most 1,000 years"),
        (lambda: Calendar(days=1, start="2026-02-30"), "start as a date.*2026-02-30"),
        (lambda: Calendar(days=1, start=NEW_YEAR), "start as a date"),
        (lambda: Calendar(days=1, start="2026-01-01", at="24:30"), "time of day.*24:30"),
        (lambda: Calendar(days=1, start="2026-01-01", at="09:00:00.5"), "to the second"),
        (lambda: Calendar(days=1, start="2026-01-01", at=[]), "expected a time of day"),
        (lambda: Calendar(days=1, start="2026-01-01", at=time(9, tzinfo=UTC)), "zone is said once"),
        (lambda: Calendar(days=1, start="2026-01-01", tz="Asia/Shanghia"), "did you mean 'Asia/Shanghai'"),
        (lambda: Calendar(days=1, start="2026-01-01", tz=NEW_YEAR.astimezone().tzinfo), "name of a time zone"),
        (lambda: Calendar(days=1, start="2026-01-01", gap="jump"), "gap='skip' or 'shift'"),
        (lambda: Calendar(days=1, start="2026-01-01", end_of_month="first"), "'last' or 'skip'"),
        (Days, "got none"),
        (lambda: Days("funday"), "day of the week.*funday"),
        (lambda: Days(NEW_YEAR), "day of the week"),
        (lambda: Days("0001-01-01"), "dates between"),
        (lambda: Days(*[date(1970, 1, 1) + timedelta(days=n) for n in range(10_001)]), "at most 10,000 dates"),
        (lambda: BusinessDays(holidays={}), "years=range"),
        (lambda: BusinessDays(holidays="2026-01-01"), "a list of dates"),
        (lambda: BusinessDays(holidays=["mon"]), "dates in holidays"),
        (lambda: BusinessDays(holidays=["2026-01-03"], workdays=["2026-01-03"]), "2026-01-03 in both"),
        (lambda: BusinessDays(weekend=["mon", "tue", "wed", "thu", "fri", "sat", "sun"]), "all seven"),
        (lambda: Days("mon").at(nth=0), "nth from 1"),
        (lambda: Days("mon").at(nth=6), "never does"),
        (lambda: Days("2026-03-29", tz="Europe/Berlin").at("02:30", gap="skip"), "never does"),
        (lambda: NEW_YEAR in Days("mon"), "expected a date"),
    ],
)
def test_what_means_nothing_is_refused(make, words):
    with pytest.raises(InvalidValue, match=words):
        make()


def test_they_are_frozen():
    for value, name in ((Days("mon"), "_mask"), (Calendar(days=1, start="2026-01-01"), "_at")):
        with pytest.raises(AttributeError, match="frozen"):
            setattr(value, name, 1)
        with pytest.raises(AttributeError, match="frozen"):
            delattr(value, name)


def test_next_wants_an_aware_datetime():
    with pytest.raises(InvalidValue, match="aware datetime"):
        Days("mon").at().next(datetime(2026, 1, 1))  # noqa: DTZ001


@QUICK
@given(zones, instants)
def test_days_are_asked_in_both_directions(zone, after):
    days = Days("tue", "2026-05-01", tz=zone)
    day = to_datetime(after).date()
    for inside in (True, False):
        found = days.following(day, inside=inside)
        walked = day
        while (walked in days) is not inside:
            walked += timedelta(days=1)
        assert found == walked
