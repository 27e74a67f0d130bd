"""In a child: imports what the daemon's own process has imported, and finds the functions there.

The main script is imported as `__mp_main__`, so that what it has under `if __name__ == "__main__":` is not done again;
`tasks.names` gives its functions the same names as in the process that runs it.
"""

import importlib
import importlib.util
import os
import sys
from importlib.abc import InspectLoader
from importlib.machinery import ModuleSpec, PathFinder, SourceFileLoader
from types import CodeType, ModuleType

from mainspring.engine.child_messages import Failed, Setup
from mainspring.tasks import place
from mainspring.tasks.names import real_module
from mainspring.tasks.problems import Problem, describe
from mainspring.tasks.registry import Registered, Registry

_MAIN = "__main__"


class Functions:
    """Finds functions by the names that the daemon uses."""

    def __init__(self, setup: Setup) -> None:
        self._own = Registry(setup.directory, setup.allow)
        self._first: tuple[Registry, ...] = ()
        self._at_prompt = setup.app is None and setup.main is None

    def load(self, setup: Setup) -> None:
        """Become like the daemon's process. Raises what the user's code raises."""
        sys.path[:] = setup.path
        sys.argv[:] = setup.argv
        os.chdir(setup.cwd)
        os.environ.update(setup.environ)
        if setup.main is not None:
            _load_script(setup.main, setup.main_module)
        if setup.app is not None:
            name, _, attribute = setup.app.partition(":")
            thing: object = importlib.import_module(name)
            for part in attribute.split(".") if attribute else ():
                thing = getattr(thing, part)
            registry = getattr(thing, "registry", None)
            if isinstance(registry, Registry):
                self._first = (registry,)

    def find(self, work: str, origin: str | None = None) -> Registered | str:
        """The function, or why there is none. A name that was not found is looked for again each time."""
        known = self._known(work)
        why: str | None = None
        if known is None and origin is not None:
            known, why = self._at(work, origin)
        if known is None:
            self._own.forget()
            known = self._own.resolve(work)
        if known is not None:
            return known
        if self._at_prompt and work.startswith(f"{_MAIN}:"):
            return (
                "it was defined at a prompt, with -c or on standard input, where no worker process can import it; put "
                "it into a file, or use pool='threads'"
            )
        return f"a worker process does not find it: {why or self._own.why_not(work)}"

    def _known(self, work: str) -> Registered | None:
        """The one that a Daemon of this process has registered."""
        for registry in self._first + place.registries():
            known = registry.get(work)
            if known is not None:
                return known
        return None

    def _at(self, work: str, origin: str) -> tuple[Registered | None, str | None]:
        """The one that the daemon's process has registered from there, in code that a child has not run; or why not."""
        name, _, path = origin.partition(":")
        try:
            thing: object = sys.modules[_MAIN] if name == real_module(_MAIN) else importlib.import_module(name)
            known = self._known(work)  # the import may have registered it
            if known is not None:
                return known, None
            for part in path.split("."):
                thing = getattr(thing, part)
            if not callable(thing):
                return None, f"{origin} is no function"
            return self._own.add(thing, work), None
        except (Exception, SystemExit) as error:  # noqa: BLE001  # the user's code: kept for display
            return None, f"looking at {origin}, where the daemon has it from: {type(error).__name__}: {error}"


def failure(error: BaseException) -> Failed:
    """What the daemon is told when `load` raised."""
    problem = describe(error)
    if isinstance(error, SystemExit):
        text = f"the main script exits while a worker process imports it; {place.GUARD}"
        return Failed(Problem(problem.type, text, problem.traceback), unguarded=True)
    return Failed(problem, unguarded=place.unguarded())


def _load_script(path: str, name: str | None) -> None:
    spec = _spec(path, name)
    module = ModuleType("__mp_main__")
    module.__file__ = path
    module.__spec__ = spec
    module.__package__ = None if spec is None else spec.parent
    place.loading_script(True)
    try:
        code = _code(path, spec)  # imports the packages above it
        # one module under both names: its functions' globals are what pickles and other modules find there
        sys.modules[_MAIN] = sys.modules["__mp_main__"] = module
        exec(code, vars(module))  # noqa: S102  # this is what importing is
    finally:
        place.loading_script(False)


def _spec(path: str, name: str | None) -> ModuleSpec | None:
    """How a script that was started with `-m`, or as a directory or a zip file, is found; None for a plain file."""
    if name is None:
        return None
    found = PathFinder.find_spec(name, [os.path.dirname(path)]) if name == _MAIN else importlib.util.find_spec(name)
    if found is None:
        raise ModuleNotFoundError(f"the main script {name} ({path}) is not found by a worker process", name=name)
    return found


def _code(path: str, spec: ModuleSpec | None) -> CodeType:
    if spec is not None:
        assert isinstance(spec.loader, InspectLoader), "what python -m runs has code"
        code = spec.loader.get_code(spec.name)
        if code is not None:
            return code
    loader = SourceFileLoader("__mp_main__", path)
    compiled = loader.source_to_code(loader.get_data(path), path)
    assert isinstance(compiled, CodeType)
    return compiled
