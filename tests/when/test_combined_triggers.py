"""Lists, unions, exclusions, bounds and jitter, each against the obvious way on small random triggers."""

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from trigger_parts import (
    DAY,
    FROM,
    HOUR,
    NEW_YEAR,
    business,
    first,
    instants,
    same_after_storing,
    simple,
    some_days,
    walk,
)

import mainspring.triggers
from mainspring.errors import InvalidValue
from mainspring.triggers import Bounded, BusinessDays, Calendar, Cron, Dates, Days, Every, Jitter, Trigger
from mainspring.when.instants import MAX_INSTANT, MIN_INSTANT, from_datetime, to_datetime
from mainspring.when.triggers import decode_trigger, encode_trigger

QUICK = settings(deadline=None, max_examples=60)
FEW = settings(deadline=None, max_examples=20)  # finding out that nothing is left takes a while
SPAN = 60 * DAY
WEEK = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")


def or_none(make):
    """A trigger, or None when there is nothing left of it."""
    try:
        return make()
    except InvalidValue as error:
        assert "never does" in str(error)  # noqa: PT017
        return None


combined = st.one_of(
    st.builds(lambda a, b: a | b, simple, simple),
    st.builds(lambda a, b: or_none(lambda: a - b), simple, simple | some_days),
    st.builds(
        lambda a, days: or_none(lambda: a & days), st.builds(Every, st.integers(1, 90).map("{}h".format)), business
    ),
    st.builds(lambda a, most, seed: Jitter(a, most, seed=seed), simple, st.integers(1, 10**6), st.sampled_from("ab")),
    st.builds(lambda a, at: or_none(lambda: a.between(to_datetime(at), to_datetime(at + 9 * DAY))), simple, instants),
    st.builds(
        lambda a, at, n: or_none(lambda: a.at_most(n, start=to_datetime(at))), simple, instants, st.integers(1, 9)
    ),
).filter(lambda trigger: trigger is not None)


@QUICK
@given(combined | simple, instants)
def test_every_trigger_answers_strictly_in_order_and_leaves_nothing_out(trigger, after):
    for at in walk(trigger, after, MAX_INSTANT, 20):
        assert trigger.next_us(at - 1) == at
        # not compared as datetimes: Python says that one which a clock shows twice equals none of another zone
        assert from_datetime(trigger.next(to_datetime(at - 1))) == at
        middle = (after + at) // 2
        assert trigger.next_us(middle) == (at if middle < at else trigger.next_us(at))
        after = at


@QUICK
@given(combined)
def test_every_trigger_is_a_value_that_can_be_stored(trigger):
    same_after_storing(trigger)
    assert isinstance(trigger, Trigger)
    assert str(trigger)
    assert trigger != Every("7m")


@QUICK
@given(st.lists(instants, min_size=1, max_size=20), instants)
def test_a_list_is_its_instants(listed, after):
    trigger = Dates([to_datetime(at) for at in listed])
    assert walk(trigger, MIN_INSTANT, MAX_INSTANT) == sorted(set(listed))
    assert trigger.count_us(after, after + 90 * DAY) == len(walk(trigger, after, after + 90 * DAY))


@QUICK
@given(simple, simple, simple, instants)
def test_a_union_is_all_of_both_once(one, other, third, after):
    until = after + SPAN // 4
    wanted = sorted({at for trigger in (one, other, third) for at in walk(trigger, after, until)})
    assert walk(one | other | third, after, until) == wanted
    assert (one | (other | third)) == (third | one | other)


@FEW
@given(simple, simple, instants)
def test_without_a_trigger_is_what_the_other_does_not_have(one, other, after):
    left = or_none(lambda: one - other)
    until = after + SPAN // 2
    gone = set(walk(other, after, until))
    wanted = [at for at in walk(one, after, until) if at not in gone]
    assert (walk(left, after, until) if left else []) == wanted


@FEW
@given(simple, business | some_days, instants)
def test_days_are_left_out_and_kept(trigger, days, after):
    until = after + SPAN // 3
    zone = ZoneInfo(days.tz)
    every = walk(trigger, after, until)
    inside = [at for at in every if to_datetime(at, zone).date() in days]
    outside = sorted({*every} - {*inside})
    for made, wanted in ((or_none(lambda: trigger & days), inside), (or_none(lambda: trigger - days), outside)):
        assert (walk(made, after, until) if made else []) == wanted


