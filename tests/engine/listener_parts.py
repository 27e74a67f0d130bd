"""What the tests of listeners share: a clock set by hand, a loop that notes wakes, supervisors on one store."""

import threading

import msgspec

from mainspring.engine.coroutines import CoroutineLoop
from mainspring.engine.definitions import ListenerDefinition, Work, encode, status_of
from mainspring.engine.events import Events
from mainspring.engine.supervisor import Supervisor
from mainspring.store.memory import MemoryStore
from mainspring.store.rows import NewNode, Standing
from mainspring.tasks.context import stopping
from mainspring.tasks.registry import Registry

SECOND = 1_000_000  # µs
HOUR = 3600 * SECOND
LONG = 60  # seconds: what is waited for comes at once, or the test has failed
T0 = 1_800_000_000_000_000


class HandClock:
    """Wall and monotonic clock, moved by `advance` alone; its sleepers wake when it passes their instant."""

    def __init__(self):
        self.time = T0
        self.changed = threading.Condition()
        self.sleepers = []

    def now(self):
        return self.time

    def monotonic(self):
        return self.time - T0

    boottime = monotonic

    def sleeper(self):
        self.sleepers.append(HandSleeper(self))
        return self.sleepers[-1]

    def await_sleep(self, until):
        """Until some thread sleeps to this instant: whatever it reckoned, it did before the clock is moved."""
        with self.changed:
            assert self.changed.wait_for(lambda: any(one.until == until for one in self.sleepers), LONG)

    def advance(self, us):
        with self.changed:
            self.time += us
            self.changed.notify_all()


class HandSleeper:
    def __init__(self, clock):
        self.clock = clock
        self.woken = False
        self.until = None  # of the sleep that goes on
        self.sleeps = 0
        self.closed = False

    def sleep(self, until):
        with self.clock.changed:
            self.sleeps += 1
            self.until = until
            self.clock.changed.notify_all()
            over = self.clock.changed.wait_for(lambda: self.woken or self.clock.time >= until, LONG)
            assert over
            self.woken = False
            self.until = None

    def wake(self):
        with self.clock.changed:
            self.woken = True
            self.clock.changed.notify_all()

    def close(self):
        self.closed = True


class Bell:
    """A loop whose turns the test takes: `until` steps after each wake, until something is so."""

    def __init__(self, clock):
        self.clock = clock
        self.rung = threading.Condition()
        self.rings = 0

    def wake(self):
        with self.rung:
            self.rings += 1
            self.rung.notify_all()

    def watch(self, fd): ...

    def unwatch(self, fd): ...

    def until(self, so, *supervisors):
        while True:
            before = self.rings
            for one in supervisors:
                one.step(self.clock.now())
            if so():
                return
            with self.rung:
                assert self.rung.wait_for(lambda: self.rings != before, LONG), "nothing happened"  # noqa: B023


class Site:
    """One store and the supervisors on it."""

    def __init__(self):
        self.clock = HandClock()
        self.bell = Bell(self.clock)
        self.store = MemoryStore()
        self.registry = Registry()
        self.coroutines = CoroutineLoop()
        self.events = Events()
        self.supervisors = []

    def supervisor(self, programs=None, **said):
        node = self.store.join(NewNode(host="here", pid=1, version="1", workers=1, started_at=T0)).node
        one = Supervisor(
            store=self.store, node=node, clock=self.clock, loop=self.bell, registry=self.registry,
            coroutines=self.coroutines, programs=programs, events=self.events, **said,
        )  # fmt: skip
        one.node = node
        self.supervisors.append(one)
        return one

    def listen(self, name, function=None, *, payload=None, program=None, **said):
        """Store a listener that calls `function`, or runs `program` (a payload)."""
        if function is not None:
            self.registry.add(function, name)
        work = Work(work=name, payload=payload) if program is None else Work(kind="program", work="sh", payload=program)
        definition = encode(ListenerDefinition(work=work, **said))
        assert self.store.put(Standing(kind="listener", name=name, definition=definition))

    def row(self, name):
        return next((one for one in self.store.standings() if one.name == name), None)

    def status(self, name):
        return status_of(self.row(name))

    def state(self, name):
        return self.status(name).state

    def until(self, so, *supervisors):
        """Take turns of the supervisors until something is so."""
        for one in supervisors or self.supervisors:
            one.hear(["*"])
        self.bell.until(so, *(supervisors or self.supervisors))

    def stop(self):
        for one in self.supervisors:
            one.ask_stop()
        try:
            for one in self.supervisors:
                assert one.join(LONG)
        finally:
            for one in self.supervisors:
                one.close()
            self.coroutines.stop()


class Obedient:
    """A body that stays until it is asked to stop; `crash` ends it otherwise."""

    def __init__(self, bell):
        self.bell = bell
        self.inside = 0
        self.begun = 0
        self.order = threading.Condition()
        self.error = None

    def body(self):
        def listen():
            with self.order:
                self.begun += 1
                self.inside += 1
            self.bell.wake()
            try:
                with self.order:
                    while not stopping() and self.error is None:
                        self.order.wait(0.005)  # `stopping()` can only be asked
                    error, self.error = self.error, None
                if error is not None:
                    raise error
            finally:
                with self.order:
                    self.inside -= 1
                self.bell.wake()

        return listen

    def crash(self, error):
        with self.order:
            self.error = error
            self.order.notify_all()


def change(site, name, **changes):
    while True:
        row = site.row(name)
        if site.store.advance(msgspec.structs.replace(row, **changes)):
            return
