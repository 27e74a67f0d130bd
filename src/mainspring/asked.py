"""Words that people pass to `find` and the command line, checked, with a suggestion for a slip."""

import difflib
from collections.abc import Iterable
from enum import StrEnum
from typing import TypeVar

from mainspring.errors import InvalidValue
from mainspring.tasks.state import Kind, State
from mainspring.when.shown import shown

E = TypeVar("E", bound=StrEnum)

_MOST = 100_000


def as_states(value: State | str | Iterable[State | str] | None) -> tuple[State, ...]:
    """One state, several, or none for "waiting and running and all others"."""
    if value is None:
        return ()
    values = [value] if isinstance(value, str) else list(value)
    return tuple(_word(State, one, "state") for one in values)


def as_kind(value: Kind | str | None) -> Kind | None:
    """`function` or `program`."""
    return None if value is None else _word(Kind, value, "kind")


def as_limit(value: int, word: str = "limit") -> int:
    """How many at most."""
    if not isinstance(value, int) or isinstance(value, bool) or not 1 <= value <= _MOST:
        raise InvalidValue(f"{word}= expects a whole number from 1 to {_MOST}, got {shown(value)}")
    return value


def _word(kind: type[E], value: str, name: str) -> E:
    try:
        return kind(value)
    except ValueError:
        words = [one.value for one in kind]
        close = difflib.get_close_matches(str(value), words, n=1)
        hint = f"; did you mean {close[0]!r}?" if close else ""
        raise InvalidValue(f"{name} expects one of {', '.join(words)}; got {value!r:.100}{hint}") from None
