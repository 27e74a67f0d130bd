"""The figures as a table and as files, and which promises they break."""

from pathlib import Path

import msgspec

from mainspring.bench.figures import Figures, median
from mainspring.bench.picture import histogram
from mainspring.bench.rows import Row, rows_of
from mainspring.bench.sums import all_late, last, ms, ratio, total

BARE = "a bare thread that only sleeps"
# What `--check` holds us to. The goals in the table are stricter: a shared machine may miss those now and then.
WORST_RATIO = 2.0
WORST_BURST_US = 150_000
WORST_PROCESS_BURST_US = 400_000
WORST_FLOOD = 2  # bodies of the others
LEAST_RATE = 30_000
LEAST_RATE_BESIDE = 10_000
LEAST_PROCESS_RATE = 15_000


def table(figures: Figures) -> str:
    """Fixed width, for a terminal."""
    rows: list[Row] = [("", "measured", "beside it", "goal"), *rows_of(figures)]
    widths = [max(len(row[column]) for row in rows) for column in range(3)]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, [*widths, 0], strict=True)) for row in rows]
    return "\n" + "\n".join(line.rstrip() for line in [lines[0], "─" * max(map(len, lines)), *lines[1:]]) + "\n\n"


def markdown(figures: Figures) -> str:
    """The page `latest.md`."""
    machine = figures.machine
    lines = [
        "# The last full run" if not figures.smoke else "# A smoke run: these figures mean nothing",
        "",
        f"`mainspring bench`, {figures.at}: Mainspring {machine.version}, {machine.python}, {machine.system}, "
        f"{machine.cpus} processors, {machine.filesystem}, load {machine.load} before the run. "
        "Medians of alternating runs, one at a time, each in a process of its own.",
        "",
        "| | measured | beside it | goal |",
        "|---|---|---|---|",
        *(f"| {' | '.join(row)} |" for row in rows_of(figures)),
        "",
    ]
    if figures.lateness and figures.bare:
        lines += ["![How late tasks start, beside a bare thread](lateness.svg)", ""]
    return "\n".join(lines)


def write(figures: Figures, out: Path, name: str = "latest") -> None:
    """Write `<name>.json`, `<name>.md` and, where it was measured, `lateness.svg` into a directory, which is made."""
    out.mkdir(parents=True, exist_ok=True)
    (out / f"{name}.json").write_bytes(msgspec.json.format(msgspec.json.encode(figures), indent=1) + b"\n")
    (out / f"{name}.md").write_text(markdown(figures))
    if figures.lateness and figures.bare:
        (out / "lateness.svg").write_text(
            histogram(
                "How late a task at a random instant starts" if not figures.smoke else "How late (a smoke run)",
                [
                    ("Mainspring", all_late(figures.lateness)),
                    (BARE, all_late(figures.bare)),
                ],
            )
        )


def broken(figures: Figures) -> list[str]:
    """The promises that these figures break. A smoke run is only held to what no load excuses."""
    return _wrong(figures) + ([] if figures.smoke else _slow(figures))


def _wrong(figures: Figures) -> list[str]:
    """What started early, twice or never."""
    groups = {
        "lateness": figures.lateness,
        "beside a thread that computes": figures.lateness_beside,
        "burst": figures.burst,
        "programs": [one.started for one in figures.programs],
        "processes": [run for one in figures.crowds for run in (one.alone, one.crowded)] + figures.process_burst,
        "flood": [one.timed for one in figures.floods],
        "million": figures.million,
        "schedules": [one.started for one in figures.planned],
        "capacity": [run for one in figures.capacity for run in (*one.late[0], *one.late[1], one.pruned.started)],
    }
    found = [
        f"{name}: {count} {word}"
        for name, runs in groups.items()
        for word in ("early", "lost", "twice")
        if (count := total(runs, word))
    ]
    loads = [one.flow for full in figures.capacity for one in (*full.load, full.history)]
    return found + [
        f"throughput: {flow.succeeded} of {flow.tasks} tasks succeeded, {flow.twice} ran twice"
        for flow in (*figures.flow, *figures.flow_beside, *figures.process_flow, *loads)
        if flow.succeeded != flow.tasks or flow.twice
    ]


def _slow(figures: Figures) -> list[str]:
    """What was slower than it may be on a shared machine."""
    found = []
    if figures.lateness and figures.bare and (times := ratio(figures.lateness, figures.bare)) > WORST_RATIO:
        found.append(f"lateness: p99 is {times:.2f} times that of a bare thread, more than {WORST_RATIO:g}")
    for name, runs, worst in (
        ("burst", figures.burst, WORST_BURST_US),
        ("burst on processes", figures.process_burst, WORST_PROCESS_BURST_US),
    ):
        if runs and (latest := last(runs)) > worst:
            found.append(f"{name}: the last started after {ms(latest)}, later than {ms(worst)}")
    for name, flows, least in (
        ("throughput", figures.flow, LEAST_RATE),
        ("throughput beside a thread that computes", figures.flow_beside, LEAST_RATE_BESIDE),
        ("throughput on processes", figures.process_flow, LEAST_PROCESS_RATE),
    ):
        if flows and (rate := median([flow.rate for flow in flows])) < least:
            found.append(f"{name}: {rate:,.0f} tasks/s, fewer than {least:,}")
    return found + [
        f"flood: one started after {ms(flood.timed.late[-1])} among bodies of {flood.body_ms:g} ms"
        for flood in figures.floods
        if flood.timed.late[-1] > WORST_FLOOD * flood.body_ms * 1000
    ]
