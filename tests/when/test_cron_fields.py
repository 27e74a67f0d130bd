"""What cron expressions mean, and how those that mean nothing are refused."""

from datetime import UTC, datetime

import pytest

from mainspring.errors import InvalidValue
from mainspring.when.cron import Cron
from mainspring.when.cron_fields import NICKNAMES, parse_cron

START = datetime(2026, 1, 1, tzinfo=UTC)  # a Thursday


def following(expression: str, count: int, after: datetime = START) -> list[datetime]:
    cron, found = Cron(expression), []
    for _ in range(count):
        after = cron.next(after)
        found.append(after)
    return found


def days(expression: str, count: int, after: datetime = START) -> list[str]:
    return [f"{moment:%m-%d}" for moment in following(expression, count, after)]


def times(expression: str, count: int) -> list[str]:
    return [f"{moment:%H:%M:%S}" for moment in following(expression, count)]


@pytest.mark.parametrize(
    ("expression", "wanted"),
    [
        ("* * * * *", ["00:01:00", "00:02:00"]),
        ("*/25 * * * *", ["00:25:00", "00:50:00", "01:00:00"]),
        ("10-40/15 * * * *", ["00:10:00", "00:25:00", "00:40:00", "01:10:00"]),
        ("5/20 * * * *", ["00:05:00", "00:25:00", "00:45:00", "01:05:00"]),
        ("7,3,5-6 1 * * *", ["01:03:00", "01:05:00", "01:06:00", "01:07:00", "01:03:00"]),
        ("59 23 * * *", ["23:59:00", "23:59:00"]),
        ("*/30 * * * * *", ["00:00:30", "00:01:00"]),
        ("15 30 9 * * *", ["09:30:15", "09:30:15"]),
        ("0 0 0 * * *", ["00:00:00"]),
        ("1,59 59 23 * * *", ["23:59:01", "23:59:59", "23:59:01"]),
        ("005 1 * * *", ["01:05:00"]),
        (",".join(map(str, range(60))) + " " + ",".join(map(str, range(24))) + " * * *", ["00:01:00", "00:02:00"]),
    ],
)
def test_times_of_day(expression, wanted):
    assert times(expression, len(wanted)) == wanted


@pytest.mark.parametrize(
    ("expression", "wanted"),
    [
        ("0 0 31 * *", ["01-31", "03-31", "05-31"]),
        ("0 0 L * *", ["01-31", "02-28", "03-31"]),
        ("0 0 l-3 * *", ["01-28", "02-25", "03-28"]),
        ("0 0 1,L * *", ["01-31", "02-01", "02-28"]),
        ("0 0 15W * *", ["01-15", "02-16", "03-16", "04-15", "05-15"]),  # 15 February and March are Sundays
        ("0 0 15W 8 *", ["08-14"]),  # a Saturday
        ("0 0 1W 2,8 *", ["02-02", "08-03"]),  # a Sunday; a Saturday that stays in its month
        ("0 0 31w 5,8,1 *", ["01-30", "05-29", "08-31"]),  # a Saturday, a Sunday that stays in its month
        ("0 0 LW * *", ["01-30", "02-27", "03-31"]),
        ("0 0 31W 2,3 *", ["03-31"]),
        ("0 0 * * 5L", ["01-30", "02-27"]),
        ("0 0 * * friL,sunl", ["01-25", "01-30", "02-22", "02-27"]),
        ("0 0 * * mon#2", ["01-12", "02-09"]),
        ("0 0 * * MON#5", ["03-30", "06-29"]),
        ("0 0 * * 7#1", ["01-04", "02-01"]),
        ("0 0 * * 0", ["01-04", "01-11"]),
        ("0 0 * * 7", ["01-04", "01-11"]),
        ("0 0 * * 5-7", ["01-02", "01-03", "01-04", "01-09"]),
        ("0 0 * * sat-sun", ["01-03", "01-04", "01-10"]),
        ("0 0 * * Mon-Fri", ["01-02", "01-05"]),
        ("0 0 * * */2", ["01-03", "01-04", "01-06", "01-08", "01-10", "01-11"]),
        ("0 0 * * 7/3", ["01-03", "01-04", "01-07", "01-10"]),
        ("0 0 ? * mon", ["01-05", "01-12"]),
        ("0 0 13 * ?", ["01-13", "02-13"]),
        ("0 0 13 FEB,apr-jun *", ["02-13", "04-13", "05-13", "06-13", "02-13"]),
        ("0 0 1 */5 *", ["06-01", "11-01", "01-01"]),
        # Both restricted: either. A field that begins with a star does not restrict: then both.
        ("0 0 13 * fri", ["01-02", "01-09", "01-13", "01-16"]),
        ("0 0 */13 * fri", ["02-27", "03-27", "05-01"]),
        ("0 0 13 * */5", ["02-13", "03-13", "09-13"]),
        ("0 0 1-31 * mon", ["01-02", "01-03"]),
        ("0 0 ? * mon-sun", ["01-02", "01-03"]),
    ],
)
def test_days(expression, wanted):
    assert days(expression, len(wanted)) == wanted


