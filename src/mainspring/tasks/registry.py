"""Which functions a daemon may run: those registered in what it imported, and those its settings let it import.

A store names functions by text, and whoever can write to the store chooses the text. So a name is a request, never
an order: nothing is imported before the place it would be imported from was found to be allowed.
"""

import os
import sys
import threading
from collections.abc import Callable, Sequence
from functools import cached_property
from types import FunctionType, ModuleType
from typing import TYPE_CHECKING, cast

import msgspec

from mainspring.errors import InvalidValue, UnknownFunction
from mainspring.tasks.callplan import CallPlan, plan_of
from mainspring.tasks.names import main_file, name_of, real_module
from mainspring.tasks.options import DEFAULT, TaskOptions

if TYPE_CHECKING:
    from importlib.machinery import ModuleSpec

__all__ = ["Registered", "Registry", "checked_allow", "checked_name", "name_of"]

_CO_COROUTINE = 0x80  # inspect.CO_COROUTINE, without the cost of importing inspect
_CO_ANY_GENERATOR = 0x20 | 0x200  # inspect.CO_GENERATOR, CO_ASYNC_GENERATOR
_LONGEST_NAME = 500


class Registered(msgspec.Struct, frozen=True, kw_only=True, dict=True):
    """A function under its name, with what its tasks get unless they say otherwise. Durations in microseconds."""

    name: str
    function: Callable[..., object]
    is_async: bool
    options: TaskOptions = DEFAULT
    queue: str = "default"
    priority: int = 0
    expires: int | None = None  # after `run_at`
    label: str | None = None

    @cached_property
    def plan(self) -> CallPlan:
        """How its calls are checked, kept and shown."""
        return plan_of(self.function)

    @cached_property
    def origin(self) -> str | None:
        """Where any process finds the function: `module:qualname`; None of one that was made within another."""
        try:
            return name_of(self.function)
        except UnknownFunction:
            return None


