"""Schedules and listeners as people steer them, and how those declared in code are reconciled with those stored."""

import logging
from collections.abc import Callable, Iterable
from datetime import datetime
from typing import TYPE_CHECKING, Literal, Unpack

import msgspec

from mainspring.asked import as_limit
from mainspring.engine.definitions import (
    ListenerDefinition,
    ScheduleDefinition,
    encode,
    listener_of,
    schedule_of,
    status_of,
)
from mainspring.engine.planner import AHEAD_US, CHANGED, LEAD_US, first_run, planned, resumed, stretch_of
from mainspring.errors import InvalidValue, NameInUse, NotFound, StoreError
from mainspring.store.rows import Cancel, Filter, NewTask, Standing
from mainspring.tasks.state import State
from mainspring.when.instants import to_datetime
from mainspring.when.triggers import decode_trigger, encode_trigger, parse_trigger

if TYPE_CHECKING:
    from mainspring.adding import Duration, Moment
    from mainspring.client import Client
    from mainspring.scheduling import RuleSaid
    from mainspring.task import Task
    from mainspring.when.triggers import Trigger

log = logging.getLogger("mainspring")

_TRIES = 50
_MADE_AHEAD = 10_000
_AHEAD_US = AHEAD_US + LEAD_US  # what may be a task already
Kind = Literal["schedule", "listener"]


class _Handle:
    """What schedules and listeners have in common: a name, a stored definition, and changes by compare-and-set."""

    KIND: Kind

    def __init__(self, client: "Client", standing: Standing) -> None:
        self._client = client
        self._standing = standing

    @property
    def standing(self) -> Standing:
        """The stored row."""
        return self._standing

    @property
    def name(self) -> str:
        """Unique among its kind in the store."""
        return self._standing.name

    @property
    def app(self) -> str | None:
        """Who declared it in code; None when it was added by hand."""
        return self._standing.app

    @property
    def paused(self) -> bool:
        """Was it paused?"""
        return self._standing.paused

    def refresh(self) -> None:
        """Read it again; `NotFound` when it is gone."""
        self._standing = find_standing(self._client, self.KIND, self.name)

    def remove(self) -> None:
        """Forget it. Of a schedule's tasks those stay that are due, have run, or were started by hand."""
        if not self._client.store.remove(self.KIND, self.name):
            raise NotFound(f"there is no {self.KIND} {self.name!r} any more")
        if self.KIND == "schedule":
            withdraw_made_ahead(self._client, self.name, "schedule removed")

    def _change(
        self, change: Callable[[Standing], Standing], tasks: Callable[[Standing], list[NewTask]] = lambda _: []
    ) -> None:
        """Change it, and add the tasks that go with the change, by compare-and-set."""
        for _ in range(_TRIES):
            self.refresh()
            was = self._standing
            if self._client.store.advance(change(was), tasks(was), self._client.clock.now()):
                self.refresh()
                self._client.after_adding()
                return
        raise StoreError(f"the {self.KIND} {self.name!r} was changed by others each time; try again")

    def __repr__(self) -> str:
        return f"<{self.KIND.capitalize()} {self.name}>"


