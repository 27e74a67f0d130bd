"""One frame of `top`: an overview as lines that fit a terminal. Pure: what it shows and the size decide all of it.

From the top: who works, what there is, how late it was; below, as many rows of each part as there is room for.
"""

from collections.abc import Sequence

import msgspec

from mainspring.cli.overview import Due, Moment, Overview
from mainspring.cli.terminal import clean, fitted, width
from mainspring.lateness import Late
from mainspring.shown import ShownTask
from mainspring.status import ListenerLine
from mainspring.when.instants import parse_instant
from mainspring.when.readable import span

Piece = tuple[str, str | None, bool]  # text, colour, bold
Line = list[Piece]

# What a tenth of the sparkline's scale is, in ms: one step for a little more than a threefold lateness.
_STEPS = (1.0, 3.0, 10.0, 30.0, 100.0, 300.0, 1_000.0)
_LATE_US = 1_000_000  # overdue by this much is shown in another colour
_BAR = 24  # columns of the bar of workers, at most


class Signs(msgspec.Struct, frozen=True):
    """What is drawn with: blocks, or plain ASCII where the terminal cannot show them."""

    busy: str
    free: str
    nothing: str
    steps: str


BLOCKS = Signs("█", "░", "·", "▁▂▃▄▅▆▇█")
ASCII = Signs("#", "-", ".", "_,:;+*%#")


class Section(msgspec.Struct, frozen=True):
    """Rows under a heading, the most important first. `grow`: the column that gives way. A row has a colour."""

    header: tuple[str, ...]
    rows: Sequence[tuple[str | None, Sequence[str]]]
    grow: int
    empty: str = ""


def draw(overview: Overview, now: int, columns: int, lines: int | None, signs: Signs = BLOCKS) -> list[Line]:
    """The frame, at most `lines` long (None: as long as it takes) and `columns` wide. `now` in µs."""
    head = [
        _title(overview, columns),
        _workers(overview, columns, signs),
        _tasks(overview),
        *_late(overview, columns, signs),
        *_warnings(overview),
    ]
    parts = [_running(overview, now), _due(overview, now), _failed(overview, now), _listeners(overview)]
    parts = [part for part in parts if part.rows or part.empty]
    room = None if lines is None else lines - len(head)
    frame = head
    for part, count in zip(parts, _shares(parts, room), strict=True):
        if count > 0:
            frame += [[], *_table(part, count, columns)]
    frame = frame if lines is None else frame[:lines]
    return [_cut(line, columns) for line in frame]


def text_of(lines: list[Line]) -> list[str]:
    """The lines without colours."""
    return ["".join(text for text, _, _ in line).rstrip() for line in lines]


# ── the head ───────────────────────────────────────────────────────────────────────────────────────────────────
def _title(overview: Overview, columns: int) -> Line:
    clock = f"{overview.now[11:19]} UTC"
    name = "mainspring top"
    place = fitted(clean(overview.store), max(10, columns - len(name) - len(clock) - 4))
    gap = " " * max(2, columns - len(name) - 2 - width(place) - len(clock))
    return [(name, None, True), ("  ", None, False), (place, None, False), (gap, None, False), (clock, None, False)]


def _label(name: str) -> Piece:
    return f"{name:<9}", None, True