@QUICK
@given(simple, instants, st.integers(1, 30), st.integers(1, 12), instants)
def test_bounds_are_a_part_of_the_whole(trigger, start, days, count, after):
    end, until = start + days * DAY, after + SPAN
    part = or_none(lambda: trigger.between(to_datetime(start), to_datetime(end)))
    wanted = [at for at in walk(trigger, after, until) if start <= at < end]
    assert (walk(part, after, until) if part else []) == wanted
    some = or_none(lambda: trigger.at_most(count, start=to_datetime(start)))
    wanted = walk(trigger, start - 1, MAX_INSTANT, count)
    assert (walk(some, MIN_INSTANT, MAX_INSTANT) if some else []) == wanted


@QUICK
@given(simple, st.integers(1, 20 * 3600), st.text(max_size=5), instants)
def test_jitter_moves_each_by_less_than_the_next_and_keeps_their_order(trigger, seconds, seed, after):
    nominal = walk(trigger, after, MAX_INSTANT, 30)
    moved = Jitter(trigger, seconds, seed=seed)
    for at, following in zip(nominal, [*nominal[1:], None], strict=False):
        found = moved.next_us(at - 1)
        if found < at:  # the one before came late
            found = moved.next_us(found)
        assert at <= found <= at + seconds * 1_000_000
        if following is not None:
            assert found < following
        assert moved.next_us(found - 1) == found


def test_jitter_spreads_and_depends_on_the_seed():
    hours = Every("1h")
    delays = {
        seed: [at % HOUR for at in walk(Jitter(hours, "30m", seed=seed), FROM - 1, FROM + 4 * DAY)] for seed in "ab"
    }
    assert all(max(found) > 20 * 60_000_000 > 10 * 60_000_000 > min(found) for found in delays.values())
    assert delays["a"] != delays["b"]
    assert len(set(delays["a"])) > 90
    dense = [at % HOUR for at in walk(Jitter(hours, "5d"), FROM - 1, FROM + 4 * DAY)]  # no later than the next hour
    assert sum(at > HOUR // 2 for at in dense) in range(20, 80)


def test_what_is_stored_is_fixed():
    """Stores hold these for years."""
    trigger = (Jitter(Every(60) | Dates([1_700_000_000]), 5, seed="s") - Days("sun", tz="UTC")).between(None, 2 * 10**9)
    assert encode_trigger(trigger) == {
        "bounded": {
            "of": {
                "except": {
                    "of": {
                        "jitter": {
                            "of": {
                                "union": {
                                    "of": [
                                        {"every": {"interval": 60_000_000, "anchor": None}},
                                        {"dates": {"instants": [1_700_000_000_000_000]}},
                                    ]
                                }
                            },
                            "most": 5_000_000,
                            "seed": "s",
                        }
                    },
                    "days": {
                        "kind": "days", "weekdays": ["sun"], "dates": [], "without": [], "inverted": False, "tz": "UTC",
                    },
                    "without": None,
                }
            },
            "start": None,
            "end": 2_000_000_000_000_000,
            "count": None,
        }
    }  # fmt: skip
    # The delay of an occurrence must not change either: one that was planned would come again.
    assert Jitter(Every(60), 5, seed="s").next_us(FROM - 1) - FROM == 1_063_095


def test_answers_are_in_the_zone_of_what_is_combined():
    nine = Cron("0 9 * * *", tz="Asia/Shanghai")
    eight = Calendar(days=1, start="2026-01-01", at="8:00", tz="Asia/Shanghai")
    assert first((nine | eight).at_most(3, start="2026-01-01T00:30Z"), 5) == [
        "2026-01-01T09:00:00+08:00",
        "2026-01-02T08:00:00+08:00",
        "2026-01-02T09:00:00+08:00",
    ]
    assert first(nine | Cron("0 9 * * *", tz="Europe/Berlin"), 1) == ["2026-01-01T01:00:00+00:00"]


def test_in_words():
    nine = Cron("0 9 * * *", tz="Asia/Shanghai")
    assert str(nine & BusinessDays()) == "0 9 * * * Asia/Shanghai, only on business days (Asia/Shanghai)"
    assert str(nine - Days("sat")) == "0 9 * * * Asia/Shanghai, not on sat (Asia/Shanghai)"
    assert str(Jitter(nine, "30s")) == "0 9 * * * Asia/Shanghai, up to 30s later"
    assert str(nine.at_most(1, start=NEW_YEAR)).endswith("from 2026-01-01T00:00:00.000000Z, once")
    assert repr((nine | Every(60)) - Days("sat", tz="UTC")) == (
        "(Cron('0 9 * * *', tz='Asia/Shanghai') | Every('1m')) - Days('sat', tz='UTC')"
    )


def nested(trigger, times):
    for _ in range(times):
        trigger = Jitter(trigger, 1)
    return trigger


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: Dates([]), "between 1 and 10,000 instants, got 0"),
        (lambda: Dates(range(10**9, 10**9 + 10_001)), "got 10,001"),
        (lambda: Dates("2026-01-01T00:00Z"), "put it into a list"),
        (lambda: Dates([datetime(2026, 1, 1)]), "no.*offset|which has none"),  # noqa: DTZ001
        (lambda: Every(1) | 5, "int is no trigger"),
        (lambda: Every(1) | Days("mon"), "until they have a time"),
        (lambda: Every(1) & Every(2), "expected days after '&'"),
        (lambda: Every("1h") - Days("mon"), "days with their zone"),
        (lambda: Every("1h") - Every("30m"), "all that it has is left out"),
        (lambda: Cron("0 9 * * sat") - Days("sat"), "all that it has is left out"),
        (lambda: Dates([1_700_000_000]) - Dates([1_700_000_000]), "all that it has is left out"),
        (lambda: Days(*WEEK).at() - Days(*WEEK), "all that it has is left out"),
        (lambda: Every(1).between(), "got none of them"),
        (lambda: Every(1).between(2_000_000_000, 2_000_000_000), "an end after the start"),
        (lambda: Dates([1_700_000_000]).between(1_700_000_001), "no instant within"),
        (lambda: Every(1).at_most(3), r"a start to count from.*\.at_most\(3, start="),
        (lambda: Dates([1_700_000_000]).at_most(0), "a count from 1 to 10,000"),
        (lambda: Cron("* * * * *").at_most(10_001, start=NEW_YEAR), "a count from 1 to 10,000"),
        (lambda: Jitter(Every(1), -1), "cannot be negative"),
        (lambda: Jitter(Every(1), 0), "more than nothing"),
        (lambda: Jitter(Every(1), 1, seed="x" * 201), "seed of at most 200"),
        (lambda: Jitter("1h", 1), "str is no trigger"),
        (lambda: nested(Every(1), 10), "nested at most 10 deep"),
        (lambda: Jitter(mainspring.triggers.Every(1), 1) | 3, "int is no trigger"),
        (lambda: __import__("functools").reduce(lambda a, b: a | b, [Every(n) for n in range(1, 202)]), "200"),
    ],
)  # fmt: skip
def test_what_means_nothing_is_refused(make, words):
    with pytest.raises(InvalidValue, match=words):
        make()


