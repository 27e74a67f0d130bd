import os
from datetime import UTC, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import UNSET

from mainspring.errors import InvalidValue, MainspringError, StoreError, StoreNotFound
from mainspring.setting_values import store_path, store_url
from mainspring.settings import KEYS, Settings, find_settings_file, load_settings, open_store
from mainspring.store.memory import MemoryStore

SECOND = 1_000_000


@pytest.fixture
def load(tmp_path):
    """`load_settings` in an empty directory with an empty environment."""

    def call(environ=None, flags=None, **arguments) -> Settings:
        return load_settings(arguments, flags=flags, environ=environ or {}, start=tmp_path)

    return call


def toml(directory: Path, text: str, name: str = "mainspring.toml") -> Path:
    directory.mkdir(parents=True, exist_ok=True)
    path = directory / name
    path.write_text(text)
    return path


def test_the_defaults(load, tmp_path):
    assert load() == Settings(
        store=f"sqlite://{tmp_path}/mainspring.db",
        workers=8,
        pool=None,
        max_tasks_per_child=None,
        max_memory_per_child=None,
        listener_workers=4,
        queues=None,
        max_pending=None,
        when_full="block",
        full_timeout=None,
        retention=7 * 86_400 * SECOND,
        grace=20 * SECOND,
        lease=30 * SECOND,
        tz=None,
        name=None,
        allow=(),
        programs=None,
        outboxes=(),
        app=None,
        clock=None,
        origins=dict.fromkeys(KEYS, "default"),
    )


def test_the_order_is_argument_flag_environment_file_default(load, tmp_path):
    path = toml(tmp_path, "workers = 4")
    environ = {"MAINSPRING_WORKERS": "3"}
    flags = {"workers": 2}
    for settings, workers, origin in (
        (load(environ, flags, workers=1), 1, "argument workers="),
        (load(environ, flags), 2, "flag --workers"),
        (load(environ), 3, "MAINSPRING_WORKERS"),
        (load(), 4, f"workers in {path}"),
    ):
        assert (settings.workers, settings.origins["workers"]) == (workers, origin)
        assert settings.origins["grace"] == "default"


def test_what_equals_the_default_still_counts_as_given(load):
    assert load({"MAINSPRING_WORKERS": "3"}, workers=8).workers == 8


def test_not_given_is_not_a_value(load):
    settings = load({"MAINSPRING_WORKERS": "3", "MAINSPRING_GRACE": ""}, workers=UNSET, store=None, grace=None)
    assert (settings.workers, settings.grace, settings.origins["store"]) == (3, 20 * SECOND, "default")


def test_every_key_from_the_environment(load, tmp_path):
    settings = load(
        {
            "MAINSPRING_STORE": "data/shop.db",
            "MAINSPRING_WORKERS": " 16 ",
            "MAINSPRING_POOL": "threads",
            "MAINSPRING_LISTENER_WORKERS": "0",
            "MAINSPRING_QUEUES": "mail=2, web",
            "MAINSPRING_MAX_PENDING": "1000",
            "MAINSPRING_WHEN_FULL": "refuse",
            "MAINSPRING_FULL_TIMEOUT": "30s",
            "MAINSPRING_RETENTION": "1d",
            "MAINSPRING_GRACE": "1.5",
            "MAINSPRING_LEASE": "5s",
            "MAINSPRING_TZ": "Asia/Shanghai",
            "MAINSPRING_NAME": "shop",
            "MAINSPRING_MAX_TASKS_PER_CHILD": "500",
            "MAINSPRING_MAX_MEMORY_PER_CHILD": "512MiB",
            "MAINSPRING_ALLOW": "shop.tasks,mailer",
            "MAINSPRING_PROGRAMS": "./open.sh,rsync",
            "MAINSPRING_OUTBOXES": "orders.db, shop.web:engine",
            "MAINSPRING_APP": "shop.web:daemon",
            "MAINSPRING_TASK_ID": "17",
            "MAINSPRING_ATTEMPT": "1",
            "MAINSPRING_RUN_AT": "2026-01-01T00:00:00Z",
            "HOME": "/root",
        }
    )
    assert settings == Settings(
        store=f"sqlite://{tmp_path}/data/shop.db",
        workers=16,
        pool="threads",
        max_tasks_per_child=500,
        max_memory_per_child=512 << 20,
        listener_workers=0,
        queues={"mail": 2, "web": None},
        max_pending=1000,
        when_full="refuse",
        full_timeout=30 * SECOND,
        retention=86_400 * SECOND,
        grace=1_500_000,
        lease=5 * SECOND,
        tz=ZoneInfo("Asia/Shanghai"),
        name="shop",
        allow=("shop.tasks", "mailer"),
        programs=(f"{tmp_path}/open.sh", "rsync"),
        outboxes=(f"{tmp_path}/orders.db", "shop.web:engine"),
        app="shop.web:daemon",
        clock=None,
        origins={key: "default" if key == "clock" else f"MAINSPRING_{key.upper()}" for key in KEYS},
    )


