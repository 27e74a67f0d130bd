"""`Cron` against the slow reference: a part of all zones and transitions at each run, all of them with `make sweep`."""

import os
import random
from concurrent.futures import ProcessPoolExecutor, as_completed
from datetime import UTC, datetime
from functools import cache
from multiprocessing import get_context
from zoneinfo import ZoneInfo, available_timezones

import pytest
from cron_reference import SETTINGS, Walk, rule
from cron_sweep import differences, offset, quick, representatives, transitions

from mainspring.when.cron import Cron

HOUR, DAY = 3600, 86_400

# (zone, a day near the transition): what each is there for.
ODD = [
    ("Europe/Berlin", "2026-03-29"),  # 1 h, at 2 and at 3 in the night
    ("Europe/Berlin", "2026-10-25"),
    ("America/New_York", "2026-11-01"),  # south and west of Greenwich
    ("America/Havana", "2026-03-08"),  # midnight does not exist
    ("Australia/Lord_Howe", "2026-04-05"),  # 30 min
    ("Australia/Lord_Howe", "2026-10-04"),
    ("Antarctica/Troll", "2026-03-29"),  # 2 h
    ("Antarctica/Troll", "2026-10-25"),
    ("Africa/Casablanca", "2026-02-15"),  # back for Ramadan
    ("Asia/Pyongyang", "2015-08-15"),  # a new standard offset: 30 min back
    ("Asia/Pyongyang", "2018-05-05"),
    ("America/Caracas", "2016-05-01"),
    ("Europe/Volgograd", "2020-12-27"),
    ("Pacific/Apia", "2011-12-30"),  # that day did not exist
    ("Pacific/Kwajalein", "1993-08-21"),
    ("America/Juneau", "1983-10-30"),  # 2 h back at once
    ("Antarctica/Casey", "2009-10-18"),  # 3 h
    ("Europe/Berlin", "2087-03-30"),  # beyond the table, by the zone's rule
    ("Pacific/Auckland", "2399-09-26"),
]


def midnight(day: str) -> int:
    return int(datetime.fromisoformat(day).replace(tzinfo=UTC).timestamp())


@pytest.mark.parametrize(("name", "day"), ODD)
def test_odd_transitions(name, day):
    begin = midnight(day) - 2 * DAY
    end = begin + 4 * DAY
    offsets = {offset(ZoneInfo(name), at) for at in range(begin, end, HOUR)}
    assert len(offsets) > 1, "the example has no transition"
    assert not list(differences(name, begin, end, stride=37 * 60))


def test_a_sample_of_all_zones():
    """Others at each run; a failure prints the seed, and CRON_SEED runs it again."""
    seed = int(os.environ.get("CRON_SEED", "0")) or random.randrange(1, 10**9)
    print(f"CRON_SEED={seed}")  # noqa: T201
    chance = random.Random(seed)
    names = chance.sample(sorted(available_timezones()), 12)
    for name in names:
        year = midnight(f"{chance.randrange(2020, 2037)}-01-01")
        found = transitions(ZoneInfo(name), year, year + 366 * DAY)
        near = chance.choice(found) if found else year
        begin = near // HOUR * HOUR - 30 * HOUR
        assert not list(differences(name, begin, begin + 60 * HOUR, stride=31 * 60)), name


@pytest.mark.parametrize("expression", ["*/7 * * * * *", "5-50/15 29,30,44 0-3 * * *", "30 59 1 * * *"])
@pytest.mark.parametrize(
    ("name", "day"),
    [
        ("Europe/Berlin", "2026-03-29"),
        ("Europe/Berlin", "2026-10-25"),
        ("Africa/Monrovia", "1972-01-07"),  # from -00:44:30 to 0
        ("America/Sao_Paulo", "1914-01-01"),  # from -03:06:28 to -03:00
    ],
)
def test_second_by_second(name, day, expression):
    middle = transitions_by_the_second(ZoneInfo(name), midnight(day) - DAY)
    begin, end = middle - HOUR, middle + HOUR
    for setting in SETTINGS:
        cron = Cron(expression, tz=name, **setting)
        came, at = [], begin * 1_000_000 - 1
        while (at := cron.next_us(at)) < end * 1_000_000:
            came.append(at // 1_000_000)
        assert came == walks(name, begin, end).instants(quick(expression), *rule(expression, **setting))


@cache
def walks(name: str, begin: int, end: int) -> Walk:
    return Walk(ZoneInfo(name), begin, end, step=1, margin=HOUR)  # none of these is moved by more


def transitions_by_the_second(zone: ZoneInfo, begin: int) -> int:
    before = offset(zone, begin)
    hour = next(at for at in range(begin, begin + 4 * DAY, HOUR) if offset(zone, at) != before)
    return next(at for at in range(hour - HOUR, hour + 1) if offset(zone, at) != before)


@pytest.mark.sweep
@pytest.mark.timeout(7200)
def test_all_zones():
    """Every zone, 2020–2037, a minute at a time for 48 h around every transition and hourly elsewhere."""
    groups = representatives(sorted(available_timezones()))
    zones = sum(map(len, groups.values()))
    print(f"\n{zones} zones, {len(groups)} of them different in 2020-2037", flush=True)  # noqa: T201
    found: list[str] = []
    with ProcessPoolExecutor(os.cpu_count(), mp_context=get_context("spawn")) as pool:
        started = {pool.submit(all_differences, name): name for name in groups}
        for done, future in enumerate(as_completed(started), 1):
            found += future.result()
            print(f"{done}/{len(groups)} {started[future]}: {len(future.result())} differences", flush=True)  # noqa: T201
    assert not found, found[:10]


def all_differences(name: str) -> list[str]:
    return list(differences(name))
