"""The house rules hold for every file, and each rule finds what it is meant to find."""

import house_rules as rules
import pytest

SOURCES = sorted(rules.PACKAGE.rglob("*.py"))
TESTS = sorted((rules.ROOT / "tests").rglob("*.py"))
CLOCK = rules.PACKAGE / "when" / "clock.py"
OWN_CLOCK = {
    CLOCK,
    rules.PACKAGE / "engine" / "keeper.py",  # a process of its own that imports nothing of mainspring
    rules.PACKAGE / "demo" / "book.py",  # what a task body notes must not depend on what it checks
}


def lines(findings):
    return "\n".join(findings)


def over(paths, rule):
    return [found for path in paths for found in rule(str(path.relative_to(rules.ROOT)), path.read_text())]


def test_there_is_something_to_check():
    assert rules.PACKAGE / "errors.py" in SOURCES
    assert len(SOURCES) > 20
    assert CLOCK.exists()


def test_imports_run_one_way():
    findings = [found for path in SOURCES for found in rules.wrong_imports(rules.module_of(path), path.read_text())]
    assert not findings, lines(findings)


def test_every_package_has_a_layer():
    packages = {path.name for path in rules.PACKAGE.iterdir() if path.is_dir() and path.name != "__pycache__"}
    unknown = packages - rules.ROOMS - rules.EDGES
    assert not unknown, f"say in house_rules.py which layer these are of: {unknown}"


def test_files_and_functions_are_short():
    findings = over(SOURCES + TESTS, rules.too_long)
    assert not findings, lines(findings)


def test_one_file_reads_the_clock():
    findings = over([path for path in SOURCES if path not in OWN_CLOCK], rules.clock_readings)
    assert not findings, lines(findings)


def test_tests_do_not_sleep():
    findings = over(TESTS, rules.sleeps)
    assert not findings, lines(findings)


# ── each rule can fail ─────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("module", "text"),
    [
        ("mainspring.errors", "import mainspring.when.clock"),
        ("mainspring.when.clock", "from mainspring.tasks import options"),
        ("mainspring.when.clock", "import msgspec"),
        ("mainspring.tasks.retry", "def f():\n    from mainspring.store.rows import Lane\n"),
        ("mainspring.tasks.retry", "from ..store import rows"),
        ("mainspring.store.memory", "from mainspring.engine.timer import Timer"),
        ("mainspring.engine.timer", "from mainspring import settings"),
        ("mainspring.engine.timer", "from mainspring import Daemon"),
        ("mainspring.engine.timer", "import mainspring"),
        ("mainspring.client", "from mainspring.cli import main"),
        ("mainspring", "from mainspring.testing import VirtualClock"),
        ("mainspring.engine.timer", "import apsw"),
        ("mainspring.settings", "import click"),
        ("mainspring.when.cron", "from dateutil.rrule import rrule"),
    ],
)
def test_a_wrong_import_is_found(module, text):
    assert len(rules.wrong_imports(module, text)) == 1


@pytest.mark.parametrize(
    ("module", "text"),
    [
        ("mainspring.when.clock", "import time\nfrom mainspring.errors import Misuse"),
        ("mainspring.engine.timer", "from mainspring.store.protocol import Store\nfrom mainspring.when import clock"),
        ("mainspring.store.sqlite", "import apsw\nfrom mainspring.store import rows\nfrom . import journal"),
        ("mainspring.cli.run", "import click\nfrom mainspring import Daemon\nfrom mainspring.testing import x"),
        ("mainspring", "from mainspring.client import Daemon"),
        ("mainspring.when.rrule", "from dateutil.rrule import rrulestr"),
    ],
)
def test_a_right_import_is_not(module, text):
    assert rules.wrong_imports(module, text) == []


def test_long_files_and_functions_are_found():
    body = "    pass\n" * rules.LINES_OF_A_FUNCTION
    assert "has 61 lines" in lines(rules.too_long("x.py", f"def f():\n{body}"))
    assert "f has 60 lines" in lines(rules.too_long("x.py", "async def f():\n" + "    pass\n" * 59))
    assert rules.too_long("x.py", "def f():\n" + "    pass\n" * 58) == []
    assert "400 lines" in lines(rules.too_long("x.py", "pass\n" * 400))
    assert rules.too_long("x.py", "pass\n" * 399) == []


@pytest.mark.parametrize(
    "text",
    [
        "import time\nnow = time.time()",
        "import time\nclock = time.monotonic_ns",
        "from time import sleep, perf_counter",
        "import datetime\nnow = datetime.datetime.now(tz)",
        "from datetime import datetime\nnow = datetime.now(UTC)",
        "from datetime import date\ndate.today()",
    ],
)
def test_a_reading_of_a_clock_is_found(text):
    assert len(rules.clock_readings("x.py", text)) == 1


def test_other_uses_of_time_are_not_readings():
    text = "import time\nfrom time import sleep\nself.clock.now()\nclock.monotonic()\ntime.sleep(1)\nrow.time.x"
    assert rules.clock_readings("x.py", text) == []


@pytest.mark.parametrize(
    "text",
    [
        "time.sleep(1)",
        "async def test_x():\n    await asyncio.sleep(0.1)",
        "def test_x():\n    start()\n    # a sleeping body is another matter\n    sleep(1)\n",
        "def body():  # a sleeping body\n    pass\nsleep(1)",
    ],
)
def test_a_sleep_is_found(text):
    assert len(rules.sleeps("test_x.py", text)) == 1


@pytest.mark.parametrize(
    "text",
    [
        "time.sleep(1)  # a sleeping body",
        "def body(x: int) -> None:  # a sleeping body: the slow one\n    if x:\n        time.sleep(1)\n",
        "await_ = asyncio.sleep(0)",
        "command = ['sleep', '60']  # sleep(1) in words",
    ],
)
def test_a_sleeping_body_is_not(text):
    assert rules.sleeps("test_x.py", text) == []
