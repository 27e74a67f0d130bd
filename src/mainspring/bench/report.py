"""The figures as a table and as files, and which promises they break."""

from collections.abc import Callable
from pathlib import Path

import msgspec

from mainspring.bench.figures import Capacity, Figures, Load, Pruned, Started, median, rank
from mainspring.bench.picture import histogram

# What `--check` holds us to. The goals in the table are stricter: a shared machine may miss those now and then.
WORST_RATIO = 2.0
WORST_BURST_US = 150_000
LEAST_RATE = 30_000

Row = tuple[str, str, str, str]  # what, measured, beside, goal


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
                [("Mainspring", _all(figures.lateness)), ("a bare thread that only sleeps", _all(figures.bare))],
            )
        )


def broken(figures: Figures) -> list[str]:
    """The promises that these figures break. A smoke run is only held to what no load excuses."""
    groups = {
        "lateness": figures.lateness,
        "burst": figures.burst,
        "programs": [one.started for one in figures.programs],
        "capacity": [run for one in figures.capacity for run in (*one.late[0], *one.late[1], one.pruned.started)],
    }
    found = []
    for name, runs in groups.items():
        for word, count in (
            ("early", _sum(runs, "early")),
            ("lost", _sum(runs, "lost")),
            ("twice", _sum(runs, "twice")),
        ):
            if count:
                found.append(f"{name}: {count} {word}")
    crowds = [one.flow for full in figures.capacity for one in (*full.load, full.history)]
    found += [
        f"throughput: {flow.succeeded} of {flow.tasks} tasks succeeded, {flow.twice} ran twice"
        for flow in (*figures.flow, *crowds)
        if flow.succeeded != flow.tasks or flow.twice
    ]
    if figures.smoke:
        return found
    if figures.lateness and figures.bare and (ratio := _ratio(figures)) > WORST_RATIO:
        found.append(f"lateness: p99 is {ratio:.2f} times that of a bare thread, more than {WORST_RATIO:g}")
    if figures.burst and (last := _last(figures.burst)) > WORST_BURST_US:
        found.append(f"burst: the last started after {_ms(last)}, later than {_ms(WORST_BURST_US)}")
    if figures.flow and (rate := median([flow.rate for flow in figures.flow])) < LEAST_RATE:
        found.append(f"throughput: {rate:,.0f} tasks/s, fewer than {LEAST_RATE:,}")
    return found


def rows_of(figures: Figures) -> list[Row]:
    """The lines of the table; only of what was measured."""
    rows: list[Row] = []
    for part in (_lateness_rows, _burst_rows, _rate_rows, _idle_rows, _program_rows, _capacity_rows):
        rows += part(figures)
    return rows


# ── lines ──────────────────────────────────────────────────────────────────────────────────────────────────────


def _lateness_rows(figures: Figures) -> list[Row]:
    if not (figures.lateness and figures.bare):
        return []
    runs = figures.lateness
    what = f"due → started, {len(runs[0].late)} at random, {len(runs)}×"

    def row(share: float, name: str, goal: str) -> Row:
        ours, bare = _percentile(runs, share), _percentile(figures.bare, share)
        return f"{what}, {name}", _ms(ours), f"{_ms(bare)} bare thread ({ours / bare:.2f}×)", goal

    return [
        row(0.5, "p50", ""),
        row(0.99, "p99", "≤ 2× and < 1.5 ms"),
        ("early / lost / twice", _counts(runs), "", "0 / 0 / 0"),
    ]


def _burst_rows(figures: Figures) -> list[Row]:
    if not (runs := figures.burst):
        return []
    what = f"{len(runs[0].late):,} due at one instant"
    first = median([float(run.late[0]) for run in runs])
    return [
        (f"{what}: first, last started after", f"{_ms(first)}, {_ms(_last(runs))}", "", "last ≤ 100 ms"),
        ("early / lost / twice", _counts(runs), "", "0 / 0 / 0"),
    ]


def _rate_rows(figures: Figures) -> list[Row]:
    rows: list[Row] = []
    if figures.flow:
        rate = median([flow.rate for flow in figures.flow])
        rows.append(("add in bulk + run + record, durable", f"{rate:,.0f} tasks/s", "", "60,000/s"))
    if figures.adds:
        fsync = median([adds.fsync for adds in figures.adds])
        for name, pick in _THREADS:
            rate = median([pick(adds) for adds in figures.adds])
            beside = f"{fsync:,.0f} fsync/s ({rate / fsync:.2f}×)"
            rows.append((f"add one by one, {name}", f"{rate:,.0f} tasks/s", beside, "the disk's fsync rate"))
    return rows


_THREADS: list[tuple[str, Callable[..., float]]] = [
    ("1 thread", lambda adds: adds.one),
    ("8 threads", lambda adds: adds.eight),
]


