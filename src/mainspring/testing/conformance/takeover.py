"""Takeover: what a dead node left is settled once; what had started is told from what had not."""

from functools import partial

from mainspring.store.rows import AttemptRow, Cancel, NewTask, Release, Standing, TakenOver
from mainspring.tasks.state import State
from mainspring.testing.conformance.trial import AT_MOST_ONCE, T, Trial, new, settlement, together


def what_had_not_started_is_free(trial: Trial) -> None:
    """Neither in the journal nor recorded as running: free again, as if it had never been held."""
    held = trial.hold(run_at=T + 3)
    trial.kill(held.seat)
    assert trial.store.take_over(held.seat.node, T + 50) == TakenOver(freed=1, lost=[])
    row = trial.task(held.id)
    assert (row.state, row.holder, row.attempt, row.losses, row.started_at) == (State.WAITING, None, 0, 0, None)
    assert trial.store.attempts(held.id) == []
    assert trial.store.record([settlement(held, State.SUCCEEDED)]) == [held.id]
    trial.hold_again(held.id, trial.join())


def what_the_journal_shows_was_lost(trial: Trial) -> None:
    """Started by the journal: `attempt` and `losses` count it, the attempts say so; it waits under its own `run_at`."""
    held = trial.hold(run_at=T + 3, key="k")
    held.seat.journal.note(held.id, held.token, T + 4)
    trial.kill(held.seat)
    assert trial.store.take_over(held.seat.node, T + 50) == TakenOver(freed=0, lost=[held.id])
    row = trial.task(held.id)
    assert (row.state, row.holder, row.run_at) == (State.WAITING, None, T + 3)
    assert (row.attempt, row.failures, row.losses) == (1, 0, 1)
    assert (row.reason, row.error, row.finished_at) == (None, None, None)
    assert trial.store.attempts(held.id) == [AttemptRow(1, T + 4, T + 50, "worker lost", None)]
    again = trial.reserve(trial.join().node)
    assert [(task.id, task.attempt, task.losses) for task in again.tasks] == [(held.id, 1, 1)]


def what_was_recorded_as_running_was_lost(trial: Trial) -> None:
    """Recorded as running: its start is counted already, so `attempt` stays; in the journal too or not."""
    seat = trial.join()
    one, two = trial.hold(seat), trial.hold(seat, run_at=T + 1)
    seat.journal.note(one.id, one.token, T + 4)
    for held in (one, two):
        trial.start(held, attempt=1, started_at=T + 4)
    trial.kill(seat)
    taken = trial.store.take_over(seat.node, T + 50)
    assert taken is not None
    assert (taken.freed, sorted(taken.lost)) == (0, [one.id, two.id])
    for held in (one, two):
        row = trial.task(held.id)
        assert (row.state, row.attempt, row.losses) == (State.WAITING, 1, 1)
        assert trial.store.attempts(held.id) == [AttemptRow(1, T + 4, T + 50, "worker lost", None)]


def an_old_note_is_no_start(trial: Trial) -> None:
    """A note under another token, or of a task of others, says nothing: nothing in a journal is ever erased."""
    seat, other = trial.join(), trial.join()
    held = trial.hold(seat)
    seat.journal.note(held.id, held.token, T)
    trial.finish(held, State.WAITING, failures=1, failed_try=True, reason="raised", started_at=T, finished_at=T)
    fresh = trial.hold_again(held.id, seat)
    theirs = trial.hold(other, run_at=T + 1)
    seat.journal.note(theirs.id, theirs.token, T)
    trial.kill(seat)
    assert trial.store.take_over(seat.node, T + 50) == TakenOver(freed=1, lost=[])
    assert (trial.task(fresh.id).attempt, trial.task(fresh.id).losses) == (1, 0)
    assert trial.task(theirs.id).holder == other.node


