"""One measurement in a process of its own.

`python -m mainspring.bench.child NAME '{...}'` prints its figures as JSON.
"""

import os
import subprocess
import sys
import tempfile
from collections.abc import Callable
from typing import TypeVar

import msgspec

T = TypeVar("T")


class ChildFailed(Exception):
    """A measurement that came to no end; the message has what it wrote."""


def measure(name: str, kind: type[T], directory: str | None, **numbers: float | str) -> T:
    """Run the measurement `name` in a fresh process and a fresh directory; what it measured."""
    with tempfile.TemporaryDirectory(prefix="mainspring-bench-", dir=directory) as place:
        return measure_in(place, name, kind, **numbers)


def measure_in(place: str, name: str, kind: type[T], **numbers: float | str) -> T:
    """The same in a directory that is there already."""
    environment = {key: value for key, value in os.environ.items() if not key.startswith("MAINSPRING_")}
    done = subprocess.run(
        [sys.executable, "-m", "mainspring.bench.child", name, msgspec.json.encode(numbers).decode()],
        cwd=place,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        raise ChildFailed(f"the measurement of {name} failed with exit code {done.returncode}:\n{done.stderr.strip()}")
    return msgspec.json.decode(done.stdout, type=kind)


def main(name: str, numbers: str) -> None:
    """Measure, in this process, in the current directory."""
    from mainspring.bench import capacity, commands, crowds, idle, neighbour, planned, rates, starts

    known: dict[str, Callable[..., object]] = {
        "lateness": starts.lateness,
        "bare": starts.bare,
        "burst": starts.burst,
        "programs": starts.programs,
        "flow": rates.flow,
        "flow_beside": neighbour.flow,
        "lateness_beside": neighbour.lateness,
        "bare_beside": neighbour.bare,
        "adds": rates.adds,
        "idle": idle.idle,
        "crowd": crowds.crowd,
        "pair": crowds.pair,
        "process_burst": crowds.process_burst,
        "process_flow": crowds.process_flow,
        "flood": crowds.flood,
        "commands": commands.commands,
        "fill": capacity.fill,
        "resting": capacity.resting,
        "looks": capacity.looks,
        "load": capacity.load,
        "prune": capacity.prune,
        "planned": planned.planned,
    }
    figures = known[name](**msgspec.json.decode(numbers))
    sys.stdout.write(msgspec.json.encode(figures).decode())


if __name__ == "__main__":
    main(*sys.argv[1:])
