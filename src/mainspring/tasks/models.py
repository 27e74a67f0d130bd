"""Dataclasses, enums and their like: taken apart for JSON, and brought back by the annotation of the parameter.

A converter turns decoded JSON values into what an annotation names. It is lenient: what does not have the shape
is passed through, because whoever adds a call checks that what arrives equals what was passed.
"""

import sys
import types
import typing
from collections.abc import Callable
from enum import Enum
from functools import lru_cache
from typing import Final

import msgspec

Convert = Callable[[object], object]

NO_PARTS: Final = object()

_BASES: tuple[type, ...] = (str, int, float, bytes, list, dict, tuple, set, frozenset)
_GROUPS = (list, tuple, set, frozenset)
_QUALIFIERS = (typing.Required, typing.NotRequired, typing.Final)


def parts_of(value: object) -> object:
    """The simpler value that `value` is kept as (a dict: its fields by name), or `NO_PARTS`."""
    kind = type(value)
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, msgspec.Struct):
        return {name: getattr(value, name) for name in value.__struct_fields__}
    if _is_pydantic(kind):
        return value.model_dump(round_trip=True, by_alias=True)  # type: ignore[attr-defined]
    if hasattr(kind, "__dataclass_fields__"):
        from dataclasses import fields

        return {field.name: getattr(value, field.name) for field in fields(value) if field.init}  # type: ignore[arg-type]
    # The methods of the base itself: a subclass may have changed what iterating or str() gives.
    if isinstance(value, str):
        return str.__str__(value)
    if isinstance(value, int):
        return int.__int__(value)
    if isinstance(value, float):
        return float.__float__(value)
    if isinstance(value, dict):
        return dict.copy(value)
    if isinstance(value, tuple) and hasattr(kind, "_fields"):
        return tuple(tuple.__iter__(value))
    for base in (list, tuple, set, frozenset, bytes):
        if isinstance(value, base):
            return base(value)
    return NO_PARTS


def hint_for(value: object, *, annotated: bool) -> str:
    """What to do about a value that cannot be kept."""
    kind = type(value)
    name = kind.__qualname__
    known = isinstance(value, Enum | msgspec.Struct) or hasattr(kind, "__dataclass_fields__") or _is_pydantic(kind)
    if (known or isinstance(value, _BASES)) and not annotated:
        return f"annotate the function's parameter with {name} so that it can be brought back, or pass plain values"
    if isinstance(value, bytearray | memoryview):
        return "pass bytes(...) of it"
    if hasattr(value, "tolist"):
        return "call .tolist() or .item() on it"
    if callable(value):
        return "functions and classes are not kept; pass a name that the function looks up"
    return "pass what it can be found or made by again (an id, a path, its fields), not the object itself"


def same(passed: object, arrived: object) -> bool:
    """Whether what arrives equals what was passed, types and all; only an int may arrive as the equal float."""
    kind = type(passed)
    if kind is not type(arrived):
        return kind is int and type(arrived) is float and passed == arrived
    if isinstance(passed, list | tuple) and isinstance(arrived, list | tuple):
        return len(passed) == len(arrived) and all(map(same, passed, arrived))
    if isinstance(passed, dict) and isinstance(arrived, dict):
        return passed.keys() == arrived.keys() and all(same(passed[key], arrived[key]) for key in passed)
    if isinstance(passed, set | frozenset | Enum | str | int):
        return passed == arrived
    parts = parts_of(passed)
    # The fields too: equality of a record says nothing about the types of what it holds.
    return bool(passed == arrived) and (not isinstance(parts, dict) or same(parts, parts_of(arrived)))


def converter_for(annotation: object) -> Convert | None:
    """What brings a value back by this annotation; None: JSON and its tags already do, or nothing can."""
    return _converter(annotation, frozenset())


def _converter(annotation: object, within: frozenset[object]) -> Convert | None:
    if sys.version_info >= (3, 12) and isinstance(annotation, typing.TypeAliasType):
        return None if annotation in within else _converter(annotation.__value__, within | {annotation})
    if isinstance(annotation, typing.NewType):
        return _converter(annotation.__supertype__, within)
    origin, arguments = typing.get_origin(annotation), typing.get_args(annotation)
    if origin is typing.Annotated:
        return _converter(arguments[0], within)
    if origin is typing.Union or origin is types.UnionType:
        return _union([_converter(argument, within) for argument in arguments])
    if origin is typing.Literal:
        return _union([_class_converter(type(argument)) for argument in arguments if isinstance(argument, Enum)])
    if origin in _QUALIFIERS:
        return _converter(arguments[0], within)
    if isinstance(origin, type):
        return _generic(origin, arguments, within)
    if isinstance(annotation, type):
        if typing.is_typeddict(annotation):
            return _typed_dict(annotation, within)
        return _class_converter(annotation)
    return None


def _generic(origin: type, arguments: tuple[object, ...], within: frozenset[object]) -> Convert | None:
    own = _class_converter(origin)
    if own is not None:
        return own
    if origin is tuple and not (len(arguments) == 2 and arguments[1] is Ellipsis):
        return _positions([_converter(argument, within) for argument in arguments])
    if len(arguments) == 2 and arguments[1] is not Ellipsis:
        return _values(_converter(arguments[1], within))
    return _each(_converter(arguments[0], within)) if arguments else None


