"""What the face promises of tasks, told in a few lines: a model that knows every task and replays what bodies wrote.

Time is an argument. Bodies note each start of theirs; the model says of each whether it could be just then, what comes
of it, and in the end that nothing was left which was due.
"""

from dataclasses import dataclass, field, replace

from mainspring.tasks.retry import Retry, next_delay
from mainspring.tasks.state import FINISHED, State

LATER_US = 3_000_000  # what a body asks for that raises `RetryLater`
LOSSES = 3


@dataclass
class Known:
    """One task as it must be."""

    id: int
    run_at: int
    queue: str = "default"
    key: str | None = None
    fates: tuple[str, ...] = ("ok",)
    retry: Retry | None = None
    lasts: int | None = None  # µs from `run_at`: not started by then it is missed
    once: bool = False
    expires_at: int | None = None
    state: State = State.WAITING
    reason: str | None = None
    attempt: int = 0
    failures: int = 0
    losses: int = 0
    started_at: int | None = None
    finished_at: int | None = None

    def told(self):
        """What the face says of it."""
        ended = (self.started_at, self.finished_at) if self.state in FINISHED else None
        return self.state, self.reason, self.run_at, self.attempt, self.key, ended


def told(row):
    """The same, of what is in the store."""
    ended = (row.started_at, row.finished_at) if row.state in FINISHED else None
    return row.state, row.reason, row.run_at, row.attempt, row.key, ended


@dataclass(frozen=True)
class Start:
    """What a body wrote: its task and attempt, the instant, and the task that it added, if it did."""

    id: int
    attempt: int
    at: int
    added: int | None = None


@dataclass
class FaceModel:
    """All tasks, which queues are paused, and whether a daemon runs."""

    now: int
    tasks: dict[int, Known] = field(default_factory=dict)
    paused: set[str | None] = field(default_factory=set)
    runs: bool = False
    _before: dict[int, list[Known]] = field(default_factory=dict)  # of this move: each task as it was, step by step

    # ── what clients do ────────────────────────────────────────────────────────────────────────────────────
    def owner(self, key):
        """The unfinished task that has this key."""
        if key is None:
            return None
        found = [task for task in self.tasks.values() if task.key == key and task.state not in FINISHED]
        assert len(found) <= 1, f"two unfinished tasks with the key {key}"
        return found[0] if found else None

    def add(self, task):
        """A task more."""
        assert task.id not in self.tasks, "an id was used twice"
        task.expires_at = None if task.lasts is None else task.run_at + task.lasts
        self.tasks[task.id] = task

    def cancel(self, task, reason="cancelled"):
        """Whether it could be."""
        if task.state is not State.WAITING:
            return False
        self._end(task, State.CANCELLED, reason)
        return True

    def move(self, task, run_at):
        """Whether it could be."""
        if task.state is not State.WAITING:
            return False
        task.run_at = run_at
        if task.lasts is not None:
            task.expires_at = run_at + task.lasts
        return True

    def again(self, task):
        """Whether it could be tried again; `KeyError` when another one has its key by now."""
        if task.state not in FINISHED - {State.SUCCEEDED} or (task.once and task.attempt):
            return False
        if self.owner(task.key) is not None:
            raise KeyError(task.key)
        task.state, task.reason, task.failures, task.losses = State.WAITING, None, 0, 0
        task.finished_at = None
        return self.move(task, self.now)

    # ── what a daemon does ─────────────────────────────────────────────────────────────────────────────────
    def pass_until(self, goal, starts, *, crashed=False):
        """Let time pass, as the bodies' notes say; `crashed`: the daemon died in it, and the notes end there."""
        self._before.clear()
        starts = list(starts)
        while True:
            due = [task for task in self.tasks.values() if self._may_start(task)]
            at = max(min((task.run_at for task in due), default=goal + 1), self.now)
            if at > goal:
                break
            self.now = at
            late = [task for task in due if task.run_at <= at]
            expired = [task for task in late if task.expires_at is not None and task.expires_at <= at]
            for task in expired:
                self._remember(task)
                self._end(task, State.MISSED, "expired")
            if not expired and crashed and not starts:
                break
            if not expired:
                assert starts, f"at {at} nobody started {[task.id for task in late]}"
                self._start(starts.pop(0), {task.id for task in late})
        assert not starts, f"started though nothing was due: {starts}"
        self.now = goal

    def crash(self, rows):
        """The daemon is no more. What came of this move is in the store as far as it was written: `rows`, by id."""
        self.runs = False
        for id_, steps in self._before.items():
            known, row = self.tasks[id_], rows[id_]
            if told(row) == known.told():
                continue
            # its last start, or its end by expiry, was not written: all that came before was
            before = steps[-1]
            assert row.state is State.RUNNING or told(row) == before.told(), (row, known, before)
            began = known.attempt > before.attempt
            running = replace(before, state=State.RUNNING, started_at=known.started_at)
            self.tasks[id_] = running if began else before
        for id_, row in rows.items():
            if row.state is State.RUNNING:  # an at-most-once start is written before the body begins
                self.tasks[id_].state, self.tasks[id_].started_at = State.RUNNING, row.started_at
        self._before.clear()

    def take_over(self):
        """Another daemon has come."""
        self.settle_lost()
        self.runs = True

    def settle_lost(self):
        """What had started and was not written is lost, and waits again; not for ever."""
        for task in self.tasks.values():
            if task.state is not State.RUNNING:
                continue
            task.attempt, task.losses, task.state = task.attempt + 1, task.losses + 1, State.WAITING
            if task.once or task.losses >= LOSSES:
                self._end(task, State.FAILED, "lost" if task.once else "poison")

    def _may_start(self, task):
        free = None not in self.paused and task.queue not in self.paused
        return self.runs and free and task.state is State.WAITING

    def _remember(self, task):
        self._before.setdefault(task.id, []).append(replace(task))

    def _start(self, start, due):
        assert start.at == self.now, f"{start} was started at another instant than {self.now}"
        assert start.id in due, f"{start} was started, and was not due, or twice: due are {due}"
        task = self.tasks[start.id]
        assert start.attempt == task.attempt + 1, f"{start} is not the attempt after {task.attempt}"
        self._remember(task)
        task.attempt += 1
        task.started_at = self.now
        if start.added is not None:
            self.add(Known(start.added, self.now + LATER_US))
        fate = task.fates[min(task.attempt, len(task.fates)) - 1]
        if fate in {"ok", "add"}:
            self._end(task, State.SUCCEEDED, None)
        elif fate == "cancel":
            self._end(task, State.CANCELLED, "cancelled while running")
        elif fate == "later" and not task.once:
            task.run_at = self.now + LATER_US
        else:
            task.failures += 1
            rule = None if task.retry is None else task.retry.rule
            if rule is None or fate == "exit" or task.failures > rule.times:  # an exit is no `Exception`
                self._end(task, State.FAILED, "error")
            else:
                task.run_at = self.now + next_delay(rule, task.failures, task.id)

    def _end(self, task, state, reason):
        task.state, task.reason, task.finished_at = state, reason, self.now