def test_the_29th_of_february_is_found_over_a_century_without_a_leap_day():
    found = following("0 0 29 2 *", 20, datetime(2094, 1, 1, tzinfo=UTC))
    assert [moment.year for moment in found[:3]] == [2096, 2104, 2108]
    friday = following("0 0 29 feb */5", 3, datetime(2094, 1, 1, tzinfo=UTC))  # Sundays and Fridays
    assert [f"{moment:%Y %a}" for moment in friday] == ["2104 Fri", "2128 Sun", "2132 Fri"]
    assert following("0 0 * 2 fri#5", 1, datetime(2092, 3, 1, tzinfo=UTC))[0].year == 2104


@pytest.mark.parametrize(("nickname", "expression"), NICKNAMES.items())
def test_nicknames(nickname, expression):
    assert parse_cron(nickname) == parse_cron(expression)
    assert following(nickname.upper(), 5) == following(expression, 5)
    assert str(Cron(nickname)) == f"{nickname} UTC"


def test_wildcards_are_told_by_the_first_character_of_the_time_fields():
    for expression in ("*/5 3 * * *", "0 * * * *", "0 */2 * * *", "* 0 3 * * *", "@hourly", "*,5 3 * * *"):
        assert parse_cron(expression).wildcard, expression
    for expression in ("0 3 * * *", "0-59 0-23 * * *", "0,*/5 3 * * *", "0 0 3 * * *", "@daily"):
        assert not parse_cron(expression).wildcard, expression


