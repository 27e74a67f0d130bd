"""The figures this project holds itself to, measured side by side with what they are compared to.

Each measurement runs in a process of its own (`child.py`), one at a time, so that none disturbs another. `plan.py` says
what is measured and in which order, `figures.py` what came of it, `report.py` and `picture.py` show it.
"""

from collections.abc import Sequence


def main(argv: Sequence[str] | None = None) -> int:
    """Measure and print; 0, or with `--check` 1 when a promise was broken (said which), 2 for a wrong call."""
    import argparse

    from mainspring.bench.plan import MORE_PARTS, PARTS, PENDING, run

    known = PARTS + MORE_PARTS
    parser = argparse.ArgumentParser(
        prog="mainspring bench",
        description="Measure lateness, throughput and idle cost on this machine. A full run takes a quarter of an "
        "hour; let nothing else run meanwhile.",
    )
    parser.add_argument("--smoke", action="store_true", help="a quick run that only shows that it works")
    parser.add_argument("--check", action="store_true", help="exit with 1 when a promise was broken")
    parser.add_argument("--out", metavar="DIRECTORY", help="write latest.json, latest.md and lateness.svg there")
    parser.add_argument("--dir", metavar="DIRECTORY", help="where to make the stores that are measured (a real disk)")
    parser.add_argument("--only", metavar="PART", nargs="+", default=PARTS, help=f"only these: {' '.join(known)}")
    parser.add_argument(
        "--pending", metavar="N", type=int, default=PENDING, help=f"tasks of `--only capacity` (default: {PENDING:,})"
    )
    try:
        said = parser.parse_args(argv)
        if wrong := set(said.only) - set(known):
            parser.error(f"--only knows {', '.join(known)}; not {', '.join(sorted(wrong))}")
    except SystemExit as exit_:  # argparse has said what is wrong, or shown its help
        return exit_.code if isinstance(exit_.code, int) else 2
    return run(
        smoke=said.smoke, check=said.check, out=said.out, directory=said.dir, parts=said.only, pending=said.pending
    )
