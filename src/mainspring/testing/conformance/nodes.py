"""Nodes: who takes part, and what is free again when one leaves."""

from mainspring.store.rows import Cancel, NewNode, Standing
from mainspring.tasks.state import State
from mainspring.testing.conformance.trial import EVER, T, Trial, new, settlement


def a_node_is_shown_as_it_joined(trial: Trial) -> None:
    """Its number and what it said of itself; alive, not busy, nothing unknown."""
    given = NewNode(host="höst", pid=42, version="1.2", workers=8, started_at=T, app="shop:daemon")
    seat = trial.store.join(given)
    [row] = trial.store.nodes()
    assert (row.id, row.host, row.pid, row.version) == (seat.node, "höst", 42, "1.2")
    assert (row.workers, row.started_at, row.app) == (8, T, "shop:daemon")
    assert (row.alive, row.busy, row.unknown) == (True, 0, [])


def numbers_are_never_used_twice(trial: Trial) -> None:
    """Each join gets a number never used before: not after a leave, not after a takeover."""
    left, dead = trial.join(), trial.join()
    trial.store.leave(left.node)
    trial.kill(dead)
    trial.store.take_over(dead.node, T)
    fresh = trial.join()
    assert len({left.node, dead.node, fresh.node}) == 3
    assert fresh.node > max(left.node, dead.node)
    assert [row.id for row in trial.store.nodes()] == [fresh.node]


def everybody_sees_a_node(trial: Trial) -> None:
    """A node shows itself through every way in, and is alive there too."""
    seat = trial.join()
    [row] = trial.another().nodes()
    assert (row.id, row.alive) == (seat.node, True)


def a_dead_node_is_shown_as_dead(trial: Trial) -> None:
    """`alive` is what is so, not what a row says; the dead one is shown until it is taken over."""
    seat, living = trial.join(), trial.join()
    trial.kill(seat)
    assert {row.id: row.alive for row in trial.store.nodes()} == {seat.node: False, living.node: True}
    trial.store.take_over(seat.node, T)
    assert [row.id for row in trial.store.nodes()] == [living.node]


def busy_is_read_from_the_journal(trial: Trial) -> None:
    """What the node writes to its journal is what others see, without a commit."""
    seat = trial.join()
    seat.journal.busy = 3
    assert [row.busy for row in trial.another().nodes()] == [3]


def unknown_lanes_are_shown(trial: Trial) -> None:
    """`report` says which lanes the node cannot run; the last report counts."""
    seat = trial.join()
    trial.store.report(seat.node, [3, 1])
    assert [sorted(row.unknown) for row in trial.another().nodes()] == [[1, 3]]
    trial.store.report(seat.node, [])
    assert [row.unknown for row in trial.store.nodes()] == [[]]
    trial.store.report(seat.node + 1_000, [1])  # who is not there reports nothing
    assert len(trial.store.nodes()) == 1


def who_leaves_gives_back(trial: Trial) -> None:
    """What a node still held and had not started is free, as it was; what others hold stays theirs."""
    leaving, staying = trial.join(), trial.join()
    mine, theirs = trial.hold(leaving, run_at=T + 1), trial.hold(staying, run_at=T + 2)
    trial.store.leave(leaving.node)
    row = trial.task(mine.id)
    assert (row.state, row.holder, row.attempt, row.losses, row.run_at) == (State.WAITING, None, 0, 0, T + 1)
    assert trial.task(theirs.id).holder == staying.node
    assert trial.store.next_due(trial.lanes()) == T + 1
    assert trial.store.record([settlement(mine, State.SUCCEEDED)]) == [mine.id], "its tokens are worth nothing now"
    assert [row.id for row in trial.store.nodes()] == [staying.node]


def leaving_twice_is_fine(trial: Trial) -> None:
    """Leaving again, or without having joined, does nothing."""
    seat, other = trial.join(), trial.join()
    trial.store.leave(seat.node)
    held = trial.hold(other)
    trial.store.leave(seat.node)
    trial.store.leave(other.node + 1_000)
    assert trial.task(held.id).holder == other.node


def who_leaves_frees_its_listeners(trial: Trial) -> None:
    """Listeners that the node held are free for others; its own late word about them is refused."""
    leaving, staying = trial.join(), trial.join()
    held = Standing(kind="listener", name="mine", definition="{}", holder=leaving.node)
    trial.store.put(held)
    trial.store.put(Standing(kind="listener", name="theirs", definition="{}", holder=staying.node))
    [before, _] = trial.store.standings()
    trial.store.leave(leaving.node)
    mine, theirs = trial.store.standings()
    assert (mine.holder, theirs.holder) == (None, staying.node)
    assert not trial.store.advance(before), "the version is another one now"


def who_left_is_not_taken_over(trial: Trial) -> None:
    """`take_over` of a node that left, or never was: None."""
    seat = trial.join()
    trial.store.leave(seat.node)
    assert trial.store.take_over(seat.node, T) is None
    assert trial.store.take_over(seat.node + 1_000, T) is None


def a_living_node_is_not_taken_over(trial: Trial) -> None:
    """`take_over`: None while the node lives, and nothing is changed."""
    held = trial.hold()
    assert trial.store.take_over(held.seat.node, T) is None
    assert trial.another().take_over(held.seat.node, T) is None
    assert trial.task(held.id).holder == held.seat.node
    trial.finish(held)


def a_node_outlives_the_look_of_others(trial: Trial) -> None:
    """Looking at a node, through any way in, and closing that way again, does not end its life."""
    held = trial.hold()
    other = trial.another()
    assert [row.alive for row in other.nodes()] == [True]
    assert other.take_over(held.seat.node, T) is None
    if other is not trial.store:
        other.close()
    assert [row.alive for row in trial.store.nodes()] == [True]
    assert trial.store.take_over(held.seat.node, T) is None


def requests_end_with_the_node(trial: Trial) -> None:
    """Requests to a node that left are not given to the next."""
    seat = trial.join()
    number = trial.store.ask(seat.node, 1, Cancel())
    trial.store.leave(seat.node)
    fresh = trial.join()
    assert trial.store.requests(fresh.node) == []
    assert trial.store.answered(number) is None


def a_store_without_nodes_still_keeps(trial: Trial) -> None:
    """Adding, looking and steering need nobody to take part."""
    task = trial.add()
    assert trial.store.nodes() == []
    assert trial.store.reserve(1, trial.lanes(), after=-1, until=EVER, limit=1).tasks == []
    assert trial.store.change(task, Cancel(), T).outcome == "done"
    assert trial.store.add([new()], T)[0].id > task
