"""The names of functions: module and qualname, `__main__` resolved to the real module, and what has no name."""

import functools
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from mainspring.errors import UnknownFunction
from mainspring.tasks.names import class_names, real_module
from mainspring.tasks.registry import name_of


def plain(item: int) -> int:
    return item


class Owner:
    def method(self) -> None: ...

    @staticmethod
    def static() -> None: ...


class Callable:
    def __call__(self) -> None: ...


HERE = __name__


def test_a_name_is_module_and_qualname():
    assert name_of(plain) == f"{HERE}:plain"
    assert name_of(Owner.static) == f"{HERE}:Owner.static"


def local_function():
    def inner() -> None: ...

    return inner


class BadRepr:
    def __repr__(self):
        raise RuntimeError("no")


@pytest.mark.parametrize(
    ("thing", "words"),
    [
        (lambda: None, "lambda.*def"),
        (local_function(), "inside another function.*top level"),
        (functools.partial(plain, 1), "partial.*args="),
        (Owner().method, "bound to an object.*Owner"),
        (print, "built in"),
        ([].append, "built in"),
        (Owner, "is a class"),
        (Callable(), "can be called, not a function"),
        (functools.lru_cache(plain), "can be called, not a function"),
        (42, "expected a function"),
        (BadRepr(), "expected a function"),
    ],
)
def test_what_has_no_name_says_what_to_do(thing, words):
    with pytest.raises(UnknownFunction, match=f"(?s){words}"):
        name_of(thing)


def run_python(*arguments: str, cwd: Path, stdin: str | None = None) -> str:
    done = subprocess.run(
        [sys.executable, *arguments], cwd=cwd, input=stdin, capture_output=True, text=True, check=False, timeout=60
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


SCRIPT = """
from mainspring.tasks.registry import Registry, name_of
def job(): ...
def main():
    registry = Registry()
    found = registry.resolve(name_of(job))
    print(name_of(job), found is not None and found.function is job)
if __name__ == "__main__":
    main()
else:
    raise SystemExit("imported a second time")
"""


def test_main_is_named_by_its_file_and_never_imported_a_second_time(tmp_path):
    (tmp_path / "shop.py").write_text(SCRIPT)
    assert run_python("shop.py", cwd=tmp_path) == "shop:job True"


def test_main_is_named_by_its_specification_under_dash_m(tmp_path):
    (tmp_path / "web").mkdir()
    (tmp_path / "web" / "shop.py").write_text(SCRIPT)
    assert run_python("-m", "web.shop", cwd=tmp_path) == "web.shop:job True"


def test_a_script_may_have_the_name_of_a_package_it_uses(tmp_path):
    (tmp_path / "shop").mkdir()
    (tmp_path / "shop" / "__init__.py").write_text("def job(): return 1\n")
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "shop").write_text(
        "import os, sys\nsys.path.insert(0, os.getcwd())\nfrom mainspring.tasks.registry import Registry\n"
        "print(Registry().resolve('shop:job').function())\n"
    )
    assert run_python("bin/shop", cwd=tmp_path) == "1"


def test_the_running_script_is_not_imported_for_what_it_has_not(tmp_path):
    (tmp_path / "shop.py").write_text(
        "from mainspring.tasks.registry import Registry\nprint('running')\n"
        "registry = Registry()\nprint(registry.resolve('shop:gone'), registry.why_not('shop:gone'))\n"
    )
    said = "running\nNone shop is the running script, which has no such function"
    assert run_python("shop.py", cwd=tmp_path) == said


def test_code_without_a_file_stays_main(tmp_path):
    program = "from mainspring.tasks.names import real_module; print(real_module('__main__'))"
    assert run_python("-c", program, cwd=tmp_path) == "__main__"
    assert run_python("-", cwd=tmp_path, stdin=program) == "__main__"


def test_a_prompt_may_define_a_function_again(tmp_path):
    program = textwrap.dedent("""
        from mainspring.tasks.registry import Registry
        registry = Registry()
        def job(): return 1
        registry.add(job)
        def job(): return 2
        print(registry.add(job).name, registry.get("__main__:job").function())
    """)
    assert run_python("-", cwd=tmp_path, stdin=program) == "__main__:job 2"


def test_real_module_leaves_others_alone():
    assert real_module("shop.tasks") == "shop.tasks"


def test_class_names_go_up_to_object():
    assert class_names(FileNotFoundError) == (
        "builtins:FileNotFoundError",
        "builtins:OSError",
        "builtins:Exception",
        "builtins:BaseException",
        "builtins:object",
    )
