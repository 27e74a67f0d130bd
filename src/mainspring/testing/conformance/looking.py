"""Looking: what is found, in which order, and what is forgotten."""

from mainspring.store.rows import Cancel, Filter
from mainspring.tasks.state import FINISHED, Kind, State
from mainspring.testing.conformance.trial import EVER, Held, T, Trial, new, settlement


def what_is_not_there_is_none(trial: Trial) -> None:
    """An unknown task: no row, no output, no attempts."""
    assert trial.store.get(99) is None
    assert trial.store.output(99) is None
    assert trial.store.attempts(99) == []
    assert trial.store.find(Filter()) == []


def soonest_first(trial: Trial) -> None:
    """By `run_at`, ties by id; whatever the priority."""
    added = trial.store.add([new(T + n % 3, priority=n) for n in range(6)], T)
    ids = [one.id for one in added]
    found = trial.store.find(Filter())
    assert [row.id for row in found] == [ids[n] for n in (0, 3, 1, 4, 2, 5)]
    assert found == [trial.task(row.id) for row in found]


def by_each_field(trial: Trial) -> None:
    """State, queue, kind, schedule and key: exactly those that fit; several together: all must fit."""
    seat = trial.join()
    failed = trial.ended(State.FAILED, seat, queue="mail")
    running = trial.hold(seat, queue="mail")
    trial.start(running)
    program = trial.add(kind=Kind.PROGRAM, work="", queue="mail")
    keyed = trial.add(key="k", schedule="s")
    other = trial.add(key="K", schedule="S")

    def ids(wanted: Filter) -> list[int]:
        return sorted(row.id for row in trial.store.find(wanted))

    assert ids(Filter()) == [failed, running.id, program, keyed, other]
    assert ids(Filter(states=(State.WAITING,))) == [program, keyed, other]
    assert ids(Filter(states=(State.RUNNING, State.FAILED))) == [failed, running.id]
    assert ids(Filter(queue="mail")) == [failed, running.id, program]
    assert ids(Filter(kind=Kind.PROGRAM)) == [program]
    assert ids(Filter(schedule="s")) == [keyed]
    assert ids(Filter(key="k")) == [keyed]
    assert ids(Filter(queue="mail", states=(State.WAITING,))) == [program]
    assert ids(Filter(queue="mail", key="k")) == []
    assert ids(Filter(queue="nowhere")) == []


