"""The command line's WHEN."""

import re
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest

from mainspring.errors import InvalidValue
from mainspring.when import wall
from mainspring.when.instants import load_zone, parse_instant, to_datetime
from mainspring.when.wall import local_zone, parse_when

NOW = parse_instant("2026-11-26T12:00:00+08:00")


def read(text, now=NOW, tz="Asia/Shanghai"):
    return to_datetime(parse_when(text, now=now, tz=tz), load_zone(tz)).isoformat()


@pytest.mark.parametrize(
    ("text", "instant"),
    [
        ("2026-11-27T10:00:00.250+09:00", "2026-11-27T09:00:00.250000+08:00"),
        ("2026-11-27t02:00:00z", "2026-11-27T10:00:00+08:00"),
        ("2026-11-27 10:00:00.250", "2026-11-27T10:00:00.250000+08:00"),
        ("  2026-11-27   10:00 ", "2026-11-27T10:00:00+08:00"),
        ("2020-01-01 10:00", "2020-01-01T10:00:00+08:00"),
        ("+1.5s", "2026-11-26T12:00:01.500000+08:00"),
        ("+2h30m", "2026-11-26T14:30:00+08:00"),
        ("+0s", "2026-11-26T12:00:00+08:00"),
        ("1795744800", "2026-11-27T10:00:00+08:00"),
        ("1795744800.0000001", "2026-11-27T10:00:00.000001+08:00"),
        ("1795744800.1", "2026-11-27T10:00:00.100000+08:00"),
        ("13:00", "2026-11-26T13:00:00+08:00"),
        ("12:00:00.000001", "2026-11-26T12:00:00.000001+08:00"),
        ("12:00", "2026-11-27T12:00:00+08:00"),  # strictly after now
        ("10:00", "2026-11-27T10:00:00+08:00"),
        ("9:05", "2026-11-27T09:05:00+08:00"),
        ("10:00:30.250", "2026-11-27T10:00:30.250000+08:00"),
        ("tomorrow 09:00", "2026-11-27T09:00:00+08:00"),
        ("Tomorrow 9:00", "2026-11-27T09:00:00+08:00"),
        ("today 18:00", "2026-11-26T18:00:00+08:00"),
    ],
)
def test_reads(text, instant):
    assert read(text) == instant


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("2026-11-27", "'2026-11-27 09:00'"),
        ("tomorrow", "'tomorrow 09:00'"),
        ("today", "'today 09:00'"),
        ("today 08:00", "that is over, it is 12:00:00 now; did you mean 'tomorrow 08:00'"),
        ("today 12:00", "that is over"),
        ("30m", r"write '\+30m'"),
        ("60", r"did you mean '\+60s'"),
        ("25:00", "hour must be in"),
        ("10:00:00.1234567", "at most six digits"),
        ("2026-02-30 10:00", "day is out of range"),
        ("2026-11-27 10:000", "no ISO 8601"),
        ("", "it is empty"),
        ("-5s", "'-5s' is not understood"),
    ],
)
def test_refuses_and_shows_what_is_accepted(text, words):
    with pytest.raises(InvalidValue, match=words) as caught:
        read(text)
    assert wall.ACCEPTED in str(caught.value)


def test_the_forms_that_errors_show_are_accepted():
    for line in wall.ACCEPTED.splitlines():
        *examples, _ = re.split(" {3,}", line.strip())
        assert examples
        for example in examples:
            parse_when(example, now=NOW, tz="UTC")


@pytest.mark.parametrize("text", ["+", "+x", "+-5s", "+10:00"])
def test_what_follows_a_plus_is_a_duration(text):
    with pytest.raises(InvalidValue, match="expected a duration"):
        read(text)


def at(text):
    return parse_instant(text)


@pytest.mark.parametrize(
    ("text", "now", "words"),
    [
        ("2026-03-08 02:30", "2026-03-07T12:00-05:00", "does not exist.*01:30:00-05:00.*03:30:00-04:00"),
        ("2026-11-01 01:30", "2026-10-31T12:00-04:00", "exists twice.*01:30:00-04:00.*01:30:00-05:00"),
        ("tomorrow 02:30", "2026-03-07T12:00-05:00", "does not exist"),
        ("today 01:30", "2026-11-01T00:00-04:00", "exists twice"),
        ("02:30", "2026-03-08T00:00-05:00", "does not exist"),
        ("01:30", "2026-11-01T00:00-04:00", "exists twice"),
        ("01:30", "2026-11-01T01:45-04:00", "exists twice"),  # the second one is still to come
    ],
)
def test_local_times_that_do_not_exist_or_exist_twice_show_the_choices(text, now, words):
    with pytest.raises(InvalidValue, match=words):
        read(text, at(now), "America/New_York")


@pytest.mark.parametrize(
    ("text", "now", "instant"),
    [
        ("02:30", "2026-03-08T03:30-04:00", "2026-03-09T02:30:00-04:00"),
        ("01:30", "2026-11-01T01:30-05:00", "2026-11-02T01:30:00-05:00"),
        ("2026-11-01 01:30-04:00", "2026-10-31T00:00-04:00", "2026-11-01T01:30:00-04:00"),
    ],
)
def test_what_is_over_is_not_ambiguous(text, now, instant):
    assert read(text, at(now), "America/New_York") == instant


def test_an_unknown_zone_is_refused():
    with pytest.raises(InvalidValue, match="did you mean 'Asia/Shanghai'"):
        parse_when("10:00", now=NOW, tz="Shanghai")


def test_the_local_zone_comes_from_the_environment(monkeypatch, tmp_path):
    monkeypatch.setenv("TZ", "America/New_York")
    assert local_zone() is ZoneInfo("America/New_York")
    monkeypatch.setenv("TZ", ":Asia/Shanghai")
    assert local_zone() is ZoneInfo("Asia/Shanghai")
    monkeypatch.setenv("TZ", "Shanghai")
    with pytest.raises(InvalidValue, match="Asia/Shanghai"):
        local_zone()
    monkeypatch.setenv("TZ", str(tmp_path / "none"))
    assert local_zone() is UTC


def test_the_local_zone_comes_from_the_machine(monkeypatch, tmp_path):
    monkeypatch.delenv("TZ", raising=False)
    place = tmp_path / "zoneinfo" / "Asia" / "Shanghai"
    monkeypatch.setattr(wall.os.path, "realpath", lambda path: str(place) if path == "/etc/localtime" else path)
    assert local_zone() is ZoneInfo("Asia/Shanghai")


def test_the_local_zone_is_read_from_a_copy_of_its_file(monkeypatch, tmp_path):
    copy = tmp_path / "localtime"
    copy.write_bytes(a_zone_file())
    monkeypatch.setenv("TZ", str(copy))
    assert datetime(2026, 1, 1, tzinfo=local_zone()).isoformat() == "2026-01-01T00:00:00+08:00"


def a_zone_file():
    """A version 2 time zone file that says +08:00 and nothing else."""
    counts = b"\0\0\0\0" * 4 + b"\0\0\0\1" + b"\0\0\0\4"
    header = b"TZif2" + b"\0" * 15 + counts
    body = (8 * 3600).to_bytes(4, "big") + b"\0\0" + b"CST\0"
    return header + body + header + body + b"\nCST-8\n"
