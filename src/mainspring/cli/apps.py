"""From `module:attribute` to a Daemon."""

import os
import sys
import traceback
from types import ModuleType

import click

from mainspring.app import Daemon
from mainspring.cli.failure import FAILED, NOT_FOUND, Failure
from mainspring.cli.verb import close_name

_USUAL = ("daemon", "app")


def load_app(spec: str) -> Daemon:
    """The Daemon that `spec` names: `module:attribute`, or a module with just one. Its module is imported."""
    name, colon, attribute = spec.partition(":")
    if not name or (colon and not attribute) or os.sep in name or name.endswith(".py"):
        hint = os.path.basename(name).removesuffix(".py") or "shop"
        raise click.UsageError(
            f"expected a module and an attribute, such as {hint}:{attribute or 'daemon'}, got {spec!r}"
        )
    module = _imported(name)
    return _attribute(module, attribute) if attribute else _only(module)


def import_here() -> None:
    """The current directory comes first on the import path."""
    here = os.getcwd()
    if not sys.path or sys.path[0] != here:
        sys.path.insert(0, here)


def _imported(name: str) -> ModuleType:
    from importlib import import_module

    import_here()
    try:
        return import_module(name)
    except ModuleNotFoundError as error:
        if error.name is not None and f"{name}.".startswith(f"{error.name}."):
            raise Failure(
                f"there is no module {error.name!r} in {os.getcwd()} or on the import path", NOT_FOUND
            ) from error
        raise _broken(name, error) from error
    except Exception as error:  # the app's own code may raise anything
        raise _broken(name, error) from error


def _broken(name: str, error: Exception) -> Failure:
    where = next(
        (
            f" ({frame.filename} line {frame.lineno})"
            for frame in reversed(traceback.extract_tb(error.__traceback__))
            if "importlib" not in frame.filename
        ),
        "",
    )
    return Failure(
        f"importing {name} failed: {type(error).__name__}: {error}{where}; --debug shows the whole traceback", FAILED
    )


def _attribute(module: ModuleType, path: str) -> Daemon:
    thing: object = module
    for part in path.split("."):
        if not hasattr(thing, part):
            names = _daemons(module)
            known = f"; it has the Daemon {', '.join(names)}" if names else "; it has no Daemon"
            raise Failure(
                f"the module {module.__name__} has no attribute {path!r}{close_name(path, names) or known}", NOT_FOUND
            )
        thing = getattr(thing, part)
    if not isinstance(thing, Daemon):
        raise click.UsageError(f"{module.__name__}:{path} is not a Daemon but {type(thing).__name__}")
    return thing


def _only(module: ModuleType) -> Daemon:
    found = _daemons(module)
    for name in _USUAL:
        if name in found:
            return found[name]
    distinct = {id(one): one for one in found.values()}
    if len(distinct) == 1:
        return next(iter(distinct.values()))
    if not found:
        raise Failure(
            f"the module {module.__name__} has no Daemon; it needs one, such as: daemon = mainspring.Daemon()",
            NOT_FOUND,
        )
    names = ", ".join(f"{module.__name__}:{name}" for name in found)
    raise click.UsageError(f"the module {module.__name__} has several Daemons; say which: {names}")


def _daemons(module: ModuleType) -> dict[str, Daemon]:
    return {name: one for name, one in vars(module).items() if isinstance(one, Daemon)}
