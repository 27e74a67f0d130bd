"""Results as a table, a page and files."""

from collections.abc import Callable
from pathlib import Path

import msgspec

from bench.harness.picture import bars, spans
from bench.harness.results import Peer, Results

# key of a peer begins with, what it is called, how many times its bulk rate is wanted
WANTED = (("huey-sqlite", "huey on SQLite", 20), ("celery-redis", "Celery on Redis", 50))

_HEAD = [
    "",
    "lateness p50 / p99",
    "early / lost / twice",
    "burst: last start",
    "bulk",
    "one by one",
    "idle: wake-ups, CPU in 10 s",
]
_RATIOS: list[tuple[str, str, str, bool]] = [  # head, kind, figure, whether more is better
    ("lateness p50", "lateness", "p50_us", False),
    ("lateness p99", "lateness", "p99_us", False),
    ("burst: last start", "burst", "last_us", False),
    ("bulk", "bulk", "rate", True),
    ("one by one", "single", "rate", True),
]


def load(out: Path) -> Results:
    """The results in a directory."""
    return msgspec.json.decode((out / "peers.json").read_bytes(), type=Results)


def write(results: Results, out: Path) -> None:
    """Write `peers.json`, `peers.md`, and the pictures of what was measured."""
    out.mkdir(parents=True, exist_ok=True)
    (out / "peers.json").write_bytes(msgspec.json.format(msgspec.json.encode(results), indent=1) + b"\n")
    (out / "peers.md").write_text(markdown(results))
    for name, picture in pictures(results).items():
        (out / name).write_text(picture)


def pictures(results: Results) -> dict[str, str]:
    """SVG by file name."""
    late, rates = [], []
    for peer in results.peers:
        p50, p99 = (results.median(peer.key, "lateness", f"{rank}_us") for rank in ("p50", "p99"))
        if p50 is not None and p99 is not None:
            late.append((peer.title, p50 / 1000, p99 / 1000))
        if (rate := results.median(peer.key, "bulk", "rate")) is not None:
            rates.append((peer.title, rate))
    made = {}
    if late:
        made["peers-lateness.svg"] = spans("Late by, p50 to p99 (milliseconds)", late)
    if rates:
        made["peers-throughput.svg"] = bars("Added in bulk, run and recorded (tasks a second)", rates)
    return made


def table(results: Results) -> str:
    """Fixed width, for a terminal."""
    return "\n".join(["", *_aligned([_HEAD, *rows(results)]), "", *_ratio_lines(results), *wanted(results), ""]) + "\n"


def markdown(results: Results) -> str:
    """The page `peers.md`."""
    machine = results.machine
    versions = ", ".join(f"{name} {version}" for name, version in sorted(results.packages.items()))
    lines = [
        "# Beside others, measured",
        "",
        f"`make bench-peers`, {results.at}, {results.minutes:g} minutes: {results.workers} workers each, "
        f"{results.rounds} round(s), medians. Python {machine.python}, {machine.system}, {machine.cpus} processors, "
        f"{machine.filesystem}, load {machine.load_before:g} before and {machine.load_after:g} at the end. "
        f"Mainspring's commit {results.commit}. {versions}. " + " ".join(results.said),
        "",
        f"**Conditions:** {results.conditions or 'not told'}",
        "",
        _sizes(results),
        "",
        *_markdown_table([_HEAD, *rows(results)]),
        "",
    ]
    for ours in results.ours():
        head = [f"{ours.title} is better by", *(head for head, *_ in _RATIOS)]
        lines += [*_markdown_table([head, *ratios(results, ours)]), ""]
    lines += [*(f"- {line}" for line in wanted(results)), *(f"- {line}" for line in failures(results)), ""]
    lines += [f"![{name.partition('.')[0]}]({name})\n" for name in pictures(results)]
    kept = [[peer.title, peer.durable, peer.outcomes, peer.how] for peer in results.peers]
    lines += ["## How each was driven", "", *_markdown_table([["", "on the disk", "kept of outcomes", "how"], *kept])]
    return "\n".join(lines) + "\n"


def rows(results: Results) -> list[list[str]]:
    """A line of figures for each peer; a dash for what was not measured, or failed."""
    return [[peer.title, *(cell(results, peer.key) for cell in _CELLS)] for peer in results.peers]


def ratios(results: Results, ours: Peer) -> list[list[str]]:
    """How many times better ours is than each other, by the medians; below 1 the other is better."""
    found = []
    for peer in results.others():
        line = [peer.title]
        for _, kind, figure, more in _RATIOS:
            times = results.ratio(ours.key, peer.key, kind, figure)
            if times is not None and more:
                times = 1 / times if times else None
            line.append("–" if times is None else f"{_short(times)}×")
        found.append(line)
    return found