@pytest.mark.parametrize("word", ["yes", "1", "TRUE", "on"])
def test_programs_may_be_a_truth(load, word):
    assert load({"MAINSPRING_PROGRAMS": word}).programs is True
    assert load({"MAINSPRING_PROGRAMS": "no"}).programs is False


def test_typed_arguments(load):
    clock = object()
    settings = load(clock=clock, grace=timedelta(seconds=3), tz=UTC, queues=["a", "b=3"], programs=False)
    assert settings.clock is clock
    assert (settings.grace, settings.tz, settings.queues, settings.programs) == (
        3 * SECOND,
        UTC,
        {"a": None, "b": 3},
        False,
    )


@pytest.mark.parametrize(
    ("key", "value", "words"),
    [
        ("store", "redis://:geheim@host/0", "scheme 'redis'"),
        ("store", "", "place of a store"),
        ("store", 5, "place of a store"),
        ("workers", 0, "from 1 to"),
        ("workers", True, "from 1 to"),
        ("workers", "8", "from 1 to"),
        ("workers", 1.5, "from 1 to"),
        ("workers", 10**6, "from 1 to"),
        ("listener_workers", -1, "from 0 to"),
        ("max_pending", 0, "from 1 to 1,000,000,000: how many tasks"),
        ("max_pending", "many", "from 1 to 1,000,000,000: how many tasks"),
        ("max_pending", True, "from 1 to 1,000,000,000: how many tasks"),
        ("when_full", "drop", "expected 'block'"),
        ("when_full", True, "expected 'block'"),
        ("full_timeout", "soon", "duration"),
        ("pool", "fibres", "'threads' or 'processes', got 'fibres'"),
        ("pool", object(), "'threads' or 'processes'"),
        ("max_tasks_per_child", 0, "from 1 to 1,000,000,000: how many tasks a worker process runs"),
        ("max_memory_per_child", "512", "such as '512MiB'"),
        ("max_memory_per_child", "1 KB", "from 1 MiB"),
        ("queues", {"mail": 0}, "from 1"),
        ("queues", {"mail": True}, "from 1"),
        ("queues", ["mail=many"], "from 1"),
        ("queues", {"": 1}, "name of a queue"),
        ("queues", [3], "name of a queue"),
        ("queues", {}, "at least one queue"),
        ("queues", "mail", "queues to serve"),
        ("retention", "a week", "duration"),
        ("retention", -1, "duration"),
        ("grace", [], "duration"),
        ("lease", "0.5s", "at least 1 s"),
        ("tz", "Nowhere/City", "Nowhere/City"),
        ("tz", 3, "3"),
        ("name", "", "printable"),
        ("name", "a\nb", "printable"),
        ("allow", "shop", "list of module names"),
        ("allow", 3, "list of module names"),
        ("allow", ["os"], "standard library"),
        ("programs", "rsync", "list of the programs"),
        ("programs", [1], "list of the programs"),
        ("outboxes", "orders.db", "list of the databases"),
        ("outboxes", [42], "database that has an outbox"),
        ("outboxes", ["postgresql://localhost/orders"], "database that has an outbox"),
        ("app", "shop", "module:attribute"),
        ("app", "shop.py", "module:attribute"),
    ],
)
def test_a_bad_value_names_its_place_and_what_was_expected(load, key, value, words):
    with pytest.raises(InvalidValue, match=f"^argument {key}=: .*{words}") as caught:
        load(**{key: value})
    assert "geheim" not in str(caught.value)


