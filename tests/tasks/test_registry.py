"""The registry: what is registered, what may be resolved, and what is never imported."""

import importlib
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mainspring.errors import InvalidValue
from mainspring.tasks.options import TaskOptions
from mainspring.tasks.registry import Registered, Registry, name_of


def plain(item: int) -> int:
    return item


async def coroutine() -> None: ...


def other() -> None: ...


HERE = __name__


# ── registering ────────────────────────────────────────────────────────────────────────────────────────────────


def test_add_get_of():
    registry = Registry()
    options = TaskOptions(timeout=5)
    added = registry.add(plain, options=options, queue="mail", priority=3, expires=7, label="mail it")
    assert added == Registered(
        name=f"{HERE}:plain",
        function=plain,
        is_async=False,
        options=options,
        queue="mail",
        priority=3,
        expires=7,
        label="mail it",
    )
    assert registry.get(added.name) is added
    assert registry.of(plain) is added
    assert registry.of(other) is None
    assert registry.get("nothing") is None
    assert registry.add(coroutine, "sleepy").is_async
    assert registry.names() == sorted([added.name, "sleepy"])


def test_registries_share_nothing():
    Registry().add(plain)
    assert Registry().get(f"{HERE}:plain") is None


def test_a_name_of_its_own_lets_a_local_function_in():
    def local() -> None: ...

    assert Registry().add(local, "local").function is local


def test_the_same_again_is_fine_but_not_with_other_options():
    registry = Registry()
    first = registry.add(plain)
    assert registry.add(plain) == first
    with pytest.raises(InvalidValue, match="other options"):
        registry.add(plain, queue="mail")


def test_two_functions_under_one_name_are_refused():
    registry = Registry()
    registry.add(plain, "work")
    with pytest.raises(InvalidValue, match=r"two functions have the name 'work'.*test_registry.py line"):
        registry.add(other, "work")
    assert registry.get("work").function is plain


def test_two_functions_of_one_name_in_one_module_are_refused(module):
    module.write("twice", "def job(): return 1\nfirst = job\ndef job(): return 2\n")
    twice = module.load("twice")
    registry = Registry()
    registry.add(twice.first)
    with pytest.raises(InvalidValue, match="two functions"):
        registry.add(twice.job)


def test_a_generator_is_refused(module):
    module.write("yielding", "def job(): yield\nasync def slow(): yield\n")
    yielding, registry = module.load("yielding"), Registry(module.directory)
    for function in (yielding.job, yielding.slow):
        with pytest.raises(InvalidValue, match="is a generator"):
            registry.add(function)
        assert registry.resolve(name_of(function)) is None
        assert "is a generator" in registry.why_not(name_of(function))


def test_a_replaced_function_is_forgotten(module):
    module.write("replaced", "def job(): return 1\n")
    registry = Registry()
    old = module.load("replaced").job
    registry.add(old)
    del sys.modules["replaced"]
    registry.add(module.load("replaced").job)
    assert registry.of(old) is None


def test_a_bad_name_is_refused():
    for bad in ("", "two words", "x" * 501, "tab\tname", "new\nline"):
        with pytest.raises(InvalidValue, match="printable characters"):
            Registry().add(plain, bad)


def test_a_task_function_is_unwrapped():
    class TaskFunction:
        function = staticmethod(plain)

    assert Registry().add(TaskFunction()).function is plain


def test_a_reloaded_module_replaces_its_functions(module):
    module.write("reloaded", "def job(): return 1\n")
    loaded = module.load("reloaded")
    registry = Registry()
    registry.add(loaded.job)
    module.write("reloaded", "# a line more, so that the function stands elsewhere\n\ndef job(): return 22\n")
    registry.add(importlib.reload(loaded).job)
    assert registry.get("reloaded:job").function() == 22


def test_a_module_imported_anew_replaces_its_functions(module):
    module.write("anew", "def job(): return 1\n")
    registry = Registry()
    registry.add(module.load("anew").job)
    del sys.modules["anew"]
    again = module.load("anew").job
    registry.add(again)
    assert registry.get("anew:job").function is again


# ── resolving ──────────────────────────────────────────────────────────────────────────────────────────────────

BOMB = "import builtins\nbuiltins.mainspring_test_bomb = True\ndef job(): return 1\n"


