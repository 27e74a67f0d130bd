"""Every, and triggers as they are stored."""

import copy
import json
import pickle
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mainspring.errors import InvalidValue
from mainspring.when.every import Every
from mainspring.when.instants import MAX_INSTANT, to_datetime
from mainspring.when.triggers import Trigger, decode_trigger, encode_trigger, parse_trigger

NOON = datetime(2026, 11, 27, 12, tzinfo=UTC)
instants = st.integers(-(10**15), 4 * 10**15)
intervals = st.integers(1_000, 10**14)


@settings(deadline=None)
@given(intervals, instants, st.none() | instants)
def test_the_first_multiple_strictly_after(interval, after, anchor):
    start = None if anchor is None else to_datetime(anchor)
    every = Every(timedelta(microseconds=interval), anchor=start)
    instant = every.next_us(after)
    assert after < instant <= after + interval
    assert (instant - (anchor or 0)) % interval == 0
    assert every.next(to_datetime(after)) == to_datetime(instant)


def test_next_is_strict_and_aware():
    assert Every("1h").next(NOON) == NOON + timedelta(hours=1)
    assert Every("1h").next(NOON - timedelta(microseconds=1)) == NOON
    assert Every("1h").next(NOON).tzinfo is UTC
    shanghai = ZoneInfo("Asia/Shanghai")
    following = Every("1d", anchor=datetime(2026, 1, 1, 9, tzinfo=shanghai)).next(NOON)
    assert following.isoformat() == "2026-11-28T09:00:00+08:00"
    assert following.tzinfo is shanghai


def test_a_day_is_24_hours_also_where_clocks_change():
    new_york = ZoneInfo("America/New_York")
    every = Every("1d", anchor=datetime(2026, 10, 31, 9, tzinfo=new_york))
    assert every.next(datetime(2026, 11, 1, 1, tzinfo=UTC)).isoformat() == "2026-11-01T08:00:00-05:00"


def test_there_is_an_end_of_time():
    assert Every("1d").next_us(MAX_INSTANT) is None
    assert Every("1h").next(datetime.max.replace(tzinfo=UTC)) is None


@pytest.mark.parametrize("interval", [0, "0s", "999us", 0.0001])
def test_an_interval_under_a_millisecond_is_refused(interval):
    with pytest.raises(InvalidValue, match=r"at least 1ms.*listener"):
        Every(interval)


@pytest.mark.parametrize("interval", [-1, True, "soon", None])
def test_a_bad_interval_is_refused(interval):
    with pytest.raises(InvalidValue, match="expected a duration"):
        Every(interval)


@pytest.mark.parametrize("after", [datetime(2026, 1, 1), 5, "2026-01-01T00:00Z"])  # noqa: DTZ001
def test_a_naive_after_is_refused(after):
    with pytest.raises(InvalidValue, match=r"aware datetime.*datetime\.now\(UTC"):
        Every(5).next(after)


def test_a_naive_anchor_is_refused():
    with pytest.raises(InvalidValue, match="expected an instant"):
        Every(5, anchor=datetime(2026, 1, 1))  # noqa: DTZ001


def test_it_is_a_frozen_value():
    every = Every("90s", anchor="2026-01-01T00:00Z")
    same = Every(90, anchor=datetime(2026, 1, 1, 8, tzinfo=ZoneInfo("Asia/Shanghai")))
    assert every == same
    assert hash(every) == hash(same)
    assert every != Every(90)
    assert every != Every(91, anchor="2026-01-01T00:00Z")
    assert every != "90s"
    assert repr(every) == "Every('1m30s', anchor='2026-01-01T00:00:00.000000Z')"
    assert repr(Every(5)) == "Every('5s')"
    assert eval(repr(every)) == every
    assert (every.interval, Every(5).anchor) == (timedelta(seconds=90), None)
    with pytest.raises(AttributeError, match="frozen"):
        every.interval = 3
    with pytest.raises(AttributeError, match="frozen"):
        del every._interval_us
    for copied in (copy.copy(same), copy.deepcopy(same), pickle.loads(pickle.dumps(same))):
        assert copied == same
        assert copied.anchor.tzinfo == same.anchor.tzinfo


@pytest.mark.parametrize("trigger", [Every(5), Every("1h", anchor="2026-01-01T00:00:01Z")])
def test_triggers_are_stored_as_json(trigger):
    stored = encode_trigger(trigger)
    assert decode_trigger(json.loads(json.dumps(stored))) == trigger


def test_the_stored_form_is_fixed():
    assert encode_trigger(Every(5)) == {"every": {"interval": 5_000_000, "anchor": None}}
    assert encode_trigger(Every(5, anchor=1_000_000_000))["every"]["anchor"] == 10**15


@pytest.mark.parametrize("stored", [{}, {"sometimes": {}}, {"every": 5}, {"every": {}}, {"every": {"interval": "5"}}])
def test_what_is_no_stored_trigger_is_refused(stored):
    with pytest.raises(InvalidValue, match="stored"):
        decode_trigger(stored)


def test_durations_and_triggers_are_taken():
    for value in ("5s", 5, 5.0, timedelta(seconds=5), Every(5)):
        assert parse_trigger(value) == Every(5)
    assert isinstance(Every(5), Trigger)


class Custom:
    def next(self, after):
        return after


class Jittered(Every):
    __slots__ = ()


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (Custom(), "no stored form"),
        (Jittered(5), "no stored form"),
        (object(), "object is no trigger"),
        (None, "NoneType"),
    ],
)
def test_a_trigger_that_cannot_be_stored_is_refused(value, words):
    for function in (parse_trigger, encode_trigger):
        with pytest.raises(InvalidValue, match=f"expected a duration.*Every.*{words}"):
            function(value)


def test_true_is_no_interval():
    with pytest.raises(InvalidValue, match="True and False"):
        parse_trigger(True)
