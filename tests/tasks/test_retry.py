import copy
import pickle
import subprocess
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mainspring.errors import InvalidValue
from mainspring.tasks.names import class_names
from mainspring.tasks.options import (
    DEFAULT,
    RetryRule,
    TaskOptions,
    build_options,
    complete_options,
    decode_options,
    encode_options,
)
from mainspring.tasks.retry import Retry, RetryLater, as_retry, next_delay, wants

SECOND = 1_000_000


def test_defaults_are_the_promised_ones():
    assert Retry(3).rule == RetryRule(
        times=3, delay=SECOND, factor=2.0, max_delay=3600 * SECOND, jitter=True, on=("builtins:Exception",), never=()
    )


def test_durations_come_in_every_form():
    rule = Retry(1, delay=timedelta(milliseconds=5), factor=1.5, max_delay=90, jitter=False).rule
    assert (rule.delay, rule.factor, rule.max_delay, rule.jitter) == (5_000, 1.5, 90 * SECOND, False)


def test_it_is_a_value():
    one, same, another = Retry(3, on=OSError), Retry(3, on=(OSError,)), Retry(4, on=OSError)
    assert one == same != another
    assert one != 3
    assert len({one, same, another}) == 2
    assert pickle.loads(pickle.dumps(one)) == copy.deepcopy(one) == copy.copy(one) == one
    assert "Retry(3" in repr(one)
    with pytest.raises(AttributeError, match="never changes"):
        one.rule = another.rule
    with pytest.raises(AttributeError, match="never changes"):
        del one.rule


@pytest.mark.parametrize("times", [-1, True, 1.5, "3", None, 10**9])
def test_bad_times(times):
    with pytest.raises(InvalidValue, match="further attempts"):
        Retry(times)


@pytest.mark.parametrize(
    "options",
    [
        {"delay": "-1s"},
        {"delay": "soon"},
        {"delay": "2h"},
        {"max_delay": "99999d"},
        {"factor": 0.5},
        {"factor": 0},
        {"factor": float("nan")},
        {"factor": float("inf")},
        {"factor": "2"},
        {"factor": True},
        {"jitter": 1},
        {"on": "OSError"},
        {"on": (OSError, int)},
        {"on": (OSError("x"),)},
        {"never": 3},
    ],
)
def test_bad_values(options):
    with pytest.raises(InvalidValue):
        Retry(3, **options)


def test_as_retry():
    assert as_retry(None) is None
    assert as_retry(0) is None
    assert as_retry(2) == RetryRule(times=2)
    assert as_retry(Retry(2)) == RetryRule(times=2)
    for bad in (-1, True, False, "3", 1.0, RetryRule(times=1)):
        with pytest.raises(InvalidValue):
            as_retry(bad)


def test_retry_later_carries_microseconds():
    later = RetryLater(after="5m", reason="the bank sleeps")
    assert later.after == 300 * SECOND
    assert "the bank sleeps" in str(later)
    again = pickle.loads(pickle.dumps(later))
    assert (again.after, again.reason) == (later.after, later.reason)
    assert "1.5 s" in str(RetryLater(1.5))
    with pytest.raises(InvalidValue):
        RetryLater(after="never")
    with pytest.raises(InvalidValue, match="RetryLater"):
        RetryLater(after="5000d")


def test_the_delay_grows_and_is_capped():
    rule = Retry(9, delay="1s", factor=3, max_delay="10s", jitter=False).rule
    assert [next_delay(rule, failures, 0) for failures in (1, 2, 3, 4, 5)] == [
        1 * SECOND,
        3 * SECOND,
        9 * SECOND,
        10 * SECOND,
        10 * SECOND,
    ]
    constant = Retry(9, delay="2s", factor=1, jitter=False).rule
    assert {next_delay(constant, failures, 0) for failures in (0, 1, 2, 10**30)} == {2 * SECOND}
    assert next_delay(Retry(1, delay=0).rule, 10**30, 7) == 0


