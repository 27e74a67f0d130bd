"""What tasks print and log in a child comes to the daemon, while they run and with their outcome."""

import logging
import os

import pytest
from child_driver import Driver, on_path

from mainspring.engine.child_messages import Outcome, Output


@pytest.fixture(scope="module")
def driver():
    driver = Driver(log_level=logging.WARNING).ready()
    yield driver
    driver.close()


def test_prints(driver):
    assert driver.run("prints", '[["Grüße"],{}]').output == "Grüße\nto stderr\nbytes\n"
    assert driver.run("nothing").output is None


def test_logs(driver):
    output = driver.run("logs").output
    assert output.endswith("WARNING mainspring.task: mind the gap\n")
    assert output.count("\n") == 1


def test_the_middle_of_much_output_is_left_out(driver):
    output = driver.run("prints_much").output
    assert len(output) < 70_000
    assert "bytes left out" in output
    assert output.endswith("end\n")


def test_output_so_far(driver, tmp_path):
    fifo = tmp_path / "gate"
    os.mkfifo(fifo)
    token = driver.feed("prints_and_waits", f'[["{fifo}"],{{}}]', task=4)
    assert driver.expect(Output, Outcome) == Output(4, token, "so far\n")
    fifo.write_text("on")
    assert driver.expect(Outcome).output == "so far\n"
    assert driver.run("prints", '[["next"],{}]', task=5).output.startswith("next\n")
    assert not driver._unheard, "output that was told with the outcome is not told again"


APP = """
import logging, sys
{setup}
print("at import")

def logs():
    logging.getLogger("shop").info("sold")

def prints():
    print("printed")
"""


@pytest.mark.parametrize(
    ("setup", "expected"),
    [
        ("", "INFO shop: sold\n"),
        ("logging.basicConfig(level='INFO', format='<%(message)s>')", "<sold>\n"),
        ("logging.basicConfig(level='ERROR')", None),
    ],
    ids=["not set up", "set up", "set up to be quiet"],
)
def test_an_apps_own_logging_is_kept(tmp_path, setup, expected):
    (tmp_path / "shop_logs.py").write_text(APP.format(setup=setup))
    driver = Driver(on_path(tmp_path, app="shop_logs")).ready()
    output = driver.run("shop_logs:logs").output
    driver.close()
    assert (output is None) if expected is None else output.endswith(expected)


def test_outside_tasks_the_real_stderr_is_written(tmp_path, capfd):
    (tmp_path / "shop_prints.py").write_text(APP.format(setup=""))
    driver = Driver(on_path(tmp_path, app="shop_prints")).ready()
    assert driver.run("shop_prints:prints").output == "printed\n"
    driver.close()
    said = capfd.readouterr()
    assert said.err == "at import\n"
    assert said.out == ""


def test_the_copy_of_a_fork_that_returns_is_not_the_daemons(capfd):
    driver = Driver().ready()
    assert driver.run("fork_and_return").result == "true"
    assert driver.run("double", "[[1],{}]").result == "2"
    driver.close()
    assert capfd.readouterr().err == "copy\n", "what a copy prints is nobody's output, and it ends without a word"
