"""`batch()`: a chain of tasks, one commit at the end, none if the block raises."""

import pytest

from mainspring import InvalidArguments, KeyInUse, Misuse


def fail(_):
    raise ZeroDivisionError


@pytest.fixture
def note(daemon):
    seen = []

    @daemon.task(name="t:note")
    def note(what, loud=False):
        seen.append((what, loud))

    note.seen = seen
    return note


def test_each_add_returns_the_batch(daemon, clock, note):
    with daemon.batch() as batch:
        assert batch.add_task(note, args=(1,)) is batch
        batch.add_task(note, args=(2,), kwargs={"loud": True}).add_task("t:note", (3,), after="1s", priority=5)
    assert note.seen == [(1, False), (2, True)]
    clock.advance("1s")
    assert note.seen[-1] == (3, False)
    assert [task.priority for task in batch.tasks] == [0, 0, 5]


def test_one_commit(daemon, note, monkeypatch):
    commits = []
    real = daemon.store.add
    monkeypatch.setattr(daemon.store, "add", lambda tasks, now: commits.append(len(tasks)) or real(tasks, now))
    with daemon.batch() as batch:
        for number in range(5):
            batch.add_task(note, args=(number,))
    assert commits == [5]


def test_nothing_if_the_block_raises(daemon, note):
    with pytest.raises(ZeroDivisionError), daemon.batch() as batch:
        fail(batch.add_task(note, args=(1,)))
    assert daemon.find() == []


def test_nothing_if_one_of_them_is_refused(daemon, note):
    daemon.add_task(note, args=(0,), key="k", after="1h")
    with pytest.raises(KeyInUse), daemon.batch() as batch:
        batch.add_task(note, args=(1,)).add_task(note, args=(2,), key="k")
    with pytest.raises(InvalidArguments), daemon.batch() as batch:
        batch.add_task(note, args=(1,)).add_task(note, args=(1, 2, 3))
    assert note.seen == []
    assert len(daemon.find()) == 1


def test_its_tasks_exist_after_the_block(daemon, note):
    with daemon.batch() as batch:
        batch.add_task(note, args=(1,))
        with pytest.raises(Misuse, match="after"):
            batch.tasks  # noqa: B018
    assert len(batch.tasks) == 1


def test_an_empty_one_is_fine(daemon):
    with daemon.batch() as batch:
        pass
    assert batch.tasks == []


def test_a_slip_in_an_option_is_said_where_it_is_written(daemon, note):
    with daemon.batch() as batch, pytest.raises(InvalidArguments, match="did you mean"):
        batch.add_task(note, args=(1,), prioriti=3)
