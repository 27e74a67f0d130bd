"""The lines of the table, part by part: what, measured, beside it, the goal."""

from collections.abc import Callable

from mainspring.bench.figures import Capacity, Crowd, Figures, Flow, Load, Pruned, median, rank
from mainspring.bench.sums import both, counts, last, ms, percentile, ratio

Row = tuple[str, str, str, str]


def rows_of(figures: Figures) -> list[Row]:
    """The lines of the table; only of what was measured."""
    rows: list[Row] = []
    for part in _PARTS:
        rows += part(figures)
    return rows


def _lateness_rows(figures: Figures) -> list[Row]:
    if not (figures.lateness and figures.bare):
        return []
    runs = figures.lateness
    what = f"due → started, {len(runs[0].late)} at random, {len(runs)}×"

    def row(share: float, name: str, goal: str) -> Row:
        ours, bare = percentile(runs, share), percentile(figures.bare, share)
        return f"{what}, {name}", ms(ours), f"{ms(bare)} bare thread ({ours / bare:.2f}×)", goal

    return [
        row(0.5, "p50", ""),
        row(0.99, "p99", "≤ 2× and < 1.5 ms"),
        ("early / lost / twice", counts(runs), "", "0 / 0 / 0"),
    ]


def _burst_rows(figures: Figures) -> list[Row]:
    if not (runs := figures.burst):
        return []
    what = f"{len(runs[0].late):,} due at one instant"
    first = median([float(run.late[0]) for run in runs])
    return [
        (f"{what}: first, last started after", f"{ms(first)}, {ms(last(runs))}", "", "last ≤ 100 ms"),
        ("early / lost / twice", counts(runs), "", "0 / 0 / 0"),
    ]


def _rate_rows(figures: Figures) -> list[Row]:
    rows: list[Row] = []
    if figures.flow:
        rows.append(("add in bulk + run + record, durable", _flows(figures.flow), "", "60,000/s"))
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
                f"idle, {idle.pending:,} pending" + (f", {idle.others} more daemons" if idle.others else ""),
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
        own = f"own clock {ms(rank(one.own, 0.5))}, {ms(rank(one.own, 0.99))}" if one.own else ""
        figure = f"{ms(rank(late, 0.5))}, {ms(rank(late, 0.99))}"
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
    bare, looks = one.looks
    slowest = max(looks, key=lambda name: looks[name])
    bytes_, plain = one.keyed.bytes_per_task or 0, one.plain.bytes_per_task or 0
    return [
        (
            "late p50, p99",
            both(one.late[1]),
            f"{both(one.late[0])} empty ({ratio(one.late[1], one.late[0]):.2f}×)",
            "p99 ≤ 1.2×",
        ),
        ("cold start to the first task", f"{full.start_ms:.0f} ms", f"{empty.start_ms:.0f} ms empty", "< 1 s"),
        ("memory of the process", f"{full.memory_mb:.0f} MB", f"{empty.memory_mb:.0f} MB empty", "≤ 100 MB"),
        ("idle, wake-ups/s", f"{full.switches_per_s:.2f}", f"{full.cpu_ms_per_s:.1f} ms CPU/s", "≤ 0.1, no CPU"),
        ("disk for each with a key", f"{bytes_:.0f} B", f"{plain:.0f} B without", "≤ 130 B"),
        ("status", f"{looks['status']:.1f} ms", f"{bare['status']:.1f} ms empty", ""),
        ("list", f"{looks['list']:.1f} ms", f"{bare['list']:.1f} ms empty", ""),
        (f"slowest look, {slowest}", f"{looks[slowest]:.1f} ms", f"{bare[slowest]:.1f} ms empty", ""),
        (f"{crowded.flow.tasks:,} run", _rate(crowded), f"{_rate(calm)} empty", ""),
        (f"{one.history.flow.tasks:,} run", _rate(one.history), _held(one.history), "≤ 64 MB, ≤ 200 ms"),
        (f"{pruned.forgotten:,} forgotten, late", both([pruned.started]), _held(pruned), "≤ 64 MB, ≤ 200 ms"),
    ]


def _rate(load: Load) -> str:
    return f"{load.flow.rate:,.0f} tasks/s"


