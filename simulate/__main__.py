"""`python -m simulate`: many seeds, on all processors; what failed, and how to see it again."""

import argparse
import gc
import json
import logging
import os
import sys
import time
import traceback
from concurrent.futures import ProcessPoolExecutor, as_completed
from pathlib import Path
from typing import NamedTuple

from simulate.faults import NAMES
from simulate.scenario import SCENARIOS, VERSIONS

REGRESSIONS = Path(__file__).with_name("regressions.json")
_TAIL = 12  # lines of what happened last, of each seed that failed


class Asked(NamedTuple):
    """Which world is to be lived through."""

    scenario: str
    without: tuple[str, ...] = ()
    hours: float | None = None
    trace: int = 60

    def live(self, seed: int) -> tuple[int, float]:
        """How many bodies ran, and how many hours passed; raises what went wrong."""
        hours = {} if self.hours is None else {"hours": self.hours}
        world = SCENARIOS[self.scenario](seed, without=self.without, trace=self.trace, **hours)
        return world.books.ran, world.machine.boot / 3.6e9

    def again(self, seed: int) -> str:
        """The command that shows it again."""
        more = f" --hours {self.hours}" * (self.hours is not None) + f" --without {','.join(self.without)}" * bool(
            self.without
        )
        return f"python -m simulate --scenario {self.scenario} --first {seed} --seeds 1{more} --trace"


class Lived(NamedTuple):
    """What became of a seed; `seconds` of a processor."""

    seed: int
    bodies: int = 0
    hours: float = 0.0
    seconds: float = 0.0
    wrong: str | None = None
    traced: str = ""


def one(asked: Asked, seed: int) -> Lived:
    """Live through one."""
    began = time.process_time()
    logging.getLogger("mainspring").setLevel(logging.CRITICAL + 1)
    try:
        bodies, hours = asked.live(seed)
    except Exception as error:  # noqa: BLE001  # whatever it is, it is told with its seed
        notes = "\n".join(getattr(error, "__notes__", ()))
        error.__notes__ = []
        wrong = f"{type(error).__name__}: {error}"
        traced = "".join(traceback.format_exception(error)) + notes
        return Lived(seed, seconds=time.process_time() - began, wrong=wrong, traced=traced)
    finally:
        gc.collect()  # of the seed before: each of its daemons had a journal of 2 MB
    return Lived(seed, bodies, hours, time.process_time() - began)


def shrink(asked: Asked, seed: int) -> Asked:
    """The same seed with fewer faults and in less time, as long as it fails."""
    for fault in NAMES:
        less = asked._replace(without=(*asked.without, fault))
        asked = less if one(less, seed).wrong is not None else asked
    while (shorter := asked._replace(hours=(asked.hours or 4) / 2)).hours != 0 and one(shorter, seed).wrong is not None:
        asked = shorter
    return asked


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m simulate", description=__doc__)
    parser.add_argument("--scenario", choices=SCENARIOS, default="storm")
    parser.add_argument("--seeds", type=int, default=100, help="how many")
    parser.add_argument("--first", type=int, default=1, help="the first of them")
    parser.add_argument("--jobs", type=int, default=os.cpu_count(), help="how many at a time")
    parser.add_argument("--hours", type=float, help="how long everything goes wrong")
    parser.add_argument("--without", default="", help=f"faults that do not happen, with commas: {', '.join(NAMES)}")
    parser.add_argument("--trace", action="store_true", help="all that happened, of each seed that fails")
    parser.add_argument("--shrink", action="store_true", help="look for fewer faults with which a seed fails")
    parser.add_argument("--json", action="store_true", help="the summary as one JSON document")
    return parser


def _tell(asked: Asked, lived: Lived, *, trace: bool, smaller: bool) -> None:
    lines = lived.traced.splitlines()
    print(f"seed {lived.seed} (version {VERSIONS[asked.scenario]}): {lived.wrong}", file=sys.stderr)
    print("\n".join(lines if trace else lines[-_TAIL:]), file=sys.stderr)
    if smaller:
        asked = shrink(asked, lived.seed)
    print(f"  again: {asked.again(lived.seed)}", file=sys.stderr, flush=True)


def main() -> int:
    """The command."""
    said = _parser().parse_args()
    without = tuple(name for name in said.without.split(",") if name)
    if unknown := set(without).difference(NAMES):
        raise SystemExit(f"there are no such faults: {', '.join(sorted(unknown))}; there are {', '.join(NAMES)}")
    asked = Asked(said.scenario, without, said.hours, 1_000_000 if said.trace else 60)
    began, all_lived, failed = time.monotonic(), list[Lived](), list[int]()
    seeds = range(said.first, said.first + said.seeds)
    with ProcessPoolExecutor(said.jobs) as pool:
        for future in as_completed([pool.submit(one, asked, seed) for seed in seeds]):
            lived = future.result()
            all_lived.append(lived._replace(traced=""))
            if lived.wrong is not None:
                failed.append(lived.seed)
                _tell(asked, lived, trace=said.trace, smaller=said.shrink)
            if sys.stderr.isatty():
                print(f"\r{len(all_lived):,} of {said.seeds:,}, {len(failed)} failed ", end="", file=sys.stderr)
    hours, cpu = sum(one.hours for one in all_lived), sum(one.seconds for one in all_lived)
    speed = round(hours / max(cpu / 60, 1e-9))
    seconds, bodies = round(time.monotonic() - began, 1), sum(one.bodies for one in all_lived)
    if said.json:
        told = {"scenario": said.scenario, "version": VERSIONS[said.scenario], "first": said.first, "seeds": said.seeds,
                "failed": sorted(failed), "bodies": bodies, "hours": round(hours, 1), "seconds": seconds,
                "hours_per_cpu_minute": speed}  # fmt: skip
        print(json.dumps(told))
    else:
        print(f"{said.seeds:,} seeds from {said.first} on, {bodies:,} bodies, {hours:,.0f} h in {seconds} s; "
              f"{len(failed)} failed\n{speed:,} simulated hours in a minute of one processor")  # fmt: skip
    return bool(failed)


if __name__ == "__main__":
    sys.exit(main())
