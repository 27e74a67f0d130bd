"""What arrives equals what was passed, or it is refused with the path, what came, and what to do."""

import math
from datetime import UTC, date, datetime, time, timedelta, timezone, tzinfo
from decimal import Decimal
from uuid import UUID
from zoneinfo import ZoneInfo

import msgspec
import pytest

from mainspring.errors import InvalidArguments
from mainspring.tasks import codec
from mainspring.tasks.codec import decode, decode_call, decode_result, encode, encode_call, encode_result

NEW_YORK = ZoneInfo("America/New_York")

KEPT = [
    None,
    True,
    0,
    -(2**63),
    2**63,
    -(2**64),
    10**5000,
    0.0,
    1e300,
    5e-324,
    "",
    "naïve 日本 \x00 \U0001f600",
    [],
    {},
    {"a": [1, {"b": None}]},
    {"$set": [1]},
    {"$": 1, "$dict": {"$date": "x"}},
    {"$secret": "x"},
    (),
    (1, (2, [3])),
    {1, "a", (2, 3)},
    frozenset({b"x"}),
    b"\x00\xff",
    UUID(int=7),
    Decimal("-0.00"),
    Decimal("1E+1000"),
    date(2026, 11, 27),
    timedelta(days=-999_999_999),
    timedelta(microseconds=1),
    time(10, 30, tzinfo=UTC),
    time(10, 30, fold=1, tzinfo=NEW_YORK),
    time(10, 30, tzinfo=ZoneInfo("UTC")),
    datetime(2026, 11, 27, 10, tzinfo=ZoneInfo("UTC")),
    datetime(2026, 11, 27, 10, 0, 0, 250_000),  # noqa: DTZ001
    datetime(2026, 11, 1, 1, 30, fold=1),  # noqa: DTZ001
    datetime(2026, 11, 27, 10, tzinfo=UTC),
    datetime(2026, 11, 27, 10, tzinfo=timezone(timedelta(hours=5, minutes=30, seconds=1))),
    datetime(2026, 11, 1, 1, 30, tzinfo=NEW_YORK),
    datetime(2026, 11, 1, 1, 30, tzinfo=NEW_YORK, fold=1),
    datetime(2026, 3, 8, 2, 30, tzinfo=NEW_YORK),
]


@pytest.mark.parametrize("value", KEPT, ids=lambda value: type(value).__name__)
def test_arrives_as_it_was_passed(value):
    arrived = decode(encode(value))
    assert arrived == value
    assert type(arrived) is type(value)
    assert repr(getattr(arrived, "tzinfo", None)) == repr(getattr(value, "tzinfo", None))
    assert getattr(arrived, "fold", 0) == getattr(value, "fold", 0)
    assert decode_call(encode_call((value,), {"x": value})) == ((value,), {"x": value})
    assert decode_result(encode_result(value)) == value


def test_the_sign_of_nought_and_the_digits_of_a_decimal_are_kept():
    assert math.copysign(1, decode(encode([-0.0]))[0]) == -1
    assert str(decode(encode(Decimal("1.10")))) == "1.10"
    assert decode(encode([1, 1.0, True])) == [1, 1.0, True]
    assert [type(item) for item in decode(encode([1, 1.0, True]))] == [int, float, bool]


def test_plain_json_stays_plain():
    assert encode_call((42, "x"), {"item": [1.5, None]}) == '[[42,"x"],{"item":[1.5,null]}]'
    assert encode_call((), {}) is None
    assert decode_call(None) == ((), {})
    assert decode_call('[[1,"\\"$x"],{}]') == ((1, '"$x'), {})


class Text(str):
    __slots__ = ()


class Number(int):
    pass


class Pairs(dict):
    pass


class Oslo(tzinfo):
    def utcoffset(self, dt):
        return timedelta(hours=1)

    def dst(self, dt):
        return None

    def tzname(self, dt):
        return "Oslo"


class BadRepr:
    def __repr__(self):
        raise RuntimeError("no")


CYCLE: list = []
CYCLE.append({"again": CYCLE})

REFUSED = [
    (math.nan, "finite"),
    (-math.inf, "finite"),
    (Decimal("NaN"), "NaN"),
    (Decimal("Infinity"), "infinity"),
    ("\ud800", "surrogates"),
    ({"\udc80": 1}, "surrogates"),
    ({1: 2}, "key of type str"),
    ({None: 2}, "key of type str"),
    ({Text("a"): 2}, "key of type str"),
    (Text("a"), "annotate"),
    (Number(3), "annotate"),
    (Pairs(a=1), "annotate"),
    (CYCLE, "contains itself"),
    (bytearray(b"x"), "bytes"),
    (object(), "an id, a path"),
    (BadRepr(), "repr raises RuntimeError"),
    (print, "a name that the function looks up"),
    (datetime(2026, 1, 1, tzinfo=Oslo()), "ZoneInfo"),
    (1j, "of type complex"),
]


@pytest.mark.parametrize(("value", "words"), REFUSED, ids=lambda value: str(type(value).__name__))
def test_what_would_not_arrive_equal_is_refused(value, words):
    for wrapped in (value, [value], {"a": (value,)}):
        with pytest.raises(InvalidArguments, match=words):
            encode(wrapped)
        with pytest.raises(InvalidArguments, match=words):
            encode_result(wrapped)
        with pytest.raises(InvalidArguments, match=words):
            encode_call((1, wrapped), {})


