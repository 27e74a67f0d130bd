"""What the sources must not hold: SQL made of values (S9), shells (S7), dependencies without hashes (S14)."""

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
SOURCES = sorted((ROOT / "src" / "mainspring").rglob("*.py"))
FORBIDDEN = {"eval", "exec", "system", "popen", "getoutput", "getstatusoutput"}
DEPENDENCIES = {"apsw", "msgspec", "click", "tzdata"}


def dangers(text):
    """Calls of a shell or of code in a text."""
    found = []
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Call):
            name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
            owner = getattr(getattr(node.func, "value", None), "id", "")
            if name in FORBIDDEN and owner != "platform":
                found.append(f"line {node.lineno}: {name}")
            found += [
                f"line {node.lineno}: shell="
                for one in node.keywords
                if one.arg == "shell" and not (isinstance(one.value, ast.Constant) and one.value.value is False)
            ]
    return found


def made_of_values(text):
    """Texts made on the spot that go into `execute`, but for names in capitals, which are constants."""
    found = []
    for node in ast.walk(ast.parse(text)):
        called = isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.args
        if not called or node.func.attr not in ("execute", "executemany", "look", "browse"):
            continue
        made = node.args[0]
        if isinstance(made, ast.JoinedStr):
            pieces = [one.value for one in made.values if isinstance(one, ast.FormattedValue)]
            if not all(isinstance(one, ast.Name) and one.id.strip("_").isupper() for one in pieces):
                found.append(node.lineno)
        elif isinstance(made, ast.BinOp) or (isinstance(made, ast.Call) and getattr(made.func, "attr", "") == "format"):
            found.append(node.lineno)
    return found


# Where a name of the code's own, never a value, stands in a statement: how many such places each file has.
ARGUED = {"sqlite_spoilt.py": 1, "migrate.py": 1, "sqlite_compact.py": 1}


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_no_shell_and_no_code_from_text(path):
    # a worker process runs the parent's own script, as multiprocessing does
    allowed = 1 if path.name == "child_load.py" else 0
    assert len(dangers(path.read_text())) <= allowed, dangers(path.read_text())


@pytest.mark.parametrize("text", ["eval(x)", "os.system(x)", "subprocess.run(x, shell=True)", "Popen(x, shell=y)"])
def test_a_danger_is_found(text):
    assert dangers(text)


@pytest.mark.parametrize(
    "text", ["c.execute(f'SELECT {x}')", "c.execute('a' + x)", "c.execute('{}'.format(x))", "c.look(f'{x.y}')"]
)
def test_sql_made_of_values_is_found(text):
    assert made_of_values(text) == [1]
    assert made_of_values("c.execute(f'PRAGMA cache_size = {_CACHE}'); c.execute(SQL, (x,))") == []


def test_values_are_bound_not_written_into_statements():
    found = {path.name: len(lines) for path in SOURCES if (lines := made_of_values(path.read_text()))}
    new = {name: count for name, count in found.items() if count > ARGUED.get(name, 0)}
    assert not new, f"bind values, or argue why it is a constant: {new}"


def test_each_locked_dependency_has_a_hash_and_is_installed_by_it():
    entries = re.split(r"(?m)^(?=[a-zA-Z0-9])", (ROOT / "requirements.lock").read_text())
    pinned = [entry for entry in entries if re.match(r"[a-zA-Z0-9]", entry)]
    assert len(pinned) > 10
    assert not [entry.split()[0] for entry in pinned if "==" not in entry or "--hash=sha256:" not in entry]
    make = (ROOT / "Makefile").read_text()
    assert "--require-hashes --no-deps -r requirements.lock" in make
    assert "make test" in (ROOT / ".ci" / "run").read_text()


def test_dependencies_are_few_and_the_policy_is_there():
    said = re.search(r"(?m)^dependencies = \[(.*)\]$", (ROOT / "pyproject.toml").read_text())
    assert {re.match(r"\W*([\w-]+)", one)[1] for one in said[1].split(",")} == DEPENDENCIES
    assert "in private" in (ROOT / "SECURITY.md").read_text()
