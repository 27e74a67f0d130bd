"""What is measured and in which order: round after round, peers taking turns within each measurement."""

import json
import os
import platform
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

import msgspec

from bench.harness.results import MAINSPRING, Machine, Measured, Peer, Results

ROOT = Path(__file__).resolve().parents[2]
SIZES: dict[str, dict[str, float]] = {
    "lateness": {"count": 500, "over_s": 10},
    "burst": {"count": 10_000},
    "bulk": {"count": 10_000},
    "single": {"count": 1_000},
    "idle": {"seconds": 10},
}
SHORT: dict[str, dict[str, float]] = {
    "lateness": {"count": 200, "over_s": 4},
    "burst": {"count": 2_000},
    "bulk": {"count": 2_000},
    "single": {"count": 300},
    "idle": {"seconds": 10},
}
_LIMIT_S = 300  # for one measurement


class Told(msgspec.Struct):
    """What a peer's file says of itself (`child.tell`)."""

    variants: list[dict[str, str]]
    packages: dict[str, str]
    python: str
    said: list[str]


def run(
    *,
    python: str,
    files: Sequence[str],
    kinds: Sequence[str],
    rounds: int,
    workers: int,
    sizes: dict[str, dict[str, float]],
    place: str | None,
    conditions: str,
) -> Results:
    """Measure. `python` is the interpreter of the peers' environment; Mainspring runs in this one's."""
    began, at, load = time.monotonic(), datetime.now(UTC), os.getloadavg()[0]
    first = sorted(files, key=lambda file: file != MAINSPRING)
    told = {file: _told(python, file) for file in first}
    peers = [Peer(file=file, **variant) for file, one in told.items() for variant in one.variants]
    said = [line for one in told.values() for line in one.said]
    for line in said:
        progress(line.upper() if line.startswith("No ") else line)
    measured = []
    for number in range(1, rounds + 1):
        for kind in kinds:
            turn = random.sample(peers, len(peers))
            for peer in turn:
                progress(f"round {number} of {rounds}, {kind}: {peer.title}")
                measured.append(_measure(python, peer, kind, number, workers, sizes[kind], place))
                if (failed := measured[-1].failed) is not None:
                    progress(f"  failed: {failed}")
    return Results(
        at=at.isoformat(timespec="seconds"),
        conditions=conditions,
        commit=_commit(),
        minutes=round((time.monotonic() - began) / 60, 1),
        workers=workers,
        sizes={kind: sizes[kind] for kind in kinds},
        rounds=rounds,
        machine=Machine(
            python=" and ".join(sorted({one.python for one in told.values()})),
            system=f"{platform.system()} {platform.release()} {platform.machine()}",
            cpus=os.cpu_count() or 0,
            filesystem=_filesystem(place),
            load_before=round(load, 2),
            load_after=round(os.getloadavg()[0], 2),
        ),
        packages={name: version for one in told.values() for name, version in one.packages.items()},
        said=said,
        peers=peers,
        measured=measured,
    )


def progress(text: str) -> None:
    """A line for who waits."""
    sys.stderr.write(f"{text}\n")
    sys.stderr.flush()


def _told(python: str, file: str) -> Told:
    with tempfile.TemporaryDirectory(prefix="bench-peers-") as place:
        code, out, errors = _child(python, place, file)
    if code != 0:
        raise SystemExit(f"bench/peers/{file}.py cannot be asked what it has:\n{errors.strip()}")
    return msgspec.json.decode(out, type=Told)


def _measure(
    python: str, peer: Peer, kind: str, number: int, workers: int, numbers: dict[str, float], place: str | None
) -> Measured:
    with tempfile.TemporaryDirectory(prefix="bench-peers-", dir=place, ignore_cleanup_errors=True) as own:
        code, out, errors = _child(python, own, peer.file, peer.key, kind, str(workers), json.dumps(numbers))
    one = Measured(key=peer.key, kind=kind, round=number)
    if code != 0:
        why = errors.strip().splitlines()[-1:] or ["no word"]
        return msgspec.structs.replace(one, failed=f"exit code {code}: {why[0]}")
    return msgspec.structs.replace(one, figures=msgspec.json.decode(out, type=dict[str, float]))


def _child(python: str, place: str, file: str, *how: str) -> tuple[int, str, str]:
    """Exit code, output and messages of one measurement; whatever it started is ended with it."""
    program = sys.executable if file == MAINSPRING else python
    environment = {key: value for key, value in os.environ.items() if not key.startswith("MAINSPRING_")}
    environment |= {"PYTHONPATH": str(ROOT), "BENCH_NOTES": os.path.join(place, "notes")}
    with open(os.path.join(place, "out"), "w+") as out, open(os.path.join(place, "errors"), "w+") as errors:
        child = subprocess.Popen(
            [program, "-m", "bench.harness.child", file, *how],
            cwd=place,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=errors,
            start_new_session=True,
        )
        try:
            child.wait(_LIMIT_S)
        except subprocess.TimeoutExpired:
            errors.write(f"\nno end after {_LIMIT_S} s")
        finally:
            try:
                os.killpg(child.pid, signal.SIGKILL)
            except ProcessLookupError:  # all of them have ended
                pass
            child.wait()
        out.seek(0)
        errors.seek(0)
        return child.returncode, out.read(), errors.read()


def _commit() -> str:
    command = ["git", "-C", str(ROOT), "describe", "--always", "--dirty", "--exclude", "*"]
    try:
        told = subprocess.run(command, capture_output=True, text=True, check=False).stdout.strip()
    except FileNotFoundError:
        told = ""
    return told or "unknown"


def _filesystem(place: str | None) -> str:
    path = os.path.realpath(place or tempfile.gettempdir())
    told = subprocess.run(["stat", "-f", "-c", "%T", path], capture_output=True, text=True, check=False)
    return told.stdout.strip() or "unknown"
