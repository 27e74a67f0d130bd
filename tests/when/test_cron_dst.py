"""Cron where clocks change: the table of the documentation, what is lost for ever, and zones read anew."""

import zoneinfo
from datetime import UTC, datetime, timedelta, tzinfo
from zoneinfo import ZoneInfo

import pytest
from cron_reference import MARGIN, SETTINGS, Walk, fits, rule
from hypothesis import given, settings
from hypothesis import strategies as st

from mainspring.errors import InvalidValue
from mainspring.when.cron import Cron
from mainspring.when.dst import BLOCK_BITS, BLOCKS_KEPT, Change, LocalTimes, changes
from mainspring.when.instants import EPOCH

# In Berlin 02:00-03:00 did not exist on the one day, and existed twice on the other.
SPRING, AUTUMN = datetime(2026, 3, 29, tzinfo=UTC), datetime(2026, 10, 25, tzinfo=UTC)


def that_night(expression: str, day: datetime, **setting: str) -> str:
    """What runs from 01:00 (UTC+1) or 02:00 (UTC+2) for three hours, as local times with their offset."""
    cron, found = Cron(expression, tz="Europe/Berlin", **setting), []
    after = day - timedelta(microseconds=1)
    while (after := cron.next(after)) < day + timedelta(hours=3):
        found.append(f"{after:%H:%M}{after.utcoffset() // timedelta(hours=1):+d}")
    return " ".join(found)


@pytest.mark.parametrize(
    ("expression", "setting", "spring", "autumn"),
    [
        # Debian's rules: a fixed time runs once, a wildcard follows real time.
        ("30 2 * * *", {}, "03:00+2", "02:30+2"),
        ("0,30 2 * * *", {}, "03:00+2", "02:00+2 02:30+2"),
        ("30 1-3 * * *", {}, "01:30+1 03:00+2 03:30+2", "02:30+2 03:30+1"),
        ("0 3 * * *", {}, "03:00+2", "03:00+1"),
        ("*/30 * * * *", {}, "01:00+1 01:30+1 03:00+2 03:30+2 04:00+2 04:30+2",
         "02:00+2 02:30+2 02:00+1 02:30+1 03:00+1 03:30+1"),
        ("30 * * * *", {}, "01:30+1 03:30+2 04:30+2", "02:30+2 02:30+1 03:30+1"),
        ("*/30 2 * * *", {}, "", "02:00+2 02:30+2 02:00+1 02:30+1"),
        # Named rules hold for both kinds.
        ("30 2 * * *", {"gap": "skip"}, "", "02:30+2"),
        ("30 2 * * *", {"gap": "shift"}, "03:30+2", "02:30+2"),
        ("0,30 2 * * *", {"gap": "shift"}, "03:00+2 03:30+2", "02:00+2 02:30+2"),
        ("30 2 * * *", {"fold": "first"}, "03:30+2", "02:30+2"),
        ("30 2 * * *", {"fold": "second"}, "03:30+2", "02:30+1"),
        ("30 2 * * *", {"fold": "both"}, "03:30+2", "02:30+2 02:30+1"),
        ("30 * * * *", {"gap": "shift", "fold": "second"}, "01:30+1 03:30+2 04:30+2", "02:30+1 03:30+1"),
        ("30 2,3 * * *", {"gap": "shift"}, "03:30+2", "02:30+2 03:30+1"),
    ],
)  # fmt: skip
def test_the_table(expression, setting, spring, autumn):
    assert that_night(expression, SPRING, **setting) == spring
    assert that_night(expression, AUTUMN, **setting) == autumn


def test_a_day_that_a_zone_left_out_runs_once_after_it():
    before = datetime(2011, 12, 29, 12, tzinfo=ZoneInfo("Pacific/Apia"))
    cron = Cron("0 9,18 * * *", tz="Pacific/Apia")
    found = [before := cron.next(before) for _ in range(4)]
    assert [moment.isoformat() for moment in found] == [
        "2011-12-29T18:00:00-10:00",
        "2011-12-31T00:00:00+14:00",
        "2011-12-31T09:00:00+14:00",
        "2011-12-31T18:00:00+14:00",
    ]