def a_try_that_was_recorded_is_not_lost(trial: Trial) -> None:
    """Kept for its next try: the note of the former try is of a start that was recorded; only a newer one counts."""
    seat = trial.join()
    one, two = trial.hold(seat), trial.hold(seat, run_at=T + 1)
    tried = {"keep": True, "failures": 1, "failed_try": True, "reason": "raised"}
    for held in (one, two):
        seat.journal.note(held.id, held.token, T + 4)
        trial.finish(held, State.WAITING, started_at=T + 4, finished_at=T + 5, **tried)
    seat.journal.note(two.id, two.token, T + 9)
    trial.kill(seat)
    assert trial.store.take_over(seat.node, T + 50) == TakenOver(freed=1, lost=[two.id])
    assert [(trial.task(held.id).attempt, trial.task(held.id).losses) for held in (one, two)] == [(1, 0), (2, 1)]


def a_start_counts_though_the_clock_was_set_back(trial: Trial) -> None:
    """Noted earlier than the start of the former attempt, which is recorded: it is another one, and lost."""
    held = trial.hold(trial.join())
    trial.finish(held, State.WAITING, started_at=T + 50, finished_at=T + 60, failures=1, failed_try=True)
    seat = trial.join()
    again = trial.hold_again(held.id, seat)
    seat.journal.note(again.id, again.token, T + 4)
    trial.kill(seat)
    assert trial.store.take_over(seat.node, T + 50) == TakenOver(freed=0, lost=[held.id])
    assert (trial.task(held.id).attempt, trial.task(held.id).losses) == (2, 1)


def the_third_loss_sets_it_aside(trial: Trial) -> None:
    """Lost three times: `failed`, reason `poison`; its key is free."""
    id_ = trial.add(key="k")
    for loss in range(1, 4):
        held = trial.hold_again(id_, trial.join())
        held.seat.journal.note(id_, held.token, T + loss)
        trial.kill(held.seat)
        assert trial.store.take_over(held.seat.node, T + 50 + loss) == TakenOver(freed=0, lost=[id_])
        row = trial.task(id_)
        assert (row.attempt, row.losses) == (loss, loss)
        assert row.state is (State.WAITING if loss < 3 else State.FAILED)
    row = trial.task(id_)
    assert (row.reason, row.finished_at, row.holder) == ("poison", T + 53, None)
    assert trial.store.add([new(key="k")], T)[0].created
    assert trial.store.next_due(trial.lanes()) == T, "the new one, and it alone"
    assert trial.store.waiting(trial.lanes()) == 1


def at_most_once_is_lost_at_once(trial: Trial) -> None:
    """An at-most-once task that had started is `failed`, reason `lost`; one that had not is free."""
    seat = trial.join()
    started = trial.hold(seat, options=AT_MOST_ONCE)
    trial.start(started, started_at=T + 4)
    not_started = trial.hold(seat, options=AT_MOST_ONCE, run_at=T + 1)
    trial.kill(seat)
    assert trial.store.take_over(seat.node, T + 50) == TakenOver(freed=1, lost=[started.id])
    row = trial.task(started.id)
    assert (row.state, row.reason, row.finished_at) == (State.FAILED, "lost", T + 50)
    assert (row.attempt, row.losses, row.holder) == (1, 1, None)
    assert trial.task(not_started.id).state is State.WAITING


def at_most_once_may_be_said_with_the_start(trial: Trial) -> None:
    """The options that a settlement brings replace the stored ones: by them the takeover decides."""
    held = trial.hold(seat := trial.join())
    trial.store.record([settlement(held, State.RUNNING, keep=True, started_at=T + 4, options=AT_MOST_ONCE)])
    assert trial.task(held.id).options == AT_MOST_ONCE
    trial.kill(seat)
    assert trial.store.take_over(seat.node, T + 50) == TakenOver(freed=0, lost=[held.id])
    assert (trial.task(held.id).state, trial.task(held.id).reason) == (State.FAILED, "lost")


