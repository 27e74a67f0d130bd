"""What may be said of a schedule beside its trigger and its tasks' options: the rule for what cannot run in time."""

import difflib
from collections.abc import Mapping
from typing import TypedDict, get_args

import msgspec

from mainspring.adding import Duration, Options, Said, options_of
from mainspring.engine.definitions import Rule, Work
from mainspring.errors import InvalidArguments, InvalidValue
from mainspring.tasks.options import Misfire, Overlap
from mainspring.when.durations import parse_duration
from mainspring.when.shown import shown

_RULE = Rule.__struct_fields__


class RuleSaid(TypedDict, total=False):
    """The rule of a schedule, as keyword arguments.

    `misfire`: what becomes of occurrences later than `grace` (default "1m"): the "latest" one runs, "all" do (at most
    the last `catch_up`, default 100), or "skip". `overlap`: one comes due while another runs: "skip" it (default),
    "queue" it, "allow" both, "replace" the one that runs. `keep`: so many finished tasks of it stay in the history at
    most (default: what the daemon's retention keeps).
    """

    misfire: Misfire
    grace: Duration
    catch_up: int
    overlap: Overlap
    keep: int | None


class ScheduleSaid(Said, RuleSaid, total=False):
    """The keyword arguments of a schedule: its rule, and its tasks' options."""


def split(said: Mapping[str, object]) -> tuple[Options, Rule]:
    """The options of a schedule's tasks, and its rule. Errors say what was expected."""
    for word in said:
        if word not in Options.__struct_fields__ and word not in _RULE:
            close = difflib.get_close_matches(word, (*_RULE, *Options.__struct_fields__), n=1)
            hint = f"; did you mean {close[0]}=?" if close else ""
            known = ", ".join((*_RULE, *Options.__struct_fields__))
            raise InvalidArguments(f"unknown option {word}={hint}; known: {known}")
    rule = changed_rule(Rule(), {word: value for word, value in said.items() if word in _RULE})
    return options_of({word: value for word, value in said.items() if word not in _RULE}), rule


def changed_rule(rule: Rule, said: Mapping[str, object]) -> Rule:
    """The rule with what was said of it."""
    for word in said:
        if word not in _RULE:
            raise InvalidArguments(f"unknown option {word}=; a schedule's rule has {', '.join(_RULE)}")
    return msgspec.convert({**msgspec.structs.asdict(rule), **{w: _checked(w, v) for w, v in said.items()}}, Rule)


def expiring(work: Work, options: Options) -> Work:
    """The work, with the time after its instant from which on an occurrence is not to start any more."""
    if options.expires is msgspec.UNSET:
        return work
    if options.expires is None:
        return msgspec.structs.replace(work, expires=None)
    try:
        expires = parse_duration(options.expires)  # type: ignore[arg-type]  # an instant is refused with the reason
    except InvalidValue as error:
        raise InvalidValue(
            f"expires= of a schedule is a duration after each occurrence, such as '10m': {error}"
        ) from None
    if expires <= 0:
        raise InvalidValue(f"expires= expects a duration longer than nothing, got {options.expires!r}")
    return msgspec.structs.replace(work, expires=expires)


def _checked(word: str, value: object) -> object:
    match word:
        case "misfire" | "overlap":
            words = get_args(Misfire if word == "misfire" else Overlap)
            if value not in words:
                raise InvalidValue(f"{word}= expects one of {', '.join(map(repr, words))}, got {value!r}")
            return value
        case "grace":
            grace = parse_duration(value)  # type: ignore[arg-type]  # says itself what it accepts
            if grace <= 0:
                raise InvalidValue(f"grace= expects a duration longer than nothing, got {value!r}")
            return grace
        case "keep" if value is None:
            return None
    if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= 1_000_000:
        raise InvalidValue(f"{word}= expects a whole number from 1 to 1,000,000, got {shown(value)}")
    return value