def _idle_rows(figures: Figures) -> list[Row]:
    rows: list[Row] = []
    for idle in figures.idle:
        beside = f"{idle.memory_mb:.0f} MB, up in {idle.start_ms:.0f} ms"
        if idle.bytes_per_task is not None:
            beside += f", {idle.bytes_per_task:.0f} B/task"
        rows.append(
            (
                f"idle, {idle.pending:,} pending",
                f"{idle.switches_per_s:.2f} wake-ups/s, {idle.cpu_ms_per_s:.1f} ms CPU/s",
                beside,
                "< 0.1 wake-ups/s, no CPU",
            )
        )
    return rows


def _program_rows(figures: Figures) -> list[Row]:
    rows: list[Row] = []
    for one in figures.programs:
        late = one.started.late
        if not late:
            continue
        own = f"own clock {_ms(rank(one.own, 0.5))}, {_ms(rank(one.own, 0.99))}" if one.own else ""
        figure = f"{_ms(rank(late, 0.5))}, {_ms(rank(late, 0.99))}"
        rows.append((f"programs at random instants, {len(late)}: p50, p99", figure, own, "none early"))
    return rows


def _capacity_rows(figures: Figures) -> list[Row]:
    return [
        (f"{one.keyed.pending:,} pending: {what}", measured, beside, goal)
        for one in figures.capacity
        for what, measured, beside, goal in _full(one)
    ]


def _full(one: Capacity) -> list[Row]:
    """What a full store costs, beside an empty one."""
    (empty, full), (calm, crowded), pruned = one.resting, one.load, one.pruned
    ratio = _percentile(one.late[1], 0.99) / _percentile(one.late[0], 0.99)
    bare, looks = one.looks
    slowest = max(looks, key=lambda name: looks[name])
    bytes_, plain = one.keyed.bytes_per_task or 0, one.plain.bytes_per_task or 0
    return [
        ("late p50, p99", _both(one.late[1]), f"{_both(one.late[0])} empty ({ratio:.2f}×)", "p99 ≤ 1.2×"),
        ("cold start to the first task", f"{full.start_ms:.0f} ms", f"{empty.start_ms:.0f} ms empty", "< 1 s"),
        ("memory of the process", f"{full.memory_mb:.0f} MB", f"{empty.memory_mb:.0f} MB empty", "≤ 100 MB"),
        ("idle, wake-ups/s", f"{full.switches_per_s:.2f}", f"{full.cpu_ms_per_s:.1f} ms CPU/s", "≤ 0.1, no CPU"),
        ("disk for each with a key", f"{bytes_:.0f} B", f"{plain:.0f} B without", "≤ 130 B"),
        ("status", f"{looks['status']:.1f} ms", f"{bare['status']:.1f} ms empty", ""),
        ("list", f"{looks['list']:.1f} ms", f"{bare['list']:.1f} ms empty", ""),
        (f"slowest look, {slowest}", f"{looks[slowest]:.1f} ms", f"{bare[slowest]:.1f} ms empty", ""),
        (f"{crowded.flow.tasks:,} run", _rate(crowded), f"{_rate(calm)} empty", ""),
        (f"{one.history.flow.tasks:,} run", _rate(one.history), _held(one.history), "≤ 64 MB, ≤ 200 ms"),
        (f"{pruned.forgotten:,} forgotten, late", _both([pruned.started]), _held(pruned), "≤ 64 MB, ≤ 200 ms"),
    ]


def _rate(load: Load) -> str:
    return f"{load.flow.rate:,.0f} tasks/s"


def _held(one: Load | Pruned) -> str:
    return f"log {one.log_mb:.0f} MB, longest write {one.longest_write_ms:.0f} ms"


# ── sums ───────────────────────────────────────────────────────────────────────────────────────────────────────


def _all(runs: list[Started]) -> list[int]:
    return [late for run in runs for late in run.late]


def _sum(runs: list[Started], word: str) -> int:
    return sum(int(getattr(run, word)) for run in runs)


def _counts(runs: list[Started]) -> str:
    return " / ".join(str(_sum(runs, word)) for word in ("early", "lost", "twice"))


def _percentile(runs: list[Started], share: float) -> float:
    """The median, over the runs, of each run's percentile."""
    return median([float(rank(run.late, share)) for run in runs])


def _both(runs: list[Started]) -> str:
    return f"{_ms(_percentile(runs, 0.5))}, {_ms(_percentile(runs, 0.99))}"


def _ratio(figures: Figures) -> float:
    return _percentile(figures.lateness, 0.99) / _percentile(figures.bare, 0.99)


def _last(runs: list[Started]) -> float:
    return median([float(run.late[-1]) for run in runs])


def _ms(us: float) -> str:
    return f"{us / 1000:.2f} ms"