@lru_cache(maxsize=1024)
def _class_converter(cls: type) -> Convert | None:
    if cls in _BASES or cls is bool:
        return None
    make: Callable[[object], object] = cls.model_validate if _is_pydantic(cls) else cls  # type: ignore[attr-defined]
    if issubclass(cls, Enum) or _is_pydantic(cls):
        # None is passed through for parameters with that default, whatever their annotation says.
        return lambda value: value if value is None or isinstance(value, cls) else make(value)
    if hasattr(cls, "__dataclass_fields__") or issubclass(cls, msgspec.Struct):
        return _Record(cls)
    if issubclass(cls, tuple) and hasattr(cls, "_fields"):
        return _NamedTuple(cls)
    bases = tuple(base for base in _BASES if issubclass(cls, base))
    if bases:
        return lambda value: make(value) if isinstance(value, bases) else value
    return None


class _Record:
    """Brings back a dataclass, a Struct or (`make=dict`) a TypedDict from its fields.

    The fields' own converters are found at first use: classes may name themselves, or what is defined later.
    """

    def __init__(self, cls: type, make: Callable[..., object] | None = None) -> None:
        self._cls = cls
        self._make = make or cls
        self._fields: dict[str, Convert] | None = None

    def __call__(self, value: object) -> object:
        if not isinstance(value, dict):
            return value
        fields = self.fields()
        return self._make(**{name: fields[name](item) if name in fields else item for name, item in value.items()})

    def fields(self) -> dict[str, Convert]:
        """The converters of those fields that need one."""
        if self._fields is None:
            found = {name: converter_for(hint) for name, hint in hints_of(self._cls).items()}
            self._fields = {name: convert for name, convert in found.items() if convert is not None}
        return self._fields


class _NamedTuple(_Record):
    """Brings back a NamedTuple from its items."""

    def __call__(self, value: object) -> object:
        names = getattr(self._cls, "_fields", ())
        if not isinstance(value, list | tuple) or len(value) > len(names):
            return value
        fields = self.fields()
        return self._make(
            *(fields[name](item) if name in fields else item for name, item in zip(names, value, strict=False))
        )


def _typed_dict(cls: type, within: frozenset[object]) -> Convert | None:
    record = _Record(cls, dict)
    if cls in within:
        return record
    inner = within | {cls}
    needed = any(_converter(hint, inner) is not None for hint in hints_of(cls).values())
    return record if needed else None


def _union(members: list[Convert | None]) -> Convert | None:
    converters = [convert for convert in members if convert is not None]
    if not converters:
        return None

    def convert(value: object) -> object:
        failure: Exception | None = None
        for convert_one in converters:
            try:
                result = convert_one(value)
            except Exception as error:  # noqa: BLE001  # constructors of the user's classes may raise anything
                failure = error
            else:
                if result is not value:
                    return result
        if failure is not None and len(converters) == len(members):
            raise failure
        return value

    return convert


def _each(convert: Convert | None) -> Convert | None:
    if convert is None:
        return None
    one = convert

    def convert_all(value: object) -> object:
        kind = type(value)
        if isinstance(value, list | tuple | set | frozenset) and kind in _GROUPS:
            return kind(one(item) for item in value)
        return value

    return convert_all


def _values(convert: Convert | None) -> Convert | None:
    if convert is None:
        return None
    one = convert
    return lambda value: {key: one(item) for key, item in value.items()} if isinstance(value, dict) else value


def _positions(converters: list[Convert | None]) -> Convert | None:
    if not any(converters):
        return None

    def convert_each(value: object) -> object:
        if not isinstance(value, tuple) or len(value) != len(converters):
            return value
        return tuple(one(item) if one else item for one, item in zip(converters, value, strict=True))

    return convert_each


def hints_of(owner: object) -> dict[str, object]:
    """The resolved annotations of a class or function; one that cannot be resolved is left out."""
    try:
        return typing.get_type_hints(owner, include_extras=True)
    except Exception:  # noqa: BLE001, S110  # annotations are any code at all; below each is tried by itself
        pass
    module = sys.modules.get(getattr(owner, "__module__", ""), None)
    names = getattr(owner, "__globals__", None) or getattr(module, "__dict__", {})
    found: dict[str, object] = {}
    for name, annotation in _raw_annotations(owner).items():
        alone = types.SimpleNamespace(__annotations__={name: annotation})
        try:
            found |= typing.get_type_hints(alone, globalns=names, include_extras=True)
        except Exception:  # noqa: BLE001, S112  # as above
            continue
    return found


def _raw_annotations(owner: object) -> dict[str, object]:
    if sys.version_info >= (3, 14):
        import annotationlib

        return annotationlib.get_annotations(owner, format=annotationlib.Format.FORWARDREF)
    owners = reversed(owner.__mro__) if isinstance(owner, type) else (owner,)
    merged: dict[str, object] = {}
    for one in owners:
        merged |= vars(one).get("__annotations__", {}) if isinstance(one, type) else getattr(one, "__annotations__", {})
    return merged


def _is_pydantic(kind: type) -> bool:
    """By its methods: pydantic itself is never imported here."""
    return hasattr(kind, "model_validate") and hasattr(kind, "model_dump")