@pytest.mark.parametrize(("variable", "value"), [("WORKERS", "many"), ("GRACE", "x"), ("POOL", "fibres")])
def test_a_bad_variable_is_named(load, variable, value):
    with pytest.raises(InvalidValue, match=f"^MAINSPRING_{variable}: .*'{value}'"):
        load({f"MAINSPRING_{variable}": value})


def test_an_unknown_key_suggests_the_right_one(load, tmp_path):
    with pytest.raises(InvalidValue, match=r"MAINSPRING_WORKER: .*did you mean 'workers'"):
        load({"MAINSPRING_WORKER": "3"})
    with pytest.raises(InvalidValue, match=r"MAINSPRING_FOO: .*the keys are store, workers"):
        load({"MAINSPRING_FOO": ""})
    with pytest.raises(InvalidValue, match="write MAINSPRING_WORKERS"):
        load({"MAINSPRING_workers": "3"})
    with pytest.raises(InvalidValue, match=r"argument retentoin=: .*did you mean 'retention'"):
        load(retentoin="7d")
    with pytest.raises(InvalidValue, match=r"flag --most-pending: .*did you mean 'max_pending'"):
        load(flags={"most_pending": 3})
    path = toml(tmp_path, "listener-workers = 3")
    with pytest.raises(InvalidValue, match=f"listener-workers in {path}: .*did you mean 'listener_workers'"):
        load()


def test_a_clock_is_an_argument_only(load, tmp_path):
    with pytest.raises(InvalidValue, match="MAINSPRING_CLOCK: a clock can only be passed"):
        load({"MAINSPRING_CLOCK": "virtual"})
    toml(tmp_path, "clock = 'virtual'")
    with pytest.raises(InvalidValue, match="a clock can only be passed"):
        load()


# ── the settings file ──────────────────────────────────────────────────────────────────────────────────────────


def test_paths_in_a_file_are_relative_to_it_and_others_to_where_we_are(tmp_path):
    toml(tmp_path, "[tool.mainspring]\nstore = 'data/a.db'\nprograms = ['bin/x', 'y', '/z/z']\n", "pyproject.toml")
    inner = tmp_path / "a" / "b"
    inner.mkdir(parents=True)
    settings = load_settings({}, environ={}, start=inner)
    assert settings.store == f"sqlite://{tmp_path}/data/a.db"
    assert settings.programs == (f"{tmp_path}/bin/x", "y", "/z/z")
    assert load_settings({"store": "b.db"}, environ={}, start=inner).store == f"sqlite://{inner}/b.db"


def test_the_nearest_file_with_settings_counts(tmp_path):
    toml(tmp_path, "workers = 1")
    toml(tmp_path / "a", "[tool.mainspring]\nworkers = 2\n", "pyproject.toml")
    toml(tmp_path / "a" / "b", "[project]\nname = 'b'\n[tool.other]\nworkers = 3\n", "pyproject.toml")
    (tmp_path / "a" / "b" / "c").mkdir()
    settings = load_settings({}, environ={}, start=tmp_path / "a" / "b" / "c")
    assert settings.workers == 2
    assert load_settings({}, environ={}, start=tmp_path).workers == 1


def test_an_empty_table_ends_the_search(tmp_path):
    toml(tmp_path, "workers = 1")
    toml(tmp_path / "a", "[tool.mainspring]\n", "pyproject.toml")
    assert load_settings({}, environ={}, start=tmp_path / "a").workers == 8


def test_two_files_in_one_place_are_refused(load, tmp_path):
    toml(tmp_path, "workers = 1")
    toml(tmp_path, "[tool.mainspring]\nworkers = 2\n", "pyproject.toml")
    with pytest.raises(InvalidValue, match="keep one"):
        load()


@pytest.mark.parametrize(
    ("name", "text", "words"),
    [
        ("mainspring.toml", "workers = ", "not valid TOML"),
        ("mainspring.toml", "workers = '8'", "workers in .*from 1"),
        ("pyproject.toml", "tool.mainspring = 3", "must be a table"),
        ("pyproject.toml", "[[tool.mainspring]]\nworkers=3", "must be a table"),
    ],
)
def test_a_bad_file(load, tmp_path, name, text, words):
    toml(tmp_path, text, name)
    with pytest.raises(InvalidValue, match=words):
        load()


