"""What a schedule and a listener are in the store: the JSON in `Standing.definition`."""

import msgspec

from mainspring.errors import InvalidValue
from mainspring.store.rows import Missed, NewTask, Standing
from mainspring.tasks.options import DEFAULT, Misfire, Overlap, decode_options, encode_options
from mainspring.tasks.state import Kind
from mainspring.when.triggers import Trigger, decode_trigger

JSONObject = dict[str, object]


class Work(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """What is run, as in `store.rows.NewTask`."""

    kind: Kind = Kind.FUNCTION
    work: str = ""
    name: str | None = None
    payload: str | None = None
    options: str | None = None
    queue: str = "default"
    priority: int = 0
    expires: int | None = None  # µs after run_at


class Rule(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """What becomes of occurrences that cannot run at their instant. `grace` in µs; `keep`: finished tasks kept."""

    misfire: Misfire = "latest"
    grace: int = DEFAULT.grace
    catch_up: int = 100
    overlap: Overlap = "skip"
    keep: int | None = None

    @property
    def late(self) -> int:
        """How many of those that were missed run all the same."""
        return {"latest": 1, "all": self.catch_up, "skip": 0}[self.misfire]

    def options(self, stored: str | None, *, judged: bool) -> str | None:
        """A task's options with what of the rule counts when it starts.

        `judged`: it runs, however late; and when several do, one after the other.
        """
        misfire, overlap = self.misfire, self.overlap
        if judged:
            misfire, overlap = "all", "queue" if overlap == "skip" else overlap
        options = decode_options(stored)
        return encode_options(msgspec.structs.replace(options, misfire=misfire, grace=self.grace, overlap=overlap))


class ScheduleDefinition(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """A rule that creates a task for each occurrence. `trigger` is `when.triggers.encode_trigger`'s.

    `resume_at`: while it is paused, the instant (µs) from which on it is no more.
    """

    trigger: JSONObject
    work: Work
    rule: Rule = Rule()
    resume_at: int | None = None

    def occurrence(self, schedule: str, at: int, *, judged: bool = False, missed: Missed | None = None) -> NewTask:
        """The task of the occurrence at `at`, `judged` as in `Rule.options`; or of a stretch of them from `at`."""
        task = self.task(schedule, at, self.rule.options(self.work.options, judged=judged))
        return msgspec.structs.replace(task, occurrence=at, missed=missed)

    def beside(self, schedule: str, run_at: int) -> NewTask:
        """A task of it that is no occurrence: it runs, however late, and beside any other."""
        free = Rule(misfire="all", overlap="allow")
        return self.task(schedule, run_at, free.options(self.work.options, judged=True))

    def task(self, schedule: str, run_at: int, options: str | None) -> NewTask:
        """A task with this work."""
        work = self.work
        return NewTask(
            kind=work.kind,
            work=work.work,
            queue=work.queue,
            priority=work.priority,
            run_at=run_at,
            name=work.name,
            options=options,
            payload=work.payload,
            expires_at=None if work.expires is None else run_at + work.expires,
            schedule=schedule,
        )


class ListenerDefinition(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """Work without an end. `pause` µs between two turns; `everywhere`: in every daemon, else in one of the store.

    A running listener whose definition changes is stopped and started anew; raising `generation` asks for just that.
    """

    work: Work
    pause: int = 10_000
    everywhere: bool = False
    generation: int = 0


class ListenerStatus(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """What is shown of a listener. `state`: down, up, backing-off, starved, stopping, paused; `since` that instant.

    `restarts` counts failures; `output` is the end of what a program wrote before its last one. Written when something
    else than `turns` changed, so that `turns` is as of then.
    """

    state: str = "down"
    restarts: int = 0
    turns: int = 0
    last_error: str | None = None
    output: str | None = None
    since: int | None = None


_schedule = msgspec.json.Decoder(ScheduleDefinition)
_listener = msgspec.json.Decoder(ListenerDefinition)
_status = msgspec.json.Decoder(ListenerStatus)


def encode(value: ScheduleDefinition | ListenerDefinition | ListenerStatus) -> str:
    """The stored form; equal values give equal text, so that reconciling can compare."""
    return msgspec.json.encode(value, order="deterministic").decode()


def schedule_of(standing: Standing) -> ScheduleDefinition:
    """The definition of a stored schedule; `InvalidValue` when this version cannot read it."""
    try:
        return _schedule.decode(standing.definition)
    except msgspec.MsgspecError as error:
        raise _unread(standing, error) from None


def trigger_of(standing: Standing) -> Trigger:
    """The trigger of a stored schedule; `InvalidValue` when this version cannot read it."""
    definition = schedule_of(standing)
    try:
        return decode_trigger(definition.trigger)
    except InvalidValue as error:
        raise _unread(standing, error) from None


def _unread(standing: Standing, why: Exception) -> InvalidValue:
    return InvalidValue(
        f"{standing.kind} {standing.name!r} cannot be read by this version of Mainspring: {why}. Was it made by a "
        f"newer one? Run that one, or remove it: mainspring {standing.kind}s remove {standing.name}"
    )


def listener_of(standing: Standing) -> ListenerDefinition:
    """The definition of a stored listener; `InvalidValue` when this version cannot read it."""
    try:
        return _listener.decode(standing.definition)
    except msgspec.MsgspecError as error:
        raise _unread(standing, error) from None


def status_of(standing: Standing) -> ListenerStatus:
    """What was last said of a listener; nothing, where that cannot be read."""
    try:
        return ListenerStatus() if standing.status is None else _status.decode(standing.status)
    except msgspec.MsgspecError:
        return ListenerStatus()
