"""What a worker process says: cut anywhere it comes back whole, and what is no message is told as that."""

import struct
from contextlib import suppress

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mainspring.engine.child_messages import (
    Begin,
    End,
    Feed,
    Frames,
    Go,
    MoreTurns,
    NeedPayload,
    Outcome,
    Output,
    Payload,
    Ready,
    Stop,
    Wrote,
    decode_feed,
    encode_feed,
    framed,
)

fuzz = settings(
    max_examples=200, derandomize=True, deadline=None, database=None, suppress_health_check=list(HealthCheck)
)
numbers = st.integers(-(2**63), 2**63 - 1)
texts = st.text(max_size=300)
ANSWERS = st.one_of(
    st.builds(Ready, numbers),
    st.builds(Outcome, numbers, numbers, numbers, numbers, result=st.none() | texts, output=st.none() | texts),
    st.builds(Begin, numbers, numbers, numbers),
    st.builds(NeedPayload, numbers, numbers, numbers),
    st.builds(Output, numbers, numbers, texts),
    st.builds(Wrote, texts, texts),
    st.builds(MoreTurns, numbers, numbers, numbers),
)
CONTROL = st.one_of(
    st.builds(Stop, numbers, numbers, texts),
    st.builds(Go, numbers, numbers),
    st.builds(Payload, numbers, numbers, texts, st.booleans()),
    st.builds(End),
)


def pieces(data, sizes):
    """The stream as a socket may give it."""
    at = 0
    for size in sizes:
        yield data[at : at + size]
        at += size
    yield data[at:]


@fuzz
@given(st.lists(ANSWERS, max_size=6), st.lists(st.integers(1, 40), max_size=40))
def test_answers_cut_anywhere_come_back_whole(messages, sizes):
    frames, stream = Frames(), b"".join(framed(one) for one in messages)
    assert [one for piece in pieces(stream, sizes) for one in frames.answers(piece)] == messages


@fuzz
@given(st.lists(CONTROL, max_size=6), st.lists(st.integers(1, 40), max_size=40))
def test_so_does_what_is_said_to_it(messages, sizes):
    frames, stream = Frames(), b"".join(framed(one) for one in messages)
    assert [one for piece in pieces(stream, sizes) for one in frames.control(piece)] == messages


@fuzz
@given(st.lists(ANSWERS, min_size=1, max_size=3), st.data())
def test_what_is_no_message_is_told_as_that(messages, data):
    """Random bytes, and messages with some of theirs changed."""
    stream = bytearray(b"".join(framed(one) for one in messages))
    for _ in range(data.draw(st.integers(1, 8))):
        stream[data.draw(st.integers(0, len(stream) - 1))] = data.draw(st.integers(0, 255))
    for bytes_ in (bytes(stream), data.draw(st.binary(max_size=200))):
        for read in (Frames().answers, Frames().control):
            with suppress(msgspec.MsgspecError):
                read(bytes_)


def test_nobody_waits_for_a_message_that_fills_the_memory():
    with pytest.raises(msgspec.DecodeError, match="4,294,967,295 bytes"):
        Frames().answers(struct.pack("!I", 2**32 - 1))


@fuzz
@given(st.builds(Feed, numbers, numbers, numbers, numbers, texts, payload=st.none() | texts))
def test_a_task_that_is_fed(feed):
    assert decode_feed(encode_feed(feed)) == feed
