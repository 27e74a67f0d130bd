"""`import mainspring` brings in nothing that is slow and may never be needed."""

import subprocess
import sys

import pytest

SLOW = ("asyncio", "click", "concurrent.futures", "subprocess", "zoneinfo")
PROGRAM = """
import sys
before = set(sys.modules)
import mainspring
print(*sorted(set(sys.modules) - before))
"""


def loaded_by(program: str) -> set[str]:
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=60)
    return set(done.stdout.split())


@pytest.fixture(scope="module")
def loaded():
    return loaded_by(PROGRAM)


@pytest.mark.parametrize("slow", SLOW)
def test_slow_modules_wait_for_their_first_use(loaded, slow):
    assert "mainspring" in loaded
    assert slow not in loaded


def test_the_check_sees_what_is_loaded():
    assert loaded_by(PROGRAM.replace("import mainspring", "import asyncio")) >= {"asyncio", "subprocess"}
