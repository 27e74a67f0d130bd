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


_KINDS: dict[str, tuple[type, Callable[[Mapping[str, object]], Trigger]]] = {
    Every.KIND: (Every, Every.from_stored),
    Cron.KIND: (Cron, Cron.from_stored),
}

ACCEPTED = "a duration ('5s', 5, timedelta(seconds=5)) or a trigger such as Every('5s')"


def parse_trigger(value: Trigger | float | str | timedelta) -> Trigger:
    """The trigger itself, or `Every(value)` for a duration. Errors are `InvalidValue`."""
    if isinstance(value, bool | int | float | str | timedelta):
        return Every(value)
    encode_trigger(value)  # one that cannot be stored is refused here, where its author can see it
    return value


def encode_trigger(trigger: Trigger) -> dict[str, object]:
    """The stored form of a trigger; one of an unknown class is refused, since no daemon could read it back."""
    for kind, (known, _) in _KINDS.items():
        if type(trigger) is known:
            return {kind: trigger.stored()}
    # A subclass may answer `next` differently from the class that would be read back.
    why = "it answers next(), but it has no stored form that another process could read"
    if not callable(getattr(trigger, "next", None)):
        why = f"{type(trigger).__name__} is no trigger"
    raise InvalidValue(f"expected {ACCEPTED}, got {shown(trigger)}: {why}")


def decode_trigger(stored: Mapping[str, object]) -> Trigger:
    """The trigger of which `stored` was kept."""
    if len(stored) == 1:
        ((kind, kept),) = stored.items()
        if kind in _KINDS and isinstance(kept, Mapping):
            return _KINDS[kind][1](kept)
    raise InvalidValue(f"expected a stored trigger of the kinds {', '.join(_KINDS)}, got {shown(stored)}")