def test_what_is_moved_comes_among_what_is_not():
    """Lord Howe's clocks skip 02:00-02:30."""
    cron = Cron("15,40 2 * * *", tz="Australia/Lord_Howe", gap="shift")
    first = cron.next(datetime(2026, 10, 3, 12, tzinfo=UTC))
    second = cron.next(first)
    assert [f"{moment:%d %H:%M}" for moment in (first, second, cron.next(second))] == [
        "04 02:40",
        "04 02:45",
        "05 02:15",
    ]


class Moved(tzinfo):
    """UTC until `at` (seconds since 1970), and `hours` from UTC after it."""

    def __init__(self, at: int, hours: int) -> None:
        self.at = EPOCH + timedelta(seconds=at)
        self.after = timedelta(hours=hours)

    def utcoffset(self, moment):
        local = moment.replace(tzinfo=UTC)
        moved = local - max(self.after, timedelta(0)) >= self.at or (moment.fold and local - self.after >= self.at)
        return self.after if moved else timedelta(0)

    def fromutc(self, moment):
        since = moment.replace(tzinfo=UTC) - self.at
        if since < timedelta(0):
            return moment
        return (moment + self.after).replace(fold=int(since < -self.after))

    def dst(self, moment):
        return None


@pytest.mark.parametrize(
    ("hours", "gap", "fold", "pieces"),
    [
        (-1, "skip", "first", [(3000, -3600)]),
        (-1, "skip", "second", [(0, -3600)]),
        (-1, "skip", "both", [(0, -3600)]),
        (1, "skip", "both", [(0, 3600)]),
        (1, "once", "first", [(0, 3600)]),
        (1, "shift", "first", [(0, 0), (0, 3600)]),
    ],
)
def test_a_change_just_before_a_block_reaches_into_it(hours, gap, fold, pieces):
    block = 1 << BLOCK_BITS
    came = LocalTimes(Moved(block - 600, hours), gap, fold).block(1)
    assert [(piece.begin - block, piece.offset) for piece in came] == pieces
    assert came[0].end - block == (3000 if len(pieces) == 2 else block)


def test_the_second_of_two_ends_the_first_also_from_the_next_block():
    block = 1 << BLOCK_BITS
    zone = Moved(block + 600, -1)
    assert [piece.end - block for piece in LocalTimes(zone, "skip", "second").block(0)] == [-3000]
    assert [piece.end - block for piece in LocalTimes(zone, "skip", "first").block(0)] == [0]


@pytest.mark.parametrize("expression", ["30 2 * 3 sunL", "0-59 2 * mar 7L"])
def test_what_clocks_always_skip_is_refused(expression):
    with pytest.raises(InvalidValue, match=r"Europe/Berlin' never happens: .*gap='shift'"):
        Cron(expression, tz="Europe/Berlin", gap="skip")
    assert Cron(expression, tz="Europe/Berlin", gap="shift").next(SPRING) is not None
    assert Cron(expression, tz="Europe/Berlin").next(SPRING) is not None
    assert Cron(expression, tz="Asia/Tokyo", gap="skip").next(SPRING) is not None


def test_a_wildcard_that_clocks_always_skip_is_refused_too():
    with pytest.raises(InvalidValue, match="never happens"):
        Cron("*/10 2 * 3 sunL", tz="Europe/Berlin")


def test_what_clocks_skip_from_some_year_on_ends():
    """Cairo's clocks skip the first hour of the last Friday of April, each year since 2023."""
    cron = Cron("30 0 * 4 friL", tz="Africa/Cairo", gap="skip")
    assert cron.next(datetime(2022, 1, 1, tzinfo=UTC)).isoformat() == "2022-04-29T00:30:00+02:00"
    assert cron.next(datetime(2022, 5, 1, tzinfo=UTC)) is None


def test_changes_are_found_to_the_second():
    berlin = ZoneInfo("Europe/Berlin")
    begin, end = (int(datetime(year, 1, 1, tzinfo=UTC).timestamp()) for year in (2026, 2027))
    spring, autumn = (int(day.timestamp()) + 3600 for day in (SPRING, AUTUMN))
    assert changes(berlin, begin, end) == [Change(spring, 3600, 7200), Change(autumn, 7200, 3600)]
    assert changes(berlin, spring, end) == [Change(autumn, 7200, 3600)]
    assert changes(berlin, begin, spring) == [Change(spring, 3600, 7200)]
    assert changes(berlin, begin, spring - 1) == []
    assert changes(UTC, begin, end) == []


