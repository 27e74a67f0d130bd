"""Times as people say them in English: each text, and the instant it means or why it is refused."""

import pytest

from mainspring.errors import InvalidValue
from mainspring.when.instants import load_zone, parse_instant, to_datetime
from mainspring.when.wall import parse_when

ZONE = "Asia/Shanghai"
NOW = parse_instant("2026-11-26T12:00:30.250+08:00")  # a Thursday

MEANT = [
    # times of day: the next one
    ("9am", "2026-11-27 09:00"),
    ("9pm", "2026-11-26 21:00"),
    ("9:30pm", "2026-11-26 21:30"),
    ("9.30pm", "2026-11-26 21:30"),
    ("9 p.m.", "2026-11-26 21:00"),
    ("9:30:15.5 pm", "2026-11-26 21:30:15.500000"),
    ("nine pm", "2026-11-26 21:00"),
    ("12am", "2026-11-27 00:00"),
    ("12pm", "2026-11-27 12:00"),
    ("12:30am", "2026-11-27 00:30"),
    ("12:01pm", "2026-11-26 12:01"),
    ("noon", "2026-11-27 12:00"),
    ("midday", "2026-11-27 12:00"),
    ("midnight", "2026-11-27 00:00"),
    ("24:00", "2026-11-27 00:00"),
    ("8 o'clock in the evening", "2026-11-26 20:00"),
    # days
    ("tomorrow 9am", "2026-11-27 09:00"),
    ("9am tomorrow", "2026-11-27 09:00"),
    ("tomorrow at 9am", "2026-11-27 09:00"),
    ("tomorrow @ 9am", "2026-11-27 09:00"),
    ("tomorrow9am", "2026-11-27 09:00"),
    ("tomorrow noon", "2026-11-27 12:00"),
    ("tomorrow 12am", "2026-11-27 00:00"),
    ("tomorrow 24:00", "2026-11-28 00:00"),
    ("today 18:00", "2026-11-26 18:00"),
    ("tonight 8pm", "2026-11-26 20:00"),
    ("tonight 8", "2026-11-26 20:00"),
    ("tonight at 8:30", "2026-11-26 20:30"),
    ("tonight 20:30", "2026-11-26 20:30"),
    ("midnight tonight", "2026-11-27 00:00"),
    ("tonight at 12", "2026-11-27 00:00"),
    ("this evening at 7", "2026-11-26 19:00"),
    ("this afternoon 3", "2026-11-26 15:00"),
    ("9 in the morning", "2026-11-27 09:00"),
    ("tomorrow morning at 9", "2026-11-27 09:00"),
    ("tomorrow afternoon at 12:30", "2026-11-27 12:30"),
    ("the day after tomorrow 9am", "2026-11-28 09:00"),
    ("day after tomorrow 9am", "2026-11-28 09:00"),
    # days of the week
    ("friday 18:00", "2026-11-27 18:00"),
    ("fri 18:00", "2026-11-27 18:00"),
    ("on Friday, 6pm", "2026-11-27 18:00"),
    ("18:00 on friday", "2026-11-27 18:00"),
    ("thursday 1pm", "2026-11-26 13:00"),
    ("thursday 12:00", "2026-12-03 12:00"),
    ("this friday 18:00", "2026-11-27 18:00"),
    ("next friday 18:00", "2026-12-04 18:00"),
    ("next thursday 18:00", "2026-12-03 18:00"),
    ("next monday 9am", "2026-11-30 09:00"),
    ("monday 9am", "2026-11-30 09:00"),
    ("sunday noon", "2026-11-29 12:00"),
    ("next sunday noon", "2026-12-06 12:00"),
    # dates
    ("27 nov 18:00", "2026-11-27 18:00"),
    ("nov 27 18:00", "2026-11-27 18:00"),
    ("nov 27 9pm", "2026-11-27 21:00"),
    ("26 nov 9am", "2027-11-26 09:00"),
    ("5 march noon", "2027-03-05 12:00"),
    ("nov 27 2026 18:00", "2026-11-27 18:00"),
    ("November 27th, 2026 at 6pm", "2026-11-27 18:00"),
    ("27th of november 2028 6pm", "2028-11-27 18:00"),
    ("6pm 27 nov", "2026-11-27 18:00"),
    ("29 feb 10:00", "2028-02-29 10:00"),
    ("2026-11-27 6pm", "2026-11-27 18:00"),
    ("2026/11/27 18:00", "2026-11-27 18:00"),
    ("the 15th 9am", "2026-12-15 09:00"),
    ("27th 9am", "2026-11-27 09:00"),
    ("31st 9am", "2026-12-31 09:00"),
    ("1st of next month 9am", "2026-12-01 09:00"),
    ("30th of this month 9am", "2026-11-30 09:00"),
    ("end of month 18:00", "2026-11-30 18:00"),
    ("last day of next month 18:00", "2026-12-31 18:00"),
    # from now: elapsed
    ("in 5 minutes", "2026-11-26 12:05:30.250000"),
    ("in five minutes", "2026-11-26 12:05:30.250000"),
    ("in twenty-five minutes", "2026-11-26 12:25:30.250000"),
    ("5 minutes from now", "2026-11-26 12:05:30.250000"),
    ("5 min later", "2026-11-26 12:05:30.250000"),
    ("in 2 hours", "2026-11-26 14:00:30.250000"),
    ("in an hour", "2026-11-26 13:00:30.250000"),
    ("in 1.5 hours", "2026-11-26 13:30:30.250000"),
    ("in one and a half hours", "2026-11-26 13:30:30.250000"),
    ("an hour and a half from now", "2026-11-26 13:30:30.250000"),
    ("in half an hour", "2026-11-26 12:30:30.250000"),
    ("half an hour from now", "2026-11-26 12:30:30.250000"),
    ("in half a minute", "2026-11-26 12:01:00.250000"),
    ("in 1 hour and 30 minutes", "2026-11-26 13:30:30.250000"),
    ("in 2h30m", "2026-11-26 14:30:30.250000"),
    ("in 250 ms", "2026-11-26 12:00:30.500000"),
    ("in 30 seconds", "2026-11-26 12:01:00.250000"),
    # from now: the calendar
    ("in 3 days", "2026-11-29 12:00:30.250000"),
    ("in 3 days at 9am", "2026-11-29 09:00"),
    ("in a week", "2026-12-03 12:00:30.250000"),
    ("2 weeks from now 18:00", "2026-12-10 18:00"),
    ("in 1 month", "2026-12-26 12:00:30.250000"),
    ("in a year 9am", "2027-11-26 09:00"),
]

