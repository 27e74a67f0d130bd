"""Times as people say them, where clocks change, and whatever else is typed."""

import subprocess
import sys
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mainspring.errors import InvalidValue
from mainspring.when.instants import load_zone, parse_instant, to_datetime
from mainspring.when.wall import parse_when

BERLIN, NEW_YORK = "Europe/Berlin", "America/New_York"


def read(text, now, zone):
    return to_datetime(parse_when(text, now=parse_instant(now), tz=zone), load_zone(zone)).isoformat()


@pytest.mark.parametrize(
    ("text", "now", "zone", "instant"),
    [
        # The night in which an hour is missing: hours pass, days keep the time of day.
        ("in 24 hours", "2026-03-28T12:00+01:00", BERLIN, "2026-03-29T13:00:00+02:00"),
        ("in 1 day", "2026-03-28T12:00+01:00", BERLIN, "2026-03-29T12:00:00+02:00"),
        ("24小时后", "2026-03-28T12:00+01:00", BERLIN, "2026-03-29T13:00:00+02:00"),
        ("一天后", "2026-03-28T12:00+01:00", BERLIN, "2026-03-29T12:00:00+02:00"),
        ("in half an hour", "2026-03-29T01:45+01:00", BERLIN, "2026-03-29T03:15:00+02:00"),
        ("sunday 3am", "2026-03-28T12:00+01:00", BERLIN, "2026-03-29T03:00:00+02:00"),
        ("in 24 hours", "2026-03-07T12:00-05:00", NEW_YORK, "2026-03-08T13:00:00-04:00"),
        ("in 1 week", "2026-03-07T12:00-05:00", NEW_YORK, "2026-03-14T12:00:00-04:00"),
        ("2:30am", "2026-03-08T03:30-04:00", NEW_YORK, "2026-03-09T02:30:00-04:00"),
        # The night in which an hour comes twice.
        ("in 24 hours", "2026-10-24T12:00+02:00", BERLIN, "2026-10-25T11:00:00+01:00"),
        ("in 1 day", "2026-10-24T12:00+02:00", BERLIN, "2026-10-25T12:00:00+01:00"),
        ("半小时后", "2026-10-25T02:45+02:00", BERLIN, "2026-10-25T02:15:00+01:00"),
        ("2:30am", "2026-10-25T02:45+01:00", BERLIN, "2026-10-26T02:30:00+01:00"),
        ("in 1 week", "2026-10-25T02:30+01:00", BERLIN, "2026-11-01T02:30:00+01:00"),
        ("tomorrow 9am", "2026-10-31T12:00-04:00", NEW_YORK, "2026-11-01T09:00:00-05:00"),
        ("in 3 days at 9am", "2026-10-31T12:00-04:00", NEW_YORK, "2026-11-03T09:00:00-05:00"),
    ],
)
def test_where_clocks_change(text, now, zone, instant):
    assert read(text, now, zone) == instant


@pytest.mark.parametrize(
    ("text", "now", "zone", "words"),
    [
        ("tomorrow 2:30am", "2026-03-28T12:00+01:00", BERLIN, "does not exist.*01:30:00[+]01:00.*03:30:00[+]02:00"),
        ("明天凌晨2点半", "2026-03-28T12:00+01:00", BERLIN, "does not exist"),
        ("in 1 day", "2026-03-28T02:30+01:00", BERLIN, "does not exist"),
        ("tomorrow 2:30am", "2026-10-24T12:00+02:00", BERLIN, "exists twice.*02:30:00[+]02:00.*02:30:00[+]01:00"),
        ("周日凌晨2点半", "2026-10-24T12:00+02:00", BERLIN, "exists twice"),
        ("2:30am", "2026-10-25T02:45+02:00", BERLIN, "exists twice"),  # the second one is still to come
        ("8 march 2:30am", "2026-03-07T12:00-05:00", NEW_YORK, "does not exist"),
        ("sunday 1:30am", "2026-10-31T12:00-04:00", NEW_YORK, "exists twice"),
        ("friday 9am", "2011-12-29T12:00-10:00", "Pacific/Apia", "2011-12-30 09:00:00 does not exist"),  # a whole day
    ],
)
def test_local_times_that_do_not_exist_or_exist_twice_show_the_choices(text, now, zone, words):
    with pytest.raises(InvalidValue, match=words):
        read(text, now, zone)


