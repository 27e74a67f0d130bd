"""What a schedule and a listener are in the store: the JSON in `Standing.definition`."""

import msgspec

from mainspring.store.rows import NewTask, Standing
from mainspring.tasks.state import Kind

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


class ScheduleDefinition(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """A rule that creates a task for each occurrence. `trigger` is `when.triggers.encode_trigger`'s.

    `resume_at`: while it is paused, the instant (µs) from which on it is no more.
    """

    trigger: JSONObject
    work: Work
    resume_at: int | None = None

    def occurrence(self, schedule: str, run_at: int) -> NewTask:
        """The task of the occurrence at `run_at`."""
        work = self.work
        return NewTask(
            kind=work.kind,
            work=work.work,
            queue=work.queue,
            priority=work.priority,
            run_at=run_at,
            name=work.name,
            options=work.options,
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
    """The definition of a stored schedule."""
    return _schedule.decode(standing.definition)


def listener_of(standing: Standing) -> ListenerDefinition:
    """The definition of a stored listener."""
    return _listener.decode(standing.definition)


def status_of(standing: Standing) -> ListenerStatus:
    """What was last said of a listener."""
    return ListenerStatus() if standing.status is None else _status.decode(standing.status)