def test_blocks_are_kept_within_bounds():
    times = LocalTimes(ZoneInfo("Europe/Berlin"), "skip", "both")
    for number in range(BLOCKS_KEPT + 5):
        pieces = times.block(number)
        assert pieces[0].begin == number << BLOCK_BITS
        assert pieces[-1].end == (number + 1) << BLOCK_BITS
        assert times.block(number) is pieces
    assert len(times._blocks) <= BLOCKS_KEPT


def test_a_zone_read_anew_is_used():
    """The time zone database of a running daemon may change."""
    first = Cron("0 3 * * *", tz="Europe/Berlin")
    zoneinfo.ZoneInfo.clear_cache()
    second = Cron("0 3 * * *", tz="Europe/Berlin")
    assert second == first
    assert second._times.zone is not first._times.zone


def field(low: int, high: int) -> st.SearchStrategy[str]:
    number = st.integers(low, high)
    ranges = st.tuples(number, number).map(sorted)
    part = st.one_of(
        number.map(str),
        ranges.map(lambda ends: f"{ends[0]}-{ends[1]}"),
        ranges.filter(lambda ends: ends[0] < ends[1]).flatmap(
            lambda ends: st.integers(1, ends[1] - ends[0]).map(lambda step: f"{ends[0]}-{ends[1]}/{step}")
        ),
        st.integers(1, high - low).map("*/{}".format),
        st.integers(low, high - 1).flatmap(lambda at: st.integers(1, high - at).map(lambda step: f"{at}/{step}")),
    )
    return st.just("*") | st.lists(part, min_size=1, max_size=3).map(",".join)


days = st.one_of(
    field(1, 31), st.just("?"),
    st.lists(st.sampled_from(["L", "LW", "L-2", "15W", "1W", "31W", "7"]), min_size=1, max_size=2).map(",".join),
)  # fmt: skip
weekdays = st.one_of(
    field(0, 6), st.just("?"),
    st.lists(st.sampled_from(["7", "0L", "friL", "mon#2", "7#1", "sat-sun", "5-7", "wed"]), max_size=2, min_size=1)
    .map(",".join),
)  # fmt: skip
expressions = st.tuples(field(0, 59), field(0, 23), days, field(1, 12), weekdays).map(" ".join)
near_changes = st.sampled_from(
    [
        ("Europe/Berlin", SPRING),
        ("Europe/Berlin", AUTUMN),
        ("Australia/Lord_Howe", datetime(2026, 10, 3, tzinfo=UTC)),
        ("Antarctica/Troll", AUTUMN),
        ("Pacific/Apia", datetime(2011, 12, 30, tzinfo=UTC)),
        ("America/Havana", datetime(2026, 11, 1, tzinfo=UTC)),
        ("UTC", datetime(2028, 2, 29, tzinfo=UTC)),
    ]
)
WALKS: dict[tuple[str, datetime], Walk] = {}


@settings(deadline=None, max_examples=60)
@given(expressions, near_changes, st.sampled_from(SETTINGS))
def test_random_expressions_agree_with_the_reference(expression, near, setting):
    name, day = near
    if near not in WALKS:
        middle = int(day.timestamp())
        WALKS[near] = Walk(ZoneInfo(name), middle - MARGIN, middle + MARGIN)
    walk = WALKS[near]
    try:
        cron = Cron(expression, tz=name, **setting)
    except InvalidValue as error:
        assert "never happens" in str(error)  # noqa: PT017
        assert not walk.instants(lambda local: fits(expression, local), *rule(expression, **setting))
        return
    came, at = [], walk.begin * 1_000_000 - 1
    while (at := cron.next_us(at)) is not None and at < walk.end * 1_000_000:
        came.append(at // 1_000_000)
    assert came == walk.instants(lambda local: fits(expression, local), *rule(expression, **setting))


@settings(deadline=None, max_examples=200)
@given(
    expressions, st.sampled_from(["UTC", "Europe/Berlin", "America/Sao_Paulo", "Asia/Tehran"]),
    st.sampled_from(SETTINGS), st.integers(-(10**16), 10**17), st.integers(0, 10**15),
)  # fmt: skip
def test_next_is_strictly_after_and_monotone(expression, name, setting, after, more):
    try:
        cron = Cron(expression, tz=name, **setting)
    except InvalidValue:
        return
    first, second = cron.next_us(after), cron.next_us(after + more)
    assert first > after
    assert second > after + more
    assert second == first if first > after + more else second > first
    assert cron.next_us(first - 1) == first
    assert first % 1_000_000 == 0