def deep(times):
    stored: dict[str, object] = {"every": {"interval": 10**6, "anchor": None}}
    for _ in range(times):
        stored = {"jitter": {"of": stored, "most": 1, "seed": ""}}
    return stored


@pytest.mark.parametrize(
    "stored",
    [
        {"union": {"of": []}}, {"union": {"of": [5]}}, {"union": {}}, {"jitter": {"of": {"every": {}}}},
        {"dates": {"instants": ["x"]}}, {"dates": {"instants": [True]}}, {"dates": {"instants": [10**30]}},
        {"jitter": {"of": {"dates": {"instants": [5]}}, "most": 10**30, "seed": ""}},
        {"bounded": {"of": {"dates": {"instants": [5]}}, "start": 10**30}}, {"except": {"of": {}}}, {"days": {}},
        {"day_times": {"days": {"kind": "odd"}}}, {"calendar": {"start": 5}}, {"rrule": {"rule": 5}}, {"bounded": 5},
        {"bounded": {"of": {"dates": {"instants": [5]}}, "count": "5"}}, deep(11), deep(20_000),
    ],
)  # fmt: skip
def test_what_is_no_stored_trigger_is_refused(stored):
    with pytest.raises(InvalidValue):
        decode_trigger(stored)


def test_the_most_there_may_be_is_read_back():
    same_after_storing(nested(Every(1), 9))
    assert decode_trigger(deep(9)) == nested(Every("1s"), 9) or decode_trigger(deep(9)).next_us(FROM) > FROM
    same_after_storing(Every("1s").at_most(10**9, start=NEW_YEAR))
    last = Every("1s").at_most(10**9, start=NEW_YEAR)
    assert last.next(NEW_YEAR + timedelta(seconds=10**9 - 2)) == NEW_YEAR + timedelta(seconds=10**9 - 1)
    assert last.next(NEW_YEAR + timedelta(seconds=10**9 - 1)) is None


def test_the_module_has_what_it_says():
    for name in mainspring.triggers.__all__:
        assert getattr(mainspring.triggers, name).__doc__
        assert name in dir(mainspring.triggers)
    with pytest.raises(AttributeError, match="nothing_like_this"):
        _ = mainspring.triggers.nothing_like_this
    assert Bounded(Every(1), start=10**9, end=10**9 + 5, count=2).next(datetime(2000, 1, 1, tzinfo=UTC)) == to_datetime(
        10**15
    )
    assert date(2026, 1, 5) in Days("mon")