class Schedule(_Handle):
    """A stored rule that creates a task for each occurrence."""

    KIND = "schedule"

    @property
    def definition(self) -> ScheduleDefinition:
        """The rule and the work."""
        return schedule_of(self._standing)

    @property
    def next_run_at(self) -> datetime | None:
        """The next occurrence that is not a task yet; None while it is paused without an end."""
        at = planned(self._standing)
        return None if at is None else to_datetime(at)

    def next(self, n: int = 1) -> list[datetime]:
        """The next `n` occurrences after now; 100,000 at most."""
        as_limit(n, "n")
        trigger = decode_trigger(self.definition.trigger)
        out: list[datetime] = []
        at = to_datetime(self._client.clock.now())
        while len(out) < n and (following := trigger.next(at)) is not None:
            out.append(following)
            at = following
        return out

    def pause(self, until: "Moment | None" = None) -> None:
        """Create no more tasks until that instant, or (None) until `resume`. Occurrences of the pause are not made up
        for.
        """
        now = self._client.clock.now()
        resume_at = None if until is None else self._client.moment(until)
        if resume_at is not None and resume_at <= now:
            raise InvalidValue(f"pause(until=) expects an instant that is still to come, got {until!r}; it is past")

        def pause(standing: Standing) -> Standing:
            definition = msgspec.structs.replace(schedule_of(standing), resume_at=resume_at)
            return msgspec.structs.replace(standing, paused=True, definition=encode(definition))

        self._change(pause)
        withdraw_made_ahead(self._client, self.name, "schedule paused")

    @property
    def paused_until(self) -> datetime | None:
        """When the pause ends by itself; None without a pause, or without such an end."""
        at = self.definition.resume_at if self.paused else None
        return None if at is None else to_datetime(at)

    def resume(self) -> None:
        """Go on from now; occurrences of the pause are not made up for. Without a pause nothing changes."""
        now = self._client.clock.now()

        def resume(standing: Standing) -> Standing:
            if not standing.paused:  # what was due while no daemon ran is still to be made, or told as missed
                return standing
            definition = schedule_of(standing)
            return msgspec.structs.replace(resumed(standing, definition), next_run_at=first_run(definition, now))

        self._change(resume, lambda was: stretch_of(was, schedule_of(was), now + 1) if was.paused else [])

    def change(self, trigger: "Trigger | Duration | None" = None, **said: "Unpack[RuleSaid]") -> None:
        """Another trigger, or another rule (`misfire`, `grace`, `catch_up`, `overlap`, `keep`), from now on.

        What is not said stays. Occurrences that are tasks already and whose instant has not come are made anew.
        """
        from mainspring.scheduling import changed_rule

        now = self._client.clock.now()

        def change(standing: Standing) -> Standing:
            definition = schedule_of(standing)
            stored = definition.trigger if trigger is None else encode_trigger(parse_trigger(trigger))
            rule = changed_rule(definition.rule, said)
            return with_rule(standing, msgspec.structs.replace(definition, trigger=stored, rule=rule), now)

        self._change(change, lambda was: _overdue(was, now))
        make_anew(self._client, self._standing, now)

    def backfill(self, start: "Moment", end: "Moment") -> int:
        """Make up for its occurrences from `start` up to and without `end`, which is past: a task for each, due now.

        Those that are tasks already are left as they are; how many were added. More than 10,000 are refused.
        """
        definition, now = self.definition, self._client.clock.now()
        first, last = self._client.moment(start), self._client.moment(end)
        if not first < last <= now:
            raise InvalidValue(f"backfill() expects a start before an end that is past, got {start!r} and {end!r}")
        trigger = decode_trigger(definition.trigger)
        tasks: list[NewTask] = []
        at = trigger.next_us(first - 1)
        while at is not None and at < last:
            if len(tasks) == _MADE_AHEAD:
                raise InvalidValue(f"there are more than {_MADE_AHEAD:,} occurrences from {start!r} to {end!r}")
            tasks.append(definition.occurrence(self.name, at, judged=True))
            at = trigger.next_us(at)
        added = self._client.store.add(tasks, now)
        self._client.after_adding()
        return sum(one.created for one in added)

    def run_now(self) -> "Task[object]":
        """One task of it, due now, beside its occurrences."""
        now = self._client.clock.now()
        new = self.definition.beside(self.name, now)
        added = self._client.store.add([new], now)
        self._client.after_adding()
        return self._client.get(str(added[0].id))


class Listener(_Handle):
    """Work without a time and without an end."""

    KIND = "listener"

    @property
    def definition(self) -> ListenerDefinition:
        """The work and its pace."""
        return listener_of(self._standing)

    @property
    def state(self) -> str:
        """`down`, `up`, `backing-off`, `starved`, `stopping` or `paused`."""
        return "paused" if self.paused else status_of(self._standing).state

    @property
    def restarts(self) -> int:
        """How often it failed and was started again."""
        return status_of(self._standing).restarts

    @property
    def last_error(self) -> str | None:
        """Why it was restarted last."""
        return status_of(self._standing).last_error

    def pause(self) -> None:
        """Ask it to stop, and keep it stopped until `resume`."""
        self._change(lambda standing: msgspec.structs.replace(standing, paused=True))

    def resume(self) -> None:
        """Let it run again."""
        self._change(lambda standing: msgspec.structs.replace(standing, paused=False))

    def restart(self) -> None:
        """Ask it to stop and start it anew."""

        def again(standing: Standing) -> Standing:
            definition = listener_of(standing)
            renewed = msgspec.structs.replace(definition, generation=definition.generation + 1)
            return msgspec.structs.replace(standing, definition=encode(renewed))

        self._change(again)


def find_standing(client: "Client", kind: Kind, name: str) -> Standing:
    """The one of this kind and name; `NotFound` says which there are."""
    found = client.store.standing(kind, name)
    if found is not None:
        return found
    names = ", ".join([repr(one.name) for one in client.store.standings(kind)[:10]]) or "none"
    raise NotFound(f"there is no {kind} {name!r}; there are: {names}")


