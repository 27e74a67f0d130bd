"""`at`, `after`, `now`, `every`, `listen`: what is typed is stored, and a slip is answered with what to type."""

from datetime import UTC, datetime, timedelta

import pytest

from mainspring import Daemon
from mainspring.engine.program_attempts import decode_call
from mainspring.tasks.codec import decode_call as decode_arguments

KEYS = [
    "id", "name", "label", "function", "kind", "state", "reason", "run_at", "started_at", "finished_at", "lateness_ms",
    "attempt", "max_attempts", "queue", "priority", "key", "schedule", "occurrence", "missed_until", "missed_count",
    "delivery", "timeout", "expires_at", "args",
    "kwargs", "command", "exit_code", "error", "result", "created_at",
]  # fmt: skip


def test_a_program_at_an_instant(cli):
    task = cli.json("at", "2030-11-27T10:00:00.250+08:00", "--", "./open.sh", "--item", "42")
    assert list(task)[: len(KEYS)] == KEYS
    assert task["run_at"] == "2030-11-27T02:00:00.250000Z"
    assert (task["kind"], task["name"], task["label"], task["function"]) == ("program", "open.sh", None, None)
    assert task["command"] == ["./open.sh", "--item", "42"]
    assert (task["args"], task["kwargs"], task["state"], task["attempt"]) == (None, None, "waiting", 0)
    assert task["cwd"] == str(cli.directory)


def test_options_of_the_program_are_its_own(cli):
    task = cli.json("now", "--name", "mine", "--", "prog", "--json", "--store", "x", "--name", "its", "--", "-h")
    assert task["command"] == ["prog", "--json", "--store", "x", "--name", "its", "--", "-h"]
    assert task["label"] == "mine"


def test_the_exact_instant_is_echoed_with_its_offset(cli):
    said = cli("at", "2030-11-27", "10:00:00.250", "--tz", "Asia/Shanghai", "--", "true").stdout
    assert "2030-11-27T10:00:00.250+08:00" in said
    assert ", in " in said
    assert cli.json("list")[0]["run_at"] == "2030-11-27T02:00:00.250000Z"


def test_wall_times_need_no_quotes(cli):
    task = cli.json("at", "tomorrow", "09:00", "--", "true")
    assert task["run_at"].endswith("T09:00:00.000000Z")
    assert task["run_at"] > datetime.now(UTC).isoformat()


@pytest.mark.parametrize("verb", [("after", "30m"), ("at", "+30m")])
def test_a_distance_from_now(cli, verb):
    before = datetime.now(UTC)
    run_at = datetime.fromisoformat(cli.json(*verb, "--", "true")["run_at"])
    assert timedelta(0) <= run_at - before - timedelta(minutes=30) < timedelta(minutes=1)


def test_now_is_due_at_once(cli):
    before = datetime.now(UTC)
    assert before <= datetime.fromisoformat(cli.json("now", "--", "true")["run_at"]) <= datetime.now(UTC)


def test_a_function_by_name_need_not_be_there(cli):
    task = cli.json("now", "--call", "no_such_module:run", "--args", '[42, "x"]', "--kwargs", '{"deep": {"a": [1]}}')
    assert (task["kind"], task["function"], task["name"]) == ("function", "no_such_module:run", "run")
    assert (task["args"], task["kwargs"], task["command"]) == ([42, "x"], {"deep": {"a": [1]}}, None)


def test_a_function_that_the_app_knows_is_checked(cli, shop):
    assert cli.json("now", "--app", shop, "--call", "shop:open_sale", "--args", "[42]")["args"] == [42]
    assert "item" in cli("now", "--app", shop, "--call", "shop:open_sale", code=2).stderr
    assert cli.json("now", "--app", shop, "--call", "shop:breaks")["max_attempts"] == 2


