"""Whatever a reader is given, it answers or raises a `MainspringError`. FUZZ_EXAMPLES=5000 looks longer."""

import os
from datetime import UTC

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mainspring import Cron, MainspringError
from mainspring.cli.crontab import Account, read_crontab
from mainspring.tasks.codec import decode, decode_call, decode_result, encode
from mainspring.when.durations import format_duration, parse_duration
from mainspring.when.instants import parse_instant
from mainspring.when.rrule_text import parse_rule
from mainspring.when.triggers import decode_trigger
from mainspring.when.wall import parse_when

NOW = 1_800_000_000_000_000
EXAMPLES = int(os.environ.get("FUZZ_EXAMPLES", "150"))
fuzz = settings(
    max_examples=EXAMPLES, derandomize=True, deadline=None, database=None, suppress_health_check=list(HealthCheck)
)
WORDS = [
    "0", "1", "59", "*", "/", "-", ",", " ", "L", "W", "#", "?", "MON", "JAN", "@daily", "every", "at", "10:00", "T",
    "Z", "+08:00", "2027-02-30", "P", "PT", "1e308", "nan", "inf", "9" * 30, "FREQ=", "DAILY", ";", "BYDAY=",
    "UNTIL=", "INTERVAL=", "COUNT=", "每天", "下周", "早上", "tomorrow", "next", "h", "ms", "{", "}", "[", "]", '"',
    "$", ":", "\n", "%", "\\", "\0", "\x1b[2J", "\u202e", "\u0660", "²",
]  # fmt: skip
texts = st.one_of(st.text(max_size=60), st.lists(st.sampled_from(WORDS), max_size=12).map("".join))
EXTREMES = [
    0,
    -1,
    1,
    2**31,
    2**63,
    -(2**63),
    2**200,
    1e308,
    -1e308,
    5e-324,
    float("nan"),
    float("inf"),
    -float("inf"),
    True,
    None,
]
ACCOUNT = Account("me", "/home/me")
READERS = {
    "duration": parse_duration,
    "instant": parse_instant,
    "instant in UTC": lambda text: parse_instant(text, tz=UTC),
    "when": lambda text: parse_when(text, now=NOW, tz="Europe/Berlin"),
    "cron": lambda text: Cron(text).next_us(NOW),
    "rule": parse_rule,
    "crontab": lambda text: read_crontab(text.encode("utf-8", "surrogatepass"), ACCOUNT, "UTC"),
    "value": decode,
    "call": decode_call,
    "result": decode_result,
    "trigger": lambda text: decode_trigger({"cron": {"expression": text, "tz": text}}),
    "trigger of a kind": lambda text: decode_trigger({text: {text: text}}),
}


def told(error):
    """An error says something."""
    assert str(error)


@pytest.mark.parametrize("reader", READERS)
@given(text=texts)
@fuzz
def test_any_text(reader, text):
    try:
        READERS[reader](text)
    except MainspringError as error:
        told(error)


@pytest.mark.parametrize("reader", ["duration", "instant", "instant in UTC"])
@pytest.mark.parametrize("value", EXTREMES, ids=repr)
def test_extreme_numbers(reader, value):
    try:
        result = READERS[reader](value)
    except MainspringError as error:
        told(error)
    else:
        assert type(result) is int
        assert abs(result) < 2**62


@given(st.integers(0, 36_525 * 86_400 * 1_000_000))
@fuzz
def test_durations_come_back(microseconds):
    assert parse_duration(format_duration(microseconds)) == microseconds


words = st.text(st.characters(exclude_categories=["Cs"]))
numbers = st.integers(-(2**63), 2**63 - 1) | st.floats(allow_nan=False, allow_infinity=False)
plain = st.recursive(
    st.none() | st.booleans() | numbers | words,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(words, inner, max_size=4),
    max_leaves=12,
)


@given(plain)
@fuzz
def test_values_come_back(value):
    assert decode(encode(value)) == value
