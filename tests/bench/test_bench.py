"""The bench's sums, its table, its picture and what it calls broken. Nothing here is timed."""

import os
import threading
import xml.etree.ElementTree as ET

import msgspec
import pytest

from mainspring.bench import commands, crowds, idle, main, neighbour, planned, rates, starts
from mainspring.bench.child import ChildFailed, measure
from mainspring.bench.figures import (
    Adds,
    Commands,
    Crowd,
    Figures,
    Flood,
    Flow,
    Idle,
    Machine,
    Planned,
    Programs,
    Started,
    median,
    rank,
)
from mainspring.bench.picture import histogram
from mainspring.bench.plan import _filesystem
from mainspring.bench.report import broken, markdown, rows_of, table, write

MACHINE = Machine(python="CPython 3.11", system="Linux", cpus=2, load=0.1, filesystem="ext4", version="1")


def started(*late, **more):
    return Started(late=sorted(late), **more)


def figures(*, smoke=False, **more):
    whole = {
        "lateness": [started(100, 200, 300), started(110, 210, 400), started(90, 190, 5000)],
        "bare": [started(50, 100, 200), started(60, 110, 210), started(40, 90, 190)],
        "burst": [started(900, 90_000)],
        "flow": [Flow(tasks=1000, seconds=0.02, succeeded=1000)],
        "adds": [Adds(fsync=1000, one=900, eight=3000)],
        "idle": [
            Idle(pending=0, switches_per_s=0.0, cpu_ms_per_s=0, memory_mb=30, start_ms=20, bytes_per_task=None),
            Idle(pending=10, switches_per_s=0.5, cpu_ms_per_s=1, memory_mb=31, start_ms=21, bytes_per_task=81),
        ],
        "programs": [Programs(started=started(200, 700), own=[2000, 3000])],
        "crowds": [
            Crowd(workers=8, alone=started(100, 300), crowded=started(20, 4000), bare=started(90, 8000)),
            Crowd(workers=4, alone=started(110, 310), crowded=started(30, 1000), bare=started(80, 5000)),
        ],
        "process_burst": [started(900, 200_000)],
        "process_flow": [Flow(tasks=1000, seconds=0.03, succeeded=1000)],
        "flow_beside": [Flow(tasks=1000, seconds=0.1, succeeded=1000)],
        "lateness_beside": [started(1000, 4000)],
        "bare_beside": [started(5000, 8000)],
        "floods": [Flood(timed=started(10_000, 21_000), body_ms=20, others=5000, left=2000)],
        "commands": [Commands(bare_ms=11, import_ms=9.4, help_ms=48, at_ms=174)],
        "million": [started(1, 2)],
        "planned": [Planned(schedules=2, start_ms=30, started=started(60, 800))],
    }
    return Figures(at="2026-11-27T02:00:00.000000Z", smoke=smoke, machine=MACHINE, **{**whole, **more})


def test_ranks_and_medians():
    assert rank(list(range(100)), 0.5) == 50
    assert rank(list(range(100)), 0.99) == 99
    assert rank([7], 0.99) == 7
    assert median([3.0, 1.0, 2.0]) == 2.0
    assert median([4.0, 1.0, 2.0, 3.0]) == 2.0
    assert started(-1, 5, -3).early == 2


def test_the_table_compares_medians_over_runs():
    rows = {row[0]: row[1:] for row in rows_of(figures())}
    assert rows["due → started, 3 at random, 3×, p99"][:2] == ("0.40 ms", "0.20 ms bare thread (2.00×)")
    assert rows["add one by one, 8 threads"][1] == "1,000 fsync/s (3.00×)"
    assert rows["idle, 10 pending"][:2] == ("0.50 wake-ups/s, 1.0 ms CPU/s", "31 MB, up in 21 ms, 81 B/task")
    assert rows["programs at random instants, 2: p50, p99"][1] == "own clock 3.00 ms, 3.00 ms"
    assert rows["8 worker processes, 7 of them computing: late p50, p99"] == (
        "4.00 ms, 4.00 ms",
        "8.00 ms, 8.00 ms bare pair of processes (0.50×)",
        "p99 ≤ 2×",
    )
    assert rows["beside a thread that computes: late p50, p99"][1] == "8.00 ms, 8.00 ms bare thread (0.50×)"
    assert rows["4 worker processes, 2 due at one instant: last started after"][0] == "200.00 ms"
    assert rows["timed among 5,000 due now, 20 ms each: late p50, latest"][0] == "21.00 ms, 21.00 ms"
    assert rows["mainspring at …"][:2] == ("174 ms", "11 ms the interpreter alone")
    assert rows["2 at random: early / lost / twice"][0] == "0 / 0 / 0"
    assert rows["2 schedules, 2 occurrences: late p50, p99"][1] == "up in 30 ms; early / lost / twice 0 / 0 / 0"