@pytest.mark.parametrize(
    ("expression", "field", "place", "words"),
    [
        ("60 * * * *", "minute", "60", "outside 0-59"),
        ("* 24 * * *", "hour", "24", "outside 0-23"),
        ("* * 0 * *", "day of month", "0", "outside 1-31"),
        ("* * 32 * *", "day of month", "32", "outside 1-31"),
        ("* * * 13 *", "month", "13", "outside 1-12"),
        ("* * * * 8", "weekday", "8", "outside 0-7"),
        ("60 * * * * *", "second", "60", "outside 0-59"),
        ("* * * foo *", "month", "foo", "jan-dec"),
        ("* * * * monday", "weekday", "monday", "sun-sat"),
        ("* * * mon *", "month", "mon", "no value"),
        ("1,2,x * * * *", "minute", "x", "no value"),
        ("-5 * * * *", "minute", "-5", "no value"),
        ("5- * * * *", "minute", "5-", "no value"),
        ("1-2-3 * * * *", "minute", "1-2-3", "no value"),
        ("1.5 * * * *", "minute", "1.5", "no value"),
        ("\u0665 * * * *", "minute", "\u0665", "no value"),
        ("1,,2 * * * *", "minute", "", "between its commas"),
        ("1, * * * *", "minute", "", "between its commas"),
        ("*/0 * * * *", "minute", "*/0", "at least 1"),
        ("*/x * * * *", "minute", "*/x", "at least 1"),
        ("*/ * * * *", "minute", "*/", "at least 1"),
        ("*/5/5 * * * *", "minute", "*/5/5", "at least 1"),
        ("*/60 * * * *", "minute", "*/60", "write 0 alone"),
        ("*/90 * * * *", "minute", "*/90", "write 0 alone"),
        ("50/10 * * * *", "minute", "50/10", "write 50 alone"),
        ("0 22-6 * * *", "hour", "22-6", "backwards; write '22-23,0-6'"),
        ("0 0 * * fri-mon", "weekday", "fri-mon", "backwards; write 'fri-6,0-mon'"),
        ("0 0 * nov-feb *", "month", "nov-feb", "backwards; write 'nov-12,1-feb'"),
        ("? * * * *", "minute", "?", "stands alone in a day field"),
        ("0 0 ?,5 * *", "day of month", "?,5", "stands alone"),
        ("0 0 L-0 * *", "day of month", "L-0", "L-1 to L-30"),
        ("0 0 L-31 * *", "day of month", "L-31", "L-1 to L-30"),
        ("0 0 L-x * *", "day of month", "L-x", "third day before"),
        ("0 0 32W * *", "day of month", "32W", "no such day"),
        ("0 0 1-5W * *", "day of month", "1-5W", "nearest to the 15th"),
        ("0 0 * * L", "weekday", "L", "friL"),
        ("0 0 * * mon#6", "weekday", "mon#6", "#1 to #5"),
        ("0 0 * * mon#", "weekday", "mon#", "second Monday"),
        ("0 0 * * mon-fri#2", "weekday", "mon-fri#2", "no value"),
        ("L * * * *", "minute", "L", "no value"),
        ("99999999999999999999 * * * *", "minute", "99999999999999999999", "no value"),
    ],
)
def test_an_error_says_which_field_and_points_at_the_place(expression, field, place, words):
    with pytest.raises(InvalidValue, match="cannot read") as caught:
        Cron(expression)
    message, shown, mark = str(caught.value).rsplit("\n", 2)
    assert f"in the {field} field" in message
    assert words in message
    assert isinstance(caught.value, ValueError)
    assert shown == f"  {expression}"
    at = mark.index("^")
    assert shown[at : at + len(place)] == place
    assert mark.count("^") == max(len(place), 1)


def test_the_place_is_right_where_fields_look_alike():
    with pytest.raises(InvalidValue) as caught:
        Cron("1 1  1 1,1,61  *")
    assert str(caught.value).endswith("  1 1 1 1,1,61 *\n            ^^")


@pytest.mark.parametrize(
    ("expression", "words"),
    [
        ("0 0 31 2 *", "31 February"),
        ("0 0 30 2 *", "30 February"),
        ("0 0 31 4,6,9,11 *", "31 April, June"),
        ("0 0 30W feb *", "30W feb"),
        ("0 0 L-30 4 *", "L-30 April"),
        ("0 0 31 2 */7", "write 0 alone"),
        ("0 0 */31 2 mon#5", "write 1 alone"),
        ("0 0 30-31 2 *", "30-31 February"),
    ],
)
def test_what_never_happens_is_refused(expression, words):
    with pytest.raises(InvalidValue, match=words):
        Cron(expression)


@pytest.mark.parametrize(
    ("expression", "words"),
    [
        ("", "5 fields.*got 0 fields"),
        ("*", "got 1 field in"),
        ("* * * *", "got 4 fields"),
        ("* * * * * * 2027", "got 7 fields.*no field for years"),
        ("@reboot", "import crontab"),
        ("@every 5m", r"Every\('5m'\)"),
        ("@dayly", "did you mean '@daily'"),
        ("@", "expected one of @yearly"),
        ("@daily *", "expected one of"),
        ("1," * 500 + "1 * * * *", "so much text"),
        (None, "expected a cron expression"),
        (5, "expected a cron expression"),
    ],
)
def test_what_is_no_expression_is_refused(expression, words):
    with pytest.raises(InvalidValue, match=words):
        Cron(expression)