@given(
    st.builds(
        RetryRule,
        times=st.just(1),
        delay=st.integers(-5, 10**15),
        factor=st.floats(0, 1e6),
        max_delay=st.integers(-5, 10**15),
        jitter=st.booleans(),
    ),
    st.integers(0, 10**40),
    st.integers(-(10**40), 10**40),
)
def test_a_delay_is_never_negative_nor_too_long_nor_an_overflow(rule, failures, seed):
    delay = next_delay(rule, failures, seed)
    assert 0 <= delay <= max(rule.max_delay, 0)
    assert delay == next_delay(rule, failures, seed)


def test_jitter_spreads_over_the_whole_delay():
    rule = Retry(1, delay="1s").rule
    delays = [next_delay(rule, 1, seed) for seed in range(2_000)]
    tenths = [sum(1 for delay in delays if delay * 10 // SECOND == tenth) for tenth in range(10)]
    assert min(tenths) > 120
    assert len(set(delays)) > 1_900
    assert next_delay(rule, 1, 5) != next_delay(rule, 2, 5)


class Ours(Exception):
    pass


class OursToo(Ours):
    pass


def test_on_and_never_go_by_class_and_bases():
    rule = Retry(1, on=(Ours, OSError), never=(OursToo, FileNotFoundError)).rule
    assert wants(rule, class_names(Ours))
    assert wants(rule, class_names(ConnectionResetError))
    assert not wants(rule, class_names(OursToo))
    assert not wants(rule, class_names(FileNotFoundError))
    assert not wants(rule, class_names(ValueError))


def test_by_default_every_exception_but_no_interrupt():
    rule = Retry(1).rule
    assert wants(rule, class_names(subprocess.CalledProcessError))
    assert not wants(rule, class_names(KeyboardInterrupt))
    assert not wants(rule, class_names(SystemExit))


def test_who_asks_to_come_later_comes_later():
    assert wants(Retry(1, on=OSError).rule, class_names(RetryLater))


# ── options ────────────────────────────────────────────────────────────────────────────────────────────────────


def test_what_is_not_said_comes_from_the_defaults():
    defaults = build_options(retry=2, timeout="1m")
    assert defaults == TaskOptions(retry=RetryRule(times=2), timeout=60 * SECOND)
    assert build_options(defaults) == defaults
    assert build_options(defaults, timeout=1.5).timeout == 1_500_000
    assert build_options(defaults, timeout=None, retry=None) == DEFAULT
    assert build_options(defaults, retry=0).retry is None
    assert build_options(delivery="at-most-once").delivery == "at-most-once"


def test_at_most_once_and_a_retry_exclude_each_other():
    with pytest.raises(InvalidValue, match="at-most-once"):
        build_options(retry=1, delivery="at-most-once")
    with pytest.raises(InvalidValue, match="at-most-once"):
        build_options(build_options(retry=1), delivery="at-most-once")
    assert build_options(build_options(retry=1), delivery="at-most-once", retry=None).retry is None


@pytest.mark.parametrize(
    "options", [{"timeout": 0}, {"timeout": "-1s"}, {"timeout": "x"}, {"delivery": "once"}, {"delivery": None}]
)
def test_bad_options(options):
    with pytest.raises(InvalidValue):
        build_options(**options)


def test_a_bare_task_is_completed_from_the_registration():
    registered = build_options(retry=2, timeout=60)
    assert complete_options(build_options(bare=True), registered) == registered
    assert complete_options(build_options(bare=True, timeout=1), registered).timeout == SECOND
    assert complete_options(build_options(bare=True, retry=5), registered).retry.times == 5
    assert complete_options(build_options(), registered) == DEFAULT
    once = complete_options(build_options(bare=True, delivery="at-most-once"), registered)
    assert (once.delivery, once.retry) == ("at-most-once", None)
    once = complete_options(build_options(bare=True, retry=3), build_options(delivery="at-most-once"))
    assert (once.delivery, once.retry) == ("at-most-once", None)


def test_options_survive_the_store():
    options = build_options(retry=Retry(3, never=OSError), timeout="5s", bare=True)
    assert decode_options(encode_options(options)) == options
    assert encode_options(DEFAULT) is None
    assert decode_options(None) == DEFAULT
