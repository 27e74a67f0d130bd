"""What happens in the world of a seed: tasks and schedules, daemons that come and go, clocks that are set."""

from random import Random

import msgspec

from mainspring.engine.definitions import Rule, ScheduleDefinition, Work, encode
from mainspring.store.rows import NewTask, Standing
from mainspring.tasks.options import RetryRule, TaskOptions, encode_options
from mainspring.triggers import Calendar, Cron, Every
from mainspring.when.triggers import Trigger, encode_trigger
from simulate import clients, faults
from simulate.checks import Schedule
from simulate.faults import DAY, HOUR, MINUTE, SECOND
from simulate.world import FUNCTION, World

_ZONES = ("Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Asia/Shanghai", "Africa/Casablanca")


def storm(seed: int, *, hours: float = 24) -> World:
    """A day or two with everything that can go wrong."""
    world = World(seed, faults.storm)
    rng = world.rng
    for number in range(rng.randrange(4)):
        trigger = rng.choice((Every("7m"), Every("1h"), Every("45s"), Cron("*/10 * * * *"), Cron("30 * * * *")))
        add_schedule(world, f"s{number}", trigger)
    if world.faults.steers:
        clients.add_schedules(world)
    for _ in range(rng.randrange(5, 60)):
        world.at(rng.randrange(int(hours * HOUR)), lambda: add_tasks(world))
    go_on(world, rng.choice((1, 1, 2, 3)), int(hours * HOUR))
    return world


def year(seed: int, *, years: float = 1) -> World:
    """Schedules by the wall clock over years, with daylight saving, restarts, and clocks that are set."""
    world = World(seed, faults.years)
    rng = world.rng
    for number in range(2):
        zone = rng.choice(_ZONES)
        trigger = rng.choice(
            (Cron("30 2 * * *", tz=zone), Cron("15 1 * * *", tz=zone), Cron("0 */6 * * *", tz=zone),
             Calendar(start="2025-01-01", days=1, at="02:30", tz=zone), Every("1d"))
        )  # fmt: skip
        add_schedule(world, f"s{number}", trigger)
    go_on(world, rng.choice((1, 1, 1, 2)), int(years * 365 * DAY))
    return world


def go_on(world: World, nodes: int, length: int) -> None:
    """Live for `length`, then mend everything, wait until nothing can be on its way any more, and look.

    What goes wrong is raised with what happened last: since the start, by the wall clock (both in µs), by whom, what.
    """
    try:
        _live(world, nodes, length)
    except Exception as error:
        error.add_note("\n".join(" ".join(map(str, line)) for line in world.told))
        raise


def _live(world: World, nodes: int, length: int) -> None:
    for _ in range(nodes):
        world.start_node()
    world.often("kills", lambda: _kill(world))
    world.often("stops", lambda: _stop(world))
    world.often("starts", lambda: _start(world, nodes))
    world.often("steps", lambda: _step(world))
    world.often("sleeps", lambda: _sleep(world))
    world.often("steers", lambda: clients.steer(world))
    world.run(length)
    world.faults.none_of_it()
    clients.resume_all(world)
    world.note(None, "all is well from here on")
    if not world.nodes:
        world.start_node()
    world.run(3 * DAY)
    for node in list(world.nodes):
        node.stop()
    world.books.close()


def add_schedule(world: World, name: str, trigger: Trigger) -> None:
    """A schedule, by a client."""
    rng = world.rng
    rule = Rule(
        misfire=rng.choice(("latest", "all", "skip")), grace=rng.choice((SECOND, MINUTE, HOUR)),
        catch_up=rng.choice((3, 100)), overlap=rng.choice(("skip", "queue", "allow")),
    )  # fmt: skip
    definition = ScheduleDefinition(
        trigger=encode_trigger(trigger), work=Work(work=FUNCTION, options=_options(rng)), rule=rule
    )
    now = world.machine.wall
    first = trigger.next_us(now)
    world.store.put(Standing(kind="schedule", name=name, definition=encode(definition), next_run_at=first))
    world.books.schedules.append(Schedule(name, trigger, rule, now))


def add_tasks(world: World) -> None:
    """Some tasks, by a client."""
    rng, now = world.rng, world.machine.wall
    tasks = []
    for _ in range(rng.choice((1, 1, 2, 10))):
        run_at = now + int(rng.choice((-1, 0, 1, 60, 3600)) * SECOND * rng.random())
        expires = now + rng.randrange(HOUR) if rng.random() < 0.1 else None
        task = NewTask(work=FUNCTION, run_at=run_at, options=_options(rng), expires_at=expires)
        tasks.append(msgspec.structs.replace(task, priority=rng.choice((0, 0, 5))))
    world.books.acknowledged += [one.id for one in world.store.add(tasks, now)]


def _options(rng: Random) -> str | None:
    if rng.random() < 0.2:
        return encode_options(TaskOptions(delivery="at-most-once"))
    times = rng.choice((0, 1, 5))
    retry = RetryRule(times=times, delay=rng.choice((0, SECOND, MINUTE))) if times else None
    return encode_options(TaskOptions(retry=retry))


def _start(world: World, nodes: int) -> None:
    if len(world.nodes) < nodes:
        world.start_node()


def _kill(world: World) -> None:
    if world.nodes:
        world.rng.choice(world.nodes).kill("from outside")


def _stop(world: World) -> None:
    idle = [node for node in world.nodes if not node.still]
    if idle:
        world.rng.choice(idle).stop()


def _step(world: World) -> None:
    by = int(world.rng.choice((0.5, 1, 60, 3600, 86400)) * SECOND * world.rng.uniform(-1, 1))
    world.machine.step(by)
    world.note(None, f"the clock is set by {by} µs")
    _heard(world)


def _sleep(world: World) -> None:
    length = int(world.rng.choice((1, 60, 3600, 86400)) * SECOND * world.rng.random())
    world.machine.sleep(length)
    world.note(None, f"the machine slept for {length} µs")
    _heard(world)


def _heard(world: World) -> None:
    """The kernel ends the sleep of whoever waits for an instant."""
    for node in world.nodes:
        for loop in node.turns.loops:
            loop.wake()
