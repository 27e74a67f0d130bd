"""How long whole commands take, beside the interpreter that does nothing."""

import subprocess
import sys

from mainspring.bench.figures import Commands, median
from mainspring.when.clock import SystemClock

_clock = SystemClock()
_IMPORT = """
import time
began = time.perf_counter()
import mainspring
print(time.perf_counter() - began)
"""


def commands(runs: int) -> Commands:
    """Each of them so often, in turns; medians, in ms."""
    bare, imported, help_, at = [], [], [], []
    for _ in range(runs):
        bare.append(_took("-c", "pass"))
        imported.append(float(_run("-c", _IMPORT)) * 1000)
        help_.append(_took("-m", "mainspring", "--help"))
        at.append(_took("-m", "mainspring", "at", "+30d", "--store", "bench.db", "--", "true"))
    return Commands(bare_ms=median(bare), import_ms=median(imported), help_ms=median(help_), at_ms=median(at))


def _took(*arguments: str) -> float:
    began = _clock.monotonic()
    _run(*arguments)
    return (_clock.monotonic() - began) / 1000


def _run(*arguments: str) -> str:
    return subprocess.run([sys.executable, *arguments], capture_output=True, text=True, check=True).stdout
