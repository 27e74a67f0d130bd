"""The bench of peers: its sums and pages on a run that was recorded, its readings, and one real measurement."""

import ast
import os
import re
import subprocess
import sys
import xml.etree.ElementTree as ET
from pathlib import Path

import msgspec
import pytest

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))  # `bench` is no part of what is installed

from bench.harness import measure, notes, plan, usage  # noqa: E402
from bench.harness.picture import bars, spans  # noqa: E402
from bench.harness.report import failures, load, markdown, pictures, ratios, rows, table, wanted, write  # noqa: E402
from bench.harness.results import Measured, Results  # noqa: E402

RECORDED = Path(__file__).with_name("peers_recorded.json").read_bytes()
PEERS = sorted(path for path in (ROOT / "bench" / "peers").glob("*.py") if path.stem != "__init__")
PINNED = (ROOT / "bench" / "peers" / "requirements.txt").read_text()


@pytest.fixture
def recorded():
    return msgspec.json.decode(RECORDED, type=Results)


def figure(key, kind, name):
    """Straight from the record, not by way of what is tested."""
    one = [one for one in msgspec.json.decode(RECORDED)["measured"] if (one["key"], one["kind"]) == (key, kind)]
    assert len(one) == 1, "the record has one round"
    return one[0]["figures"][name]


def again(recorded, key, kind, *values, name="rate"):
    """The record, with these rounds in place of its own for one measurement."""
    rest = [one for one in recorded.measured if (one.key, one.kind) != (key, kind)]
    rounds = [
        Measured(key=key, kind=kind, round=number, failed="no reason")
        if value is None
        else Measured(key=key, kind=kind, round=number, figures={name: value})
        for number, value in enumerate(values, 1)
    ]
    return msgspec.structs.replace(recorded, measured=[*rest, *rounds])


# ── sums ───────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("values", "median"), [((3, 1, 2), 2), ((4, 1, 3, 2), 2), ((None, 7), 7), ((None,), None), ((), None)], ids=str
)
def test_the_median_is_of_rounds_that_were_measured(recorded, values, median):
    assert again(recorded, "huey-sqlite-thread", "bulk", *values).median("huey-sqlite-thread", "bulk", "rate") == median


def test_a_ratio_is_of_medians_of_one_run(recorded):
    ratio = recorded.ratio("mainspring-threads", "huey-sqlite-thread", "lateness", "p99_us")
    assert ratio == figure("huey-sqlite-thread", "lateness", "p99_us") / figure(
        "mainspring-threads", "lateness", "p99_us"
    )


def test_there_is_no_ratio_to_nothing(recorded):
    assert (
        again(recorded, "mainspring-threads", "bulk", 0).ratio(
            "mainspring-threads", "huey-sqlite-thread", "bulk", "rate"
        )
        is None
    )
    assert (
        again(recorded, "mainspring-threads", "bulk", None).ratio(
            "mainspring-threads", "huey-sqlite-thread", "bulk", "rate"
        )
        is None
    )
    assert recorded.ratio("mainspring-threads", "nobody", "bulk", "rate") is None


def test_better_by_has_the_right_way_up(recorded):
    (ours,) = recorded.ours()
    slower = again(again(recorded, ours.key, "bulk", 1000), "huey-sqlite-thread", "bulk", 50)
    faster = again(again(recorded, ours.key, "single", 10), "huey-sqlite-thread", "single", 40)
    later = again(
        again(recorded, ours.key, "lateness", 100, name="p99_us"), "huey-sqlite-thread", "lateness", 350, name="p99_us"
    )

    def cell(results, column):
        return next(line[column] for line in ratios(results, ours) if line[0] == "huey, SQLite, thread")

    assert cell(slower, 4) == "20×"
    assert cell(faster, 5) == "0.25×"
    assert cell(later, 2) == "3.5×"


def test_what_was_wanted_is_held_against_the_fastest_variant(recorded):
    (ours,) = recorded.ours()
    results = again(recorded, ours.key, "bulk", 1000)
    results = again(again(results, "huey-sqlite-thread", "bulk", 20), "huey-sqlite-process", "bulk", 51)
    results = again(again(results, "celery-redis-everysec", "bulk", 20), "celery-redis-always", "bulk", 2)
    assert wanted(results) == [
        "In bulk, Mainspring, threads: 20 times huey on SQLite; 20 times was wanted: not reached.",
        "In bulk, Mainspring, threads: 50 times Celery on Redis; 50 times was wanted: reached.",
    ]


