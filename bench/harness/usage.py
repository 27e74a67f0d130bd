"""Processor time and wake-ups of processes and their children, from /proc (Linux)."""

import threading
from pathlib import Path


def family(roots: list[int]) -> list[int]:
    """These processes and all their descendants that live."""
    found, todo = [], list(roots)
    while todo:
        pid = todo.pop()
        found.append(pid)
        for children in Path(f"/proc/{pid}/task").glob("*/children"):
            todo += map(int, children.read_text().split())
    return found


def usage(pids: list[int]) -> tuple[int, float]:
    """Voluntary context switches, and seconds on a processor, of all threads but the one that asks."""
    asks, switches, seconds = threading.get_native_id(), 0, 0.0
    for pid in pids:
        for thread in Path(f"/proc/{pid}/task").iterdir():
            if int(thread.name) != asks:
                try:
                    switches += _voluntary((thread / "status").read_text())
                    seconds += int((thread / "schedstat").read_text().split()[0]) / 1e9
                except FileNotFoundError:  # a thread that just ended
                    continue
    return switches, seconds


def _voluntary(status: str) -> int:
    return next(int(line.split()[1]) for line in status.splitlines() if line.startswith("voluntary_ctxt_switches"))
