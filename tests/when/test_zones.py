"""A time zone database that changes on disk, while it is in use."""

import importlib.metadata
import os
import shutil
import subprocess
import sys
import zoneinfo
from datetime import datetime
from pathlib import Path

import pytest

from mainspring.when.instants import load_zone
from mainspring.when.zones import INTERVAL_US, ZoneWatch, forget_with_zones

HOUR = 3600
T0 = 1_800_000_000_000_000


@pytest.fixture
def database(tmp_path):
    """A folder that comes before the system's database; `put` writes a zone there, as a package manager would."""
    before = zoneinfo.TZPATH

    class Database:
        folder = tmp_path

        @staticmethod
        def put(name, like):
            source = next(path for path in (Path(place) / like for place in before) if path.is_file())
            (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(source, tmp_path / f"{name}.new")
            os.replace(tmp_path / f"{name}.new", tmp_path / name)

    zoneinfo.reset_tzpath([str(tmp_path), *before])
    yield Database()
    zoneinfo.reset_tzpath(before)
    zoneinfo.ZoneInfo.clear_cache()


def offset(name):
    return datetime(2030, 1, 1, tzinfo=load_zone(name)).utcoffset().total_seconds() / HOUR


def test_a_zone_whose_file_was_replaced_is_read_anew(database):
    database.put("Test/Moves", "Etc/GMT-1")
    watch = ZoneWatch()
    assert offset("Test/Moves") == 1
    assert watch.changed(T0) == []
    database.put("Test/Moves", "Etc/GMT+3")
    assert offset("Test/Moves") == 1, "nobody has looked yet"
    assert watch.changed(T0 + INTERVAL_US) == ["Test/Moves"]
    assert offset("Test/Moves") == -3
    assert watch.changed(T0 + 2 * INTERVAL_US) == []


def test_it_looks_once_a_minute_at_most(database):
    database.put("Test/Often", "Etc/GMT-1")
    load_zone("Test/Often")
    watch = ZoneWatch()
    watch.changed(T0)
    assert watch.look_at() == T0 + INTERVAL_US
    database.put("Test/Often", "Etc/GMT-2")
    assert watch.changed(T0 + INTERVAL_US - 1) == []
    assert watch.changed(T0 + INTERVAL_US) == ["Test/Often"]


def test_a_clock_that_was_set_back_does_not_keep_it_from_looking(database):
    database.put("Test/Back", "Etc/GMT-1")
    load_zone("Test/Back")
    watch = ZoneWatch()
    watch.changed(T0)
    database.put("Test/Back", "Etc/GMT-2")
    assert watch.changed(T0 - 86_400_000_000) == ["Test/Back"]


def test_each_watch_is_told(database):
    database.put("Test/Two", "Etc/GMT-1")
    load_zone("Test/Two")
    one, two = ZoneWatch(), ZoneWatch()
    database.put("Test/Two", "Etc/GMT-2")
    assert one.changed(T0) == ["Test/Two"]
    assert two.changed(T0) == ["Test/Two"]
    assert ZoneWatch().changed(T0) == [], "who comes later reads the new rules from the beginning"


def test_a_missing_file_is_no_change(database):
    """A package that is being unpacked."""
    database.put("Test/Gone", "Etc/GMT-1")
    assert offset("Test/Gone") == 1
    (database.folder / "Test/Gone").unlink()
    watch = ZoneWatch()
    assert watch.changed(T0) == []
    assert offset("Test/Gone") == 1
    database.put("Test/Gone", "Etc/GMT-2")
    assert watch.changed(T0 + INTERVAL_US) == ["Test/Gone"]


def test_what_was_reckoned_by_the_old_rules_is_forgotten(database):
    cleared = []
    forget_with_zones(lambda: cleared.append(True))
    database.put("Test/Cache", "Etc/GMT-1")
    load_zone("Test/Cache")
    watch = ZoneWatch()
    watch.changed(T0)
    assert not cleared
    database.put("Test/Cache", "Etc/GMT-2")
    watch.changed(T0 + INTERVAL_US)
    assert cleared == [True]


def test_a_daemon_plans_by_the_new_rules(database, daemon, clock, caplog):
    ran = []
    database.put("Test/Noon", "Etc/GMT-1")

    @daemon.task(name="t:noon")
    def noon():
        ran.append(clock.time.isoformat())

    from mainspring import Cron

    daemon.add_schedule(noon, Cron("0 12 * * *", tz="Test/Noon"), name="noon")
    clock.advance("12h")
    database.put("Test/Noon", "Etc/GMT+3")
    clock.advance("60h")
    assert ran == ["2030-01-01T11:00:00+00:00", "2030-01-02T15:00:00+00:00", "2030-01-03T15:00:00+00:00"]
    (line,) = [record.getMessage() for record in caplog.records if "have changed on disk" in record.getMessage()]
    assert "Test/Noon" in line
    assert "noon" in line


def test_schedules_without_a_zone_stay_as_they_are(database, daemon, clock, caplog):
    ran = []
    database.put("Test/Other", "Etc/GMT-1")
    load_zone("Test/Other")

    @daemon.task(name="t:tick")
    def tick():
        ran.append(clock.time)

    schedule = daemon.add_schedule(tick, "7h", name="tick")
    planned = schedule.next(5)
    database.put("Test/Other", "Etc/GMT+3")
    clock.advance("35h")
    assert ran == planned
    assert "0 schedules have another next instant" in caplog.text


def test_a_machine_without_a_database_knows_zones(tmp_path):
    """Windows and small containers have none: the package comes along."""
    now = "__import__('datetime').datetime(2026, 7, 1).astimezone()"
    code = f"import mainspring; print(mainspring.Cron('0 9 * * *', tz='Europe/Berlin').next({now}))"
    none = {**os.environ, "PYTHONTZPATH": str(tmp_path)}
    ran = subprocess.run([sys.executable, "-c", code], env=none, capture_output=True, text=True, check=False)
    assert "09:00:00+0" in ran.stdout, ran.stderr
    assert any(need.startswith("tzdata") for need in importlib.metadata.requires("mainspring") or ())
