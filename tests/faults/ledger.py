"""The figures of tests that break things on purpose, in one table at the end of the run.

A test takes the fixture `ledger` and says what it found, before it asserts that there is nothing to find:
`ledger.add("kill -9 of the daemon", runs=1, lost=0, twice=3, unexplained=0, integrity=0)`. Lines of one fault are
summed, also over the processes of xdist. `tests/conftest.py` brings both names to every room.
"""

import json

import pytest

_PROPERTY = "fault"
_COLUMNS = ("runs", "lost", "twice", "unexplained", "integrity")


class Ledger:
    """What one test has to tell. `properties`: the `user_properties` of its item, which travel with its report."""

    def __init__(self, properties):
        self._properties = properties

    def add(self, fault, runs, lost=0, twice=0, integrity=0, unexplained=0):
        """`runs` times it was done. `lost`: accepted and not there; `twice`: ran again, as a crash explains;
        `unexplained`: ran again, and nothing explains it; `integrity`: damage that SQLite's check found.
        """
        line = (fault, runs, lost, twice, unexplained, integrity)
        self._properties.append((_PROPERTY, json.dumps(line)))


@pytest.fixture
def ledger(request):
    """Where a test writes what a fault did."""
    return Ledger(request.node.user_properties)


def table(lines):
    """The lines, summed by fault, as text."""
    sums = {}
    for fault, *figures in lines:
        before = sums.get(fault, (0,) * len(_COLUMNS))
        sums[fault] = tuple(a + b for a, b in zip(before, figures, strict=True))
    if not sums:
        return []
    wide = max(len("fault"), *map(len, sums))
    rows = [("fault", *_COLUMNS), *((fault, *(f"{figure:,}" for figure in sums[fault])) for fault in sums)]
    return [f"{row[0]:<{wide}}" + "".join(f"{cell:>13}" for cell in row[1:]) for row in rows]


def pytest_terminal_summary(terminalreporter):
    """Print the table, when there is anything in it."""
    reports = [report for kind in ("passed", "failed") for report in terminalreporter.stats.get(kind, ())]
    found = [
        json.loads(value)
        for report in reports
        if getattr(report, "when", "") == "call"
        for name, value in report.user_properties
        if name == _PROPERTY
    ]
    lines = table(found)
    if lines:
        terminalreporter.section("faults")
        for line in lines:
            terminalreporter.write_line(line)