def test_every_option_arrives(cli):
    task = cli.json(
        "at", "2030-01-01T00:00:00Z", "--name", "label", "--key", "k", "--queue", "mail", "--priority", 7,
        "--timeout", "1m30s", "--retries", 3, "--expires", "10m", "--cwd", "/", "--", "true",
    )  # fmt: skip
    assert task["name"] == task["label"] == "label"
    assert (task["key"], task["queue"], task["priority"]) == ("k", "mail", 7)
    assert (task["timeout"], task["max_attempts"]) == (90.0, 4)
    assert task["expires_at"] == "2030-01-01T00:10:00.000000Z"
    assert task["cwd"] == "/"
    assert cli.json("now", "--delivery", "at-most-once", "--", "true")["delivery"] == "at-most-once"


def test_an_expiry_may_be_an_instant(cli):
    task = cli.json("now", "--expires", "2030-01-01 08:00", "--tz", "Asia/Shanghai", "--", "true")
    assert task["expires_at"] == "2030-01-01T00:00:00.000000Z"


def test_variables_are_kept_and_never_shown(cli, monkeypatch):
    monkeypatch.setenv("FROM_HERE", "hidden-2")
    task = cli.json("now", "--env", "TOKEN=hidden-1=x", "--env", "FROM_HERE", "--", "true")
    assert task["env"] == {"TOKEN": "•••", "FROM_HERE": "•••"}
    client = Daemon(cli.store)
    assert decode_call(client.get(task["id"]).row.payload).env == {"TOKEN": "hidden-1=x", "FROM_HERE": "hidden-2"}
    client.close()
    for words in (("show", task["id"]), ("list",), ("show", task["id"], "--json")):
        assert "hidden" not in cli(*words).stdout
    assert "NOT_SET is not set here" not in cli("now", "--env", "NOT_SET", "--", "true", code=2).stdout


def test_secret_arguments_are_hidden(cli):
    said = cli("now", "--call", "m:f", "--kwargs", '{"password": "hunter2", "n": 1}').stdout
    assert "hunter2" not in said
    assert "password=•••, n=1" in said
    assert cli.json("list")[0]["kwargs"] == {"password": "•••", "n": 1}


def test_a_key_in_use(cli):
    first = cli.json("now", "--key", "k", "--", "true")
    refused = cli("now", "--key", "k", "--", "true", code=4)
    assert f"task {first['id']}" in refused.stderr
    assert "--on-conflict keep" in refused.stderr
    assert cli.json("now", "--key", "k", "--on-conflict", "keep", "--", "true")["id"] == first["id"]
    assert "is there already" in cli("now", "--key", "k", "--on-conflict", "keep", "--", "true").stdout
    assert cli.json("now", "--key", "k", "--on-conflict", "replace", "--", "true")["id"] != first["id"]
    assert cli.json("show", first["id"])["state"] == "cancelled"


def test_adding_makes_the_store_and_says_that_nobody_runs_it(cli):
    added = cli("now", "--", "true")
    assert cli.store.exists()
    assert added.stderr.count("\n") == 1
    assert "Start one: mainspring run" in added.stderr
    assert "mainspring run --store 'o ther.db'" in cli("now", "--store", "o ther.db", "--", "true").stderr
    with Daemon(cli.store, inline=True, name="tests") as daemon:
        assert cli("after", "1h", "--", "true").stderr == ""
    daemon.close()


def test_a_start_command_names_the_app(cli, shop):
    assert "mainspring run shop:daemon" in cli("now", "--app", shop, "--", "true").stderr


