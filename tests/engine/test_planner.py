"""The planner over a store: it reads the schedules a page at a time, and what changes meanwhile is not lost."""

import pytest

from mainspring import Every
from mainspring.engine import planner
from mainspring.engine.definitions import ScheduleDefinition, Work, encode
from mainspring.engine.planner import Planner
from mainspring.errors import StoreError
from mainspring.store.memory import MemoryStore
from mainspring.store.rows import Filter, Standing
from mainspring.when.triggers import encode_trigger

SECOND = 1_000_000
T = 1_800_000_000 * SECOND
HOURLY = ScheduleDefinition(trigger=encode_trigger(Every("1h")), work=Work(work="t:tick"))


@pytest.fixture
def pages_of_three(monkeypatch):
    monkeypatch.setattr(planner, "_PAGE", 3)


@pytest.fixture
def store():
    return MemoryStore()


@pytest.fixture
def reads(store, monkeypatch):
    """How many schedules each reading of several brought."""
    seen, standings = [], store.standings

    def counted(*place):
        found = standings(*place)
        seen.append(len(found))
        return found

    monkeypatch.setattr(store, "standings", counted)
    return seen


def put(store, name, at=T + 3):
    assert store.put(Standing(kind="schedule", name=name, definition=encode(HOURLY), next_run_at=at))


def made(store):
    return sorted((task.schedule, task.run_at) for task in store.find(Filter()))


def steps(planner, now, times=1):
    return [planner.step(now) for _ in range(times)]


def test_all_are_read_a_page_at_each_turn(store, pages_of_three, reads):
    for name in "abcdefgh":
        put(store, name)
    at = steps(Planner(store), T, 3)
    assert reads == [3, 3, 2]
    assert at == [T, T, T + 3600 * SECOND - planner.LEAD_US]
    assert made(store) == [(name, T + 3) for name in "abcdefgh"]


def test_after_lost_news_all_are_read_anew(store, pages_of_three, reads):
    looking = Planner(store)
    steps(looking, T)
    for name in "abcde":
        put(store, name)
    looking.hear(["*"])
    steps(looking, T, 2)
    assert reads == [0, 3, 2]
    assert made(store) == [(name, T + 3) for name in "abcde"]


def test_what_is_gone_when_all_are_read_anew_makes_nothing(store, pages_of_three):
    later = T + 3600 * SECOND
    for name in "abcd":
        put(store, name, later)
    looking = Planner(store)
    steps(looking, T, 2)
    for name in "ad":
        store.remove("schedule", name)
    looking.hear(["*"])
    steps(looking, T, 2)
    steps(looking, later)
    assert made(store) == [(name, later) for name in "bc"]


def test_what_comes_behind_the_page_that_was_read_is_found_by_its_news(store, pages_of_three):
    for name in "bcdef":
        put(store, name)
    looking = Planner(store)
    steps(looking, T)
    put(store, "a")
    looking.hear(["standing schedule a"])
    steps(looking, T, 2)
    assert made(store) == [(name, T + 3) for name in "abcdef"]


def test_one_that_another_daemon_advanced_is_made_by_it_alone(store, pages_of_three):
    put(store, "a")
    first, second = Planner(store), Planner(store)
    steps(first, T)
    steps(second, T)
    assert made(store) == [("a", T + 3)]


def test_a_schedule_outlives_a_store_that_fails(store, monkeypatch):
    put(store, "a")
    looking, standing = Planner(store), store.standing
    monkeypatch.setattr(store, "standing", fails)
    with pytest.raises(StoreError):
        steps(looking, T)
    looking.hear(["standing schedule a"])
    with pytest.raises(StoreError):
        steps(looking, T)
    monkeypatch.setattr(store, "standing", standing)
    steps(looking, T)
    assert made(store) == [("a", T + 3)]


def fails(*_):
    raise StoreError("the disk does not answer")


def test_one_of_which_no_news_came_is_found_by_the_look_for_lost_ones_and_the_others_are_left(store, reads):
    looking = Planner(store)
    steps(looking, T)
    put(store, "a")
    put(store, "b", T + 3600 * SECOND)
    assert steps(looking, T) == [None]
    looking.look_for_lost(T + 60 * SECOND)
    steps(looking, T)
    assert made(store) == [("a", T + 3)]
    assert reads == [0, 1]


@pytest.mark.parametrize(
    ("was", "wrong"), [('"every"', '"lunar"'), ('"trigger"', '"rule_of_tomorrow"'), ('{"trigger"', '["trigger"')]
)
def test_a_schedule_that_cannot_be_read_is_told_once_and_stops_nobody(store, caplog, was, wrong):
    newer = encode(HOURLY).replace(was, wrong)
    assert newer != encode(HOURLY)
    assert store.put(Standing(kind="schedule", name="b", definition=newer, next_run_at=T + 1))
    assert store.put(Standing(kind="schedule", name="d", definition=newer, paused=True))
    put(store, "a")
    put(store, "c", T + 3600 * SECOND)
    planner = Planner(store)
    for now in (T, T + 3600 * SECOND):
        steps(planner, now, 3)
    assert {name for name, _ in made(store)} == {"a", "c"}
    assert planner.next_start() is not None
    told = [record.message for record in caplog.records if "'b' cannot be read" in record.message]
    assert len(told) == 1
    planner.hear(["standing schedule b"])
    planner.step(T + 3600 * SECOND)
    assert len([record for record in caplog.records if "'b' cannot be read" in record.message]) == 1