def _held(one: Load | Pruned) -> str:
    return f"log {one.log_mb:.0f} MB, longest write {one.longest_write_ms:.0f} ms"


def _flows(flows: list[Flow]) -> str:
    return f"{median([flow.rate for flow in flows]):,.0f} tasks/s"


def _neighbour_rows(figures: Figures) -> list[Row]:
    ours, bare, flows = figures.lateness_beside, figures.bare_beside, figures.flow_beside
    if not (ours and bare and flows):
        return []
    beside = f"{both(bare)} bare thread ({ratio(ours, bare):.2f}×)"
    what = "beside a thread that computes"
    return [
        (f"{what}: late p50, p99", both(ours), beside, "p99 ≤ 2×"),
        (f"{what}: add in bulk + run + record", _flows(flows), "", "10,000/s"),
    ]


def _process_rows(figures: Figures) -> list[Row]:
    rows: list[Row] = []
    for workers in sorted({one.workers for one in figures.crowds}):
        rows += _crowd_rows([one for one in figures.crowds if one.workers == workers])
    if runs := figures.process_burst:
        what = f"4 worker processes, {len(runs[0].late):,} due at one instant: last started after"
        rows.append((what, ms(last(runs)), counts(runs), "≤ 250 ms"))
    if figures.process_flow:
        rows.append(("4 worker processes, add in bulk + run + record", _flows(figures.process_flow), "", "30,000/s"))
    return rows


def _crowd_rows(runs: list[Crowd]) -> list[Row]:
    """Alone, and with all but one of the workers computing."""
    workers, crowded, bare = runs[0].workers, [one.crowded for one in runs], [one.bare for one in runs]
    beside = f"{both(bare)} bare pair of processes ({ratio(crowded, bare):.2f}×)"
    what = f"{workers} worker processes, {workers - 1} of them computing: late p50, p99"
    return [
        (f"{workers} worker processes, idle: late p50, p99", both([one.alone for one in runs]), "", "p99 ≤ 1.5 ms"),
        (what, both(crowded), beside, "p99 ≤ 5 ms" if workers <= 4 else "p99 ≤ 2×"),
    ]


def _flood_rows(figures: Figures) -> list[Row]:
    if not (floods := figures.floods):
        return []
    timed, body = [one.timed for one in floods], floods[0].body_ms
    what = f"timed among {floods[0].others:,} due now, {body:g} ms each: late p50, latest"
    latest = median([float(one.late[-1]) for one in timed])
    left = f"{min(one.left for one in floods):,} still waited at the end"
    return [(what, f"{ms(percentile(timed, 0.5))}, {ms(latest)}", left, f"≤ {body:g} ms and a start")]


def _command_rows(figures: Figures) -> list[Row]:
    if not figures.commands:
        return []
    one = figures.commands[0]
    beside = f"{one.bare_ms:.0f} ms the interpreter alone"
    return [
        ("import mainspring", f"{one.import_ms:.0f} ms", "", "≤ 60 ms"),
        ("mainspring --help", f"{one.help_ms:.0f} ms", beside, "≤ 150 ms"),
        ("mainspring at …", f"{one.at_ms:.0f} ms", beside, "≤ 250 ms"),
    ]


def _million_rows(figures: Figures) -> list[Row]:
    if not (runs := figures.million):
        return []
    what = f"{len(runs[0].late):,} at random: early / lost / twice"
    return [(what, counts(runs), f"late p50, p99 {both(runs)}", "0 / 0 / 0")]


def _schedule_rows(figures: Figures) -> list[Row]:
    if not figures.planned:
        return []
    one = figures.planned[0]
    runs = [each.started for each in figures.planned]
    what = f"{one.schedules:,} schedules, {len(one.started.late):,} occurrences: late p50, p99"
    return [(what, both(runs), f"up in {one.start_ms:.0f} ms; early / lost / twice {counts(runs)}", "p99 ≤ 2 ms")]


_PARTS = (
    _lateness_rows,
    _burst_rows,
    _rate_rows,
    _idle_rows,
    _program_rows,
    _neighbour_rows,
    _process_rows,
    _flood_rows,
    _command_rows,
    _million_rows,
    _schedule_rows,
    _capacity_rows,
)