@pytest.mark.parametrize(
    ("words", "hint"),
    [
        (("at", "--", "true"), "WHEN is missing"),
        (("at", "soon", "--", "true"), "What is accepted"),
        (("at", "10:00", "./open.sh"), "mainspring at 10:00 -- ./open.sh"),
        (("at", "10:00"), "say what to run"),
        (("after", "10", "minutes", "--", "true"), "write -- before the program"),
        (("after", "1x", "--", "true"), "no unit 'x'"),
        (("now", "./x"), "mainspring now -- ./x"),
        (("now", "--"), "say what to run"),
        (("now", "--item", "42"), "Options of a program stand after --"),
        (("now", "--quue", "x", "--", "true"), "--queue"),
        (("now", "--call", "m:f", "--", "true"), "leave one out"),
        (("now", "--args", "[1]", "--", "true"), "--args and --kwargs are for --call"),
        (("now", "--call", "m:f", "--env", "A=1"), "--env are for programs"),
        (("now", "--call", "shop.open_sale"), "module:function"),
        (("now", "--call", "m:f", "--args", "{}"), "--args expects a list"),
        (("now", "--call", "m:f", "--kwargs", "[]"), "--kwargs expects an object"),
        (("now", "--call", "m:f", "--args", "[NaN]"), "NaN is no JSON"),
        (("now", "--call", "m:f", "--args", ""), "not valid JSON"),
        (("now", "--env", "A_VARIABLE_NOBODY_SET", "--", "true"), "NAME=VALUE"),
        (("now", "--retries", "-1", "--", "true"), "retry"),
        (("now", "--delivery", "at-most-once", "--retries", "1", "--", "true"), "at-most-once"),
        (("now", "--store", "memory:", "--", "true"), "one process alone"),
        (("now", "--store", "http://x", "--", "true"), "unknown scheme"),
    ],
)
def test_a_slip_is_answered_with_what_to_type(cli, words, hint):
    assert hint in cli(*words, code=2).stderr
    assert not cli.store.exists() or cli.json("list") == []


def test_the_place_of_a_slip_in_json_is_pointed_at(cli):
    said = cli("now", "--call", "m:f", "--args", '["a", 1,]', code=2).stderr.splitlines()
    assert said[1].strip() == '["a", 1,]'
    assert said[2].index("^") - said[1].index("[") == 8


def test_every_adds_a_schedule(cli):
    shown = cli.json("every", "5s", "--name", "tick", "--queue", "q", "--", "./tick.sh")
    assert (shown["name"], shown["rule"], shown["paused"], shown["queue"]) == ("tick", "every 5s", False, "q")
    assert shown["command"] == ["./tick.sh"]
    assert "tick" in cli("every", "5s", "--name", "tick", "--", "true", code=4).stderr
    said = cli("every", "1h30m", "--call", "shop:count").stdout
    assert "schedule count (shop:count()): every 1h30m, next " in said


def test_listen_adds_a_listener(cli):
    shown = cli.json("listen", "--name", "orders", "--pause", "1s", "--everywhere", "--", "./watch.sh")
    assert (shown["name"], shown["pause"], shown["everywhere"], shown["state"]) == ("orders", 1.0, True, "down")
    cli("listen", "--name", "orders", "--", "true", code=4)
    assert cli.json("listen", "--call", "shop:watch", "--args", "[1]")["args"] == [1]


@pytest.fixture
def typed(write):
    write(
        "typed.py",
        """
        from dataclasses import dataclass
        from mainspring import Daemon

        daemon = Daemon("mainspring.db", name="typed")

        @dataclass
        class Order:
            id: int

        @daemon.task
        def take(order: Order) -> str:
            return repr(order)
        """,
    )


def test_arguments_are_read_by_annotations_and_tags(cli, typed):
    cli("now", "--app", "typed", "--call", "typed:take", "--args", '[{"id": 3}]')
    cli("now", "--call", "typed:take", "--args", '[{"id": 4}]')
    cli.work()
    assert [task["result"] for task in cli.json("list", "--state", "succeeded")] == ["Order(id=3)", "Order(id=4)"]
    assert "order" in cli("now", "--app", "typed", "--call", "typed:take", "--args", '[{"no": 3}]', code=2).stderr
    task = cli.json("after", "1h", "--call", "m:f", "--args", '[{"$datetime": "2026-01-01T00:00:00+00:00"}]')
    client = Daemon(cli.store)
    assert client.get(task["id"]).row.payload == '[[{"$datetime":"2026-01-01T00:00:00+00:00"}],{}]'
    client.close()


def test_numbers_of_any_size_arrive(cli):
    cli("now", "--call", "m:f", "--args", f"[{10**30}, {2**63}]")
    client = Daemon(cli.store)
    assert decode_arguments(client.get("1").row.payload) == ((10**30, 2**63), {})
    client.close()
    cli("now", "--call", "m:f", "--args", "[1e400]", code=2)
