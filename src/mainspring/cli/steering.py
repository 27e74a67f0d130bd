"""`cancel`, `reschedule`, `run-now`, `retry`, `pause`, `resume`: and the truth about each change."""

from collections.abc import Callable

import click
import msgspec

from mainspring.cli.completing import ids as task_ids
from mainspring.cli.completing import queues
from mainspring.cli.failure import CONFLICT, code_of
from mainspring.cli.session import Session
from mainspring.cli.terminal import clean, out, say
from mainspring.cli.verb import exit_code, verb
from mainspring.errors import MainspringError
from mainspring.shown import shown_task
from mainspring.steering import Cancellation
from mainspring.tasks.state import State
from mainspring.when.readable import distance, exact

_UNSUCCESSFUL = (State.FAILED, State.CANCELLED, State.MISSED)
_SAID = {
    "cancelled": "is cancelled: it will not start",
    "stopping": "runs and was asked to stop",
    "too-late": "is over: too late to cancel",
    "due": "is due now",
    "waiting": "waits again, due now",
}


@verb("cancel", examples="mainspring cancel 42\nmainspring cancel 42 43 44 --json")
@click.argument("ids", nargs=-1, required=True, metavar="ID ...", shell_complete=task_ids(State.WAITING, State.RUNNING))
def cancel_verb(session: Session, ids: tuple[str, ...]) -> int:
    """Cancel tasks: each was cancelled, or runs and was asked to stop, or was over already (exit code 4)."""
    return _each(session, ids, lambda task_id: session.client.cancel(task_id).value)


@verb("run-now", examples="mainspring run-now 42")
@click.argument("ids", nargs=-1, required=True, metavar="ID ...", shell_complete=task_ids(State.WAITING))
def run_now_verb(session: Session, ids: tuple[str, ...]) -> int:
    """Make waiting tasks due now."""

    def run_now(task_id: str) -> str:
        session.client.run_now(task_id)
        return "due"

    return _each(session, ids, run_now)


@verb("retry", examples="mainspring retry 42\nmainspring retry 42 43")
@click.argument(
    "ids",
    nargs=-1,
    required=True,
    metavar="ID ...",
    shell_complete=task_ids(State.FAILED, State.CANCELLED, State.MISSED),
)
def retry_verb(session: Session, ids: tuple[str, ...]) -> int:
    """Let tasks that failed, were cancelled or missed wait again, due now; same id, attempts go on."""

    def retry(task_id: str) -> str:
        session.client.retry(task_id)
        return "waiting"

    return _each(session, ids, retry)


def _each(session: Session, ids: tuple[str, ...], change: Callable[[str], str]) -> int:
    """Change one after the other; an error of one does not keep the rest from it."""
    client = session.client
    client.store.paused()  # a store that is not there is said once, not for each id
    answers: list[object] = []
    codes: list[int] = []
    for task_id in ids:
        try:
            outcome = change(task_id)
            shown = shown_task(client.find_row(task_id), client.registry)
        except MainspringError as error:
            say(f"error: {error}")
            codes.append(code_of(error))
            answers.append({"id": task_id, "outcome": _word(codes[-1]), "message": str(error)})
            continue
        late = outcome == Cancellation.TOO_LATE
        codes.append(CONFLICT if late else 0)
        answers.append({**msgspec.structs.asdict(shown), "outcome": outcome})
        if late:
            say(f"task {task_id} is {shown.state}: {_SAID[outcome].partition(': ')[2]}")
        elif not session.as_json:
            out(f"task {clean(task_id)} ({clean(shown.name)}) {_SAID[outcome]}")
    session.answer(answers[0] if len(answers) == 1 else answers)
    return exit_code(codes)


def _word(code: int) -> str:
    return {3: "not-found", 4: "too-late"}.get(code, "failed")


@verb(
    "reschedule",
    examples="""
        mainspring reschedule 42 +10m
        mainspring reschedule 42 tomorrow 09:00 --tz Europe/Berlin
    """,
)
@click.argument("id", shell_complete=task_ids(State.WAITING))
@click.argument("when", nargs=-1, required=True, metavar="WHEN")
@click.option("--tz", metavar="ZONE", help="The zone of wall times (default: the local one).")
def reschedule_verb(session: Session, id: str, when: tuple[str, ...], tz: str | None) -> int:  # noqa: A002
    """Give a waiting task another instant."""
    from mainspring.when.instants import to_datetime
    from mainspring.when.wall import parse_when

    client, zone = session.client, session.zone(tz)
    run_at = parse_when(" ".join(when), now=client.clock.now(), tz=zone)
    client.reschedule(id, at=to_datetime(run_at))
    shown = shown_task(client.find_row(id), client.registry)
    if not session.answer(shown):
        away = distance(run_at, client.clock.now())
        out(f"task {shown.id} ({clean(shown.name)}) is due {exact(run_at, zone)}, {away}")
    return 0


@verb("pause", examples="mainspring pause\nmainspring pause mail")
@click.argument("queue", required=False, shell_complete=queues)
def pause_verb(session: Session, queue: str | None) -> int:
    """Start nothing more of QUEUE, or nothing at all. Holds for all daemons until `resume`; what runs goes on."""
    session.client.pause(queue)
    if not session.answer({"queue": queue, "paused": True}):
        out(f"paused: {_queue(queue)}; what runs goes on, what falls due waits for `mainspring resume`")
    return 0


@verb("resume", examples="mainspring resume\nmainspring resume mail")
@click.argument("queue", required=False, shell_complete=queues)
def resume_verb(session: Session, queue: str | None) -> int:
    """End a pause of QUEUE, or that of the whole store. What fell due meanwhile starts now."""
    session.client.resume(queue)
    still = session.client.store.paused()
    paused = bool({None, queue} & still)
    if not session.answer({"queue": queue, "paused": paused}):
        out(f"resumed: {_queue(queue)}")
    if queue is not None and None in still:
        say("the whole store is paused as well; `mainspring resume` ends that")
    elif queue is None and still:
        say(f"still paused by name: {', '.join(sorted(one for one in still if one))}")
    return 0


def _queue(queue: str | None) -> str:
    return "all queues" if queue is None else f"the queue {clean(queue)}"
