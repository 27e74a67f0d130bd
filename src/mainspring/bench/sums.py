"""What many runs come to: medians of percentiles, counts over all of them, and how they are written."""

from mainspring.bench.figures import Started, median, rank


def all_late(runs: list[Started]) -> list[int]:
    """The lateness of each task of all runs, µs."""
    return [late for run in runs for late in run.late]


def total(runs: list[Started], word: str) -> int:
    """How many tasks of all runs were `word`: early, lost or twice."""
    return sum(int(getattr(run, word)) for run in runs)


def counts(runs: list[Started]) -> str:
    """How many were early, lost or twice."""
    return " / ".join(str(total(runs, word)) for word in ("early", "lost", "twice"))


def percentile(runs: list[Started], share: float) -> float:
    """The median, over the runs, of each run's percentile, µs."""
    return median([float(rank(run.late, share)) for run in runs])


def both(runs: list[Started]) -> str:
    """The p50 and the p99."""
    return f"{ms(percentile(runs, 0.5))}, {ms(percentile(runs, 0.99))}"


def ratio(runs: list[Started], beside: list[Started]) -> float:
    """How many times later these were than those, at p99."""
    return percentile(runs, 0.99) / percentile(beside, 0.99)


def last(runs: list[Started]) -> float:
    """When the last one of a run started, µs after its instant; the median."""
    return median([float(run.late[-1]) for run in runs])


def ms(us: float) -> str:
    """µs, as milliseconds are written."""
    return f"{us / 1000:.2f} ms"