REFUSED = [
    ("", "it is empty"),
    ("tomorrow", "'tomorrow 09:00'"),
    ("tomorrow morning", "'tomorrow 09:00'"),
    ("27 nov", "'27 nov 09:00'"),
    ("friday", "'friday 09:00'"),
    ("tomorrow 9", "'9' can be meant in two ways: write '9am', '9pm' or '09:00'"),
    ("9 o'clock", "write '9am', '9pm' or '09:00'"),
    ("tomorrow 18", "'18' is no time of day"),
    ("0:30pm", "with am and pm the hour is 1 to 12, not 0"),
    ("13pm", "not 13"),
    ("13:00 am", "not 13"),
    ("9:60pm", "minute must be in"),
    ("24:30", "the last one is 24:00"),
    ("25:00", "hour must be in"),
    ("tomorrow midnight", "'midnight' is at both ends of a day"),
    ("tonight 1am", "'1am' does not go with 'tonight'"),
    ("tonight 12pm", "'12pm' does not go with 'tonight'"),
    ("tonight 8am", "'8am' does not go with 'tonight'"),
    ("2 at night", "'2' does not go with 'night'"),
    ("tomorrow morning 18:00", "'18:00' does not go with 'morning'"),
    ("today 9am", "that is over, it is 12:00:30 now; did you mean 'tomorrow 09:00'"),
    ("this morning 9", "that is over"),
    ("this monday 9am", "that is over: it was 2026-11-23 09:00:00, it is 2026-11-26 12:00:30 now"),
    ("27 nov 2020 9am", "that is over"),
    ("yesterday 9am", "'yesterday' is over"),
    ("5 minutes ago", "'5 minutes ago' is over"),
    ("last friday 9am", "'last' is over"),
    ("now", r"'\+0s'"),
    ("next week", "'next friday 18:00'"),
    ("friday next week", "'next week' is no day"),
    ("next month", "1st of next month"),
    ("tomorrow friday 9am", "it says two things: 'tomorrow' and 'friday'; write one day"),
    ("9am 10am", "write one time of day"),
    ("morning 9 evening", "write one part of the day"),
    ("in 5 minutes tomorrow 9am", "cannot be told together with 'tomorrow' and '9am'"),
    ("in 5 minutes in 6 minutes", "write one span"),
    ("5 minutes", "'in 5 minutes'"),
    ("30m", r"'\+30m'"),
    ("in 0 minutes", "more than nothing"),
    ("in 0 days", "more than nothing"),
    ("in 3d", r"'\+3d' for elapsed time, 'in 3 days'"),
    ("in 1.5 days", "does not count whole ones"),
    ("in 1 day and 2 hours", "mixes days"),
    ("in 101 years", "more than 100 years"),
    ("in 900000 hours", "more than 100 years"),
    (f"in {'9' * 80} days", "after the year 9999"),
    ("30 feb 10:00", "no such date as 02-30"),
    ("30 feb 2027 10:00", "no such date as 2027-02-30"),
    ("2026-02-30 6pm", "no such date as 2026-02-30"),
    ("32nd 9am", "no such date as day 32"),
    ("31st of this month 9am", "no such date as 2026-11-31"),
    ("11/27/2026 10:00", "'11/27/2026' can be read in several ways"),
    ("27.11.2026 10:00", "several ways"),
    ("11/12 10:00", "several ways"),
    ("tomorow 9am", "'tomorow' is not understood; did you mean 'tomorrow'"),
    ("frday 18:00", "did you mean 'friday'"),
    ("tomorrow 9am sharp", "'sharp' is not understood"),
    ("tomorrow 9:5", "'9:5' is not understood"),
    ("tomorrow 9am utc", "'utc' is a zone; name it with --tz"),
    ("tomorrow 9am +08:00", "is a zone"),
    ("at", "'at' is not understood where it stands"),
    ("nov 20:00", "'nov' is not understood where it stands"),
    ("nine thirty pm", "'thirty' is not understood where it stands"),
    ("every day 9am", "'every' is not understood[.]"),
    ("9am to 10am", "'to' is not understood[.]"),
    ("x" * 101, "at most 100 characters"),
]


