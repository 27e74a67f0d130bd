"""A child becomes like the daemon's process: the same functions under the same names, and no second daemon."""

import json
import subprocess
import sys

import pytest
from child_driver import Driver, on_path

from mainspring import Daemon
from mainspring.engine.child_messages import Failed, Feed, Outcome, Ready, encode_feed


@pytest.fixture
def run(tmp_path):
    """Write a script, and answer with the child that its process would have."""
    made = []

    def run(text, *, module=None, **given):
        script = tmp_path / "script.py"
        script.write_text(text)
        made.append(Driver(on_path(tmp_path, app=None, main=str(script), main_module=module, **given)))
        return made[-1]

    yield run
    for driver in made:
        driver.close()


@pytest.fixture
def app(tmp_path):
    """Write an app, and answer with a child of it."""
    made = []

    def app(text, spec="shop_app:daemon", **given):
        (tmp_path / "shop_app.py").write_text(text)
        made.append(Driver(on_path(tmp_path, app=spec, **given)))
        return made[-1]

    yield app
    for driver in made:
        driver.close()


def named(driver, work):
    """Run what was registered under a name of its own."""
    assert driver.child.feed(encode_feed(Feed(task=1, token=1, attempt=1, run_at=0, work=work)))
    return driver.expect(Outcome)


SCRIPT = """
import sys
from mainspring import Daemon
daemon = Daemon({store!r})
counted = 0

def double(number):
    global counted
    counted += 1
    import __main__
    assert __main__.counted == counted, "one module, not two"
    return [2 * number, __name__, sys.argv[1:], double.__module__]

@daemon.task(name="own.name")
def named():
    return "named"

if __name__ == "__main__":
    raise AssertionError("done again")
"""


def test_functions_of_the_main_script(run):
    driver = run(SCRIPT.format(store="memory:"), argv=("script.py", "--fast")).ready()
    assert driver.run("script:double", "[[3],{}]").result == '[6,"__mp_main__",["--fast"],"__mp_main__"]'
    assert driver.run("script:named").result == '"named"'


def test_names_that_the_main_script_registers(run):
    driver = run(SCRIPT.format(store="memory:")).ready()
    assert named(driver, "own.name").result == '"named"'
    assert named(driver, "own.other").kind == "unknown"


def test_a_main_script_that_was_started_as_a_module(run, tmp_path):
    package = tmp_path / "shop_package"
    package.mkdir()
    (package / "__init__.py").write_text("")
    (package / "helper.py").write_text("FACTOR = 5")
    main = package / "__main__.py"
    main.write_text("from . import helper\ndef times(n):\n    return n * helper.FACTOR\n")
    setup = on_path(tmp_path, app=None, main=str(main), main_module="shop_package.__main__")
    driver = Driver(setup).ready()
    assert driver.run("shop_package.__main__:times", "[[2],{}]").result == "10"
    driver.close()


def test_a_directory_as_the_main_script(tmp_path):
    folder = tmp_path / "folder"
    folder.mkdir()
    (folder / "__main__.py").write_text("def one():\n    return 1\n")
    setup = on_path(tmp_path, app=None, main=str(folder / "__main__.py"), main_module="__main__")
    driver = Driver(setup).ready()
    assert driver.run("__main__:one").result == "1"
    driver.close()


def test_functions_of_a_prompt_cannot_be_reached(run, tmp_path):
    driver = Driver(on_path(tmp_path, app=None)).ready()
    outcome = driver.run("__main__:typed")
    driver.close()
    assert outcome.kind == "unknown"
    assert "at a prompt" in outcome.why


UNGUARDED = {
    "start": "daemon.start()",
    "with": "with daemon:\n    pass",
    "run": "daemon.run()",
    "inline": "Daemon('memory:', inline=True)",
    "the one daemon": "import mainspring\nmainspring.get_daemon()",
    "add": "daemon.add_task('shop:double')",
    "exit": "import sys\nsys.exit(0)",
}


