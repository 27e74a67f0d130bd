"""Values that JSON has no word for, as objects with one key: `{"$date": "2026-11-27"}`.

A user's own dict with a key that starts with `$` is wrapped in `{"$dict": ...}`, so the two can never be mistaken.
What a tag says is built from the closed list in this file; nothing is imported by its name.
"""

from binascii import a2b_base64, b2a_base64
from collections.abc import Callable
from datetime import date, datetime, time, timedelta, timezone, tzinfo
from decimal import Decimal
from math import isfinite
from uuid import UUID

from mainspring.errors import InvalidArguments
from mainspring.tasks.models import NO_PARTS, hint_for, parts_of
from mainspring.when.shown import shown

MAX_BYTES = 1_048_576  # of encoded text
MAX_DEPTH = 100
MIN_INT, MAX_INT = -(2**63), 2**63 - 1  # what other readers of the JSON can be trusted with

Step = str | int


class TooMuch(Exception):
    """More than a text of `MAX_BYTES` can hold; a list that holds another twice, and so on, unfolds to any size."""


class Walk:
    """One walk over one argument: turns it into what JSON can hold, or refuses it with the path to the culprit.

    `root` names the argument in errors; `hidden` keeps a secret's value out of them; `models` says that the
    annotation may bring back dataclasses, enums and the like, so that they are taken apart instead of refused.
    """

    __slots__ = ("_above", "_path", "_room", "hidden", "models", "root")

    def __init__(self, root: str, *, hidden: bool = False, models: bool = False) -> None:
        self.root = root
        self.hidden = hidden
        self.models = models
        self._path: list[Step] = []
        self._above: set[int] = set()
        self._room = MAX_BYTES

    def json(self, value: object) -> object:
        """What msgspec can encode and `from_json` turns back into `value`."""
        self._take(1)
        kind = type(value)
        if value is None or kind is bool:
            return value
        if isinstance(value, str) and kind is str:
            return self.text(value)
        if isinstance(value, int) and kind is int:
            return value if MIN_INT <= value <= MAX_INT else {"$int": format(value, "x")}
        if isinstance(value, float) and kind is float:
            if not isfinite(value):
                raise self.refused(value, "a finite number", "JSON has no NaN and no infinity; pass None, or a text")
            return value
        leaf = _LEAVES.get(kind)
        if leaf is None:
            return self._composed(value)
        tag, write = leaf
        try:
            kept = write(value)
        except _Unkeepable as why:
            raise self.refused(value, "a value that can be brought back", str(why)) from None
        return {tag: kept}

    def refused(self, value: object, expected: str, advice: str) -> InvalidArguments:
        """The `InvalidArguments` for `value` at the place where the walk is."""
        came = f"a {type(value).__name__}" if self.hidden else f"{shown(value)} of type {type(value).__name__}"
        return InvalidArguments(f"{self.where()}: expected {expected}, got {came}; {advice}")

    def where(self) -> str:
        """The place where the walk is: `order.lines[3]['name']`; of a secret, where it starts."""
        if self.hidden:
            return self.root
        steps = (step if isinstance(step, str) else f"[{step}]" for step in self._path)
        return self.root + "".join(steps)

    def _composed(self, value: object) -> object:
        if id(value) in self._above:
            raise self.refused(value, "a value without cycles", "it contains itself; pass a copy that does not")
        if len(self._above) >= MAX_DEPTH:
            raise InvalidArguments(
                f"{self.root}: expected at most {MAX_DEPTH} levels of nesting, got more; "
                f"pass it flat, or as one text that the function parses"
            )
        self._above.add(id(value))
        try:
            return self._taken_apart(value)
        finally:
            self._above.discard(id(value))

    def _taken_apart(self, value: object) -> object:
        kind = type(value)
        if isinstance(value, list) and kind is list:
            return self._items(value)
        if isinstance(value, dict) and kind is dict:
            return self._mapping(value)
        if isinstance(value, tuple | set | frozenset) and kind in _COLLECTIONS:
            self._take(len('{"$set":}'))
            return {_COLLECTIONS[kind]: self._items(value)}
        if self.models:
            parts = parts_of(value)
            if parts is not NO_PARTS:
                if isinstance(parts, dict) and not isinstance(value, dict):
                    return self._fields(parts)
                return self.json(parts)
        raise self.refused(value, "a value that JSON can keep", hint_for(value, annotated=self.models))

    def _take(self, least: int) -> None:
        """Count the bytes that a value takes at the very least; every byte is counted once, or not at all."""
        self._room -= least
        if self._room < 0:
            raise TooMuch

    def _items(self, items: list[object] | tuple[object, ...] | set[object] | frozenset[object]) -> list[object]:
        path, result = self._path, []
        self._take(len(items))
        for index, item in enumerate(items):
            path.append(index)
            result.append(self.json(item))
            path.pop()
        return result

    def _mapping(self, mapping: dict[object, object]) -> dict[str, object]:
        path, result, escape = self._path, {}, False
        for key, item in mapping.items():
            path.append(f"[{shown(key)}]")
            if not isinstance(key, str) or type(key) is not str:
                raise self.refused(
                    key, "a key of type str", "JSON would turn it into a text; pass a list of pairs instead"
                )
            self.text(key)
            escape = escape or key.startswith("$")
            result[key] = self.json(item)
            path.pop()
        return {"$dict": result} if escape else result

    def _fields(self, fields: dict[str, object]) -> dict[str, object]:
        path, result, escape = self._path, {}, False
        for name, item in fields.items():
            path.append(f".{name}")
            escape = escape or name.startswith("$")
            result[name] = self.json(item)
            path.pop()
        return {"$dict": result} if escape else result

    def text(self, text: str) -> str:
        """The text itself, when it can be written as UTF-8."""
        try:
            text.encode()
        except UnicodeEncodeError:
            raise self.refused(
                text,
                "text without lone surrogates",
                "it holds half a character, as names of files can; pass os.fsencode(...), which are bytes",
            ) from None
        return text


