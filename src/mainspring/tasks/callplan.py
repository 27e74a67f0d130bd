"""What is known of a function before it is called: its signature, its annotations, its secrets.

Made once for each registered function; everything that costs (signature, annotations) is found at first use.
"""

import sys
import typing
from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from typing import TYPE_CHECKING

import msgspec

from mainspring.errors import InvalidArguments
from mainspring.tasks.models import Convert, converter_for, hints_of
from mainspring.tasks.secrets import SecretMark, is_secret_name

if TYPE_CHECKING:  # inspect is slow to import, and not needed before the first call is added
    from inspect import Parameter, Signature

_BY_POSITION = ("POSITIONAL_ONLY", "POSITIONAL_OR_KEYWORD")
_BY_NAME = ("KEYWORD_ONLY", "POSITIONAL_OR_KEYWORD")


class Slot(msgspec.Struct, frozen=True):
    """One parameter: how its values are brought back, and whether they are secret."""

    name: str
    convert: Convert | None = None
    secret: bool = False


class CallPlan:
    """How calls of `function` are checked, kept and shown."""

    def __init__(self, function: Callable[..., object]) -> None:
        self.function = function

    def bind(self, args: Sequence[object], kwargs: Mapping[str, object]) -> None:
        """Refuse a call that does not fit the signature: `InvalidArguments`, which shows it."""
        if (not kwargs and len(args) in self._counts) or self.signature is None:
            return
        try:
            self.signature.bind(*args, **kwargs)
        except TypeError as error:
            raise InvalidArguments(
                f"the call does not fit: {error}; expected {self.name}{self.signature}, "
                f"got {len(args)} positional and the named {sorted(kwargs, key=str)}"
            ) from None

    @property
    def name(self) -> str:
        """The function's own name, for errors."""
        return str(getattr(self.function, "__qualname__", None) or type(self.function).__qualname__)

    @cached_property
    def signature(self) -> "Signature | None":
        """The function's signature; None when it has none that can be read (some built-in functions)."""
        from inspect import signature

        try:
            if sys.version_info >= (3, 14):
                import annotationlib

                return signature(self.function, annotation_format=annotationlib.Format.FORWARDREF)
            return signature(self.function)
        except (ValueError, TypeError):
            return None

    @cached_property
    def plain(self) -> bool:
        """Whether no parameter needs to be brought back or hidden, so that the bare codec does."""
        return not any(slot.convert or slot.secret for slot in self._slots.values())

    @cached_property
    def returns(self) -> Convert | None:
        """What brings a result back by the return annotation."""
        return converter_for(self._hints.get("return"))

    def slot(self, key: int | str) -> Slot:
        """The parameter that takes the positional argument of this index, or the named one."""
        if isinstance(key, int):
            positional = self._positional
            name = positional[key] if key < len(positional) else self._rest("VAR_POSITIONAL")
            return self._named(name, f"args[{key}]", f"{name}[{key - len(positional)}]")
        slot = self._slots.get(key)
        if slot is not None and key in self._by_name:
            return slot
        name = self._rest("VAR_KEYWORD")
        return self._named(name, key, key)

    def _named(self, name: str | None, unknown: str, label: str) -> Slot:
        """The slot `name`; what many share (`*rest`, `**options`) gets the label of the one meant."""
        if name is None:
            return Slot(unknown, secret=is_secret_name(unknown))
        slot = self._slots[name]
        if name in self._positional:
            return slot
        return Slot(label, slot.convert, slot.secret or is_secret_name(label))

    def _rest(self, kind: str) -> str | None:
        return next((parameter.name for parameter in self._parameters if parameter.kind.name == kind), None)

    @cached_property
    def _parameters(self) -> "tuple[Parameter, ...]":
        return () if self.signature is None else tuple(self.signature.parameters.values())

    @cached_property
    def _positional(self) -> tuple[str, ...]:
        return tuple(p.name for p in self._parameters if p.kind.name in _BY_POSITION)

    @cached_property
    def _by_name(self) -> frozenset[str]:
        return frozenset(p.name for p in self._parameters if p.kind.name in _BY_NAME)

    @cached_property
    def _slots(self) -> dict[str, Slot]:
        hints = self._hints
        return {
            parameter.name: Slot(
                parameter.name,
                converter_for(hints.get(parameter.name)),
                is_secret_name(parameter.name) or _is_marked(hints.get(parameter.name)),
            )
            for parameter in self._parameters
        }

    @cached_property
    def _hints(self) -> dict[str, object]:
        function: object = self.function
        while hasattr(function, "func") and hasattr(function, "keywords"):  # functools.partial
            function = function.func
        function = getattr(function, "__wrapped__", function)
        if not hasattr(function, "__annotations__") or isinstance(function, type):
            function = type(function).__call__ if not isinstance(function, type) else function.__init__  # type: ignore[misc]
        return hints_of(getattr(function, "__func__", function))

    @cached_property
    def _counts(self) -> range:
        """How many positional arguments surely fit when nothing is named."""
        required = [p for p in self._parameters if p.default is p.empty and not p.kind.name.startswith("VAR_")]
        if any(p.kind.name == "KEYWORD_ONLY" for p in required):
            return range(0)
        most = sys.maxsize - 1 if self._rest("VAR_POSITIONAL") else len(self._positional)
        return range(len(required), most + 1)


def _is_marked(annotation: object) -> bool:
    if isinstance(annotation, SecretMark):
        return True
    parts = typing.get_args(annotation)
    return any(_is_marked(part) for part in parts)


# Where a function keeps its plan: a table of all plans would hold each function for ever, for its plan does.
_KEPT = "__mainspring_plan__"


def plan_of(function: Callable[..., object]) -> CallPlan:
    """The one plan of this function."""
    kept = getattr(function, "__dict__", None)
    plan = None if kept is None else kept.get(_KEPT)
    if plan is None or plan.function is not function:  # `functools.wraps` copies what the wrapped function keeps
        plan = CallPlan(function)
        if kept is not None:
            kept[_KEPT] = plan
    return plan