@pytest.mark.parametrize("line", UNGUARDED.values(), ids=UNGUARDED)
def test_a_script_without_a_guard_is_told_what_to_do(run, tmp_path, line):
    driver = run(f"from mainspring import Daemon\ndaemon = Daemon({str(tmp_path / 'shop.db')!r})\n{line}\n")
    failed = driver.expect(Ready, Failed)
    assert isinstance(failed, Failed)
    assert failed.unguarded
    assert 'if __name__ == "__main__":' in failed.problem.message
    assert driver.child.ended(60) == "exited with code 1"
    assert not (tmp_path / "shop.db").exists()


def test_an_import_error(run):
    failed = run("import no_such_module").expect(Ready, Failed)
    assert isinstance(failed, Failed)
    assert not failed.unguarded
    assert failed.problem.type == "ModuleNotFoundError"
    assert "line 1" in failed.problem.traceback


def test_an_app_that_cannot_be_imported(app):
    failed = app("1 / 0").expect(Ready, Failed)
    assert (failed.problem.type, failed.unguarded) == ("ZeroDivisionError", False)
    failed = app("", spec="shop_app:daemon").expect(Ready, Failed)
    assert failed.problem.type == "AttributeError"


APP = """
import mainspring
from mainspring import Daemon
daemon = Daemon({store!r})
other = Daemon({store!r})

@daemon.task
def double(number):
    return 2 * number

@other.task(name="shared")
def of_the_other():
    return "other"

@daemon.task(name="shared")
def of_the_daemon():
    return "daemon"

def _private():
    return "private"
daemon.task(name="secret")(_private)

def adds():
    return daemon.add_task(double, [21]).id

def added_by_the_one_daemon():
    return [mainspring.add_task(double, [1]).id, mainspring.get_daemon().started]

def starts(how):
    if how == "start":
        daemon.start()
    elif how == "run":
        daemon.run()
    elif how == "with":
        with daemon:
            pass
    else:
        Daemon("memory:", inline=True)
"""


def test_the_apps_own_daemon_goes_first(app):
    driver = app(APP.format(store="memory:")).ready()

    assert named(driver, "shared").result == '"daemon"'
    assert named(driver, "secret").result == '"private"'
    assert "private by its underscore" in named(driver, "shop_app:_private").why


@pytest.mark.parametrize("how", ["start", "run", "with", "inline"])
def test_no_daemon_starts_in_a_child(app, how):
    driver = app(APP.format(store="memory:")).ready()
    outcome = driver.run("shop_app:starts", f'[["{how}"],{{}}]')
    assert outcome.problem.type == "Misuse"
    assert "a Daemon is a client here" in outcome.problem.message


def test_adding_is_durable_and_to_the_same_store(app, tmp_path):
    store = str(tmp_path / "shop.db")
    with Daemon(store, name="tests", workers=1, queues=["none of these"]) as daemon:
        driver = app(APP.format(store=store), environ={"MAINSPRING_STORE": store}).ready()
        added = driver.run("shop_app:adds")
        assert added.kind == "ok", added
        assert added.output is None, "nobody is told that no daemon runs the store"
        one, started = json.loads(driver.run("shop_app:added_by_the_one_daemon").result)
        assert not started
        driver.child.kill()
        assert daemon.get(added.result.strip('"')).row.payload == "[[21],{}]"
        assert daemon.get(one).row.payload == "[[1],{}]"
    daemon.close()


def test_adding_to_a_store_in_memory_is_refused(app):
    driver = app(APP.format(store="memory:")).ready()
    outcome = driver.run("shop_app:adds")
    assert outcome.problem.type == "StoreError"
    assert "pool='threads'" in outcome.problem.message


def test_what_a_process_tells_its_children(tmp_path):
    script = tmp_path / "tells.py"
    script.write_text(
        "from mainspring.engine.child_setup import here, main_script\n"
        "import sys\nsetup = here()\n"
        "print(setup.main, setup.main_module, setup.argv[1:], here(app='a:b').main)"
    )

    def said(*argv, text=None):
        done = subprocess.run(
            [sys.executable, *argv], input=text, cwd=tmp_path, check=True, capture_output=True, text=True
        )
        return done.stdout.strip()

    assert said("tells.py", "x") == f"{script} None ('x',) None"
    assert said("-m", "tells") == f"{script} tells () None"
    assert said("-", text=script.read_text()) == "None None () None"
    assert said("-c", script.read_text()) == "None None () None"
