"""Clients that add, cancel, move and start tasks, pause queues and change schedules, by the real verbs of a client.

Each is a process of its own: it can be killed in any call of the store, also between a commit and the news of it. What
it was told has happened is entered in the books; of what it was not told nothing is known, and nothing is entered.
"""

from collections.abc import Callable
from functools import partial
from random import Random
from typing import TypeVar

import msgspec

from mainspring.adding import Adder
from mainspring.client import Client
from mainspring.engine.definitions import Rule, ScheduleDefinition, Work, encode
from mainspring.errors import MainspringError, NotFound
from mainspring.standing import Schedule, find_standing
from mainspring.status import read_status
from mainspring.steering import Cancellation
from mainspring.store.protocol import Store
from mainspring.store.rows import NewTask, Reschedule, Standing
from mainspring.tasks.options import RetryRule, TaskOptions, encode_options
from mainspring.tasks.registry import Registry
from mainspring.triggers import Cron, Every
from mainspring.waiting import SAFETY_US, Waiting
from mainspring.when.triggers import Trigger, encode_trigger
from simulate.checks import Edited
from simulate.faults import HOUR, MINUTE, SECOND
from simulate.world import FUNCTION, Process, World

T = TypeVar("T")

_STEP_US = 20_000
_KEYS = ("k0", "k1")
_NAMES = ("e0", "e1")
_TRIGGERS: tuple[Trigger, ...] = (Every("7m"), Every("90s"), Every("11s"), Cron("*/10 * * * *"))


class Patience(Waiting):
    """Waits in the world's time."""

    def __init__(self, client: Client, process: Process) -> None:
        super().__init__(client)
        self._process = process

    def until(self, look: Callable[[], T | None], timeout: int | None, every: int = SAFETY_US) -> T | None:  # noqa: ARG002
        """See `Waiting`."""
        machine = self._process.world.machine
        end = machine.boot + (SAFETY_US if timeout is None else timeout)
        while (found := look()) is None and machine.boot < end:
            self._process.take(_STEP_US)
        return found


class Visitor(Process):
    """One client."""

    def __init__(self, world: World, name: str) -> None:
        super().__init__(world, name)
        registry = Registry("/")
        self.client = Client(
            open_store=lambda: self.way,  # type: ignore[arg-type,return-value]  # it hands on what the port has
            registry=registry, clock=self.clock, adder=Adder(registry, None),
        )  # fmt: skip
        self.client._waiting = Patience(self.client, self)  # noqa: SLF001


def steer(world: World) -> None:
    """A client comes, does something, and goes."""
    visit(world, world.rng.choice([_look, _cancel, _move, _run_now, _again, _pause, _change, _hold, _remove]))


def visit(world: World, verb: Callable[[World, Visitor], None]) -> None:
    """A client comes, does that, and goes."""
    visitor = Visitor(world, "client")

    def work() -> None:
        try:
            verb(world, visitor)
        except MainspringError as error:
            world.note(visitor, f"{verb.__name__[1:]}: {type(error).__name__}: {error}")

    world.act(visitor, work)
    if not visitor.dead:
        visitor.end()


def add_tasks(world: World) -> None:
    """A client adds some."""
    visit(world, _add)


def resume_all(world: World) -> None:
    """Nothing is paused any more."""
    world.books.paused.clear()
    for queue in (None, "default"):
        world.store.pause(queue, paused=False)


def add_schedules(world: World) -> None:
    """Those that clients change."""
    for name in _NAMES:
        _put(world, world.store, name)


# ── tasks ──────────────────────────────────────────────────────────────────────────────────────────────────
def _add(world: World, visitor: Visitor) -> None:
    rng, now = world.rng, visitor.clock.now()
    tasks = []
    for _ in range(rng.choice((1, 1, 2, 10))):
        run_at = now + int(rng.choice((-1, 0, 1, 60, 3600)) * SECOND * rng.random())
        expires = now + rng.randrange(HOUR) if rng.random() < 0.1 else None
        task = NewTask(
            work=FUNCTION, run_at=run_at, options=options(rng), expires_at=expires, priority=rng.choice((0, 0, 5))
        )
        if rng.random() < 0.2:
            conflict = rng.choice(("error", "keep", "replace"))
            task = msgspec.structs.replace(task, key=rng.choice(_KEYS), on_conflict=conflict)
        tasks.append(task)
    world.books.acknowledged += [int(task.id) for task in visitor.client.put(tasks, now)]