ENGLISH = """
    in a an half hour hours minute 5 minutes min s 3 days week weeks month year and , from now ago later the day after
    today tomorrow tonight this next last monday fri sun nov february 27 29 31st of end 2030 2099-11-27 at on morning
    afternoon evening night noon midnight 9am 12 pm 0:30 24:00 9:30pm 18:00:30.5 o'clock twenty two 1.5 utc
"""
CHINESE = """
    今天 明天 后天 大后天 今晚 明早 下 这 个 周 五 星期日 月 年 2026年 11月 27日 号 最后一天 凌晨 上午 中午 下午 晚上
    9 点 半 一刻 十五 二十 两 百 零 分 分钟 小时 秒 天 后 前 过 18:30 9pm 的 ， 一 三
"""
WORDS, SIGNS = ENGLISH.split(), CHINESE.split()
TEXTS = (
    st.lists(st.sampled_from(WORDS), min_size=1, max_size=7).map(" ".join)
    | st.lists(st.sampled_from([*SIGNS, " "]), min_size=1, max_size=10).map("".join)
    | st.lists(st.sampled_from([*SIGNS, *WORDS]), min_size=1, max_size=8).map(" ".join)
)
ZONES = st.sampled_from(["Asia/Shanghai", BERLIN, NEW_YORK, "Australia/Lord_Howe", "Pacific/Apia", "UTC"])
CHANGES = [
    parse_instant(text) for text in ("2026-03-29T01:00Z", "2026-10-25T01:00Z", "2026-11-01T06:00Z", "2028-02-29T09:00Z")
]
DAY = timedelta(days=1) // timedelta(microseconds=1)
NOWS = st.builds(int.__add__, st.sampled_from(CHANGES), st.integers(-DAY, DAY))


@given(text=TEXTS, now=NOWS, zone=ZONES)
def test_what_is_said_is_ahead_or_refused(text, now, zone):
    try:
        instant = parse_when(text, now=now, tz=zone)
    except InvalidValue:
        return
    assert instant > now


@given(text=TEXTS, now=NOWS, zone=ZONES)
def test_the_case_of_letters_does_not_matter(text, now, zone):
    assert outcome(text.upper(), now, zone) == outcome(text, now, zone)


def outcome(text, now, zone):
    try:
        return parse_when(text, now=now, tz=zone)
    except InvalidValue:
        return None


@given(
    text=st.text(max_size=120) | st.text(alphabet="".join(sorted({*(ENGLISH + CHINESE), *"+-"})), max_size=110),
    now=NOWS,
)
def test_whatever_is_typed_is_read_or_refused(text, now):
    outcome(text, now, "Europe/Berlin")


@pytest.mark.parametrize(
    "text",
    [
        "in " + "1h " * 32,
        "1 天 1 天 " * 12,
        "in 1 h and " * 9,
        "twenty-" * 14,
        "一" * 100,
        "3 点 1 " * 16,
        "½",
        "\ud800",
        "\0",
    ],
)
def test_what_could_take_for_ever_does_not(text):
    outcome(text, CHANGES[0], BERLIN)


def test_the_words_are_loaded_when_somebody_says_some():
    code = (
        "import sys, mainspring, mainspring.cli.adding as a; from mainspring.when.wall import parse_when as p;"
        "p('2026-11-27T10:00Z', now=0, tz='UTC'); early = [m for m in sys.modules if '.said' in m];"
        "p('in 5 minutes', now=0, tz='UTC'); print(early, sorted(m for m in sys.modules if '.said' in m))"
    )
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True).stdout
    assert said == "[] ['mainspring.when.said', 'mainspring.when.said_en']\n"
