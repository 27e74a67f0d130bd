"""What a trigger is, and the JSON under which the known ones are stored: `{kind: what it keeps}`."""

from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import Protocol, runtime_checkable

from mainspring.errors import InvalidValue
from mainspring.when.cron import Cron
from mainspring.when.every import Every
from mainspring.when.shown import shown


@runtime_checkable
class Trigger(Protocol):
    """A rule that says when something is due."""

    def next(self, after: datetime) -> datetime | None:
        """The first instant strictly after `after`, aware, in the trigger's zone; None: there is none."""

    def next_us(self, after: int) -> int | None:
        """The same in microseconds UTC."""

    def stored(self) -> dict[str, object]:
        """What is kept of it, as JSON values; the kind's entry below makes the trigger from it again."""

    def __hash__(self) -> int:
        """Triggers are values: equal ones are one."""


_KINDS: dict[str, tuple[type, Callable[[Mapping[str, object]], Trigger]]] = {
    Every.KIND: (Every, Every.from_stored),
    Cron.KIND: (Cron, Cron.from_stored),
}
# Those that are loaded when one is met.
_LATER = {
    "bounded": "bounded.Bounded",
    "calendar": "calendar_interval.Calendar",
    "dates": "dates.Dates",
    "day_times": "day_times.DayTimes",
    "except": "except_for.Except",
    "jitter": "jitter.Jitter",
    "rrule": "rrule.RRule",
    "union": "union.Union",
}
_DEEPEST = 100  # of stored JSON; a trigger is refused long before

ACCEPTED = "a duration ('5s', 5, timedelta(seconds=5)) or a trigger such as Every('5s')"


def parse_trigger(value: Trigger | float | str | timedelta) -> Trigger:
    """The trigger itself, or `Every(value)` for a duration. Errors are `InvalidValue`."""
    if isinstance(value, bool | int | float | str | timedelta):
        return Every(value)
    encode_trigger(value)  # one that cannot be stored is refused here, where its author can see it
    return value


def encode_trigger(trigger: Trigger) -> dict[str, object]:
    """The stored form of a trigger; one of an unknown class is refused, since no daemon could read it back."""
    kind: object = getattr(trigger, "KIND", None)
    # A subclass may answer `next` differently from the class that would be read back.
    if isinstance(kind, str) and (known := _known(kind)) is not None and type(trigger) is known[0]:
        return {kind: trigger.stored()}
    why = "it answers next(), but it has no stored form that another process could read"
    if not callable(getattr(trigger, "next", None)):
        why = f"{type(trigger).__name__} is no trigger"
        if callable(getattr(trigger, "at", None)):
            why = "days are no trigger until they have a time: .at('09:00')"
    raise InvalidValue(f"expected {ACCEPTED}, got {shown(trigger)}: {why}")


def decode_trigger(stored: Mapping[str, object]) -> Trigger:
    """The trigger of which `stored` was kept."""
    if len(stored) == 1:
        ((kind, kept),) = stored.items()
        known = _known(kind) if isinstance(kept, Mapping) and not _too_deep(kept) else None
        if known is not None and isinstance(kept, Mapping):
            return known[1](kept)
    kinds = ", ".join([*_KINDS, *(kind for kind in _LATER if kind not in _KINDS)])
    raise InvalidValue(f"expected a stored trigger of the kinds {kinds}, got {shown(stored)}")


def _known(kind: str) -> tuple[type, Callable[[Mapping[str, object]], Trigger]] | None:
    """The class of a kind, and what makes one of it from its stored form."""
    if kind not in _KINDS and kind in _LATER:
        from importlib import import_module

        module, _, name = _LATER[kind].partition(".")
        found = getattr(import_module(f"mainspring.when.{module}"), name)
        _KINDS[kind] = (found, found.from_stored)
    return _KINDS.get(kind)


def _too_deep(stored: Mapping[str, object]) -> bool:
    """Whether reading it could exhaust the stack. Nothing but unions nests through a list."""
    level: list[object] = [stored]
    for _ in range(_DEEPEST):
        inner = [value for one in level if isinstance(one, Mapping) for value in one.values()]
        inner += [value for one in level if isinstance(one, list) for value in one if isinstance(value, Mapping)]
        level = [value for value in inner if isinstance(value, Mapping | list)]
        if not level:
            return False
    return True
