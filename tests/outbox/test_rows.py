"""Rows of an outbox: what is written is understood, and whatever else stands there is refused or harmless."""

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mainspring.errors import InvalidValue
from mainspring.store.arrivals import Parcel, is_outbox_id, new_id
from mainspring.store.memory import MemoryStore
from mainspring.store.outbox import Letter, understood, written
from mainspring.store.rows import NewTask
from mainspring.tasks.state import State
from mainspring.when.instants import to_datetime

T = 1_800_000_000_000_000
WORDS = st.text(st.characters(exclude_categories=("Cc", "Cs")), min_size=1, max_size=20)
INSTANTS = st.integers(-(2**55), 2**57)


@given(
    st.builds(
        NewTask,
        work=WORDS, queue=WORDS, priority=st.integers(-32_768, 32_767), run_at=INSTANTS, name=st.none() | WORDS,
        payload=st.none() | st.just('[["\\u0000"],{}]'), key=st.none() | WORDS, expires_at=st.none() | INSTANTS,
        on_conflict=st.sampled_from(["error", "keep", "replace"]),
    )
)  # fmt: skip
def test_what_is_written_is_understood(task):
    assert understood(written(task)) == task


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**80), 2**80) | st.floats() | st.text(max_size=30),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)
NEEDED = {
    "format": st.just(1) | VALUES,
    "work": st.just("shop:ship") | VALUES,
    "run_at": st.just(T) | st.integers() | VALUES,
}
OTHERS = (set(Letter.__struct_fields__) | {"schedule", "occurrence", "missed"}) - NEEDED.keys()
FIELDS = st.fixed_dictionaries(NEEDED, optional=dict.fromkeys(sorted(OTHERS), VALUES))


@settings(max_examples=300)
@given(FIELDS.map(lambda fields: msgspec.json.encode(fields).decode()) | st.text(max_size=200))
def test_whatever_stands_there_is_refused_or_a_task_like_any_other(text):
    try:
        task = understood(text)
    except InvalidValue:
        return
    assert (task.schedule, task.occurrence, task.missed) == (None, None, None)
    store = MemoryStore()
    [arrival] = store.arrivals.take_in([Parcel("a", task)], T)
    row = store.get(arrival.task)
    assert row.state is State.WAITING
    assert to_datetime(row.run_at)  # it can be shown


def test_ids_come_in_the_order_of_drawing_whatever_the_clock_says():
    ids = [new_id(now) for now in (T, T, T + 5, T - 1_000_000_000, T + 6)]
    assert ids == sorted(set(ids))
    assert all(map(is_outbox_id, ids))


ID = "o0661048c790df32801ceae55ee5b7a65"


@pytest.mark.parametrize("text", ["", "57", "o57", ID.upper(), ID[:-1], ID + "0", " " + ID, ID + "\n"])
def test_what_is_no_id_of_an_outbox(text):
    assert is_outbox_id(ID)
    assert not is_outbox_id(text)