def wanted(results: Results) -> list[str]:
    """What was hoped for beside what was measured: against the fastest variant of that peer."""
    found = []
    for prefix, name, times in WANTED:
        for ours in results.ours():
            mine = results.median(ours.key, "bulk", "rate")
            rates = [
                results.median(peer.key, "bulk", "rate") for peer in results.others() if peer.key.startswith(prefix)
            ]
            best = max((rate for rate in rates if rate is not None), default=None)
            if mine is None or best is None:
                continue
            measured = mine / best
            verdict = "reached" if measured >= times else "not reached"
            found.append(
                f"In bulk, {ours.title}: {_short(measured)} times {name}; {times} times was wanted: {verdict}."
            )
    return found


def failures(results: Results) -> list[str]:
    """Measurements without figures."""
    titles = {peer.key: peer.title for peer in results.peers}
    return [
        f"Failed: {titles[one.key]}, {one.kind}, round {one.round}: {one.failed}"
        for one in results.measured
        if one.failed is not None
    ]


# ── cells ──────────────────────────────────────────────────────────────────────────────────────────────────────


def _late(results: Results, key: str) -> str:
    p50, p99 = (results.median(key, "lateness", f"{rank}_us") for rank in ("p50", "p99"))
    return "–" if p50 is None or p99 is None else f"{_ms(p50)} / {_ms(p99)}"


def _wrong(results: Results, key: str) -> str:
    kinds = [kind for kind in results.sizes if kind != "idle" and results.values(key, kind, "count")]
    counts = [sum(results.total(key, kind, word) for kind in kinds) for word in ("early", "lost", "twice")]
    return " / ".join(f"{count:,.0f}" for count in counts) if kinds else "–"


def _burst(results: Results, key: str) -> str:
    last = results.median(key, "burst", "last_us")
    return "–" if last is None else _ms(last)


def _bulk(results: Results, key: str) -> str:
    return _rate(results.values(key, "bulk", "rate"), results.median(key, "bulk", "rate"))


def _single(results: Results, key: str) -> str:
    return _rate(results.values(key, "single", "rate"), results.median(key, "single", "rate"))


def _idle(results: Results, key: str) -> str:
    wakes, cpu, seconds = (results.median(key, "idle", figure) for figure in ("wakes", "cpu_s", "seconds"))
    if wakes is None or cpu is None or not seconds:
        return "–"
    return f"{wakes * 10 / seconds:,.0f}, {cpu * 10_000 / seconds:.1f} ms"


_CELLS: list[Callable[[Results, str], str]] = [_late, _wrong, _burst, _bulk, _single, _idle]


# ── words ──────────────────────────────────────────────────────────────────────────────────────────────────────


def _ratio_lines(results: Results) -> list[str]:
    lines: list[str] = []
    for ours in results.ours():
        head = [f"{ours.title} is better by", *(head for head, *_ in _RATIOS)]
        lines += [*_aligned([head, *ratios(results, ours)]), ""]
    return lines


def _sizes(results: Results) -> str:
    told = {
        "lateness": "lateness: {count:,.0f} tasks at random instants within {over_s:g} s",
        "burst": "burst: {count:,.0f} due at one instant",
        "bulk": "bulk: {count:,.0f} added together, run and recorded",
        "single": "one by one: {count:,.0f} from one thread, run and recorded",
        "idle": "idle: one task a day ahead, {seconds:g} s (with the server, where there is one)",
    }
    return "; ".join(told[kind].format(**sizes) for kind, sizes in results.sizes.items()) + "."


def _ms(us: float) -> str:
    return f"{us / 1000:,.2f} ms" if us < 100_000 else f"{us / 1000:,.0f} ms"


def _rate(values: list[float], median: float | None) -> str:
    """The median and, of several rounds, the slowest and the fastest."""
    if median is None:
        return "–"
    return f"{median:,.0f} /s" + (f" ({min(values):,.0f}–{max(values):,.0f})" if len(values) > 1 else "")


def _short(times: float) -> str:
    return f"{times:,.0f}" if times >= 10 else f"{times:.1f}" if times >= 1 else f"{times:.2f}"


def _aligned(lines: list[list[str]]) -> list[str]:
    widths = [max(len(line[column]) for line in lines) for column in range(len(lines[0]))]
    return ["  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip() for line in lines]


def _markdown_table(lines: list[list[str]]) -> list[str]:
    head, *body = (f"| {' | '.join(line)} |" for line in lines)
    return [head, "|" + "---|" * len(lines[0]), *body]
