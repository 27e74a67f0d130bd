"""What happens in the world of a seed: tasks and schedules, daemons that come and go, clocks that are set."""

from collections.abc import Callable, Collection
from functools import partial

from mainspring.engine.definitions import Rule, ScheduleDefinition, Work, encode
from mainspring.store.rows import Standing
from mainspring.triggers import Calendar, Cron, Every
from mainspring.when.triggers import Trigger, encode_trigger
from simulate import accounts, clients, faults
from simulate.checks import Schedule, Violation
from simulate.faults import AT_A_CALL, DAY, HOUR, MINUTE, SECOND
from simulate.world import FUNCTION, Node, World

_ZONES = ("Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Asia/Shanghai", "Africa/Casablanca")
_BASES = 8  # worlds of `points`
_SOON = 25 * MINUTE  # after everything is well again: whatever stood still, or ran, has come to an end
_OVERDUE = 10 * MINUTE  # ... and nothing has been due for so long
# ... and the daemon that stood still goes on, with a body that another one has long made up for: while that runs, an
# occurrence beside it is rightly missed
_AFTERWARDS = 7 * MINUTE


def storm(seed: int, *, hours: float = 4, without: Collection[str] = (), trace: int = 60) -> World:
    """Hours with everything that can go wrong, but for these faults."""
    world = World(seed, faults.storm, trace=trace)
    world.faults.none_of_it(without)
    rng = world.rng
    _triggers(world, rng.randrange(4), Every("7m"), Every("1h"), Every("45s"), Cron("*/10 * * * *"), Cron("30 * * * *"))
    if world.faults.steers:
        clients.add_schedules(world)
    for _ in range(rng.randrange(5, 60)):
        world.at(rng.randrange(int(hours * HOUR)), lambda: clients.add_tasks(world))
    go_on(world, rng.choice((1, 2, 2, 3)), int(hours * HOUR), _heal)
    return world


def points(seed: int, *, hours: float = 0.05, without: Collection[str] = (), trace: int = 60) -> World:
    """Minutes in which a single call of the store goes wrong: the n-th of them, in one of the ways there are."""
    rest, base = divmod(seed, _BASES)
    rest, kind = divmod(rest, len(AT_A_CALL))
    world = World(base, faults.calm, trace=trace)
    world.faults.none_of_it(without)
    world.only = rest + 1, AT_A_CALL[kind]
    _triggers(world, 2, Every("45s"), Every("1m"), Cron("* * * * *"))
    clients.add_schedules(world)
    for _ in range(10):
        world.at(world.rng.randrange(int(hours * HOUR)), lambda: clients.add_tasks(world))
    go_on(world, 2, int(hours * HOUR), _heal)
    return world


def year(seed: int, *, hours: float = 365 * 24, without: Collection[str] = (), trace: int = 60) -> World:
    """Schedules by the wall clock over a year, with daylight saving, restarts, and clocks that are set."""
    world = World(seed, faults.years, lasting=True, trace=trace)
    world.faults.none_of_it(without)
    rng = world.rng
    zone = rng.choice(_ZONES)
    _triggers(
        world, 2, Cron("30 2 * * *", tz=zone), Cron("15 1 * * *", tz=zone), Cron("0 */6 * * *", tz=zone),
        Calendar(start="2025-01-01", days=1, at="02:30", tz=zone), Every("1d"),
    )  # fmt: skip
    go_on(world, rng.choice((1, 1, 1, 2)), int(hours * HOUR), _pass_days)
    return world


SCENARIOS: dict[str, Callable[..., World]] = {"storm": storm, "points": points, "year": year}
# What a seed does is its scenario's of this version: raised when what the seed draws is drawn otherwise.
VERSIONS = {"storm": 2, "points": 1, "year": 2}