@pytest.fixture
def no_bomb():
    import builtins

    yield
    exploded = builtins.__dict__.pop("mainspring_test_bomb", False)
    assert not exploded, "a module was executed that should not have been"


def test_a_module_under_the_directory_is_imported_on_first_need(module):
    module.write("shop.tasks", "def job(): return 1\nasync def slow(): ...\n")
    registry = Registry(module.directory)
    assert "shop.tasks" not in sys.modules
    assert registry.resolve("shop.tasks:job").function() == 1
    assert registry.resolve("shop.tasks:slow").is_async
    assert registry.resolve("shop.tasks:job") is registry.resolve("shop.tasks:job")
    assert registry.why_not("shop.tasks:job") is None
    assert registry.get("shop.tasks:job") is None


def test_what_is_registered_comes_first(module):
    registry = Registry(module.directory)
    registry.add(plain, "os:system")
    assert registry.resolve("os:system").function is plain


@pytest.mark.usefixtures("no_bomb")
def test_a_module_outside_the_directory_is_never_executed(module, tmp_path):
    module.write("outside", BOMB)
    module.write("outpackage.inner", "def job(): ...\n")
    module.write("outpackage.__init__", BOMB)
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    registry = Registry(elsewhere)
    assert registry.resolve("outside:job") is None
    assert "not under the working directory" in registry.why_not("outside:job")
    assert registry.resolve("outpackage.inner:job") is None


@pytest.mark.usefixtures("no_bomb")
def test_a_module_linked_from_outside_is_never_executed(module, tmp_path):
    outside = tmp_path / "outside.py"
    outside.write_text(BOMB)
    (module.directory / "linked.py").symlink_to(outside)
    assert Registry(module.directory).resolve("linked:job") is None


@pytest.mark.usefixtures("no_bomb")
def test_a_package_whose_path_leads_outside_is_never_followed(module, tmp_path):
    (tmp_path / "outer").mkdir()
    (tmp_path / "outer" / "inner.py").write_text(BOMB)
    module.write("leading.__init__", f"__path__.append({str(tmp_path / 'outer')!r})\n")
    registry = Registry(module.directory)
    assert registry.resolve("leading.inner:job") is None
    assert "not under the working directory" in registry.why_not("leading.inner:job")


@pytest.mark.usefixtures("no_bomb")
def test_what_is_installed_under_the_directory_is_never_executed(module, monkeypatch):
    packages = module.directory / ".venv" / "lib" / "site-packages"
    packages.mkdir(parents=True)
    (packages / "installed.py").write_text(BOMB)
    monkeypatch.syspath_prepend(packages)
    registry = Registry(module.directory)
    assert registry.resolve("installed:job") is None
    assert "installed package" in registry.why_not("installed:job")


def test_allow_opens_a_module_and_those_below_it_only(module, tmp_path):
    module.write("friend.tasks", "def job(): return 1\n")
    module.write("friendly", "def job(): return 1\n")
    registry = Registry(tmp_path / "nowhere", allow=("friend.tasks",))
    assert registry.resolve("friend.tasks:job").function() == 1
    assert registry.resolve("friendly:job") is None
    module.write("friend.secret", "def job(): return 1\n")
    assert registry.resolve("friend.secret:job") is None
    module.write("friend.__init__", "def job(): return 1\n")
    assert registry.resolve("friend:job") is None