def _workers(overview: Overview, columns: int, signs: Signs) -> Line:
    workers = overview.workers
    if not overview.nodes:
        return [_label("workers"), ("none: no daemon runs this store", "yellow", False)]
    cells = min(workers.total, _BAR)
    busy = min(cells, -(-workers.busy * cells // max(1, workers.total)))
    line: Line = [
        _label("workers"),
        (signs.busy * busy, "cyan", False),
        (signs.free * (cells - busy), "bright_black", False),
        (f" {workers.busy} of {workers.total} busy", None, False),
    ]
    told = [f"{clean(node.host)}:{node.pid} {node.busy}/{node.workers}" for node in overview.nodes]
    room = columns - sum(width(text) for text, _, _ in line) - 2
    if len(told) == 1 and width(told[0]) <= room:
        return [*line, (f"  {told[0]}", "bright_black", False)]
    return [*line, (fitted(f"  {len(told)} daemons: {', '.join(told)}", max(1, room)), "bright_black", False)]


def _tasks(overview: Overview) -> Line:
    line: Line = [_label("tasks")]
    for state, count in overview.counts.items():
        if count:
            line += [(", " if len(line) > 1 else "", None, False)]
            line += [(f"{count:,} {state}", "red" if state == "failed" else None, False)]
    return line if len(line) > 1 else [*line, ("none", None, False)]


def _late(overview: Overview, columns: int, signs: Signs) -> list[Line]:
    """The last minute in figures, the last ten as a sparkline."""
    late = overview.late
    words = "nothing started in the last minute"
    if late.count:
        rate = overview.starts_per_second
        words = f"{_figures(late)} in the last minute, {rate:.3g} starts/s"
    room = columns - 9 - len(" 10 min")
    return [
        [_label("late"), (words, None, False)],
        [_label(""), (sparkline(overview.recent[-room:], signs), "cyan", False), (" 10 min", "bright_black", False)],
    ]


def _figures(late: Late) -> str:
    values = {"p50": late.p50, "p99": late.p99, "max": late.max}
    return ", ".join(f"{name} {_ms(value)}" for name, value in values.items() if value is not None)


def _ms(milliseconds: float) -> str:
    return span(round(milliseconds * 1000))


def sparkline(moments: list[Moment], signs: Signs = BLOCKS) -> str:
    """A sign for each ten seconds: the p99 of their lateness, from below 1 ms to above 1 s in steps of about three."""
    return "".join(
        signs.nothing if moment.p99 is None else signs.steps[sum(moment.p99 > step for step in _STEPS)]
        for moment in moments
    )


def _warnings(overview: Overview) -> list[Line]:
    """What keeps tasks from starting."""
    lines: list[Line] = []
    if overview.paused:
        names = ["everything" if name == "*" else f"queue {clean(name)}" for name in overview.paused]
        lines.append([_label("paused"), (", ".join(names), "yellow", False)])
    if overview.unresolved:
        lines.append(
            [_label("unresolved"), (f" {overview.unresolved:,} that no running daemon may run", "yellow", False)]
        )
    return lines


# ── the parts ──────────────────────────────────────────────────────────────────────────────────────────────────
def _running(overview: Overview, now: int) -> Section:
    rows = [
        (None, (_ago(one.started_at, now), one.id, _attempt(one), one.queue, str(one.node or ""), one.name))
        for one in overview.running
    ]
    unseen = overview.workers.busy - len(rows)
    empty = f"{unseen} that began just now" if unseen > 0 else "nothing"
    return Section(("RUNNING", "ID", "ATTEMPT", "QUEUE", "DAEMON", "WHAT"), rows, 5, empty)


def _due(overview: Overview, now: int) -> Section:
    rows = [(_colour(one, now), (_until(one, now), one.id or "", one.queue, _name(one))) for one in overview.due]
    return Section(("DUE", "ID", "QUEUE", "WHAT"), rows, 3, "nothing")


def _colour(due: Due, now: int) -> str | None:
    return "yellow" if now - parse_instant(due.run_at) > _LATE_US else None


def _until(due: Due, now: int) -> str:
    """A countdown in whole seconds: `in 1m 30s`, `now`, `late 3s`."""
    apart = parse_instant(due.run_at) - now
    if abs(apart) < 1_000_000:
        return "now"
    whole = span(abs(apart) // 1_000_000 * 1_000_000)
    return f"in {whole}" if apart > 0 else f"late {whole}"


def _name(due: Due) -> str:
    retry = f" (attempt {due.attempt + 1})" if due.attempt else ""
    schedule = f" (schedule {due.schedule})" if due.schedule and due.id is not None else ""
    return f"schedule {due.name}" if due.id is None else f"{due.name}{schedule}{retry}"


def _failed(overview: Overview, now: int) -> Section:
    rows = [
        ("red" if at == 0 else None, (_ago(one.finished_at, now), one.id, _attempt(one), one.name, _why(one)))
        for at, one in enumerate(overview.failed)
    ]
    return Section(("FAILED", "ID", "ATTEMPT", "WHAT", "WHY"), rows, 4)


def _why(task: ShownTask) -> str:
    error = "" if task.error is None else f"{task.error.type}: {task.error.message}"
    reason = task.reason or ""
    return error if reason == "error" and error else ": ".join(word for word in (reason, error) if word)


def _listeners(overview: Overview) -> Section:
    troubled = sorted(overview.listeners, key=lambda one: (one.state in ("up", "paused"), one.name))
    rows = [(_trouble(one), (one.name, one.state, str(one.restarts), one.last_error or "")) for one in troubled]
    return Section(("LISTENER", "STATE", "RESTARTS", "LAST ERROR"), rows, 3)


def _trouble(listener: ListenerLine) -> str | None:
    return None if listener.state in ("up", "paused") else "red" if listener.state == "down" else "yellow"


def _attempt(task: ShownTask) -> str:
    return f"{task.attempt} of {task.max_attempts}" if task.max_attempts > 1 else str(task.attempt)


def _ago(instant: str | None, now: int) -> str:
    whole = 0 if instant is None else max(0, now - parse_instant(instant)) // 1_000_000
    return span(whole * 1_000_000) if whole else "now"


# ── fitting ────────────────────────────────────────────────────────────────────────────────────────────────────
def _shares(parts: list[Section], room: int | None) -> list[int]:
    """How many rows each part gets: in turn one each, as long as there is room; a part without a row has no heading."""
    wanted = [max(1, len(part.rows)) for part in parts]
    if room is None:
        return wanted
    given = [0] * len(parts)
    going = True
    while going:
        going = False
        for index, want in enumerate(wanted):
            cost = 1 if given[index] else 3 if parts[index].rows else 2  # with the blank line and the heading
            if given[index] < want and room >= cost:
                given[index] += 1
                room -= cost
                going = True
    return given


def _table(part: Section, count: int, columns: int) -> list[Line]:
    if not part.rows:
        return [[(part.header[0], None, True), (f"  {part.empty}", "bright_black", False)]]
    rows = [(colour, [clean(cell) for cell in row]) for colour, row in part.rows[:count]]
    widths = [max(map(width, column)) for column in zip(part.header, *(cells for _, cells in rows), strict=True)]
    rest = sum(widths) - widths[part.grow] + 2 * (len(widths) - 1)
    widths[part.grow] = max(4, min(widths[part.grow], columns - rest))
    lines: list[Line] = [[(_row(list(part.header), widths), None, True)]]
    lines += [[(_row(cells, widths), colour, False)] for colour, cells in rows]
    more = len(part.rows) - count
    if more > 0:
        lines[0] = [*lines[0], (f"  +{more} more", "bright_black", False)]
    return lines


def _row(cells: list[str], widths: list[int]) -> str:
    return "  ".join(
        fitted(cell, room) + " " * (room - width(fitted(cell, room))) for cell, room in zip(cells, widths, strict=True)
    ).rstrip()


def _cut(line: Line, columns: int) -> Line:
    """Never wider than the terminal: a line that wraps would push the frame out of it."""
    kept: Line = []
    for text, colour, bold in line:
        room = columns - sum(width(before) for before, _, _ in kept)
        if room > 0 and text:
            kept.append((fitted(text, room), colour, bold))
    return kept