def options(rng: Random) -> str | None:
    """What a task, or an occurrence, is to have."""
    timeout = rng.choice((SECOND // 10, 2 * SECOND, MINUTE)) if rng.random() < 0.3 else None
    if rng.random() < 0.2:
        return encode_options(TaskOptions(delivery="at-most-once", timeout=timeout))
    times = rng.choice((0, 1, 5))
    retry = RetryRule(times=times, delay=rng.choice((0, SECOND, MINUTE))) if times else None
    return encode_options(TaskOptions(retry=retry, timeout=timeout))


def _some(world: World) -> int:
    known = world.books.acknowledged
    return world.rng.choice(known[-30:] or [0])


def _look(world: World, visitor: Visitor) -> None:
    store, task = visitor.client.store, _some(world)
    read_status(store, visitor.clock.now())
    visitor.client.find(limit=10)
    store.attempts(task)
    store.output(task)
    store.pending(visitor.clock.now(), 100)


def _cancel(world: World, visitor: Visitor) -> None:
    task = _some(world)
    with world.books.alone(task) as alone:
        if visitor.client.cancel(str(task)) is not Cancellation.CANCELLED:
            return
        world.note(visitor, f"has cancelled {task}")
        if alone():
            if world.books.is_at(task):
                world.breaks(f"task {task} is told to be cancelled, and runs")
            world.books.cancelled.add(task)


def _move(world: World, visitor: Visitor) -> None:
    task, after = _some(world), int(world.rng.choice((1, 60, 3600)) * SECOND * world.rng.random())
    at = visitor.clock.wall + after
    world.books.moved.pop(task, None)
    with world.books.alone(task) as alone:
        runs = world.books.runs[task]
        visitor.client._must(str(task), Reschedule(at), "moved")  # noqa: SLF001  # to the µs
        world.note(visitor, f"has moved {task} to {at}")
        if alone() and world.books.runs[task] == runs:
            world.books.moved[task] = at


def _run_now(world: World, visitor: Visitor) -> None:
    task = _some(world)
    world.books.moved.pop(task, None)
    with world.books.alone(task):
        visitor.client.run_now(str(task))


def _again(world: World, visitor: Visitor) -> None:
    task = _some(world)
    world.books.cancelled.discard(task)  # first: it may start before this client hears of it
    world.books.moved.pop(task, None)
    with world.books.alone(task):
        visitor.client.retry(str(task))


# ── queues ─────────────────────────────────────────────────────────────────────────────────────────────────
def _pause(world: World, visitor: Visitor) -> None:
    queue = world.rng.choice((None, "default"))
    length = int(world.rng.choice((1, 60, 1800)) * SECOND * world.rng.random())
    world.at(world.machine.boot + length, partial(_resume, world, queue))
    visitor.client.pause(queue)
    world.note(visitor, f"has paused {queue}")
    if queue in world.store.paused():  # it was not resumed meanwhile
        world.books.paused.add(queue)


def _resume(world: World, queue: str | None) -> None:
    world.books.paused.discard(queue)
    world.store.pause(queue, paused=False)
    world.note(None, f"{queue} is resumed")


# ── schedules ──────────────────────────────────────────────────────────────────────────────────────────────
def _put(world: World, store: Store, name: str) -> None:
    rng, trigger = world.rng, world.rng.choice(_TRIGGERS)
    rule = Rule(misfire=rng.choice(("latest", "all", "skip")), overlap=rng.choice(("skip", "queue", "allow")))
    definition = ScheduleDefinition(trigger=encode_trigger(trigger), work=Work(work=FUNCTION), rule=rule)
    first = trigger.next_us(world.machine.wall)
    store.put(Standing(kind="schedule", name=name, definition=encode(definition), next_run_at=first))


def _edit(world: World, visitor: Visitor, trigger: Trigger | None, edit: Callable[[Schedule], object]) -> None:
    """Change a schedule, and enter it only when this client has heard that it is done, and nobody else changed it."""
    books, name = world.books, world.rng.choice(_NAMES)
    began = visitor.clock.wall
    books.edited.pop(name, None)
    with books.alone(name, at_once=True) as alone:
        try:
            schedule = Schedule(visitor.client, find_standing(visitor.client, "schedule", name))
        except NotFound:
            _put(world, visitor.client.store, name)
            return
        edit(schedule)
        world.note(visitor, f"has changed {name} to {trigger}")
        if alone():
            books.edited[name] = Edited(max(began, visitor.clock.wall), trigger)


def _change(world: World, visitor: Visitor) -> None:
    trigger = world.rng.choice(_TRIGGERS)

    def change(schedule: Schedule) -> None:
        if schedule.paused:
            schedule.resume()
        schedule.change(trigger)

    _edit(world, visitor, trigger, change)


def _hold(world: World, visitor: Visitor) -> None:
    _edit(world, visitor, None, lambda schedule: schedule.pause())


def _remove(world: World, visitor: Visitor) -> None:
    _edit(world, visitor, None, lambda schedule: schedule.remove())