class Registry:
    """The functions of one daemon. All methods may be called from any thread.

    `directory`: module-level functions of modules under it may run without being registered; `allow`: so may those
    of the modules named here and of the modules below them, wherever they are installed.
    """

    def __init__(self, directory: str | os.PathLike[str] | None = None, allow: Sequence[str] = ()) -> None:
        self.directory = os.path.realpath(os.getcwd() if directory is None else directory)
        self._allow = checked_allow(allow)
        self._lock = threading.Lock()
        self._known: dict[str, Registered] = {}
        self._by_function: dict[FunctionType, Registered] = {}
        self._loads: dict[str, object] = {}  # of each registered function, the load of its module it came from
        self._found: dict[str, Registered] = {}
        self._refused: dict[str, str] = {}

    def add(
        self,
        function: Callable[..., object],
        name: str | None = None,
        *,
        options: TaskOptions = DEFAULT,
        queue: str = "default",
        priority: int = 0,
        expires: int | None = None,
        label: str | None = None,
    ) -> Registered:
        """Register `function`, as `name` or as `module:qualname`.

        Again with the same options is fine; after its module was loaded anew the new function takes the place of
        the old. Raises `InvalidValue` when the name belongs to another function, or to this one with other
        options, and `UnknownFunction` when the function cannot be named.
        """
        plain = _plain(function)
        if plain is None:
            name_of(function)  # says what is wrong with it
            raise InvalidValue(f"expected a function, got {function!r}")
        if plain.__code__.co_flags & _CO_ANY_GENERATOR:
            raise InvalidValue(_generator(plain))
        new = Registered(
            name=name_of(plain) if name is None else checked_name(name),
            function=plain,
            is_async=bool(plain.__code__.co_flags & _CO_COROUTINE),
            options=options,
            queue=queue,
            priority=priority,
            expires=expires,
            label=label,
        )
        with self._lock:
            old = self._known.get(new.name)
            if old is not None and old != new and not self._replaces(old, plain):
                raise InvalidValue(_taken(old, new))
            if old != new:
                self._known[new.name] = new
                if old is not None:
                    self._by_function.pop(cast("FunctionType", old.function), None)
                self._by_function[plain] = new
                self._loads[new.name] = _load_of(plain)
                self._refused.pop(new.name, None)
        return new

    def get(self, name: str) -> Registered | None:
        """The function registered as `name`; nothing is imported."""
        return self._known.get(name)

    def of(self, function: Callable[..., object]) -> Registered | None:
        """How this very function was registered last, under whatever name."""
        plain = _plain(function)
        return None if plain is None else self._by_function.get(plain)

    def names(self) -> list[str]:
        """The registered names, sorted."""
        with self._lock:
            return sorted(self._known)

    def resolve(self, name: str) -> Registered | None:
        """The function to run for `name`, imported on first need if that is allowed; else None (see `why_not`).

        A refusal is remembered until `forget`.
        """
        known = self._known.get(name) or self._found.get(name)
        if known is not None or name in self._refused:
            return known
        try:
            found = self._look_up(name)
        except _RefusedName as refusal:
            # The import may have registered the name itself, from a module where it is no module-level function.
            known = self._known.get(name)
            if known is None:
                self._refused[name] = str(refusal)
            return known
        known = self._known.get(name)
        if known is None:
            known = self._found[name] = found
        return known

    def why_not(self, name: str) -> str | None:
        """Why `resolve(name)` gave None, in a sentence; None when it did not."""
        return self._refused.get(name)

    def forget(self) -> None:
        """Look anew for names that were refused: modules may have been installed or mended since."""
        if self._refused:
            import importlib

            importlib.invalidate_caches()
            self._refused.clear()

    def _replaces(self, old: Registered, new: FunctionType) -> bool:
        """Whether `new` is the function `old` after its module was loaded anew, or was typed again at a prompt."""
        was = cast("FunctionType", old.function)
        if was is new or was.__qualname__ != new.__qualname__:
            return False
        if new.__module__ == was.__module__ == "__main__" and main_file() is None:
            return True
        other_load = was.__globals__ is not new.__globals__ or self._loads[old.name] is not _load_of(new)
        return other_load and was.__code__.co_filename == new.__code__.co_filename

    def _look_up(self, name: str) -> Registered:
        module_name, attribute = _split(name)
        main = sys.modules.get("__main__")
        if main is not None and module_name == real_module("__main__") and attribute in vars(main):
            # The running script under its real name: importing it would run it a second time.
            self._check_place(module_name, main_file())
            module = main
        else:
            module = self._import(module_name)
        thing = vars(module).get(attribute)
        plain = _plain(thing)
        if thing is None:
            raise _RefusedName(f"the module {module_name} has no function {attribute}")
        if plain is None:
            raise _RefusedName(f"{name} is not a function but {type(thing).__name__}")
        if real_module(plain.__module__) != module_name:
            raise _RefusedName(
                f"{module_name} only imports {attribute}; the function's own name is "
                f"{real_module(plain.__module__)}:{plain.__qualname__}"
            )
        if plain.__code__.co_flags & _CO_ANY_GENERATOR:
            raise _RefusedName(_generator(plain))
        declared = getattr(thing, "registered", None)
        if isinstance(declared, Registered):
            return msgspec.structs.replace(declared, name=name)
        return Registered(name=name, function=plain, is_async=bool(plain.__code__.co_flags & _CO_COROUTINE))

    def _import(self, module_name: str) -> ModuleType:
        """Import the packages above it and then the module, each only after its place was checked."""
        parts = module_name.split(".")
        if parts[0] in sys.stdlib_module_names:
            raise _RefusedName(f"{parts[0]} is of the standard library, which tasks never name")
        for depth in range(1, len(parts)):
            self._import_one(".".join(parts[:depth]), above=module_name)
        return self._import_one(module_name)

    def _import_one(self, module_name: str, above: str | None = None) -> ModuleType:
        import importlib
        import importlib.util

        imported = sys.modules.get(module_name)
        try:
            # The parent is imported already, so that looking for the specification runs nothing.
            spec = imported.__spec__ if imported is not None else importlib.util.find_spec(module_name)
        except Exception as error:  # noqa: BLE001 - finders raise what they like; whatever it is, the name is not found
            raise _RefusedName(f"looking for the module {module_name} failed: {_said(error)}") from None
        if spec is None:
            raise _RefusedName(
                f"there is no module {module_name} (looked in the working directory and on the import path)"
            )
        for place in _places(spec):
            self._check_place(above or module_name, place)
            if above is None and _is_main(place):
                raise _RefusedName(f"{module_name} is the running script, which has no such function")
        if imported is not None:
            return imported
        try:
            return importlib.import_module(module_name)
        except (Exception, SystemExit) as error:  # noqa: BLE001 - other people's code: kept for display
            raise _RefusedName(f"importing {module_name} failed: {_said(error)}") from None

    def _check_place(self, module_name: str, place: str | None) -> None:
        if any(module_name == prefix or module_name.startswith(prefix + ".") for prefix in self._allow):
            return
        top = module_name.partition(".")[0]
        advice = f"register the function in code that the daemon imports, or name {top} in allow="
        if top == "mainspring":
            raise _RefusedName("Mainspring's own functions are no tasks")
        if place is None:
            raise _RefusedName(f"{module_name} does not come from a file; {advice}")
        real = os.path.realpath(place)
        if not _is_under(real, self.directory):
            raise _RefusedName(f"{module_name} is not under the working directory {self.directory}; {advice}")
        if _is_installed(real):
            raise _RefusedName(f"{module_name} is an installed package; {advice}")


