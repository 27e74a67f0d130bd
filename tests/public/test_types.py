"""Type checkers refuse wrong calls and know the type of a result: mypy, over one sample file."""

import re
import subprocess
import sys
from pathlib import Path

SAMPLE = Path(__file__).parents[1] / "types" / "sample.py"
_EXPECTED = re.compile(r"# E: (\S+)$")
_FOUND = re.compile(r"sample\.py:(\d+): error: .*\[([\w-]+)\]$")


def test_mypy_refuses_the_wrong_calls_and_no_others(tmp_path):
    command = [sys.executable, "-m", "mypy", "--strict", "--no-error-summary", "--hide-error-context", "--no-pretty"]
    command += ["--follow-imports=silent", "--cache-dir", str(SAMPLE.parents[2] / ".mypy_cache"), str(SAMPLE)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=110, cwd=SAMPLE.parents[2])
    found = {int(m[1]): m[2] for line in done.stdout.splitlines() if (m := _FOUND.search(line))}
    lines = SAMPLE.read_text().splitlines()
    expected = {number: m[1] for number, line in enumerate(lines, 1) if (m := _EXPECTED.search(line))}
    assert len(expected) > 10
    assert found.keys() == expected.keys(), done.stdout + done.stderr
    for number, code in found.items():
        assert re.fullmatch(expected[number], code), (lines[number - 1], code)
