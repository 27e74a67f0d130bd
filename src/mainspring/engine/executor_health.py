"""Whether an executor can be given anything now: after a failure it is left alone for a while, longer each time."""

import logging
import threading
from collections.abc import Callable

from mainspring.engine.backoff import delay_us
from mainspring.engine.executor_kinds import Ill

log = logging.getLogger("mainspring")

_MOMENT_US = 1_000_000


class Health:
    """What is known of an executor by what it did last. All methods may be called from any thread."""

    def __init__(self, now: Callable[[], int], wake: Callable[[], None]) -> None:
        """`wake`: called when there is an instant at which to look again."""
        self._now = now
        self._wake = wake
        self._lock = threading.Lock()
        self.failures = 0  # in a row
        self.rests_until = 0  # wall clock, µs; 0: it may be tried
        self._rest = 0  # how long it was left alone for that

    def failed(self, words: str, ill: Ill) -> None:
        """It has failed. Of many failures at once one counts."""
        with self._lock:
            if self.rests_until:
                return
            self.failures += 1
            self._rest = wait = delay_us("executor", self.failures)
            self.rests_until = self._now() + wait
        log.error(
            "the executor has failed (%s); due tasks wait, it is tried again in %.1f s. %s",
            words,
            wait / 1e6,
            ill.value,
        )
        self._wake()

    def well(self) -> bool:
        """It has done something; True when that is news."""
        if not self.failures:
            return False
        with self._lock:
            self.failures = 0
        log.info("the executor works again")
        return True

    def rested(self, now: int) -> bool:
        """May it be tried again, and might it not a moment ago?"""
        with self._lock:
            # further off than it ever is (`now` may have been read a moment ago): the clock was set back meanwhile
            if 0 < self.rests_until - now <= self._rest + _MOMENT_US or not self.rests_until:
                return False
            self.rests_until = 0
            return True