def test_what_was_not_measured_is_not_in_the_table():
    only = Figures(at="", smoke=False, machine=MACHINE, flow=figures().flow)
    assert [row[0] for row in rows_of(only)] == ["add in bulk + run + record, durable"]
    assert broken(only) == []


def test_figures_within_the_promises_break_none():
    assert broken(figures()) == []


BROKEN = {
    "lateness: 1 early": {"lateness": [started(-1, 100, 200)]},
    "lateness: 2 lost": {"lateness": [started(100, lost=2)]},
    "burst: 1 twice": {"burst": [started(100, twice=1)]},
    "programs: 1 lost": {"programs": [Programs(started=started(100, lost=1), own=[])]},
    "throughput: 9 of 10 tasks succeeded, 0 ran twice": {"flow": [Flow(tasks=10, seconds=0.0001, succeeded=9)]},
    "throughput: 10 of 10 tasks succeeded, 1 ran twice": {
        "flow": [Flow(tasks=10, seconds=0.0001, succeeded=10, twice=1)]
    },
    "throughput: 8 of 10 tasks succeeded": {"process_flow": [Flow(tasks=10, seconds=0.0001, succeeded=8)]},
    "beside a thread that computes: 1 early": {"lateness_beside": [started(-1, 100)]},
    "processes: 1 early": {"crowds": [Crowd(workers=2, alone=started(1), crowded=started(-1), bare=started(1))]},
    "processes: 3 lost": {"process_burst": [started(1, lost=3)]},
    "flood: 1 lost": {"floods": [Flood(timed=started(1, lost=1), body_ms=20, others=1, left=1)]},
    "million: 2 early": {"million": [started(-1, -2, 3)]},
    "schedules: 1 lost": {"planned": [Planned(schedules=2, start_ms=1, started=started(1, lost=1))]},
}
BROKEN_BY_LOAD = {
    "lateness: p99 is 2.50 times": {"lateness": [started(500)]},
    "burst: the last started after 160.00 ms": {"burst": [started(1, 160_000)]},
    "burst on processes: the last started after 410.00 ms": {"process_burst": [started(1, 410_000)]},
    "throughput on processes: 14,000 tasks/s": {"process_flow": [Flow(tasks=14_000, seconds=1, succeeded=14_000)]},
    "throughput beside a thread that computes: 4,000": {"flow_beside": [Flow(tasks=4_000, seconds=1, succeeded=4_000)]},
    "flood: one started after 41.00 ms": {"floods": [Flood(timed=started(41_000), body_ms=20, others=1, left=1)]},
    "throughput: 29,000 tasks/s": {"flow": [Flow(tasks=29_000, seconds=1, succeeded=29_000)]},
}


@pytest.mark.parametrize("said", BROKEN | BROKEN_BY_LOAD)
def test_a_broken_promise_is_said(said):
    found = broken(figures(**(BROKEN | BROKEN_BY_LOAD)[said]))
    assert len(found) == 1
    assert found[0].startswith(said)


@pytest.mark.parametrize("said", BROKEN)
def test_a_smoke_run_forgives_no_task_that_is_early_lost_or_doubled(said):
    assert broken(figures(smoke=True, **BROKEN[said]))


@pytest.mark.parametrize("said", BROKEN_BY_LOAD)
def test_a_smoke_run_says_nothing_about_speed(said):
    assert broken(figures(smoke=True, **BROKEN_BY_LOAD[said])) == []


def test_files_are_written(tmp_path):
    write(figures(), tmp_path / "new" / "results")
    made = {file.name: file.read_text() for file in (tmp_path / "new" / "results").iterdir()}
    assert set(made) == {"latest.json", "latest.md", "lateness.svg"}
    assert msgspec.json.decode(made["latest.json"], type=Figures) == figures()
    assert made["latest.md"].startswith("# The last full run")
    assert "lateness.svg" in made["latest.md"]


def test_a_smoke_run_says_that_it_is_one():
    assert "mean nothing" in markdown(figures(smoke=True))


def test_columns_stand_under_each_other():
    lines = table(figures()).strip("\n").split("\n")
    column = lines[0].index("measured")
    assert all(line[column - 2 : column] == "  " for line in lines[2:])


@pytest.mark.parametrize("values", [[1], [0, 0, 0], [99, 100, 101, 100_000], list(range(1, 2000))], ids=len)
def test_a_picture_is_sound_and_shows_every_value(values):
    picture = histogram("How late <it> is", [("ours", values), ("theirs", [150] * 10)])
    tree = ET.fromstring(picture)
    words = [element.text for element in tree.iter() if element.text and element.text.strip()]
    assert "How late <it> is" in words
    assert any(word.startswith("ours: p50") for word in words)
    assert sum("%" in word for word in words) == 5
    assert len([element for element in tree.iter() if element.tag.endswith("path")]) == 2


def test_the_file_system_of_a_directory(tmp_path):
    assert _filesystem("/proc/self") == "proc"
    assert _filesystem(str(tmp_path)) != "proc"


