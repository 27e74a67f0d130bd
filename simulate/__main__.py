"""`python -m simulate`: many seeds, on all processors; what failed, and how to see it again."""

import argparse
import gc
import logging
import os
import sys
import time
import traceback
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor, as_completed

from simulate import scenario
from simulate.world import World

SCENARIOS: dict[str, Callable[[int], World]] = {"storm": scenario.storm, "year": scenario.year}


def one(name: str, seed: int) -> tuple[int, int, float, float, str | None]:
    """Run a seed: how many bodies ran, how many hours passed, in how many seconds of a processor, what was wrong."""
    began = time.process_time()
    logging.getLogger("mainspring").setLevel(logging.CRITICAL + 1)
    try:
        world = SCENARIOS[name](seed)
    except Exception as error:  # noqa: BLE001  # whatever it is, it is told with its seed
        return seed, 0, 0.0, time.process_time() - began, f"{type(error).__name__}: {error}\n{traceback.format_exc()}"
    finally:
        gc.collect()  # of the seed before: each of its daemons had a journal of 2 MB
    return seed, world.books.ran, world.machine.boot / 3.6e9, time.process_time() - began, None


def main() -> int:
    """The command."""
    parser = argparse.ArgumentParser(prog="python -m simulate", description=__doc__)
    parser.add_argument("--scenario", choices=SCENARIOS, default="storm")
    parser.add_argument(
        "--seeds", type=int, default=100, help="how many; of a single one all is told that led to a failure"
    )
    parser.add_argument("--first", type=int, default=1, help="the first seed")
    parser.add_argument("--jobs", type=int, default=os.cpu_count(), help="how many at a time")
    said = parser.parse_args()
    began, ran, hours, failed, cpu = time.monotonic(), 0, 0.0, 0, 0.0
    seeds = range(said.first, said.first + said.seeds)
    with ProcessPoolExecutor(said.jobs) as pool:
        for future in as_completed([pool.submit(one, said.scenario, seed) for seed in seeds]):
            seed, bodies, length, took, wrong = future.result()
            cpu += took
            ran, hours, failed = ran + bodies, hours + length, failed + (wrong is not None)
            if wrong is not None:
                print(f"seed {seed}: {wrong if said.seeds == 1 else wrong.splitlines()[0]}", flush=True)
                print(f"  again: make simulate SCENARIO={said.scenario} SEEDS=1 FIRST={seed}", flush=True)
    print(f"{said.seeds} seeds, {ran:,} bodies, {hours:,.0f} h in {time.monotonic() - began:.1f} s; {failed} failed")
    print(f"{hours / max(cpu / 60, 1e-9):,.0f} simulated hours in a minute of one processor")
    return failed > 0


if __name__ == "__main__":
    sys.exit(main())
