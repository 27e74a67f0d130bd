"""What is kept of a program's output: all of it, or its two ends with the number of bytes that are missing."""

import re

from hypothesis import given
from hypothesis import strategies as st

from mainspring.tasks.output import HEAD, LIMIT, Tail

MARK = re.compile(r"\n\[\.\.\. ([\d,]+) bytes left out \.\.\.\]\n")


def test_short_output_is_kept_as_it_is():
    tail = Tail()
    tail.write(b"one\n")
    tail.write(b"two\n", "stderr")
    assert tail.text() == "one\ntwo\n"
    assert tail.written == 8


def test_exactly_the_limit_is_kept_whole_and_one_byte_more_is_not():
    tail = Tail()
    tail.write(b"x" * LIMIT)
    assert tail.text() == "x" * LIMIT
    tail.write(b"x")
    assert MARK.search(tail.text()).group(1) == "1"


def test_of_long_output_the_ends_are_kept_and_the_gap_is_counted():
    tail = Tail()
    lines = [b"line %07d\n" % number for number in range(100_000)]
    for line in lines:
        tail.write(line)
    whole = b"".join(lines).decode()
    head, gap, end = MARK.split(tail.text())
    assert head == whole[:HEAD]
    assert whole.endswith(end)
    assert len(end) == LIMIT - HEAD
    assert int(gap.replace(",", "")) == len(whole) - LIMIT


def test_one_huge_chunk_is_cut_like_many_small_ones():
    data = bytes(range(32, 127)) * 5000
    at_once, by_bytes = Tail(100, 30), Tail(100, 30)
    at_once.write(data)
    for start in range(0, len(data), 7):
        by_bytes.write(data[start : start + 7])
    assert at_once.text() == by_bytes.text()


def test_a_character_survives_the_other_stream_in_its_middle():
    tail = Tail()
    smile = "☺".encode()
    tail.write(b"a" + smile[:2])
    tail.write("é".encode(), "stderr")
    assert tail.text() == "aé"  # the half is not shown
    tail.write(smile[2:])
    assert tail.text() == "aé☺"


def test_a_character_that_never_ends_is_shown_when_nothing_more_comes():
    tail = Tail()
    tail.write("☺".encode()[:2])
    assert tail.text() == ""
    tail.finish()
    assert tail.text() == "\ufffd"


def test_bytes_that_are_no_text_are_replaced_and_so_is_nul():
    tail = Tail()
    tail.write(b"\xff\xfe ok \x00\n")
    assert tail.text() == "\ufffd\ufffd ok \ufffd\n"


def test_the_cut_never_splits_a_character():
    for character in ("é", "☺", "😀"):
        for shift in range(4):
            tail = Tail(100, 30)
            tail.write(b"-" * shift + character.encode() * 1000)
            tail.finish()
            head, gap, end = MARK.split(tail.text())
            assert set(head + end) <= {"-", character}
            kept = len(head.encode()) + len(end.encode())
            assert kept + int(gap.replace(",", "")) == tail.written
            assert kept > 100 - 2 * len(character.encode())


def test_news_comes_once_for_each_change():
    tail = Tail()
    assert tail.news() is None
    tail.write(b"a")
    assert tail.news() == "a"
    assert tail.news() is None
    tail.write(b"b")
    assert tail.news() == "ab"


@given(
    text=st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0")), cuts=st.lists(st.integers(1, 9))
)
def test_text_arrives_whole_however_it_was_chopped(text, cuts):
    data, tail = text.encode(), Tail(10_000, 10)
    for size in cuts:
        tail.write(data[:size])
        data = data[size:]
    tail.write(data)
    tail.finish()
    assert tail.text() == text


@given(chunks=st.lists(st.tuples(st.binary(max_size=50), st.sampled_from(["stdout", "stderr"]))))
def test_whatever_comes_every_byte_is_kept_or_counted(chunks):
    tail = Tail(64, 16)
    for data, stream in chunks:
        tail.write(data, stream)
        assert len(tail.text()) <= 64 + 50
    tail.finish()
    total = sum(len(data) for data, _ in chunks)
    assert tail.written == total
    assert ("bytes left out" in tail.text()) == (total > 64)
