"""Looks at each change to a task as it is made in the store: it must be one that may be, by who makes it.

It does not ask the store's own rules, but the rows before and after each call of the port.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, NamedTuple

from mainspring.store import memory_table
from mainspring.store.memory_table import Task
from mainspring.store.row_rules import wrong_with
from mainspring.store.rows import NewTask, TaskRow
from mainspring.tasks.state import FINISHED, LEGAL, UNFINISHED, State

if TYPE_CHECKING:
    from collections.abc import Sequence

    from simulate.process import Process
    from simulate.world import World


class Before(NamedTuple):
    """What a task was."""

    state: State
    attempt: int
    holder: int | None
    token: int | None


class Table(memory_table.Table):
    """The memory store's tasks; knows what was touched since it was asked last, and keeps what was forgotten."""

    def __init__(self) -> None:
        super().__init__()
        self.touched: dict[int, Before | None] = {}
        self.forgotten: dict[int, TaskRow] = {}

    def insert(self, tasks: "Sequence[tuple[int, NewTask]]", now: int) -> None:
        """See `memory_table.Table`."""
        super().insert(tasks, now)
        self.touched |= dict.fromkeys((id_ for id_, _ in tasks), None)

    @contextmanager
    def changing(self, task: Task) -> Iterator[Task]:
        """See `memory_table.Table`."""
        self._touch(task)
        with super().changing(task):
            yield task

    def delete(self, task: Task) -> None:
        """See `memory_table.Table`."""
        self._touch(task)
        self.forgotten[task.id] = task.row()
        super().delete(task)

    def _touch(self, task: Task) -> None:
        if task.id not in self.touched:
            self.touched[task.id] = Before(task.state, task.attempt, task.holder, task.token)


class Witness:
    """Judges each call of the port by what it did."""

    def __init__(self, world: "World") -> None:
        self._world = world
        self.table = world.store._table = Table()  # noqa: SLF001
        self._process: Process | None = None
        self._name = ""
        self._keys: dict[str, int] = {}
        self._occurrences: dict[tuple[str, int], int] = {}

    def turn_to(self, process: "Process", name: str) -> None:
        """This process calls this method now."""
        self._process, self._name = process, name
        self.table.touched.clear()

    def judge(self, given: tuple[Any, ...], named: dict[str, object], answer: Any) -> None:
        """What the call was given and answered."""
        books, name = self._world.books, self._name
        for id_, before in self.table.touched.items():
            task = self.table.tasks.get(id_)
            if before is not None:
                self._allowed(id_, before, task, given, named)
            if task is not None:
                self._whole(task, before)
        if name == "record":
            books.recorded(given[0], answer)
        elif name == "take_over" and answer is not None:
            books.taken_over(given[0], given[2] if len(given) > 2 else None)

    def _wrong(self, id_: int, what: str) -> None:
        assert self._process is not None
        self._world.breaks(f"{self._name} of {self._process.name} (node {self._process.number}) on task {id_}: {what}")

    # ── who may ────────────────────────────────────────────────────────────────────────────────────────────
    def _allowed(
        self, id_: int, before: Before, task: Task | None, given: tuple[Any, ...], named: dict[str, object]
    ) -> None:
        match self._name:
            case "record":
                tokens = [one.token for one in given[0] if one.id == id_]
                right = before.holder == self._number and before.token in tokens
            case "reserve":
                right = before.holder is None and before.state is State.WAITING
            case "take_over" | "give_back" | "leave":
                right = before.holder == given[0]
            case "change":
                token = given[3] if len(given) > 3 else named.get("token")
                right = before.holder is None or before.token == token
            case "add":  # one that is replaced
                right = before.holder is None and task is not None and task.state is State.CANCELLED
            case "prune" | "trim":
                right = task is None and before.state in FINISHED
            case _:
                right = False
        if not right:
            self._wrong(id_, f"it was {before.state}, held by {before.holder} under {before.token}")

    @property
    def _number(self) -> int:
        return 0 if self._process is None else self._process.number

    # ── what may be ────────────────────────────────────────────────────────────────────────────────────────
    def _whole(self, task: Task, before: Before | None) -> None:
        if before is not None:
            same = task.state is before.state and task.state in UNFINISHED
            if not same and task.state not in LEGAL[before.state]:
                self._wrong(task.id, f"it was {before.state}, and is {task.state}")
            self._counted(task, before)
        for what in wrong_with(task.row()):
            self._wrong(task.id, what)
        self._unique(task)

    def _counted(self, task: Task, before: Before) -> None:
        """An attempt is counted once; a start of an at-most-once task that did not come to be is taken back."""
        more = task.attempt - before.attempt
        taken_back = more == -1 and task.at_most_once and task.state is State.WAITING
        if more not in (0, 1) and not taken_back:
            self._wrong(task.id, f"it had {before.attempt} attempts, and has {task.attempt}")

    def _unique(self, task: Task) -> None:
        key, name = task.new.key, task.new.occurrence_name
        if key is not None and task.state in UNFINISHED:
            other = self.table.tasks.get(self._keys.setdefault(key, task.id))
            if other is not None and other is not task and other.state in UNFINISHED:
                self._wrong(task.id, f"task {other.id} is unfinished and has the same key {key}")
            self._keys[key] = task.id
        if name is not None and task.state is not State.CANCELLED:
            other = self.table.tasks.get(self._occurrences.setdefault(name, task.id))
            if other is not None and other is not task and other.state is not State.CANCELLED:
                self._wrong(task.id, f"task {other.id} is the same occurrence {name}")
            self._occurrences[name] = task.id