def test_starts_are_counted_by_their_notes():
    noted = [(-1, 1), (0, 90), (1, 150), (1, 160), (3, 500), (-2, 7)]
    figures = measure.starts([100, 100, 100, 200], noted)
    assert figures == {
        "count": 4, "first_us": -10, "p50_us": 60, "p90_us": 300, "p99_us": 300, "last_us": 300,
        "early": 1, "lost": 1, "twice": 1,
    }  # fmt: skip
    with pytest.raises(measure.Failed, match="none of 2"):
        measure.starts([1, 2], [(-1, 5)])


# ── pages ──────────────────────────────────────────────────────────────────────────────────────────────────────


def test_every_peer_has_its_line_and_says_how_it_was_driven(recorded):
    page = markdown(recorded)
    assert [row[0] for row in rows(recorded)] == [peer.title for peer in recorded.peers]
    for peer in recorded.peers:
        assert f"| {peer.title} | {peer.durable} | {peer.outcomes} | {peer.how} |" in page
    assert f"**Conditions:** {recorded.conditions}" in page
    assert all(f"{name} {version}" in page for name, version in recorded.packages.items())
    assert all(line in page for line in [*recorded.said, *wanted(recorded), *pictures(recorded)])


def test_the_line_of_a_peer_has_its_figures(recorded):
    line = next(row for row in rows(recorded) if row[0] == "huey, SQLite, thread")
    assert line[4] == f"{figure('huey-sqlite-thread', 'bulk', 'rate'):,.0f} /s"
    assert line[5] == f"{figure('huey-sqlite-thread', 'single', 'rate'):,.0f} /s"
    assert line[6].startswith(f"{figure('huey-sqlite-thread', 'idle', 'wakes'):,.0f}, ")


def test_several_rounds_show_how_far_they_were_apart(recorded):
    results = again(recorded, "huey-sqlite-thread", "bulk", 900, 1_200, 700)
    assert next(row for row in rows(results) if row[0] == "huey, SQLite, thread")[4] == "900 /s (700–1,200)"


def test_what_failed_is_a_dash_and_is_told(recorded):
    results = again(recorded, "huey-sqlite-thread", "bulk", None)
    line = next(row for row in rows(results) if row[0] == "huey, SQLite, thread")
    assert line[4] == "–"
    assert failures(results) == ["Failed: huey, SQLite, thread, bulk, round 1: no reason"]
    assert failures(results)[0] in markdown(results)


def test_columns_stand_under_each_other(recorded):
    lines = table(recorded).strip("\n").split("\n")
    column = lines[0].index("bulk")
    assert all(line[column - 2 : column] == "  " for line in lines[: 1 + len(recorded.peers)])


def test_files_are_written_and_read_again(recorded, tmp_path):
    write(recorded, tmp_path / "new")
    assert sorted(os.listdir(tmp_path / "new")) == sorted(["peers.json", "peers.md", *pictures(recorded)])
    assert load(tmp_path / "new") == recorded


def test_pictures_are_logarithmic_and_show_every_peer():
    picture = ET.fromstring(bars("Rates <of> all", [("Mainspring", 10_000), ("a & b", 1_000), ("c", 100)]))
    names = [element.text for element in picture.iter() if element.get("text-anchor") == "end"]
    widths = [float(element.get("width")) for element in picture.iter() if element.get("height") == "18"]
    assert names == ["Mainspring", "a & b", "c"]
    assert widths[0] - widths[1] == pytest.approx(widths[1] - widths[2], abs=0.2)


def test_a_span_reaches_from_p50_to_p99():
    picture = ET.fromstring(spans("Late", [("Mainspring", 0.05, 0.5), ("theirs", 500, 5_000)]))
    dots = [float(element.get("cx")) for element in picture.iter() if element.tag.endswith("circle")]
    assert dots == sorted(dots)
    assert dots[1] - dots[0] == pytest.approx(dots[3] - dots[2], abs=0.2)


