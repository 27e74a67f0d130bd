"""Starts the pool's children, sees that each gets ready, and has another one start when one is gone.

A child that says it is ready is one; one that has not said so after START_US is replaced, as is one that died before.
After such a failure the next one is waited for, longer each time. A script that would do it all again when a child
imports it (`Failed.unguarded`) gets no second child.
"""

import logging
from collections.abc import Callable

from mainspring.engine.backoff import delay_us
from mainspring.engine.child import Child
from mainspring.engine.child_messages import End, Failed
from mainspring.engine.process_slot import ProcessSlot

log = logging.getLogger("mainspring")

START_US = 60_000_000
_REAP_S = 0.5

Make = Callable[[int], Child]  # a child for the slot of this index; starts a process; may raise OSError


class Nursery:
    """Knows which slots need a child. Used on the pool's loop alone: children are to be made on one thread."""

    def __init__(self, make: Make) -> None:
        self._make = make
        self._due: dict[int, int] = {}  # slot → the instant (monotonic) of its next child
        self._born: dict[int, int] = {}  # slot → when its child was made, until it is ready
        self._failed: dict[int, int] = {}  # slot → failures in a row
        self._leaving: list[Child] = []
        self.failure: Failed | None = None  # what the last child that could not start has said
        self.hopeless = False

    def birth(self, slot: ProcessSlot, now: int) -> Child | None:
        """A new child for a slot without one, if it is time for it."""
        if self.hopeless or now < self._due.get(slot.index, 0):
            return None
        try:
            child = self._make(slot.index)
        except OSError as error:
            self._later(slot.index, now, f"no process could be started: {error}")
            return None
        self._born[slot.index] = now
        return child

    def ready(self, slot: ProcessSlot) -> None:
        """Its child can run tasks."""
        self._born.pop(slot.index, None)
        self._failed.pop(slot.index, None)
        self.failure = None

    def refused(self, said: Failed) -> None:
        """A child could not import what it needs."""
        self.failure = said
        self.hopeless = self.hopeless or said.unguarded
        log.error("a worker process could not start: %s: %s", said.problem.type,
                  said.problem.traceback or said.problem.message)  # fmt: skip

    def gone(self, slot: ProcessSlot, child: Child, now: int) -> str:
        """Its child is gone; how that came about, in words."""
        words = child.ended(_REAP_S)
        if words is None:  # it closed its channels and lives
            child.kill()
            words = child.ended(_REAP_S) or "closed its channel"
        child.close()
        if self._born.pop(slot.index, None) is not None:
            said = None if self.failure is None else self.failure.problem.message
            self._later(slot.index, now, f"a worker process {words} before it was ready{f': {said}' if said else ''}")
        return words

    def stalled(self, slot: ProcessSlot, now: int) -> bool:
        """Has its child not got ready for too long? It is killed then; its end will be seen like any other."""
        born = self._born.get(slot.index)
        if born is None or now - born < START_US or slot.child is None:
            return False
        log.error("a worker process did not get ready within %d s and is replaced", START_US // 1_000_000)
        slot.child.kill()
        return True

    def retire(self, child: Child) -> None:
        """It has done its part: it ends by itself."""
        child.control(End())
        self._leaving.append(child)

    def wanted(self, now: int) -> int | None:
        """µs until there is something to do here; None: nothing."""
        times = [at - now for at in self._due.values() if at > now]
        times += [born + START_US - now for born in self._born.values()]
        if self._leaving:
            times.append(50_000)
        return max(0, min(times)) if times and not self.hopeless else None

    def reap(self) -> None:
        """Let go of those that have left."""
        for child in self._leaving[:]:
            if child.ended() is not None:
                child.close()
                self._leaving.remove(child)

    def close(self, slots: list[ProcessSlot]) -> None:
        """End all children: those that are idle by themselves, the others by force."""
        children = [slot.child for slot in slots if slot.child is not None] + self._leaving
        for child in children:
            child.control(End())
        for child in children:
            child.ended(_REAP_S)
            child.close()
        self._leaving.clear()

    def _later(self, index: int, now: int, why: str) -> None:
        failures = self._failed[index] = self._failed.get(index, 0) + 1
        delay = delay_us(f"worker {index}", failures)
        self._due[index] = now + delay
        log.error("%s; the next try is in %d ms", why, delay // 1000)
