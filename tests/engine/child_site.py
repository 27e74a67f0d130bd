"""Listeners that run in children, with real clocks and loops: one store, one supervisor, and the lines they print."""

import logging
import threading
from pathlib import Path

from listener_parts import LONG, Site

from mainspring.engine import child_setup
from mainspring.engine.child_places import ChildPlaces
from mainspring.engine.service import ThreadLoop
from mainspring.when.clock import SystemClock

HERE = Path(__file__).parent
SECOND = 1_000_000


class Still(SystemClock):
    """By which no turn ever takes long, however busy the machine is."""

    def monotonic(self):
        return 0


class ChildSite(Site):
    """`until` waits for what may have changed with a step of the supervisor or with a line that was printed."""

    def __init__(self):
        super().__init__()
        self.clock = SystemClock()
        self.news = threading.Condition()
        self.lines = []  # (listener, line)
        self.made = []  # (index, role) of each child
        self._logger = logging.getLogger("mainspring.listener")
        self._level = self._logger.level
        self._logger.setLevel(logging.INFO)
        self._handler = logging.Handler()
        self._handler.emit = self._line
        self._logger.addHandler(self._handler)
        self._desk = ThreadLoop("desk", self.clock)
        self._children = ThreadLoop("listeners", self.clock)
        self.bell = self._desk

    def run(self, *, workers=2, grace=LONG * SECOND, setup=None, **given):
        """Start a supervisor."""
        setup = setup or child_setup.here(**{"app": "listener_bodies", "directory": str(HERE), **given})
        self.places = ChildPlaces(
            setup=setup, locks=(), workers=workers, clock=self.clock, loop=self._children, grace=grace
        )
        child = self.places.child
        self.places.child = lambda index, role: self.made.append((index, role)) or child(index, role)
        self.one = self.supervisor(workers=workers, places=self.places)
        self.one.hear(["*"])
        self._children.start([self.places])
        self._desk.start([self])
        return self.one

    def step(self, now):
        wanted = self.one.step(now)
        with self.news:
            self.news.notify_all()
        return wanted

    def look(self):
        """The store has changed."""
        self.one.hear(["*"])
        self._desk.wake()

    def until(self, so):
        with self.news:
            assert self.news.wait_for(so, LONG), (self.one.facts(), self.lines)

    def said(self, line, name=None):
        return any(line == text and name in {None, who} for who, text in tuple(self.lines))

    def fact(self, name):
        """State, turns, restarts, last error."""
        return next((fact[1:] for fact in self.one.facts() if fact[0] == name), None)

    def _line(self, record):
        with self.news:
            self.lines.append(tuple(record.getMessage().split(": ", 1)))
            self.news.notify_all()

    def stop(self):
        try:
            super().stop()
        finally:
            self._desk.stop()
            self._children.stop()
            self._logger.removeHandler(self._handler)
            self._logger.setLevel(self._level)
