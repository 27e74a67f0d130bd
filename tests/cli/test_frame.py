"""A frame of `top`, from a fixed state: what it says, in which order, and never more than there is room for."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from mainspring.cli.frame import ASCII, draw, sparkline, text_of
from mainspring.cli.overview import Due, Moment, Overview, RunningTask, looks_again_in
from mainspring.cli.terminal import width
from mainspring.lateness import Late
from mainspring.shown import shown_task
from mainspring.status import ListenerLine, NodeLateness, NodeStatus, PartLate, Workers
from mainspring.store.rows import TaskRow
from mainspring.tasks.registry import Registry
from mainspring.tasks.state import Kind, State
from mainspring.when.instants import isoformat

NOW = 1_800_000_000_000_000
S = 1_000_000
UNKNOWN = PartLate(None, None, None)


def task(id_, state, **fields):
    values = {
        "kind": Kind.FUNCTION, "work": "shop:charge", "queue": "default", "priority": 0, "reason": None,
        "run_at": NOW - 5 * S, "created_at": NOW, "started_at": NOW - 5 * S, "finished_at": None, "attempt": 1,
        "failures": 0, "losses": 0, "name": None, "options": None, "payload": None, "key": None, "expires_at": None,
        "schedule": None, "result": None, "error": None, "holder": 1,
    }  # fmt: skip
    return shown_task(TaskRow(id=id_, state=state, **{**values, **fields}), Registry())


def running(id_, **fields):
    shown = task(id_, State.RUNNING, **fields)
    return RunningTask(**{name: getattr(shown, name) for name in shown.__struct_fields__}, node=1)


def due(seconds, name="close", **fields):
    values = {"id": "9", "queue": "default", "attempt": 0, "schedule": None, **fields}
    return Due(name=name, run_at=isoformat(NOW + round(seconds * S)), **values)


NOTHING = Overview(
    now=isoformat(NOW),
    store="sqlite:///srv/shop.db",
    nodes=[],
    workers=Workers(0, 0),
    counts={"waiting": 0, "running": 0},
    unresolved=0,
    paused=[],
    late=Late(0, None, None, None, None),
    starts_per_second=0,
    recent=[Moment(isoformat(NOW), 0, None)] * 60,
    running=[],
    due=[],
    failed=[],
    listeners=[],
)
FULL = replace(
    NOTHING,
    nodes=[NodeStatus(1, "here", 77, "1.0", 4, 3, isoformat(NOW), NodeLateness(UNKNOWN, UNKNOWN, UNKNOWN))],
    workers=Workers(4, 3),
    counts={"waiting": 1_234_567, "running": 2, "failed": 2},
    unresolved=12,
    paused=["mail"],
    late=Late(90, 0.2, 1, 4.5, 40),
    starts_per_second=1.5,
    recent=[*[Moment(isoformat(NOW), 0, None)] * 58, Moment(isoformat(NOW), 2, 0.4), Moment(isoformat(NOW), 2, 5_000)],
    running=[running(1, attempt=2), running(2, started_at=NOW - 200_000, name="a label", queue="mail")],
    due=[due(-3.5), due(0.4), due(90), due(3_700, id=None, name="hourly", schedule="hourly"), due(4e5, attempt=1)],
    failed=[
        task(5, State.FAILED, finished_at=NOW - 61 * S, reason="error", attempt=3,
             error='{"type": "OSError", "message": "no \\u001b[31m route"}'),
        task(6, State.FAILED, finished_at=NOW - 90 * S, reason="lost"),
    ],
    listeners=[ListenerLine("orders", "up", 0, None), ListenerLine("mails", "down", 3, "OSError: gone")],
)  # fmt: skip


def test_everything_in_80_columns():
    told = text_of(draw(FULL, NOW, 80, 40))
    assert told == [
        "mainspring top  sqlite:///srv/shop.db                               08:00:00 UTC",
        "workers  ███░ 3 of 4 busy  here:77 3/4",
        "tasks    1,234,567 waiting, 2 running, 2 failed",
        "late     p50 200us, p99 4.5ms, max 40ms in the last minute, 1.5 starts/s",
        "         ··························································▁█ 10 min",
        "paused   queue mail",
        "unresolved 12 that no running daemon may run",
        "",
        "RUNNING  ID  ATTEMPT  QUEUE    DAEMON  WHAT",
        "5s       1   2        default  1       charge",
        "now      2   1        mail     1       a label",
        "",
        "DUE        ID  QUEUE    WHAT",
        "late 3s    9   default  close",
        "now        9   default  close",
        "in 1m 30s  9   default  close",
        "in 1h 1m       default  schedule hourly",
        "in 4d 15h  9   default  close (attempt 2)",
        "",
        "FAILED  ID  ATTEMPT  WHAT    WHY",
        "1m 1s   5   3        charge  OSError: no \\x1b[31m route",
        "1m 30s  6   1        charge  lost",
        "",
        "LISTENER  STATE  RESTARTS  LAST ERROR",
        "mails     down   3         OSError: gone",
        "orders    up     0",
    ]


def test_nothing_at_all():
    assert text_of(draw(NOTHING, NOW, 80, 24))[1:] == [
        "workers  none: no daemon runs this store",
        "tasks    none",
        "late     nothing started in the last minute",
        f"         {'·' * 60} 10 min",
        "",
        "RUNNING  nothing",
        "",
        "DUE  nothing",
    ]


def test_countdowns_go_on_without_another_look():
    later = text_of(draw(FULL, NOW + 2 * S, 80, 40))
    assert any(line.startswith("in 1m 28s") for line in later)
    assert any(line.startswith("7s       1   2") for line in later)


def test_what_runs_unseen_is_said():
    told = text_of(draw(replace(FULL, running=[]), NOW, 80, 40))
    assert "RUNNING  3 that began just now" in told


def test_each_part_gets_rows_in_turn_and_says_how_many_more_there_are():
    many = replace(FULL, running=[running(n) for n in range(30)], due=[due(n) for n in range(30)])
    told = text_of(draw(many, NOW, 80, 24))
    assert len(told) <= 24
    headings = [
        line.split()[0] for line in told if line and line.split()[0] in ("RUNNING", "DUE", "FAILED", "LISTENER")
    ]
    assert headings == ["RUNNING", "DUE", "FAILED", "LISTENER"]
    assert sum("more" in line for line in told) == 2


@given(st.integers(20, 200), st.integers(1, 60), st.sampled_from([FULL, NOTHING]))
def test_it_fits_whatever_the_size(columns, lines, overview):
    told = text_of(draw(overview, NOW, columns, lines))
    assert len(told) <= lines
    assert all(width(line) <= columns for line in told)


def test_the_sparkline_climbs_with_lateness():
    moments = [Moment("", 1, late) for late in (0.1, 1, 2, 5, 20, 50, 200, 800, 90_000)]
    assert sparkline([Moment("", 0, None), *moments]) == "·▁▁▂▃▄▅▆▇█"
    assert text_of(draw(FULL, NOW, 80, 40, ASCII))[4].endswith("._# 10 min")
    assert all(line.isascii() for line in text_of(draw(FULL, NOW, 100, 40, ASCII)))


@pytest.mark.parametrize(
    ("overview", "seconds"),
    [
        (NOTHING, 60),
        (replace(NOTHING, recent=FULL.recent), 10),
        (replace(NOTHING, due=[due(7_200)]), 60),
        (replace(NOTHING, due=[due(60)]), 1),
        (replace(NOTHING, running=FULL.running), 1),
    ],
)
def test_it_looks_again_only_when_something_moves(overview, seconds):
    assert looks_again_in(overview, NOW) == seconds * S
