"""Cron as a value: how it is made, shown, compared and stored, and that `next` is strict and aware."""

import copy
import json
import pickle
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest

from mainspring.errors import InvalidValue
from mainspring.when.cron import Cron
from mainspring.when.instants import MAX_INSTANT, MIN_INSTANT
from mainspring.when.triggers import Trigger, decode_trigger, encode_trigger

NOON = datetime(2026, 11, 27, 12, tzinfo=UTC)


def test_next_is_strict_aware_and_in_the_zone():
    cron = Cron("0 20 * * *", tz="Asia/Shanghai")
    assert cron.next(NOON).isoformat() == "2026-11-28T20:00:00+08:00"
    assert cron.next(NOON.replace(hour=11, minute=59, second=59, microsecond=999_999)).astimezone(UTC) == NOON
    assert cron.next(NOON).tzinfo is ZoneInfo("Asia/Shanghai")
    assert Cron("* * * * *").next(NOON).tzinfo is UTC
    assert isinstance(cron, Trigger)


@pytest.mark.parametrize("after", [datetime(2026, 1, 1), 5, "2026-01-01T00:00Z"])  # noqa: DTZ001
def test_a_naive_after_is_refused(after):
    with pytest.raises(InvalidValue, match=r"aware datetime.*datetime\.now\(UTC"):
        Cron("* * * * *").next(after)


def test_there_is_a_beginning_and_an_end_of_time():
    for zone in ("UTC", "Europe/Berlin", "Pacific/Kiritimati", "Pacific/Pago_Pago"):
        cron = Cron("*/7 * * * *", tz=zone)
        assert cron.next_us(MAX_INSTANT) is None
        assert cron.next(datetime.max.replace(tzinfo=UTC)) is None
        assert MAX_INSTANT - 10**9 < cron.next_us(MAX_INSTANT - 10**9) <= MAX_INSTANT
        assert cron.next(datetime.min.replace(tzinfo=UTC)) is not None
        assert MIN_INSTANT <= cron.next_us(MIN_INSTANT - 10**15) < MIN_INSTANT + 10**9


def test_it_is_a_frozen_value():
    cron = Cron("0  3 * * mon", tz="Europe/Berlin", gap="skip")
    same = Cron(" 0 3 * * mon", tz=ZoneInfo("Europe/Berlin"), gap="skip", fold="first")
    assert cron == same
    assert hash(cron) == hash(same)
    others = [
        Cron("0 3 * * tue", tz="Europe/Berlin", gap="skip"),
        Cron("0 3 * * mon", tz="Europe/Paris", gap="skip"),
        Cron("0 3 * * mon", tz="Europe/Berlin"),
        Cron("0 3 * * mon", tz="Europe/Berlin", gap="skip", fold="both"),
        "0 3 * * mon",
    ]
    assert cron not in others
    assert (cron.expression, cron.tz, cron.gap, cron.fold) == ("0 3 * * mon", "Europe/Berlin", "skip", "first")
    assert (others[2].gap, others[2].fold, Cron("@daily").tz) == (None, None, "UTC")
    for value in (cron, *others[:4], Cron("@daily")):
        assert eval(repr(value)) == value
        for copied in (copy.copy(value), copy.deepcopy(value), pickle.loads(pickle.dumps(value))):
            assert copied == value
    assert repr(Cron("@daily")) == "Cron('@daily')"
    assert str(cron) == "0 3 * * mon Europe/Berlin"
    with pytest.raises(AttributeError, match="frozen"):
        cron.expression = "* * * * *"
    with pytest.raises(AttributeError, match="frozen"):
        del cron._expression


@pytest.mark.parametrize("cron", [Cron("*/5 * * * *"), Cron("@daily", tz="Asia/Tokyo", gap="shift", fold="second")])
def test_it_is_stored_as_json(cron):
    assert decode_trigger(json.loads(json.dumps(encode_trigger(cron)))) == cron


def test_the_stored_form_is_fixed():
    stored = {"expression": "0 3 * * *", "tz": "Europe/Berlin", "gap": None, "fold": None}
    assert encode_trigger(Cron("0 3 * * *", tz="Europe/Berlin")) == {"cron": stored}
    stored = {"expression": "0 3 * * *", "tz": "UTC", "gap": "shift", "fold": "both"}
    assert encode_trigger(Cron("0 3 * * *", fold="both")) == {"cron": stored}


@pytest.mark.parametrize("stored", [{}, {"expression": "@daily"}, {"expression": 5, "tz": "UTC"}])
def test_what_is_no_stored_cron_is_refused(stored):
    with pytest.raises(InvalidValue, match="stored form of Cron"):
        Cron.from_stored(stored)


@pytest.mark.parametrize(
    ("rule", "words"),
    [
        ({"tz": "Europe/Berlim"}, "did you mean 'Europe/Berlin'"),
        ({"tz": NOON.astimezone().tzinfo}, "has a name"),
        ({"dst": "debian"}, "dst='cron'"),
        ({"gap": "both"}, "gap='skip' or 'shift'"),
        ({"fold": "once"}, "fold='first' or 'second' or 'both'"),
    ],
)
def test_a_bad_rule_is_refused(rule, words):
    with pytest.raises(InvalidValue, match=words):
        Cron("@daily", **rule)