class _RefusedName(Exception):
    """Why a name is not resolved, in words for whoever looks at the waiting task."""


def checked_name(name: object) -> str:
    """`name` if it can be a registered name: 1 to 500 printable characters without blanks; else `InvalidValue`."""
    if not isinstance(name, str) or not 0 < len(name) <= _LONGEST_NAME or not name.isprintable() or " " in name:
        raise InvalidValue(
            f"expected a name of 1 to {_LONGEST_NAME} printable characters without blanks, such as 'mail.send', "
            f"got {name!r}"
        )
    return name


def checked_allow(allow: object) -> tuple[str, ...]:
    """`allow` if it names modules, none of them of the standard library; else `InvalidValue`."""
    if isinstance(allow, str):
        raise InvalidValue(f"allow= expects a list of module names, got the text {allow!r}; write allow=[{allow!r}]")
    if not isinstance(allow, list | tuple | set | frozenset):
        raise InvalidValue(f"allow= expects a list of module names, got {allow!r}")
    for prefix in allow:
        if not _is_dotted(prefix):
            raise InvalidValue(f"allow= expects names of modules such as 'shop.tasks', got {prefix!r}")
        if prefix.partition(".")[0] in sys.stdlib_module_names:
            raise InvalidValue(
                f"allow= cannot name {prefix!r}: a store never names functions of the standard library; write a "
                f"function of your own around what you need"
            )
    return tuple(allow)


def _is_dotted(text: object) -> bool:
    return isinstance(text, str) and all(part.isidentifier() for part in text.split("."))


def _split(name: str) -> tuple[str, str]:
    """Module and attribute of a well-formed `module:function`."""
    if len(name) > _LONGEST_NAME:
        raise _RefusedName(f"no function has a name of {len(name)} characters")
    module, colon, attribute = name.partition(":")
    if not colon:
        raise _RefusedName("no function is registered under this name in what this daemon imported")
    if not _is_dotted(module) or not _is_dotted(attribute):
        raise _RefusedName("this is neither a registered name nor of the form 'module:function'")
    if "." in attribute:
        raise _RefusedName("only functions at the top level of a module run without being registered")
    if attribute.startswith("_"):
        raise _RefusedName(f"{attribute} is private by its underscore, and was not registered")
    if any(part.startswith("__") for part in module.split(".")) and module != real_module("__main__"):
        raise _RefusedName(f"{module} is not a module that can be imported by name")
    return module, attribute


def _plain(thing: object) -> FunctionType | None:
    """The plain function that `thing` is, or that a task function made from it keeps as `.function`."""
    if isinstance(thing, FunctionType):
        return thing
    inner = None if isinstance(thing, type | ModuleType) else getattr(thing, "function", None)
    return inner if isinstance(inner, FunctionType) else None


def _places(spec: "ModuleSpec") -> list[str | None]:
    """The files and directories a module comes from; `[None]` when it is built in or made up at run time."""
    if spec.has_location:
        return [spec.origin]
    if spec.origin is None and spec.submodule_search_locations:
        return list(spec.submodule_search_locations)  # a package without __init__.py
    return [None]


def _is_main(place: str | None) -> bool:
    main = main_file()
    return place is not None and main is not None and os.path.realpath(place) == os.path.realpath(main)


def _is_under(path: str, directory: str) -> bool:
    return path.startswith(directory if directory.endswith(os.sep) else directory + os.sep) or path == directory


def _is_installed(path: str) -> bool:
    parts = path.split(os.sep)
    return (
        "site-packages" in parts
        or "dist-packages" in parts
        or _is_under(path, os.path.realpath(os.path.dirname(os.__file__)))
    )


def _load_of(function: FunctionType) -> object:
    """The load of a module that made the function: each one, a reload too, has a specification of its own."""
    return function.__globals__.get("__spec__")


def _generator(function: FunctionType) -> str:
    return (
        f"{function.__qualname__} is a generator: calling it runs nothing of it; make it a plain function (without "
        f"`yield`), or write one that uses it up"
    )


def _taken(old: Registered, new: Registered) -> str:
    if old.function is new.function:
        return f"{new.name} is registered already with other options; register it once, or give one of them a name="
    was = cast("FunctionType", old.function)
    return (
        f"two functions have the name {new.name!r}: one in {was.__code__.co_filename} line "
        f"{was.__code__.co_firstlineno}, and the one being registered; give one of them another name="
    )


def _said(error: BaseException) -> str:
    return f"{type(error).__name__}: {error}"
