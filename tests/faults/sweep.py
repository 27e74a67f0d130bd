"""Many points at which something breaks, each in a process of its own (`points.py`), and what they found.

`CHAOS=1` asks for the long form: every point of many seeds, where the short form takes some of one.
"""

import json
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Lock

LONG = os.environ.get("CHAOS") == "1"
FIRST = int(os.environ.get("CHAOS_SEED", "1"))
_WIDE = 2 if LONG else 1
_POINTS = Path(__file__).with_name("points.py")


def seeds(count):
    """That many of them in the long form; one in the short."""
    return range(FIRST, FIRST + (count if LONG else 1))


def some(numbers, step):
    """All of them in the long form; every `step`-th in the short."""
    return numbers if LONG else numbers[:: step or 1]


def run(points):
    """What was found at each of the points, as (point, found), in any order."""
    left, lock, found = iter(points), Lock(), []

    def work():
        with subprocess.Popen([sys.executable, _POINTS], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
            while True:
                with lock:
                    point = next(left, None)
                if point is None:
                    process.stdin.close()
                    return
                process.stdin.write(json.dumps(point).encode() + b"\n")
                process.stdin.flush()
                found.append((point, json.loads(process.stdout.readline())))

    with ThreadPoolExecutor(_WIDE) as pool:
        for one in [pool.submit(work) for _ in range(_WIDE)]:
            one.result()
    return found


def calls(seed):
    """How many calls of each kind a row of steps makes, and `writing`: of all that change the disk."""
    [(_, found)] = run([{"do": "calls", "seed": seed}])
    assert found["wrong"] == []
    return found


def judged(ledger, fault, points):
    """Run them, write the figures of those that were reached into the ledger, and assert that nothing is wrong."""
    found = run(points)
    reached = [one for _, one in found if one["reached"]]
    ledger.add(
        fault,
        runs=len(reached),
        lost=sum(one["lost"] for one in reached),
        twice=sum(one["twice"] for one in reached),
        integrity=sum(one["integrity"] for one in reached),
    )
    assert [(point, one["wrong"]) for point, one in found if one["wrong"]] == []
    assert reached
    return reached
