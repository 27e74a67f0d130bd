"""Durations: what people write, as microseconds, and back."""

import math
from datetime import timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mainspring.errors import InvalidValue, MainspringError
from mainspring.when.durations import MAX_DURATION, format_duration, parse_duration

S = 1_000_000

READ = [
    (0, 0),
    (1, S),
    (1.5, 1_500_000),
    (0.1, 100_000),
    (1e-6, 1),
    (timedelta(minutes=1, microseconds=1), 60 * S + 1),
    ("250ms", 250_000),
    ("1.5s", 1_500_000),
    ("10m", 600 * S),
    ("2h30m", 9_000 * S),
    ("2h 30m", 9_000 * S),
    ("1d", 86_400 * S),
    ("1w", 604_800 * S),
    ("1w1d1h1m1s1ms1us", 694_861_001_001),
    ("7us", 7),
    ("7µs", 7),
    ("7μs", 7),
    ("0.0000015s", 2),
    ("PT5M", 300 * S),
    ("P1DT2H", 93_600 * S),
    ("PT0.5S", 500_000),
    ("PT0,5S", 500_000),
    ("P2W", 1_209_600 * S),
    ("90", 90 * S),
    (" 5s ", 5 * S),
    ("36525d", MAX_DURATION),
]


@pytest.mark.parametrize(("value", "microseconds"), READ)
def test_reads(value, microseconds):
    result = parse_duration(value)
    assert result == microseconds
    assert type(result) is int


REFUSED = [
    (True, "True and False"),
    (None, "NoneType"),
    ([1], "list"),
    (math.nan, "finite"),
    (math.inf, "finite"),
    (1e300, "finite"),
    (10**30, "100 years"),
    (10**5000, "int of 16610 bits"),
    (timedelta.max, "100 years"),
    ("36526d", "100 years"),
    (-1, "cannot be negative"),
    ("-5s", "cannot be negative"),
    (timedelta(microseconds=-1), "cannot be negative"),
    ("", "empty"),
    ("x", "cannot read 'x'"),
    ("5x", "no unit 'x'"),
    ("5 minutes", "no unit 'minutes'; minutes are 'm'"),
    ("3mo", "months have no fixed length"),
    ("1y", "365d"),
    ("5M", "small letters"),
    ("30m2h", "larger ones first"),
    ("1h1h", "each unit once"),
    ("1h-5m", "cannot read '-5m'"),
    ("1e3s", "no unit 'e'"),
    ("٣s", "cannot read"),
    ("P1M", "years and months have no fixed length.*PT5M"),
    ("P1Y", "years and months"),
    ("P", "ISO 8601 duration looks like"),
    ("PT", "ISO 8601 duration looks like"),
    ("P1H", "ISO 8601 duration looks like"),
    ("1" * 101 + "s", "text of 102 characters"),
]


@pytest.mark.parametrize(
    ("value", "words"), REFUSED, ids=lambda value: str(value)[:20] if type(value) is str else type(value).__name__
)
def test_refuses_with_the_reason(value, words):
    with pytest.raises(InvalidValue, match=words) as caught:
        parse_duration(value)
    assert "expected a duration" in str(caught.value)
    assert isinstance(caught.value, ValueError)
    assert isinstance(caught.value, MainspringError)


def test_negative_ones_where_they_are_allowed():
    assert parse_duration("-1h30m", allow_negative=True) == -5_400 * S
    assert parse_duration(-1.5, allow_negative=True) == -1_500_000
    with pytest.raises(InvalidValue, match="100 years"):
        parse_duration("-36526d", allow_negative=True)


@pytest.mark.parametrize(
    ("microseconds", "text"),
    [
        (0, "0s"),
        (1, "1us"),
        (1_500, "1.5ms"),
        (250_000, "250ms"),
        (1_500_000, "1.5s"),
        (9_000 * S, "2h30m"),
        (7 * 86_400 * S, "7d"),
        (-90 * S, "-1m30s"),
        (86_400 * S + 1, "1d0.000001s"),
    ],
)
def test_formats(microseconds, text):
    assert format_duration(microseconds) == text


@settings(deadline=None)
@given(st.integers(-MAX_DURATION, MAX_DURATION) | st.integers(-10_000_000, 10_000_000))
def test_what_is_formatted_is_read_back(microseconds):
    assert parse_duration(format_duration(microseconds), allow_negative=True) == microseconds