# ── readings ───────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.fixture
def place(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv(notes.PLACE, str(tmp_path / "notes"))
    notes._file.cache_clear()
    yield tmp_path
    if notes._file.cache_info().currsize:
        os.close(notes._file())
    notes._file.cache_clear()


@pytest.mark.usefixtures("place")
def test_notes_are_read_as_they_were_made():
    own = notes.Notes()
    assert (own.count(), own.wait(1, 0)) == (0, False)
    assert [notes.note(7), notes.note(-1)] == [7, -1]
    assert own.wait(2, 0)
    assert [number for number, _ in own.read()] == [7, -1]


def test_usage_is_of_a_family_of_processes():
    script = (
        "import subprocess, sys; child = subprocess.Popen(['cat'], stdin=subprocess.PIPE); "
        "print('over', flush=True); sys.stdin.read()"
    )
    with subprocess.Popen([sys.executable, "-c", script], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as parent:
        assert parent.stdout.readline() == b"over\n"
        assert len(usage.family([parent.pid])) == 2
        switches, seconds = usage.usage([parent.pid])
        assert switches > 0
        assert 0 < seconds < 60
        parent.stdin.close()


@pytest.fixture
def ours(place, monkeypatch):
    monkeypatch.setattr(measure, "_LEAD_S", 0.2)
    monkeypatch.setattr(measure, "_SETTLE_S", 0)
    from bench.peers import mainspring

    with mainspring.session("mainspring-threads", 2) as session:
        seen = notes.Notes()
        measure.warm_up(session, seen)
        yield session, seen


def test_instants_are_measured_by_what_the_bodies_note(ours):
    figures = measure.burst(*ours, count=20)
    assert (figures["count"], figures["early"], figures["lost"], figures["twice"]) == (20, 0, 0, 0)
    assert 0 <= figures["first_us"] <= figures["p50_us"] <= figures["last_us"]


@pytest.mark.parametrize("kind", ["bulk", "single"])
def test_a_rate_is_from_the_first_add_to_the_last_outcome(ours, kind):
    figures = measure.KINDS[kind](*ours, count=30)
    assert (figures["count"], figures["lost"], figures["twice"]) == (30, 0, 0)
    assert figures["added_s"] <= figures["seconds"]
    assert ours[0].settled(31)
    assert not ours[0].settled(32)


def test_idle_is_measured_while_a_task_waits(ours):
    figures = measure.idle(*ours, seconds=0.001)
    assert figures["server_wakes"] == 0
    assert figures["wakes"] >= 0


# ── processes and peers ────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.process
def test_a_measurement_is_a_process_of_its_own(recorded, tmp_path):
    peer = recorded.ours()[0]
    one = plan._measure("no python is needed for ours", peer, "bulk", 2, 2, {"count": 25}, str(tmp_path))
    assert (one.key, one.kind, one.round, one.failed) == (peer.key, "bulk", 2, None)
    assert one.figures["count"] == 25
    assert os.listdir(tmp_path) == []


@pytest.mark.process
def test_a_measurement_that_fails_says_why(recorded, tmp_path):
    one = plan._measure("", recorded.ours()[0], "bulk", 1, 2, {"nonsense": 1}, str(tmp_path))
    assert one.figures == {}
    assert "nonsense" in one.failed


@pytest.mark.parametrize("path", PEERS, ids=lambda path: path.stem)
def test_a_peer_has_what_the_protocol_says(path):
    tree = ast.parse(path.read_text())
    functions = {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}
    assert {"variants", "session"} <= functions
    assert ast.get_docstring(tree)
    packages = next(
        ast.literal_eval(node.value)
        for node in tree.body
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "PACKAGES"
    )
    if path.stem != "mainspring":
        missing = [name for name in packages if not re.search(rf"(?mi)^{name}==", PINNED)]
        assert not missing, f"not in requirements.txt: {missing}"


def test_peers_are_pinned_with_hashes():
    pinned = re.findall(r"(?m)^([a-z].*?)\n(?=[a-z]|\Z)", PINNED.replace("\\\n", ""))
    assert len(pinned) > 10
    assert all("==" in line and "--hash=sha256:" in line for line in pinned)