def what_was_lost_did_not_end_before_it_began(trial: Trial) -> None:
    """Set back between the start and the takeover, a clock does not make a task end before its start."""
    seat = trial.join()
    once, again = trial.hold(seat, options=AT_MOST_ONCE), trial.hold(seat)
    for held in (once, again):
        trial.start(held, started_at=T + 500)
    trial.kill(seat)
    trial.store.take_over(seat.node, T + 50)
    assert trial.task(once.id).finished_at == T + 500
    assert [one.finished_at for one in trial.store.attempts(again.id)] == [T + 500]


def once_and_by_one(trial: Trial) -> None:
    """Of many that take over at the same moment one does it, the others get None; and so does whoever comes later."""
    held = trial.hold()
    held.seat.journal.note(held.id, held.token, T)
    trial.kill(held.seat)
    other = trial.another()
    stores = [trial.store, other] * 2
    results = together([partial(store.take_over, held.seat.node, T + 50) for store in stores])
    assert [result for result in results if result is not None] == [TakenOver(freed=0, lost=[held.id])]
    assert trial.store.take_over(held.seat.node, T + 60) is None
    assert (trial.task(held.id).attempt, trial.task(held.id).losses) == (1, 1)


def its_listeners_are_free(trial: Trial) -> None:
    """Listeners it held are free; a late word of the dead about them is refused. Those of others stay theirs."""
    seat, living = trial.join(), trial.join()
    trial.store.put(Standing(kind="listener", name="a", definition="{}", holder=seat.node, status="{}"))
    trial.store.put(Standing(kind="listener", name="b", definition="{}", holder=living.node))
    [before, others] = trial.store.standings()
    trial.kill(seat)
    assert trial.store.take_over(seat.node, T) == TakenOver(freed=0, lost=[])
    mine, theirs = trial.store.standings()
    assert (mine.holder, mine.definition, mine.status) == (None, "{}", "{}")
    assert theirs == others
    assert not trial.store.advance(before)
    assert trial.store.advance(mine)


def its_requests_are_forgotten(trial: Trial) -> None:
    """Unanswered requests are forgotten; an answer that it had given can still be read."""
    seat = trial.join()
    held = trial.hold(seat)
    answered = trial.store.ask(seat.node, held.id, Cancel())
    verdict = trial.store.change(held.id, Cancel(), T, held.token)
    trial.store.answer(answered, verdict)
    unanswered = trial.store.ask(seat.node, None, Release())
    trial.kill(seat)
    trial.store.take_over(seat.node, T)
    assert trial.store.requests(seat.node) == []
    assert trial.store.answered(unanswered) is None
    assert trial.store.answered(answered) == verdict


def the_dead_settle_nothing(trial: Trial) -> None:
    """After the takeover every token of the dead node is worth nothing: settlements and changes are refused."""
    seat = trial.join()
    held = trial.hold(seat)
    trial.start(held)
    trial.kill(seat)
    trial.store.take_over(seat.node, T)
    fresh = trial.hold_again(held.id, trial.join())
    before = trial.task(held.id)
    assert trial.store.record([settlement(held, State.SUCCEEDED)]) == [held.id]
    assert trial.store.change(held.id, Cancel(), T, held.token).outcome == "held"
    assert trial.task(held.id) == before
    trial.finish(fresh, attempt=2)


def many_are_settled(trial: Trial) -> None:
    """Hundreds of tasks, some started, some not: each ends on the right side."""
    seat = trial.join()
    tasks: list[NewTask] = [new(T + n) for n in range(500)]
    trial.store.add(tasks, T)
    batch = trial.reserve(seat.node)
    started = [task.id for task in batch.tasks if task.id % 3 == 0]
    for id_ in started:
        seat.journal.note(id_, batch.token, T + 1_000)
    trial.kill(seat)
    taken = trial.another().take_over(seat.node, T + 2_000)
    assert taken is not None
    assert (taken.freed, sorted(taken.lost)) == (500 - len(started), sorted(started))
    assert trial.store.waiting(trial.lanes()) == 500
    again = trial.reserve(trial.join().node)
    assert {task.id: task.losses for task in again.tasks} == {
        task.id: int(task.id in set(started)) for task in batch.tasks
    }