def from_json(value: object) -> object:
    """What `Walk.json` was given, from what the JSON text holds; always new lists and dicts."""
    if isinstance(value, list):
        return [from_json(item) for item in value]
    if not isinstance(value, dict):
        return value
    if len(value) == 1:
        ((tag, kept),) = value.items()
        if tag.startswith("$"):
            return _untagged(tag, kept)
    return {key: from_json(item) for key, item in value.items()}


def _untagged(tag: str, kept: object) -> object:
    read = _READERS.get(tag)
    if read is None:
        raise InvalidArguments(f"the stored value has the unknown tag {tag!r}: it was written by a newer Mainspring")
    try:
        return read(kept)
    except (ValueError, TypeError, ArithmeticError, AttributeError) as error:
        raise InvalidArguments(f"the stored value {tag} cannot be read: {shown(kept)}: {error}") from error


class _Unkeepable(Exception):
    """Says why a date, time or number cannot be kept, and what to pass instead."""


def _write_moment(value: datetime | time) -> object:
    # An offset alone would forget the zone, a zone alone would move the instant when its rules change.
    zone = _zone_name(value.tzinfo)
    text = value.isoformat()
    return text if zone is None and value.fold == 0 else [text, value.fold, zone]


def _zone_name(zone: tzinfo | None) -> str | None:
    if zone is None or type(zone) is timezone:
        return None
    from zoneinfo import ZoneInfo

    if type(zone) is ZoneInfo and zone.key and _zone(zone.key) is not None:
        return zone.key
    raise _Unkeepable(
        f"its time zone {zone!r} has no name that can be read back; use ZoneInfo(...) or .astimezone(UTC)"
    )