def go_on(world: World, nodes: int, length: int, heal: Callable[[World], int]) -> None:
    """Live for `length`, then mend everything, wait until nothing can be on its way any more, and look.

    `heal` answers the last task that was made before everything was well.

    What goes wrong is raised with what happened last: since the start, by the wall clock (both in µs), by whom, what.
    """
    try:
        _live(world, nodes, length)
        well = heal(world)
        end = world.machine.wall - 2 * world.skew
        for node in list(world.nodes):
            world.soon(partial(world.stop_node, node))
        world.run(MINUTE)
        if world.nodes:
            raise Violation(f"{world.nodes[0].name} does not stop")
        accounts.close(world, end, well)
    except Exception as error:
        error.add_note("\n".join(" ".join(map(str, line)) for line in world.told))
        raise
    finally:
        world.close()


def _live(world: World, nodes: int, length: int) -> None:
    for _ in range(nodes):
        world.soon(world.start_node)
    world.often("kills", lambda: _kill(world))
    world.often("stops", lambda: _stop(world))
    world.often("starts", lambda: _start(world, nodes))
    world.often("freezes", lambda: _freeze(world))
    world.often("steps", world.set_clock)
    world.often("sleeps", lambda: _sleep(world))
    world.often("steers", lambda: clients.steer(world))
    world.run(length)
    world.faults.none_of_it()
    world.only = None
    clients.resume_all(world)
    world.note(None, "all is well from here on")
    if not any(node.started for node in world.nodes):
        world.soon(world.start_node)


def _pass_days(world: World) -> int:
    world.run(3 * DAY)
    return world.witness.table.last_id


def _heal(world: World) -> int:
    """All goes well, but for a daemon that stands still, and a clock that was set once more."""
    rng = world.rng
    if world.lease is not None and rng.random() < 0.5:
        for node in world.nodes[:1]:
            node.freeze(_SOON + MINUTE)
            world.note(node, "is stopped")
        world.soon(world.start_node)
    if rng.random() < 0.5:
        world.set_clock()
    world.run(_SOON)
    accounts.nothing_is_left_behind(world, _OVERDUE)
    world.run(_AFTERWARDS)
    well = world.witness.table.last_id
    world.run(30 * MINUTE - _AFTERWARDS)
    return well


def _triggers(world: World, count: int, *triggers: Trigger) -> None:
    for number in range(count):
        add_schedule(world, f"s{number}", world.rng.choice(triggers))


def add_schedule(world: World, name: str, trigger: Trigger) -> None:
    """A schedule, by a client."""
    rng = world.rng
    rule = Rule(
        misfire=rng.choice(("latest", "all", "skip")), grace=rng.choice((SECOND, MINUTE, HOUR)),
        catch_up=rng.choice((3, 100)), overlap=rng.choice(("skip", "queue", "allow")),
    )  # fmt: skip
    definition = ScheduleDefinition(
        trigger=encode_trigger(trigger), work=Work(work=FUNCTION, options=clients.options(rng)), rule=rule
    )
    now = world.machine.wall
    first = trigger.next_us(now)
    world.store.put(Standing(kind="schedule", name=name, definition=encode(definition), next_run_at=first))
    world.books.schedules.append(Schedule(name, trigger, rule, now))


def _start(world: World, nodes: int) -> None:
    if len(world.nodes) < nodes:
        world.start_node()


def _kill(world: World) -> None:
    if world.nodes:
        world.rng.choice(world.nodes).kill("from outside")


def _heeding(world: World) -> list[Node]:
    """The daemons that a signal reaches."""
    return [node for node in world.nodes if node.started and node.stopped_until <= world.machine.boot]


def _stop(world: World) -> None:
    if nodes := _heeding(world):
        world.stop_node(world.rng.choice(nodes))


def _freeze(world: World) -> None:
    if nodes := _heeding(world):
        node, length = world.rng.choice(nodes), world.standstill()
        world.note(node, f"is stopped for {length} µs")
        node.freeze(length)


def _sleep(world: World) -> None:
    length = int(world.rng.choice((1, 60, 3600, 86400)) * SECOND * world.rng.random())
    world.machine.sleep(length)
    world.note(None, f"the machine slept for {length} µs")
    world.clocks_were_set()