def test_the_refusal_names_the_path():
    with pytest.raises(InvalidArguments, match=r"^args\[1\]\['items'\]\[3\]: .*nan of type float.*pass None"):
        encode_call((0, {"items": [1, 2, 3, math.nan]}), {})
    with pytest.raises(InvalidArguments, match=r"^order\['lines'\]\[0\]\[1\]: "):
        encode_call((), {"order": {"lines": [(1, 1j)]}})
    with pytest.raises(InvalidArguments, match=r"^the result: "):
        encode_result(1j)


def nested(levels):
    value = []
    for _ in range(levels - 1):
        value = [value]
    return value


def test_nesting_has_a_limit():
    deepest = nested(100)
    assert decode(encode(deepest)) == deepest
    assert decode_call(encode_call((deepest,), {})) == ((deepest,), {})
    mixed = (nested(99),)
    assert decode(encode(mixed)) == mixed
    for too_deep in (nested(101), (nested(100),)):
        with pytest.raises(InvalidArguments, match="at most 100 levels"):
            encode(too_deep)
        with pytest.raises(InvalidArguments, match=r"args\[0\]: expected at most 100 levels"):
            encode_call((too_deep,), {})


def test_a_value_may_hold_another_twice():
    shared = [1]
    assert decode(encode([shared, shared, (shared,)])) == [[1], [1], ([1],)]


def test_size_has_a_limit_of_one_mebibyte():
    fits = "x" * (codec.MAX_BYTES - 2)
    assert decode(encode(fits)) == fits
    with pytest.raises(InvalidArguments, match=r"1,048,577 bytes as JSON, the limit is 1,048,576 \(1 MiB\)"):
        encode(fits + "x")
    with pytest.raises(InvalidArguments, match=r"the arguments take 1,048,5.. bytes"):
        encode_call((fits,), {})
    with pytest.raises(InvalidArguments, match="the result takes"):
        encode_result([b"x" * 1_000_000])
    assert len("é" * 600_000) < codec.MAX_BYTES
    with pytest.raises(InvalidArguments, match="limit"):  # bytes count, not characters
        encode("é" * 600_000)


def test_lists_that_unfold_without_end_are_refused_at_once():
    plain: object = []
    tagged: object = ()
    for _ in range(60):
        plain, tagged = [plain, plain], (tagged, tagged)
    for bomb in (plain, tagged):
        with pytest.raises(InvalidArguments, match="more than 1,048,576 bytes"):
            encode(bomb)
        with pytest.raises(InvalidArguments, match="more than 1,048,576 bytes"):
            encode_call((bomb,), {})


def test_the_zone_is_kept_and_the_instant_counts():
    moment = datetime(2026, 11, 27, 10, tzinfo=ZoneInfo("Asia/Shanghai"))
    text = encode(moment)
    assert text == '{"$datetime":["2026-11-27T10:00:00+08:00",0,"Asia/Shanghai"]}'
    assert decode(text).tzinfo is ZoneInfo("Asia/Shanghai")
    # The zone's rules changed since it was stored: same instant, other local time.
    moved = decode(text.replace("10:00:00+08:00", "10:00:00+07:00"))
    assert moved == moment + timedelta(hours=1)
    assert (moved.hour, moved.tzinfo) == (11, ZoneInfo("Asia/Shanghai"))
    # A machine that does not know the zone.
    assert decode(text.replace("Asia/Shanghai", "Mars/Olympus")) == moment


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        '{"$unknown":1}',
        '{"$date":"yesterday"}',
        '{"$datetime":[1,2]}',
        '{"$datetime":7}',
        '{"$time":["10:00:00",0,"Mars/Olympus"]}',
        '{"$int":12}',
        '{"$bytes":"?"}',
        '{"$tuple":{}}',
        '{"$dict":[]}',
        '{"$timedelta":"1"}',
        '{"$decimal":"x"}',
        "[" * 100_000,
    ],
)
def test_a_damaged_text_is_an_error_that_says_so(text):
    with pytest.raises(InvalidArguments, match="stored value"):
        decode(text)


@pytest.mark.parametrize("text", ["1", "[]", "[[],[]]", "[{},{}]", "[[],{},1]"])
def test_arguments_are_a_list_and_an_object(text):
    with pytest.raises(InvalidArguments, match=r"not \[args, kwargs\]"):
        decode_call(text)


def test_names_of_arguments_are_texts():
    with pytest.raises(InvalidArguments, match="names of type str"):
        encode_call((), {Text("a"): (1,)})
    with pytest.raises(InvalidArguments, match="surrogates"):
        encode_call((), {"\ud800": 1})
    assert decode_call(encode_call((), {"$tuple": 1, "x": (1,)})) == ((), {"$tuple": 1, "x": (1,)})


def test_the_text_is_json_for_everyone():
    text = encode({"n": 2**70, "f": 1e22, "t": (1,)})
    assert msgspec.json.decode(text) == {"n": {"$int": format(2**70, "x")}, "f": 1e22, "t": {"$tuple": [1]}}
