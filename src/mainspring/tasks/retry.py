"""Whether a failed attempt is followed by another, and after how long."""

import math
from collections.abc import Sequence
from datetime import timedelta

from mainspring.errors import InvalidValue
from mainspring.tasks.names import class_name
from mainspring.tasks.options import RetryRule
from mainspring.when.durations import parse_duration
from mainspring.when.shown import shown

Duration = float | timedelta | str
Exceptions = type[BaseException] | tuple[type[BaseException], ...]

_MOST_TIMES = 1_000_000
_LONGEST = 10 * 366 * 86_400_000_000  # µs; ten years
_MASK = (1 << 64) - 1


class Retry:
    """How often a failed task is tried again, after how long, and after which exceptions. A value; never changes.

    `times`: further attempts at most. `delay`: before the first of them, multiplied by `factor` each time up to
    `max_delay`; with `jitter` the wait is drawn between nothing and that, so that many tasks which failed together
    do not come back together. Durations are seconds, `timedelta`, or texts such as "1.5s". `on`, `never`: classes of
    exceptions; what is not in `on`, or is in `never`, fails the task at once. Raises `InvalidValue`.
    """

    __slots__ = ("rule",)

    rule: RetryRule

    def __init__(
        self,
        times: int,
        *,
        delay: Duration = "1s",
        factor: float = 2,
        max_delay: Duration = "1h",
        jitter: bool = True,
        on: Exceptions = (Exception,),
        never: Exceptions = (),
    ) -> None:
        first, longest = _duration("delay", delay), _duration("max_delay", max_delay)
        if first > longest:
            raise InvalidValue(
                f"the first delay ({delay!r}) is longer than max_delay ({max_delay!r}); give Retry a longer max_delay="
            )
        rule = RetryRule(
            times=_times(times),
            delay=first,
            factor=_factor(factor),
            max_delay=longest,
            jitter=_jitter(jitter),
            on=_names("on", on),
            never=_names("never", never),
        )
        object.__setattr__(self, "rule", rule)

    def __setattr__(self, name: str, value: object) -> None:
        raise AttributeError(f"a Retry never changes; make a new one with {name}=")

    def __delattr__(self, name: str) -> None:
        raise AttributeError("a Retry never changes")

    def __eq__(self, other: object) -> bool:
        return self.rule == other.rule if isinstance(other, Retry) else NotImplemented

    def __hash__(self) -> int:
        return hash(self.rule)

    def __repr__(self) -> str:
        rule = self.rule
        return (
            f"Retry({rule.times}, delay={rule.delay / 1e6:g}, factor={rule.factor:g}, "
            f"max_delay={rule.max_delay / 1e6:g}, jitter={rule.jitter}, on={rule.on!r}, never={rule.never!r})"
        )

    def __copy__(self) -> "Retry":
        return self

    def __deepcopy__(self, memo: object) -> "Retry":
        return self

    def __reduce__(self) -> tuple[object, tuple[RetryRule]]:
        return _from_rule, (self.rule,)


class RetryLater(Exception):
    """Raised by a task that wants to be tried again after `after` (seconds, `timedelta`, or a text such as "5m").

    `after` is kept in microseconds. It uses up none of the task's retries and needs none; its wait is the one asked
    for, without jitter. An at-most-once task that raises it has failed.
    """

    def __init__(self, after: Duration, reason: str = "") -> None:
        self.after = _duration("after", after, "RetryLater")
        self.reason = reason
        super().__init__(reason or f"wants to be tried again after {self.after / 1e6:g} s")

    def __reduce__(self) -> tuple[type["RetryLater"], tuple[timedelta, str]]:
        return RetryLater, (timedelta(microseconds=self.after), self.reason)


_LATER = class_name(RetryLater)


def as_retry(value: int | Retry | None) -> RetryRule | None:
    """The rule for what was passed as `retry=`: a number is `Retry(number)`; None and 0 are no retry."""
    if isinstance(value, Retry):
        return value.rule
    if value is None or (type(value) is int and value == 0):
        return None
    return Retry(value).rule


def wants(rule: RetryRule, names: Sequence[str]) -> bool:
    """Whether `rule` is for an exception, by the names of its class and bases (`names.class_names`): it may have been
    raised in another process. How often is not asked here.
    """
    if _LATER in names:
        return True
    return not any(name in rule.never for name in names) and any(name in rule.on for name in names)


def next_delay(rule: RetryRule, failures: int, seed: int) -> int:
    """How long to wait after the failure number `failures` (1, 2, ...), in µs: 0 to `rule.max_delay`.

    The same seed gives the same jitter, so that a simulation can be repeated.
    """
    full = _full_delay(rule, max(failures, 1) - 1)
    return (_mixed(seed, failures) * (full + 1)) >> 64 if rule.jitter else full


def _full_delay(rule: RetryRule, growths: int) -> int:
    delay, most = max(rule.delay, 0), max(rule.max_delay, 0)
    if delay == 0 or delay >= most or rule.factor <= 1:
        return min(delay, most)
    # In logarithms first: the power itself overflows for patient tasks.
    if growths * math.log(rule.factor) >= math.log(most / delay):
        return most
    return min(int(delay * math.pow(rule.factor, growths)), most)


def _mixed(seed: int, failures: int) -> int:
    """64 evenly spread bits from two numbers (the finalizer of splitmix64)."""
    bits = (seed * 0x9E3779B97F4A7C15 + failures * 0xD1342543DE82EF95 + 0x9E3779B97F4A7C15) & _MASK
    bits = ((bits ^ (bits >> 30)) * 0xBF58476D1CE4E5B9) & _MASK
    bits = ((bits ^ (bits >> 27)) * 0x94D049BB133111EB) & _MASK
    return bits ^ (bits >> 31)


def _from_rule(rule: RetryRule) -> Retry:
    retry = Retry.__new__(Retry)
    object.__setattr__(retry, "rule", rule)
    return retry


def _duration(name: str, value: Duration, owner: str = "Retry") -> int:
    duration = parse_duration(value)
    if not 0 <= duration <= _LONGEST:
        raise InvalidValue(f"{owner}({name}=) expects a duration from 0 to ten years, got {shown(value)}")
    return duration


def _times(times: object) -> int:
    if isinstance(times, bool) or not isinstance(times, int) or not 0 <= times <= _MOST_TIMES:
        raise InvalidValue(
            f"a retry expects how many further attempts there may be, from 0 to {_MOST_TIMES:,}, or "
            f"Retry(times, delay=..., ...), got {shown(times)}"
        )
    return times


def _factor(factor: object) -> float:
    if isinstance(factor, bool) or not isinstance(factor, int | float) or not 1 <= factor <= 1e6:
        raise InvalidValue(
            f"Retry(factor=) expects a number from 1 (always the same delay) to 1e6, got {shown(factor)}"
        )
    return float(factor)


def _jitter(jitter: object) -> bool:
    if not isinstance(jitter, bool):
        raise InvalidValue(f"Retry(jitter=) expects True or False, got {jitter!r}")
    return jitter


def _names(name: str, kinds: object) -> tuple[str, ...]:
    listed = tuple(kinds) if isinstance(kinds, tuple | list | set | frozenset) else (kinds,)
    found = [class_name(kind) for kind in listed if isinstance(kind, type) and issubclass(kind, BaseException)]
    if len(found) < len(listed):
        raise InvalidValue(
            f"Retry({name}=) expects classes of exceptions such as (OSError, TimeoutError), got {kinds!r}"
        )
    return tuple(found)
