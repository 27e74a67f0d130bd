"""Watching: after each change, whoever watches is told; `fileno` is readable until it has looked."""

from mainspring.store.rows import Again, Cancel, Release, Reschedule, Standing, Verdict
from mainspring.tasks.state import State
from mainspring.testing.conformance.trial import T, Trial, await_news, new, readable, settlement


def no_news_at_first(trial: Trial) -> None:
    """A new watch has no news: `fileno` is not readable, and `drain` does not wait."""
    trial.add()
    watch = trial.watch()
    assert not readable(watch)
    assert watch.drain() == []


def what_is_drained_is_gone(trial: Trial) -> None:
    """Readable while there is news, and no longer once it was drained."""
    watch = trial.watch()
    trial.add(T + 5)
    assert readable(watch, 30)
    assert readable(watch, 30), "looking with select takes nothing"
    assert watch.drain()
    assert not readable(watch)
    assert watch.drain() == []
    trial.add(T + 6)
    await_news(watch, f"due {T + 6}")


def every_watch_is_told(trial: Trial) -> None:
    """Several watches, through several ways in: each gets all news for itself."""
    watches = [trial.watch(), trial.watch(), trial.watch(trial.another())]
    trial.add(T + 5)
    for watch in watches:
        await_news(watch, f"due {T + 5}")


def no_news_after_close(trial: Trial) -> None:
    """A closed watch is told nothing; closing twice is fine; others go on."""
    closed, watch = trial.watch(), trial.watch()
    closed.close()
    closed.close()
    trial.add(T + 5)
    await_news(watch, f"due {T + 5}")


def much_news_is_folded_not_lost(trial: Trial) -> None:
    """A watcher that does not look for long is told in the end, if only to look at everything (`*`)."""
    held = trial.hold()
    watch = trial.watch()
    other = trial.another()
    for n in range(1_500):
        other.record([settlement(held, State.WAITING, keep=True, output=str(n))])
    other.add([new(T + 5)], T)
    await_news(watch, f"due {T + 5}")


def an_add_is_told(trial: Trial) -> None:
    """`add`: `due` with the earliest instant of the call."""
    watch = trial.watch()
    trial.store.add([new(T + 9), new(T + 3), new(T + 5)], T)
    await_news(watch, f"due {T + 3}")


def an_end_is_told(trial: Trial) -> None:
    """`record`: `done` for a final state."""
    held = trial.hold()
    watch = trial.watch()
    trial.finish(held)
    await_news(watch, "done")


def what_is_given_back_is_told(trial: Trial) -> None:
    """`record`: `due` for what is free again."""
    held = trial.hold()
    watch = trial.watch()
    trial.finish(held, State.WAITING, run_at=T + 7)
    await_news(watch, f"due {T + 7}")


def a_recorded_start_is_told(trial: Trial) -> None:
    """`record`: `room` for a task that runs now: one less is due and waits."""
    held = trial.hold()
    watch = trial.watch()
    trial.start(held)
    await_news(watch, "room")


def a_later_try_of_its_holder_is_told(trial: Trial) -> None:
    """`record`: `room` for a task whose holder keeps it for a later instant."""
    held = trial.hold()
    watch = trial.watch()
    trial.finish(held, State.WAITING, keep=True, run_at=T + 7)
    await_news(watch, "room")


def output_is_told(trial: Trial) -> None:
    """`record`: `output` where some was written."""
    held = trial.hold()
    watch = trial.watch()
    trial.finish(held, State.RUNNING, output="text")
    await_news(watch, "output")


def a_change_is_told(trial: Trial) -> None:
    """`change`: `done` for a cancel, `due` for what waits for another instant or waits again."""
    task = trial.add(T + 9)
    watch = trial.watch()
    trial.store.change(task, Reschedule(T + 4), T)
    await_news(watch, f"due {T + 4}")
    trial.store.change(task, Cancel(), T)
    await_news(watch, "done")
    trial.store.change(task, Again(T + 3), T)
    await_news(watch, f"due {T + 3}")


def a_request_and_its_answer_are_told(trial: Trial) -> None:
    """`ask`: `ask <node>`; `answer`: `answer`."""
    node = trial.join().node
    watch = trial.watch(trial.another())
    number = trial.store.ask(node, None, Release())
    await_news(watch, f"ask {node}")
    trial.store.answer(number, Verdict("done"))
    await_news(watch, "answer")


def a_resume_is_told(trial: Trial) -> None:
    """Resuming one queue or all: something may be due."""
    trial.store.pause("mail", paused=True)
    trial.store.pause(None, paused=True)
    watch = trial.watch()
    trial.store.pause("mail", paused=False)
    await_news(watch, "due 0")
    trial.store.pause(None, paused=False)
    await_news(watch, "due 0")


def standings_are_told(trial: Trial) -> None:
    """`put`, `advance`, `remove`: `standing`, of which kind and name; and `due` for tasks that an advance adds."""
    watch = trial.watch()
    trial.store.put(Standing(kind="schedule", name="s 1", definition="{}"))
    await_news(watch, "standing schedule s 1")
    trial.store.advance(trial.store.standings()[0], [new(T + 5)], T)
    await_news(watch, "standing schedule s 1", f"due {T + 5}")
    trial.store.remove("schedule", "s 1")
    await_news(watch, "standing schedule s 1")


def nodes_are_told(trial: Trial) -> None:
    """`join` and `leave`: `nodes`; and `due` when something is free again."""
    watch = trial.watch()
    held = trial.hold()
    await_news(watch, "nodes")
    watch.drain()
    trial.store.leave(held.seat.node)
    await_news(watch, "nodes", f"due {T}")


def a_takeover_is_told(trial: Trial) -> None:
    """`take_over`: `nodes`, and `due` when something is free again."""
    held = trial.hold()
    watch = trial.watch()
    trial.kill(held.seat)
    trial.store.take_over(held.seat.node, T)
    await_news(watch, "nodes", f"due {T}")