def test_a_file_that_cannot_be_read(load, tmp_path, monkeypatch):
    path = toml(tmp_path, "workers = 1")

    def refuse(*_):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("builtins.open", refuse)
    with pytest.raises(StoreError, match=f"{path} cannot be read: Permission denied"):
        load()


def test_no_file_at_all(tmp_path):
    assert find_settings_file(str(tmp_path)) is None


def test_settings_never_change(load):
    with pytest.raises(AttributeError):
        load().workers = 3


# ── stores ─────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("url", "full"),
    [
        ("shop.db", "sqlite:///work/shop.db"),
        ("./a/../shop.db", "sqlite:///work/shop.db"),
        ("/data/shop.db", "sqlite:///data/shop.db"),
        (Path("/data/shop.db"), "sqlite:///data/shop.db"),
        ("sqlite:///data/shop.db", "sqlite:///data/shop.db"),
        ("sqlite:////data/shop.db", "sqlite:///data/shop.db"),
        ("SQLite:///data/shop.db", "sqlite:///data/shop.db"),
        ("sqlite:shop.db", "sqlite:///work/shop.db"),
        ("sqlite:/data/shop.db", "sqlite:///data/shop.db"),
        ("sqlite:", "sqlite:///work/mainspring.db"),
        ("/shop.db", "sqlite:////shop.db"),
        ("sqlite:////shop.db", "sqlite:////shop.db"),
        ("memory:", "memory:"),
        ("./a:b.db", "sqlite:///work/a:b.db"),
        ("with space.db", "sqlite:///work/with space.db"),
    ],
)
def test_every_form_has_one_full_form(url, full):
    assert store_url(url, "/work") == full
    assert store_url(full, "/elsewhere") == full


def test_home(monkeypatch):
    monkeypatch.setenv("HOME", "/home/me")
    assert store_url("~/shop.db", "/work") == "sqlite:///home/me/shop.db"


@given(st.text(min_size=1).filter(lambda text: "\0" not in text))
def test_a_full_form_stays_what_it_is(text):
    try:
        full = store_url("./" + text, "/work")
    except MainspringError:
        return
    assert store_url(full, "/elsewhere") == full
    assert store_path(full) == os.path.normpath(os.path.join("/work", "./" + text))


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("postgresql:me:geheim@host/db", "postgresql://user@host"),
        ("postgres://me:geheim@host/db#", "'%23' for '#'"),
        ("redis://me:geheim@host", "memory:.*unknown scheme 'redis'"),
        ("a:b.db", r"unknown scheme 'a'.*'\./'"),
        (":memory:", "'memory:'"),
        ("memory:x", "has no name"),
        ("sqlite://host/shop.db", "names a host"),
        ("sqlite://shop.db", "names a host.*'sqlite:shop.db'"),
        ("sqlite:///shop.db", "root directory.*'sqlite:shop.db'.*'sqlite:////shop.db'"),
        ("sqlite:shop.db?mode=ro", "no parameters"),
        ("data/", "path of a file"),
        ("/", "path of a file"),
        ("a\0b", "place of a store"),
        (None, "place of a store"),
        (b"shop.db", "place of a store"),
    ],
)
def test_what_is_no_place_says_what_to_write(url, words):
    with pytest.raises(InvalidValue, match=words) as caught:
        store_url(url, "/work")
    assert "geheim" not in str(caught.value)


def test_memory_is_a_store_of_its_own_each_time():
    one, other = open_store("memory:", create=True), open_store("memory:", create=True)
    assert isinstance(one, MemoryStore)
    assert one is not other


def test_a_file_is_opened_and_made_only_when_asked(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(StoreNotFound):
        open_store("shop.db", create=False)
    assert os.listdir(tmp_path) == []
    store = open_store("shop.db", create=True)
    try:
        assert store.url == f"sqlite://{tmp_path}/shop.db"
    finally:
        store.close()
    open_store(f"sqlite://{tmp_path}/shop.db", create=False).close()