def new_schedule(name: str, app: str | None, definition: ScheduleDefinition, now: int) -> Standing:
    """The row of a schedule that starts now."""
    return Standing(
        kind="schedule", name=name, app=app, definition=encode(definition), next_run_at=first_run(definition, now)
    )


def new_listener(name: str, app: str | None, definition: ListenerDefinition) -> Standing:
    """The row of a listener."""
    return Standing(kind="listener", name=name, app=app, definition=encode(definition))


def put_new(client: "Client", standing: Standing) -> None:
    """Store one that was added by hand; its name must be free."""
    if not client.store.put(standing):
        raise NameInUse(
            f"there is a {standing.kind} {standing.name!r} already; remove it first, or choose another name"
        )
    client.after_adding()


def reconcile(client: "Client", app: str, declared: Iterable[Standing], now: int) -> None:
    """Make the store agree with what this app's code declares: new ones added, changed rules valid from now, a pause
    kept, those gone from the code removed. What other apps or the command line added is never touched.
    """
    wanted = {(one.kind, one.name): one for one in declared}
    store = client.store
    for stored in store.standings():
        new = wanted.get((stored.kind, stored.name))
        if stored.app != app:
            if new is not None:
                raise InvalidValue(
                    f"the {stored.kind} {stored.name!r} belongs to {stored.app or 'the command line'}; choose "
                    f"another name="
                )
        elif new is None:
            store.remove(stored.kind, stored.name)
            if stored.kind == "schedule":
                withdraw_made_ahead(client, stored.name, "schedule removed")
            log.info("the %s %r is gone from the code and was removed", stored.kind, stored.name)
    for new in wanted.values():
        if not store.put(new):
            _renew(client, new, now)


def _renew(client: "Client", new: Standing, now: int) -> None:
    for _ in range(_TRIES):
        stored = find_standing(client, new.kind, new.name)
        if _same_rule(stored, new):
            return
        if new.kind == "schedule":  # a pause is kept, with its end
            resume_at = schedule_of(stored).resume_at
            renewed = with_rule(stored, msgspec.structs.replace(schedule_of(new), resume_at=resume_at), now)
            overdue = _overdue(stored, now)
        else:
            renewed, overdue = msgspec.structs.replace(stored, definition=new.definition), []
        if client.store.advance(renewed, overdue, now):
            if new.kind == "schedule":
                make_anew(client, renewed, now)
            log.info("the %s %r was changed in the code; the new rule holds from now", new.kind, new.name)
            return


def _overdue(standing: Standing, now: int) -> list[NewTask]:
    """What the old rule had due while no daemon made tasks of it: the new one does not make up for it."""
    return [] if standing.paused else stretch_of(standing, schedule_of(standing), now + 1, CHANGED)


def with_rule(standing: Standing, definition: ScheduleDefinition, now: int) -> Standing:
    """The schedule under another rule, which goes on where no task can have been made yet; `make_anew` does the rest.

    An occurrence is one task: while one of the old rule is there, none of the new rule at the same instant can be made.
    """
    after = now if standing.paused else now + _AHEAD_US
    return msgspec.structs.replace(standing, definition=encode(definition), next_run_at=first_run(definition, after))


def make_anew(client: "Client", standing: Standing, now: int) -> None:
    """The rule has changed: its occurrences that are tasks already are replaced by those of the new one."""
    withdraw_made_ahead(client, standing.name, CHANGED)
    if standing.paused:
        return
    definition = schedule_of(standing)
    trigger = decode_trigger(definition.trigger)
    tasks: list[NewTask] = []
    at = trigger.next_us(now)
    while at is not None and at <= now + _AHEAD_US:
        tasks.append(definition.occurrence(standing.name, at))
        at = trigger.next_us(at)
    client.store.add(tasks, now)
    client.after_adding()


def withdraw_made_ahead(client: "Client", schedule: str, reason: str) -> None:
    """Cancel the occurrences that are tasks already and whose instant has not come: the rule that made them is over."""
    wanted = Filter(states=(State.WAITING,), schedule=schedule, limit=_MADE_AHEAD)
    now = client.clock.now()
    for row in client.store.find(wanted):
        if row.run_at > now and row.attempt == 0:
            client.change_task(str(row.id), Cancel(reason))  # one that has started meanwhile is too late, and runs


def _same_rule(stored: Standing, new: Standing) -> bool:
    if new.kind == "schedule":
        return msgspec.structs.replace(schedule_of(stored), resume_at=None) == schedule_of(new)
    # restarts asked for by hand count up in the store and are no change of the code
    return msgspec.structs.replace(listener_of(stored), generation=0) == listener_of(new)
