"""Bodies of the worst kinds cost their own task, and nobody else anything: each kind, on each sort of worker."""

import poison
import pytest
from support import PATIENCE

pytestmark = pytest.mark.process

RAISING = [(one.__name__, kind) for one, kind in poison.KINDS.items()]


def run_beside(client, names):
    """Each poison, and a neighbour after each; how they ended."""
    items = [{"work": work} for name in names for work in (f"poison:{name}", "poison:neighbour")]
    tasks = client.add_tasks(items)
    for task in tasks:
        assert task.wait(PATIENCE), task
    assert [task.state for task in tasks[1::2]] == ["succeeded"] * len(names)
    return tasks[::2]


@pytest.mark.parametrize("way", ["", "_in_the_loop"])
@pytest.mark.parametrize("pool", ["threads", "processes"])
def test_every_kind_costs_its_own_task_alone(start, client, pool, way):
    daemon = start("poison.py", MAINSPRING_POOL=pool)
    daemon.until("ready")
    ended = run_beside(client, [name + way for name, _ in RAISING])
    told = {
        name: task.error.type if task.error is not None and task.state == "failed" else None
        for (name, _), task in zip(RAISING, ended, strict=True)
    }
    # Python itself makes that of it in a coroutine
    assert told == {**dict(RAISING), **({"stops_iterating": "RuntimeError"} if way else {})}
    assert {task.state.value for (_, kind), task in zip(RAISING, ended, strict=True) if kind is None} == {"succeeded"}
    assert [task.attempt for task in ended] == [1] * len(ended)
    assert daemon.process.poll() is None, daemon.errors()
    assert daemon.terminate() == 0


def test_what_takes_its_process_with_it_is_set_aside_after_three(start, client):
    daemon = start("poison.py", MAINSPRING_POOL="processes")
    daemon.until("ready")
    ended = run_beside(client, [one.__name__ for one in poison.DEADLY])
    assert {(task.state.value, task.reason, task.attempt) for task in ended} == {("failed", "poison", 3)}
    assert daemon.terminate() == 0


def test_what_spoils_its_own_process_is_over_with_it(start, client):
    daemon = start("poison.py", MAINSPRING_POOL="processes")
    daemon.until("ready")
    for _ in range(3):  # the workers that are left over have to go on
        run_beside(client, [one.__name__ for one in poison.WAYWARD])
    assert daemon.terminate() == 0
