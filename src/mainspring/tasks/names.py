"""What a function or a class is called in a store: `module:qualname`, the same in every process that has the code."""

import os
import sys
from types import BuiltinFunctionType, FunctionType, MethodType

from mainspring.errors import UnknownFunction
from mainspring.tasks.state import Kind

_MAIN = ("__main__", "__mp_main__")  # multiprocessing's children load the parent's script under the second name


def name_of(function: object) -> str:
    """The registered name `module:qualname` of a plain function that every process can find again.

    Raises `UnknownFunction` for what has no such name: lambdas, local functions, partials, methods bound to an
    object, built-ins, classes and other callable objects.
    """
    if isinstance(function, FunctionType):
        qualname = function.__qualname__
        if function.__name__ == "<lambda>" or "<lambda>" in qualname:
            raise UnknownFunction(
                f"a lambda ({_where(function)}) has no name by which a daemon could find it; write it as a function "
                f"with `def` at the top level of a module"
            )
        if "<locals>" in qualname:
            raise UnknownFunction(
                f"{qualname} ({_where(function)}) is defined inside another function, where no daemon can find it; "
                f"move it to the top level of its module and pass what it needs as arguments, or register it "
                f"with a name= of its own"
            )
        return f"{real_module(function.__module__)}:{qualname}"
    raise UnknownFunction(_why_nameless(function))


def bare_name(kind: Kind, work: str) -> str:
    """What a task is called that has no label: the function's qualified name, or the program's file name."""
    return work.rpartition(":" if kind is Kind.FUNCTION else "/")[2]


def answers_to(kind: Kind, work: str, name: str) -> bool:
    """Is `name` the full name of the work, its bare name, or of a method the last part of that?"""
    bare = bare_name(kind, work)
    return name in (work, bare) or (kind is Kind.FUNCTION and name == bare.rpartition(".")[2])


def class_names(kind: type) -> tuple[str, ...]:
    """`module:qualname` of a class and all its bases, nearest first."""
    return tuple(class_name(base) for base in kind.__mro__)


def class_name(kind: type) -> str:
    """`module:qualname` of a class."""
    return f"{real_module(kind.__module__)}:{kind.__qualname__}"


def real_module(module: str) -> str:
    """The name by which other processes import `module`: that of the script when it is `__main__`.

    A program read from standard input, `-c` or a prompt has no other name and stays `__main__`.
    """
    if module not in _MAIN:
        return module
    spec = getattr(sys.modules.get("__main__"), "__spec__", None)
    if spec is not None and spec.name not in _MAIN:
        return str(spec.name)
    file = main_file()
    if file is not None:
        stem = os.path.splitext(os.path.basename(file))[0]
        if stem not in _MAIN:
            return stem
    return "__main__"


def main_file() -> str | None:
    """The file of the running script; None for a prompt, `-c` or standard input (whose file is called `<stdin>`)."""
    file = getattr(sys.modules.get("__main__"), "__file__", None)
    return file if isinstance(file, str) and not file.startswith("<") else None


def _why_nameless(thing: object) -> str:
    text = _short(thing)
    if isinstance(thing, MethodType):
        owner = type(thing.__self__).__name__ if not isinstance(thing.__self__, type) else thing.__self__.__name__
        return (
            f"the method {thing.__qualname__} is bound to an object ({owner}) that lives in this process only; add a "
            f"function at the top level of a module and pass what identifies the object as an argument"
        )
    if isinstance(thing, BuiltinFunctionType):
        return f"{text} is built in; write a function of your own around it and add that"
    if isinstance(thing, type):
        return f"{text} is a class; write a function at the top level of a module that uses it, and add that"
    if hasattr(thing, "func") and hasattr(thing, "keywords"):
        return f"{text} is a partial; add its function and pass the arguments with args= and kwargs="
    if callable(thing):
        return (
            f"{text} is an object that can be called, not a function; write a function at the top level of a module "
            f"that calls it, and add that"
        )
    return (
        f"expected a function defined with `def` at the top level of a module, or its name as 'module:function', "
        f"got {text}"
    )


def _short(thing: object) -> str:
    try:
        text = repr(thing)
    except Exception:  # noqa: BLE001 - a broken repr must not hide the error that is being told
        text = f"<{type(thing).__name__}>"
    return text if len(text) <= 120 else text[:119] + "…"


def _where(function: FunctionType) -> str:
    return f"{os.path.basename(function.__code__.co_filename)} line {function.__code__.co_firstlineno}"
