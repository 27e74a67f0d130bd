"""The house rules that a program can check: each takes the text of a file and answers with what it found against it."""

import ast
import io
import sys
import tokenize
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = ROOT / "src" / "mainspring"

LINES_OF_A_FILE = 400
LINES_OF_A_FUNCTION = 60
SLEEPING = "# a sleeping body"

# From the bottom to the top; a module imports from its own layer and from those before it.
LAYERS = ("errors", "when", "tasks", "store", "engine", "face", "edges")
ROOMS = frozenset({"errors", "when", "tasks", "store", "engine"})
EDGES = frozenset({"bench", "cli", "testing", "observe", "web", "__main__", "demo"})
# What only one place may know.
KEPT = {
    "apsw": "mainspring.store",
    "click": "mainspring.cli",
    "dateutil": "mainspring.when.rrule",  # an extra, loaded on first use
    "rich": "mainspring.cli",
    "starlette": "mainspring.web",
    "uvicorn": "mainspring.web",
}

_CLOCKS = {
    "time": (
        "time",
        "monotonic",
        "perf_counter",
        "clock_gettime",
        "process_time",
        "thread_time",
        "localtime",
        "gmtime",
    ),
    "datetime": ("now", "utcnow", "today"),
    "date": ("today",),
}


def module_of(path: Path) -> str:
    """The dotted name of a file below `src`."""
    parts = path.relative_to(ROOT / "src").with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def layer_of(module: str) -> str:
    """The layer of a module of the package; the face is what is left."""
    parts = module.split(".")
    room = parts[1] if len(parts) > 1 else ""
    return room if room in ROOMS else "edges" if room in EDGES else "face"


def wrong_imports(module: str, text: str) -> list[str]:
    """Imports against the one direction, of kept packages elsewhere, and of anything but Python by `when`."""
    own, found = layer_of(module), []
    for line, name in imports(module, text):
        top = name.partition(".")[0]
        if top == "mainspring":
            if LAYERS.index(layer_of(name)) > LAYERS.index(own):
                found.append(f"{module} line {line}: {own} imports {name}, which is of {layer_of(name)}, above it")
        elif top in KEPT and not f"{module}.".startswith(KEPT[top] + "."):
            found.append(f"{module} line {line}: {top} is imported in {KEPT[top]} only")
        elif own in {"errors", "when"} and top not in sys.stdlib_module_names and top not in KEPT:
            found.append(f"{module} line {line}: {own} uses the standard library alone, not {top}")
    return found


def imports(module: str, text: str) -> Iterator[tuple[int, str]]:
    """Line and full name of everything a module imports, wherever in it; names of submodules where they may be such."""
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                above = module.split(".")[: -node.level]
                base = ".".join([*above, base] if base else above)
            if base == "mainspring":
                yield from ((node.lineno, f"mainspring.{alias.name}") for alias in node.names)
            else:
                yield node.lineno, base


def too_long(name: str, text: str) -> list[str]:
    """Files and functions over their limits."""
    found, lines = [], text.count("\n")
    if lines >= LINES_OF_A_FILE:
        found.append(f"{name} has {lines} lines; fewer than {LINES_OF_A_FILE}, and one job")
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            length = (node.end_lineno or node.lineno) - node.lineno + 1
            if length >= LINES_OF_A_FUNCTION:
                found.append(
                    f"{name} line {node.lineno}: {node.name} has {length} lines; fewer than {LINES_OF_A_FUNCTION}"
                )
    return found


def clock_readings(name: str, text: str) -> list[str]:
    """Every reading of a clock: `time.time`, `datetime.now` and their like, called or passed on, imported or not."""
    found = []
    for node in ast.walk(ast.parse(text)):
        seen = ""
        if isinstance(node, ast.Attribute):
            owner = node.value.attr if isinstance(node.value, ast.Attribute) else getattr(node.value, "id", "")
            base = node.attr.removesuffix("_ns")
            if base in _CLOCKS.get(owner, ()):
                seen = f"{owner}.{node.attr}"
        elif isinstance(node, ast.ImportFrom) and node.module == "time":
            read = [alias.name for alias in node.names if alias.name.removesuffix("_ns") in _CLOCKS["time"]]
            seen = f"from time import {', '.join(read)}" if read else ""
        if seen:
            found.append(f"{name} line {node.lineno}: {seen}; only when/clock.py reads a clock, others are given `now`")
    return found


def sleeps(name: str, text: str) -> list[str]:
    """Calls of `sleep` in a test that are not marked as a sleeping body on their line or on their function's."""
    marked = {token.start[0] for token in _comments(text) if token.string.startswith(SLEEPING)}
    found: list[str] = []

    def visit(node: ast.AST, excused: bool) -> None:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            excused = excused or bool(marked & set(range(node.lineno, node.body[0].lineno)))
        if isinstance(node, ast.Call) and _called(node) == "sleep" and not _is_a_yield(node):
            here = set(range(node.lineno, (node.end_lineno or node.lineno) + 1))
            if not excused and not marked & here:
                found.append(f"{name} line {node.lineno}: a test waits for what happens; or mark it `{SLEEPING}`")
        for child in ast.iter_child_nodes(node):
            visit(child, excused)

    visit(ast.parse(text), False)
    return found


def _comments(text: str) -> Iterator[tokenize.TokenInfo]:
    return (token for token in tokenize.generate_tokens(io.StringIO(text).readline) if token.type == tokenize.COMMENT)


def _called(node: ast.Call) -> str:
    return node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")


def _is_a_yield(node: ast.Call) -> bool:
    """`sleep(0)` waits for nothing; it lets others go first."""
    return bool(node.args) and isinstance(node.args[0], ast.Constant) and node.args[0].value == 0