def page_by_page(trial: Trial) -> None:
    """`after` goes on behind a row: unfinished ones by `run_at`, finished ones by when they finished, the last first;
    nothing twice, nothing left out, also where instants are equal.
    """
    seat = trial.join()
    for n in range(5):
        trial.ended(State.FAILED, seat, T + 50 + n // 2, schedule="s")
    trial.store.add([new(T + 100 + n // 3, name="a" if n % 2 else None) for n in range(10)], T)

    def pages(limit: int, states: tuple[State, ...], **wanted: str) -> list[int]:
        after, ids = None, list[int]()
        while rows := trial.store.find(Filter(states=states, after=after, limit=limit, **wanted)):  # type: ignore[arg-type]
            finished = sorted(rows, key=lambda row: (row.finished_at or 0, row.id), reverse=True)
            last = rows[-1] if rows[0].finished_at is None else finished[-1]
            after = last.run_at if last.finished_at is None else last.finished_at, last.id
            ids += [row.id for row in (rows if rows[0].finished_at is None else finished)]
        return ids

    whole = [row.id for row in trial.store.find(Filter(states=(State.WAITING,)))]
    for limit in (1, 2, 3, 7):
        assert pages(limit, (State.WAITING,)) == whole
        assert pages(limit, (State.FAILED,)) == [5, 4, 3, 2, 1]
        assert pages(limit, (State.FAILED,), schedule="s") == [5, 4, 3, 2, 1]
        assert len(pages(limit, (State.WAITING,), name="a")) == 5


def by_name(trial: Trial) -> None:
    """`name` matches the label, the full name, the bare name (of a program its file), a method's last part; nothing
    else.
    """
    labelled = trial.add(work="shop:open_sale", name="sale 42")
    method = trial.add(work="shop.eu:Till.close")
    program = trial.add(kind=Kind.PROGRAM, work="/shop:1/open.sh", name="echo")

    def ids(name: str) -> list[int]:
        return [row.id for row in trial.store.find(Filter(name=name))]

    assert ids("sale 42") == [labelled]
    assert ids("shop:open_sale") == [labelled]
    assert ids("open_sale") == [labelled]
    assert ids("shop.eu:Till.close") == [method]
    assert ids("Till.close") == ids("close") == [method]
    assert ids("echo") == ids("open.sh") == ids("/shop:1/open.sh") == [program]
    for nothing in ("sale", "pen_sale", "shop", "open%", "OPEN_SALE", "*", "sh", "1/open.sh"):
        assert ids(nothing) == [], nothing


def due_before_an_instant(trial: Trial) -> None:
    """`due_before`: tasks whose `run_at` is earlier."""
    trial.store.add([new(T + 10), new(T + 30)], T)
    assert [row.run_at for row in trial.store.find(Filter(due_before=T + 20))] == [T + 10]
    assert trial.store.find(Filter(due_before=T + 5)) == []


def the_soonest_that_wait(trial: Trial) -> None:
    """Of unfinished tasks the soonest `limit` are chosen."""
    trial.store.add([new(T + n % 5) for n in range(10)], T)
    found = trial.store.find(Filter(states=(State.WAITING,), limit=3))
    assert [row.run_at for row in found] == [T, T, T + 1]
    assert len(trial.store.find(Filter(limit=1))) == 1


def the_newest_that_finished(trial: Trial) -> None:
    """Of finished tasks the newest `limit` are chosen; they too come soonest `run_at` first."""
    seat = trial.join()
    ended = [trial.ended(State.SUCCEEDED, seat, run_at=T + n, finished_at=T + 100 + n) for n in range(6)]
    found = trial.store.find(Filter(states=(State.SUCCEEDED,), limit=2))
    assert [row.id for row in found] == ended[-2:]


def stats_count_every_state(trial: Trial) -> None:
    """Every state has a count, nought too; lateness is that of finished tasks which had started."""
    assert trial.store.stats().counts == dict.fromkeys(State, 0)
    assert trial.store.stats().lateness == []
    seat = trial.join()
    for n, state in enumerate(sorted(FINISHED)):
        for late in range(n + 1):
            held = trial.hold(seat, run_at=T)
            trial.finish(held, state, started_at=T + 10 * n + late, finished_at=T + 99, reason="r")
    trial.store.change(trial.add(), Cancel(), T)  # never started: it has no lateness
    running = trial.hold(seat)
    trial.start(running, started_at=T + 77)
    trial.add()
    stats = trial.store.stats()
    counts = {state: n + 1 for n, state in enumerate(sorted(FINISHED))}
    counts[State.CANCELLED] += 1
    assert stats.counts == counts | {State.RUNNING: 1, State.WAITING: 1}
    assert sorted(stats.lateness) == [0, 10, 11, 20, 21, 22, 30, 31, 32, 33]


def lateness_is_of_the_last_thousand(trial: Trial) -> None:
    """Only the last 1,000 finished tasks count."""
    seat = trial.join()
    for late, many in ((5, 10), (1, 1_000)):
        trial.store.add([new(T) for _ in range(many)], T)
        batch = trial.reserve(seat.node, limit=many)
        done = [
            settlement(
                Held(task.id, batch.token, seat), State.SUCCEEDED, started_at=T + late, finished_at=T + 20 - late
            )
            for task in batch.tasks
        ]
        assert trial.store.record(done) == []
    assert trial.store.stats().lateness == [1] * 1_000


def prune_forgets_what_finished_long_ago(trial: Trial) -> None:
    """Finished before the instant: gone, with attempts and output. Unfinished or younger: stays."""
    seat = trial.join()
    held = trial.hold(seat)
    trial.finish(held, State.WAITING, failures=1, failed_try=True, reason="raised", output="text")
    held = trial.hold_again(held.id, seat)
    trial.finish(held, State.FAILED, reason="raised", finished_at=T + 1)
    ended = [trial.ended(state, seat, finished_at=T + 1) for state in sorted(FINISHED)]
    young = trial.ended(State.SUCCEEDED, seat, finished_at=T + 2)
    waits = trial.add(run_at=1)
    runs = trial.hold(seat, run_at=2)
    trial.start(runs, started_at=2)
    assert trial.store.prune(T + 2, 100) == 1 + len(ended)
    for gone in (held.id, *ended):
        assert trial.store.get(gone) is None
        assert trial.store.attempts(gone) == []
        assert trial.store.output(gone) is None
    assert sorted(row.id for row in trial.store.find(Filter())) == sorted([young, waits, runs.id])
    assert trial.store.prune(T + 2, 100) == 0


def prune_forgets_no_more_than_asked(trial: Trial) -> None:
    """At most `limit` at a time; how many is the answer."""
    seat = trial.join()
    for _ in range(5):
        trial.ended(State.SUCCEEDED, seat)
    assert [trial.store.prune(EVER, 2) for _ in range(4)] == [2, 2, 1, 0]
    assert trial.store.stats().counts[State.SUCCEEDED] == 0


def another_way_in_sees_the_same(trial: Trial) -> None:
    """After the call returned, everybody sees the change."""
    other = trial.another()
    held = trial.hold()
    assert other.get(held.id) == trial.task(held.id)
    trial.finish(held, output="text")
    assert other.get(held.id) == trial.task(held.id)
    assert other.output(held.id) == "text"
    assert other.stats() == trial.store.stats()
