"""For arbitrary nested values: a round trip that is equal with the same types, or a refusal; never anything else."""

from datetime import UTC, timedelta, timezone

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mainspring.errors import InvalidArguments
from mainspring.tasks.codec import decode, decode_call, encode, encode_call

# A busy machine is no failure.
calmly = settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.too_slow])

zones = st.one_of(
    st.none(),
    st.just(UTC),
    st.timezones(),
    st.integers(-86399, 86399).map(lambda seconds: timezone(timedelta(seconds=seconds))),
)
plain = st.one_of(st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False, allow_infinity=False), st.text())
tagged_hashable = st.one_of(
    plain,
    st.binary(),
    st.uuids(),
    st.dates(),
    st.timedeltas(),
    st.decimals(allow_nan=False, allow_infinity=False),
    st.integers(min_value=2**63),
)
leaves = st.one_of(tagged_hashable, st.datetimes(timezones=zones), st.times(timezones=zones))
keys = st.one_of(st.text(), st.sampled_from(["$", "$set", "$dict", "$tuple", "$datetime", "$secret"]))


def containers(inner):
    hashable = st.one_of(tagged_hashable, st.tuples(tagged_hashable, tagged_hashable))
    return st.one_of(
        st.lists(inner, max_size=5),
        st.dictionaries(keys, inner, max_size=5),
        st.lists(inner, max_size=5).map(tuple),
        st.sets(hashable, max_size=5),
        st.frozensets(hashable, max_size=5),
    )


values = st.recursive(leaves, containers, max_leaves=20)


def exact(value):
    """A text in which two values are the same only when every part has the same type and the same value."""
    kind = type(value)
    if kind in (list, tuple):
        return (kind, [exact(item) for item in value])
    if kind in (set, frozenset):
        return (kind, sorted(map(repr, map(exact, value))))
    if kind is dict:
        return (kind, [(key, exact(item)) for key, item in value.items()])
    if hasattr(value, "fold"):
        return (kind, repr(value.replace(tzinfo=None)), repr(value.tzinfo), value.fold)
    return (kind, repr(value))


@given(values)
@calmly
def test_a_round_trip_is_exact(value):
    assert exact(decode(encode(value))) == exact(value)


@calmly
@given(st.lists(values, max_size=3), st.dictionaries(keys, values, max_size=3))
def test_a_call_arrives_exactly(args, kwargs):
    arrived_args, arrived_kwargs = decode_call(encode_call(tuple(args), kwargs))
    assert exact(arrived_args) == exact(tuple(args))
    assert exact(arrived_kwargs) == exact(kwargs)


class Sub(str):
    __slots__ = ()


poison = st.sampled_from(
    [float("nan"), float("inf"), "\ud800", object(), {1: 2}, Sub("x"), bytearray(b"x"), 1j, range(3)]
)


@given(st.recursive(leaves | poison, lambda inner: st.lists(inner) | st.dictionaries(keys, inner), max_leaves=12))
@calmly
def test_equal_or_refused(value):
    try:
        text = encode(value)
    except InvalidArguments:
        assert has_poison(value)
    else:
        assert not has_poison(value)
        assert exact(decode(text)) == exact(value)


def has_poison(value):
    if type(value) is list:
        return any(map(has_poison, value))
    if type(value) is dict:
        return any(type(key) is not str or has_poison(item) for key, item in value.items())
    if type(value) is float:
        return value != value or value in (float("inf"), float("-inf"))
    if type(value) is str:
        return any("\ud800" <= letter <= "\udfff" for letter in value)
    return type(value) in (object, Sub, bytearray, complex, range)
