"""`Union`: the instants of several triggers, each once."""

from collections.abc import Mapping
from typing import Final

from mainspring.errors import InvalidValue
from mainspring.when.combining import MOST_PARTS, Value, check_size, in_brackets, kept, taken
from mainspring.when.shown import shown
from mainspring.when.triggers import Trigger, decode_trigger, encode_trigger


class Union(Value):
    """What `a | b` makes: due whenever one of them is; where several are, once. Equal in whatever order."""

    __slots__ = ("_parts",)

    _parts: tuple[Trigger, ...]

    KIND: Final = "union"
    infix: Final = True

    def __init__(self, *triggers: Trigger) -> None:
        flat: dict[Trigger, None] = {}
        for trigger in triggers:
            flat.update(dict.fromkeys(trigger.parts if isinstance(trigger, Union) else (taken(trigger),)))
        if not flat or len(flat) > MOST_PARTS:
            raise InvalidValue(f"expected between 1 and {MOST_PARTS} triggers, got {len(flat)}")
        self._set(_parts=tuple(flat))
        check_size(self)

    @property
    def parts(self) -> tuple[Trigger, ...]:
        """The triggers, none of them a union."""
        return self._parts

    @property
    def tz(self) -> str | None:
        """The zone that all of them speak of, if it is one."""
        zones = {getattr(part, "tz", None) for part in self._parts}
        return zones.pop() if len(zones) == 1 else None

    @property
    def begins(self) -> bool:
        """Whether there is a first instant."""
        return all(getattr(part, "begins", False) for part in self._parts)

    def next_us(self, after: int) -> int | None:
        """`next` in microseconds UTC."""
        return min((at for part in self._parts if (at := part.next_us(after)) is not None), default=None)

    def stored(self) -> dict[str, object]:
        """What is kept of it, as JSON values."""
        return {"of": [encode_trigger(part) for part in self._parts]}

    @classmethod
    def from_stored(cls, stored: Mapping[str, object]) -> "Union":
        """The trigger of which `stored` was kept."""
        parts = kept(stored, "of", list)
        if not all(isinstance(part, dict) for part in parts):
            raise InvalidValue(f"expected the stored form of a union (of: triggers), got {shown(dict(stored))}")
        return cls(*(decode_trigger(part) for part in parts))

    def _key(self) -> tuple[object, ...]:
        return (frozenset(self._parts),)

    def __repr__(self) -> str:
        parts = self._parts if len(self._parts) > 1 else self._parts * 2  # a | a is a union, too
        return " | ".join(map(in_brackets, parts))

    def __str__(self) -> str:
        return "; or ".join(map(str, self._parts))