def test_allow_is_checked():
    with pytest.raises(InvalidValue, match="standard library"):
        Registry(allow=("os.path",))
    with pytest.raises(InvalidValue, match=r"write allow=\['shop'\]"):
        Registry(allow="shop")
    for bad in ("", "a b", ".x", "a..b", 3):
        with pytest.raises(InvalidValue, match="names of modules"):
            Registry(allow=(bad,))


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("os:system", "standard library"),
        ("os.path:join", "standard library"),
        ("subprocess:Popen", "standard library"),
        ("json:loads", "standard library"),
        ("test.support:run_code", "under the working directory"),
        ("builtins:eval", "standard library"),
        ("posix:system", "standard library"),
        ("..x:y", "neither"),
        (".x:y", "neither"),
        ("x.:y", "neither"),
        ("x..y:z", "neither"),
        (":y", "neither"),
        ("x:", "neither"),
        ("x:y:z", "neither"),
        ("x/y:z", "neither"),
        ("../x:y", "neither"),
        ("x\0:y", "neither"),
        ("x:y()", "neither"),
        ("\ud800:y", "neither"),
        ("a.b:c.d", "top level"),
        ("good:job.__globals__", "top level"),
        ("good:_private", "private"),
        ("good:__builtins__", "private"),
        ("good:__getattr__", "private"),
        ("good.__main__:job", "can be imported"),
        ("__main__:job", ""),
        ("good:missing", "no function missing"),
        ("good:number", "not a function but int"),
        ("good:Class", "not a function but type"),
        ("good:instance", "not a function but Class"),
        ("good:os", "not a function but module"),
        ("good:system", "not a function but builtin"),
        ("good:run", "only imports run"),
        ("good:made_up", "no function made_up"),
        ("missing_module:job", "no module missing_module"),
        ("good.sub:job", "good.sub"),
        ("pip:main", "working directory"),
        ("pytest:main", "working directory"),
        ("mainspring.tasks.names:name_of", "Mainspring's own"),
        ("x" * 600, "600 characters"),
        ("", "registered"),
        ("job", "registered"),
    ],
)
def test_no_text_reaches_what_is_not_meant(module, name, why):
    module.write(
        "good",
        "import os\nfrom os import system\nfrom subprocess import run\nnumber = 1\n"
        "class Class:\n    def method(self): ...\ninstance = Class()\ndef _private(): ...\ndef job(): ...\n"
        "def __getattr__(name): return job\n",
    )
    registry = Registry(module.directory)
    assert registry.resolve(name) is None
    assert why in registry.why_not(name)


@given(st.text(max_size=40) | st.from_regex(r"[a-z_.]{1,12}:[a-zA-Z_.]{1,12}", fullmatch=True))
def test_any_text_is_answered_without_an_error_or_an_import(text):
    before = set(sys.modules)
    registry = Registry("/nonexistent")
    assert registry.resolve(text) is None
    assert registry.why_not(text)
    assert {name.partition(".")[0] for name in set(sys.modules) - before} <= {"encodings", "importlib"}


@pytest.mark.parametrize("statement", ["1 / 0", "raise SystemExit(3)", "import not_there_at_all", "def"])
def test_an_import_that_raises_is_kept_for_display(module, statement):
    module.write("broken", f"{statement}\n")
    registry = Registry(module.directory)
    assert registry.resolve("broken:job") is None
    assert "importing broken failed" in registry.why_not("broken:job")


def test_a_refusal_lasts_until_it_is_forgotten(module):
    registry = Registry(module.directory)
    assert registry.resolve("later:job") is None
    module.write("later", "def job(): return 1\n")
    assert registry.resolve("later:job") is None
    registry.forget()
    assert registry.why_not("later:job") is None
    assert registry.resolve("later:job").function() == 1


def test_registering_lifts_a_refusal():
    registry = Registry("/nonexistent")
    assert registry.resolve(f"{HERE}:plain") is None
    registry.add(plain)
    assert registry.resolve(f"{HERE}:plain").function is plain
    assert registry.why_not(f"{HERE}:plain") is None


def test_a_name_the_import_itself_registers_is_found(module):
    registry = Registry(module.directory)
    sys.modules["mainspring_test_registry"] = registry
    try:
        module.write(
            "registers",
            "import sys\nregistry = sys.modules['mainspring_test_registry']\n"
            "class Owner:\n    @staticmethod\n    def job(): return 1\n"
            "def hidden(): return 2\nregistry.add(hidden, 'registers:shown')\n",
        )
        assert registry.resolve("registers:shown").function() == 2
    finally:
        del sys.modules["mainspring_test_registry"]


def test_a_task_function_of_the_module_brings_its_options(module):
    module.write(
        "wrapped",
        "from mainspring.tasks.registry import Registry\n"
        "class TaskFunction:\n    def __init__(self, registered):\n"
        "        self.registered, self.function = registered, registered.function\n"
        "def job(): return 1\njob = TaskFunction(Registry().add(job, queue='mail'))\n",
    )
    found = Registry(module.directory).resolve("wrapped:job")
    assert (found.name, found.queue, found.function()) == ("wrapped:job", "mail", 1)
