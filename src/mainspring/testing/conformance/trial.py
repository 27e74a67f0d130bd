"""What a conformance case is given: one fresh store, and short words for what most cases do with it.

A case is a plain function with a promise for a docstring; it fails by raising (mostly `AssertionError`).
"""

import select
import threading
from collections.abc import Callable, Sequence
from typing import Protocol, TypeVar

import msgspec

from mainspring.store.protocol import Seat, Store, Watch
from mainspring.store.rows import NewNode, NewTask, Reserved, Settlement, TaskRow
from mainspring.tasks.options import TaskOptions, encode_options
from mainspring.tasks.state import CODES, FINISHED, State

T = 1_800_000_000_000_000  # an instant like any other: what happens "now" in most cases
EVER = 1 << 62  # later than anything
WORK = "shop:open_sale"
AT_MOST_ONCE = encode_options(TaskOptions(delivery="at-most-once"))
Result = TypeVar("Result")
Error = TypeVar("Error", bound=Exception)
_PATIENCE = 30.0  # seconds until news that must come are called missing


class Harness(Protocol):
    """How the suite gets at the store under test; its author writes one of these."""

    def make(self) -> Store:
        """A new, empty store."""

    def another(self, store: Store) -> Store:
        """A second way to the same data, as another program would have it; `store` itself where there is none."""

    def kill(self, store: Store, seat: Seat) -> None:
        """Make the node of this seat count as dead, as if its process had been killed: it never left."""

    def close(self) -> None:
        """Take away whatever `make` needed; the stores are closed already."""


class Held(msgspec.Struct, frozen=True):
    """A task that a node has reserved."""

    id: int
    token: int
    seat: Seat


class Trial:
    """One fresh store, used by one case."""

    def __init__(self, harness: Harness) -> None:
        self._harness = harness
        self.store = harness.make()
        self._stores = [self.store]
        self._watches: list[Watch] = []

    def close(self) -> None:
        """Close all that the case opened."""
        for watch in self._watches:
            watch.close()
        for store in self._stores:
            store.close()
        self._harness.close()

    # ── adding and looking ─────────────────────────────────────────────────────────────────────────────────
    def add(self, run_at: int = T, **fields: object) -> int:
        """Add one task; its id. `fields` are those of `NewTask`."""
        return self.store.add([new(run_at, **fields)], T)[0].id

    def task(self, id_: int) -> TaskRow:
        """A task that must be there."""
        row = self.store.get(id_)
        assert row is not None, f"task {id_} is gone"
        return row

    def lanes(self) -> list[int]:
        """The ids of all lanes."""
        return [lane.id for lane in self.store.lanes()]

    def another(self) -> Store:
        """A second way to the same data."""
        store = self._harness.another(self.store)
        self._stores.append(store)
        return store

    # ── running ────────────────────────────────────────────────────────────────────────────────────────────
    def join(self) -> Seat:
        """A node takes part."""
        return self.store.join(NewNode(host="here", pid=7, version="1.0", workers=4, started_at=T))

    def kill(self, seat: Seat) -> None:
        """The node dies without leaving."""
        self._harness.kill(self.store, seat)

    def reserve(self, node: int, *, after: int = -1, until: int = EVER, limit: int = 1_000) -> Reserved:
        """Reserve from all lanes."""
        return self.store.reserve(node, self.lanes(), after=after, until=until, limit=limit)

    def hold(self, seat: Seat | None = None, **fields: object) -> Held:
        """Add a task and have it reserved by a node (a new one, when none is given)."""
        seat = seat or self.join()
        id_ = self.add(**fields)  # type: ignore[arg-type]  # run_at may be among them
        return self.hold_again(id_, seat)

    def hold_again(self, id_: int, seat: Seat) -> Held:
        """Have a free task reserved, and nothing else."""
        row = self.task(id_)
        lane = [
            lane.id
            for lane in self.store.lanes()
            if (lane.queue, lane.priority, lane.kind, lane.work) == (row.queue, row.priority, row.kind, row.work)
        ]
        batch = self.store.reserve(seat.node, lane, after=row.run_at - 1, until=row.run_at, limit=1_000)
        assert [task.id for task in batch.tasks] == [id_], "the one task that was due is what is reserved"
        return Held(id_, batch.token, seat)

    def start(self, held: Held, attempt: int = 1, started_at: int = T) -> None:
        """Record that a held task runs."""
        assert self.store.record([settlement(held, State.RUNNING, attempt=attempt, started_at=started_at)]) == []

    def finish(self, held: Held, state: State = State.SUCCEEDED, **fields: object) -> None:
        """Record how a held task ended."""
        assert self.store.record([settlement(held, state, **fields)]) == []

    def ended(self, state: State, seat: Seat | None = None, finished_at: int = T, **fields: object) -> int:
        """Add a task and bring it to a final state; its id."""
        held = self.hold(seat, **fields)
        reason = None if state is State.SUCCEEDED else "because"
        self.finish(held, state, started_at=T, finished_at=finished_at, reason=reason)
        return held.id

    # ── news ───────────────────────────────────────────────────────────────────────────────────────────────
    def watch(self, store: Store | None = None) -> Watch:
        """A watch that is closed with the trial."""
        watch = (store or self.store).watch()
        self._watches.append(watch)
        return watch


def new(run_at: int = T, **fields: object) -> NewTask:
    """A task to be added."""
    return msgspec.convert({"work": WORK, "run_at": run_at, **fields}, NewTask)


def settlement(held: Held, state: State, **fields: object) -> Settlement:
    """A settlement with the token of `held`. A task that runs is kept, unless `fields` say otherwise."""
    values: dict[str, object] = {"keep": state is State.RUNNING, "attempt": 1, "failures": 0}
    if state in FINISHED:
        values["finished_at"] = T
    values |= fields
    return Settlement(held.id, held.token, CODES[state], **values)  # type: ignore[arg-type]  # the case says them


def readable(watch: Watch, timeout: float = 0) -> bool:
    """Whether there is news."""
    return bool(select.select([watch.fileno()], [], [], timeout)[0])


def await_news(watch: Watch, *wanted: str) -> None:
    """Wait until all that is wanted was told. `due <n>` may be told with an earlier instant; `*` stands for all."""
    missing = list(wanted)
    while missing:
        assert readable(watch, _PATIENCE), f"no news of {missing}"
        told = watch.drain()
        if "*" in told:
            return
        dues = [int(text.removeprefix("due ")) for text in told if text.startswith("due ")]
        missing = [
            text
            for text in missing
            if not (text in told or (text.startswith("due ") and dues and min(dues) <= int(text[4:])))
        ]


def refused(kind: type[Error], call: Callable[[], object]) -> Error:
    """The error of this kind that the call must raise."""
    try:
        call()
    except kind as error:
        return error
    raise AssertionError(f"{kind.__name__} was not raised")


def together(calls: Sequence[Callable[[], Result]]) -> list[Result | Exception]:
    """Run all at the same moment, each on its own thread; what each returned or raised, in order."""
    barrier = threading.Barrier(len(calls))
    results: list[Result | Exception] = [AssertionError("did not end")] * len(calls)

    def run(index: int) -> None:
        barrier.wait()
        try:
            results[index] = calls[index]()
        except Exception as error:  # noqa: BLE001 - handed to the case, which says what it expects
            results[index] = error

    threads = [threading.Thread(target=run, args=(index,)) for index in range(len(calls))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return results