def test_what_ran_twice_or_never_is_counted():
    bell = starts.Bell(3)
    bell.began = [(0, 105), (0, 300), (2, 190)]
    assert bell.started([100, 100, 200]) == Started(late=[-10, 5, 200], lost=1, twice=1)


@pytest.fixture
def place(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def hurry(monkeypatch):
    """Instants are near."""
    for module in (starts, crowds):
        monkeypatch.setattr(module, "LEAD_US", 1000)


@pytest.mark.usefixtures("place", "hurry")
def test_tasks_at_one_instant_are_all_seen():
    seen = starts.burst(20)
    assert (len(seen.late), seen.lost, seen.twice, seen.early) == (20, 0, 0, 0)


@pytest.mark.usefixtures("place", "hurry")
def test_a_bare_thread_is_never_early_either():
    seen = starts.bare(5, 0.001)
    assert (len(seen.late), seen.early) == (5, 0)


@pytest.mark.usefixtures("place")
def test_what_flows_through_is_counted_to_the_end():
    seen = rates.flow(1000)
    assert (seen.tasks, seen.succeeded, seen.twice) == (1000, 1000, 0)
    assert seen.rate > 0


@pytest.mark.usefixtures("place")
def test_rates_are_of_commits_that_were_made():
    assert all(rate > 0 for rate in msgspec.structs.astuple(rates.adds(0.01)))


@pytest.mark.usefixtures("place", "hurry")
def test_a_thread_that_computes_ends_with_the_measurement():
    before = threading.active_count()
    assert neighbour.flow(100).succeeded == 100
    assert len(neighbour.bare(3, 0.01).late) == 3
    assert neighbour.lateness(3, 0.01).lost == 0
    assert threading.active_count() == before


@pytest.mark.usefixtures("place")
def test_of_schedules_each_occurrence_is_seen(monkeypatch):
    monkeypatch.setattr(planned, "_LEAD_US", 300_000)
    seen = planned.planned(20, 100, 0.2)
    assert (seen.schedules, len(seen.started.late), seen.started.lost, seen.started.twice) == (20, 20, 0, 0)
    assert seen.started.early == 0


@pytest.mark.usefixtures("place", "hurry")
def test_timed_tasks_are_seen_in_a_flood():
    seen = crowds.flood(3, 0.05, 1)
    assert (len(seen.timed.late), seen.timed.lost, seen.timed.twice) == (3, 0, 0)
    assert seen.others == 408


@pytest.mark.process
@pytest.mark.usefixtures("place", "hurry")
def test_on_processes_all_are_seen():
    seen = crowds.crowd(3, 0.01, 2, 1)
    assert (len(seen.late), seen.lost, seen.twice, seen.early) == (3, 0, 0, 0)
    assert crowds.process_flow(50).succeeded == 50


@pytest.mark.process
@pytest.mark.usefixtures("place", "hurry")
def test_many_at_once_on_processes():
    seen = crowds.process_burst(20)
    assert (len(seen.late), seen.lost, seen.twice, seen.early) == (20, 0, 0, 0)


@pytest.mark.process
@pytest.mark.usefixtures("hurry")
def test_a_bare_pair_of_processes_is_never_early_either():
    seen = crowds.pair(3, 0.01, 1)
    assert (len(seen.late), seen.early) == (3, 0)


@pytest.mark.process
@pytest.mark.usefixtures("place")
def test_commands_take_their_time():
    seen = commands.commands(1)
    assert min(msgspec.structs.astuple(seen)) > 0


@pytest.mark.process
@pytest.mark.usefixtures("place")
def test_idle_with_company(monkeypatch):
    monkeypatch.setattr(idle, "_SETTLE_S", 0)
    assert idle.idle(10, 0.001, others=1).others == 1


@pytest.mark.usefixtures("place")
def test_an_idle_daemon_keeps_what_waits(monkeypatch):
    monkeypatch.setattr(idle, "_SETTLE_S", 0)
    seen = idle.idle(1000, 0.001)
    assert seen.pending == 1000
    assert 10 < seen.bytes_per_task < 2000
    assert seen.memory_mb > 1


@pytest.mark.process
def test_a_measurement_runs_in_a_process_and_a_directory_of_its_own(tmp_path):
    adds = measure("adds", Adds, str(tmp_path), seconds=0.01)
    assert adds.one > 0
    assert os.listdir(tmp_path) == []


@pytest.mark.process
def test_a_measurement_that_fails_says_why(tmp_path):
    with pytest.raises(ChildFailed, match="nonsense"):
        measure("adds", Adds, str(tmp_path), nonsense=1)


def test_a_wrong_call_measures_nothing(capsys):
    assert main(["--nonsense"]) == 2
    assert main(["--only", "speed"]) == 2
    assert "--only knows lateness" in capsys.readouterr().err
    assert main(["--help"]) == 0
