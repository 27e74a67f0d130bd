"""What is said about occurrences that a change of the clocks touches."""

from datetime import date
from zoneinfo import ZoneInfo

import pytest

from mainspring.triggers import Calendar, Dates, Days
from mainspring.when.cron import Cron
from mainspring.when.every import Every
from mainspring.when.instants import parse_instant, to_datetime
from mainspring.when.preview import preview

BERLIN = ZoneInfo("Europe/Berlin")


def shown(trigger, after, count=2, zone=BERLIN):
    """Local times without their year, with their notes."""
    return [
        (f"{to_datetime(one.at, zone):%m-%d %H:%M%z}", *one.notes)
        for one in preview(trigger, parse_instant(after), count, zone)
    ]


def berlin(expression, **rule):
    return Cron(expression, tz="Europe/Berlin", **rule)


@pytest.mark.parametrize(
    ("trigger", "first"),
    [
        (berlin("30 2 * * *"), ("03-29 03:00+0200", "02:30 does not exist on 2026-03-29: runs at 03:00")),
        (berlin("30 2 * * *", gap="shift"), ("03-29 03:30+0200", "02:30 does not exist on 2026-03-29: runs at 03:30")),
        (berlin("30 2 * * *", gap="skip"), ("03-30 02:30+0200", "02:30 does not exist on 2026-03-29: left out")),
        (
            berlin("0,20,40 2 * * *"),
            ("03-29 03:00+0200", "02:00 to 02:40 (3 times) do not exist on 2026-03-29: runs at 03:00"),
        ),
        (
            berlin("0,20,40 2 * * *", gap="shift"),
            ("03-29 03:00+0200", "02:00 to 02:40 (3 times) do not exist on 2026-03-29: runs from 03:00 to 03:40"),
        ),
        (
            berlin("*/30 2,3 * * *"),
            ("03-29 03:00+0200", "02:00 and 02:30 do not exist on 2026-03-29: left out"),
        ),
        (berlin("15 30 2 * * *"), ("03-29 03:00+0200", "02:30:15 does not exist on 2026-03-29: runs at 03:00")),
    ],
    ids=repr,
)
def test_times_that_do_not_exist(trigger, first):
    assert shown(trigger, "2026-03-28T12:00Z")[0] == first


def test_it_is_said_once():
    assert [one[1:] for one in shown(berlin("0,30 2 * * *", gap="shift"), "2026-03-28T12:00Z", 4)] == [
        ("02:00 and 02:30 do not exist on 2026-03-29: runs from 03:00 to 03:30",), (), (), (),
    ]  # fmt: skip


def test_a_day_that_does_not_exist():
    apia = ZoneInfo("Pacific/Apia")
    trigger = Cron("30 2 30 12 *", tz="Pacific/Apia")
    assert shown(trigger, "2011-12-01T00:00Z", 1, apia) == [
        ("12-31 00:00+1400", "02:30 does not exist on 2011-12-30: runs at 00:00 on 2011-12-31")
    ]


@pytest.mark.parametrize(
    ("trigger", "expected"),
    [
        (berlin("30 2 * * *"), [("10-25 02:30+0200", "runs the first time"), ("10-26 02:30+0100",)]),
        (berlin("30 2 * * *", fold="second"), [("10-25 02:30+0100", "runs the second time"), ("10-26 02:30+0100",)]),
        (
            berlin("30 * * * *"),
            [
                ("10-25 02:30+0200", "runs both times, this is the first"),
                ("10-25 02:30+0100", "runs both times, this is the second"),
            ],
        ),
    ],
    ids=repr,
)
def test_times_that_come_twice(trigger, expected):
    found = shown(trigger, "2026-10-24T23:30Z")
    assert found == [(when, *(f"the clock shows 02:30 twice: {note}" for note in notes)) for when, *notes in expected]


def test_the_zone_of_the_rule_is_spoken_of_not_that_of_the_reader():
    assert all(not notes for _, *notes in shown(Cron("30 2 * * *"), "2026-03-28T12:00Z", 4))
    assert all(not notes for _, *notes in shown(berlin("0 12 * * *"), "2026-03-28T12:00Z", 4))


MISSING = "02:30 does not exist on 2026-03-29: runs at "


@pytest.mark.parametrize(
    ("trigger", "notes"),
    [
        (Calendar(days=1, at="02:30", start=date(2026, 1, 1), tz="Europe/Berlin"), [f"{MISSING}03:30"]),
        (Days("sun", tz="Europe/Berlin").at("02:30"), [f"{MISSING}03:30"]),
        (berlin("30 2 * * *") - Days("sat", tz="Europe/Berlin"), [f"{MISSING}03:00"]),
        (berlin("30 2 * * *") - Days("sun", tz="Europe/Berlin"), []),
        (berlin("30 2 * * *") | berlin("0 1 * * *"), [f"{MISSING}03:00"]),
        # instants among wall times, and wall times of several zones: nothing is said rather than something wrong
        (berlin("30 2 * * *") | Every("6h"), []),
        (berlin("30 2 * * *") | Cron("0 1 * * *", tz="Asia/Shanghai"), []),
        (Dates(["2026-03-28T23:00Z", "2026-03-29T02:30Z"]), []),
    ],
    ids=str,
)
def test_triggers_that_are_made_of_others(trigger, notes):
    assert [note for _, *said in shown(trigger, "2026-03-28T12:00Z", 3) for note in said] == notes


def test_an_interval_counts_real_time():
    before, after = shown(Every("24h"), "2026-03-28T12:00Z")
    assert before == ("03-29 01:00+0100",)
    assert after[0] == "03-30 02:00+0200"
    assert "put forward by 1h" in after[1]


def test_years_apart_and_the_end():
    assert shown(berlin("0 1 29 2 *"), "2026-03-28T12:00Z") == [("02-29 01:00+0100",), ("02-29 01:00+0100",)]
    assert preview(Every("1d"), parse_instant("9999-12-29T00:00Z"), 5)[-1].at <= parse_instant("9999-12-30T00:00Z")
    assert preview(Every("1d"), parse_instant("2026-01-01T00:00Z"), 0) == []
