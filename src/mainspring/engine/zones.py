"""Plans schedules anew when the rules of a time zone have changed on disk, while the daemon runs."""

import logging

import msgspec

from mainspring.engine.definitions import trigger_of
from mainspring.engine.planner import AHEAD_US, Planner
from mainspring.errors import InvalidValue
from mainspring.store.protocol import Store
from mainspring.when.zones import INTERVAL_US, ZoneWatch

log = logging.getLogger("mainspring")


class Zones:
    """The step that looks at the time zone database: once a minute, and only while zones are in use here."""

    def __init__(self, store: Store, planner: Planner, interval: int = INTERVAL_US) -> None:
        self._store = store
        self._planner = planner
        self._watch = ZoneWatch(interval)

    def step(self, now: int) -> int | None:
        """Look, when it is time."""
        names = self._watch.changed(now)
        if names:
            moved = [one for one in (self._replan(name, now) for name in self._schedules()) if one is not None]
            log.warning(
                "the rules of %s have changed on disk; %d schedules have another next instant by them%s",
                ", ".join(names), len(moved), f": {', '.join(moved[:10])}" if moved else "",
            )  # fmt: skip
            self._planner.look_again()
        return self._watch.look_at()

    def _schedules(self) -> list[str]:
        return [one.name for one in self._store.standings("schedule")]

    def _replan(self, name: str, now: int) -> str | None:
        """What is ahead follows the new rules; what is a task by now, or overdue, stays as it is."""
        one = self._store.standing("schedule", name)
        if one is None or one.paused or one.next_run_at is None or one.next_run_at <= now + AHEAD_US:
            return None  # a paused one is planned when it goes on
        try:
            following = trigger_of(one).next_us(now + AHEAD_US)
        except InvalidValue:
            return None  # the planner says so
        if following == one.next_run_at:
            return None
        # another daemon may have done the same just now: then this changes nothing
        done = self._store.advance(msgspec.structs.replace(one, next_run_at=following), (), now)
        return name if done else None
