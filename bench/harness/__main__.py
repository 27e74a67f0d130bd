"""`python -m bench.harness`: measure, print, write."""

import argparse
import sys
from pathlib import Path

from bench.harness.plan import ROOT, SHORT, SIZES, progress, run
from bench.harness.report import load, table, write

FILES = sorted(path.stem for path in (ROOT / "bench" / "peers").glob("*.py") if path.stem != "__init__")


def main() -> int:
    """0, or 1 when a measurement failed."""
    parser = argparse.ArgumentParser(prog="make bench-peers", description="Measure schedulers beside each other.")
    parser.add_argument("--python", type=Path, required=True, help="the interpreter of the peers' environment")
    parser.add_argument("--out", type=Path, required=True, help="where to write peers.json, peers.md and the pictures")
    parser.add_argument("--short", action="store_true", help="smaller sizes: some minutes for one round")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--workers", type=int, default=4)
    parser.add_argument("--only", nargs="+", choices=SIZES, default=list(SIZES), metavar="KIND", help=" ".join(SIZES))
    parser.add_argument("--peers", nargs="+", choices=FILES, default=FILES, metavar="FILE", help=" ".join(FILES))
    parser.add_argument("--dir", help="where to make the queues (a real disk)")
    parser.add_argument("--conditions", default="", help="a sentence for the result: what else the machine did")
    parser.add_argument("--again", action="store_true", help="measure nothing: write anew from DIR/peers.json")
    said = parser.parse_args()
    if said.again:
        results = load(said.out)
    else:
        results = run(
            python=str(said.python.absolute()),
            files=said.peers,
            kinds=said.only,
            rounds=said.rounds,
            workers=said.workers,
            sizes=SHORT if said.short else SIZES,
            place=said.dir,
            conditions=said.conditions,
        )
    write(results, said.out)
    sys.stdout.write(table(results))
    progress(f"written: peers.json, peers.md and two pictures in {said.out}")
    return 1 if any(one.failed for one in results.measured) else 0


if __name__ == "__main__":
    sys.exit(main())
