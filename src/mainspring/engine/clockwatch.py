"""Notices that the clock was set, or that the machine slept, says so, and has everybody look again.

Nothing polls. The kernel ends a sleeper's sleep when either happens (`when/clock`), elsewhere a sleeper looks once a
second; and each turn of the desk begins here, with three readings. What the wall clock and the boot-time clock differ
by changes only when the wall clock is set; what the boot-time clock and the monotonic clock differ by, only when the
machine sleeps. A clock that is slewed runs a little fast or slow in between: too little, from one turn to the next, to
be taken for a step.
"""

import logging
from collections.abc import Callable, Sequence
from typing import Protocol

import msgspec

from mainspring.store.journal import Journal
from mainspring.when.clock import Clock

log = logging.getLogger("mainspring")

STEP_US = 100_000  # less is slewing, or a correction that nobody has to hear of: every start reads the clock itself
_PAIR_US = 1_000  # two clocks are read at one moment, when no more than this has passed meanwhile
_TRIES = 100


class Moved(msgspec.Struct, frozen=True):
    """What was noticed. `at`: the instant, by the new clock. `by`: how far the wall clock was set, negative for back.
    `slept`: how long the machine slept. All in µs; one of the last two may be 0.
    """

    at: int
    by: int
    slept: int


class Heeds(Protocol):
    """Who has kept an instant of the old clock, or elapsed time, and must know."""

    def clock_moved(self, moved: Moved) -> None:
        """The clock was set, or the machine slept."""


class ClockWatch:
    """The first step of the desk. `told`: in this order; `wake`: the loops, the desk's first."""

    def __init__(
        self,
        clock: Clock,
        told: Sequence[Heeds],
        journal: Journal,
        wake: Sequence[Callable[[], None]],
    ) -> None:
        self._clock = clock
        self._told = told
        self._journal = journal
        self._wake = wake
        self._set, self._slept, _ = self._read()

    def step(self, now: int) -> int | None:
        """Compare; tell everybody what has changed. Wants no turn of its own."""
        at_set, slept, read_at = self._read()
        by, asleep = at_set - self._set, slept - self._slept
        if abs(by) >= STEP_US and abs(read_at - now) >= STEP_US:
            # set since this turn began: it goes on with an instant of the old clock, and another one follows
            self._wake[0]()
            return None
        self._set, self._slept = at_set, slept
        if abs(by) < STEP_US and asleep < STEP_US:
            return None
        moved = Moved(now, by if abs(by) >= STEP_US else 0, asleep if asleep >= STEP_US else 0)
        log.warning("%s", words(moved))
        self._journal.moved = moved.at, moved.by, moved.slept
        for one in self._told:
            one.clock_moved(moved)
        for wake in self._wake:
            wake()
        return None

    def _read(self) -> tuple[int, int, int]:
        """What the wall clock is ahead of the boot-time clock, this one of the monotonic clock, and the wall clock."""
        clock, tries = self._clock, 0
        while True:
            before = clock.boottime()
            monotonic, wall = clock.monotonic(), clock.now()
            tries += 1
            if clock.boottime() - before <= _PAIR_US or tries == _TRIES:
                return wall - before, before - monotonic, wall


def said(by: int, slept: int) -> str:
    """What happened, for people (µs, as in `Moved`)."""
    words = []
    if slept:
        words.append(f"the machine slept for {span(slept)}")
    if by:
        words.append(f"the clock was set {'forward' if by > 0 else 'back'} by {span(abs(by))}")
    return ", and ".join(words)


def words(moved: Moved) -> str:
    """The line of the log."""
    if moved.by < 0:
        then = "what waits, waits for its instant by the new clock, and what has run does not run again"
    else:
        then = "what fell due meanwhile starts now"
    return f"{said(moved.by, moved.slept)}; {then}"


def span(microseconds: int) -> str:
    """A length of time for people, to the second; under ten seconds to the hundredth."""
    if microseconds < 9_995_000:
        return f"{microseconds / 1e6:.2f}".rstrip("0").rstrip(".") + " s"
    seconds = round(microseconds / 1e6)
    parts: list[tuple[int, str]] = []
    for unit, length in (("d", 86_400), ("h", 3_600), ("min", 60), ("s", 1)):
        count, seconds = divmod(seconds, length)
        if count or parts:
            parts.append((count, unit))
    while len(parts) > 1 and not parts[-1][0]:
        parts.pop()
    return " ".join(f"{count} {unit}" for count, unit in parts)
