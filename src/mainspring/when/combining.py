"""What triggers have in common: they are frozen values, and they combine: `a | b`, `a - b`, `a & days`."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from datetime import UTC, datetime, tzinfo
from typing import TYPE_CHECKING, NoReturn, TypeVar

from mainspring.errors import InvalidValue
from mainspring.when.instants import MAX_INSTANT, MIN_INSTANT, from_datetime, load_zone, to_datetime
from mainspring.when.shown import shown

if TYPE_CHECKING:
    from mainspring.when.bounded import Bounded
    from mainspring.when.days import Days
    from mainspring.when.except_for import Except
    from mainspring.when.triggers import Trigger
    from mainspring.when.union import Union

T = TypeVar("T")

MOST_PARTS = 200  # of one combined trigger, counted all the way down
MOST_DEPTH = 10  # combinations within combinations
MOST_DATES = 10_000  # of one list of dates or instants


class Combining:
    """The operators. What they make are triggers again, stored with all that is in them."""

    __slots__ = ()

    def __or__(self: "Trigger", other: "Trigger") -> "Union":
        """The instants of both, each once."""
        from mainspring.when.union import Union

        return Union(self, other)

    def __sub__(self: "Trigger", other: "Trigger | Days") -> "Except":
        """The instants of this one without those of a trigger, or without those on certain days."""
        from mainspring.when.except_for import Except

        return Except(self, other)

    def __and__(self: "Trigger", days: "Days") -> "Except":
        """The instants of this one that are on certain days."""
        from mainspring.when.days import Days
        from mainspring.when.except_for import Except

        if not isinstance(days, Days):
            raise InvalidValue(
                f"expected days after '&', such as Days('mon', 'thu') or BusinessDays(), got {shown(days)}; "
                f"for the instants of either trigger write a | b"
            )
        return Except(self, ~days)

    def between(
        self: "Trigger", start: datetime | str | float | None = None, end: datetime | str | float | None = None
    ) -> "Bounded":
        """The instants from `start` on, and before `end`. Either may be None."""
        from mainspring.when.bounded import Bounded

        return Bounded(self, start=start, end=end)

    def at_most(self: "Trigger", count: int, *, start: datetime | str | float | None = None) -> "Bounded":
        """The first `count` instants from `start` on; a trigger that has a beginning of its own needs no `start`."""
        from mainspring.when.bounded import Bounded

        return Bounded(self, start=start, count=count)


class Value(Combining, ABC):
    """A frozen trigger: what `_set` put into its slots stays; equal when class and slots are."""

    __slots__ = ()

    def _set(self, **slots: object) -> None:
        for name, value in slots.items():
            object.__setattr__(self, name, value)

    @abstractmethod
    def _key(self) -> tuple[object, ...]:
        """What makes two of a class equal; hashable."""

    @abstractmethod
    def next_us(self, after: int) -> int | None:
        """`next` in microseconds UTC."""

    def next(self, after: datetime) -> datetime | None:
        """The first occurrence strictly after `after` (aware), in the trigger's zone; None: no more."""
        came: object = after
        if not isinstance(came, datetime) or came.utcoffset() is None:
            raise InvalidValue(
                f"expected an aware datetime, got {shown(after)}: give it its zone, as in datetime.now(UTC) or "
                f"after.replace(tzinfo=UTC)"
            )
        instant = self.next_us(from_datetime(after))
        return None if instant is None else to_datetime(instant, self._shown_in())

    def _shown_in(self) -> tzinfo:
        """The zone in which `next` answers."""
        return zone_of(self) or UTC

    @abstractmethod
    def stored(self) -> dict[str, object]:
        """What is kept of it, as JSON values."""

    def __setattr__(self, name: str, value: object) -> None:
        raise AttributeError(f"{type(self).__name__} is a frozen value; make a new one instead of setting {name!r}")

    def __delattr__(self, name: str) -> None:
        raise AttributeError(f"{type(self).__name__} is a frozen value; {name!r} cannot be deleted")

    def __eq__(self, other: object) -> bool:
        return self._key() == other._key() if isinstance(other, Value) and type(other) is type(self) else NotImplemented

    def __hash__(self) -> int:
        return hash((type(self), self._key()))

    def __reduce__(self) -> tuple[object, ...]:
        return _rebuild, (type(self), self.stored())