@pytest.mark.parametrize(("text", "local"), MEANT)
def test_means(text, local):
    assert str(to_datetime(parse_when(text, now=NOW, tz=ZONE), load_zone(ZONE)))[:-6].removesuffix(":00") == local


@pytest.mark.parametrize("text", [text for text, _ in MEANT])
def test_case_and_spaces_do_not_matter(text):
    said = f"  {text.upper().replace(' ', '   ')} "
    assert parse_when(said, now=NOW, tz=ZONE) == parse_when(text, now=NOW, tz=ZONE)


@pytest.mark.parametrize(("text", "words"), REFUSED)
def test_refuses_and_says_why(text, words):
    with pytest.raises(InvalidValue, match=words):
        parse_when(text, now=NOW, tz=ZONE)


def test_on_a_sunday_the_next_week_is_the_one_that_begins_tomorrow():
    sunday = parse_instant("2026-11-29T12:00:00+08:00")
    assert to_datetime(parse_when("next friday 18:00", now=sunday, tz=ZONE)).day == 4


def test_a_month_after_the_31st_is_refused_where_there_is_none():
    january = parse_instant("2027-01-31T12:00:00+08:00")
    with pytest.raises(InvalidValue, match="no such date as 2027-02-31"):
        parse_when("in 1 month", now=january, tz=ZONE)
    assert to_datetime(parse_when("in 2 months", now=january, tz=ZONE)).day == 31