def _read_datetime(kept: object) -> datetime:
    if isinstance(kept, str):
        return datetime.fromisoformat(kept)
    text, fold, zone_name = _three(kept)
    moment = datetime.fromisoformat(text).replace(fold=fold)
    zone = _zone(zone_name)
    if zone is None:
        return moment  # where the zone is unknown, its offset still says the instant
    local = moment.replace(tzinfo=zone)
    # Rules of the zone that changed since: the instant stays, the local time moves.
    return local if local.utcoffset() == moment.utcoffset() else moment.astimezone(zone)


def _read_time(kept: object) -> time:
    if isinstance(kept, str):
        return time.fromisoformat(kept)
    text, fold, zone_name = _three(kept)
    moment = time.fromisoformat(text).replace(fold=fold)
    zone = _zone(zone_name)
    if zone is None and zone_name is not None:
        raise ValueError(f"this machine does not know the time zone {zone_name!r}")
    return moment if zone is None else moment.replace(tzinfo=zone)


def _three(kept: object) -> tuple[str, int, str | None]:
    if isinstance(kept, list):
        text, fold, zone = kept
        if isinstance(text, str) and isinstance(fold, int) and isinstance(zone, str | None):
            return text, fold, zone
    raise TypeError("expected a text, or [text, fold, zone]")


def _zone(name: str | None) -> tzinfo | None:
    """The ZoneInfo of this name; None without a name, and on a machine that does not know it."""
    if name is None:
        return None
    from zoneinfo import ZoneInfo

    try:
        return ZoneInfo(name)
    except (KeyError, ValueError, OSError):
        return None


def _write_decimal(value: Decimal) -> str:
    if not value.is_finite():
        raise _Unkeepable("NaN and infinity cannot be compared with what arrives; pass None, or a text")
    return str(value)


def _read_timedelta(kept: object) -> timedelta:
    if not isinstance(kept, list):
        raise TypeError("expected [days, seconds, microseconds]")
    return timedelta(*kept)


def _text_of(kept: object) -> str:
    if not isinstance(kept, str):
        raise TypeError("expected a text")
    return kept


def _list_of(kept: object) -> list[object]:
    if not isinstance(kept, list):
        raise TypeError("expected a list")
    return [from_json(item) for item in kept]


def _read_dict(kept: object) -> dict[str, object]:
    if not isinstance(kept, dict):
        raise TypeError("expected an object")
    return {key: from_json(item) for key, item in kept.items()}


_COLLECTIONS: dict[type, str] = {tuple: "$tuple", set: "$set", frozenset: "$frozenset"}

# How each kind of leaf is written. The functions take exactly the type they stand beside.
_LEAVES: dict[type, tuple[str, Callable[..., object]]] = {
    datetime: ("$datetime", _write_moment),
    date: ("$date", date.isoformat),
    time: ("$time", _write_moment),
    timedelta: ("$timedelta", lambda value: [value.days, value.seconds, value.microseconds]),
    UUID: ("$uuid", str),
    Decimal: ("$decimal", _write_decimal),
    bytes: ("$bytes", lambda value: b2a_base64(value, newline=False).decode()),
}

_READERS: dict[str, Callable[[object], object]] = {
    "$datetime": _read_datetime,
    "$date": lambda kept: date.fromisoformat(_text_of(kept)),
    "$time": _read_time,
    "$timedelta": _read_timedelta,
    "$uuid": lambda kept: UUID(_text_of(kept)),
    "$decimal": lambda kept: Decimal(_text_of(kept)),
    "$bytes": lambda kept: a2b_base64(_text_of(kept), strict_mode=True),
    "$int": lambda kept: int(_text_of(kept), 16),
    "$tuple": lambda kept: tuple(_list_of(kept)),
    "$set": lambda kept: set(_list_of(kept)),
    "$frozenset": lambda kept: frozenset(_list_of(kept)),
    "$dict": _read_dict,
    "$secret": from_json,
}