class Wrapping(Value):
    """A trigger made from the instants of another, in whose zone it speaks."""

    __slots__ = ("_of",)

    _of: "Trigger"

    @property
    def parts(self) -> "tuple[Trigger, ...]":
        """The triggers that it is made of."""
        return (self._of,)

    @property
    def tz(self) -> str | None:
        """The zone of what it is made from."""
        zone: object = getattr(self._of, "tz", None)
        return zone if isinstance(zone, str) else None

    @property
    def begins(self) -> bool:
        """Whether there is a first instant."""
        return bool(getattr(self._of, "begins", False))


def _rebuild(kind: type, stored: Mapping[str, object]) -> object:
    """Copies and pickles are made anew, because a frozen value cannot be filled in."""
    return kind.from_stored(stored)  # type: ignore[attr-defined]  # every class that is pickled so has it


def zone_of(trigger: object) -> tzinfo | None:
    """The one zone in whose wall times a trigger speaks; None: it speaks of instants, or of several zones."""
    zone: object = getattr(trigger, "tz", None)
    return load_zone(zone) if isinstance(zone, str | tzinfo) else None


def taken(value: object) -> "Trigger":
    """`value`, when it is a trigger that can be stored; an `InvalidValue` otherwise."""
    from mainspring.when.triggers import encode_trigger

    encode_trigger(value)  # type: ignore[arg-type]  # it says what is wrong with anything else
    return value  # type: ignore[return-value]


def size_of(trigger: object) -> tuple[int, int]:
    """How many triggers a trigger is made of, itself included, and how deep they are nested."""
    parts, depth = 1, 1
    for inner in getattr(trigger, "parts", ()):
        more, deeper = size_of(inner)
        parts, depth = parts + more, max(depth, deeper + 1)
    return parts, depth


def check_size(trigger: object) -> None:
    """Refuse what is too large to be a rule that somebody understands."""
    parts, depth = size_of(trigger)
    if parts > MOST_PARTS or depth > MOST_DEPTH:
        raise InvalidValue(
            f"expected a trigger of at most {MOST_PARTS} parts, nested at most {MOST_DEPTH} deep, got one of {parts} "
            f"parts, {depth} deep; make several schedules of it, or one list: Dates([...])"
        )


def in_brackets(trigger: object) -> str:
    """The repr of a part: in brackets where an operator would bind otherwise."""
    text = repr(trigger)
    return f"({text})" if getattr(trigger, "infix", False) else text


def kept(stored: Mapping[str, object], key: str, kind: type[T]) -> T:
    """What is stored under `key`, when it is of that type."""
    value = stored.get(key)
    if isinstance(value, kind):
        return value
    raise InvalidValue(f"expected a stored trigger with {key!r} as {kind.__name__}, got {shown(dict(stored))}")


def kept_or_none(stored: Mapping[str, object], key: str, kind: type[T]) -> T | None:
    """The same, where null is allowed."""
    return None if stored.get(key) is None else kept(stored, key, kind)


def kept_us(stored: Mapping[str, object], key: str) -> int:
    """What is stored under `key`, as microseconds of an instant or a duration that there can be."""
    value = kept(stored, key, int)
    if isinstance(value, bool) or not MIN_INSTANT <= value <= MAX_INSTANT:
        raise InvalidValue(f"expected a stored trigger with {key!r} in microseconds, got {shown(dict(stored))}")
    return value


def never(what: str, advice: str) -> NoReturn:
    """Refuse a rule without an instant."""
    raise InvalidValue(f"expected a trigger that happens at some time, got {what}, which never does: {advice}")
